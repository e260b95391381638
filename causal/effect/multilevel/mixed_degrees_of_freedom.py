"""Standard errors and degrees of freedom of contrasts of a mixed model."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import cluster_robust
from causal.effect.multilevel.mixed_model import MixedFit
from causal.effect.multilevel.nested import whitened
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
DegreesOfFreedom = Literal["satterthwaite", "kenward_roger", "cluster_robust"]


def standard_error(fit: MixedFit, contrast: FloatArray, by: DegreesOfFreedom) -> tuple[float, float]:
    """Standard error and degrees of freedom of ``contrast @ b``.

    Parameters
    ----------
    fit
        Of `fit_mixed`.
    contrast
        (k,).
    by
        ``satterthwaite``: model-based error, df ``2 v^2 / var(v)`` (Giesbrecht & Burns 1985, Biometrics 41:477-486;
        the information is the observed one as in lmerTest, the expected one where a variance is 0, so that the variance
        found to be 0 still costs degrees of freedom). ``kenward_roger``: the adjusted error and expected information
        (Kenward & Roger 1997, in the linear parametrisation that pbkrtest and SAS use; for one contrast their scale
        factor is 1). ``cluster_robust``: CR2 clustered on units of the top level, rows whitened by the fitted V, i.e.
        residuals multiplied by ``A_g = V_g^(1/2) (I - H~_gg)^(-1/2) V_g^(-1/2)`` with H~ the hat matrix of whitened
        rows (Bell & McCaffrey 2002; Kauermann & Carroll 2001). clubSandwich's A_g is another solution of the same
        ``A_g (I - H)_g V (I - H)_g' A_g' = V_g``, the same where clusters are alike.

    Raises
    ------
    EstimationError
        ``estimation.weights_need_cluster_robust``, ``estimation.kenward_roger_needs_reml``, and those of
        `causal.effect.cluster_robust.cluster_robust`.

    >>> from causal.effect.multilevel.mixed_model import fit_mixed
    >>> from causal.effect.multilevel.nested import Level
    >>> y = np.array([1.0, 2, 4, 5, 8, 7])
    >>> pair = Level(name="pair", codes=np.array([0, 0, 1, 1, 2, 2]), design=np.ones((6, 1)), terms=("intercept",))
    >>> error, df = standard_error(fit_mixed(np.ones((6, 1)), y, levels=[pair]), np.ones(1), "satterthwaite")
    >>> round(error**2 * 6, 6), round(df, 6)  # the mean square between three pairs
    (18.0, 2.0)
    """
    if by == "cluster_robust":
        return cluster_robust_error(fit, contrast)
    if fit.model.weights is not None:
        raise EstimationError(
            "estimation.weights_need_cluster_robust",
            "model-based standard errors of a mixed model are not defined for weighted units",
            fix="ask for degrees of freedom 'cluster_robust'",
        )
    variance = float(contrast @ fit.covariance @ contrast)
    slope = np.einsum("iab,a,b->i", fit.slopes, contrast, contrast)
    observed = by == "satterthwaite" and not fit.boundary
    information = fit.observed if observed and np.linalg.eigvalsh(fit.observed)[0] > 0 else fit.expected
    df = 2 * variance**2 / float(slope @ np.linalg.solve(information, slope))
    if by == "satterthwaite":
        return float(np.sqrt(variance)), df
    if fit.adjusted is None:
        raise EstimationError(
            "estimation.kenward_roger_needs_reml",
            "the Kenward-Roger correction is for restricted maximum likelihood",
            fix="fit by REML, or ask for degrees of freedom 'satterthwaite'",
        )
    return float(np.sqrt(contrast @ fit.adjusted @ contrast)), df


def cluster_robust_error(
    fit: MixedFit, contrast: FloatArray, *, clusters: NDArray[np.int64] | None = None
) -> tuple[float, float]:
    """CR2 standard error and Satterthwaite degrees of freedom of ``contrast @ b``, (k,) contrast.

    ``clusters`` (n,) default to the units of the top level, which no random effect crosses.

    Raises
    ------
    EstimationError
        Those of `causal.effect.cluster_robust.cluster_robust`.
    """
    model, order = fit.model, fit.layout.order
    columns = np.column_stack([model.design, model.outcome])[order]
    rows = whitened(fit.layout, columns, model.residual_groups[order], fit.random, fit.residual)
    codes = model.levels[-1].codes if clusters is None else clusters
    found = cluster_robust(
        rows[:, :-1],
        rows[:, -1],
        weights=None if model.weights is None else model.weights[order],
        clusters=codes[order],
        contrast=contrast,
    )
    return found.std_error, found.df
