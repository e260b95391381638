"""The list of admissible pairs against every pair looked at one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.matching.candidates import Edges, candidate_edges, reach, sort_edges
from causal.design.matching.pairing import Pairing
from causal.errors import DesignError


def allows(rules: Pairing, i: int, j: int) -> bool:
    """Tell, from the rules' definitions, whether comparison j may stand with treated i."""
    told = [rules.exact is None or rules.exact[i] == rules.exact[j]]
    told.append(rules.person is None or rules.person[i] != rules.person[j])
    told.append(rules.differ is None or all(rules.differ[i] != rules.differ[j]))
    if rules.calipers is not None and rules.widths is not None:
        apart = np.abs(rules.calipers[i] - rules.calipers[j])
        told += [bool(a <= w if w > 0 else a >= -w) for a, w in zip(apart, rules.widths, strict=True)]
    if rules.time is not None:
        told.append(rules.window is None or abs(rules.time[i] - rules.time[j]) <= rules.window)
        told.append(rules.at_risk is None or rules.at_risk[j, 0] <= rules.time[i] < rules.at_risk[j, 1])
    return all(told)


def penalty(rules: Pairing, i: int, j: int) -> float:
    """Add up the penalties of preferences that i and j do not share."""
    if rules.prefer is None or rules.penalty is None:
        return 0.0
    return float(rules.penalty[rules.prefer[i] != rules.prefer[j]].sum())


def listed(z: np.ndarray, treated: np.ndarray, caliper: float, rules: Pairing) -> list[list[tuple[float, int]]]:
    """List (cost, comparison) of each treated occasion by looking at every pair."""
    z = z.reshape(len(z), -1)
    pool = np.flatnonzero(~treated)
    found = []
    for i in np.flatnonzero(treated):
        apart = np.rint(np.sqrt(((z[pool] - z[i]) ** 2).sum(axis=1)))  # whole steps
        near = [k for k, j in enumerate(pool) if apart[k] <= caliper and allows(rules, int(i), int(j))]
        found.append(sorted((apart[k] + penalty(rules, int(i), int(pool[k])), k) for k in near))
    return found


