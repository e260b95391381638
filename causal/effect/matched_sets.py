"""The effect as the mean of differences within matched sets, with the error that the differences themselves show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import beyond_rounding, cluster_robust
from causal.effect.contrast import Contrast, student
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SetDifferences:
    """Mean of the differences within S matched sets.

    Attributes
    ----------
    effect
        The mean difference, in units of the outcome; S - 1 degrees of freedom where sets count alike.
    difference, weight
        (S,) treated minus comparison mean of each set in order of set codes, unadjusted, and what the set counts.
    n_treated, n_comparison
        Rows with weight above 0 by arm.
    aliased
        Covariates that adjust for nothing: equal within every set, or determined by earlier ones.
    """

    effect: Contrast
    difference: FloatArray
    weight: FloatArray
    n_treated: int
    n_comparison: int
    aliased: tuple[str, ...]


def set_differences(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray | None,
    weights: FloatArray | None,
    *,
    sets: IntArray,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    label: str = "mean difference within sets",
) -> SetDifferences:
    """Mean over sets of the treated's outcome less the mean of their comparisons.

    Parameters
    ----------
    outcome, treated
        (n,) outcome, finite where the weight is not 0, and arm of the matched rows.
    covariates
        (n, p) values known before time zero, or None. With them the set differences of the outcome are regressed on
        those of the covariates, and the effect is the intercept: the difference in a set that is exactly alike.
    weights
        (n,) 0 or more, as `causal.design.matching.sets.set_weights` gives them; None for the ATT's. Within a set and
        arm they are the weights of the mean; a set counts what its treated weigh (its treated, for the ATT).
    sets
        (n,) codes of matched sets; every set with weight has it in both arms. Ratios may vary.
    names
        p names for ``aliased``; numbered when None.

    Raises
    ------
    EstimationError
        ``estimation.one_armed_set``; those of `causal.effect.cluster_robust.cluster_robust` (too few sets, missing
        values, no degrees of freedom); ``estimation.constant_outcome``; ``estimation.no_standard_error`` where all sets
        differ alike.

    Notes
    -----
    ``sum_s w_s d_s / sum_s w_s``. Sets are the units, so that their differences carry whatever varies between sets,
    the ratio included: with sets that count alike the error is ``sd(d)/sqrt(S)``. In general it is CR2 with each set a
    cluster of its own, degrees of freedom by Satterthwaite, weights as inverse variances. Rosenbaum (2010), Design of
    Observational Studies, 2.4 and 9; Rubin (1979), JASA 74:318-328, for the regression of differences on differences.

    >>> y, treated = np.array([5.0, 2, 4, 6, 3, 1, 1]), np.array([True, False, False, True, False, True, False])
    >>> found = set_differences(y, treated, None, None, sets=np.array([0, 0, 0, 1, 1, 2, 2]))  # 5 - 3, 6 - 3, 1 - 1
    >>> effect = found.effect
    >>> found.difference.tolist(), round(effect.value, 4), round(effect.std_error, 4), round(effect.df, 9)
    ([2.0, 3.0, 0.0], 1.6667, 0.8819, 2.0)
    """
    arm, code = np.asarray(treated, dtype=np.bool_), np.asarray(sets)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    x = np.empty((arm.size, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    labels = tuple(names) if names is not None else tuple(f"covariate {j + 1}" for j in range(x.shape[1]))
    rows = ~(w <= 0)  # a missing weight stays, to be refused
    values = np.column_stack([outcome, x])[rows]
    differences, weight = _within(values, arm[rows], w[rows], code[rows])
    refuse_constant(values[:, 0], arm[rows])
    fit = cluster_robust(
        np.column_stack([np.ones(weight.size), differences[:, 1:]]),
        differences[:, 0],
        weights=weight,
        clusters=np.arange(weight.size),
        contrast=np.r_[1.0, np.zeros(x.shape[1])],
    )
    return SetDifferences(
        effect=student(label, fit.coefficient, beyond_rounding(fit.std_error, values[:, 0]), fit.df, level=level),
        difference=differences[:, 0],
        weight=weight,
        n_treated=int((arm & rows).sum()),
        n_comparison=int((~arm & rows).sum()),
        aliased=tuple(labels[j - 1] for j in fit.aliased),
    )


def _within(values: FloatArray, arm: BoolArray, weights: FloatArray, code: IntArray) -> tuple[FloatArray, FloatArray]:
    """Treated less comparison mean of each column in each set (S, c), and the weight of the set's treated (S,)."""
    labels, number = np.unique(code, return_inverse=True)
    means, totals = [], []
    for one in (arm, ~arm):
        total = np.bincount(number[one], weights=weights[one], minlength=labels.size).astype(np.float64)
        if not (total != 0).all():
            raise EstimationError(
                "estimation.one_armed_set",
                "a matched set has weight in one arm only: it compares nobody",
                fix="leave such sets out whole",
            )
        sums = [np.bincount(number[one], weights=weights[one] * v[one], minlength=labels.size) for v in values.T]
        means.append(np.column_stack(sums) / total[:, None])
        totals.append(total)
    return means[0] - means[1], totals[0]
