"""What was known before the assessment: windows, boundaries, whose ratings count.

Time zero is 10 March 2020, noon, wherever a test does not say otherwise. Thirty days before it is 9 February, sixty is
10 January, ninety is 11 December 2019, each at noon.
"""

from __future__ import annotations

from ascii_tables import expect, known, world

ONE_ASSESSMENT = "ta_id\nt1"
SIX_PEOPLE = """
    person_id
    ann
    bob
    cas
    dee
    eve
    fay
"""


def test_alliance_windows() -> None:
    """The latest rating 0-30, 31-60 and 61-90 days before; a window holds its far edge and not its near one."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "threat_assessments": """
                ta_id    | person_id
                latest   | ann
                far_edge | bob
                beyond   | cas
                at_zero  | dee
                none     | eve
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2019-12-15 12:00 | 1
                ann       | 2020-01-20 12:00 | 2
                ann       | 2020-02-15 12:00 | 3
                ann       | 2020-03-01 12:00 | 4
                bob       | 2019-12-11 12:00 | 1
                bob       | 2020-01-10 12:00 | 2
                bob       | 2020-02-09 12:00 | 3
                cas       | 2019-12-11 11:59 | 1
                cas       | 2020-01-10 11:59 | 2
                cas       | 2020-02-09 11:59 | 3
                dee       | 2020-03-10 11:59 | 4
                dee       | 2020-03-10 12:00 | 5
                dee       | 2020-03-10 12:01 | 1
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id    | alliance_lag1 | alliance_lag2 | alliance_lag3 | rule_ratings
            latest   | 4             | 2             | 1             | 4
            far_edge | 3             | 2             | 1             | 3
            beyond   | -             | 3             | 2             | 2
            at_zero  | 4             | -             | -             | 1
            none     | -             | -             | -             | 0
        """,
    )


def test_whose_ratings_count() -> None:
    """Only the patient's own form about the assessing clinician: no therapist's, no colleague's, no other scale."""
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
                own       | ann
                therapist | bob
                colleague | cas
                symptoms  | dee
                not_asked | eve
                not_meant | fay
            """,
            "measures": """
                person_id | clinician_id | admin_ts         | instrument | version   | rater     | items
                ann       | dr_a         | 2020-03-01 12:00 | wai_sr     | client    | patient   | 3
                bob       | dr_a         | 2020-03-01 12:00 | wai_sr     | therapist | clinician | 3
                cas       | dr_b         | 2020-03-01 12:00 | wai_sr     | client    | patient   | 3
                dee       | dr_a         | 2020-03-01 12:00 | phq9       | std       | patient   | 3
                eve       | dr_a         | 2020-03-01 12:00 | wai_sr     | client    | clinician | 3
                fay       | dr_a         | 2020-03-01 12:00 | wai_sr     | therapist | patient   | 3
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id     | alliance_lag1 | phq9
            own       | 3             | -
            therapist | -             | -
            colleague | -             | -
            symptoms  | -             | 27
            not_asked | -             | -
            not_meant | -             | -
        """,
    )


def test_depression() -> None:
    """The latest PHQ-9 in the 180 days before, whoever ordered it; of two at one instant, the higher."""
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
                latest    | ann
                tie       | bob
                at_edge   | cas
                too_old   | dee
                at_zero   | eve
            """,
            "measures": """
                person_id | clinician_id | admin_ts         | instrument | version | items
                ann       | dr_a         | 2020-02-01 12:00 | phq9       | std     | 3
                ann       | dr_b         | 2020-03-01 12:00 | phq9       | std     | 1
                bob       | dr_a         | 2020-03-01 12:00 | phq9       | std     | 1
                bob       | dr_b         | 2020-03-01 12:00 | phq9       | std     | 2
                cas       | dr_a         | 2019-09-12 12:00 | phq9       | std     | 2
                dee       | dr_a         | 2019-09-12 11:59 | phq9       | std     | 2
                eve       | dr_a         | 2020-03-10 12:00 | phq9       | std     | 2
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id   | phq9
            latest  | 9
            tie     | 18
            at_edge | 18
            too_old | -
            at_zero | -
        """,
    )


