"""Who may stand in a set with whom: exact and anti-exact keys, calipers, risk sets, preferences.

One value, `Pairing`, carries these rules to every method, so that a rule means the same in all of them. `admissible`
and `reluctance` are the two questions a compiled loop asks about a treated row i and a comparison row j.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairing:
    """Rules on pairs of n rows; None where there is no such rule. Codes are integers that mean only equal or not.

    Attributes
    ----------
    exact
        (n,) codes that must be equal.
    differ
        (n, a) codes each column of which must differ (anti-exact).
    calipers, widths
        (n, c) values and (c,) widths in the values' own units: ``abs(difference) <= width`` where the width is
        positive, ``abs(difference) >= -width`` where it is negative (forbidden closeness).
    time, window
        (n,) time zero in days, and the largest difference allowed, inclusive (the calendar window).
    at_risk
        (n, 2) a comparison is at risk and untreated from the first time (inclusive) to the second (exclusive): the
        treated row's time zero must lie between. Needs `time`.
    person
        (n,) codes of persons: nobody appears twice in one set.
    once
        (n,) codes of comparisons that count as one, such as a person's periods: taken in one row, taken in all. A rule
        on sets, not on pairs: kept by greedy, optimal and cardinality matching, refused by the others.
    prefer, penalty
        (n, p) codes and (p,) penalties of 0 or more added to the distance where they differ (preferred-exact).
    """

    exact: IntArray | None = None
    differ: IntArray | None = None
    calipers: FloatArray | None = None
    widths: FloatArray | None = None
    time: FloatArray | None = None
    window: float | None = None
    at_risk: FloatArray | None = None
    person: IntArray | None = None
    once: IntArray | None = None
    prefer: IntArray | None = None
    penalty: FloatArray | None = None

    def __post_init__(self) -> None:
        """Refuse rules that cannot be followed."""
        if (self.calipers is None) != (self.widths is None) or (self.prefer is None) != (self.penalty is None):
            raise ValueError("calipers come with widths, prefer with penalty")
        if self.time is None and (self.window is not None or self.at_risk is not None):
            raise ValueError("a window and risk intervals need times")
        if self.widths is not None and (not np.isfinite(self.widths).all() or (self.widths == 0).any()):
            raise DesignError("design.caliper", "a caliper must not be 0 or missing", fix="give a width above 0")
        if self.window is not None and not self.window >= 0:
            raise DesignError("design.window", f"the calendar window must be 0 days or more, got {self.window:g}")
        if self.penalty is not None and not (self.penalty >= 0).all():
            raise DesignError("design.penalty", "the penalty of a preference must be 0 or more")
        for values in (self.calipers, self.time):
            if values is not None and not np.isfinite(values).all():
                raise DesignError("design.not_finite", "a caliper's variable or a time is missing or infinite")
        if self.at_risk is not None and np.isnan(self.at_risk).any():
            raise DesignError("design.not_finite", "an interval at risk has no beginning or no end")

    def rows(self, index: IntArray) -> Pairing:
        """The same rules for the rows `index`."""
        by_row = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in by_row.items():
            if name not in {"widths", "window", "penalty"} and value is not None:
                by_row[name] = value[index]
        return Pairing(**by_row)

    def refuse_once(self, method: str) -> None:
        """Refuse, for a method that cannot keep it, the rule on comparisons that count as one."""
        if self.once is not None:
            raise DesignError(
                "design.rule_unsupported",
                f"{method} cannot see to it that nobody stands in two sets as a comparison",
                fix="match by greedy, optimal or cardinality matching, or keep one row of each person",
            )

    @property
    def only_exact(self) -> bool:
        """Whether nothing but the exact keys restricts or ranks pairs."""
        return all(getattr(self, f.name) is None for f in fields(self) if f.name != "exact")

    def arrays(self, n: int) -> PairArrays:
        """The rules as dense arrays for compiled loops; absent rules have no columns, or never bind."""
        none = np.zeros((n, 0))
        wide = self.window if self.window is not None else np.inf
        risk = self.at_risk
        return PairArrays(
            exact=np.zeros(n, dtype=np.int64) if self.exact is None else np.ascontiguousarray(self.exact, np.int64),
            differ=none.astype(np.int64) if self.differ is None else np.ascontiguousarray(self.differ, np.int64),
            calipers=none if self.calipers is None else np.ascontiguousarray(self.calipers, np.float64),
            widths=np.zeros(0) if self.widths is None else np.ascontiguousarray(self.widths, np.float64),
            time=np.zeros(n) if self.time is None else np.ascontiguousarray(self.time, np.float64),
            window=float(wide),
            entry=np.full(n, -np.inf) if risk is None else np.ascontiguousarray(risk[:, 0], np.float64),
            exit=np.full(n, np.inf) if risk is None else np.ascontiguousarray(risk[:, 1], np.float64),
            person=np.arange(n) if self.person is None else np.ascontiguousarray(self.person, np.int64),
            prefer=none.astype(np.int64) if self.prefer is None else np.ascontiguousarray(self.prefer, np.int64),
            penalty=np.zeros(0) if self.penalty is None else np.ascontiguousarray(self.penalty, np.float64),
        )


class PairArrays(NamedTuple):
    """`Pairing` for compiled loops: every array has n rows, `widths` and `penalty` one value per column."""

    exact: IntArray
    differ: IntArray
    calipers: FloatArray
    widths: FloatArray
    time: FloatArray
    window: float
    entry: FloatArray
    exit: FloatArray
    person: IntArray
    prefer: IntArray
    penalty: FloatArray


def admissible(rules: PairArrays, i: int, j: int) -> bool:
    """Whether comparison row j may stand in a set with treated row i.

    >>> rules = Pairing(exact=np.array([1, 1, 2]), person=np.array([0, 1, 2])).arrays(3)
    >>> admissible(rules, 0, 1), admissible(rules, 0, 2)
    (True, False)
    """
    if rules.exact[i] != rules.exact[j] or rules.person[i] == rules.person[j]:
        return False
    if abs(rules.time[i] - rules.time[j]) > rules.window:
        return False
    if not rules.entry[j] <= rules.time[i] < rules.exit[j]:
        return False
    for a in range(rules.differ.shape[1]):
        if rules.differ[i, a] == rules.differ[j, a]:
            return False
    for c in range(rules.widths.size):
        apart = abs(rules.calipers[i, c] - rules.calipers[j, c])
        width = rules.widths[c]
        if (width > 0 and apart > width) or (width < 0 and apart < -width):
            return False
    return True


def reluctance(rules: PairArrays, i: int, j: int) -> float:
    """What is added to the distance of rows i and j because they differ in preferred keys."""
    total = 0.0
    for p in range(rules.penalty.size):
        if rules.prefer[i, p] != rules.prefer[j, p]:
            total += rules.penalty[p]
    return total


def refuse_arms(treated: NDArray[np.bool_]) -> None:
    """Refuse rows (n,) of one arm only."""
    if not treated.any():
        fix = "check eligibility and the exposure"
        raise DesignError("design.no_treated", f"zero treated among {treated.size} that could be compared", fix=fix)
    if treated.all():
        fix = "check eligibility and who may be compared"
        raise DesignError(
            "design.no_comparison", f"zero comparisons: all {treated.size} that could be compared are treated", fix=fix
        )


def nothing_matched() -> DesignError:
    """The refusal when no treated row has an admissible comparison."""
    return DesignError(
        "design.nothing_matched",
        "no treated occasion has an eligible comparison within the caliper, strata and window",
        fix="widen the caliper or the window, or match exactly on fewer variables",
    )
