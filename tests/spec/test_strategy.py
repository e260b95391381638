"""Which strategy an assessment began: a warning within 72 hours, inside the relationship, or none."""

from __future__ import annotations

from ascii_tables import expect, occasions, world

ONE_ASSESSMENT = """
    ta_id | ts
    t1    | 2020-03-10 12:00
"""
SEVEN_PEOPLE = """
    person_id
    ann
    bob
    cas
    dee
    eve
    fay
    guy
"""


def test_grace_window() -> None:
    """A warning counts up to 72 hours after the assessment, that hour included, and not later."""
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": SEVEN_PEOPLE,
            "threat_assessments": """
                ta_id   | person_id | ts
                at_once | ann       | 2020-03-10 12:00
                hour_71 | bob       | 2020-03-10 12:00
                hour_72 | cas       | 2020-03-10 12:00
                hour_73 | dee       | 2020-03-10 12:00
                never   | eve       | 2020-03-10 12:00
            """,
            "protective_actions": """
                ta_id   | person_id | ts
                at_once | ann       | 2020-03-10 12:00
                hour_71 | bob       | 2020-03-13 11:00
                hour_72 | cas       | 2020-03-13 12:00
                hour_73 | dee       | 2020-03-13 13:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id   | treated
            at_once | yes
            hour_71 | yes
            hour_72 | yes
            hour_73 | no
            never   | no
        """,
    )


def test_recipient() -> None:
    """The recipient is who was told; several, when more than one was told within the window."""
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": SEVEN_PEOPLE,
            "threat_assessments": """
                ta_id  | person_id
                victim | ann
                police | bob
                both   | cas
                twice  | dee
                late   | eve
                nobody | fay
            """,
            "protective_actions": """
                ta_id  | person_id | ts               | action         | patient_informed
                victim | ann       | 2020-03-10 13:00 | warn_victim    | before
                police | bob       | 2020-03-10 13:00 | warn_police    | after
                both   | cas       | 2020-03-10 13:00 | warn_victim    | no
                both   | cas       | 2020-03-11 13:00 | warn_police    | no
                twice  | dee       | 2020-03-10 13:00 | warn_police    | unknown
                twice  | dee       | 2020-03-11 13:00 | warn_police    | unknown
                late   | eve       | 2020-03-10 13:00 | warn_victim    | before
                late   | eve       | 2020-03-20 13:00 | warn_police    | before
                nobody | fay       | 2020-03-10 13:00 | family_contact | -
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id  | treated | recipient   | patient_informed
            victim | yes     | warn_victim | before
            police | yes     | warn_police | after
            both   | yes     | several     | no
            twice  | yes     | warn_police | unknown
            late   | yes     | warn_victim | before
            nobody | no      | -           | -
        """,
    )


