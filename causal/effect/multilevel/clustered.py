"""The effect on alliance measured repeatedly in patients of clinicians, by a linear mixed model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.effect.multilevel.mixed_degrees_of_freedom import DegreesOfFreedom, standard_error
from causal.effect.multilevel.mixed_effects import IntraclassCorrelation, MixedEffects, effect_design, mixed_effects
from causal.effect.multilevel.mixed_model import Method, MixedFit, fit_mixed
from causal.effect.multilevel.nested import Level
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def clustered_alliance(
    outcome: FloatArray,
    treated: BoolArray,
    *,
    covariates: FloatArray | None = None,
    names: Sequence[str] = (),
    patient: IntArray | None = None,
    clinician: IntArray | None = None,
    day: FloatArray | None = None,
    at: Sequence[float] = (),
    random: Literal["intercept", "slope"] = "intercept",
    weights: FloatArray | None = None,
    method: Method = "REML",
    degrees_of_freedom: DegreesOfFreedom = "satterthwaite",
    level: float = 0.95,
) -> MixedEffects:
    """Difference between treated and comparison from rows in patients, in clinicians, or in patients in clinicians.

    Parameters
    ----------
    outcome, treated
        (n,) finite outcome and arm of each row.
    covariates, names
        (n, p) values known before time zero or None, and p names.
    patient, clinician
        (n,) codes; None for a level left out. A patient has one clinician.
    day, at
        (n,) days since time zero, for a course over time of its own in each arm, and the days at which the difference
        is wanted (the mean day when empty). None for one difference over all rows.
    random
        ``slope``: intercept and slope over days, correlated, of the innermost level. Otherwise intercepts only.
    weights
        (n,) above 0 and constant within units of the top level; they need ``cluster_robust``.
    method, degrees_of_freedom, level
        See `fit_mixed` and `standard_error`; share of the intervals that cover the truth.

    Raises
    ------
    EstimationError
        ``estimation.no_levels``, ``estimation.no_days``, ``estimation.constant_outcome``, and those of `effect_design`,
        `fit_mixed`, `standard_error` and `student`.

    >>> y, arm = np.array([1.0, 2, 4, 5, 9, 8, 3, 4]), np.array([0, 0, 0, 0, 1, 1, 1, 1], dtype=bool)
    >>> found = clustered_alliance(y, arm, patient=np.array([0, 0, 1, 1, 2, 2, 3, 3]))
    >>> round(found.contrasts[0].value, 6), round(found.contrasts[0].df, 4)  # two patients in each arm
    (3.0, 2.0)
    """
    given = {name: codes for name, codes in (("patient", patient), ("clinician", clinician)) if codes is not None}
    if not given:
        raise EstimationError("estimation.no_levels", "neither patients nor clinicians are given")
    return clustered_course(
        outcome,
        treated,
        levels=given,
        covariates=covariates,
        names=names,
        day=day,
        at=at,
        random=random,
        weights=weights,
        method=method,
        degrees_of_freedom=degrees_of_freedom,
        level=level,
    )


def clustered_course(
    outcome: FloatArray,
    treated: BoolArray,
    *,
    levels: Mapping[str, IntArray],
    covariates: FloatArray | None = None,
    names: Sequence[str] = (),
    day: FloatArray | None = None,
    at: Sequence[float] = (),
    random: Literal["intercept", "slope"] = "intercept",
    weights: FloatArray | None = None,
    method: Method = "REML",
    degrees_of_freedom: DegreesOfFreedom = "satterthwaite",
    level: float = 0.95,
) -> MixedEffects:
    """As `clustered_alliance`, of units by any name: `levels` holds their codes (n,), inner units first."""
    if random == "slope" and day is None:
        raise EstimationError("estimation.no_days", "a random slope needs the day of each row")
    design = effect_design(treated, covariates, names, day=day, at=at)
    refuse_constant(outcome, treated)
    ones = np.ones(len(outcome))
    units = [
        Level(name=name, codes=codes, design=ones[:, None], terms=("intercept",)) for name, codes in levels.items()
    ]
    if random == "slope" and day is not None:
        both = np.column_stack([ones, day])
        units[0] = Level(name=units[0].name, codes=units[0].codes, design=both, terms=("intercept", "day"))
    fit = fit_mixed(design.columns, outcome, levels=units, weights=weights, method=method)
    when = at[0] if at else 0.0 if day is None else float(np.mean(day))
    return mixed_effects(
        fit,
        design,
        errors=lambda contrast: standard_error(fit, contrast, degrees_of_freedom),
        degrees_of_freedom=degrees_of_freedom,
        residual_terms=("",),
        intraclass=_intraclass(fit, when),
        level=level,
    )


def _intraclass(fit: MixedFit, day: float) -> list[IntraclassCorrelation]:
    """Share of the variance on a day that units of each level and those above it have in common."""
    rows = [np.array([1.0, day])[: d.shape[0]] for d in fit.random]
    shares = np.array([z @ d @ z for z, d in zip(rows, fit.random, strict=True)])
    total = float(shares.sum() + fit.residual[0])
    return [
        IntraclassCorrelation(level=one.name, value=float(shares[i:].sum()) / total)
        for i, one in enumerate(fit.model.levels)
    ]
