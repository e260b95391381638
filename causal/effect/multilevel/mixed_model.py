"""Linear mixed models with nested random effects, by restricted or full maximum likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import independent_columns
from causal.effect.multilevel.expansion import Expansion, inverse
from causal.effect.multilevel.mixed_likelihood import (
    ScaledModel,
    Variances,
    in_themselves,
    maximise,
    scaled_model,
    second,
    solve,
)
from causal.effect.multilevel.nested import Layout, Level, arrange
from causal.errors import EstimationError
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Method = Literal["REML", "ML"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedModel:
    """Rows and structure of a linear mixed model, in the caller's order.

    Attributes
    ----------
    design, outcome
        (n, k) fixed columns, the intercept included; (n,) outcome.
    levels
        Random effects, inner level first.
    residual_groups
        (n,) 0 .. g - 1: rows with the same residual variance.
    weights
        (n,) constant within units of the top level; they multiply the unit's log likelihood. None for all 1.
    """

    design: FloatArray
    outcome: FloatArray
    levels: tuple[Level, ...]
    residual_groups: IntArray
    weights: FloatArray | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MixedFit:
    """A fitted linear mixed model.

    Attributes
    ----------
    coefficients, covariance
        (k,) fixed effects and (k, k) ``(X'V^-1 X)^-1``, in units of the outcome and its square.
    random
        For each level the (q, q) covariance of its random effects, inner level first.
    residual
        (g,) residual variances.
    method, log_likelihood
        Restricted under REML (with ``log |X'V^-1 X|``, as lme4 and SAS count it).
    boundary
        Levels whose covariance has no full rank: a variance of 0, or a correlation of 1 in size.
    n_units
        Units of each level.
    slopes
        (m, k, k) derivative of ``covariance`` by each variance parameter: by level the lower triangle of its
        covariance, then the residual variances.
    observed, expected
        (m, m) information about the variance parameters, in the same units as ``slopes``.
    adjusted
        (k, k) covariance with Kenward and Roger's correction; None under ML.
    model, layout
        What was fitted, and its rows in order.
    """

    coefficients: FloatArray
    covariance: FloatArray
    random: tuple[FloatArray, ...]
    residual: FloatArray
    method: Method
    log_likelihood: float
    boundary: tuple[str, ...]
    n_units: tuple[int, ...]
    slopes: FloatArray
    observed: FloatArray
    expected: FloatArray
    adjusted: FloatArray | None
    model: MixedModel
    layout: Layout


def fit_mixed(
    design: FloatArray,
    outcome: FloatArray,
    *,
    levels: Sequence[Level],
    residual_groups: IntArray | None = None,
    weights: FloatArray | None = None,
    method: Method = "REML",
) -> MixedFit:
    """Fit ``y = X b + sum_l Z_l u_l + e``, with independent normal ``u_l`` of each unit and ``e`` of each row.

    Parameters
    ----------
    design, outcome
        (n, k) independent columns, the intercept included; (n,) outcome. All finite.
    levels
        Random effects of nested units, inner level first; covariances are unstructured.
    residual_groups
        (n,) codes 0 .. g - 1 of rows with a residual variance of their own. None: one residual variance.
    weights
        (n,) above 0 and constant within units of the top level, where they mean how often the unit counts; scaled to
        mean 1 over rows. Standard errors for them are `cluster_robust_contrast`'s only.
    method
        ``REML`` or ``ML``.

    Raises
    ------
    EstimationError
        ``estimation.not_finite``, ``estimation.collinear``, ``estimation.no_residual_df``,
        ``estimation.no_variation``, ``estimation.weights``, ``estimation.weights_within_clusters``,
        ``estimation.not_identified``, ``estimation.no_residual_variance``, ``estimation.not_converged``, and those of
        `arrange`.

    Notes
    -----
    Bates, Mächler, Bolker & Walker (2015), J Stat Softw 67:1: the Cholesky factor of each covariance relative to the
    residual variance, which is profiled out, minimises the deviance (L-BFGS-B with its exact gradient); Newton steps on
    the variances themselves finish it.

    >>> y = np.array([1.0, 2, 4, 5, 8, 7])  # three pairs: mean square 18 between, 0.5 within
    >>> pair = Level(name="pair", codes=np.array([0, 0, 1, 1, 2, 2]), design=np.ones((6, 1)), terms=("intercept",))
    >>> fit = fit_mixed(np.ones((6, 1)), y, levels=[pair])
    >>> round(fit.random[0].item(), 6), round(fit.residual.item(), 6)
    (8.75, 0.5)
    """
    x, y = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    groups = np.zeros(y.size, dtype=np.int64) if residual_groups is None else np.asarray(residual_groups)
    model = MixedModel(design=x, outcome=y, levels=tuple(levels), residual_groups=groups, weights=weights)
    _refuse_unusable(model)
    layout = arrange(levels)
    with one_thread():  # many small products: more threads only wait for each other
        scaled = scaled_model(
            x[layout.order],
            y[layout.order],
            layout,
            groups[layout.order],
            _row_weights(model, layout),
            restricted=method == "REML",
        )
        return _record(model, layout, scaled, maximise(scaled))


def _refuse_unusable(model: MixedModel) -> None:
    """Refuse missing values, dependent columns, and no more rows than columns."""
    n, k = model.design.shape
    if not (np.isfinite(model.design).all() and np.isfinite(model.outcome).all()):
        raise EstimationError("estimation.not_finite", "the outcome or a covariate of a row is missing")
    if n <= k:
        raise EstimationError(
            "estimation.no_residual_df", f"{n} rows cannot support {k} fixed effects", fix="adjust for fewer covariates"
        )
    if not independent_columns(model.design).all():
        raise EstimationError(
            "estimation.collinear",
            "a fixed column is determined by the columns before it",
            fix="remove the covariate that determines it in this sample",
        )


def _row_weights(model: MixedModel, layout: Layout) -> FloatArray:
    """Weights (n,) of sorted rows with mean 1, refusing weights that vary within a top unit."""
    if model.weights is None:
        return np.ones(model.outcome.size)
    w = np.asarray(model.weights, dtype=np.float64)[layout.order]
    if not (np.isfinite(w).all() and (w > 0).all()):
        raise EstimationError(
            "estimation.weights", "weights must be above 0 and finite", fix="leave rows with weight 0 out"
        )
    if (np.maximum.reduceat(w, layout.starts[-1]) != np.minimum.reduceat(w, layout.starts[-1])).any():
        raise EstimationError(
            "estimation.weights_within_clusters",
            f"weights vary within a {layout.levels[-1].name}: a mixed model is not defined for them",
            fix="use the weighted difference with cluster-robust errors, or estimating equations with independence",
        )
    return np.asarray(w / w.mean())


def _record(model: MixedModel, layout: Layout, scaled: ScaledModel, variances: Variances) -> MixedFit:
    """The fit in the caller's units."""
    at = solve(scaled, *in_themselves(variances))
    expected = -0.5 * second(at.log_det)
    size, k = scaled.scale**2, scaled.triangle.shape[0]
    back = np.linalg.inv(scaled.triangle)
    covariance = inverse(at.information)

    def outward(x: FloatArray) -> FloatArray:
        return np.asarray(size * back @ x @ back.T)

    log_det = float(at.log_det.value) + scaled.n_rows * np.log(size)
    if scaled.restricted:
        log_det += 2 * float(np.log(np.abs(np.diag(scaled.triangle))).sum()) - k * np.log(size)
    df = scaled.n_rows - (k if scaled.restricted else 0)
    inverse_roots = [np.linalg.inv(root) for root in scaled.roots]
    return MixedFit(
        coefficients=back @ (scaled.scale * at.coefficients + scaled.first),
        covariance=outward(covariance.value),
        random=tuple(size * r @ one @ r.T for r, one in zip(inverse_roots, variances.covariances, strict=True)),
        residual=size * variances.residual,
        method="REML" if scaled.restricted else "ML",
        log_likelihood=-0.5 * (df * np.log(2 * np.pi) + log_det + float(at.rest.value)),
        boundary=tuple(layout.levels[i].name for i in variances.boundary),
        n_units=tuple(starts.size for starts in layout.starts),
        slopes=outward(covariance.first),
        observed=0.5 * (second(at.log_det) + second(at.rest)),
        expected=expected,
        adjusted=outward(_kenward_roger(at.information, covariance.value, expected)) if scaled.restricted else None,
        model=model,
        layout=layout,
    )


def _kenward_roger(information: Expansion, covariance: FloatArray, expected: FloatArray) -> FloatArray:
    """Adjusted covariance (k, k) of the fixed effects: Kenward & Roger (1997), Biometrics 53:983-997, eq. 5.

    The variances enter V linearly, so that the term with second derivatives of V is 0.
    """
    weights = np.linalg.inv(expected)
    half = np.einsum("ij,ijab->ab", weights, 0.5 * second(information))
    straight = np.einsum("ij,iab,bc,jcd->ad", weights, information.first, covariance, information.first, optimize=True)
    return np.asarray(covariance + 2 * covariance @ (half - straight) @ covariance)
