"""Why an extract was refused, in one line: what was judged, and which rows of which columns were set aside the most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from causal.tables import TABLES, Kind, Rule
from validation.disclosure import disclose_count
from validation.verdict import Verdict

FIRST = 3
"""Reasons told of one table; the others are on the data-quality page."""
MOST_VALUES = 8
"""Allowed codes of a column that are told; longer lists are in the reference of tables."""
_WRITTEN = {
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number with a decimal point",
    Kind.BOOLEAN: "true or false",
    Kind.DATE: "YYYY-MM-DD",
    Kind.TIMESTAMP: "YYYY-MM-DD HH:MM:SS",
}
"""How a value of each kind is written."""
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
    if problem.limit is None:
        return problem.sentence
    if not problem.code.startswith(SET_ASIDE_CODE):
        must = "there must be none" if problem.limit == 0 else f"must be {problem.side} {problem.limit:g}"
        return f"{problem.sentence}: {must}"
    table = problem.code.removeprefix(SET_ASIDE_CODE)
    own = _most(table, set_aside)
    told = [_reason(code, n, threshold) for code, n in own[:FIRST]]
    if (others := len(own) - FIRST) > 0:
        told.append(f"{others} other reason{'s' if others > 1 else ''}")
    delivered = disclose_count(rows.get(table, 0), threshold)
    of = f" of {delivered} rows" if delivered else ""
    causes = [_reason(*_most(parent, set_aside)[0], threshold) for parent in _named(table, own, set_aside)]
    behind = f" (rows they name were set aside themselves: {', '.join(causes)})" if causes else ""
    return f"{problem.sentence} is above {problem.limit:.2%}{of}: {', '.join(told)}{behind}"


def _most(table: str, set_aside: Mapping[str, int]) -> list[tuple[str, int]]:
    """Reasons of one table with their counts, the most frequent first."""
    own = ((code, n) for code, n in set_aside.items() if code.startswith(f"{table}.") and n)
    return sorted(own, key=lambda each: -each[1])


def _named(table: str, own: Iterable[tuple[str, int]], set_aside: Mapping[str, int]) -> list[str]:
    """Tables whose rows are named by orphans of this one, and of which rows were set aside."""
    orphaned = {code.partition(":")[0].rpartition(".")[2] for code, _ in own if code.endswith(f":{Rule.ORPHAN}")}
    keys = TABLES[table].foreign_keys if table in TABLES else ()
    return [key.table for key in keys if key.column in orphaned and _most(key.table, set_aside)]


def _reason(code: str, n: int, threshold: int) -> str:
    """One reason and its count, no small one, and what was expected where the column says it.

    >>> _reason("encounters.end_ts:out_of_order", 120, 11), _reason("patients.birth_year:missing", 4, 11)
    ('encounters.end_ts out of order in 120', 'patients.birth_year missing in fewer than 11')
    >>> _reason("patients.sex:not_allowed", 12, 11)
    'patients.sex not allowed in 12, expected F, M, X or U'
    """
    column, _, rule = code.partition(":")
    count = disclose_count(n, threshold)
    told = f"{column} {rule.replace('_', ' ')} in {f'fewer than {threshold}' if count is None else count}"
    expected = _expected(column, rule)
    return f"{told}, expected {expected}" if expected else told


def _expected(column: str, rule: str) -> str:
    table, _, name = column.partition(".")
    declared = next((c for c in TABLES[table].columns if c.name == name), None) if table in TABLES else None
    if declared is None:
        return ""
    if rule == Rule.UNREADABLE:
        return _WRITTEN.get(declared.kind, "")
    if rule == Rule.NOT_ALLOWED and 1 < len(declared.values) <= MOST_VALUES:
        return f"{', '.join(declared.values[:-1])} or {declared.values[-1]}"
    if rule == Rule.OUT_OF_RANGE and declared.low is not None and declared.high is not None:
        return f"{declared.low:g} to {declared.high:g}"
    return ""
