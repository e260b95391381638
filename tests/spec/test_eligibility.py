"""Who is in: every rule judged at the assessment, by what was known before it."""

from __future__ import annotations

from datetime import date

import ibis
from ascii_tables import expect, instruments, kept, known, study, world
from ibis.expr import types as ir

from causal.cohort.build import build_cohort
from causal.cohort.eligibility import attrition, holds
from causal.protocol.target_trial import (
    Alive,
    EligibilityRule,
    FollowedUp,
    InRelationship,
    MinimumAge,
    NoPriorExposure,
    NotInpatient,
    PriorContacts,
    PriorRating,
    RegimeKnown,
)

SIX_PEOPLE = """
    person_id
    ann
    bob
    cas
    dee
    eve
    fay
"""


def passing(rule: EligibilityRule, tables: dict[str, ir.Table]) -> ir.Table:
    """Occasions for which `rule` holds."""
    occasions = known(tables)
    return occasions.select("ta_id", passes=holds(rule, occasions))


def test_minimum_age() -> None:
    """Age is the youngest the year of birth allows: who may still be 17 is out."""
    tables = world(
        {
            "patients": """
                person_id | birth_year
                ann       | 2001
                bob       | 2002
            """,
            "threat_assessments": """
                ta_id      | person_id | ts
                surely_18  | ann       | 2020-01-01 12:00
                perhaps_17 | bob       | 2020-12-31 12:00
            """,
        }
    )
    expect(
        passing(MinimumAge(rule="minimum_age", years=18), tables),
        """
            ta_id      | passes
            surely_18  | yes
            perhaps_17 | no
        """,
    )


