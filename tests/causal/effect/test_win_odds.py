"""Win odds within matched sets: by hand, by brute force, beside scipy, and their coverage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from causal.design.matching.sets import set_weights
from causal.effect.win_odds import win_odds
from causal.errors import EstimationError


def draw(
    rng: np.random.Generator, sets: int, effect: float = -0.3, ended: float = 0.12
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw score, ended, arm and set, one treated with one or two comparisons; some scores tie."""
    size = rng.integers(1, 3, sets)
    code = np.repeat(np.arange(sets), size + 1)
    treated = np.r_[True, code[1:] != code[:-1]]
    y = np.round(effect * treated + 0.5 * rng.normal(size=sets)[code] + rng.normal(size=code.size), 1)
    return y, rng.random(code.size) < 0.22 + ended * treated, treated, code


def better(y: np.ndarray, ended: np.ndarray, i: int, j: int) -> float:
    """1 where i fares better than j, 1/2 where alike."""
    if ended[i] or ended[j]:
        return 0.5 if ended[i] and ended[j] else float(ended[j])
    return 0.5 if y[i] == y[j] else float(y[i] > y[j])


def test_hand_value() -> None:
    """Three sets: a win and a loss of two; two ended, a tie; a win. P = (1/2 + 1/2 + 1)/3 = 2/3: odds 2.

    Win share (1/2 + 0 + 1)/3, tie 1/3, loss 1/6; set deviations -1/6, -1/6, 1/3 give a variance of (1/6)/2/3.
    """
    y = np.array([3.0, 2, 4, np.nan, 9, 1, np.nan])
    ended = np.array([0, 0, 0, 1, 1, 0, 1], dtype=bool)
    treated = np.array([1, 0, 0, 1, 0, 1, 0], dtype=bool)
    found = win_odds(y, ended, treated, None, sets=np.array([0, 0, 0, 1, 1, 2, 2]))
    assert (found.win, found.tie, found.loss) == pytest.approx((1 / 2, 1 / 3, 1 / 6))
    assert (found.value, found.probability, found.difference.value) == pytest.approx((2, 2 / 3, 1 / 3))
    error = np.sqrt((1 / 36 + 1 / 36 + 1 / 9) / 2 / 3)
    assert found.difference.std_error == pytest.approx(2 * error)
    assert found.log_odds.std_error == pytest.approx(error / (2 / 9))
    assert (found.log_odds.df, found.n_sets, found.n_clusters) == (2, 3, 3)
    assert (np.log(found.lower), np.log(found.upper)) == pytest.approx((found.log_odds.lower, found.log_odds.upper))
    assert found.probability_lower == pytest.approx(found.lower / (1 + found.lower))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.booleans())
def test_agrees_with_every_pair_of_pairs(seed: int, weighted: bool) -> None:
    """Probability and variance from all comparisons, each with each that shares a set or a clinician."""
    rng = np.random.default_rng(seed)
    y, ended, treated, code = draw(rng, 12)
    w = rng.uniform(0.5, 2, y.size) if weighted else np.ones(y.size)
    clinician = rng.integers(0, 6, y.size)
    duels = [(i, j) for i in np.flatnonzero(treated) for j in np.flatnonzero(~treated & (code == code[i]))]
    share = np.array([w[i] * w[j] / w[~treated & (code == code[i])].sum() for i, j in duels]) / w[treated].sum()
    won = np.array([better(y, ended, i, j) for i, j in duels])
    p = share @ won
    e = share * (won - p)

    def variance(unit: np.ndarray) -> float:
        touch = [{unit[i], unit[j]} for i, j in duels]
        total = sum(e[a] * e[b] for a in range(len(e)) for b in range(len(e)) if touch[a] & touch[b])
        return float(total * (g := np.unique(unit).size) / (g - 1))

    found = win_odds(y, ended, treated, w, sets=code, clusters=clinician)
    assert found.probability == pytest.approx(p)
    assert (found.difference.std_error / 2) ** 2 == pytest.approx(max(variance(code), variance(clinician)))
    by_set = win_odds(y, ended, treated, w, sets=code)
    assert (by_set.difference.std_error / 2) ** 2 == pytest.approx(variance(code))
    fewest = min(np.unique(clinician[arm]).size for arm in (treated, ~treated))
    assert (by_set.log_odds.df, found.log_odds.df) == (11, fewest - 1)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31))
def test_invariances(seed: int) -> None:
    """Row order, labels and any rising transformation do not matter; swapped arms of pairs turn the odds over."""
    rng = np.random.default_rng(seed)
    y, ended, treated, code = draw(rng, 15)
    clinician = rng.integers(0, 8, y.size)
    plain = win_odds(y, ended, treated, None, sets=code, clusters=clinician)
    order = rng.permutation(y.size)
    other = win_odds(
        np.exp(y)[order], ended[order], treated[order], None, sets=-code[order], clusters=9 - clinician[order]
    )
    assert (other.value, other.lower, other.upper) == pytest.approx((plain.value, plain.lower, plain.upper), rel=1e-9)
    assert win_odds(y, ended, treated, set_weights(code, treated), sets=code).value == pytest.approx(plain.value)
    paired = np.r_[True, code[1:] != code[:-1]] | np.r_[False, (code[1:] == code[:-1]) & treated[:-1]]
    one, turned = (
        win_odds(y[paired], ended[paired], arm[paired], None, sets=code[paired]) for arm in (treated, ~treated)
    )
    assert (turned.value, turned.lower, turned.win) == pytest.approx((1 / one.value, 1 / one.upper, one.loss))


