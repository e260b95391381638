"""Why an extract was refused, in one line: what was judged, and which rows of which columns were set aside the most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from validation.disclosure import disclose_count
from validation.verdict import Verdict

FIRST = 3
"""Reasons told of one table; the others are on the data-quality page."""
SET_ASIDE_CODE = "extract.set_aside."


def unfit(problems: Iterable[Verdict], set_aside: Mapping[str, int], rows: Mapping[str, int], threshold: int) -> str:
    """Every failed check of an extract in a clause, those about rows set aside with their first reasons.

    Parameters
    ----------
    set_aside
        Counts by reason code ``<table>.<column>:<rule>``.
    rows
        Rows delivered, by table.
    threshold
        Smallest count that may be told.
    """
    return "; ".join(_clause(problem, set_aside, rows, threshold) for problem in problems)


def _clause(problem: Verdict, set_aside: Mapping[str, int], rows: Mapping[str, int], threshold: int) -> str:
    if not problem.code.startswith(SET_ASIDE_CODE) or problem.limit is None:
        return problem.sentence
    table = problem.code.removeprefix(SET_ASIDE_CODE)
    own = sorted(
        ((code, n) for code, n in set_aside.items() if code.startswith(f"{table}.") and n), key=lambda each: -each[1]
    )
    told = [_reason(code, n, threshold) for code, n in own[:FIRST]]
    more = [f"{len(own) - FIRST} other reasons"] if len(own) > FIRST else []
    delivered = disclose_count(rows.get(table, 0), threshold)
    of = f" of {delivered} rows" if delivered else ""
    return f"{problem.sentence} is above {problem.limit:.2%}{of}: {', '.join([*told, *more])}"


def _reason(code: str, n: int, threshold: int) -> str:
    """One reason and its count, no small one.

    >>> _reason("visits.end:out_of_order", 120, 11), _reason("visits.end:missing", 4, 11)
    ('visits.end out of order in 120', 'visits.end missing in fewer than 11')
    """
    column, _, rule = code.partition(":")
    count = disclose_count(n, threshold)
    return f"{column} {rule.replace('_', ' ')} in {f'fewer than {threshold}' if count is None else count}"
