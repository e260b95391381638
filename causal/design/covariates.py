"""From recorded covariates to the complete matrix the models use: declared fills, always with an indicator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.cohort.catalogue import COVARIATES, NEAREST_LAGS
from causal.errors import DesignError
from causal.protocol import OccasionStudy

FloatArray = NDArray[np.float64]
MISSING_SUFFIX = "_missing"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CovariateMatrix:
    """Complete covariates of n occasions.

    Attributes
    ----------
    values
        (n, p) finite.
    names, tiers
        p names and tiers. A column ``x_missing`` is 1 where x was not recorded, and carries tier 2.
    constant
        Covariates left out because every occasion has the same value.
    """

    values: FloatArray
    names: tuple[str, ...]
    tiers: tuple[int, ...]
    constant: tuple[str, ...]


def covariate_matrix(occasions: pd.DataFrame, study: OccasionStudy) -> CovariateMatrix:
    """Fill what was not recorded as the study declares, mark it, and drop what does not vary.

    Raises
    ------
    DesignError
        A tier-1 covariate was recorded for nobody, or a missing value has no declared rule.
    """
    tier = dict.fromkeys(study.confounders.tier1, 1) | dict.fromkeys(study.confounders.tier2, 2)
    raw = {name: occasions[name].to_numpy(dtype=np.float64) for name in COVARIATES}
    rules = {rule.covariate: rule.fill for rule in study.missing.covariates}
    columns: dict[str, FloatArray] = {}
    for name in tier:
        columns[name] = _filled(name, raw, rules)
        absent = np.isnan(raw[name])
        if absent.any():
            columns[name + MISSING_SUFFIX] = absent.astype(np.float64)
    constant = tuple(name for name, column in columns.items() if column.size and np.ptp(column) == 0)
    kept = [name for name in columns if name not in constant]
    return CovariateMatrix(
        values=np.column_stack([columns[name] for name in kept]) if kept else np.empty((len(occasions), 0)),
        names=tuple(kept),
        tiers=tuple(tier.get(name, 2) for name in kept),
        constant=constant,
    )


def _filled(name: str, raw: Mapping[str, FloatArray], rules: Mapping[str, str]) -> FloatArray:
    values, absent = raw[name], np.isnan(raw[name])
    if not absent.any():
        return values
    if absent.all():
        raise DesignError(
            "design.covariate_empty",
            f"covariate '{name}' is not recorded for any eligible occasion",
            fix="take it out of the study's confounders, or deliver the table it comes from",
        )
    if name not in rules:
        raise DesignError(
            "design.missing_rule",
            f"covariate '{name}' is missing for {absent.mean():.0%} of occasions and the study has no rule for it",
            fix=f"add a rule for '{name}' under missing.covariates",
        )
    if rules[name] == "median":
        return np.where(absent, np.nanmedian(values), values)
    return _nearest_lag(name, raw)


def _nearest_lag(name: str, raw: Mapping[str, FloatArray]) -> FloatArray:
    """The recorded lag closest in time; the more recent of two equally close; the median where no lag is recorded."""
    own = NEAREST_LAGS.index(name)
    by_closeness = sorted(range(len(NEAREST_LAGS)), key=lambda k: (abs(k - own), k))
    values = raw[name].copy()
    for k in by_closeness[1:]:
        values = np.where(np.isnan(values), raw[NEAREST_LAGS[k]], values)
    return np.where(np.isnan(values), np.nanmedian(raw[name]), values)


def columns_of(matrix: FloatArray, names: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    """The columns `wanted` that are in `names`, in `wanted`'s order: (n, q).

    >>> columns_of(np.array([[1.0, 2.0]]), ["a", "b"], ["b", "c"]).tolist()
    [[2.0]]
    """
    index = [list(names).index(name) for name in wanted if name in names]
    return matrix[:, index]