def test_strata_are_mann_and_whitney_s() -> None:
    """Two large sets: scipy's U/(n1 n0) in each, averaged by the treated; the log odds swap sign with the score."""
    rng = np.random.default_rng(1)
    y, treated, code = np.round(rng.normal(size=150), 1), rng.random(150) < 0.4, np.repeat([0, 1], [60, 90])
    inside = [(treated & (code == s), ~treated & (code == s)) for s in (0, 1)]
    u = [mannwhitneyu(y[one], y[zero]).statistic / (one.sum() * zero.sum()) for one, zero in inside]
    nobody = np.zeros(150, dtype=bool)
    found = win_odds(y, nobody, treated, None, sets=code)
    assert found.probability == pytest.approx(np.average(u, weights=[one.sum() for one, _ in inside]))
    assert win_odds(-y, nobody, treated, None, sets=code).log_odds.value == pytest.approx(-found.log_odds.value)


def test_ended_is_below_every_score() -> None:
    """Lowest scores still beat an ended relationship; what stands in the score of one that ended is not read."""
    y, ended = np.array([-9.0, 5, 1, 2]), np.array([False, True, False, False])
    treated, sets = np.array([True, False, True, False]), np.array([0, 0, 1, 1])
    found = win_odds(y, ended, treated, None, sets=sets)
    assert (found.win, found.loss) == (0.5, 0.5)
    assert found == win_odds(np.where(ended, np.nan, y), ended, treated, None, sets=sets)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"score": np.array([5.0, 1, 5, 1])}, "all_wins"),
        ({"score": np.array([1.0, 5, 1, 5])}, "all_wins"),
        ({"score": np.ones(4)}, "constant_outcome"),
        ({"score": np.array([5.0, 3, 1, 3])}, "constant_outcome"),
        ({"score": np.array([5.0, np.nan, 5, 1])}, "not_finite"),
        ({"sets": np.array([0, 0, 0, 1])}, "one_armed_set"),
        ({"sets": np.zeros(4, dtype=int)}, "too_few_clusters"),
        ({"clusters": np.zeros(4, dtype=int)}, "too_few_clusters"),
        ({"weights": np.array([1.0, 1, -1, 1])}, "weights"),
        ({"weights": np.zeros(4)}, "one_armed_set"),
    ],
)
def test_refusals(change: dict[str, np.ndarray], refusal: str) -> None:
    """All wins, losses or ties, a missing score, one arm, one set, one clinician: no odds, or no error of them."""
    arguments = {"score": np.array([5.0, 1, 3, 4]), "weights": None, "sets": np.array([0, 0, 1, 1]), "clusters": None}
    with pytest.raises(EstimationError) as caught:
        win_odds(ended=np.zeros(4, dtype=bool), treated=np.array([True, False] * 2), **(arguments | change))  # type: ignore[arg-type]
    assert caught.value.code == f"estimation.{refusal}"


@pytest.fixture(scope="module")
def truth() -> float:
    """Log win odds of 200,000 sets."""
    y, ended, treated, code = draw(np.random.default_rng(2), 200_000)
    return win_odds(y, ended, treated, None, sets=code).log_odds.value


@pytest.mark.parametrize("sets", [20, 80])
def test_interval_by_set_covers(truth: float, sets: int) -> None:
    """95% intervals cover in 93 to 98% of 800 samples (MCSE .8%)."""
    rng = np.random.default_rng(sets)
    covered = 0
    for _ in range(800):
        y, ended, treated, code = draw(rng, sets)
        found = win_odds(y, ended, treated, None, sets=code).log_odds
        covered += found.lower <= truth <= found.upper
    assert 0.93 <= covered / 800 <= 0.98


@pytest.mark.parametrize("groups", [16, 40])
def test_interval_by_clinician_covers(groups: int) -> None:
    """Arms with clinicians of their own: 93 to 99% by clinician, too few by set (MCSE .8%).

    By symmetry the truth of two arms of the same distribution is 0.
    """
    rng = np.random.default_rng(groups)
    by_set = by_clinician = 0
    for _ in range(700):
        _, ended, treated, code = draw(rng, 100, ended=0.0)
        clinician = rng.integers(0, groups // 2, treated.size) + np.where(treated, 0, groups // 2)
        y = 0.7 * rng.normal(size=groups)[clinician] + rng.normal(size=treated.size)
        one = win_odds(y, ended, treated, None, sets=code).log_odds
        two = win_odds(y, ended, treated, None, sets=code, clusters=clinician).log_odds
        by_set += one.lower <= 0 <= one.upper
        by_clinician += two.lower <= 0 <= two.upper
    assert 0.93 <= by_clinician / 700 <= 0.99
    assert by_set / 700 < 0.93
