"""Bootstrap over clusters: what it repeats, what it counts, what it refuses."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from causal.effect.bootstrap import Bootstrapped, Procedure, Resampled, _bca, cluster_bootstrap, copies, refuse_invalid
from causal.errors import DesignError, EstimationError


def sample(seed: int = 1, groups: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """Draw outcomes that clusters of one to eight rows share."""
    rng = np.random.default_rng(seed)
    clusters = np.repeat(np.arange(groups), rng.integers(1, 9, groups))
    return rng.normal(size=groups)[clusters] + rng.normal(size=clusters.size), clusters


def run(procedure: Procedure, clusters: np.ndarray, *, draws: int = 400, seed: int = 7) -> Bootstrapped:
    """Bootstrap with a seed."""
    rng = np.random.default_rng(seed)
    return cluster_bootstrap(procedure, clusters, resampled=Resampled.WEIGHTS, rng=rng, draws=draws)


def test_error_of_a_mean_of_clusters() -> None:
    """Clusters of one size: the bootstrap error tends to sd(means, divisor G)/sqrt(G); 4,000 draws, 1.1% each way."""
    rng = np.random.default_rng(2)
    y, clusters = rng.normal(size=60) + rng.normal(size=15).repeat(4), np.arange(15).repeat(4)
    found = run(lambda rows: float(y[rows].mean()), clusters, draws=4000)
    means = y.reshape(15, 4).mean(axis=1)
    assert found.effect.value == pytest.approx(y.mean())
    assert found.effect.std_error == pytest.approx(means.std() / np.sqrt(15), rel=0.035)
    assert (found.effect.df, found.n_clusters, found.draws.size) == (14, 15, 4000)


def test_whole_clusters_are_drawn() -> None:
    """Every draw holds as many clusters as there are, each with all its rows, as often as its copies say."""
    _, clusters = sample()
    sizes = np.bincount(clusters)
    seen = []

    def procedure(rows: np.ndarray) -> float:
        drawn = np.bincount(clusters[rows], minlength=20)
        assert (drawn % sizes == 0).all()
        assert copies(rows).max() + 1 == (drawn // sizes).max()
        seen.append((drawn // sizes).sum())
        return float(rows.mean())

    run(procedure, clusters, draws=199)
    assert seen == [20] * 200 + [19] * 20


def test_the_same_seed_gives_the_same_draws_whatever_came_before() -> None:
    """Each draw has its own generator: the first 300 of 600 are the 300; labels of clusters do not matter."""
    y, clusters = sample()
    few, many, again = (run(lambda rows: float(y[rows].mean()), c, draws=n) for c, n in ((clusters, 300), (clusters, 600), (5 * clusters - 9, 300)))  # fmt: skip  # noqa: E501
    np.testing.assert_array_equal(many.draws[:300], few.draws)
    np.testing.assert_array_equal(again.draws, few.draws)
    assert run(lambda rows: float(y[rows].mean()), clusters, seed=8).effect.std_error != many.effect.std_error


def test_swapped_sign_turns_the_interval() -> None:
    """The bootstrap of minus a procedure is minus its bootstrap, BCa ends included; units scale."""
    y, clusters = sample(3)
    plain = run(lambda rows: float(np.exp(y[rows]).mean()), clusters)
    turned = run(lambda rows: float(-3 * np.exp(y[rows]).mean()), clusters)
    assert (turned.effect.std_error, turned.lower, turned.upper) == pytest.approx(
        (3 * plain.effect.std_error, -3 * plain.upper, -3 * plain.lower), rel=1e-9
    )


def test_bca_moves_towards_the_long_tail() -> None:
    """For a mean of skewed values BCa reaches further up than down, the t interval equally far."""
    y = np.exp(np.random.default_rng(4).normal(size=40) * 1.2)
    found = run(lambda rows: float(y[rows].mean()), np.arange(40), draws=2000)
    up, down = found.upper - found.effect.value, found.effect.value - found.lower
    assert up > 1.3 * down
    assert found.effect.upper - found.effect.value == pytest.approx(found.effect.value - found.effect.lower)


def test_bca_is_scipy_s() -> None:
    """On the draws and jackknife of ``scipy.stats.bootstrap(method="BCa")`` and many clusters: its interval."""
    from scipy.stats import bootstrap

    y = np.exp(np.random.default_rng(5).normal(size=50) * 0.8)
    theirs = bootstrap((y,), np.mean, n_resamples=2000, rng=np.random.default_rng(1))
    left_out = (y.sum() - y) / 49
    ours = _bca(float(y.mean()), theirs.bootstrap_distribution, left_out, 0.95, 10**9)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), rel=1e-6)


def failing(y: np.ndarray, share: float, error: Exception | float) -> Procedure:
    """Mean that fails in about a share of the draws, never in the sample or with one cluster left out."""
    rng = np.random.default_rng(6)

    def procedure(rows: np.ndarray) -> float:
        if np.unique(rows).size < y.size - 1 - (y.size == rows.size) * 1 and rng.random() < share:
            if isinstance(error, Exception):
                raise error
            return error
        return float(y[rows].mean())

    return procedure


@pytest.mark.parametrize("error", [DesignError("design.no_match", "nobody"), float("nan")])
def test_failures_are_counted(error: Exception | float) -> None:
    """A few draws that are refused, or give no number, are counted by code; the others make the interval."""
    y = np.random.default_rng(7).normal(size=30)
    found = run(failing(y, 0.02, error), np.arange(30))
    code = "design.no_match" if isinstance(error, Exception) else "estimation.not_finite"
    assert 0 < found.n_failed <= 20
    assert found.failures == ((code, found.n_failed),)
    assert found.draws.size == 400 - found.n_failed


def test_many_failures_are_refused() -> None:
    """More than 5% of draws without a value leave no fair sample; the reason names the code and no count."""
    y = np.random.default_rng(8).normal(size=30)
    with pytest.raises(EstimationError, match=r"bootstrap_failures.*design\.no_match") as refusal:
        run(failing(y, 0.2, DesignError("design.no_match", "nobody")), np.arange(30))
    assert re.findall(r"\d+", refusal.value.message) == ["5"]  # the limit: the run without each cluster counts them


def test_faults_pass_through() -> None:
    """An error that is no refusal is a fault of the procedure: never counted, never hidden."""
    y = np.random.default_rng(9).normal(size=30)
    with pytest.raises(ZeroDivisionError):
        run(failing(y, 0.2, ZeroDivisionError()), np.arange(30))


def test_invalid_bootstraps_are_refused() -> None:
    """Nearest neighbours sought anew are refused before anything runs; weights and whole sets are not."""
    with pytest.raises(EstimationError) as caught:
        cluster_bootstrap(
            lambda _: pytest.fail("it ran"),
            np.arange(9),
            resampled=Resampled.MATCHES_WITH_REPLACEMENT,
            rng=np.random.default_rng(0),
        )
    assert caught.value.code == "estimation.bootstrap_with_replacement"
    with pytest.raises(EstimationError, match="bootstrap_rematching"):
        refuse_invalid(Resampled.MATCHES_WITHOUT_REPLACEMENT)
    for valid in (Resampled.WEIGHTS, Resampled.MATCHED_SETS):
        refuse_invalid(valid)


def test_other_refusals() -> None:
    """One cluster, few draws, no value or no variation in the sample."""
    y, clusters = sample()
    for procedure, codes, draws, refusal in (
        (lambda rows: float(y[rows].mean()), np.zeros_like(clusters), 400, "too_few_clusters"),
        (lambda rows: float(y[rows].mean()), clusters, 50, "too_few_draws"),
        (lambda _: float("nan"), clusters, 400, "not_finite"),
        (lambda _: 1.0, clusters, 400, "no_standard_error"),
    ):
        with pytest.raises(EstimationError) as caught:
            run(procedure, codes, draws=draws)
        assert caught.value.code == f"estimation.{refusal}"


def test_copies_tell_clusters_apart() -> None:
    """A cluster drawn three times is three, in whatever order its rows come."""
    rows = np.array([3, 1, 3, 3, 2, 1])
    pairs = set(zip(rows.tolist(), copies(rows).tolist(), strict=True))
    assert pairs == {(3, 0), (3, 1), (3, 2), (1, 0), (1, 1), (2, 0)}
    assert all(copies(np.array([a, b])).tolist() == [0, int(a == b)] for a, b in combinations([1, 1, 2], 2))


@pytest.mark.slow
def test_interval_covers() -> None:
    """15 unequal clusters, a ratio of means: t and BCa cover in 90 to 98% of 400 samples (MCSE 1.2%)."""
    rng = np.random.default_rng(10)
    covered = np.zeros(2)
    for _ in range(400):
        clusters = np.repeat(np.arange(15), rng.integers(2, 9, 15))
        y = 1 + 0.4 * rng.normal(size=15)[clusters] + rng.normal(size=clusters.size)
        found = cluster_bootstrap(
            lambda rows, y=y: float(y[rows].mean()), clusters, resampled=Resampled.WEIGHTS, rng=rng, draws=299
        )
        covered += [found.effect.lower <= 1 <= found.effect.upper, found.lower <= 1 <= found.upper]
    assert (covered / 400 > 0.9).all()
    assert (covered / 400 < 0.98).all()
