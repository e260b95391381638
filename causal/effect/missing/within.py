"""Multiple imputation around a whole analysis: the design repeated in each imputed set, then pooled."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from causal.effect.missing.rubin import Pooled, pool
from causal.errors import DesignError, EstimationError, RapportError

FloatArray = NDArray[np.float64]
Result = tuple[float, float, float]
"""Estimate, its standard error and its degrees of freedom."""

D = TypeVar("D")

REFUSED_SHARE = 0.05  # of the imputed sets may give no estimate


def within(
    imputed: Iterable[FloatArray],
    analyse: Callable[[FloatArray], Result],
    *,
    label: str,
    level: float = 0.95,
) -> Pooled:
    """Analyse every imputed set from design to estimate, and pool.

    Parameters
    ----------
    imputed
        M completed data sets, covariates and outcomes, in the shape `analyse` takes.
    analyse
        Design (matching, weighting) and estimate in one completed set: value, standard error, degrees of freedom.
    label, level
        As in `pool`.

    Returns
    -------
    The pooled estimate; the degrees of freedom of the complete data are the mean over the sets.

    Raises
    ------
    EstimationError
        ``estimation.refused_in_imputed_sets`` when the analysis refuses in more than 5% of the sets, and those of
        `pool`.

    Notes
    -----
    The 'within' approach: Leyrat et al. (2019), Stat Methods Med Res 28:3-19; Pishgar et al. (2021), R Journal 13:292.
    A set in which no design can be found is not a random one, so few are allowed and all are counted.

    >>> rng = np.random.default_rng(0)
    >>> sets = rng.normal(2.0, 0.1, size=(20, 50))
    >>> found = within(sets, lambda y: (y.mean(), y.std(ddof=1) / 50**0.5, 49.0), label="mean")
    >>> round(found.contrast.value, 6) == round(float(sets.mean()), 6), found.complete_df, found.refused
    (True, 49.0, 0)
    """
    found: list[Result] = []
    refusals: list[RapportError] = []
    for one in imputed:
        try:
            found.append(analyse(one))
        except (EstimationError, DesignError) as refusal:
            refusals.append(refusal)
    tried = len(found) + len(refusals)
    if len(refusals) > REFUSED_SHARE * tried:
        first = refusals[0]
        raise EstimationError(
            "estimation.refused_in_imputed_sets",
            f"the analysis refused in {len(refusals)} of {tried} imputed sets, first because: {first.message}",
            fix=first.fix,
        ) from first
    if not found:
        raise EstimationError("estimation.too_few_imputations", "there is no imputed set to analyse")
    values, errors, df = np.array(found, dtype=np.float64).T
    return pool(values, errors**2, float(df.mean()), label=label, level=level, refused=len(refusals))


def across(
    imputed: Iterable[FloatArray],
    distances: FloatArray,
    design: Callable[[FloatArray], D],
    analyse: Callable[[FloatArray, D], Result],
    *,
    label: str,
    level: float = 0.95,
) -> Pooled:
    """The 'across' approach, a sensitivity analysis only: one design from distances averaged over the imputed sets.

    Parameters
    ----------
    imputed
        M completed data sets.
    distances
        (M, n) propensity scores (or log odds) of each set.
    design
        The one design, from the (n,) averaged distances.
    analyse
        Estimate in one completed set under that design.
    label, level
        As in `pool`.

    Notes
    -----
    Mitra & Reiter (2016), Stat Methods Med Res 25:188-204. Averaging hides how uncertain the design is, so that
    between-imputation variance is too small; `within` is the analysis (Leyrat et al. 2019). Refusals as there.

    >>> sets = np.random.default_rng(0).normal(2.0, 0.1, size=(20, 50))
    >>> found = across(sets, np.zeros((20, 50)), lambda score: score == 0,
    ...                lambda y, kept: (y[kept].mean(), y.std(ddof=1) / 50**0.5, 49.0), label="mean")
    >>> found.imputations
    20
    """
    shared = design(np.asarray(distances, dtype=np.float64).mean(axis=0))
    return within(imputed, lambda one: analyse(one, shared), label=label, level=level)
