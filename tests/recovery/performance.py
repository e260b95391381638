"""From replicates to bias, empirical and model standard error, coverage and rejection, each with its Monte Carlo error.

Monte Carlo standard errors (MCSE) as in Morris, White & Crowther (2019), Stat Med 38:2074-2102, table 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from replicate import Replicate

LARGEST_BIAS = 0.02
COVERAGE = (0.925, 0.975)
LARGEST_TYPE_I = 0.075
RATIO = (0.9, 1.15)
FEWEST_SETS = 60.0
NAIVE_AT_MOST = -0.25


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
    mean_sets, least_sets
        Matched sets.
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
    """One demand on one setting, with the figure and whether it is met."""

    sentence: str
    figure: str
    met: bool


def performance(estimand: str, replicates: Sequence[Replicate]) -> Performance:
    """Summarise one estimand over two or more replicates.

    >>> from replicate import Answer
    >>> def one(value, truth):
    ...     answer = Answer(value=value, std_error=0.1, lower=value - 0.2, upper=value + 0.2, truth=truth)
    ...     return Replicate(answers={"composite": answer}, n_sets=70, naive=-0.3)
    >>> p = performance("composite", [one(0.25, 0.1), one(0.35, 0.2), one(0.06, 0.3)])
    >>> round(p.truth, 6), round(p.bias, 6), round(p.coverage, 4), round(p.rejection, 4)
    (0.2, 0.02, 1.0, 0.6667)
    """
    answers = [replicate.answers[estimand] for replicate in replicates]
    value, error, lower, upper, truth = (
        np.array([getattr(answer, name) for answer in answers])
        for name in ("value", "std_error", "lower", "upper", "truth")
    )
    count = len(answers)
    target = float(truth.mean())
    coverage = float(((lower <= target) & (target <= upper)).mean())
    rejection = float(((lower > 0) | (upper < 0)).mean())
    naive = np.array([replicate.naive for replicate in replicates])
    sets = np.array([replicate.n_sets for replicate in replicates])
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
        mean_sets=float(sets.mean()),
        least_sets=int(sets.min()),
        naive=float(naive.mean()),
        naive_mcse=float(naive.std(ddof=1) / np.sqrt(count)),
    )


def share_mcse(share: float, count: int) -> float:
    """Monte Carlo standard error of a share of `count` replicates.

    >>> round(share_mcse(0.95, 400), 4)
    0.0109
    """
    return float(np.sqrt(share * (1 - share) / count))


def criteria(p: Performance, *, null: bool, immortal: bool) -> tuple[Criterion, ...]:
    """What is demanded of one estimand in one setting."""
    limit = max(LARGEST_BIAS, 2 * p.bias_mcse)
    found = [
        Criterion(
            sentence=f"|bias| <= max({LARGEST_BIAS}, 2 MCSE) = {limit:.4f}",
            figure=f"{p.bias:+.4f}",
            met=abs(p.bias) <= limit,
        ),
        Criterion(
            sentence=f"coverage in [{COVERAGE[0]}, {COVERAGE[1]}]",
            figure=f"{p.coverage:.3f}",
            met=COVERAGE[0] <= p.coverage <= COVERAGE[1],
        ),
        Criterion(
            sentence=f"model SE / empirical SE in [{RATIO[0]}, {RATIO[1]}]",
            figure=f"{p.ratio:.3f}",
            met=RATIO[0] <= p.ratio <= RATIO[1],
        ),
        Criterion(
            sentence=f"mean matched sets >= {FEWEST_SETS:.0f}",
            figure=f"{p.mean_sets:.1f}",
            met=p.mean_sets >= FEWEST_SETS,
        ),
    ]
    if null:
        met = p.rejection <= LARGEST_TYPE_I
        found.append(Criterion(sentence=f"type I error <= {LARGEST_TYPE_I}", figure=f"{p.rejection:.3f}", met=met))
    if immortal and p.estimand == "termination":
        sentence = f"naive contrast from intake <= {NAIVE_AT_MOST} where the effect is 0"
        found.append(Criterion(sentence=sentence, figure=f"{p.naive:+.3f}", met=p.naive <= NAIVE_AT_MOST))
    return tuple(found)