def by_treated(edges: Edges) -> list[list[tuple[float, int]]]:
    """Return the edges as (cost, comparison) of each treated occasion."""
    pairs = list(zip(edges.cost.tolist(), edges.comparison.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(edges.indptr[:-1], edges.indptr[1:], strict=True)]


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, float, Pairing]:
    """Draw coordinates (small integers, so that ties abound), arms, a caliper and any combination of rules."""
    n = draw(st.integers(2, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    treated = rng.random(n) < draw(st.sampled_from([0.2, 0.5]))
    treated[:2] = [True, False]
    z = rng.integers(0, draw(st.sampled_from([3, 12])), (n, draw(st.sampled_from([1, 3])))).astype(float)
    has = draw(st.tuples(*[st.booleans()] * 7))
    time = rng.integers(0, 40, n).astype(float)
    entry = rng.integers(-10, 30, n).astype(float)
    rules = Pairing(
        exact=rng.integers(0, 3, n) if has[0] else None,
        differ=rng.integers(0, 3, (n, 2)) if has[1] else None,
        calipers=rng.integers(0, 9, (n, 2)).astype(float) if has[2] else None,
        widths=np.array([4.0, -2.0]) if has[2] else None,
        time=time if has[3] or has[4] else None,
        window=15.0 if has[3] else None,
        at_risk=np.column_stack([entry, entry + 20]) if has[4] else None,
        person=rng.integers(0, n, n) if has[5] else None,
        prefer=rng.integers(0, 2, (n, 2)) if has[6] else None,
        penalty=np.array([0.5, 2.0]) if has[6] else None,
    )
    return z, treated, draw(st.sampled_from([1.0, 4.0, np.inf])), rules


def test_by_hand() -> None:
    """Scores 0 and 3 treated, 1, 2 and 4 not, caliper 1: 0 reaches 1; 3 reaches 2 and 4, at the same distance."""
    edges = candidate_edges(
        np.array([0.0, 1.0, 2.0, 3.0, 4.0]), np.array([1, 0, 0, 1, 0]) == 1, caliper=1.0, pairing=Pairing()
    )
    assert by_treated(edges) == [[(1.0, 0)], [(1.0, 1), (1.0, 2)]]


@settings(deadline=None, max_examples=200)
@given(problem=problems())
def test_every_admissible_pair_and_no_other(problem: tuple[np.ndarray, np.ndarray, float, Pairing]) -> None:
    """Pairs, costs and their order are those of looking at every pair, whatever the rules."""
    z, treated, caliper, rules = problem
    edges = candidate_edges(z, treated, caliper=None if np.isinf(caliper) else caliper, pairing=rules)
    for ours, plain in zip(by_treated(edges), listed(z, treated, caliper, rules), strict=True):
        assert [j for _, j in ours] == [j for _, j in plain]
        np.testing.assert_allclose([c for c, _ in ours], [c for c, _ in plain], rtol=1e-14)


def test_looks_where_the_narrowest_rule_leads() -> None:
    """With a wide caliper and a short window the pool is sorted by time, and few pairs are looked at."""
    rng = np.random.default_rng(1)
    treated = np.arange(2000) < 100
    rules = Pairing(time=rng.integers(0, 100_000, 2000).astype(float), window=500.0)
    near = reach(rng.integers(-3000, 3000, 2000), treated, caliper=3000.0, pairing=rules)
    assert not near.key_bounds_distance
    assert (near.end - near.begin).sum() < 100 * 1900 * 0.02
    assert reach(rng.integers(-3000, 3000, 2000), treated, caliper=1.0, pairing=rules).key_bounds_distance


def test_too_long_a_list_is_refused_before_it_is_made() -> None:
    """A million pairs need 12 MB; with 5 MB allowed the refusal names the caliper."""
    treated = np.arange(2000) < 1000
    with pytest.raises(DesignError, match="give a caliper") as refusal:
        candidate_edges(np.zeros(2000), treated, pairing=Pairing(), memory=0.005)
    assert refusal.value.code == "design.memory"
    assert candidate_edges(np.zeros(2000), treated, pairing=Pairing(), memory=0.02).cost.size == 10**6


@pytest.mark.parametrize(
    ("code", "score", "treated", "caliper", "rules"),
    [
        ("design.no_treated", [0.0, 1.0], [0, 0], None, Pairing()),
        ("design.no_comparison", [0.0, 1.0], [1, 1], None, Pairing()),
        ("design.not_finite", [0.0, np.nan], [1, 0], None, Pairing()),
        ("design.not_finite", [0.0, -1e200], [1, 0], None, Pairing()),
        ("design.caliper", [0.0, 1.0], [1, 0], 0.0, Pairing()),
        ("design.caliper", [0.0, 1.0], [1, 0], np.nan, Pairing()),
        ("design.penalty", [0.0, 1.0], [1, 0], None, Pairing(prefer=np.zeros((2, 1), int), penalty=np.array([np.inf]))),
    ],
)
def test_refusals(code: str, score: list[float], treated: list[int], caliper: float | None, rules: Pairing) -> None:
    """Bad arms, scores, calipers and penalties are refused by code."""
    with pytest.raises(DesignError) as refusal:
        candidate_edges(np.array(score), np.array(treated) == 1, caliper=caliper, pairing=rules)
    assert refusal.value.code == code


@given(pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1000)), max_size=40, unique_by=lambda p: p[1]))
def test_sort(pairs: list[tuple[int, int]]) -> None:
    """The heap sort orders by cost, then comparison."""
    cost = np.array([c for c, _ in pairs], dtype=float)
    comparison = np.array([j for _, j in pairs], dtype=np.int32)
    sort_edges(cost, comparison)
    assert list(zip(cost, comparison, strict=True)) == sorted(pairs)
