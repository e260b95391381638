"""Balance of the prognostic score: of how the outcome would be expected to turn out without treatment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.balance import BalanceRow, Estimand, balance_table
from causal.errors import DesignError
from causal.numeric.grid import DIGITS, significant

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PENALTIES = np.logspace(-4, 4, 33)
"""Ridge penalties tried, per row of history and in units of standardised covariates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrognosticBalance:
    """Balance of the prognostic score, and how much that score is worth.

    Attributes
    ----------
    row
        Balance of the score, in units of `outcome_of_history`.
    r2
        Share of the history's variance predicted, each row by the fit without it; near 0 or below, the balance of
        the score says nothing.
    n_history
        Rows the score was fitted on.
    penalty
        Ridge penalty taken.
    """

    row: BalanceRow
    r2: float
    n_history: int
    penalty: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrognosticModel:
    """A linear prediction: ``intercept + covariates @ coefficients`` (p,), with its leave-one-out R squared."""

    intercept: float
    coefficients: FloatArray
    r2: float
    penalty: float

    def score(self, covariates: FloatArray) -> FloatArray:
        """Expected outcome without treatment (n,) for covariates (n, p)."""
        return np.asarray(self.intercept + covariates @ self.coefficients, dtype=np.float64)


def fit_prognostic(
    history: FloatArray, outcome_of_history: FloatArray, *, penalties: FloatArray = PENALTIES
) -> PrognosticModel:
    """Ridge regression whose penalty predicts best rows it was not fitted on.

    Parameters
    ----------
    history
        (h, p) covariates of rows without treatment and outside the comparison; constant columns predict nothing.
    outcome_of_history
        (h,) their outcome.
    penalties
        Penalties to choose from; ``np.zeros(1)`` for least squares.

    Raises
    ------
    DesignError
        ``design.not_finite``, ``design.history`` for fewer than three rows or an outcome that does not vary.

    Notes
    -----
    Leave-one-out residuals ``e_i / (1 - h_ii)`` from one singular value decomposition (Golub, Heath & Wahba 1979,
    Technometrics 21:215-223; Allen's PRESS).

    >>> x = np.arange(10.0)[:, None]
    >>> model = fit_prognostic(x, 1 + 2 * x[:, 0], penalties=np.zeros(1))
    >>> round(model.intercept, 6), model.coefficients.round(6).tolist(), round(model.r2, 6)
    (1.0, [2.0], 1.0)
    """
    y = np.asarray(outcome_of_history, dtype=np.float64)
    if not (np.isfinite(history).all() and np.isfinite(y).all()):
        raise DesignError("design.not_finite", "the history of the prognostic score has missing or infinite values")
    if y.size < 3 or not y.std() > 0:
        raise DesignError("design.history", "the prognostic score needs three rows of history with different outcomes")
    centre, scale = history.mean(axis=0), history.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    left, singular, right = np.linalg.svd((history - centre) / scale, full_matrices=False)
    kept = singular > singular.max(initial=0.0) * max(history.shape) * np.finfo(float).eps
    left, singular, right = left[:, kept], singular[kept], right[kept]
    along, residual = left.T @ y, y - y.mean()
    press = [_press(left, singular**2 / (singular**2 + y.size * penalty), along, residual) for penalty in penalties]
    best = int(np.argmin(significant(press, DIGITS)))
    slopes = right.T @ (singular / (singular**2 + y.size * penalties[best]) * along) / scale
    baseline = float(((residual * y.size / (y.size - 1)) ** 2).sum())
    return PrognosticModel(
        intercept=float(y.mean() - centre @ slopes),
        coefficients=slopes,
        r2=1 - float(press[best]) / baseline,
        penalty=float(penalties[best]),
    )


def prognostic_balance(
    history: FloatArray,
    outcome_of_history: FloatArray,
    covariates: FloatArray,
    treated: BoolArray,
    weights: FloatArray,
    *,
    estimand: Estimand = "ATT",
    penalties: Sequence[float] | None = None,
) -> PrognosticBalance:
    """Balance of the prognostic score, fitted where no outcome of this comparison can be seen.

    A design is built blind to outcomes, so the score is never fitted on the occasions that are compared. The history
    is either of untreated occasions before the study began, with their outcomes, or of occasions outside the comparison
    with a proxy known before their time zero (the last rating before it, predicted from what came earlier).

    Parameters
    ----------
    history, outcome_of_history
        (h, p) and (h,), see `fit_prognostic`; the columns of `covariates`.
    covariates, treated, weights, estimand
        (n, p), (n,), (n,): everyone eligible, as for `balance_table`.
    penalties
        Ridge penalties to choose from; None for 33 from 1e-4 to 1e4, ``(0.0,)`` for least squares.

    Raises
    ------
    DesignError
        As `fit_prognostic` and `balance_table`.

    Notes
    -----
    Hansen (2008), Biometrika 95:481-488; Stuart, Lee & Leacy (2013), J Clin Epidemiol 66:S84-S90: of all balance
    measures, that of the prognostic score goes best with bias.
    """
    if history.shape[1] != covariates.shape[1]:
        raise ValueError(f"the history has {history.shape[1]} covariates, the design {covariates.shape[1]}")
    tried = PENALTIES if penalties is None else np.asarray(penalties, dtype=np.float64)
    model = fit_prognostic(history, outcome_of_history, penalties=tried)
    score = model.score(covariates)
    (row,) = balance_table(score[:, None], ["prognostic score"], [1], treated, weights, estimand=estimand)
    return PrognosticBalance(row=row, r2=model.r2, n_history=outcome_of_history.size, penalty=model.penalty)


def _press(left: FloatArray, shrink: FloatArray, along: FloatArray, residual: FloatArray) -> float:
    """Sum of squared errors, each row predicted without itself; the intercept is never shrunk."""
    fitted = left @ (shrink * along)
    leverage = 1 / residual.size + (left**2 * shrink).sum(axis=1)
    unseen = np.maximum(1 - leverage, np.finfo(float).eps)
    return float((((residual - fitted) / unseen) ** 2).sum())
