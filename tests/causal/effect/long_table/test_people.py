"""A long table that is not what its study says is refused: what, in how many rows, and where the first is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.effect.long_table.run import analyse_long_table, design_long_table, without_outcomes
from causal.errors import RapportError
from tests.causal.effect.long_table.worlds import of_spells, spells, study, visits

MAIN = {"name": "main", "analysis": "repeated_measures"}
Change = Callable[[pd.DataFrame], pd.DataFrame]


def cells(name: str, rows: slice, value: Any) -> Change:
    """Other values in some rows of a column."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        changed = frame.astype({name: object}) if isinstance(value, str) else frame.copy()
        changed.loc[changed.index[rows], name] = value
        return changed

    return change


BY_VISIT: dict[str, tuple[Change, str, str]] = {
    "a strange visit": (cells("week", slice(20, 40), 6), "long.visit", r"20 of \d+ rows are of a visit .*first row 21"),
    "a visit that nobody has": (lambda x: x[x["week"] != 8], "long.no_visit", "no row is of the visit 8"),
    "a row twice": (lambda x: pd.concat([x, x.iloc[:3]]), "long.repeated", "fewer than 11 of .* repeat the person"),
    "a changing arm": (cells("arm", slice(1, 2), 1), "long.changes", "'arm' changes from row to row of fewer than 11"),
    "a changing fact": (cells("age", slice(1, 60, 2), 41.5), "long.changes", r"'age' changes .* of \d+ of 120 people"),
    "no baseline": (lambda x: x[(x["week"] > 0) | (x["who"] > "p020")], "long.no_baseline", "21 of 120 people have no"),
    "a gap in a fact": (cells("age", slice(3, 4), np.nan), "flat.missing", "'age'"),
    "a gap in who": (cells("who", slice(3, 4), None), "flat.missing", "'who'"),
    "two spellings of a person": (cells("who", slice(3, 4), "P000"), "flat.spelling", "'who'"),
    "one arm": (lambda x: x.assign(arm=1), "design.no_comparison", "comparison"),
    "an arm of three": (lambda x: x.assign(arm=x["age"] % 3), "flat.treatment", "other than 0 and 1"),
    "text for scores": (lambda x: x.assign(score="high"), "flat.not_numeric", "'score'"),
    "a mark for not known": (cells("score", slice(5, 6), -1e6), "flat.beyond", "'score'"),
    "a constant fact": (lambda x: x.assign(age=40.0), "design.constant_covariate", "age"),
    "the outcome as a fact": (
        lambda x: x.assign(age=x.groupby("who")["score"].transform("last")),
        "flat.outcome_in_covariates",
        "determines the outcome exactly",
    ),
    "a column that is not there": (lambda x: x.rename(columns={"age": "agee"}), "flat.no_column", "'age'"),
    "no rows": (lambda x: x.iloc[:0], "flat.empty", "a header and no row"),
}


@pytest.mark.parametrize("fault", BY_VISIT)
def test_a_table_of_visits_is_refused(fault: str) -> None:
    """With the code and the place."""
    change, code, said = BY_VISIT[fault]
    frame = change(visits(1, dropout=0.0 if fault == "the outcome as a fact" else 1.0))
    with pytest.raises(RapportError, match=said) as refused:
        analyse_long_table(frame, study(MAIN))
    assert refused.value.code == code
    for value in ("p000", "P000", "41.5"):
        assert value not in str(refused.value)


BY_SPELL: dict[str, tuple[Change, str, str]] = {
    "a spell without length": (
        lambda x: x.assign(stop=np.where(np.arange(len(x)) < 15, x["start"], x["stop"])),
        "long.spell",
        r"15 of .*\(first row 1\)",
    ),
    "a start below 0": (cells("start", slice(0, 1), -2.0), "long.spell", "fewer than 11 of"),
    "two spells at once": (
        lambda x: x.assign(
            stop=np.where(x["stop"] < x.groupby("who")["stop"].transform("max"), x["stop"] + 1, x["stop"])
        ),
        "long.overlap",
        "nobody is at risk twice",
    ),
    "another event": (cells("event", slice(0, 12), 2), "long.event", "12 of"),
    "a gap in the times": (cells("stop", slice(0, 1), np.nan), "flat.missing", "'stop'"),
}


@pytest.mark.parametrize("fault", BY_SPELL)
def test_a_table_of_spells_is_refused(fault: str) -> None:
    """With the code and the place."""
    change, code, said = BY_SPELL[fault]
    with pytest.raises(RapportError, match=said) as refused:
        analyse_long_table(change(spells(1)), of_spells())
    assert refused.value.code == code


def test_visits_that_are_not_used_play_no_part() -> None:
    """Named as such; they may even be repeated."""
    frame = visits(2)
    extra = frame[frame["week"] == 4].assign(week=6, score=99.0)
    both = pd.concat([frame, extra, extra])
    one = analyse_long_table(frame, study(MAIN)).findings
    other = analyse_long_table(both, study(MAIN, columns={"visits_not_used": [6]})).findings
    assert [line.value for line in other[0].lines] == pytest.approx([line.value for line in one[0].lines], rel=1e-9)


def test_who_was_never_seen_again_counts_among_those_asked() -> None:
    """People with a baseline only: in the shares that are known, not in the comparison of a visit."""
    frame = visits(3, dropout=0.0)
    frame = frame[(frame["week"] == 0) | (frame["who"] >= "p024")]
    found = analyse_long_table(frame, study(MAIN))
    assert sum(found.people) == 120
    assert all(one.treated < 1 and one.comparison < 1 for one in found.response)
    assert found.findings[0].lines[0].n_treated + found.findings[0].lines[0].n_comparison == 96


@pytest.mark.parametrize("kind", ["visits", "spells"])
def test_no_outcome_moves_a_design(kind: str) -> None:
    """Scores after baseline, spells after the first, stops and events changed: the same design to the bit."""
    frame, asked = (visits(5), study(MAIN)) if kind == "visits" else (spells(5), of_spells())
    rng = np.random.default_rng(5)
    other = frame.sample(frac=1, random_state=5)
    if kind == "visits":
        other = other.assign(score=np.where(other["week"] == 0, other["score"], rng.normal(size=len(other))))
    else:
        first = other["start"] == other.groupby("who")["start"].transform("min")
        other = other.assign(
            stop=np.where(first, other["start"] + 0.5, other["stop"] + 3),
            start=np.where(first, other["start"], other["start"] + 3),
            event=1 - other["event"],
            age=np.where(first, other["age"], 0.0),
        )
    one, two = (design_long_table(without_outcomes(each, asked), asked) for each in (frame, other))
    assert one.content == two.content
    assert (one.balance, one.people) == (two.balance, two.people)
    changed = frame.assign(age=frame["age"] + (frame["who"] == frame["who"].iloc[0]))
    assert design_long_table(without_outcomes(changed, asked), asked).content != one.content


def test_who_was_seen_at_other_visits_only_is_one_of_those_asked() -> None:
    """Without a baseline: in the shares that are known, though no compared visit is theirs."""
    frame = visits(6, dropout=0.0)
    moved = frame.assign(week=frame["week"].where(frame["who"] >= "p012", frame["week"] + 100))
    columns = {"baseline": None, "visits_not_used": [0, 100, 104, 108, 112]}
    found = analyse_long_table(moved, study(MAIN, columns=columns))
    assert sum(found.people) == 120
    assert found.findings[0].lines[0].n_treated + found.findings[0].lines[0].n_comparison == 108
    assert found.response[0].treated < 1
