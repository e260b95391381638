"""What one declared analysis found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Literal

import numpy as np

from causal.effect.contrast import Contrast
from causal.effect.matched_estimates import LinearEffect
from causal.effect.weighted_estimates import WeightedEffect
from causal.errors import EstimationError

Scale = Literal[
    "points",
    "risk difference",
    "hazard ratio",
    "odds ratio",
    "rate ratio",
    "risk ratio",
    "win odds",
    "days",
    "probability",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One number of a finding with its interval.

    Attributes
    ----------
    label
        What it is, in words that follow the finding's title.
    scale
        Its unit; ratios are told as ratios, treated to comparison.
    value, lower, upper, level
        Estimate and interval; `value` is None where only a range is known (bounds).
    std_error, df
        On the scale on which the interval is symmetric (the logarithm for ratios); None for ranges and lotteries.
    clustered_by
        What may be alike within, empty where that has no meaning.
    n_treated, n_comparison
        Occasions by arm behind the number: a number resting on few is not shown.
    events
        Endings by arm behind the number, and nobody else's: None where it does not follow from them alone.
    rated_days
        Days whose ratings go into it, () where none do; None is the primary day, unless it follows from endings alone.
    p_value
        Two-sided; told only where the study declares a family of tests or a lottery.
    p_adjusted
        Holm's, within the declared family.
    """

    label: str
    scale: Scale
    value: float | None
    lower: float
    upper: float
    level: float
    n_treated: int
    n_comparison: int
    std_error: float | None = None
    df: float | None = None
    clustered_by: str = ""
    p_value: float | None = None
    p_adjusted: float | None = None
    events: tuple[int, int] | None = None
    rated_days: tuple[int, ...] | None = None

    def rests_on(self, primary_day: int) -> tuple[int, ...]:
        """Days of the outcome whose ratings go into the number."""
        if self.rated_days is not None:
            return self.rated_days
        return () if self.events is not None else (primary_day,)

    def __post_init__(self) -> None:
        """Refuse an interval without width, whatever it was made of."""
        if not (isfinite(self.lower) and isfinite(self.upper) and self.lower < self.upper):
            raise EstimationError(
                "estimation.no_standard_error", f"{self.label}: the outcome leaves no variation for an interval"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One declared analysis: its lines, or the reason for which it could not be evaluated.

    Attributes
    ----------
    analysis
        Name in the study file.
    title, method
        A heading and one sentence, for people.
    lines
        Empty where nothing could be estimated.
    not_evaluated
        Why nothing, or what of it, could not be estimated: one sentence each.
    notes
        What a reader has to know of how it was done; no result, no count.
    readings
        Sentences that tell a result: shown only where every line is.
    """

    analysis: str
    title: str
    method: str
    lines: tuple[Line, ...] = ()
    not_evaluated: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    readings: tuple[str, ...] = ()


def line_of(
    found: Contrast | LinearEffect | WeightedEffect,
    *,
    label: str,
    scale: Scale,
    counts: tuple[int, int],
    clustered_by: str = "",
    tested: bool = False,
    events: tuple[int, int] | None = None,
    rated_days: tuple[int, ...] | None = None,
) -> Line:
    """A line from an estimate on its own scale; the p-value is kept only where the study tests."""
    return Line(
        label=label,
        scale=scale,
        value=found.value,
        lower=found.lower,
        upper=found.upper,
        level=found.level,
        std_error=found.std_error,
        df=found.df,
        clustered_by=clustered_by,
        n_treated=counts[0],
        n_comparison=counts[1],
        p_value=found.p_value if tested else None,
        events=events,
        rated_days=rated_days,
    )


def told(
    attempts: Mapping[str, Callable[[], Line]],
) -> tuple[tuple[Line, ...], tuple[str, ...]]:
    """The numbers that can be had, by what they are called, and why the others cannot: one silences no other."""
    lines: list[Line] = []
    missing: list[str] = []
    for label, attempt in attempts.items():
        try:
            lines.append(attempt())
        except EstimationError as refusal:
            missing.append(f"{label}: {refusal.message}")
    return tuple(lines), tuple(missing)


def ratio_line(
    found: Contrast,
    *,
    label: str,
    scale: Scale,
    counts: tuple[int, int],
    clustered_by: str = "",
    events: tuple[int, int] | None = None,
) -> Line:
    """A line from an estimate on the logarithm of a ratio.

    >>> from causal.effect.contrast import student
    >>> line = ratio_line(student("log odds", 0.0, 0.1, 50), label="win odds", scale="win odds", counts=(60, 120))
    >>> line.value, round(line.lower * line.upper, 6)
    (1.0, 1.0)
    """
    return Line(
        label=label,
        scale=scale,
        value=float(np.exp(found.value)),
        lower=float(np.exp(found.lower)),
        upper=float(np.exp(found.upper)),
        level=found.level,
        std_error=found.std_error,
        df=found.df,
        clustered_by=clustered_by,
        n_treated=counts[0],
        n_comparison=counts[1],
        events=events,
    )
