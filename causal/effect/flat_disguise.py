"""The outcome under another name among the covariates: adjusting for it leaves nothing of the effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
EXACT = 1e-9
"""Share of the outcome's spread below which what covariates leave of it is rounding."""
NEARLY = 0.01
"""Share of the outcome's spread within which a line through one covariate is the outcome again: it was rounded, or
written down anew. A correlation of .99995; a covariate nowhere further from the outcome than this many of its standard
deviations is always within."""
MEND = "take out of the covariates what was made from the outcome, or measured after the treatment"
FIRST_ROWS = 2000
"""Rows that are looked at first: where covariates do not determine the outcome there, they do not at all."""


def refuse_disguised_outcome(outcome: FloatArray, covariates: FloatArray, names: Sequence[str]) -> None:
    """Refuse covariates (n, k) of which a sum, each times a number, is the outcome (n,), with their names.

    A copy, another unit, a change from before to after beside the value before: the effect is then a property of the
    numbers, not of anybody. So it is beside a near copy, one covariate that by itself leaves `NEARLY` nothing of the
    outcome. Fewer rows than twice the columns determine nothing and are not judged.

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
    if part is not None and n > FIRST_ROWS:
        part = _part(outcome, covariates)
    if part is not None:
        named = [name for name, share in zip(names, part, strict=True) if share > EXACT]
        one = f"covariate {named[0]} determines"
        said = one if len(named) == 1 else f"covariates {', '.join(named)} together determine"
        raise DesignError("flat.outcome_in_covariates", f"{said} the outcome exactly in all {n} rows", fix=MEND)
    near = [name for name, left in zip(names, _left_by_each(outcome, covariates), strict=True) if left <= NEARLY]
    if near:
        said = f"covariate {near[0]} is" if len(near) == 1 else f"covariates {', '.join(near)} are each"
        raise DesignError(
            "flat.outcome_in_covariates",
            f"{said} the outcome to within {NEARLY:.0%} of its spread over all {n} rows",
            fix=MEND,
        )


def _part(outcome: FloatArray, covariates: FloatArray) -> FloatArray | None:
    """How much of the outcome's spread each covariate (k,) makes where all make it exactly; None where they do not."""
    z, y = _scaled(covariates), outcome - outcome.mean()
    size = float(np.linalg.norm(y))
    if size == 0.0:
        return None
    slopes = np.linalg.lstsq(z, y / size, rcond=None)[0]
    left = float(np.linalg.norm(y / size - z @ slopes))
    return np.abs(slopes) if left < EXACT else None


def _left_by_each(outcome: FloatArray, covariates: FloatArray) -> FloatArray:
    """Share (k,) of the outcome's spread that a line through each covariate alone leaves; 1 for a constant one.

    >>> _left_by_each(np.array([0.0, 1.0, 2.0, 3.0]), np.array([[1.0, 5], [-1, 5], [3, 5], [1, 5]])).round(3).tolist()
    [0.949, 1.0]
    """
    y = _scaled(outcome[:, None])
    z = _scaled(covariates)
    return np.asarray(np.linalg.norm(y - z * (z.T @ y).T, axis=0), dtype=np.float64)


def _scaled(columns: FloatArray) -> FloatArray:
    """Columns (n, k) about their means, each of length 1; a constant one of length 0."""
    centred = columns - columns.mean(axis=0)
    spread = np.linalg.norm(centred, axis=0)
    scaled: FloatArray = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return scaled
