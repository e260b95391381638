"""From replicates to bias, empirical and model standard error, coverage and rejection, each with its Monte Carlo error.

Monte Carlo standard errors (MCSE) as in Morris, White & Crowther (2019), Stat Med 38:2074-2102, table 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from replicate import Replicate

LARGEST_BIAS = 0.02
COVERAGE = (0.93, 0.97)
LARGEST_TYPE_I = 0.065
RATIO = (0.9, 1.15)
FEWEST_SETS = 60.0
"""Matched treated occasions from which on the limit for the type I error holds."""
NAIVE_AT_MOST = -0.25


TOO_FEW = "design.too_few_events"
"""A world may by chance hold too few warned for its model of the choice, which is refused before its outcomes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How one estimand fared over R replicates of one setting.

    Attributes
    ----------
    truth
        Mean over replicates of the true effect among the matched treated occasions: the superpopulation value of the
        target population.
    bias, bias_mcse
        Mean of the estimate minus that replicate's own truth, and its (paired) MCSE.
    empirical_se, model_se
        Standard deviation of the estimates over replicates; mean of the standard errors they came with.
    coverage, coverage_mcse
        Share of intervals that hold `truth`.
    rejection, rejection_mcse
        Share of intervals that do not hold 0.
    refused, refused_mcse
        Share of replicates in which the study refused; the rest of the figures are of the others.
    mean_sets, least_sets
        Matched treated occasions; the mean is over all replicates in which a design was made.
    naive, naive_mcse
        Mean of the contrast ever warned minus never warned from intake.
    """

    estimand: str
    replicates: int
    truth: float
    bias: float
    bias_mcse: float
    empirical_se: float
    model_se: float
    coverage: float
    coverage_mcse: float
    rejection: float
    rejection_mcse: float
    refused: float
    refused_mcse: float
    mean_sets: float
    least_sets: int
    naive: float
    naive_mcse: float

    @property
    def ratio(self) -> float:
        """Model over empirical standard error; 1 is right, less is overconfident."""
        return self.model_se / self.empirical_se


@dataclass(frozen=True, slots=True, kw_only=True)
class Criterion:
    """One demand on one setting: the figure, its Monte Carlo error, and the limits it should lie within."""

    name: str
    sentence: str
    figure: float
    error: float
    low: float
    high: float

    @property
    def met(self) -> bool:
        """The figure itself lies within the limits."""
        return self.low <= self.figure <= self.high

    @property
    def missed(self) -> bool:
        """It lies outside by more than two Monte Carlo errors: chance alone does not do that."""
        return not self.low - 2 * self.error <= self.figure <= self.high + 2 * self.error

    @property
    def verdict(self) -> str:
        """In words."""
        return "met" if self.met else "missed" if self.missed else "met within Monte Carlo error"


def performance(estimand: str, replicates: Sequence[Replicate]) -> Performance | None:
    """Summarise one estimand; None where fewer than two replicates have an answer.

    >>> from replicate import Answer
    >>> def one(value, truth):
    ...     answer = Answer(value=value, std_error=0.1, lower=value - 0.2, upper=value + 0.2, truth=truth)
    ...     return Replicate(answers={"composite": answer}, n_sets=70, naive=-0.3)
    >>> refused = Replicate(answers={}, refused="design.no_overlap")
    >>> p = performance("composite", [one(0.25, 0.1), one(0.35, 0.2), one(0.06, 0.3), refused])
    >>> round(p.truth, 6), round(p.bias, 6), round(p.coverage, 4), round(p.rejection, 4), p.refused
    (0.2, 0.02, 1.0, 0.6667, 0.25)
    """
    answered = [replicate for replicate in replicates if estimand in replicate.answers]
    count = len(answered)
    if count < 2:
        return None
    answers = [replicate.answers[estimand] for replicate in answered]
    value, error, lower, upper, truth = (
        np.array([getattr(answer, name) for answer in answers])
        for name in ("value", "std_error", "lower", "upper", "truth")
    )
    target = float(truth.mean())
    coverage = float(((lower <= target) & (target <= upper)).mean())
    rejection = float(((lower > 0) | (upper < 0)).mean())
    refused = 1 - count / len(replicates)
    naive = np.array([replicate.naive for replicate in replicates])
    sets = np.array([replicate.n_sets for replicate in replicates if replicate.n_sets])
    return Performance(
        estimand=estimand,
        replicates=count,
        truth=target,
        bias=float((value - truth).mean()),
        bias_mcse=float((value - truth).std(ddof=1) / np.sqrt(count)),
        empirical_se=float(value.std(ddof=1)),
        model_se=float(error.mean()),
        coverage=coverage,
        coverage_mcse=share_mcse(coverage, count),
        rejection=rejection,
        rejection_mcse=share_mcse(rejection, count),
        refused=refused,
        refused_mcse=share_mcse(refused, len(replicates)),
        mean_sets=float(sets.mean()),
        least_sets=int(sets.min()),
        naive=float(naive.mean()),
        naive_mcse=float(naive.std(ddof=1) / np.sqrt(len(naive))),
    )


def share_mcse(share: float, count: int) -> float:
    """Monte Carlo standard error of a share of `count` replicates.

    >>> round(share_mcse(0.95, 400), 4)
    0.0109
    """
    return float(np.sqrt(share * (1 - share) / count))


def criteria(p: Performance, *, null: bool, immortal: bool, few_clinicians: bool = False) -> tuple[Criterion, ...]:
    """What is demanded of one estimand in one setting; the limit of the bias holds its Monte Carlo error.

    With few clinicians the main interval is the wider of two, and the standard errors behind it are now one kind's, now
    the other's: it must cover as often as it says, and may cover more often.
    """
    limit = max(LARGEST_BIAS, 2 * p.bias_mcse)
    found = [
        Criterion(
            name="bias",
            sentence=f"|bias| <= max({LARGEST_BIAS}, 2 MCSE)",
            figure=p.bias,
            error=0.0,
            low=-limit,
            high=limit,
        ),
        Criterion(
            name="coverage",
            sentence=f"coverage >= {COVERAGE[0]}" if few_clinicians else f"coverage in [{COVERAGE[0]}, {COVERAGE[1]}]",
            figure=p.coverage,
            error=share_mcse(0.95, p.replicates),
            low=COVERAGE[0],
            high=1.0 if few_clinicians else COVERAGE[1],
        ),
    ]
    if not few_clinicians:
        found.append(
            Criterion(
                name="standard error",
                sentence=f"model SE / empirical SE in [{RATIO[0]}, {RATIO[1]}]",
                figure=p.ratio,
                error=p.ratio / np.sqrt(2 * (p.replicates - 1)),
                low=RATIO[0],
                high=RATIO[1],
            )
        )
    if null and p.mean_sets >= FEWEST_SETS:
        found.append(
            Criterion(
                name="type I error",
                sentence=f"type I error <= {LARGEST_TYPE_I}",
                figure=p.rejection,
                error=share_mcse(0.05, p.replicates),
                low=0.0,
                high=LARGEST_TYPE_I,
            )
        )
    if immortal and p.estimand == "termination":
        found.append(
            Criterion(
                name="naive contrast",
                sentence=f"naive contrast from intake <= {NAIVE_AT_MOST} where the effect is 0",
                figure=p.naive,
                error=p.naive_mcse,
                low=-1.0,
                high=NAIVE_AT_MOST,
            )
        )
    return tuple(found)


def refusal_criterion(code: str, replicates: Sequence[Replicate]) -> Criterion:
    """What is demanded of a world that must be refused: every replicate, by this code or for few warned before it."""
    share = sum(replicate.refused in (code, TOO_FEW) for replicate in replicates) / len(replicates)
    return Criterion(
        name="refusal", sentence=f"refused by {code} in every replicate", figure=share, error=0.0, low=1.0, high=1.0
    )
