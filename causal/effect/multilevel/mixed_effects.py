"""What a mixed model tells of the effect: contrasts, variance components, intraclass correlations, remarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.effect.contrast import Contrast, student
from causal.effect.multilevel.mixed_degrees_of_freedom import DegreesOfFreedom
from causal.effect.multilevel.mixed_model import MixedFit
from causal.effect.multilevel.nested import Level
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceComponent:
    """A variance, or the covariance of two random effects, in squared units of the outcome (per day or day squared).

    ``term`` is "intercept", "day" or "intercept with day"; for residuals the arm they belong to, or "".
    """

    level: str
    term: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntraclassCorrelation:
    """Correlation of two rows that share a unit of `level` and of the levels above it, but nothing further inside."""

    level: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedEffects:
    """Treatment effects from a linear mixed model.

    Attributes
    ----------
    contrasts
        Treated minus comparison, in units of the outcome.
    variances, intraclass
        Components by level, inner first, residuals last; correlations inner first.
    log_likelihood, method
        Restricted under REML.
    degrees_of_freedom
        How standard errors and degrees of freedom were found.
    n_rows, n_units
        Rows, and units of each level, inner first.
    boundary
        Levels with a variance estimated at 0, or random effects correlated by 1.
    aliased
        Covariates dropped because earlier ones determine them.
    notes
        Remarks for the reader.
    """

    contrasts: tuple[Contrast, ...]
    variances: tuple[VarianceComponent, ...]
    intraclass: tuple[IntraclassCorrelation, ...]
    log_likelihood: float
    method: str
    degrees_of_freedom: DegreesOfFreedom
    n_rows: int
    n_units: tuple[int, ...]
    boundary: tuple[str, ...]
    aliased: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EffectDesign:
    """Fixed columns (n, k) of an adjusted comparison, its contrasts by label, and the covariates left out."""

    columns: FloatArray
    contrasts: tuple[tuple[str, FloatArray], ...]
    aliased: tuple[str, ...]


def effect_design(
    treated: BoolArray,
    covariates: FloatArray | None,
    names: Sequence[str],
    *,
    day: FloatArray | None = None,
    at: Sequence[float] = (),
) -> EffectDesign:
    """Intercept, covariates, day, treatment, and treatment by day.

    Parameters
    ----------
    treated, covariates, names
        (n,) arm, (n, p) covariates or None, p names.
    day
        (n,) days since time zero of each row; None where time plays no part.
    at
        Days at which the difference is wanted; the mean day when empty.

    Raises
    ------
    EstimationError
        ``estimation.empty_arm``, ``estimation.not_finite``, ``estimation.one_visit``, ``estimation.not_estimable``.

    >>> effect_design(np.array([True, False, True]), np.array([[1.0], [1], [1]]), ["constant"]).aliased
    ('constant',)
    """
    arm = np.asarray(treated, dtype=np.bool_)
    if arm.all() or not arm.any():
        raise EstimationError("estimation.empty_arm", "one arm has no row: there is no difference")
    x = np.empty((arm.size, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    last = [arm.astype(np.float64)] if day is None else [np.asarray(day, dtype=np.float64), arm, arm * day]
    columns = np.column_stack([np.ones(arm.size), x, *last])
    if not np.isfinite(columns).all():
        raise EstimationError("estimation.not_finite", "a covariate or the day of a row is missing")
    kept = independent_columns(columns)
    if day is not None and not kept[-3]:
        raise EstimationError(
            "estimation.one_visit",
            "all rows have the same day, or a covariate gives it: there is no course over time",
            fix="leave the day out",
        )
    if not kept[-2:].all() if day is not None else not kept[-1]:
        raise EstimationError(
            "estimation.not_estimable",
            "the effect cannot be told apart from a combination of the other columns",
            fix="remove the covariate that determines the treatment in this sample",
        )
    width = int(kept.sum())
    return EffectDesign(
        columns=columns[:, kept],
        contrasts=_contrasts(width, day, at),
        aliased=tuple(name for name, stays in zip(names, kept[1 : 1 + x.shape[1]], strict=True) if not stays),
    )


def _contrasts(width: int, day: FloatArray | None, at: Sequence[float]) -> tuple[tuple[str, FloatArray], ...]:
    """The last column, or with days the difference at each and the difference in slopes."""
    if day is None:
        return (("difference", np.eye(width)[-1]),)
    treated, by_day = np.eye(width)[-2:]
    wanted = at or (float(np.mean(day)),)
    return (
        *((f"difference at day {one:g}", treated + one * by_day) for one in wanted),
        ("difference in slope per day", by_day),
    )


def mixed_effects(
    fit: MixedFit,
    design: EffectDesign,
    *,
    errors: Callable[[FloatArray], tuple[float, float]],
    degrees_of_freedom: DegreesOfFreedom,
    residual_terms: Sequence[str],
    intraclass: Sequence[IntraclassCorrelation],
    level: float,
) -> MixedEffects:
    """The record of a fit; `errors` gives standard error and degrees of freedom of a contrast (k,)."""
    model = fit.model
    return MixedEffects(
        contrasts=tuple(
            student(label, float(c @ fit.coefficients), *errors(c), level=level) for label, c in design.contrasts
        ),
        variances=(
            *(one for of, d in zip(model.levels, fit.random, strict=True) for one in _components(of, d)),
            *(
                VarianceComponent(level="residual", term=term, value=float(value))
                for term, value in zip(residual_terms, fit.residual, strict=True)
            ),
        ),
        intraclass=tuple(intraclass),
        log_likelihood=fit.log_likelihood,
        method=fit.method,
        degrees_of_freedom=degrees_of_freedom,
        n_rows=model.outcome.size,
        n_units=fit.n_units,
        boundary=fit.boundary,
        aliased=design.aliased,
        notes=_notes(fit, degrees_of_freedom),
    )


def _components(level: Level, covariance: FloatArray) -> list[VarianceComponent]:
    """Variances of a level, and their covariances."""
    terms = level.terms
    return [
        VarianceComponent(
            level=level.name,
            term=terms[a] if a == b else f"{terms[b]} with {terms[a]}",
            value=float(covariance[a, b]),
        )
        for a in range(len(terms))
        for b in range(a + 1)
    ]


def _notes(fit: MixedFit, degrees_of_freedom: DegreesOfFreedom) -> tuple[str, ...]:
    """What the reader must know of variances at their limit and of weights."""
    counted = degrees_of_freedom != "cluster_robust"
    notes = [
        f"The variance between units of {name} is estimated at 0, or its random effects are correlated by 1 in size"
        + ("; its uncertainty still counts in the degrees of freedom." if counted else ".")
        for name in fit.boundary
    ]
    if fit.model.weights is not None:
        notes.append(f"Each {fit.model.levels[-1].name} counts by its weight, scaled to mean 1 over rows.")
    return tuple(notes)
