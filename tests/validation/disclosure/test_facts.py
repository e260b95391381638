"""Which lines of a balance table may be shown: all columns of one variable, the compared and the eligible together."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.design.diagnostics.balance import balance_table
from flows.study_file import load_study
from validation.disclosure import Profile
from validation.disclosure.facts import row_of, sizes_may_be_shown, withheld_facts
from validation.disclosure.families import Family, families_of

ROOT = Path(__file__).parents[3]
PROFILE = Profile(threshold=11)
SETS = 100
"""Pairs; there are as many eligible treated as the world says, and 900 eligible comparisons."""
OTHERS = 900
COUNTS = {"mandatory": "regime_mandatory", "permissive": "regime_permissive", "none": "regime_none"}


@cache
def study(*, tier2: tuple[str, ...] = ()) -> Any:
    """The flagship, with these facts of tier 2 beside its own."""
    loaded: Any = load_study(ROOT / "configs" / "studies" / "duty_to_warn.yaml").study
    law = loaded.definitions["regime_mandatory"]
    some = law.model_copy(update={"is_": ("mandatory", "permissive"), "label": "Some duty"})
    facts = loaded.confounders.model_copy(update={"tier2": tier2 or loaded.confounders.tier2})
    return loaded.model_copy(update={"definitions": {**loaded.definitions, "regime_some": some}, "confounders": facts})


def column(matched: tuple[int, int], eligible: tuple[int, int], size: int) -> np.ndarray:
    """Who has a fact, of eligible treated and then of eligible comparisons, the compared first in each."""
    values = np.zeros(size + OTHERS)
    for start, inside, everyone, compared in (
        (0, matched[0], eligible[0], SETS),
        (size, matched[1], eligible[1], SETS),
    ):
        values[start : start + inside] = 1
        values[start + compared : start + compared + everyone - inside] = 1
    return values


def design(columns: dict[str, np.ndarray], size: int = SETS + 40) -> Any:
    """Pairs of treated and comparison occasions out of everyone eligible, with these columns of facts."""
    treated = np.arange(size + OTHERS) < size
    matched = np.r_[:SETS, size : size + SETS]
    weights = np.zeros(treated.size)
    weights[matched] = 1
    values = np.column_stack([*columns.values()])
    return SimpleNamespace(
        balance=balance_table(values, list(columns), [2] * len(columns), treated, weights),
        covariates=values[matched],
        members=pd.DataFrame({"treated": treated[matched], "weight": 1.0}),
        estimand="ATT",
        n_treated=SETS,
        n_comparison=SETS,
        n_eligible_treated=size,
        attrition=(*[None] * 2, SimpleNamespace(comparison=OTHERS), None, None),
    )


def flow(size: int = SETS + 40) -> Any:
    """A flow that tells the sizes of both groups."""
    return [SimpleNamespace(treated=size, comparison=OTHERS), SimpleNamespace(treated=SETS, comparison=SETS)]


def regimes(matched: dict[str, int], left_out: dict[str, int], *told: str) -> dict[str, np.ndarray]:
    """Indicators of the legal regimes `told`, of so many of each group that were matched, or were not."""
    size = SETS + sum(left_out.values())
    laws = np.concatenate(
        [
            np.repeat(list(matched), list(matched.values())),
            np.repeat(list(left_out), list(left_out.values())),
            np.repeat(list(matched), list(matched.values())),
            np.resize(["mandatory", "permissive", "none"], OTHERS - SETS),
        ]
    )
    assert laws.size == size + OTHERS
    return {COUNTS[name]: (laws == name).astype(float) for name in told}


MANY = {"mandatory": 50, "permissive": 30, "none": 20}
GONE = {"mandatory": 16, "permissive": 12, "none": 12}


def withheld(columns: dict[str, np.ndarray], of: Any = None, size: int = SETS + 40, **changes: Any) -> Any:
    """What is withheld of these columns."""
    found = design(columns, size)
    for name, value in changes.items():
        setattr(found, name, value)
    return withheld_facts(found, of or study(), flow(size), PROFILE)


@pytest.mark.parametrize(
    "told", [("mandatory", "permissive", "none"), ("mandatory", "none"), ("mandatory", "permissive")]
)
def test_a_level_that_has_no_column_is_told_by_the_others(told: tuple[str, ...]) -> None:
    """Two of three levels with many, and few with the third, too rare for a column: it is what is left of a group."""
    columns = {COUNTS[name] for name in told}
    assert withheld(regimes(MANY, GONE, *told)).wholly == set()
    for few in ({"mandatory": 60, "permissive": 4, "none": 36}, {"mandatory": 60, "permissive": 36, "none": 4}):
        assert withheld(regimes(few, GONE, *told)).wholly == columns


def test_a_level_that_only_the_left_out_have_is_told_by_the_others() -> None:
    """Nobody compared has it; of all eligible treated, 5 do."""
    laws = regimes(
        {"mandatory": 60, "permissive": 40, "none": 0},
        {"mandatory": 23, "permissive": 12, "none": 5},
        "mandatory",
        "permissive",
    )
    assert withheld(laws).wholly == {"regime_mandatory", "regime_permissive"}


def test_values_that_lie_in_each_other_are_set_against_each_other() -> None:
    """Some duty less a mandatory one is a permissive one, of which few are left."""
    of = study(tier2=("regime_mandatory", "regime_some"))
    (family,) = [family for family in families_of(of) if "regime_some" in family.columns]
    assert family.nested == (("regime_mandatory", "regime_some"),)
    for permissive, hidden in ((30, set[str]()), (6, {"regime_mandatory", "regime_some"})):
        laws = regimes(
            {"mandatory": 50, "permissive": permissive, "none": 50 - permissive}, GONE, "mandatory", "permissive"
        )
        some = laws["regime_mandatory"] + laws["regime_permissive"]
        assert withheld({"regime_mandatory": laws["regime_mandatory"], "regime_some": some}, of).wholly == hidden


@pytest.mark.parametrize("filled", [0, 1])
@pytest.mark.parametrize(("recorded", "hidden"), [(30, False), (6, True)])
def test_what_stands_in_for_what_was_not_recorded_is_no_answer(filled: int, recorded: int, hidden: bool) -> None:
    """Of 100, 40 were not recorded and count as `filled`: few of the others answered so, though many count so."""
    size = SETS + 40
    absent = column((40, 40), (56, 400), size)
    answer = absent.copy()
    for start, everyone in ((0, size), (size, OTHERS)):
        own = np.flatnonzero(absent[start : start + everyone] == 0) + start
        inside = own[own < start + SETS]
        answer[inside[:recorded]] = 1
        answer[own[own >= start + SETS][::2]] = 1
    answer = answer if filled else 1 - answer
    names = {"sud", "sud_missing"}
    assert withheld({"sud": answer, "sud_missing": absent}).wholly == (names if hidden else set())


def test_a_number_goes_where_few_differ_from_the_rest() -> None:
    """Its mean would tell how few; that few were not recorded is no reason to withhold it."""
    size = SETS + 40
    spread = np.arange(size + OTHERS) / 10
    few = column((4, 40), (20, 300), size) * 3.5 + 1
    absent = column((4, 40), (20, 300), size)
    found = withheld({"severity": few + 0.5 * (few > 1) * np.arange(few.size), "phq9": spread, "phq9_missing": absent})
    assert found.wholly == {"severity", "phq9_missing"}


def test_a_column_that_no_study_declares_is_judged_all_the_same() -> None:
    """For itself."""
    columns = {"something": column((4, 30), (20, 300), SETS + 40), "other": column((40, 30), (60, 300), SETS + 40)}
    assert withheld(columns).wholly == {"something"}


# Those who were left out


@pytest.mark.parametrize(
    ("matched", "eligible", "difference", "share"),
    [
        ((40, 50), (60, 450), False, False),  # 20 of 40 left out have it
        ((40, 50), (46, 450), True, False),  # 6 have it
        ((40, 50), (74, 450), True, False),  # 6 have it not
        ((40, 50), (40, 450), False, False),  # none that could be told from one
        ((40, 22), (60, 27), False, True),  # of 800 comparisons left out, 5 have it
        ((40, 78), (60, 873), False, True),  # 5 have it not
    ],
)
def test_shares_before_and_after_do_not_tell_that_few_of_those_left_out_have_a_fact(
    matched: tuple[int, int], eligible: tuple[int, int], difference: bool, share: bool
) -> None:
    """Of 140 eligible treated and 900 comparisons 100 each were compared; only the number that tells it goes."""
    found = withheld({"sud": column(matched, eligible, SETS + 40)})
    assert (found.wholly, bool(found.difference), bool(found.share)) == (set(), difference, share)
    (row,) = design({"sud": column(matched, eligible, SETS + 40)}).balance
    shown = row_of(row, found)
    assert (shown.smd_before is None, shown.mean_comparison_before is None) == (difference, share)
    assert None not in (shown.mean_treated, shown.mean_comparison_after, shown.smd_after)


def test_where_the_flow_leaves_the_size_of_a_group_open_it_tells_nothing_of_the_left_out() -> None:
    """The share before and the count after need the number of all eligible."""
    few = {"sud": column((40, 50), (46, 450), SETS + 40)}
    for shown, tells in ((flow(), True), ([SimpleNamespace(treated=SETS, comparison=SETS)], False)):
        assert bool(withheld_facts(design(few), study(), shown, PROFILE).difference) is tells


def test_all_levels_lose_what_tells_of_one() -> None:
    """Of three shares before matching two would give the third."""
    laws = regimes(MANY, {"mandatory": 20, "permissive": 14, "none": 6}, "mandatory", "permissive", "none")
    assert withheld(laws).difference == set(COUNTS.values())


@pytest.mark.parametrize(("n", "shown"), [(11, True), (10, False)])
def test_groups_too_small_to_print_are_told_apart(n: int, shown: bool) -> None:
    """Each has to have as many as the threshold."""
    for sizes in ((n, 50), (50, n)):
        one: Any = SimpleNamespace(n_treated=sizes[0], n_comparison=sizes[1])
        assert sizes_may_be_shown(one, PROFILE) is shown


def test_columns_of_which_nobody_has_two_are_kept_in_order() -> None:
    """A column that overlaps one before it says nothing of what is left."""
    values = {"a": {"x"}, "b": {"x", "y"}, "c": {"z"}, "a_missing": {None}, "b_missing": {None}}
    family = Family(columns={name: frozenset(own) for name, own in values.items()})
    assert family.apart == ("a", "c", "a_missing")
    assert family.nested == (("a", "b"),)
