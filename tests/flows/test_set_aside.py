"""A refused extract says which rows were set aside, and for what, without small counts."""

from __future__ import annotations

from flows.set_aside import unfit
from validation.verdict import Status, Verdict, at_most


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
        "visits.start missing in 60, visits.kind not allowed in fewer than 11, 1 other reasons"
    )


def test_other_checks_keep_their_sentence() -> None:
    """What is not about rows set aside is told as it was judged."""
    problem = Verdict(code="extract.as_of", status=Status.FAIL, sentence="taken after today")
    assert unfit([problem], {}, {}, 11) == "taken after today"
