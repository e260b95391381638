"""The dropout story as a study declares it: the headline's rule in every row, nothing told that rests on few."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from causal.effect.estimate import estimate_effects
from causal.effect.matched_estimates import Ancova, ancova
from causal.effect.secondary import dropout
from causal.effect.secondary.dropout import carried
from causal.effect.secondary.finding import Finding
from causal.effect.secondary.opened import Opened
from causal.effect.secondary.run import findings
from flows.report.disclosed_findings import finding_lines

DECLARED: dict[str, Any] = {"analysis": "dropout_story", "imputations": 5}
Change = Callable[..., Opened]


def told(opened: Opened) -> Finding:
    """The story's finding."""
    (found,) = findings(opened)
    return found


def with_primary(opened: Opened, **columns: Any) -> Opened:
    """The study with these columns in the facts of the primary day."""
    day = opened.window.day
    facts = dict(opened.follow_up.facts)
    facts[day] = facts[day].assign(**columns)
    return dataclasses.replace(opened, follow_up=dataclasses.replace(opened.follow_up, facts=facts))


def everyone_rated(opened: Opened) -> Opened:
    """The study with a rating at the primary day for every relationship that had not ended by it."""
    frame = opened.follow_up.facts[opened.window.day]
    going = frame["ended_after_days"].isna()
    drawn = np.random.default_rng(1).uniform(3, 4, len(frame))
    score = np.where(going & frame["window_score"].isna(), drawn, frame["window_score"])
    last = np.where(frame["last_score"].isna(), drawn, frame["last_score"])
    return with_primary(opened, window_score=score, last_score=last)


def test_an_undefined_occasion_is_carried_as_in_the_headline(declaring: Change) -> None:
    """One treated relationship completed without any rating, nothing else missing: available cases are the headline."""
    full = everyone_rated(declaring(DECLARED))
    one = np.flatnonzero(full.treated & full.follow_up.facts[90]["ended_after_days"].isna())[0]
    frame = full.follow_up.facts[90].copy()
    frame.loc[one, ["end_reason", "ended_after_days", "window_score", "last_score"]] = [
        "completed",
        10.0,
        np.nan,
        np.nan,
    ]
    asked = with_primary(full, **{name: frame[name] for name in frame.columns})
    outcomes = asked.outcomes(asked.primary)
    assert outcomes.undefined[one]
    np.testing.assert_array_equal(np.isnan(outcomes.score) & ~outcomes.ended, outcomes.undefined & ~outcomes.ended)
    direct = estimate_effects(asked.design, outcomes, asked.study).composite
    line = told(asked).lines[0]
    assert line.label.startswith("available cases")
    found = [line.value, line.std_error, line.lower]
    assert found == pytest.approx([direct.value, direct.intervals[0].std_error, direct.intervals[0].lower], rel=1e-9)
    assert len(told(asked).lines) == 1  # nothing is missing: no other handling has anything to do


def test_it_says_how_the_undefined_count(declaring: Change) -> None:
    """The rule is a note of every story, so that the note tells nothing of whether there are any."""
    assert carried(declaring(DECLARED).study.words) in told(declaring(DECLARED)).notes


def test_the_design_is_factored_once_for_each_clustering(declaring: Change, monkeypatch: pytest.MonkeyPatch) -> None:
    """The many analyses of one story differ in the outcome alone, and share one regression."""
    asked = declaring(DECLARED)
    made: list[Ancova] = []

    def counted(*rows: Any, **words: Any) -> Ancova:
        made.append(ancova(*rows, **words))
        return made[-1]

    plain = told(asked)
    monkeypatch.setattr(dropout, "ancova", counted)
    assert told(asked) == plain
    assert len(made) == len(asked.sample().clusterings)


def test_a_missed_visit_is_a_gap(declaring: Change) -> None:
    """Ratings after a missed visit are kept, as the headline keeps them."""
    notes = " ".join(told(declaring(DECLARED)).notes)
    assert "a missed visit is a gap" in notes
    assert "set aside" not in notes
    assert "largest weight" not in notes  # one person's value


