"""Which legal regime was in force where and when the assessment took place."""

from __future__ import annotations

from ascii_tables import expect, world

from causal.cohort.occasions import assessments


def test_regime_on_the_date_of_a_change() -> None:
    """The last day of a span still has its regime, and the next day has the next (Florida, 1 July 2019)."""
    tables = world(
        {
            "clinics": """
                clinic_id | state
                north     | FL
            """,
            "jurisdiction_regime": """
                state | valid_from | valid_to   | regime
                FL    | 2010-01-01 | 2019-06-30 | permissive
                FL    | 2019-07-01 | -          | mandatory
            """,
            "threat_assessments": """
                ta_id | ts
                first | 2010-01-01 00:00
                june  | 2019-06-30 23:59
                july  | 2019-07-01 00:00
                later | 2023-01-01 09:00
            """,
        }
    )
    expect(
        assessments(tables),
        """
            ta_id | n_regimes | regime
            first | 1         | permissive
            june  | 1         | permissive
            july  | 1         | mandatory
            later | 1         | mandatory
        """,
    )


def test_gap_and_overlap() -> None:
    """Without exactly one regime in force there is none: not in a gap, not in an overlap, not in another state."""
    tables = world(
        {
            "jurisdiction_regime": """
                state | valid_from | valid_to   | regime
                CA    | 2018-01-01 | 2018-12-31 | none
                CA    | 2019-02-01 | 2020-06-30 | permissive
                CA    | 2020-06-01 | -          | mandatory
                NY    | 2010-01-01 | -          | permissive
            """,
            "threat_assessments": """
                ta_id   | ts
                before  | 2017-12-31 12:00
                gap     | 2019-01-15 12:00
                one     | 2019-02-01 12:00
                overlap | 2020-06-15 12:00
                after   | 2020-07-01 12:00
            """,
        }
    )
    expect(
        assessments(tables),
        """
            ta_id   | n_regimes | regime
            before  | -         | -
            gap     | -         | -
            one     | 1         | permissive
            overlap | 2         | -
            after   | 1         | mandatory
        """,
    )


def test_profession_first() -> None:
    """A row for the clinician's own profession goes before one for any; other professions' rows never count."""
    tables = world(
        {
            "clinicians": """
                clinician_id | profession
                dr_a         | psychologist
                dr_b         | psychiatrist
                dr_c         | counsellor
            """,
            "jurisdiction_regime": """
                state | profession   | valid_from | valid_to   | regime
                CA    | any          | 2010-01-01 | -          | permissive
                CA    | psychologist | 2015-01-01 | 2021-12-31 | mandatory
                CA    | psychiatrist | 2022-01-01 | -          | none
            """,
            "threat_assessments": """
                ta_id          | clinician_id | ts
                own_row        | dr_a         | 2020-03-10 12:00
                own_row_over   | dr_a         | 2022-03-10 12:00
                own_row_to_be  | dr_b         | 2020-03-10 12:00
                own_row_by_now | dr_b         | 2022-03-10 12:00
                no_own_row     | dr_c         | 2020-03-10 12:00
            """,
        }
    )
    expect(
        assessments(tables),
        """
            ta_id          | n_regimes | regime
            own_row        | 1         | mandatory
            own_row_over   | 1         | permissive
            own_row_to_be  | 1         | permissive
            own_row_by_now | 1         | none
            no_own_row     | 1         | permissive
        """,
    )
