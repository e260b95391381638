"""The flow of persons and occasions: no small loss can be worked out."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from validation.disclosure import CMS_THRESHOLD, disclose_flow

SMALL = range(1, CMS_THRESHOLD)
SOLVED, UNBOUNDED = 0, 3
"""How scipy.optimize.linprog reports its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """A step as the report has it."""

    rule: str
    persons: int | None
    occasions: int | None
    treated: int | None
    comparison: int | None


def step(
    rule: str, persons: int, occasions: int, treated: int | None = None, comparison: int | None = None
) -> Remaining:
    """A step in few words."""
    return Remaining(rule=rule, persons=persons, occasions=occasions, treated=treated, comparison=comparison)


def test_a_small_loss_is_merged_into_the_next_rule() -> None:
    """Five persons lost at one rule cannot be read off: the two rules become one step."""
    raw = [step("start", 1540, 2011), step("outpatient", 1498, 1949), step("regime", 1493, 1942), step("end", 400, 440)]
    shown = disclose_flow(raw, 11)
    assert [s.rule for s in shown] == ["start", "outpatient; regime", "end"]
    assert [s.persons for s in shown] == [1540, 1493, 400]


def test_a_loss_of_the_threshold_stands_by_itself() -> None:
    """Eleven lost may be told, ten may not: in all, and in a group."""
    for lost, rules in ((11, ["a", "b"]), (10, ["a; b"])):
        raw = [step("a", 300 + lost, 400 + lost), step("b", 300, 400)]
        assert [s.rule for s in disclose_flow(raw, 11)] == rules
        raw = [step("a", 320, 450, 100 + lost, 350 - lost), step("b", 300, 400, 100, 300)]
        assert [s.treated for s in disclose_flow(raw, 11)] == [100 + lost if lost == 11 else None, 100]


def test_several_small_losses_in_a_row_join_in_order() -> None:
    """Rules keep their order when several steps become one."""
    raw = [step("a", 100, 200), step("b", 98, 196), step("c", 95, 191), step("d", 40, 80)]
    assert [s.rule for s in disclose_flow(raw, 11)] == ["a; b; c", "d"]


def test_a_rule_that_loses_nobody_stays() -> None:
    """A loss of zero may be shown."""
    raw = [step("a", 100, 200), step("b", 100, 200), step("c", 60, 120)]
    assert list(disclose_flow(raw, 11)) == raw


def test_a_small_loss_in_one_group_hides_the_groups() -> None:
    """Occasions in all fall by 30, but the treated by 4: the step stays, without its groups."""
    raw = [step("a", 200, 300, 60, 240), step("b", 180, 270, 56, 214), step("c", 90, 120, 40, 80)]
    first, *others = disclose_flow(raw, 11)
    assert (first.rule, first.persons, first.occasions) == ("a", 200, 300)
    assert (first.treated, first.comparison) == (None, None)
    assert others == raw[1:]


def test_many_rules_that_lose_few_treated_are_still_told_apart() -> None:
    """A small treated group does not make the whole attrition one step."""
    raw = [step(f"rule {k}", 3000 - 200 * k, 4000 - 250 * k, 140 - k, 3860 - 249 * k) for k in range(8)]
    shown = disclose_flow(raw, 11)
    assert [s.rule for s in shown] == [s.rule for s in raw]
    assert [s.treated for s in shown] == [*[None] * 7, 133]


def test_few_repeats_hide_the_persons() -> None:
    """440 occasions of 433 persons would tell that 7 are repeats."""
    (only,) = disclose_flow([step("matched", 433, 440, 150, 290)], 11)
    assert (only.persons, only.occasions, only.treated, only.comparison) == (None, 440, 150, 290)


def test_a_small_group_at_the_end_hides_both() -> None:
    """The last step is kept; with 6 treated, neither group's count is shown."""
    (only,) = disclose_flow([step("matched", 100, 126, 6, 120)], 11)
    assert (only.persons, only.occasions, only.treated, only.comparison) == (100, 126, None, None)


def test_steps_too_small_to_show_become_one() -> None:
    """Where even the start is too small to show, one step remains, with nothing in it."""
    (only,) = disclose_flow([step("a", 8, 9, 2, 7), step("b", 7, 8, 2, 6)], 11)
    assert only == Remaining(rule="a; b", persons=None, occasions=None, treated=None, comparison=None)


def test_nothing_in_gives_nothing_out() -> None:
    """No steps, no flow."""
    assert disclose_flow([], 11) == ()


@dataclass(frozen=True)
class Attrition:
    """What happened, and whether every occasion is in one group or the other (which a reader may know)."""

    steps: list[Remaining]
    two_groups: bool


