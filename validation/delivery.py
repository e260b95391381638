"""What is asked of a delivery before its rows are looked at."""

from __future__ import annotations

import datetime

from validation.verdict import Verdict, at_most

NEEDED_TABLES = frozenset(
    {"patients", "clinics", "clinicians", "encounters", "threat_assessments", "measures", "episodes"}
)
"""Tables without which there is nothing to study: 0 rows is a failure, although every expectation holds on them."""


def judge_as_of(as_of: datetime.date, today: datetime.date) -> Verdict:
    """An extract cannot have been taken on a day that has not been; one day is left for clinics east of the machine."""
    late = max(0, (as_of - today).days)
    return at_most(
        "extract.as_of_future", late, 1, "days from today to the date on which the extract says it was taken"
    )
