"""The population-averaged effect on alliance, by generalised estimating equations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast, student
from causal.effect.multilevel.estimating_equations import Correlation, Family, estimating_equations
from causal.effect.multilevel.mixed_effects import effect_design
from causal.effect.multilevel.small_sample import Correction
from causal.effect.variation import refuse_constant
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FEW = 50  # clusters below which an uncorrected sandwich is refused

LABELS: dict[Family, str] = {
    "gaussian": "difference",
    "binomial": "log odds ratio",
    "poisson": "log rate ratio",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginalEffect:
    """A treatment effect from generalised estimating equations.

    Attributes
    ----------
    contrast
        Treated against comparison on the scale of the link: difference, log odds ratio, log rate ratio.
    working, correlation, scale
        Working correlation, its parameter (0 under independence) and the dispersion found.
    correction
        Of the standard error for few clusters.
    n_rows, n_clusters
        Rows with weight above 0, and clusters among them.
    aliased
        Covariates dropped because earlier ones determine them.
    """

    contrast: Contrast
    working: Correlation
    correlation: float
    scale: float
    correction: Correction
    n_rows: int
    n_clusters: int
    aliased: tuple[str, ...]


def marginal_alliance(
    outcome: FloatArray,
    treated: BoolArray,
    *,
    clusters: IntArray,
    covariates: FloatArray | None = None,
    names: Sequence[str] = (),
    occasion: IntArray | None = None,
    family: Family = "gaussian",
    correlation: Correlation = "exchangeable",
    weights: FloatArray | None = None,
    correction: Correction = "kauermann_carroll",
    level: float = 0.95,
) -> MarginalEffect:
    """Population-averaged effect of treatment on rows correlated within clusters.

    Parameters
    ----------
    outcome, treated
        (n,) finite outcome and arm.
    clusters
        (n,) codes of the units within which rows may be correlated in any way: the coarsest of patient and clinician.
    covariates, names
        (n, p) values known before time zero or None, and p names.
    occasion
        (n,) visit numbers, needed for ``ar1`` only.
    family, correlation, weights
        See `estimating_equations`; with weights (n,) only ``independence``.
    correction
        See `corrected_sandwich`; ``none`` only from 50 clusters on.
    level
        Of the interval, from Student's t with Satterthwaite degrees of freedom.

    Raises
    ------
    EstimationError
        ``estimation.correction_needed``, ``estimation.constant_outcome``, and those of `effect_design`,
        `estimating_equations`, `corrected_sandwich` and `student`.

    >>> y, arm = np.array([3.0, 1, 5, 2, 4, 4]), np.array([True, False] * 3)
    >>> found = marginal_alliance(y, arm, clusters=np.array([0, 0, 1, 1, 2, 2]), correlation="independence")
    >>> round(found.contrast.value, 6), round(found.contrast.std_error, 6), round(found.contrast.df, 6)  # paired t test
    (1.666667, 0.881917, 2.0)
    """
    rows = np.ones(len(outcome), dtype=np.bool_) if weights is None else np.asarray(weights) != 0
    design = effect_design(
        np.asarray(treated)[rows], None if covariates is None else np.asarray(covariates)[rows], names
    )
    refuse_constant(outcome, treated, rows.astype(np.float64))
    fit = estimating_equations(
        design.columns,
        np.asarray(outcome)[rows],
        clusters=np.asarray(clusters)[rows],
        occasion=None if occasion is None else np.asarray(occasion)[rows],
        family=family,
        correlation=correlation,
        weights=None if weights is None else np.asarray(weights)[rows],
    )
    if correction == "none" and fit.starts.size < FEW:
        raise EstimationError(
            "estimation.correction_needed",
            f"{fit.starts.size} clusters are too few for an uncorrected standard error",
            fix="ask for the correction 'kauermann_carroll'",
        )
    ((_, contrast),) = design.contrasts
    covariance, df = fit.covariance(contrast, correction)
    error = float(np.sqrt(contrast @ covariance @ contrast))
    return MarginalEffect(
        contrast=student(LABELS[family], float(contrast @ fit.coefficients), error, df, level=level),
        working=correlation,
        correlation=fit.correlation,
        scale=fit.scale,
        correction=correction,
        n_rows=int(rows.sum()),
        n_clusters=fit.starts.size,
        aliased=design.aliased,
    )
