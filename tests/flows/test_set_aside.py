"""A refused extract says which rows were set aside, and for what, without small counts."""

from __future__ import annotations

from flows.set_aside import unfit
from validation.verdict import Status, Verdict, at_least, at_most


def test_the_first_reasons_of_a_table_are_named() -> None:
    """Table, column, rule, count and limit, the largest first; a count below the threshold is not told."""
    problem = at_most("extract.set_aside.visits", 0.2, 0.02, "share of the rows of table 'visits' set aside")
    counts = {
        "visits.end:out_of_order": 120,
        "visits.kind:not_allowed": 4,
        "visits.start:missing": 60,
        "visits.person_id:orphan": 3,
        "measures.day:missing": 999,
    }
    assert unfit([problem], counts, {"visits": 1000, "measures": 2000}, 11) == (
        "share of the rows of table 'visits' set aside is above 2.00% of 1000 rows: visits.end out of order in 120, "
        "visits.start missing in 60, visits.kind not allowed in fewer than 11, 1 other reason"
    )


def test_other_checks_keep_their_sentence() -> None:
    """What is not about rows set aside is told as it was judged."""
    problem = Verdict(code="extract.as_of", status=Status.FAIL, sentence="taken after today")
    assert unfit([problem], {}, {}, 11) == "taken after today"


def test_a_limit_is_told_with_its_side() -> None:
    """A share above its limit and a count below it read alike; which side is good is said."""
    above = at_most("extract.before_birth", 0.2, 0.01, "share of people seen before the year of their birth")
    below = at_least("extract.rows.diagnoses", 0, 1, "rows delivered in table 'diagnoses', needed by sud")
    none = at_most("extract.time_zones", 2, 0, "clinics whose tz is no IANA time zone")
    assert unfit([none], {}, {}, 11) == "clinics whose tz is no IANA time zone: there must be none"
    assert unfit([above, below], {}, {}, 11) == (
        "share of people seen before the year of their birth: must be at most 0.01; "
        "rows delivered in table 'diagnoses', needed by sud: must be at least 1"
    )


def test_what_was_expected_is_told_and_what_orphans_name() -> None:
    """How a value is written, which codes and what range there are; and why the rows that orphans name are gone."""
    problems = [
        at_most(f"extract.set_aside.{table}", 0.2, 0.02, table)
        for table in ("patients", "threat_assessments", "measures")
    ]
    counts = {
        "patients.birth_year:unreadable": 16,
        "patients.sex:not_allowed": 12,
        "threat_assessments.ts:unreadable": 40,
        "threat_assessments.severity:out_of_range": 30,
        "threat_assessments.person_id:orphan": 6,
        "measures.clinician_id:orphan": 50,
    }
    told = unfit(problems, counts, {"patients": 300, "threat_assessments": 300, "measures": 0}, 11)
    assert told.split("; ") == [
        (
            "patients is above 2.00% of 300 rows: patients.birth_year unreadable in 16, expected a whole number, "
            "patients.sex not allowed in 12, expected F, M, X or U"
        ),
        (
            "threat_assessments is above 2.00% of 300 rows: threat_assessments.ts unreadable in 40, expected "
            "YYYY-MM-DD HH:MM:SS, threat_assessments.severity out of range in 30, expected 0 to 10, "
            "threat_assessments.person_id orphan in fewer than 11 (rows they name were set aside themselves: "
            "patients.birth_year unreadable in 16, expected a whole number)"
        ),
        "measures is above 2.00%: measures.clinician_id orphan in 50",
    ]
