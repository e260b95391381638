"""Coarsened exact matching: occasions that agree on every covariate after coarsening stand in one stratum."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.distance import mahalanobis_coordinates
from causal.design.matching.pairing import Pairing, nothing_matched, refuse_arms
from causal.design.matching.sets import MatchedSets, SetEstimand, sets_from_labels
from causal.design.matching.steps import DISTANCE_DIGITS
from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError
from causal.numeric.grid import decimal_exponent, exponent_for, figures, settled, whole

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Column = FloatArray | IntArray | BoolArray | NDArray[np.str_] | NDArray[np.object_]
Cutpoints = Literal["sturges", "scott", "fd", "exact"] | int | Sequence[float]
Grouping = Sequence[Sequence[object]]


def match_coarsened(
    columns: Mapping[str, Column],
    treated: BoolArray,
    *,
    cutpoints: Cutpoints | Mapping[str, Cutpoints] = "sturges",
    groupings: Mapping[str, Grouping] | None = None,
    k2k: bool = False,
    estimand: SetEstimand = "ATT",
    pairing: Pairing | None = None,
    memory: float = MEMORY,
) -> MatchedSets:
    """Put occasions with equal coarsened covariates into one stratum; strata with one arm are left out.

    Parameters
    ----------
    columns
        (n,) values by name. Numbers are cut into bins; anything else (text, booleans) is a category.
    treated
        (n,) arm.
    cutpoints
        How numbers are cut, the same for all or by name (what is not named: Sturges): a rule for the number of bins;
        that number (1 ignores the column); the cuts themselves, an occasion on a cut lying above it; or "exact" for no
        coarsening. Bins are equally wide from the smallest to the largest value of all occasions.
    groupings
        By name, groups of values that count as one category; values in no group stay their own. Such columns are
        categories, whatever they hold.
    k2k
        Pair as many as possible inside each stratum, at the least total Mahalanobis distance of the numbers, and leave
        the rest out.
    estimand
        Whose weights (`set_weights`).
    pairing
        Only exact keys, which further divide the strata.
    memory
        Gigabytes allowed for the distances of one stratum (`k2k`).

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.no_covariates``,
        ``design.cutpoints``, ``design.unknown_column``, ``design.rule_unsupported``, ``design.nothing_matched``,
        ``design.memory``.

    Notes
    -----
    Iacus, King & Porro (2012), Political Analysis 20:1-24. Strata are those of MatchIt's method "cem"; its weights are
    these divided by their mean in the arm. MatchIt pairs greedily where `k2k` is asked. Sturges' number of bins is
    ``ceil(log2(n) + 1)``; Scott's and Freedman & Diaconis' bins are ``3.5 s n^(-1/3)`` and ``2 IQR n^(-1/3)`` wide, as
    in R. Distances are not measured (NaN) but for pairs.

    >>> columns = {"age": np.array([20.0, 24, 41, 60]), "sex": np.array(["f", "f", "m", "m"])}
    >>> sets = match_coarsened(columns, np.array([True, False, True, False]), cutpoints={"age": [30, 50]})
    >>> sets.row.tolist(), sets.n_unmatched_treated
    ([0, 1], 1)
    """
    case = np.asarray(treated, dtype=np.bool_)
    merged = {} if groupings is None else groupings
    cuts = cutpoints if isinstance(cutpoints, Mapping) else dict.fromkeys(columns, cutpoints)
    _refuse_arguments(columns, case, named=[*merged, *cuts], pairing=pairing)
    numbers = {
        name: np.asarray(values, dtype=np.float64)
        for name, values in columns.items()
        if name not in merged and _is_number(values)
    }
    stratum = np.zeros(case.size, np.int64)
    if pairing is not None and pairing.exact is not None:
        stratum = _codes(pairing.exact)
    for name, values in columns.items():
        if name in numbers:
            code = _binned(numbers[name], cuts.get(name, "sturges"), name)
        else:
            code = _grouped(values, merged.get(name, ()))
        stratum = _codes(stratum * (int(code.max()) + 1) + code)
    shared = (np.bincount(stratum, weights=case) > 0) & (np.bincount(stratum, weights=~case) > 0)
    if not shared.any():
        raise nothing_matched()
    label = np.where(shared[stratum], stratum, -1)
    if not k2k:
        return sets_from_labels(label, case, estimand=estimand)
    x = np.column_stack([np.zeros(case.size), *numbers.values()])
    points = mahalanobis_coordinates(x, case) if np.ptp(x, axis=0).any() else x
    pair, distance = _pairs(points, case, label, memory)
    return sets_from_labels(pair, case, estimand=estimand, distance=distance)


def _refuse_arguments(
    columns: Mapping[str, Column], case: BoolArray, *, named: Sequence[str], pairing: Pairing | None
) -> None:
    refuse_arms(case)
    if not columns:
        raise DesignError("design.no_covariates", "coarsened exact matching got no covariates", fix="name at least one")
    unknown = sorted(set(named) - set(columns))
    if unknown:
        raise DesignError("design.unknown_column", f"cutpoints or groupings for '{unknown[0]}': no such column")
    for name, values in columns.items():
        if _is_number(values) and not np.isfinite(np.asarray(values, dtype=np.float64)).all():
            raise DesignError("design.not_finite", f"column '{name}' is missing or infinite for some occasion")
        if np.asarray(values).dtype.kind == "O" and any(v is None or v != v for v in values):  # noqa: PLR0124 - NaN
            raise DesignError("design.not_finite", f"column '{name}' is missing for some occasion")
    if pairing is not None and not pairing.only_exact:
        raise DesignError(
            "design.rule_unsupported", "strata keep exact keys only, not rules on pairs", fix="match sets instead"
        )


def _is_number(values: Column) -> bool:
    return np.asarray(values).dtype.kind in "iuf"


def _codes(values: Column) -> IntArray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)


def _grouped(values: Column, groups: Grouping) -> IntArray:
    """Codes of categories (n,), every group one category."""
    levels, code = np.unique(values, return_inverse=True)
    category = np.arange(levels.size)
    for group in groups:
        members = np.array([level in group for level in levels.tolist()])
        category[members] = category[members].min(initial=levels.size)
    return category[code].astype(np.int64)


def _binned(values: FloatArray, cut: Cutpoints, name: str) -> IntArray:
    """Bin of each value (n,)."""
    if isinstance(cut, str):
        rules = {"sturges": _sturges, "scott": _scott, "fd": _freedman_diaconis}
        if cut == "exact":
            return _codes(values)
        if cut not in rules:
            raise DesignError("design.cutpoints", f"no rule is called '{cut}'", fix=f"use {', '.join(rules)} or exact")
        cut = rules[cut](values)
    if isinstance(cut, int):
        if cut < 1:
            raise DesignError("design.cutpoints", f"column '{name}' needs 1 bin or more, got {cut}")
        exponent = decimal_exponent(values)[0]
        steps = whole(values, exponent)
        edges = settled(np.linspace(steps.min(), steps.max(), cut + 1)[1:-1], -3)  # a cut on a value is equal to it
        return np.digitize(steps, edges).astype(np.int64)
    edges = np.unique(np.asarray(cut, dtype=np.float64))
    if edges.size == 0 or not np.isfinite(edges).all():
        raise DesignError("design.cutpoints", f"column '{name}' has no cuts, or one that is not a number")
    return np.digitize(values, edges).astype(np.int64)


def _sturges(values: FloatArray) -> int:
    return int(np.ceil(np.log2(values.size) + 1))


def _scott(values: FloatArray) -> int:
    return _bins(values, 3.5 * values.std(ddof=1) * values.size ** (-1 / 3))


def _freedman_diaconis(values: FloatArray) -> int:
    """Bins 2 IQR n^(-1/3) wide; where the IQR is 0 the range between quantiles further out, rescaled; then Scott's."""
    tail, spread = 0.25, 0.0
    while spread == 0 and tail >= 1 / 512:
        low, high = np.quantile(values, [tail, 1 - tail])
        spread = float(high - low) / (1 - 2 * tail)  # twice the IQR where the tail is a quarter
        tail /= 2
    return _bins(values, spread * values.size ** (-1 / 3)) if spread > 0 else _scott(values)


def _bins(values: FloatArray, width: float) -> int:
    return max(1, int(np.ceil(figures(float(np.ptp(values) / width))))) if width > 0 else 1


def _pairs(points: FloatArray, case: BoolArray, label: IntArray, memory: float) -> tuple[IntArray, FloatArray]:
    """Pairs of least total distance inside each stratum: label of each row's pair (n,), and distance to the treated."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    pair, distance = np.full(case.size, -1), np.zeros(case.size)
    exponent = exponent_for(points, DISTANCE_DIGITS)
    order = np.argsort(label, kind="stable")
    order = order[label[order] >= 0]
    for rows in np.split(order, np.flatnonzero(np.diff(label[order])) + 1):
        treated, pool = rows[case[rows]], rows[~case[rows]]
        require_memory(
            8.0 * treated.size * pool.size, limit=memory,
            work=f"the {treated.size:,} x {pool.size:,} distances of a stratum", instead="cut into more bins",
        )  # fmt: skip
        apart = cdist(points[treated], points[pool])
        i, j = linear_sum_assignment(whole(apart, exponent))  # whole steps: ties are ties, and fall by row
        pair[treated[i]] = pair[pool[j]] = treated[i]
        distance[pool[j]] = apart[i, j]
    return pair, distance
