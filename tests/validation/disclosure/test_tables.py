"""Disjoint categories whose totals are known: what is withheld together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from validation.disclosure import disclose_categories


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