def test_prior_contacts() -> None:
    """Two completed contacts with this clinician, in the 180 days before the assessment."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "clinicians": """
                clinician_id
                dr_a
                dr_b
            """,
            "threat_assessments": """
                ta_id     | person_id | ts
                two       | ann       | 2020-06-29 12:00
                one       | bob       | 2020-06-29 12:00
                no_show   | cas       | 2020-06-29 12:00
                elsewhere | dee       | 2020-06-29 12:00
                at_edge   | eve       | 2020-06-29 12:00
                too_old   | fay       | 2020-06-29 12:00
            """,
            "encounters": """
                person_id | clinician_id | start_ts         | status
                ann       | dr_a         | 2020-06-01 12:00 | completed
                ann       | dr_a         | 2020-06-29 11:59 | completed
                bob       | dr_a         | 2020-06-01 12:00 | completed
                bob       | dr_a         | 2020-06-29 12:00 | completed
                cas       | dr_a         | 2020-06-01 12:00 | completed
                cas       | dr_a         | 2020-06-08 12:00 | no_show
                cas       | dr_a         | 2020-06-15 12:00 | cancel_clinic
                dee       | dr_a         | 2020-06-01 12:00 | completed
                dee       | dr_b         | 2020-06-08 12:00 | completed
                eve       | dr_a         | 2020-01-01 12:00 | completed
                eve       | dr_a         | 2020-06-01 12:00 | completed
                fay       | dr_a         | 2020-01-01 11:59 | completed
                fay       | dr_a         | 2020-06-01 12:00 | completed
            """,
        }
    )
    expect(
        passing(PriorContacts(rule="prior_contacts", at_least=2, within_days=180), tables),
        """
            ta_id     | passes
            two       | yes
            one       | no
            no_show   | no
            elsewhere | no
            at_edge   | yes
            too_old   | no
        """,
    )


def test_prior_rating() -> None:
    """One usable rating of this clinician by the patient, in the 90 days before the assessment."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "clinicians": """
                clinician_id
                dr_a
                dr_b
            """,
            "threat_assessments": """
                ta_id     | person_id
                recent    | ann
                at_edge   | bob
                too_old   | cas
                same_time | dee
                elsewhere | eve
                therapist | fay
            """,
            "measures": """
                person_id | clinician_id | admin_ts         | version   | rater     | items
                ann       | dr_a         | 2020-03-01 12:00 | client    | patient   | 4
                bob       | dr_a         | 2019-12-11 12:00 | client    | patient   | 4
                cas       | dr_a         | 2019-12-11 11:59 | client    | patient   | 4
                dee       | dr_a         | 2020-03-10 12:00 | client    | patient   | 4
                eve       | dr_b         | 2020-03-01 12:00 | client    | patient   | 4
                fay       | dr_a         | 2020-03-01 12:00 | therapist | clinician | 4
            """,
        }
    )
    expect(
        passing(PriorRating(rule="prior_rating", at_least=1, within_days=90), tables),
        """
            ta_id     | passes
            recent    | yes
            at_edge   | yes
            too_old   | no
            same_time | no
            elsewhere | no
            therapist | no
        """,
    )


def test_a_rating_counts_as_far_back_as_its_rule_says() -> None:
    """Sixty days before is sixty, and a hundred and twenty more than the ninety of the facts."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "threat_assessments": """
                ta_id     | person_id
                days_60   | ann
                days_61   | bob
                days_120  | cas
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-01-10 12:00 | 4
                bob       | 2020-01-09 11:00 | 4
                cas       | 2019-11-11 12:00 | 4
            """,
        }
    )
    for days, told in ((60, ("yes", "no", "no")), (120, ("yes", "yes", "yes"))):
        rule = PriorRating(rule="prior_rating", at_least=1, within_days=days)
        trial = study().target_trial.model_copy(update={"eligibility": (rule,)})
        found = known(tables, study().model_copy(update={"target_trial": trial}))
        expect(
            found.select("ta_id", passes=holds(rule, found)),
            f"""
                ta_id    | passes
                days_60  | {told[0]}
                days_61  | {told[1]}
                days_120 | {told[2]}
            """,
        )


def test_a_form_without_a_score_is_no_rating() -> None:
    """Ten answered items make a score if every subscale has three of its four; otherwise the form does not count."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "threat_assessments": """
                ta_id         | person_id
                two_missing   | ann
                three_missing | bob
                both_of_task  | cas
                wrong_form    | dee
            """,
            "measures": """
                person_id | admin_ts         | items | itm_01 | itm_02 | itm_03 | itm_04
                ann       | 2020-03-01 12:00 | 4     | -      | 4      | -      | 4
                bob       | 2020-03-01 12:00 | 4     | -      | 4      | -      | -
                cas       | 2020-03-01 12:00 | 4     | -      | -      | 4      | 4
                dee       | 2020-03-01 12:00 | 4     | 7      | 4      | 4      | 4
            """,
        }
    )
    expect(
        passing(PriorRating(rule="prior_rating", at_least=1, within_days=90), tables),
        """
            ta_id         | passes
            two_missing   | yes
            three_missing | no
            both_of_task  | no
            wrong_form    | no
        """,
    )


def test_in_relationship() -> None:
    """A relationship with the assessing clinician is open at the assessment."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "episodes": """
                person_id | end              | end_reason
                ann       | -                | -
                bob       | 2020-03-10 12:00 | pt_initiated
                cas       | 2020-03-10 11:59 | pt_initiated
            """,
            "threat_assessments": """
                ta_id     | person_id
                goes_on   | ann
                ends_then | bob
                over      | cas
                never     | dee
            """,
        }
    )
    expect(
        passing(InRelationship(rule="in_relationship"), tables),
        """
            ta_id     | passes
            goes_on   | yes
            ends_then | yes
            over      | no
            never     | no
        """,
    )


def test_no_prior_exposure() -> None:
    """Nobody was ever warned about this person before, for whatever assessment and by whichever clinician."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "threat_assessments": """
                ta_id  | person_id | ts
                first  | ann       | 2020-03-10 12:00
                second | ann       | 2020-09-10 12:00
                hold   | bob       | 2020-09-10 12:00
                loose  | cas       | 2020-09-10 12:00
            """,
            "protective_actions": """
                ta_id | person_id | ts               | action
                first | ann       | 2020-03-10 13:00 | warn_victim
                -     | bob       | 2020-03-10 13:00 | hold_invol
                -     | cas       | 2018-03-10 13:00 | warn_police
            """,
        }
    )
    expect(
        passing(NoPriorExposure(rule="no_prior_exposure"), tables),
        """
            ta_id  | passes
            first  | yes
            second | no
            hold   | yes
            loose  | no
        """,
    )


def test_not_inpatient() -> None:
    """Out is who was admitted before the day and not discharged before it; an admission on the day is not known yet."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "threat_assessments": """
                ta_id        | person_id
                inside       | ann
                leaves_today | bob
                left         | cas
                no_discharge | dee
                admitted_now | eve
                never        | fay
            """,
            "hospitalizations": """
                person_id | admit      | discharge
                ann       | 2020-03-08 | 2020-03-12
                bob       | 2020-03-08 | 2020-03-10
                cas       | 2020-03-01 | 2020-03-09
                dee       | 2020-03-01 | -
                eve       | 2020-03-10 | 2020-03-12
            """,
        }
    )
    expect(
        passing(NotInpatient(rule="not_inpatient"), tables),
        """
            ta_id        | passes
            inside       | no
            leaves_today | no
            left         | yes
            no_discharge | no
            admitted_now | yes
            never        | yes
        """,
    )


def test_regime_known() -> None:
    """Exactly one legal regime is on record for the clinic's state and the day."""
    tables = world(
        {
            "jurisdiction_regime": """
                state | valid_from | valid_to   | regime
                CA    | 2019-01-01 | 2019-12-31 | permissive
                CA    | 2020-02-01 | -          | mandatory
            """,
            "threat_assessments": """
                ta_id | ts
                known | 2019-12-31 12:00
                gap   | 2020-01-15 12:00
            """,
        }
    )
    expect(
        passing(RegimeKnown(rule="regime_known"), tables),
        """
            ta_id | passes
            known | yes
            gap   | no
        """,
    )