def test_depression_tie_between_prorated_totals() -> None:
    """A form with one unanswered item counts in proportion; a tie is decided by that total, to the fraction."""
    tables = world(
        {
            "clinicians": """
                clinician_id
                dr_a
                dr_b
            """,
            "threat_assessments": ONE_ASSESSMENT,
            "measures": """
                clinician_id | admin_ts         | instrument | version | items | itm_01 | itm_02
                dr_a         | 2020-03-01 12:00 | phq9       | std     | 1     | -      | 2
                dr_b         | 2020-03-01 12:00 | phq9       | std     | 1     | 2      | 1
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id | phq9
            t1    | 10.125
        """,
    )


def test_visits() -> None:
    """Completed contacts in 90 days; no-shows and the patient's own cancellations in 180; the clinic's never."""
    tables = world(
        {
            "clinicians": """
                clinician_id
                dr_a
                dr_b
            """,
            "threat_assessments": ONE_ASSESSMENT,
            "encounters": """
                clinician_id | start_ts         | status
                dr_a         | 2019-09-12 11:59 | no_show
                dr_a         | 2019-09-12 12:00 | no_show
                dr_a         | 2019-12-11 11:59 | completed
                dr_a         | 2019-12-11 12:00 | completed
                dr_a         | 2020-01-11 12:00 | cancel_pt
                dr_a         | 2020-01-12 12:00 | cancel_clinic
                dr_b         | 2020-02-11 12:00 | completed
                dr_b         | 2020-02-12 12:00 | no_show
                dr_a         | 2020-03-10 11:00 | completed
                dr_a         | 2020-03-10 12:00 | completed
                dr_a         | 2020-03-17 12:00 | no_show
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id | visits_90d | missed_180d | rule_contacts
            t1    | 2          | 2           | 3
        """,
    )


def test_diagnoses() -> None:
    """Any diagnosis of the group recorded before the day, written with or without the dot, in either case."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "threat_assessments": """
                ta_id     | person_id
                both      | ann
                undotted  | bob
                lower     | cas
                today     | dee
                neighbour | eve
            """,
            "diagnoses": """
                person_id | icd10  | onset
                ann       | F10.20 | 2015-01-01
                ann       | F25.0  | 2020-03-09
                bob       | F1220  | 2015-01-01
                cas       | f20.9  | 2015-01-01
                dee       | F10.20 | 2020-03-10
                eve       | F09    | 2015-01-01
                eve       | F30.1  | 2015-01-01
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id     | sud | psychosis
            both      | 1   | 1
            undotted  | 1   | 0
            lower     | 0   | 1
            today     | 0   | 0
            neighbour | 0   | 0
        """,
    )


def test_admission_in_the_past_year() -> None:
    """An admission counts from 365 days before the day of the assessment to the day before it."""
    tables = world(
        {
            "patients": SIX_PEOPLE,
            "threat_assessments": """
                ta_id     | person_id
                at_edge   | ann
                too_old   | bob
                yesterday | cas
                today     | dee
                never     | eve
            """,
            "hospitalizations": """
                person_id | admit      | discharge
                ann       | 2019-03-11 | 2019-03-20
                bob       | 2019-03-10 | 2019-03-20
                cas       | 2020-03-09 | 2020-03-09
                dee       | 2020-03-10 | -
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id     | hospitalised_365d
            at_edge   | 1
            too_old   | 0
            yesterday | 1
            today     | 0
            never     | 0
        """,
    )


def test_earlier_assessments_tenure_age_and_calendar() -> None:
    """Earlier assessments by whichever clinician; 30-day months since the relationship began; years since 2018."""
    tables = world(
        {
            "patients": """
                person_id | birth_year | sex
                ann       | 1980       | M
            """,
            "clinicians": """
                clinician_id
                dr_a
                dr_b
            """,
            "episodes": """
                clinician_id | start
                dr_a         | 2019-12-11 12:00
                dr_b         | 2018-01-01 00:00
            """,
            "threat_assessments": """
                ta_id  | clinician_id | ts
                first  | dr_b         | 2018-01-31 00:00
                second | dr_a         | 2020-03-10 12:00
                third  | dr_a         | 2020-06-08 12:00
            """,
        }
    )
    expect(
        known(tables).mutate(calendar_years=lambda t: t.calendar_years.round(3)),
        """
            ta_id  | prior_assessments | tenure_months | age | male | calendar_years
            first  | 0                 | 1             | 37  | 1    | 0.082
            second | 1                 | 3             | 39  | 1    | 2.189
            third  | 2                 | 6             | 39  | 1    | 2.435
        """,
    )


def test_calendar_time_is_nothing_at_the_first_moment_of_2018() -> None:
    """To the second, by the clock of the clinic."""
    tables = world({"threat_assessments": "ta_id | ts\n    only | 2018-01-01 00:00"})
    assert known(tables).calendar_years.to_pyarrow().to_pylist() == [0.0]


def test_regime_flags() -> None:
    """Two flags say which regime was in force; neither is up where the state has no duty or the regime is unknown."""
    tables = world(
        {
            "jurisdiction_regime": """
                state | valid_from | valid_to   | regime
                CA    | 2018-01-01 | 2018-12-31 | mandatory
                CA    | 2019-01-01 | 2019-12-31 | permissive
                CA    | 2020-01-01 | 2020-12-31 | none
            """,
            "threat_assessments": """
                ta_id   | ts
                in_2018 | 2018-03-10 12:00
                in_2019 | 2019-03-10 12:00
                in_2020 | 2020-03-10 12:00
                in_2021 | 2021-03-10 12:00
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id   | regime_mandatory | regime_permissive
            in_2018 | 1                | 0
            in_2019 | 0                | 1
            in_2020 | 0                | 0
            in_2021 | 0                | 0
        """,
    )
