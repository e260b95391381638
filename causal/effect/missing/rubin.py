"""Rubin's rules: one estimate from the estimates of several imputed data sets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from causal.effect.contrast import Contrast, student
from causal.errors import EstimationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """An estimate pooled over M imputed data sets, with where its variance comes from.

    Attributes
    ----------
    contrast
        Pooled value, total standard error and interval on the Barnard-Rubin degrees of freedom.
    within, between, total
        Mean variance U of the M estimates, variance B among them, and ``T = U + (1 + 1/M) B``; squared outcome units.
    imputations
        M.
    complete_df
        Degrees of freedom the analysis would have without missing data.
    large_sample_df
        Rubin's (1987) degrees of freedom, those for endless complete data; infinite when B is 0.
    riv, proportion_missing, fmi
        Relative increase in variance ``(1 + 1/M) B / U``; ``lambda = (1 + 1/M) B / T``; fraction of missing
        information ``(riv + 2/(df + 3))/(riv + 1)``.
    needed
        Imputations asked for, ``max(20, 100 fmi)``.
    refused
        Imputed sets in which the analysis refused; they are not among the M.
    notes
        What to know: B = 0, too few imputations, refused sets.
    """

    contrast: Contrast
    within: float
    between: float
    total: float
    imputations: int
    complete_df: float
    large_sample_df: float
    riv: float
    proportion_missing: float
    fmi: float
    needed: int
    refused: int
    notes: tuple[str, ...]

    @property
    def enough(self) -> bool:
        """Whether there are as many imputations as needed."""
        return self.imputations >= self.needed


def pool(
    estimates: ArrayLike,
    variances: ArrayLike,
    complete_df: float,
    *,
    label: str,
    level: float = 0.95,
    refused: int = 0,
) -> Pooled:
    """Combine M estimates and their squared standard errors.

    Parameters
    ----------
    estimates, variances
        (M,) estimate of each imputed set, and its variance; M is 2 or more.
    complete_df
        Degrees of freedom without missing data: finite. For analyses with Satterthwaite degrees of freedom the mean
        over the imputed sets.
    label
        What is estimated.
    level
        Of the interval.
    refused
        Imputed sets left out because the analysis refused; for the record only.

    Raises
    ------
    EstimationError
        ``estimation.too_few_imputations``, ``estimation.not_finite``, ``estimation.no_degrees_of_freedom``,
        ``estimation.no_standard_error``.

    Notes
    -----
    Rubin (1987), Multiple Imputation for Nonresponse in Surveys, 3.1; Barnard & Rubin (1999), Biometrika 86:948-955:
    ``nu_old = (M - 1)/lambda^2``, ``nu_obs = (nc + 1)/(nc + 3) nc (1 - lambda)``, ``1/nu = 1/nu_old + 1/nu_obs``.
    Imputations needed: White, Royston & Wood (2011), Stat Med 30:377-399.

    >>> found = pool([-.30, -.22, -.35, -.27, -.31], [.012, .011, .013, .012, .0125], 149, label="difference")
    >>> round(found.contrast.value, 6), round(found.total, 6), round(found.contrast.df, 4), round(found.fmi, 6)
    (-0.29, 0.01492, 57.747, 0.215709)
    """
    q, u = np.asarray(estimates, dtype=np.float64), np.asarray(variances, dtype=np.float64)
    _refuse_unusable(q, u, complete_df)
    m = q.size
    within, between = float(u.mean()), float(q.var(ddof=1))
    if np.ptp(q) <= 1e-12 * np.abs(q).max():  # equal but for rounding
        between = 0.0
    extra = (1 + 1 / m) * between
    total = within + extra
    if not within > 0:
        raise EstimationError(
            "estimation.no_standard_error", "the imputed sets leave no variation for a standard error"
        )
    missing = extra / total
    large = (m - 1) / missing**2 if missing > 0 else math.inf
    observed = (complete_df + 1) / (complete_df + 3) * complete_df * (1 - missing)
    df = 1 / (1 / large + 1 / observed)
    riv = extra / within
    fmi = (riv + 2 / (df + 3)) / (riv + 1)
    needed = max(20, math.ceil(100 * fmi - 1e-9))
    return Pooled(
        contrast=student(label, float(q.mean()), math.sqrt(total), df, level=level),
        within=within,
        between=between,
        total=total,
        imputations=m,
        complete_df=float(complete_df),
        large_sample_df=large,
        riv=riv,
        proportion_missing=missing,
        fmi=fmi,
        needed=needed,
        refused=refused,
        notes=_notes(between, m, needed, refused),
    )


def _refuse_unusable(q: np.ndarray, u: np.ndarray, complete_df: float) -> None:
    """Refuse too few or broken estimates, and degrees of freedom that would make an interval from the normal."""
    if q.ndim != 1 or q.shape != u.shape or q.size < 2:
        raise EstimationError(
            "estimation.too_few_imputations",
            f"pooling needs as many variances as estimates, 2 or more; got {u.size} and {q.size}",
            fix="ask for 20 imputations or more",
        )
    if not (np.isfinite(q).all() and np.isfinite(u).all() and (u >= 0).all()):
        raise EstimationError("estimation.not_finite", "an imputed set gave no finite estimate and variance")
    if not 0 < complete_df < math.inf:
        raise EstimationError(
            "estimation.no_degrees_of_freedom",
            "pooling needs the finite degrees of freedom of the analysis without missing data",
        )


def _notes(between: float, m: int, needed: int, refused: int) -> tuple[str, ...]:
    """What the reader of a pooled estimate has to know."""
    said = []
    if between == 0:
        said.append("the imputed sets all give the same estimate: nothing that matters to it was imputed")
    if m < needed:
        said.append(f"{m} imputations; {needed} are needed (the larger of 20 and 100 times the missing information)")
    if refused:
        said.append(f"{refused} of {m + refused} imputed sets gave no estimate and are left out")
    return tuple(said)
