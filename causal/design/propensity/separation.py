"""Separation: covariates that tell the arms apart with certainty, found and named whatever model is fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.columns import Moments
from causal.design.propensity.logistic import Climb, apart, maximum_likelihood
from causal.design.propensity.sums import Regression, standardised_rows
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LARGEST_PROGRAMME = (
    2_000_000  # values in the design up to which a linear programme decides what Newton's method left open
)


def separating_covariates(regression: Regression, climbed: Climb, names: Sequence[str]) -> tuple[str, ...]:
    """Names of covariates that together separate the arms, none of which can be spared; empty where there are none.

    Parameters
    ----------
    regression, climbed
        The unpenalised regression of the arm, with an intercept, and where its climb ended.
    names
        One per column.

    Raises
    ------
    DesignError
        ``design.not_converged``: neither a maximum nor a separating direction was found.

    Notes
    -----
    There is a maximum exactly where no direction ``d`` has ``x'd >= c`` for all treated and ``x'd <= c`` for all
    comparisons, some strictly (Albert & Anderson 1984, Biometrika 71:1-10). Newton's steps shrink quadratically towards
    a maximum; under separation they keep their size and settle on such a direction, which proves itself. Where they do
    neither, the linear programme of Konis (2007, thesis, Oxford) decides. Then each covariate, the least weighty first,
    is left out if the others still separate.
    """
    if climbed.settled:
        return ()
    direction = _direction(regression, climbed)
    if direction is None:
        raise not_converged()
    needed = np.ones(len(names), dtype=np.bool_)
    for j in np.argsort(np.abs(direction[1:]), kind="stable"):
        needed[j] = False
        others = _columns(regression, needed)
        found = maximum_likelihood(others)
        if found.settled or _direction(others, found) is None:
            needed[j] = True
    return tuple(name for name, is_needed in zip(names, needed, strict=True) if is_needed)


def _direction(regression: Regression, climbed: Climb) -> FloatArray | None:
    """A separating direction (q,) where a climb did not settle, if there is one and the data are not too large."""
    if climbed.direction is not None or regression.x.size > LARGEST_PROGRAMME:
        return climbed.direction
    return separating_direction(standardised_rows(regression, slice(None)), regression.outcome > 0.5)


def _columns(regression: Regression, kept: BoolArray) -> Regression:
    """The regression on some of its columns."""
    return replace(
        regression,
        x=np.ascontiguousarray(regression.x[:, kept]),
        centre=regression.centre[kept],
        scale=regression.scale[kept],
    )


def separating_direction(design: FloatArray, treated: BoolArray) -> FloatArray | None:
    """A direction (q,) that separates the arms, or None: Konis's linear programme.

    Parameters
    ----------
    design
        (n, q), its intercept included.
    treated
        (n,) arms, both present.

    Notes
    -----
    Maximises ``sum_i s_i x_i'd`` with ``s_i x_i'd >= 0`` and ``|d| <= 1``, where s is 1 for treated and -1 for
    comparisons: the largest value is 0 exactly where nothing separates.

    >>> x = np.array([[1.0, 0], [1, 1], [1, 1], [1, 2]])
    >>> separating_direction(x, np.array([False, False, True, True])).tolist()
    [-1.0, 1.0]
    >>> separating_direction(x, np.array([True, False, False, True])) is None
    True
    """
    from scipy.optimize import linprog

    signed = np.where(treated, 1.0, -1.0)[:, None] * design
    solved = linprog(-signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1, 1), method="highs")
    if not solved.success:
        return None
    direction = np.asarray(solved.x, dtype=np.float64)
    return direction if apart(design @ direction, treated) else None


def alone(found: Moments, names: Sequence[str]) -> tuple[str, ...]:
    """Names of the covariates that separate the arms each by itself."""
    return tuple(name for name, is_apart in zip(names, found.apart & found.varies, strict=True) if is_apart)


def separation(names: Sequence[str]) -> DesignError:
    """The refusal that names separating covariates."""
    which = f"covariate {names[0]} tells" if len(names) == 1 else f"covariates {', '.join(names)} tell"
    return DesignError(
        "design.separation",
        f"{which} the treated and the comparison apart with certainty: no propensity score exists",
        fix="restrict eligibility to where both arms occur, match exactly on it, or remove it",
    )


def not_converged() -> DesignError:
    """The refusal of a model whose maximum was not found."""
    return DesignError(
        "design.not_converged",
        "the propensity model did not converge: its covariates nearly repeat one another or nearly separate the arms",
        fix="drop covariates that repeat one another; cross-tabulate the others with treatment",
    )
