"""Where no comparison is possible, said so that a reader can check it: strata with one arm, and rules for who is out.

Every count here is 0 or at least the smallest that may be shown, and none follows from the others by subtraction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

DEEPEST = 3
QUANTILES = np.arange(1, 10) / 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """Counts of one stratum, or of several taken together (`n_strata`). With one arm it supports no comparison."""

    label: str
    n_strata: int
    n_treated: int
    n_comparison: int

    @property
    def one_armed(self) -> bool:
        """Whether treatment was given to all or to none here."""
        return (self.n_treated > 0) != (self.n_comparison > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportRule:
    """One group of occasions, in words, and how many of it lie outside the common support.

    ``conditions`` all hold at once; none of them means everybody.
    """

    conditions: tuple[str, ...]
    n: int
    n_outside: int

    @property
    def sentence(self) -> str:
        """``severity above 8 and mandatory regime: 41 outside of 57``."""
        return f"{' and '.join(self.conditions) or 'everybody'}: {self.n_outside} outside of {self.n}"


def positivity_table(
    strata: IntArray, labels: Sequence[str], treated: BoolArray, *, minimum: int = 11
) -> tuple[Stratum, ...]:
    """Both arms' counts in every stratum large enough to be shown, the others taken together.

    Parameters
    ----------
    strata, labels
        (n,) codes from 0, and a label for each.
    treated
        (n,) arm.
    minimum
        Counts are 0 or at least this.

    Returns
    -------
    Strata in the order of their codes, then one row for those with a small count. The smallest of the rest join these
    until their counts may be shown too, since whoever knows the totals can subtract. Empty where even everybody
    together shows a small count.

    Notes
    -----
    Positivity: Westreich & Cole (2010), Am J Epidemiol 171:674-677; Petersen et al. (2012), Stat Methods Med Res
    21:31-54. A stratum in which one decision is always taken is structural where a rule demands it, and chance
    otherwise: the table cannot tell, a reader can.

    >>> rows = positivity_table(np.repeat([0, 1, 2], [30, 20, 4]), ["A", "B", "C"], np.arange(54) < 15)
    >>> [(row.label, row.n_treated, row.n_comparison, row.one_armed) for row in rows]
    [('A', 15, 15, False), ('2 strata together', 0, 24, True)]
    """
    arm = np.asarray(treated, dtype=np.bool_)
    counts = np.array([np.bincount(strata[side], minlength=len(labels)) for side in (arm, ~arm)])
    present = [g for g in range(len(labels)) if counts[:, g].any()]
    small = [not _may_be_shown(counts[:, g], minimum) for g in present]
    order = [present[k] for k in sorted(range(len(present)), key=lambda k: (not small[k], counts[:, present[k]].sum()))]
    joined = sum(small)
    while joined and not _may_be_shown(counts[:, order[:joined]].sum(axis=1), minimum):
        if joined == len(order):
            return ()
        joined += 1
    groups = [[g] for g in sorted(order[joined:])] + ([order[:joined]] if joined else [])
    return tuple(
        Stratum(
            label=labels[together[0]] if len(together) == 1 else f"{len(together)} strata together",
            n_strata=len(together),
            n_treated=int(counts[0, together].sum()),
            n_comparison=int(counts[1, together].sum()),
        )
        for together in groups
    )


def support_rules(
    covariates: FloatArray,
    names: Sequence[str],
    outside: BoolArray,
    *,
    labels: Sequence[tuple[str, str]] | None = None,
    depth: int = 2,
    minimum: int = 11,
) -> tuple[SupportRule, ...]:
    """Who is outside the common support, as a few rules a reader can check.

    Parameters
    ----------
    covariates, names
        (n, p) and p: occasions of the arm in question, covariates under names fit to be read.
    outside
        (n,) true outside the common support.
    labels
        For covariates of 0 and 1, what they are called at 0 and at 1; by default ``not <name>`` and ``<name>``.
    depth
        Conditions in a rule, at most 3.
    minimum
        In every group those outside and those inside are none or at least this many.

    Returns
    -------
    Groups that together hold everybody, those with the largest share outside first. Empty where even everybody together
    would show a small count.

    Raises
    ------
    DesignError
        ``design.depth``, ``design.not_finite``.

    Notes
    -----
    A classification tree (Breiman et al. 1984) grown on Gini impurity, as Traskin & Small (2011), Stat Biosci 3:94-118
    describe a study's population. Thresholds are tenths of the distribution, rounded before counting: sentences are
    true as they stand and no threshold is one person's exact value. Of equally good splits the earlier covariate's
    lowest is taken.

    >>> severity = np.repeat(np.arange(11.0), 10)
    >>> for rule in support_rules(severity[:, None], ["severity"], severity > 8):
    ...     print(rule.sentence)
    severity above 8: 20 outside of 20
    severity at most 8: 0 outside of 90
    """
    if not 1 <= depth <= DEEPEST:
        raise DesignError("design.depth", f"a rule has 1 to {DEEPEST} conditions, got {depth}")
    if not np.isfinite(covariates).all():
        raise DesignError("design.not_finite", "a covariate of the support rules has missing or infinite values")
    x, out = np.asarray(covariates, dtype=np.float64), np.asarray(outside, dtype=np.bool_)
    if not _may_be_shown(np.bincount(out, minlength=2), minimum):
        return ()
    features = [
        Feature(below=words[0], above=words[1], thresholds=np.array([0.5]))
        if ((column == 0) | (column == 1)).all()
        else Feature(below=f"{name} at most ", above=f"{name} above ", thresholds=_thresholds(column))
        for column, name, words in zip(x.T, names, labels or [(f"not {name}", name) for name in names], strict=True)
    ]
    rules = _grow(x, features, out, {}, depth, minimum)
    return tuple(sorted(rules, key=lambda rule: -rule.n_outside / rule.n))


class Feature(NamedTuple):
    """How one covariate may be split, and the words for either side; a threshold of one half is not said."""

    below: str
    above: str
    thresholds: FloatArray


def _thresholds(x: FloatArray) -> FloatArray:
    """Tenths of the distribution, rounded to a tenth of the SD's order of magnitude."""
    spread = float(x.std())
    decimals = 1 - int(np.floor(np.log10(spread))) if spread > 0 else 0
    return np.unique(np.round(np.quantile(x, QUANTILES, method="inverted_cdf"), decimals)) + 0.0  # no minus zero


