"""Response weights: unbiased where complete cases are not, by hand where everything can be counted."""

from __future__ import annotations

import numpy as np
import pytest

from causal.design.propensity.logistic import expit
from causal.effect.missing.dropout_weights import dropout_weights
from causal.errors import EstimationError


def trial(rng: np.random.Generator, n: int, *, gaps: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ratings of two visits, arm, baseline; who fell at the first visit is less likely to be rated at the second.

    The arm changes the first visit by -0.6, and the second, in truth, by -0.5.
    """
    arm, baseline = rng.random(n) < 0.5, rng.normal(size=n)
    first = 0.5 * baseline - 0.6 * arm + rng.normal(0, 0.6, n)
    second = 0.25 * baseline + 0.5 * first - 0.2 * arm + rng.normal(0, 0.4, n)
    second[rng.random(n) > expit(0.8 + 1.6 * first)] = np.nan
    if gaps:
        first[rng.random(n) < 0.1] = np.nan
    return np.column_stack([first, second]), arm, baseline[:, None]


def adjusted_difference(y: np.ndarray, arm: np.ndarray, x: np.ndarray, w: np.ndarray) -> float:
    """Arm coefficient of a weighted regression on arm and baseline."""
    rows = w > 0
    root = np.sqrt(w[rows])
    design = np.column_stack([np.ones(rows.sum()), arm[rows], x[rows]]) * root[:, None]
    return float(np.linalg.lstsq(design, y[rows] * root, rcond=None)[0][1])


@pytest.mark.parametrize("adjusted", [True, False])
def test_unbiased_where_complete_cases_are_not(adjusted: bool) -> None:
    """Dropout at random given the first visit: complete cases off by .04, weighted within .02 (MCSE .004)."""
    rng = np.random.default_rng(1)
    errors = []
    for _ in range(100):
        scores, arm, x = trial(rng, 2000)
        going = np.ones_like(scores, dtype=bool)
        found = dropout_weights(scores, continuing=going, treated=arm, baseline=x, adjusted=adjusted)
        used = (np.isfinite(scores[:, 1]).astype(float), found.weight[:, 1], found.untruncated[:, 1])
        errors.append([adjusted_difference(scores[:, 1], arm, x, w) + 0.5 for w in used])
    plain, weighted, untruncated = np.mean(errors, axis=0)
    assert (np.std(errors, axis=0) / 10 < 0.004).all()
    assert plain > 0.03
    assert abs(weighted) < 0.02
    assert abs(untruncated) < 0.012


def test_truncation_costs_bias_and_is_beside_the_untruncated() -> None:
    """Only the outermost hundredths are set to their quantiles, the others stay as they were."""
    scores, arm, x = trial(np.random.default_rng(2), 1500)
    found = dropout_weights(scores, continuing=np.ones_like(scores, dtype=bool), treated=arm, baseline=x)
    used = found.used[:, 1]
    low, high = np.quantile(found.untruncated[used, 1], [0.01, 0.99])
    np.testing.assert_allclose(found.weight[used, 1], np.clip(found.untruncated[used, 1], low, high))
    assert (found.weight[~used, 1] == 0).all()
    assert found.largest < found.largest_untruncated
    assert found.beyond == (found.weight != found.untruncated).sum() > 0


def test_by_hand_with_a_binary_history() -> None:
    """With one binary first rating the weight is the share rated over the share rated among those like one's own."""
    first = np.repeat([0.0, 1.0], 200)
    rated = np.r_[np.arange(200) < 80, np.arange(200) < 160]
    scores = np.column_stack([first, np.where(rated, 1.0, np.nan)])
    everyone = np.ones(400, dtype=bool)
    alternating = np.arange(400) % 2 == 0
    found = dropout_weights(
        scores,
        continuing=np.ones((400, 2), bool),
        treated=alternating,
        baseline=np.zeros((400, 1)),
        truncate=None,
    )
    expected = np.where(first == 0, 0.6 / 0.4, 0.6 / 0.8)
    np.testing.assert_allclose(found.weight[rated, 1], expected[rated], rtol=1e-6)
    np.testing.assert_allclose(found.weight[:, 0], everyone, rtol=1e-12)
    assert found.method == "pooled logistic regression"
    assert found.effective[0] == pytest.approx(400)


def test_product_over_visits() -> None:
    """Under monotone dropout the weight of a visit is the product of the ratios so far."""
    rng = np.random.default_rng(3)
    full = np.cumsum(rng.normal(size=(900, 3)), axis=1)
    gone = np.zeros(900, dtype=bool)
    for t in (1, 2):
        gone |= rng.random(900) > expit(1.5 + full[:, t - 1])
        full[gone, t] = np.nan
    arm, going = rng.random(900) < 0.5, np.ones((900, 3), dtype=bool)
    found = dropout_weights(full, continuing=going, treated=arm, baseline=rng.normal(size=(900, 1)), adjusted=False)
    rated = np.isfinite(full)
    shares = np.ones((900, 3))
    for t in (1, 2):
        for rows in (arm, ~arm):
            shares[rows, t] = rated[rows, t].sum() / rated[rows, t - 1].sum()
    np.testing.assert_allclose(
        found.untruncated[rated[:, 2], 2], (shares / found.probability).prod(axis=1)[rated[:, 2]]
    )


def test_gaps_by_statement() -> None:
    """A rating after a gap is set aside and counted under monotone dropout, and used when gaps are gaps."""
    scores, arm, x = trial(np.random.default_rng(4), 600, gaps=True)
    going = np.ones_like(scores, dtype=bool)
    after_gap = np.isnan(scores[:, 0]) & np.isfinite(scores[:, 1])
    strict = dropout_weights(scores, continuing=going, treated=arm, baseline=x)
    assert strict.set_aside == after_gap.sum() > 0
    assert (strict.weight[after_gap, 1] == 0).all()
    assert "ratings after a missed visit are set aside" in strict.notes  # how many may be few, so notes never say
    lenient = dropout_weights(scores, continuing=going, treated=arm, baseline=x, monotone=False)
    assert lenient.set_aside == 0
    assert (lenient.weight[after_gap, 1] > 0).all()
    assert any("gap" in note for note in lenient.notes)


def test_gaps_are_unbiased_too() -> None:
    """Each visit weighted by itself: within .02 where ratings of the first visit are missing here and there."""
    rng = np.random.default_rng(5)
    errors = []
    for _ in range(40):
        scores, arm, x = trial(rng, 1500, gaps=True)
        # Who was not rated at the first visit is rated or not by what nobody saw: let it be by chance.
        unseen = np.isnan(scores[:, 0])
        second = 0.25 * x[:, 0] + 0.5 * (0.5 * x[:, 0] - 0.6 * arm) - 0.2 * arm + rng.normal(0, 0.5, 1500)
        scores[:, 1] = np.where(unseen, np.where(rng.random(1500) < 0.5, second, np.nan), scores[:, 1])
        going = np.ones_like(scores, dtype=bool)
        found = dropout_weights(scores, continuing=going, treated=arm, baseline=x, monotone=False, adjusted=False)
        errors.append(adjusted_difference(scores[:, 1], arm, x, found.weight[:, 1]) + 0.5)
    assert np.std(errors) / 40**0.5 < 0.006
    assert abs(np.mean(errors)) < 0.02


def test_only_continuing_relationships() -> None:
    """Relationships that ended are neither weighted nor modelled: they change no weight of the others."""
    scores, arm, x = trial(np.random.default_rng(6), 500)
    going = np.ones_like(scores, dtype=bool)
    plain = dropout_weights(scores, continuing=going, treated=arm, baseline=x)
    ended = np.full((100, 2), np.nan)
    more = dropout_weights(
        np.vstack([scores, ended]),
        continuing=np.vstack([going, np.zeros((100, 2), bool)]),
        treated=np.r_[arm, np.ones(100, bool)],
        baseline=np.vstack([x, np.full((100, 1), 9.0)]),
    )
    np.testing.assert_allclose(more.weight[:500], plain.weight, rtol=1e-9)
    assert (more.weight[500:] == 0).all()


@pytest.mark.parametrize(("lost", "method"), [(40, "Firth"), (4, "too few")])
def test_sparse_dropout(lost: int, method: str) -> None:
    """Few missing ratings are modelled by Firth's likelihood, finite where a column separates; fewer not at all."""
    scores, arm, x = trial(np.random.default_rng(7), 200)
    scores[:, 1] = np.where(np.isfinite(scores[:, 1]), scores[:, 1], 0.0)
    scores[np.argsort(scores[:, 0])[:lost], 1] = np.nan
    found = dropout_weights(scores, continuing=np.ones_like(scores, dtype=bool), treated=arm, baseline=x)
    assert method in found.method
    assert np.isfinite(found.weight).all()
    if method == "too few":
        assert (found.weight[found.used] == 1).all()
        assert found.probability[arm, 1] == pytest.approx(np.isfinite(scores[arm, 1]).mean())
    else:
        assert found.largest > 1.05


def test_everyone_rated() -> None:
    """With no rating missing every weight is 1."""
    scores, arm, x = trial(np.random.default_rng(8), 60)
    scores = np.nan_to_num(scores)
    found = dropout_weights(scores, continuing=np.ones_like(scores, dtype=bool), treated=arm, baseline=x)
    assert (found.weight == 1).all()
    assert found.method == "everyone responded"


def test_order_units_and_arms() -> None:
    """Row order, units of the scores and the names of the arms change no weight."""
    scores, arm, x = trial(np.random.default_rng(9), 400)
    going, order = np.ones_like(scores, dtype=bool), np.random.default_rng(0).permutation(400)
    plain = dropout_weights(scores, continuing=going, treated=arm, baseline=x).weight
    for other in (
        dropout_weights(scores[order], continuing=going, treated=arm[order], baseline=x[order]).weight[
            np.argsort(order)
        ],
        dropout_weights(10 + 3 * scores, continuing=going, treated=arm, baseline=2 - x).weight,
        dropout_weights(scores, continuing=going, treated=~arm, baseline=x).weight,
    ):
        np.testing.assert_allclose(other, plain, rtol=1e-7)


def test_refusals() -> None:
    """Missing predictors, ratings after the end and an arm without ratings are refused by codes of their own."""
    scores, arm, x = trial(np.random.default_rng(10), 60)
    going = np.ones_like(scores, dtype=bool)

    def code(y: np.ndarray, g: np.ndarray, b: np.ndarray) -> str:
        with pytest.raises(EstimationError) as refusal:
            dropout_weights(y, continuing=g, treated=arm, baseline=b)
        return refusal.value.code

    silent, ended = scores.copy(), going.copy()
    silent[arm, 1] = np.nan
    ended[:, 1] = False
    assert code(scores, going, np.where(x > 1, np.nan, x)) == "estimation.not_finite"
    assert code(silent, going, x) == "estimation.no_scores"
    assert code(scores, ended, x) == "estimation.inconsistent_scores"