@st.composite
def attritions(draw: st.DrawFn) -> Attrition:
    """Attrition that could have happened: built from the last step backwards, group by group."""
    two_groups = draw(st.booleans())
    treated, comparison = draw(st.integers(0, 40)), draw(st.integers(0, 40))
    neither = 0 if two_groups else draw(st.integers(0, 20))
    occasions = treated + comparison + neither
    persons = draw(st.integers(min(occasions, max(1, occasions // 3)), occasions))
    counts = [(persons, occasions, treated, comparison)]
    for _ in range(draw(st.integers(1, 4))):
        lost = [draw(st.sampled_from([0, 0, 3, 8, 10, 11, 12, 40])) for _ in range(3)]
        lost[2] = 0 if two_groups else lost[2]
        occasions += sum(lost)
        persons += draw(st.integers(0, sum(lost)))
        treated, comparison = treated + lost[0], comparison + lost[1]
        counts.insert(0, (persons, occasions, treated, comparison))
    unassigned = draw(st.integers(0, len(counts) - 1))
    steps = [
        step(f"rule {k}", p, o, *((None, None) if k < unassigned else (t, c))) for k, (p, o, t, c) in enumerate(counts)
    ]
    return Attrition(steps, two_groups)


COLUMNS = ("persons", "occasions", "treated", "comparison")


@given(attritions())
def test_no_difference_of_shown_counts_is_small(attrition: Attrition) -> None:
    """Between any two steps, in every column, and within a step between its columns."""
    raw = attrition.steps
    shown = disclose_flow(raw, CMS_THRESHOLD)
    assert "; ".join(s.rule for s in shown) == "; ".join(s.rule for s in raw)
    for column in COLUMNS:
        values = [value for s in shown if (value := getattr(s, column)) is not None]
        derived = values + [earlier - later for earlier, later in itertools.combinations(values, 2)]
        assert not any(value in SMALL for value in derived)
        truth = [getattr(s, column) for s in raw]
        assert set(values) <= set(truth)
    for s in shown:
        if s.persons is not None and s.occasions is not None:
            assert s.occasions - s.persons not in SMALL
        if s.treated is not None and s.comparison is not None and s.occasions is not None:
            assert s.occasions - s.treated - s.comparison not in SMALL


@settings(max_examples=25, deadline=None)
@given(attritions())
def test_a_solver_cannot_force_a_small_count(attrition: Attrition) -> None:
    """Someone who knows how attrition works, and solves for every hidden number, finds no small one forced."""
    shown = disclose_flow(attrition.steps, CMS_THRESHOLD)
    known, bounds, matrix, limits = _what_is_known(shown, two_groups=attrition.two_groups)
    for target in _targets(len(shown)):
        if all(known[place] is not None for place in np.flatnonzero(target)):
            continue
        ends = [linprog(sign * target, A_ub=matrix, b_ub=limits, bounds=bounds) for sign in (1, -1)]
        assert all(end.status in (SOLVED, UNBOUNDED) for end in ends)
        if all(end.status == SOLVED for end in ends):
            low, high = ends[0].fun, -ends[1].fun
            assert not (abs(high - low) < 1e-7 and round(low) in SMALL)


def _what_is_known(
    shown: tuple[Remaining, ...], *, two_groups: bool
) -> tuple[list[int | None], list[tuple[float, float | None]], np.ndarray, np.ndarray]:
    """What is shown, and what holds of any attrition: rows of A x <= 0 over persons, occasions, treated, comparison."""
    known = [getattr(s, column) for s in shown for column in COLUMNS]
    bounds = [(0, None) if value is None else (value, value) for value in known]
    rows = []
    size = len(known)
    for k in range(len(shown)):
        here = 4 * k
        rows.append(_row(size, {here: 1, here + 1: -1}))  # persons <= occasions
        rows.append(_row(size, {here + 2: 1, here + 3: 1, here + 1: -1}))  # groups <= occasions
        if two_groups:
            rows.append(-rows[-1])  # and no fewer
        if k + 1 < len(shown):
            rows += [_row(size, {here + 4 + c: 1, here + c: -1}) for c in range(4)]  # nobody joins
            rows.append(_row(size, {here: 1, here + 4: -1, here + 1: -1, here + 5: 1}))  # a person lost loses occasions
    return known, bounds, np.array(rows), np.zeros(len(rows))


def _row(size: int, entries: dict[int, int]) -> np.ndarray:
    row = np.zeros(size)
    for place, value in entries.items():
        row[place] = value
    return row


def _targets(steps: int) -> list[np.ndarray]:
    """Every count, every loss, the repeats and what is in neither group."""
    size = 4 * steps
    targets = [_row(size, {place: 1}) for place in range(size)]
    for first, second in itertools.combinations(range(steps), 2):
        targets += [_row(size, {4 * first + c: 1, 4 * second + c: -1}) for c in range(4)]
    for k in range(steps):
        targets.append(_row(size, {4 * k + 1: 1, 4 * k: -1}))
        targets.append(_row(size, {4 * k + 1: 1, 4 * k + 2: -1, 4 * k + 3: -1}))
    return targets


def test_a_negative_count_is_refused() -> None:
    """It is an error of ours."""
    with pytest.raises(ValueError, match="negative"):
        disclose_flow([step("start", -3, 20)], 11)
