"""Proportion of days covered: worked cases, and a grid of days as the plain reference."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from causal.measures.adherence import DaysCovered, Fills, Stays, days_covered

Fill = tuple[int, int, int, int]
"""Person, drug, day, supply."""


def fills(*rows: Fill, **flags: np.ndarray) -> Fills:
    """Dispensings as columns."""
    person, drug, day, supply = np.array(rows, dtype=np.int64).reshape(-1, 4).T
    return Fills(person=person, drug=drug, day=day, supply=supply, **flags)


def stays(*rows: tuple[int, int, int]) -> Stays:
    """Stays as columns: person, first day, last day."""
    person, admit, discharge = np.array(rows, dtype=np.int64).reshape(-1, 3).T
    return Stays(person=person, admit=admit, discharge=discharge)


def one_person(*rows: tuple[int, int, int], days: int) -> tuple[int, int]:
    """Covered and counted days of a window that begins on day 0; rows are drug, day, supply."""
    found = days_covered(fills(*((0, *row) for row in rows)), [0], [days - 1], carry_in=True)
    return int(found.covered[0]), int(found.days[0])


@pytest.mark.parametrize(
    ("rows", "days", "covered"),
    [
        # Worked cases; their shapes follow the example claims of the Pharmacy Quality Alliance.
        ([(0, 0, 30), (0, 25, 30), (0, 60, 30)], 90, 90),
        ([(0, 0, 90), (0, 83, 90), (0, 185, 90), (0, 287, 90)], 365, 348),
        ([(0, 0, 90), (1, 0, 90)], 365, 90),
        ([(0, 0, 90), (1, 85, 90)], 365, 175),
    ],
)
def test_worked_cases(rows: list[tuple[int, int, int]], days: int, covered: int) -> None:
    """Early refills move forward within a drug, and never across drugs."""
    assert one_person(*rows, days=days) == (covered, days)


def test_supply_from_before_the_window_is_carried_in_or_never_was() -> None:
    """30 days dispensed on day -20 leave 10; a refill on day 5 waits for them, and begins at once without them."""
    early = fills((0, 0, -20, 30), (0, 0, 5, 20))
    assert days_covered(early, [0], [99], carry_in=True).covered.tolist() == [30]
    assert days_covered(early, [0], [99], carry_in=False).covered.tolist() == [20]
    gap = fills((0, 0, -40, 30), (0, 0, 5, 20))
    assert days_covered(gap, [0], [99], carry_in=True).covered.tolist() == [20]


def test_inpatient_days_are_credited_or_removed() -> None:
    """Days 0-29 covered, in hospital on days 20-49: credited 50 of 100, removed 20 of 70; without stays 30 of 100."""
    supply, stay = fills((0, 0, 0, 30)), stays((0, 20, 49))
    for option, covered, days in (("credit", 50, 100), ("remove", 20, 70)):
        found = days_covered(supply, [0], [99], carry_in=True, stays=stay, inpatient=option)  # type: ignore[arg-type]
        assert (found.covered.tolist(), found.days.tolist()) == ([covered], [days])
    assert days_covered(supply, [0], [99], carry_in=True).pdc.tolist() == [0.3]


def test_the_window_ends_with_death_or_disenrolment() -> None:
    """Last known on day 39: 30 of 40; before the window, or always an inpatient: no share, and counted as such."""
    supply = fills((0, 0, 0, 30), (1, 0, 0, 30), (2, 0, 0, 30))
    found = days_covered(
        supply, [0, 0, 0], [99, 99, 9], carry_in=True, last_known=[39, -1, 99], stays=stays((2, -5, 9), (2, 3, 4))
    )
    assert found.covered.tolist() == [30, 0, 0]
    assert found.days.tolist() == [40, 0, 0]
    assert np.isnan(found.pdc).tolist() == [False, True, True]
    assert found.unmeasured == 2
    assert not found.adherent[1:].any()


def test_the_last_day_of_the_window_counts() -> None:
    """Both ends are inside: a supply of one day on the last day is one covered day."""
    assert one_person((0, 9, 1), days=10) == (1, 10)
    assert one_person((0, 10, 1), days=10) == (0, 10)


def test_supplies_that_cannot_be_are_set_aside_and_counted() -> None:
    """Each for its first reason: reversed, as needed, none or negative, longer than 180 days."""
    rows = [(0, 0, 0, 30), (0, 0, 40, 0), (0, 0, 50, -30), (0, 0, 60, 181), (0, 0, 70, 10), (0, 0, 80, 0)]
    flags = {
        "reversed_claim": np.array([False, False, False, False, True, True]),
        "as_needed": np.array([True, False, False, False, True, False]),
    }
    found = days_covered(fills(*rows, **flags), [0], [99], carry_in=True)
    assert found.covered.tolist() == [0]
    assert (found.reversed_claims, found.as_needed, found.no_supply, found.long_supply) == (2, 1, 2, 1)
    assert days_covered(fills(*rows), [0], [299], carry_in=True, longest_supply=200).covered.tolist() == [30 + 181 + 10]


def test_months_written_for_days_are_counted() -> None:
    """Three fills of 90 and one of 3 are suspect; three fills of 3 may be days."""
    days = [(0, 0, 0, 90), (0, 0, 90, 90), (0, 0, 180, 3), (0, 0, 270, 90)]
    assert days_covered(fills(*days), [0], [364], carry_in=True).perhaps_months == 1
    assert days_covered(fills((0, 0, 0, 3), (0, 0, 9, 3)), [0], [9], carry_in=True).perhaps_months == 0


def test_refills_of_the_same_day_are_stacked_and_counted() -> None:
    """Two supplies of 30 on one day last 60 days; those of two drugs 30."""
    same = fills((0, 0, 0, 30), (0, 0, 0, 30), (0, 1, 0, 20))
    found = days_covered(same, [0], [99], carry_in=True)
    assert (found.covered.tolist(), found.same_day) == ([60], 1)


def test_codes_of_any_size_are_sorted_alike() -> None:
    """Ingredient codes too far apart for one sorting number give what small codes give."""
    rows = [(person, drug, day, 20) for person in (0, 1) for drug in (0, 1) for day in (40, 0, 10)]
    small = days_covered(fills(*rows), [0, 0], [99, 99], carry_in=True)
    far = fills(*((person, drug * 2**61, day, supply) for person, drug, day, supply in rows))
    large = days_covered(far, [0, 0], [99, 99], carry_in=True)
    assert large.covered.tolist() == small.covered.tolist() == [60, 60]


def test_windows_that_begin_before_the_first_fill_are_counted() -> None:
    """Whoever must fill to be followed cannot drop out before; nobody without a fill is counted."""
    found = days_covered(fills((0, 0, 5, 30), (1, 0, 0, 30)), [0, 0, 0], [99, 99, 99], carry_in=True)
    assert found.begins_before_supply == 1
    assert found.pdc.tolist() == [0.3, 0.3, 0.0]


def test_thresholds_are_reached_exactly() -> None:
    """72 of 90 days are .8, and reach .8; 71 do not."""
    found = days_covered(fills((0, 0, 0, 72), (1, 0, 0, 71)), [0, 0], [89, 89], carry_in=True, thresholds=(0.8, 0.5))
    assert found.adherent.tolist() == [[True, True], [False, True]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((fills((0, 0, 0, 30)), [5], [4]), "1 windows end before they begin"),
        ((fills((1, 0, 0, 30)), [0], [9]), "has no window"),
        ((fills((-1, 0, 0, 30)), [0], [9]), "has no window"),
        ((fills((0, 0, 0, 30)), [0, 0], [9]), "need one entry each"),
    ],
)
def test_impossible_input_is_an_error(arguments: tuple[Fills, list[int], list[int]], message: str) -> None:
    """Windows backwards, persons unknown, columns of unlike length."""
    with pytest.raises(ValueError, match=message):
        days_covered(*arguments, carry_in=True)


def test_a_stay_backwards_is_an_error() -> None:
    """Discharged before admitted."""
    with pytest.raises(ValueError, match="1 stays end before they begin"):
        days_covered(fills(), [0], [9], carry_in=True, stays=stays((0, 5, 4)))


def test_nobody_with_fills() -> None:
    """No fill at all is a share of 0, not a missing one."""
    found = days_covered(fills(), [0, 3], [9, 5], carry_in=False, stays=stays())
    assert (found.covered.tolist(), found.days.tolist(), found.pdc.tolist()) == ([0, 0], [10, 3], [0, 0])


def day_grid(
    rows: list[Fill],
    windows: list[tuple[int, int]],
    hospital: list[tuple[int, int, int]],
    *,
    carry_in: bool,
    inpatient: str,
) -> tuple[list[int], list[int]]:
    """Covered and counted days, one day and one fill at a time."""
    covered, counted = [], []
    for person, (begin, end) in enumerate(windows):
        holding: set[int] = set()
        for drug in {row[1] for row in rows}:
            out_of_supply = -(10**9)
            mine = sorted((day, supply) for who, what, day, supply in rows if (who, what) == (person, drug))
            for day, supply in mine:
                if carry_in or day >= begin:
                    start = max(day, out_of_supply)
                    holding |= set(range(start, start + supply))
                    out_of_supply = start + supply
        away = {day for who, admit, discharge in hospital if who == person for day in range(admit, discharge + 1)}
        window = set(range(begin, end + 1))
        if inpatient == "remove":
            window -= away
        else:
            holding |= away
        covered.append(len(window & holding))
        counted.append(len(window))
    return covered, counted


FILL = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(-40, 60), st.integers(1, 40))
STAY = st.tuples(st.integers(0, 3), st.integers(-20, 60), st.integers(0, 20)).map(lambda s: (s[0], s[1], s[1] + s[2]))
WINDOW = st.tuples(st.integers(-10, 20), st.integers(0, 60)).map(lambda w: (w[0], w[0] + w[1]))


@given(
    st.lists(FILL, max_size=25),
    st.lists(WINDOW, min_size=4, max_size=4),
    st.lists(STAY, max_size=6),
    st.booleans(),
    st.sampled_from(["credit", "remove"]),
    st.randoms(use_true_random=False),
)
def test_intervals_agree_with_a_grid_of_days(
    rows: list[Fill],
    windows: list[tuple[int, int]],
    hospital: list[tuple[int, int, int]],
    carry_in: bool,
    inpatient: Literal["credit", "remove"],
    random: st.DataObject,
) -> None:
    """Any fills, stays and windows, in any order of rows."""
    covered, counted = day_grid(rows, windows, hospital, carry_in=carry_in, inpatient=inpatient)
    random.shuffle(rows)  # type: ignore[attr-defined]
    begin, end = zip(*windows, strict=True)
    found = days_covered(fills(*rows), begin, end, carry_in=carry_in, stays=stays(*hospital), inpatient=inpatient)
    assert (found.covered.tolist(), found.days.tolist()) == (covered, counted)
    assert ((found.covered <= found.days) | (found.days == 0)).all()


def test_persons_do_not_touch_one_another() -> None:
    """Each of 300 people alone has the figures they have together."""
    rng = np.random.default_rng(8)
    rows = np.column_stack([rng.integers(0, 300, 3000), rng.integers(0, 3, 3000), rng.integers(-90, 365, 3000)])
    rows = np.column_stack([rows, rng.choice([7, 30, 90], 3000)])
    together = days_covered(fills(*map(tuple, rows)), np.zeros(300, int), np.full(300, 364), carry_in=True)

    def alone(person: int) -> DaysCovered:
        mine = rows[rows[:, 0] == person].copy()
        mine[:, 0] = 0
        return days_covered(fills(*map(tuple, mine)), [0], [364], carry_in=True)

    assert [int(alone(person).covered[0]) for person in range(300)] == together.covered.tolist()
