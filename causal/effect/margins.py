"""Non-inferiority and equivalence: whether the effect is shown to lie inside a margin declared beforehand.

A difference that is not significant is never evidence of no effect; only an interval inside the margin is. Both tests
are read from one-sided bounds of the same Student t as the estimate's own interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

from scipy.special import stdtr, stdtrit

from causal.effect.contrast import Contrast
from causal.errors import EstimationError

Better = Literal["higher", "lower"]


class Verdict(Enum):
    """What a test against a margin shows. Not shown is not the opposite shown."""

    NON_INFERIOR = "non-inferior"
    EQUIVALENT = "equivalent"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """Whether the treated are shown to be less than `margin` worse than the comparisons.

    Attributes
    ----------
    margin, better
        Declared beforehand: above 0, in units of the outcome; which direction is better.
    bound, level
        One-sided bound of the difference on its worse side, and its level (0.975).
    p_value
        One-sided, for a difference of exactly the margin on the worse side.
    shown, verdict
        Whether the bound lies strictly inside the margin.
    """

    margin: float
    better: Better
    bound: float
    level: float
    p_value: float
    shown: bool
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether the difference is shown to lie between `low` and `high`.

    Attributes
    ----------
    low, high
        Declared beforehand: below and above 0, in units of the outcome.
    lower, upper, level
        Interval (0.90) of which each end is a one-sided bound of ``(1 + level)/2``.
    p_value
        The larger of the two one-sided p-values.
    shown, verdict
        Whether the interval lies strictly between low and high.
    """

    low: float
    high: float
    lower: float
    upper: float
    level: float
    p_value: float
    shown: bool
    verdict: Verdict


def non_inferiority(effect: Contrast, *, margin: float, better: Better, level: float = 0.975) -> NonInferiority:
    """One-sided test that the treated are less than `margin` worse.

    Parameters
    ----------
    effect
        Difference, treated minus comparison, with its standard error and degrees of freedom.
    margin
        Above 0, in units of the outcome, whatever the direction.
    better
        Whether higher or lower outcomes are better.
    level
        Of the one-sided bound.

    Raises
    ------
    EstimationError
        ``estimation.margin``, ``estimation.level``.

    Notes
    -----
    ICH E9 3.3.2 and 5.2; one-sided 97.5%, so that the bound is the end of the two-sided 95% interval.

    >>> from causal.effect.contrast import student
    >>> found = non_inferiority(student("difference", -0.1, 0.1, 60), margin=0.35, better="higher")
    >>> round(found.bound, 4), round(found.p_value, 4), found.verdict.value
    (-0.3, 0.0076, 'non-inferior')
    """
    if not 0 < margin < float("inf"):
        raise EstimationError("estimation.margin", "a margin of non-inferiority is a number above 0")
    _refuse_level(level)
    sign = 1.0 if better == "higher" else -1.0
    worst = sign * effect.value - float(stdtrit(effect.df, level)) * effect.std_error
    shown = worst > -margin
    return NonInferiority(
        margin=margin,
        better=better,
        bound=sign * worst,
        level=level,
        p_value=float(stdtr(effect.df, -(sign * effect.value + margin) / effect.std_error)),
        shown=shown,
        verdict=Verdict.NON_INFERIOR if shown else Verdict.NOT_SHOWN,
    )


def equivalence(effect: Contrast, *, low: float, high: float, level: float = 0.90) -> Equivalence:
    """Two one-sided tests that the difference lies between `low` and `high`.

    Parameters
    ----------
    effect
        Difference with its standard error and degrees of freedom.
    low, high
        Margins, ``low < 0 < high``, in units of the outcome.
    level
        Of the two-sided interval; each one-sided test has size ``(1 - level)/2``, 5% by default.

    Raises
    ------
    EstimationError
        ``estimation.margin``, ``estimation.level``.

    Notes
    -----
    Schuirmann (1987), J Pharmacokinet Biopharm 15:657-680: both tests reject exactly where the 90% interval lies
    inside the margins.

    >>> from causal.effect.contrast import student
    >>> found = equivalence(student("difference", 0.05, 0.1, 60), low=-0.2, high=0.2)
    >>> round(found.lower, 4), round(found.upper, 4), round(found.p_value, 4), found.verdict.value
    (-0.1171, 0.2171, 0.0694, 'not shown')
    """
    if not float("-inf") < low < 0 < high < float("inf"):
        raise EstimationError("estimation.margin", "margins of equivalence are numbers, one below and one above 0")
    _refuse_level(level)
    half = float(stdtrit(effect.df, (1 + level) / 2)) * effect.std_error
    lower, upper = effect.value - half, effect.value + half
    above_low = float(stdtr(effect.df, (low - effect.value) / effect.std_error))
    below_high = float(stdtr(effect.df, (effect.value - high) / effect.std_error))
    shown = low < lower and upper < high
    return Equivalence(
        low=low,
        high=high,
        lower=lower,
        upper=upper,
        level=level,
        p_value=max(above_low, below_high),
        shown=shown,
        verdict=Verdict.EQUIVALENT if shown else Verdict.NOT_SHOWN,
    )


def _refuse_level(level: float) -> None:
    if not 0.5 <= level < 1:
        raise EstimationError("estimation.level", "the level of a bound is at least 0.5 and below 1")
