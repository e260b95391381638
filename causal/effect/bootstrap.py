"""Bootstrap of a whole procedure over clusters, where it is known to be valid, and a refusal where it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from causal.effect.contrast import Contrast, student
from causal.errors import EstimationError, RapportError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Procedure = Callable[[IntArray], float]

MOST_FAILURES = 0.05


class Resampled(Enum):
    """What a draw does again, which decides whether the bootstrap is valid.

    WEIGHTS: scores and weights, or strata of them, estimated anew in each draw: smooth in the data, valid.
    MATCHED_SETS: sets matched once without replacement and then kept whole (no cluster cuts a set): valid for
    regression after matching (Abadie & Spiess 2022, JASA 117:983-995).
    MATCHES_WITHOUT_REPLACEMENT, MATCHES_WITH_REPLACEMENT: nearest neighbours sought anew in each draw. A draw's
    duplicates change how often a comparison is the nearest; with replacement the bootstrap is known to fail in any
    sample size (Abadie & Imbens 2008, Econometrica 76:1537-1557), without it no proof supports it.
    """

    WEIGHTS = "weights"
    MATCHED_SETS = "matched sets"
    MATCHES_WITHOUT_REPLACEMENT = "matches without replacement"
    MATCHES_WITH_REPLACEMENT = "matches with replacement"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bootstrapped:
    """A procedure's value with intervals from resampling G clusters.

    Attributes
    ----------
    effect
        Value in the sample, bootstrap standard error, t interval on G - 1 degrees of freedom.
    lower, upper
        BCa interval (bias-corrected and accelerated) at the same level, on ranks that a t with G - 1 degrees of freedom
        widens: for skewed estimates.
    draws
        (d,) values of the draws that gave one.
    n_failed, failures
        Draws the procedure refused, and how many by code.
    n_clusters
        G.
    """

    effect: Contrast
    lower: float
    upper: float
    draws: FloatArray
    n_failed: int
    failures: tuple[tuple[str, int], ...]
    n_clusters: int


def cluster_bootstrap(
    procedure: Procedure,
    clusters: IntArray,
    *,
    resampled: Resampled,
    rng: np.random.Generator,
    draws: int = 999,
    level: float = 0.95,
    label: str = "difference",
) -> Bootstrapped:
    """Value of a procedure with intervals from drawing whole clusters, as many as there are, with replacement.

    Parameters
    ----------
    procedure
        From rows (any length, repeats allowed) to a value. Rows come in order of clusters drawn; `copies` tells the
        copies of a cluster apart, where the procedure itself clusters or matches.
    clusters
        (n,) codes of the independent units, as clinicians.
    resampled
        What the procedure does anew; see `Resampled`.
    rng
        Each draw has a generator of its own, spawned from it: the result does not depend on the order of draws.
    draws
        Number of draws; 199 at least.

    Raises
    ------
    EstimationError
        Those of `refuse_invalid`; ``estimation.too_few_clusters``, ``estimation.too_few_draws``,
        ``estimation.not_finite``, ``estimation.bootstrap_failures`` (more than 5% of draws were refused),
        ``estimation.no_standard_error``; whatever the procedure raises for the sample itself. Of a draw only the
        project's own refusals are counted: any other exception is a fault and passes through.

    Notes
    -----
    Cameron, Gelbach & Miller (2008), Rev Econ Stat 90:414-427; Davison & Hinkley (1997), 5.3, for BCa, its acceleration
    from leaving out one cluster at a time (G more runs). Percentile-t is not offered: it needs a standard error in each
    draw, which a procedure of several steps does not have.

    >>> y, clinician = np.arange(40.0) % 7, np.repeat(np.arange(10), 4)
    >>> found = cluster_bootstrap(lambda rows: float(y[rows].mean()), clinician, resampled=Resampled.WEIGHTS,
    ...                           rng=np.random.default_rng(1), draws=400)
    >>> found.effect.value, found.effect.df, found.n_failed, bool(found.lower < found.effect.value < found.upper)
    (2.875, 9.0, 0, True)
    """
    refuse_invalid(resampled)
    code = np.unique(np.asarray(clusters), return_inverse=True)[1]
    members = np.split(np.argsort(code, kind="stable"), np.cumsum(np.bincount(code))[:-1])
    g = len(members)
    if g < 2:
        raise EstimationError("estimation.too_few_clusters", "resampling clusters needs 2 clusters or more")
    if draws < 199:
        raise EstimationError("estimation.too_few_draws", "a bootstrap interval needs 199 draws or more")
    value = procedure(np.concatenate(members))
    if not np.isfinite(value):
        raise EstimationError("estimation.not_finite", "the procedure gives no finite value in the sample")
    picks = (one.integers(g, size=g) for one in rng.spawn(draws))
    values, failures = _run(procedure, (np.concatenate([members[i] for i in pick]) for pick in picks))
    _refuse_failures(failures, draws)
    left_out, unheard = _run(procedure, (np.concatenate(members[:i] + members[i + 1 :]) for i in range(g)))
    _refuse_failures(unheard, g)
    lower, upper = _bca(value, values, left_out, level, g)
    if not lower < upper:
        raise EstimationError(
            "estimation.no_standard_error",
            "nearly all resamples give one value: an interval of their quantiles has no width",
            fix="describe, do not estimate",
        )
    return Bootstrapped(
        effect=student(label, value, float(values.std(ddof=1)), float(g - 1), level=level),
        lower=lower,
        upper=upper,
        draws=values,
        n_failed=draws - values.size,
        failures=tuple(sorted(failures.items())),
        n_clusters=g,
    )


def refuse_invalid(resampled: Resampled) -> None:
    """Refuse a bootstrap that is known to give wrong intervals.

    Raises
    ------
    EstimationError
        ``estimation.bootstrap_with_replacement`` for nearest neighbours sought anew with replacement,
        ``estimation.bootstrap_rematching`` for those without.
    """
    if resampled is Resampled.MATCHES_WITH_REPLACEMENT:
        raise EstimationError(
            "estimation.bootstrap_with_replacement",
            "the bootstrap is invalid for nearest-neighbour matching with replacement",
            fix="use the Abadie-Imbens variance",
        )
    if resampled is Resampled.MATCHES_WITHOUT_REPLACEMENT:
        raise EstimationError(
            "estimation.bootstrap_rematching",
            "a bootstrap that matches nearest neighbours anew in each draw is not known to be valid",
            fix="resample matched sets that are kept whole, or cluster the standard error on them",
        )


def copies(rows: IntArray) -> IntArray:
    """Which copy each row of a draw is: 0 for the first time a row occurs, 1 for the second, and on.

    A cluster drawn twice is two clusters: its code together with the copy is one of its own.

    >>> copies(np.array([4, 5, 0, 1, 4, 5])).tolist()
    [0, 0, 0, 0, 1, 1]
    """
    order = np.argsort(rows, kind="stable")
    first = np.r_[True, rows[order][1:] != rows[order][:-1]]
    place = np.arange(rows.size)
    rank = place - np.maximum.accumulate(np.where(first, place, 0))
    found = np.empty(rows.size, dtype=np.int64)
    found[order] = rank
    return found


def _run(procedure: Procedure, samples: Iterable[IntArray]) -> tuple[FloatArray, Counter[str]]:
    """Values of the samples that give one, and the refusals of the others by code."""
    values: list[float] = []
    failures: Counter[str] = Counter()
    for rows in samples:
        try:
            value = procedure(rows)
        except RapportError as refusal:
            failures[refusal.code] += 1
            continue
        if np.isfinite(value):
            values.append(value)
        else:
            failures["estimation.not_finite"] += 1
    return np.array(values), failures


def _refuse_failures(failures: Counter[str], runs: int) -> None:
    failed = failures.total()
    if failed > MOST_FAILURES * runs:
        code, _ = failures.most_common(1)[0]
        raise EstimationError(
            "estimation.bootstrap_failures",
            f"more than {MOST_FAILURES:.0%} of the resamples gave no value, most often because of {code}: what is left "
            "is no fair sample",
            fix="cluster the standard error instead, or adjust for fewer covariates",
        )


def _bca(value: float, draws: FloatArray, left_out: FloatArray, level: float, g: int) -> tuple[float, float]:
    """BCa interval from the draws and the values without each cluster."""
    below = ((draws < value).sum() + 0.5 * (draws == value).sum()) / draws.size
    bias = float(ndtri(np.clip(below, 0.5 / draws.size, 1 - 0.5 / draws.size)))
    pull = left_out.mean() - left_out
    spread = float((pull**2).sum())
    acceleration = float((pull**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    half = float(stdtrit(g - 1, (1 + level) / 2))
    shifted = bias + np.array([-half, half])
    ranks = ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-12))  # beyond it the interval has no end
    lower, upper = np.quantile(draws, ranks)
    return float(lower), float(upper)
