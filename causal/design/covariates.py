"""From recorded covariates to the complete matrix the models use: declared fills, always with an indicator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.cohort.catalogue import catalogue_of
from causal.design.fates import CovariateFate, Fate, fates_of
from causal.design.propensity.columns import moments
from causal.design.propensity.rare import rare_levels
from causal.errors import DesignError
from causal.protocol import OccasionStudy

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
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
    spare
        (p,) true for the last level of a category, which the others determine: it counts in balance, tolerances and
        distances, and models do without it.
    fates
        What became of every declared covariate, those left out of `values` too, then of the columns nobody declared.
    """

    values: FloatArray
    names: tuple[str, ...]
    tiers: tuple[int, ...]
    spare: BoolArray
    fates: tuple[CovariateFate, ...]

    @property
    def in_models(self) -> FloatArray:
        """Columns (n, k) of the propensity and of outcome models."""
        return self.values[:, ~self.spare]

    @property
    def names_in_models(self) -> tuple[str, ...]:
        """Their k names."""
        return tuple(name for name, spare in zip(self.names, self.spare, strict=True) if not spare)


def covariate_matrix(occasions: pd.DataFrame, study: OccasionStudy) -> CovariateMatrix:
    """Fill what was not recorded as the study declares, mark it, and tell what became of every covariate.

    What does not vary, or was recorded for nobody, has no column and a fate that says so: whether a study can do
    without it is judged where gates are (`validation.design`).

    Raises
    ------
    DesignError
        ``design.covariate_empty``: a tier-1 covariate was recorded for nobody; ``design.missing_rule``: a missing value
        has no declared rule.
    """
    known = catalogue_of(study)
    tier1 = known.spread(study.confounders.tier1)
    tier = dict.fromkeys(tier1, 1) | dict.fromkeys(known.spread(study.confounders.tier2), 2)
    facts = [*known.covariates]
    raw = dict(zip(facts, occasions[facts].to_numpy(dtype=np.float64).T, strict=True))
    rules = {rule.covariate: rule.fill for rule in study.missing.covariates}
    recorded = [name for name in tier if not np.isnan(raw[name]).all()]
    _refuse_empty([name for name in tier1 if name not in recorded])
    columns: dict[str, FloatArray] = {}
    for name in recorded:
        columns[name] = _filled(name, raw, rules, study.prior_ratings)
        absent = np.isnan(raw[name])
        if absent.any():
            columns[name + MISSING_SUFFIX] = absent.astype(np.float64)
    last = {}
    for category in known.categories:
        if set(category.levels) <= set(columns):
            last[category.last.name] = min(tier[level] for level in category.levels)
            columns[category.last.name] = 1.0 - np.sum([columns[level] for level in category.levels], axis=0)
    values = np.column_stack([*columns.values()]) if columns else np.empty((len(occasions), 0))
    tiers = tuple((tier | last).get(name, 2) for name in columns)
    found = {one.name: one for one in fates_of(values, tuple(columns), tiers)}
    kept = np.array([one.fate is not Fate.CONSTANT for one in found.values()], dtype=np.bool_)
    names = tuple(name for name, stays in zip(columns, kept, strict=True) if stays)
    declared = [
        found.get(name, CovariateFate(name=name, tier=own, fate=Fate.NEVER_RECORDED)) for name, own in tier.items()
    ]
    return CovariateMatrix(
        values=np.ascontiguousarray(values[:, kept]),
        names=names,
        tiers=tuple(own for own, stays in zip(tiers, kept, strict=True) if stays),
        spare=np.array([name in last for name in names], dtype=np.bool_),
        fates=(*declared, *(one for name, one in found.items() if name not in tier and name in names)),
    )


def without_rare(matrix: CovariateMatrix, treated: BoolArray) -> CovariateMatrix:
    """The matrix without yes-or-no columns so rare that all who have them are of one arm, and prove nothing by it.

    Four forms that nobody filled in, all of comparisons, say nothing of who may be treated, and a model would say
    that they decide it. What many have, of one arm alone, stays: that is a finding about positivity, and a gate fails.
    """
    if not treated.any() or treated.all():
        return matrix
    rare = rare_levels(matrix.values, treated, moments(matrix.values, treated))
    gone = {name for name, is_rare in zip(matrix.names, rare, strict=True) if is_rare}
    return CovariateMatrix(
        values=np.ascontiguousarray(matrix.values[:, ~rare]),
        names=tuple(name for name in matrix.names if name not in gone),
        tiers=tuple(tier for tier, is_rare in zip(matrix.tiers, rare, strict=True) if not is_rare),
        spare=matrix.spare[~rare],
        fates=tuple(
            CovariateFate(name=one.name, tier=one.tier, fate=Fate.TOO_RARE) if one.name in gone else one
            for one in matrix.fates
        ),
    )


def _refuse_empty(names: Sequence[str]) -> None:
    if names:
        raise DesignError(
            "design.covariate_empty",
            f"covariate '{names[0]}' is not recorded for any eligible occasion",
            fix="take it out of the study's confounders, or deliver the table it comes from",
        )


def _filled(
    name: str, raw: Mapping[str, FloatArray], rules: Mapping[str, str], prior_ratings: Sequence[str]
) -> FloatArray:
    values, absent = raw[name], np.isnan(raw[name])
    if not absent.any():
        return values
    if name not in rules:
        raise DesignError(
            "design.missing_rule",
            f"covariate '{name}' is missing for {absent.mean():.0%} of occasions and the study has no rule for it",
            fix=f"add a rule for '{name}' under missing.covariates",
        )
    if rules[name] == "median":
        return np.where(absent, np.nanmedian(values), values)
    return _nearest_lag(name, raw, prior_ratings)


def _nearest_lag(name: str, raw: Mapping[str, FloatArray], lags: Sequence[str]) -> FloatArray:
    """The recorded lag closest in time; the more recent of two equally close; the median where no lag is recorded."""
    own = lags.index(name)
    by_closeness = sorted(range(len(lags)), key=lambda k: (abs(k - own), k))
    values = raw[name].copy()
    for k in by_closeness[1:]:
        values = np.where(np.isnan(values), raw[lags[k]], values)
    return np.where(np.isnan(values), np.nanmedian(raw[name]), values)


def columns_of(matrix: FloatArray, names: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    """The columns `wanted` that are in `names`, in `wanted`'s order: (n, q).

    >>> columns_of(np.array([[1.0, 2.0]]), ["a", "b"], ["b", "c"]).tolist()
    [[2.0]]
    """
    index = [list(names).index(name) for name in wanted if name in names]
    return matrix[:, index]