def test_alive() -> None:
    """Nobody is assessed after a recorded death; a death on the day itself may have come after."""
    tables = world(
        {
            "patients": """
                person_id | death_date
                ann       | 2020-03-09
                bob       | 2020-03-10
                cas       | 2020-06-01
                dee       | -
            """,
            "threat_assessments": """
                ta_id     | person_id
                yesterday | ann
                same_day  | bob
                later     | cas
                alive     | dee
            """,
        }
    )
    expect(
        passing(Alive(rule="alive"), tables),
        """
            ta_id     | passes
            yesterday | no
            same_day  | yes
            later     | yes
            alive     | yes
        """,
    )


def test_followed_up() -> None:
    """The records go on for so many days after the assessment, the last day on record included."""
    rule = FollowedUp(rule="followed_up", days=111)
    trial = study().target_trial.model_copy(update={"eligibility": (rule,)})
    tables = world(
        {
            "threat_assessments": """
                ta_id       | ts
                just_enough | 2020-03-10 23:59
                a_day_short | 2020-03-11 00:00
                long_before | 2020-01-10 12:00
            """,
            "protective_actions": """
                ta_id       | ts
                long_before | 2020-01-10 12:00
            """,
        }
    )
    cohort = build_cohort(
        tables,
        study().model_copy(update={"target_trial": trial}),
        instruments(),
        lambda _, expression: kept(expression),
        as_of=date(2020, 6, 29),
    )
    expect(
        cohort.occasions,
        """
            ta_id       | treated
            just_enough | no
            long_before | yes
        """,
    )


def test_attrition_counts_rule_by_rule() -> None:
    """The flow counts persons, occasions and warned ones left after each rule: delivered, on record, then in order."""
    tables = world(
        {
            "patients": """
                person_id | birth_year
                ann       | 1980
                bob       | 2010
                cas       | 1980
            """,
            "episodes": """
                person_id
                ann
                bob
            """,
            "threat_assessments": """
                ta_id | person_id | ts
                a1    | ann       | 2020-03-10 12:00
                a2    | ann       | 2020-09-10 12:00
                b1    | bob       | 2020-03-10 12:00
                c1    | cas       | 2020-03-10 12:00
            """,
            "protective_actions": """
                ta_id | person_id | ts
                a1    | ann       | 2020-03-10 13:00
                b1    | bob       | 2020-03-10 13:00
            """,
        }
    )
    rules = (
        MinimumAge(rule="minimum_age", years=18),
        InRelationship(rule="in_relationship"),
        NoPriorExposure(rule="no_prior_exposure"),
    )
    counts = attrition(rules, known(tables))
    steps = [
        counts.select(
            step=ibis.literal(step),
            persons=counts[f"persons_{step}"],
            occasions=counts[f"occasions_{step}"],
            warned=counts[f"treated_{step}"],
        )
        for step in range(len(rules) + 2)
    ]
    expect(
        ibis.union(*steps),
        """
            step | persons | occasions | warned
            0    | 3       | 4         | 2
            1    | 3       | 4         | 2
            2    | 2       | 3         | 1
            3    | 1       | 2         | 1
            4    | 1       | 1         | 1
        """,
    )
