"""Occasions of which the records do not say clearly whether a warning followed leave the comparison."""

from __future__ import annotations

from ascii_tables import expect, occasions, table, world

from causal.tables import SET_ASIDE

FIVE_PEOPLE = """
    person_id
    ann
    bob
    cas
    dee
    eve
"""


def test_warned_through_another_assessment() -> None:
    """A warning within an occasion's 72 hours that answers another assessment makes it neither warned nor unwarned."""
    tables = world(
        {
            "patients": FIVE_PEOPLE,
            "episodes": FIVE_PEOPLE,
            "threat_assessments": """
                ta_id      | person_id | ts
                ann_first  | ann       | 2020-03-10 12:00
                ann_next   | ann       | 2020-03-11 12:00
                bob_first  | bob       | 2020-03-10 12:00
                bob_next   | bob       | 2020-03-11 12:00
                cas_long   | cas       | 2020-03-01 12:00
                cas_later  | cas       | 2020-03-11 12:00
                dee_alone  | dee       | 2020-03-10 12:00
                eve_never  | eve       | 2020-03-10 12:00
            """,
            "protective_actions": """
                ta_id     | person_id | ts
                ann_first | ann       | 2020-03-12 00:00
                -         | bob       | 2020-03-12 00:00
                cas_later | cas       | 2020-03-12 00:00
                dee_alone | dee       | 2020-03-12 00:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id      | treated | exposure_unclear
            ann_first  | yes     | no
            ann_next   | no      | yes
            bob_first  | no      | yes
            bob_next   | yes     | no
            cas_long   | no      | no
            cas_later  | yes     | no
            dee_alone  | yes     | no
            eve_never  | no      | no
        """,
    )


def test_an_action_for_somebody_elses_assessment() -> None:
    """When an action names the assessment of another person, neither of the two can be called unwarned."""
    tables = world(
        {
            "patients": FIVE_PEOPLE,
            "episodes": FIVE_PEOPLE,
            "threat_assessments": """
                ta_id | person_id | ts
                a     | ann       | 2020-03-10 12:00
                b     | bob       | 2020-03-10 12:00
                c     | cas       | 2020-03-10 12:00
            """,
            "protective_actions": """
                ta_id | person_id | ts
                a     | bob       | 2020-03-10 13:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id | exposure_unclear
            a     | yes
            b     | yes
            c     | no
        """,
    )


def test_an_action_that_was_set_aside() -> None:
    """A warning that validation set aside may still have happened: its person is not unwarned, a hold's person is."""
    tables = world(
        {
            "patients": FIVE_PEOPLE,
            "episodes": FIVE_PEOPLE,
            "threat_assessments": """
                ta_id | person_id | ts
                a     | ann       | 2020-03-10 12:00
                b     | bob       | 2020-03-10 12:00
                c     | cas       | 2020-03-10 12:00
                d     | dee       | 2020-03-10 12:00
            """,
        }
    )
    lost = table(
        "protective_actions",
        """
            ta_id | person_id | ts               | action
            a     | ann       | 2020-03-10 11:50 | warn_police
            b     | bob       | 2020-03-10 13:00 | -
            -     | cas       | 2020-03-10 13:00 | hold_vol
        """,
    )
    expect(
        occasions({**tables, SET_ASIDE: lost}),
        """
            ta_id | treated | exposure_unclear
            a     | no      | yes
            b     | no      | yes
            c     | no      | no
            d     | no      | no
        """,
    )


def test_an_assessment_of_nobody_on_record_is_counted_not_lost() -> None:
    """An assessment whose person or clinician is not in the extract stays a row, marked as not on record."""
    tables = world(
        {
            "patients": FIVE_PEOPLE,
            "episodes": FIVE_PEOPLE,
            "threat_assessments": """
                ta_id    | person_id | clinician_id | ts
                known    | ann       | dr_a         | 2020-03-10 12:00
                stranger | zoe       | dr_a         | 2020-03-10 12:00
                nobody   | bob       | dr_z         | 2020-03-10 12:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id    | on_record
            known    | yes
            stranger | no
            nobody   | no
        """,
    )
