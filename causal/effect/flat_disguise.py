"""The outcome under another name among the covariates: adjusting for it leaves nothing of the effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
EXACT = 1e-9
"""Share of the outcome's spread below which what covariates leave of it is rounding."""
FIRST_ROWS = 2000
"""Rows that are looked at first: where covariates do not determine the outcome there, they do not at all."""


def refuse_disguised_outcome(outcome: FloatArray, covariates: FloatArray, names: Sequence[str]) -> None:
    """Refuse covariates (n, k) of which a sum, each times a number, is the outcome (n,), with their names.

    A copy, another unit, a change from before to after beside the value before: the effect is then a property of the
    numbers, not of anybody. Fewer rows than twice the columns determine nothing and are not judged.

    Raises
    ------
    DesignError
        ``flat.outcome_in_covariates``.

    >>> x = np.arange(8.0)
    >>> before = np.array([3.0, 1, 4, 1, 5, 9, 2, 6])
    >>> try:
    ...     refuse_disguised_outcome(before + x, np.column_stack([x, before, x**2]), ["change", "before", "age"])
    ... except DesignError as refusal:
    ...     print(refusal.message)
    covariates change, before together determine the outcome exactly in all 8 rows
    """
    n, k = covariates.shape
    if n < 2 * (k + 1) or np.ptp(outcome) == 0:
        return
    part = _part(outcome[:FIRST_ROWS], covariates[:FIRST_ROWS])
    if part is None or (n > FIRST_ROWS and (part := _part(outcome, covariates)) is None):
        return
    named = [name for name, share in zip(names, part, strict=True) if share > EXACT]
    said = (
        f"covariate {named[0]} determines" if len(named) == 1 else f"covariates {', '.join(named)} together determine"
    )
    raise DesignError(
        "flat.outcome_in_covariates",
        f"{said} the outcome exactly in all {n} rows",
        fix="take out of the covariates what was made from the outcome, or measured after the treatment",
    )


def _part(outcome: FloatArray, covariates: FloatArray) -> FloatArray | None:
    """How much of the outcome's spread each covariate (k,) makes where all make it exactly; None where they do not."""
    centred = covariates - covariates.mean(axis=0)
    spread = np.linalg.norm(centred, axis=0)
    z = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    y = outcome - outcome.mean()
    size = float(np.linalg.norm(y))
    if size == 0.0:
        return None
    slopes = np.linalg.lstsq(z, y / size, rcond=None)[0]
    left = float(np.linalg.norm(y / size - z @ slopes))
    return np.abs(slopes) if left < EXACT else None
