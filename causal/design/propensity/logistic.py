"""Logistic regression by Newton's method: the climb every model shares, and maximum likelihood."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.sums import Regression, Sums, sums

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

SETTLED = 1e-10  # largest change of a log odds still possible at a maximum
LONGEST_STEP = 5.0  # in one step the log odds may move by this, or the largest of them double
CLOSE = 1e-6  # root mean square change of the log odds that leaves the information as it is
ROUNDING = 16 * float(np.finfo(np.float64).eps)  # of a log odds, for coefficients that add up to one
STRIDE = 1e-3  # change of a log odds that cannot be rounding
PATIENCE = 3  # steps before slow progress is looked into
START_ROWS = 20_000  # rows from which a start for large data is found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Climb:
    """Where a climb ended.

    Attributes
    ----------
    beta, logit
        (q,) coefficients of the standardised columns, and (n,) log odds, offset included.
    sums
        The last pass.
    settled
        Whether it is a maximum: no log odds would move by more than `SETTLED`.
    direction
        (q,) a direction along which the likelihood rises for ever, if one was met: there is no maximum.
    """

    beta: FloatArray
    logit: FloatArray
    sums: Sums
    settled: bool
    direction: FloatArray | None


Evaluate = Callable[[FloatArray, FloatArray, FloatArray | None], Sums]
Step = Callable[[FloatArray, FloatArray, Sums, bool], FloatArray]


def maximum_likelihood(regression: Regression) -> Climb:
    """The unpenalised maximum, or a direction that proves there is none.

    Large data start from the maximum on every m-th row; what has converged is judged on all rows.
    """
    y = regression.outcome
    arms = y > 0.5 if ((y == 0) | (y == 1)).all() else None  # nothing separates outcomes between 0 and 1
    return climb(partial(sums, regression), newton_step, _start(regression), y.size, treated=arms)


def climb(
    evaluate: Evaluate,
    step_from: Step,
    beta: FloatArray,
    n: int,
    *,
    treated: BoolArray | None = None,
    settled: float = SETTLED,
    rounds: int = 100,
) -> Climb:
    """Climb from `beta` by the steps of `step_from` until no log odds of the n rows moves any more.

    Parameters
    ----------
    evaluate
        From coefficients (q,) and the last log odds (n,), which it overwrites, to the sums there; near the end also
        the information of the pass before, which it may use again.
    step_from
        The next step (q,) from coefficients, log odds, sums and whether progress is slow.
    beta
        (q,) where to begin.
    treated
        (n,) arms. If given, slow progress is searched for a separating direction.

    Notes
    -----
    A row's leverage ``w x'I^-1 x`` is at most 1, so a step s moves a log odds by at most ``sqrt(s'Is / least w)``: the
    climb can end without a further pass. Under separation the bound stays near 1, as the steps do.
    """
    logit = np.full(n, np.inf)
    here = evaluate(beta, logit, None)
    slow, direction = False, None
    for taken in range(rounds):
        try:
            step = step_from(beta, logit, here, slow)
        except np.linalg.LinAlgError:
            break  # some direction has no information left
        ahead, near = float(step @ here.information @ step), max(settled, ROUNDING * float(np.abs(beta).sum()))
        if here.moved <= near or ahead <= near**2 * here.least:
            return Climb(beta=beta, logit=logit, sums=here, settled=True, direction=None)
        before = logit.copy()
        known = here.information if ahead <= CLOSE**2 * here.weight else None
        last, (step, here) = here.moved, _advance(evaluate, beta, step, logit, before, here, known)
        beta = beta + step
        slow = slow or (taken >= PATIENCE and here.moved > last / 2)
        if treated is not None and slow and here.moved > STRIDE and apart(logit - before, treated):
            direction = step
            break
    return Climb(beta=beta, logit=logit, sums=here, settled=False, direction=direction)


def _advance(
    evaluate: Evaluate,
    beta: FloatArray,
    step: FloatArray,
    logit: FloatArray,
    before: FloatArray,
    here: Sums,
    known: FloatArray | None,
) -> tuple[FloatArray, Sums]:
    """The step, shortened until no log odds moves too far and the value does not fall, and the sums after it.

    A step that had to be shortened says nothing about how near the maximum is: its move counts as infinite.
    """
    there = evaluate(beta + step, logit, known)
    longest = max(LONGEST_STEP, float(np.abs(before).max()))
    if there.moved > longest:
        step = step * (longest / there.moved)
        logit[:] = before
        there = evaluate(beta + step, logit, known)
    while not there.value >= here.value - 1e-9 * abs(here.value) and step.any():
        step = step / 2
        logit[:] = before
        there = replace(evaluate(beta + step, logit, known), moved=np.inf)
    return step, there


def newton_step(beta: FloatArray, logit: FloatArray, here: Sums, slow: bool) -> FloatArray:  # noqa: ARG001 - a Step
    """``I^-1`` times the score."""
    return np.asarray(np.linalg.solve(here.information, here.score), dtype=np.float64)


def apart(score: FloatArray, treated: BoolArray) -> bool:
    """Whether no comparison scores above any treated occasion, to rounding, and not all score the same."""
    spread = float(np.ptp(score))
    return spread > 0 and bool(score[treated].min() - score[~treated].max() >= -1e-9 * spread)


def null_start(regression: Regression) -> FloatArray:
    """Coefficients (q,) without slopes; an intercept gives the share of events."""
    n, k = regression.x.shape
    beta = np.zeros(k + regression.intercept)
    if regression.intercept:
        share = float(np.clip(regression.outcome.mean(), 0.5 / n, 1 - 0.5 / n))
        beta[0] = np.log(share / (1 - share)) - (regression.offset.mean() if regression.offset.size else 0.0)
    return beta


def _start(regression: Regression) -> FloatArray:
    """Coefficients (q,) near the maximum of large data, found on every m-th row and then by passes of the score alone.

    The information of the m-th rows, times m, is nearly that of all: steps by it close in at a small part of the cost.
    """
    n, k = regression.x.shape
    null = null_start(regression)
    stride = n // max(START_ROWS, 500 * k)
    if stride < 4:
        return null
    some = replace(
        regression,
        x=np.ascontiguousarray(regression.x[::stride]),
        outcome=regression.outcome[::stride].copy(),
        offset=regression.offset[::stride].copy(),
    )
    found = climb(partial(sums, some), newton_step, null, some.outcome.size, settled=1e-3, rounds=12)
    if not found.settled:
        return null
    return _closed_in(regression, found.beta, found.sums.information * stride)


def _closed_in(regression: Regression, beta: FloatArray, information: FloatArray) -> FloatArray:
    """Coefficients (q,) nearer the maximum by passes of the score alone, the information (q, q) mended after each.

    Each step's change of the score corrects what the information said of that direction (the BFGS update; Nocedal &
    Wright 2006, equation 6.19).
    """
    logit = np.full(regression.outcome.size, np.inf)
    here = sums(regression, beta, logit, information)
    for _ in range(20):
        step = np.linalg.solve(information, here.score)
        there = sums(regression, beta + step, logit, information)
        change, expected = here.score - there.score, information @ step
        if there.value < here.value or change @ step <= 0:
            break
        beta, here = beta + step, there
        if here.moved <= 10 * CLOSE:
            break
        information = information + np.outer(change, change) / (change @ step)
        information -= np.outer(expected, expected) / (expected @ step)
    return beta


def expit(eta: FloatArray) -> FloatArray:
    """Probability from log odds, elementwise; small probabilities keep their leading digits.

    >>> [f"{p:.12g}" for p in expit(np.array([0.0, -40.0]))]  # the last digits are the processor's
    ['0.5', '4.24835425529e-18']
    """
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-np.asarray(eta, dtype=np.float64))), dtype=np.float64)
