"""The effect of a treatment given in groups to one arm only."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.effect.multilevel.mixed_degrees_of_freedom import DegreesOfFreedom
from causal.effect.multilevel.partially_nested import partially_nested_alliance
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def trial(
    rng: np.random.Generator, *, groups: int = 8, size: int = 6, alone: int = 40, balanced: bool = True
) -> tuple[FloatArray, BoolArray, IntArray]:
    """Groups of treated with a variance of 0.5 between and 1 within, and comparisons with variance 0.36."""
    sizes = np.full(groups, size) if balanced else rng.integers(2, 2 * size - 1, groups)
    member = np.repeat(np.arange(groups), sizes)
    grouped = 0.5**0.5 * rng.normal(size=groups)[member] + rng.normal(size=member.size)
    y = np.r_[grouped - 0.4, 0.6 * rng.normal(size=alone)]
    return y, np.arange(y.size) < member.size, np.r_[member, np.full(alone, -1)]


def test_balanced_groups_by_hand() -> None:
    """Closed forms: mean squares, the error of two means, and Welch's degrees of freedom from groups and persons."""
    y, treated, group = trial(np.random.default_rng(1))
    means = y[treated].reshape(8, 6).mean(axis=1)
    within = ((y[treated].reshape(8, 6) - means[:, None]) ** 2).sum() / 40
    a, b = means.var(ddof=1) / 8, y[~treated].var(ddof=1) / 40
    found = partially_nested_alliance(y, treated, group=group)
    (effect,) = found.contrasts
    assert effect.value == pytest.approx(means.mean() - y[~treated].mean(), rel=1e-9)
    assert effect.std_error == pytest.approx((a + b) ** 0.5, rel=1e-7)
    assert effect.df == pytest.approx((a + b) ** 2 / (a**2 / 7 + b**2 / 39), rel=1e-6)
    assert [v.value for v in found.variances] == pytest.approx(
        [means.var(ddof=1) - within / 6, y[~treated].var(ddof=1), within], rel=1e-6
    )
    assert [(v.level, v.term) for v in found.variances] == [
        ("group", "treated"),
        ("residual", "comparison"),
        ("residual", "treated"),
    ]
    assert found.intraclass[0].value == pytest.approx(
        found.variances[0].value / (found.variances[0].value + found.variances[2].value)
    )


def test_cluster_robust_takes_every_comparison_for_a_cluster() -> None:
    """Balanced groups: CR2 gives the error of the mean of groups and of the mean of persons, as the model does."""
    y, treated, group = trial(np.random.default_rng(2))
    model, robust = (
        partially_nested_alliance(y, treated, group=group, degrees_of_freedom=way).contrasts[0]
        for way in ("satterthwaite", "cluster_robust")
    )
    assert robust.std_error == pytest.approx(model.std_error, rel=1e-6)
    assert robust.df == pytest.approx(model.df, rel=1e-4)


def test_likelihood_in_full_matrices() -> None:
    """Unequal groups and two visits: the likelihood of n x n matrices, and no lower one at variances changed by 1 %."""
    rng = np.random.default_rng(3)
    y, treated, group = trial(rng, balanced=False)
    patient = np.repeat(np.arange(y.size), 2)
    y = y[patient] + 0.5 * rng.normal(size=patient.size)
    treated, group = treated[patient], group[patient]
    x = np.column_stack([np.ones(y.size), treated])
    found = partially_nested_alliance(y, treated, group=group, patient=patient)

    def log_likelihood(variances: list[float]) -> float:
        same = patient[:, None] == patient[None, :]
        together = (group[:, None] == group[None, :]) & treated[:, None] & treated[None, :]
        v = variances[0] * same + variances[1] * together + np.diag(np.where(treated, variances[3], variances[2]))
        information = x.T @ np.linalg.solve(v, x)
        rest = y - x @ np.linalg.solve(information, x.T @ np.linalg.solve(v, y))
        log_det = np.linalg.slogdet(v)[1] + np.linalg.slogdet(information)[1]
        return float(-0.5 * ((y.size - 2) * np.log(2 * np.pi) + log_det + rest @ np.linalg.solve(v, rest)))

    best = [v.value for v in found.variances]
    assert found.log_likelihood == pytest.approx(log_likelihood(best), rel=1e-10)
    for i in range(4):
        for factor in (0.99, 1.01):
            assert log_likelihood([v * (factor if i == j else 1) for j, v in enumerate(best)]) < found.log_likelihood
    assert [i.level for i in found.intraclass] == ["patient, comparison", "patient, treated", "group"]


def test_codes_of_comparisons_are_not_read() -> None:
    """Any code of a comparison, also that of a treatment group, gives the same result."""
    y, treated, group = trial(np.random.default_rng(4), balanced=False)
    one = partially_nested_alliance(y, treated, group=group)
    other = partially_nested_alliance(y, treated, group=np.where(treated, group, np.arange(y.size) % 8))
    assert other.contrasts == one.contrasts


def test_refusals() -> None:
    """Groups of one member, one group, patients in both arms."""
    y, treated, group = trial(np.random.default_rng(5))
    with pytest.raises(EstimationError, match="singletons_only"):
        partially_nested_alliance(y, treated, group=np.arange(y.size))
    with pytest.raises(EstimationError, match="too_few_clusters"):
        partially_nested_alliance(y, treated, group=0 * group)
    with pytest.raises(EstimationError, match="two_arms"):
        partially_nested_alliance(y, treated, group=group, patient=np.arange(y.size) % 44)


def coverage(way: DegreesOfFreedom, replicates: int) -> tuple[float, float]:
    """Share of 95 % intervals that hold the truth of -0.4, and mean error in units of its Monte Carlo error."""
    rng = np.random.default_rng(99)
    held, errors = [], []
    for _ in range(replicates):
        y, treated, group = trial(rng, balanced=False)
        (found,) = partially_nested_alliance(y, treated, group=group, degrees_of_freedom=way).contrasts
        held.append(found.lower < -0.4 < found.upper)
        errors.append(found.value + 0.4)
    return float(np.mean(held)), float(np.mean(errors) / (np.std(errors) / replicates**0.5))


def test_recovers_the_effect_with_eight_groups() -> None:
    """150 replicates: coverage within 3 Monte Carlo errors (1.8 points each) of 95 %, no bias beyond 3 of its own."""
    held, bias = coverage("satterthwaite", 150)
    assert abs(held - 0.95) < 3 * (0.95 * 0.05 / 150) ** 0.5
    assert abs(bias) < 3


@pytest.mark.slow
@pytest.mark.parametrize("way", ["satterthwaite", "kenward_roger", "cluster_robust"])
def test_coverage_with_eight_groups(way: DegreesOfFreedom) -> None:
    """1,500 replicates: coverage within 3 Monte Carlo errors of 95 %."""
    held, bias = coverage(way, 1500)
    assert abs(held - 0.95) < 3 * (0.95 * 0.05 / 1500) ** 0.5
    assert abs(bias) < 3