def _grow(
    x: FloatArray,
    features: Sequence[Feature],
    outside: BoolArray,
    conditions: Mapping[tuple[int, bool], str],
    depth: int,
    minimum: int,
) -> list[SupportRule]:
    """Rules of one branch of the tree; a narrower condition on a covariate takes the place of a wider one."""
    split = _best_split(x, features, outside, minimum) if depth else None
    if split is None:
        said = tuple(conditions.values())
        return [SupportRule(conditions=said, n=outside.size, n_outside=int(outside.sum()))]
    j, threshold = split
    value = f"{threshold:.10g}" if features[j].below.endswith(" ") else ""
    above = x[:, j] > threshold
    branches = ((True, above, features[j].above), (False, ~above, features[j].below))
    return [
        rule
        for is_above, side, words in branches
        for rule in _grow(
            x[side], features, outside[side], {**conditions, (j, is_above): words + value}, depth - 1, minimum
        )
    ]


def _best_split(
    x: FloatArray, features: Sequence[Feature], outside: BoolArray, minimum: int
) -> tuple[int, float] | None:
    """Covariate and threshold that lower the Gini impurity most, both sides fit to be shown; None where none does."""
    best, least = None, _impurity(np.bincount(outside, minlength=2)) * (1 - 1e-9)
    for j, feature in enumerate(features):
        k = feature.thresholds.size
        place = 2 * np.searchsorted(feature.thresholds, x[:, j]) + outside
        below = np.cumsum(np.bincount(place, minlength=2 * k + 2).reshape(k + 1, 2), axis=0)
        for threshold, low in zip(feature.thresholds.tolist(), below, strict=False):
            sides = (low, below[-1] - low)
            impurity = sum(_impurity(side) for side in sides)
            if impurity < least and all(side.sum() >= minimum and _may_be_shown(side, minimum) for side in sides):
                best, least = (j, threshold), impurity
    return best


def _impurity(tally: IntArray) -> float:
    """Gini impurity times the number of occasions, from those inside and those outside."""
    total = int(tally.sum())
    return 2.0 * float(tally[0]) * float(tally[1]) / total if total else 0.0


def _may_be_shown(counts: IntArray, minimum: int) -> bool:
    return bool(((counts == 0) | (counts >= minimum)).all())
