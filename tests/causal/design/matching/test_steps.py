"""Matching on decimals: a pair exactly a caliper apart is within it, equal distances are equal, whatever the method."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.cardinality import match_cardinality
from causal.design.matching.covariate_nearest import match_nearest
from causal.design.matching.fine_balance import match_fine_balance
from causal.design.matching.full import match_full
from causal.design.matching.generalised_full import match_generalised_full
from causal.design.matching.greedy import match_greedy
from causal.design.matching.optimal import match_optimal
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets
from causal.design.matching.steps import in_steps
from causal.errors import DesignError

ARM = np.array([True, True, False, False])
TENTHS = ([0.7, 5.0, 0.4, 4.7], [1.1, 2.2, 0.8, 1.9], [0.3, 1.3, 0.6, 1.6], [0.1, 7.3, 0.4, 7.0])
"""Two treated and a comparison exactly .3 from each; in binary some of these differences exceed .3, others do not."""
PREFER = {"prefer": np.array([[0], [1], [0], [1]]), "penalty": np.array([1.0])}
"""A preference, which takes a match off the line."""
Method = Callable[[np.ndarray, float], MatchedSets]


def limited(x: np.ndarray, width: float) -> Pairing:
    """A caliper on a variable that is not the distance."""
    return Pairing(calipers=x[:, None], widths=np.array([width]))


ON_THE_SCORE: dict[str, Method] = {
    "greedy": lambda x, width: match_greedy(x, ARM, caliper=width),
    "greedy, closest first": lambda x, width: match_greedy(x, ARM, caliper=width, order="closest"),
    "nearest on covariates": lambda x, width: match_nearest(np.zeros((4, 1)), ARM, score=x, caliper=width),
    "optimal on a line": lambda x, width: match_optimal(x, ARM, caliper=width, pairing=Pairing()),
    "optimal on a graph": lambda x, width: match_optimal(x, ARM, caliper=width, pairing=Pairing(**PREFER)),
    "full on a line": lambda x, width: match_full(x, ARM, caliper=width),
    "full on a graph": lambda x, width: match_full(x, ARM, caliper=width, pairing=Pairing(**PREFER)),
    "bounded full": lambda x, width: match_full(x, ARM, caliper=width, max_controls=2),
    "generalised full": lambda x, width: match_generalised_full(x, ARM, caliper=2 * width),
    "fine balance": lambda x, width: match_fine_balance(
        x, ARM, caliper=width, balance=np.zeros(4, dtype=np.int64), pairing=Pairing()
    ),
}
ON_A_VARIABLE: dict[str, Method] = {
    "greedy": lambda x, width: match_greedy(np.zeros(4), ARM, pairing=limited(x, width)),
    "nearest on covariates": lambda x, width: match_nearest(np.zeros((4, 2)), ARM, pairing=limited(x, width)),
    "optimal": lambda x, width: match_optimal(np.zeros(4), ARM, pairing=limited(x, width)),
    "full": lambda x, width: match_full(np.zeros(4), ARM, pairing=limited(x, width)),
    "fine balance": lambda x, width: match_fine_balance(
        np.zeros(4), ARM, balance=np.zeros(4, dtype=np.int64), pairing=limited(x, width)
    ),
    "cardinality": lambda x, width: (
        match_cardinality(
            np.zeros((4, 1)), ARM, names=["none"], tolerance=1.0, pairing=limited(x, width), pair_on=np.zeros(4)
        ).sets
    ),
    "a window": lambda x, width: match_greedy(np.zeros(4), ARM, pairing=Pairing(time=x, window=width)),
}


def pairs(method: Method, x: np.ndarray, width: float) -> int:
    """How many sets a method makes; 0 where it refuses."""
    try:
        return method(x, width).n_sets
    except DesignError as refusal:
        if refusal.code not in {"design.nothing_matched", "design.balance_infeasible"}:
            raise
        return 0


@pytest.mark.parametrize("method", ON_THE_SCORE.values(), ids=ON_THE_SCORE)
@pytest.mark.parametrize("values", TENTHS)
def test_a_caliper_on_the_score_is_exact(method: Method, values: list[float]) -> None:
    """Both pairs are .3 apart: at .3 both are made, at .29 none, in tenths as in whole numbers."""
    x = np.array(values)
    assert (pairs(method, x, 0.3), pairs(method, x, 0.29)) == (2, 0)
    assert (pairs(method, np.rint(10 * x), 3.0), pairs(method, np.rint(10 * x), 2.9)) == (2, 0)


@pytest.mark.parametrize("method", ON_A_VARIABLE.values(), ids=ON_A_VARIABLE)
@pytest.mark.parametrize("values", TENTHS)
def test_a_caliper_on_a_variable_is_exact(method: Method, values: list[float]) -> None:
    """The same, where the caliper limits another variable than the distance."""
    x = np.array(values)
    assert (pairs(method, x, 0.3), pairs(method, x, 0.29)) == (2, 0)


@pytest.mark.parametrize("values", TENTHS)
def test_forbidden_closeness_is_exact(values: list[float]) -> None:
    """A caliper of -.3 forbids pairs nearer than .3 and allows those exactly .3 apart."""
    x = np.array(values)
    both = np.column_stack([x, x])
    for width, found in ((-0.3, 2), (-0.31, 0)):
        rules = Pairing(calipers=both, widths=np.array([0.3, width]))
        for method in (match_greedy, match_optimal, match_full):
            assert pairs(lambda z, _, rules=rules, method=method: method(z, ARM, pairing=rules), x, 0.0) == found


def test_ties_in_decimals_go_to_the_earlier_row() -> None:
    """.2 and .8 are equally far from .5, and .1 + .2 of distance ties with .3, whatever binary makes of them."""
    treated = np.array([True, False, False])
    for low, high in ((0.8, 0.2), (0.2, 0.8), (0.9, 0.1)):
        x = np.array([0.5, low, high])
        assert match_greedy(x, treated).row.tolist() == [0, 1]
        assert match_nearest(x[:, None], treated).row.tolist() == [0, 1]
        assert match_optimal(x, treated, pairing=Pairing(prefer=np.zeros((3, 1), int), penalty=np.ones(1))).row[1] == 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-(10**6), 10**6), min_size=2, max_size=6),
    st.integers(0, 4),
    st.integers(1, 10**6),
    st.sampled_from([-1, 1]),
)
def test_limits_are_those_of_fractions(numbers: list[int], places: int, width: int, side: int) -> None:
    """Whichever decimals are given, a pair is within a width just when fractions say so."""
    x = np.array([float(f"{number}e-{places}") for number in numbers])
    counted = in_steps(np.zeros((x.size, 1)), None, limited(x, side * float(f"{width}e-{places}"))).pairing
    assert counted.calipers is not None
    assert counted.widths is not None
    for i in range(x.size):
        for j in range(x.size):
            apart = abs(float(counted.calipers[i, 0] - counted.calipers[j, 0]))
            exactly = abs(Fraction(numbers[i]) - Fraction(numbers[j]))
            if side > 0:
                assert (apart <= counted.widths[0]) == (exactly <= width)
            else:
                assert (apart >= -counted.widths[0]) == (exactly >= width)


def test_noise_in_computed_distances_decides_nothing() -> None:
    """Coordinates off by rounding noise, in any direction, give the same pairs as without."""
    rng = np.random.default_rng(4)
    x = rng.integers(0, 3, (120, 4)).astype(float)  # few values: most distances are tied
    treated = np.arange(120) < 40
    clean = match_nearest(x, treated)
    for _ in range(20):
        noisy = x + rng.normal(size=x.shape) * 1e-15
        assert match_nearest(noisy, treated).row.tolist() == clean.row.tolist()
        assert match_full(noisy, treated).row.tolist() == match_full(x, treated).row.tolist()


@pytest.mark.parametrize("match", [match_optimal, match_greedy, match_full])
def test_nobody_enters_a_set_before_they_are_at_risk_where_every_time_is_zero(
    match: Callable[..., MatchedSets],
) -> None:
    """Times counted from each treated occasion's own are all 0 and have no scale; the risk intervals have one."""
    rules = Pairing(time=np.zeros(4), at_risk=np.array([[0.0, 3.0], [0.0, 3.0], [0.25, 3.25], [0.25, 3.25]]))
    with pytest.raises(DesignError, match=r"design\.nothing_matched"):
        match(np.zeros(4), ARM, pairing=rules)


@pytest.mark.parametrize("columns", [1, 2])
def test_penalties_count_where_nobody_differs_in_anything_else(columns: int) -> None:
    """Equal coordinates leave the preference alone to choose; told in whole units a penalty of .4 would be none."""
    counted = in_steps(np.zeros((4, columns)), None, Pairing(prefer=PREFER["prefer"], penalty=np.array([0.4])))
    assert counted.pairing.penalty is not None
    assert (counted.pairing.penalty > 0).all()
    preferring = Pairing(prefer=np.array([[0], [1], [1], [0]]), penalty=np.array([0.4]))
    sets = match_optimal(np.zeros((4, columns)), ARM, pairing=preferring)
    assert sets.row.tolist() == [0, 3, 1, 2]
