"""Balance within groups: clinics, clinicians, subgroups of a protocol, lags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.balance import BalanceRow, Estimand, balance_table, fixed_sd

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupBalance:
    """Balance within one group.

    Attributes
    ----------
    label
        The group's, or how many were taken together.
    n_treated, n_comparison
        Occasions with weight in each arm; None where the group is not evaluated.
    rows
        Balance of every covariate; None where the group is not evaluated.
    """

    label: str
    n_treated: int | None
    n_comparison: int | None
    rows: tuple[BalanceRow, ...] | None


def subgroup_balance(
    covariates: FloatArray,
    names: Sequence[str],
    tiers: Sequence[int],
    treated: BoolArray,
    weights: FloatArray,
    *,
    groups: IntArray,
    labels: Sequence[str],
    estimand: Estimand = "ATT",
    minimum: int = 11,
) -> tuple[GroupBalance, ...]:
    """Balance of every covariate within every group that is large enough.

    Parameters
    ----------
    covariates, names, tiers, treated, weights, estimand
        (n, p), p, p, (n,), (n,): everyone eligible, as for `balance_table`.
    groups, labels
        (n,) codes from 0, and a label for each.
    minimum
        Occasions with weight that each arm of a group needs.

    Returns
    -------
    Groups that have enough, in the order of their codes; then, if there are others, these taken together under a label
    that says how many they are. The smallest of those that have enough join them until the others have enough too: else
    subtraction from the total would tell their counts. Not evaluated only where everybody together is too few. Groups
    without any weight have no part in the comparison and are left out.

    Differences are divided by the SD of everyone eligible (`fixed_sd`), the same in every group: groups can be compared
    with each other and with the table for all.

    Raises
    ------
    DesignError
        As `balance_table`.

    Notes
    -----
    Matching on a score balances on average, not within subgroups: Dong, Zhang, Zeng & Li (2020), Stat Methods Med Res
    29:659-676; Green & Stuart (2014), J Consult Clin Psychol 82:773-783.
    """
    arm, w = np.asarray(treated, dtype=np.bool_), np.asarray(weights, dtype=np.float64)
    sd = fixed_sd(covariates, arm, estimand=estimand, weights=w)
    counts = np.array([np.bincount(groups[(w > 0) & side], minlength=len(labels)) for side in (arm, ~arm)])
    found = []
    for together in _partition(counts, minimum):
        member = np.isin(groups, together)
        n = counts[:, together].sum(axis=1)
        evaluated = bool((n >= minimum).all())
        own = (covariates[member], names, tiers, arm[member], w[member]) if evaluated else None
        found.append(
            GroupBalance(
                label=labels[together[0]] if len(together) == 1 else f"{len(together)} smaller groups together",
                n_treated=int(n[0]) if evaluated else None,
                n_comparison=int(n[1]) if evaluated else None,
                rows=balance_table(*own, estimand=estimand, sd=sd) if own else None,
            )
        )
    return tuple(found)


def _partition(counts: IntArray, minimum: int) -> list[list[int]]:
    """Groups alone in the order of their codes, then those taken together, from counts by arm and group (2, g)."""
    smaller = counts.min(axis=0)
    by_size = [int(g) for g in np.lexsort((np.arange(smaller.size), smaller)) if counts[:, g].any()]
    joined = int((smaller[by_size] < minimum).sum())
    while 0 < joined < len(by_size) and (counts[:, by_size[:joined]].sum(axis=1) < minimum).any():
        joined += 1
    alone = [[g] for g in sorted(by_size[joined:])]
    return [*alone, sorted(by_size[:joined])] if joined else alone
