"""Balance within groups, and who is taken together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.diagnostics.balance import balance_table, fixed_sd
from causal.design.diagnostics.subgroups import subgroup_balance


def sample(seed: int, n: int = 400, clinics: int = 6) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two covariates, arm, weights (some 0) and clinics of unequal size."""
    rng = np.random.default_rng(seed)
    groups = rng.choice(clinics, n, p=np.arange(1, clinics + 1) / (clinics * (clinics + 1) / 2))
    x = np.column_stack([rng.normal(size=n) + groups, rng.random(n) < 0.4]).astype(float)
    treated = rng.random(n) < 0.3
    weights = np.where(treated, 1.0, rng.random(n)) * (rng.random(n) < 0.8)
    return x, treated, weights, groups


def test_a_group_is_the_table_of_its_rows() -> None:
    """Each group that is shown is the table of its rows over everybody's denominators; the others likewise together."""
    x, treated, weights, groups = sample(1)
    labels = [f"clinic {g}" for g in range(6)]
    found = subgroup_balance(x, ["lag", "sud"], [1, 2], treated, weights, groups=groups, labels=labels)
    sd = fixed_sd(x, treated)
    assert [group.label for group in found[:-1]] == [label for label in labels if label in {f.label for f in found}]
    taken = [labels.index(group.label) for group in found[:-1]]
    for group, member in zip(found, [*(groups == g for g in taken), ~np.isin(groups, taken)], strict=True):
        rows = balance_table(x[member], ["lag", "sud"], [1, 2], treated[member], weights[member], sd=sd)
        assert group.rows == rows
        assert group.n_treated == int((member & treated & (weights > 0)).sum())
    assert found[-1].label == f"{6 - len(taken)} smaller groups together"


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(20, 400), st.integers(1, 15))
def test_no_count_is_small_or_follows_by_subtraction(seed: int, n: int, minimum: int) -> None:
    """Every shown count is large enough, and the shown ones add up to everybody: nothing is left to subtract."""
    x, treated, weights, groups = sample(seed, n)
    weights[:2], treated[:2] = 1.0, (True, False)
    found = subgroup_balance(
        x, ["lag", "sud"], [1, 2], treated, weights, groups=groups, labels=list("abcdef"), minimum=minimum
    )
    inside = weights > 0
    enough = min((inside & treated).sum(), (inside & ~treated).sum()) >= minimum
    if enough:
        assert all(min(g.n_treated or 0, g.n_comparison or 0) >= minimum and g.rows for g in found)
        assert sum(g.n_treated or 0 for g in found) == (inside & treated).sum()
        assert sum(g.n_comparison or 0 for g in found) == (inside & ~treated).sum()
    else:
        assert [(g.n_treated, g.n_comparison, g.rows) for g in found] == [(None, None, None)]


def test_a_group_too_small_takes_a_neighbour_with_it() -> None:
    """Two clinics of 20 and 5 a side: the larger alone would tell the smaller, so they are judged together."""
    groups = np.repeat([0, 1], [40, 10])
    treated = np.arange(50) % 2 == 0
    x = np.random.default_rng(2).normal(size=(50, 1))
    (both,) = subgroup_balance(x, ["lag"], [1], treated, np.ones(50), groups=groups, labels=["A", "B"])
    assert (both.label, both.n_treated, both.n_comparison) == ("2 smaller groups together", 25, 25)


def test_groups_without_weight_have_no_part() -> None:
    """A clinic nobody of which was matched is not counted among the groups."""
    groups = np.repeat([0, 1], 40)
    treated, weights = np.arange(80) % 2 == 0, np.where(groups == 0, 1.0, 0.0)
    x = np.random.default_rng(3).normal(size=(80, 1))
    (one,) = subgroup_balance(x, ["lag"], [1], treated, weights, groups=groups, labels=["A", "B"])
    assert one.label == "A"
    assert one.rows is not None


def test_balance_on_average_may_hide_imbalance_within() -> None:
    """Two clinics with opposite differences: none for everybody, one standard deviation in each."""
    groups = np.repeat([0, 1], 24)
    treated = np.arange(48) % 2 == 0
    x = np.where(treated == (groups == 0), 1.0, 0.0)
    assert balance_table(x[:, None], ["sud"], [1], treated, np.ones(48))[0].smd_before == 0
    found = subgroup_balance(x[:, None], ["sud"], [1], treated, np.ones(48), groups=groups, labels=["A", "B"])
    assert [group.rows[0].smd_after for group in found if group.rows] == pytest.approx([2.0, -2.0])
