"""Disjoint categories whose totals are known: what is withheld together."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validation.attacker import Attacker
from validation.disclosure import disclose_categories, disclose_table
from validation.disclosure.tables import disclose_percents


def test_a_single_small_cell_takes_another_with_it() -> None:
    """One withheld cell could be had from the total, so the next smallest goes too."""
    assert disclose_categories({"a": 60, "b": 31, "c": 30, "d": 4}, 11) == {"a": 60, "b": 31, "c": None, "d": None}


def test_cells_at_a_bound_are_not_left_to_be_worked_out() -> None:
    """Two cells that sum to 2 must both be 1, and three that sum to 30 may all be 10: more is withheld."""
    assert disclose_categories({"a": 60, "b": 40, "c": 1, "d": 1}, 11) == {"a": 60, "b": None, "c": None, "d": None}
    assert disclose_categories({"a": 60, "b": 10, "c": 10, "d": 10}, 11) == dict.fromkeys("abcd")


def test_a_small_sum_is_not_left_over() -> None:
    """1 and 2 withheld would leave their sum, 3, to be had from the total."""
    assert disclose_categories({"a": 60, "b": 40, "c": 1, "d": 2}, 11) == {"a": 60, "b": None, "c": None, "d": None}


def test_names_break_ties_not_the_order_given() -> None:
    """The same categories in another order give the same answer."""
    counts = {"x": 20, "y": 20, "z": 3}
    assert disclose_categories(counts, 11) == disclose_categories(dict(reversed(counts.items())), 11)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 60) | st.integers(0, 4), min_size=1), st.integers(2, 15)
)
def test_a_known_total_betrays_no_category(counts: dict[str, int], threshold: int) -> None:
    """Subtracting what is shown from the total leaves no small sum and no forced cell."""
    shown = disclose_categories(counts, threshold)
    assert all(value in (None, counts[name]) for name, value in shown.items())
    assert all(value is None or value == 0 or value >= threshold for value in shown.values())
    hidden = [counts[name] for name, value in shown.items() if value is None]
    if hidden and len(hidden) < len(counts):
        left = sum(counts.values()) - sum(value for value in shown.values() if value is not None)
        assert len(hidden) >= 2
        assert left >= threshold
        # Each withheld cell could be one lower or one higher, others making up for it.
        assert left > len(hidden)
        assert left < len(hidden) * (threshold - 1) or max(hidden) >= threshold
    if all(count == 0 or count >= threshold for count in counts.values()):
        assert shown == counts


# In several groups


@st.composite
def tables(draw: st.DrawFn) -> dict[str, tuple[int, ...]]:
    """Categories by group, many of them small."""
    groups = draw(st.integers(1, 3))
    cell = st.sampled_from([0, 0, 1, 2, 5, 9, 10, 11, 12, 20, 60])
    names = "abcdef"[: draw(st.integers(2, 6))]
    return {name: tuple(draw(cell) for _ in range(groups)) for name in names}


@settings(max_examples=60)
@given(tables(), st.sampled_from([3, 11]))
def test_nobody_who_knows_the_totals_finds_a_small_cell(table: dict[str, tuple[int, ...]], threshold: int) -> None:
    """An integer programme over what is shown, with every total of a group and every total of a shown category.

    Cells that together are the whole of a table are left out: a table in which nothing is shown hides no more than its
    totals do.
    """
    shown = disclose_table(table, threshold)
    attacker, groups = Attacker(), range(len(next(iter(table.values()))))
    for name, own in shown.items():
        for g in groups:
            attacker.learns({f"{name}{g}": 1}, own[g])
            assert own[g] in (None, table[name][g])
            assert own[g] is None or own[g] == 0 or own[g] >= threshold
        attacker.learns({f"{name}{g}": 1 for g in groups}, None if None in own else sum(table[name]))
    for g in groups:
        attacker.learns({f"{name}{g}": 1 for name in table}, sum(own[g] for own in table.values()))
    hidden = [name for name, own in shown.items() if None in own]
    if 0 < len(hidden) < len(table):
        cells = {f"{name}{g}": {f"{name}{g}": 1.0} for name in hidden for g in groups}
        cells |= {f"hidden in {g}": {f"{name}{g}": 1.0 for name in hidden} for g in groups if _any_small(table, g)}
        assert attacker.finds(cells, threshold) == {}


def _any_small(table: dict[str, tuple[int, ...]], group: int) -> bool:
    return any(0 < own[group] < 11 for own in table.values())


@given(tables(), st.randoms())
def test_the_order_of_categories_decides_nothing(table: dict[str, tuple[int, ...]], random: Random) -> None:
    """Nor is anything withheld where nothing is small, in a group or in all."""
    names = list(table)
    random.shuffle(names)
    assert disclose_table({name: table[name] for name in names}, 11) == disclose_table(table, 11)
    if not any(0 < n < 11 for own in table.values() for n in own):
        assert disclose_table(table, 11) == table


def test_what_is_small_in_one_group_is_withheld_in_all() -> None:
    """4 of 16 in the first group: the second's 12 with a total of 16 would give them; the next smallest goes too."""
    table = {"a": (40, 60), "b": (30, 31), "c": (12, 20), "d": (4, 12)}
    assert disclose_table(table, 11) == table | {"c": (None, None), "d": (None, None)}


def test_room_is_left_for_one_large_count() -> None:
    """6 and 5 withheld would be known to be at most 10 each, by whoever knows that nobody is hidden for being none."""
    shown = disclose_categories({"a": 60, "b": 40, "c": 6, "d": 5}, 11)
    assert shown == {"a": 60, "b": None, "c": None, "d": None}
    assert disclose_categories({"a": 60, "b": 40, "c": 6, "d": 6}, 11)["b"] == 40


def test_percentages_are_withheld_with_their_counts() -> None:
    """Of a known size they are counts; a whole of nobody has no percentages to tell."""
    shown = disclose_percents({"a": 60, "b": 30, "c": 10}, 11)
    assert shown == {"a": 60.0, "b": None, "c": None}
    assert disclose_percents({}, 11) == {}