def test_unlinked_action() -> None:
    """An action that names no assessment belongs to the person's latest assessment at or before it."""
    tables = world(
        {
            "threat_assessments": """
                ta_id  | ts
                first  | 2020-03-10 12:00
                second | 2020-03-11 12:00
                third  | 2020-03-20 12:00
            """,
            "protective_actions": """
                ta_id | ts
                -     | 2020-03-11 12:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id  | treated | prior_exposure
            first  | no      | no
            second | yes     | no
            third  | no      | yes
        """,
    )


def test_linked_action_stays_with_its_assessment() -> None:
    """An action that names its assessment belongs to it, even when another assessment lies between."""
    tables = world(
        {
            "threat_assessments": """
                ta_id  | ts
                first  | 2020-03-10 12:00
                second | 2020-03-11 12:00
            """,
            "protective_actions": """
                ta_id | ts
                first | 2020-03-11 13:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id  | treated
            first  | yes
            second | no
        """,
    )


def test_action_before_the_assessment() -> None:
    """A warning dated before the assessment is no part of its strategy; the person was warned about before."""
    tables = world(
        {
            "threat_assessments": ONE_ASSESSMENT,
            "protective_actions": """
                ta_id | ts
                t1    | 2020-03-10 11:59
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id | treated | prior_exposure
            t1    | no      | yes
        """,
    )


def test_action_after_the_relationship() -> None:
    """A warning after the relationship's end is no strategy of it; at its very end it is."""
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": """
                person_id | end              | end_reason
                ann       | 2020-03-11 12:00 | pt_initiated
                bob       | 2020-03-11 12:00 | pt_initiated
            """,
            "threat_assessments": """
                ta_id  | person_id
                at_end | ann
                after  | bob
            """,
            "protective_actions": """
                ta_id  | person_id | ts
                at_end | ann       | 2020-03-11 12:00
                after  | bob       | 2020-03-11 12:01
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id  | treated | ended_in_grace
            at_end | yes     | yes
            after  | no      | yes
        """,
    )


def test_leaver_in_the_grace_window_is_kept() -> None:
    """Who leaves within the 72 hours stays in the study, as someone who left; only a flag says so."""
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": """
                person_id | end              | end_reason
                ann       | 2020-03-11 12:00 | pt_initiated
                bob       | 2020-03-13 12:00 | lost
                cas       | 2020-03-13 12:01 | lost
                dee       | -                | -
            """,
            "threat_assessments": """
                ta_id   | person_id
                hour_24 | ann
                hour_72 | bob
                later   | cas
                stays   | dee
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id   | treated | in_relationship | ended_in_grace
            hour_24 | no      | yes             | yes
            hour_72 | no      | yes             | yes
            later   | no      | yes             | no
            stays   | no      | yes             | no
        """,
    )


def test_same_day_hold() -> None:
    """A hold on the calendar day of the assessment, at or after it, is part of neither strategy and is kept apart."""
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": SEVEN_PEOPLE,
            "threat_assessments": """
                ta_id     | person_id
                voluntary | ann
                forced    | bob
                midnight  | cas
                tomorrow  | dee
                earlier   | eve
                unlinked  | fay
                medicine  | guy
            """,
            "protective_actions": """
                ta_id     | person_id | ts               | action
                voluntary | ann       | 2020-03-10 13:00 | hold_vol
                forced    | bob       | 2020-03-10 13:00 | hold_invol
                midnight  | cas       | 2020-03-10 23:59 | hold_vol
                tomorrow  | dee       | 2020-03-11 00:00 | hold_vol
                earlier   | eve       | 2020-03-10 11:00 | hold_vol
                -         | fay       | 2020-03-10 13:00 | hold_vol
                medicine  | guy       | 2020-03-10 13:00 | med_change
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id     | same_day_hold | treated
            voluntary | yes           | no
            forced    | yes           | no
            midnight  | yes           | no
            tomorrow  | no            | no
            earlier   | no            | no
            unlinked  | yes           | no
            medicine  | no            | no
        """,
    )


def test_relationship_of_the_assessing_pair() -> None:
    """The relationship is the one with the assessing clinician that began before the assessment and is still open."""
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "clinicians": """
                clinician_id
                dr_a
                dr_b
            """,
            "episodes": """
                person_id | clinician_id | start            | end              | end_reason
                ann       | dr_a         | 2020-01-01 09:00 | -                | -
                bob       | dr_b         | 2020-01-01 09:00 | -                | -
                cas       | dr_a         | 2020-01-01 09:00 | 2020-03-10 11:59 | completed
                dee       | dr_a         | 2020-03-10 12:00 | -                | -
                eve       | dr_a         | 2019-01-01 09:00 | 2019-06-01 09:00 | completed
                eve       | dr_a         | 2020-02-01 09:00 | -                | -
            """,
            "threat_assessments": """
                ta_id    | person_id
                open     | ann
                other    | bob
                over     | cas
                just_now | dee
                again    | eve
                never    | fay
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id    | in_relationship | episode_start
            open     | yes             | 2020-01-01 09:00:00
            other    | no              | -
            over     | no              | -
            just_now | no              | -
            again    | yes             | 2020-02-01 09:00:00
            never    | no              | -
        """,
    )