def test_shifts_rest_on_the_imputed(declaring: Change) -> None:
    """A shifted line counts the occasions it shifts; the sentence on the tipping point is a reading, not a note."""
    asked = declaring(DECLARED)
    found = told(asked)
    outcomes = asked.outcomes(asked.primary)
    gap = np.isnan(outcomes.score) & ~outcomes.ended & ~outcomes.undefined
    ids = asked.design.members["ta_id"]
    counts = tuple(ids[gap & arm].nunique() for arm in (asked.treated, ~asked.treated))
    shifted = [line for line in found.lines if "shifted" in line.label]
    assert shifted
    assert {(line.n_treated, line.n_comparison) for line in shifted} == {counts}
    assert min(found.lines[0].n_treated, found.lines[0].n_comparison) > max(counts[0], 100)
    assert any("shift" in reading for reading in found.readings)
    assert not any("shift" in note for note in found.notes)


def test_shifts_of_few_are_withheld(declaring: Change) -> None:
    """Three missing treated ratings: (shifted - unshifted)/shift times n would tell, so shifted rows have no number."""
    full = everyone_rated(declaring(DECLARED))
    frame = full.follow_up.facts[90]
    rated = np.isfinite(frame["window_score"]) & frame["ended_after_days"].isna()
    gone = [np.flatnonzero(rated & arm)[:k] for arm, k in ((full.treated, 3), (~full.treated, 40))]
    score = frame["window_score"].to_numpy(dtype=float).copy()
    score[np.concatenate(gone)] = np.nan
    asked = with_primary(full, window_score=score)
    found = told(asked)
    assert any("shifted" in line.label for line in found.lines)
    (shown,) = finding_lines([found], asked.study, sizes=(found.lines[0].n_treated, found.lines[0].n_comparison))
    assert shown.rows
    shifted = [row for row in shown.rows if "shifted" in row.label]
    assert shifted
    assert all((row.value, row.lower, row.upper) == (None, None, None) and row.withheld for row in shifted)
    assert not any("shift" in text for text in shown.notes)


@pytest.mark.parametrize("equal", ["both", "treated", "comparison"])
def test_ratings_that_do_not_vary(declaring: Change, equal: str) -> None:
    """Under matched sets too, ratings all equal are told as such: nothing is imputed, nothing warns, nothing stops."""
    asked = declaring(DECLARED)
    rows = {"both": np.ones_like(asked.treated), "treated": asked.treated, "comparison": ~asked.treated}[equal]
    facts = {
        day: frame.assign(
            window_score=np.where(rows & np.isfinite(frame["window_score"]), 5.0, frame["window_score"]),
            last_score=np.where(rows & np.isfinite(frame["last_score"]), 5.0, frame["last_score"]),
        )
        for day, frame in asked.follow_up.facts.items()
    }
    found = told(dataclasses.replace(asked, follow_up=dataclasses.replace(asked.follow_up, facts=facts)))
    assert found.lines[0].label.startswith("available cases")
    for name in ("multiple imputation", "normal model", "jump to reference", "tipping point"):
        assert any(words.startswith(name) and "do not vary" in words for words in found.not_evaluated)


def test_outcomes_that_do_not_vary(declaring: Change) -> None:
    """Nobody ended and every rating is the same: one plain reason, no story."""
    asked = declaring(DECLARED)
    facts = {
        day: frame.assign(
            window_score=np.where(np.isfinite(frame["window_score"]), 5.0, np.nan),
            last_score=np.nan,
            ended_after_days=np.nan,
            end_reason=None,
        )
        for day, frame in asked.follow_up.facts.items()
    }
    found = told(dataclasses.replace(asked, follow_up=dataclasses.replace(asked.follow_up, facts=facts)))
    assert found.lines == ()
    assert "all outcomes that are known are equal" in found.not_evaluated[0]
