"""Ratings that are missing while the relationship goes on: every plausible handling, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import numpy as np

from causal.effect.cluster_robust import beyond_rounding
from causal.effect.contrast import Contrast, student
from causal.effect.matched_estimates import Ancova, ancova
from causal.effect.missing.story import DropoutStory as Story
from causal.effect.missing.story import NotEvaluated, StoryRow
from causal.effect.missing.story import dropout_story as story_of
from causal.effect.missing.tipping import TippingGrid
from causal.effect.sample import IntArray
from causal.effect.secondary.finding import Finding, Line, line_of
from causal.effect.secondary.opened import FloatArray, Opened, counts_of
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.outcome import Composite
from causal.protocol.secondary import DropoutStory
from causal.protocol.words import Words


def carried(words: Words) -> str:
    """How occasions count that have no rating and could have none."""
    return (
        "Occasions whose relationship was completed or transferred without any rating count through the others of "
        f"their group whose relationship the {words.person} did not end, as in the main analysis."
    )


def dropout_story(opened: Opened, declared: DropoutStory) -> Finding:
    """The primary composite under every assumption about missing ratings, and how far they would have to differ.

    A missed visit is a gap: later ratings count, as in the headline. Within each arm the weight of occasions without a
    rating that could be missing (`Outcomes.undefined`, not ended by the patient) is carried by the others that the
    patient did not end, in every row, as in the headline.
    """
    events = opened.primary.intercurrent_events
    if not isinstance(events.patient_ended, Composite):
        raise EstimationError("estimation.strategy", "only the composite strategy has a dropout story")
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    days = [opened.outcomes(opened.primary, window) for window in opened.windows]
    primary = opened.windows.index(opened.window)
    shifts = grid(declared)

    def analyse(regression: Callable[[], Ancova], outcome: FloatArray, weights: FloatArray) -> Contrast:
        found = regression().effect(outcome)
        error = beyond_rounding(found.std_error, outcome[weights > 0])
        return student("difference", found.value, error, found.df, level=found.level)

    told = partial(
        story_of,
        np.column_stack([day.score[sample.kept] for day in days]),
        primary=primary,
        fixed=np.where(outcomes.ended[sample.kept], events.patient_ended.value, np.nan),
        may_impute=np.column_stack([(~day.undefined & ~day.excluded & ~day.ended)[sample.kept] for day in days]),
        treated=sample.treated,
        covariates=sample.covariates,
        names=sample.names,
        weights=sample.weights,
        clusters=sample.clusters,
        units=sample.occasions,
        level=opened.study.estimator.level,
        scale=opened.score_range,
        monotone=False,
        imputations=declared.imputations,
        deltas_treated=shifts,
        deltas_comparison=shifts,
    )

    def story(code: IntArray) -> Story:
        regression = cache(  # of the one design, whose weights a story always gives
            partial(
                ancova,
                sample.treated,
                sample.covariates,
                sample.weights,
                code,
                names=sample.names,
                level=opened.study.estimator.level,
            )
        )
        return told(analyse=partial(analyse, regression), rng=opened.rng("dropout_story"))

    stories = sample.under_each(story)
    lines: list[Line] = []
    missing: list[str] = []
    for rows in zip(*(story.rows for _, story in stories), strict=True):
        refused = [row.result.reason for row in rows if isinstance(row.result, NotEvaluated)]
        missing += [f"{rows[0].name}: {reason}" for reason in dict.fromkeys(refused)]
        if not refused:
            named = zip(stories, rows, strict=True)
            by, main = widest([(by, row.result) for (by, _), row in named if isinstance(row.result, Contrast)])
            label = label_of(rows[0])
            lines.append(line_of(main, label=label, scale="points", counts=counts_of(sample), clustered_by=by))
    by, main_story = _main_tipping(stories)
    if isinstance(main_story.tipping, NotEvaluated):
        missing.append(f"{main_story.tipping.name}: {main_story.tipping.reason}")
    else:
        lines += [replace(line, clustered_by=by) for line in tipped(main_story.tipping, shifts)]
    return Finding(
        analysis="dropout_story",
        title="Had the missing ratings been different",
        method=(
            f"The main difference in {opened.study.words.outcome} at day {opened.window.day} under every handling of "
            f"ratings missing while treatment went on; {declared.imputations} imputed sets, pooled by Rubin's rules "
            "with Barnard and Rubin's degrees of freedom. Nothing is imputed after treatment ended or a death."
        ),
        lines=tuple(lines),
        not_evaluated=tuple(missing),
        notes=(carried(opened.study.words), *notes_of(main_story)),
        readings=tipping_reading(main_story.tipping),
    )


def _main_tipping(stories: Sequence[tuple[str, Story]]) -> tuple[str, Story]:
    """The story whose grid of shifts is told: the one without a grid, else the one wider where nobody is shifted.

    One clustering serves the whole grid, so that a tipping point is not a change of clustering.
    """
    grids = []
    for by, story in stories:
        if isinstance(story.tipping, NotEvaluated):
            return by, story
        grids.append((by, story.tipping.at(0.0, 0.0).contrast))
    chosen = widest(grids)[0]
    return next((by, story) for by, story in stories if by == chosen)


def grid(declared: DropoutStory) -> tuple[float, ...]:
    """Shifts from the lowest to the highest, 0 among them to the digit.

    >>> grid(DropoutStory(analysis="dropout_story", delta_lowest=-0.2, delta_highest=0.1))
    (-0.2, -0.1, 0.0, 0.1)
    """
    below = round(-declared.delta_lowest / declared.delta_step)
    above = round(declared.delta_highest / declared.delta_step)
    return tuple(round(k * declared.delta_step, 10) for k in range(-below, above + 1))


def label_of(row: StoryRow) -> str:
    """A handling with what it takes for true."""
    return f"{row.name}: {row.assumption}"


def tipped(
    grid: TippingGrid, shifts: tuple[float, ...], groups: tuple[str, str] = ("first choice", "second")
) -> list[Line]:
    """The corners and arms of the grid of shifts.

    Behind each are the imputed occasions of each arm, not all that are compared: what a shift does to the difference
    tells the share that is imputed, so where those are few it may not be shown.
    """
    lowest, highest = shifts[0], shifts[-1]
    at = [(lowest, 0.0), (0.0, lowest), (lowest, lowest), (highest, 0.0), (0.0, highest), (lowest, highest)]
    return [
        line_of(
            grid.at(one, other).contrast,
            label=f"those who did not answer shifted by {_shift(one)} ({groups[0]}) and {_shift(other)} ({groups[1]})",
            scale="points",
            counts=(grid.n_treated, grid.n_comparison),
        )
        for one, other in dict.fromkeys(at)
    ]


def _shift(delta: float) -> str:
    return f"{delta:+g}" if delta else "0"


def tipping_reading(tipping: TippingGrid | NotEvaluated, group: str = "first") -> tuple[str, ...]:
    """How far the unanswered of the first group would have to differ for the reading to change."""
    if isinstance(tipping, NotEvaluated):
        return ()
    if tipping.tipping_delta is None:
        return (f"No shift on the grid, in the {group} group alone, changes whether the interval takes in zero.",)
    changed = (
        f"The interval changes from excluding zero to taking it in, or back, once those of the {group} group who did "
        f"not answer are shifted by {tipping.tipping_delta:+g} points against those like them who did."
    )
    return (changed,)


def notes_of(story: Story) -> tuple[str, ...]:
    """What the handlings say of themselves, each once."""
    said = [f"{row.name}: {note}" for row in story.rows for note in row.notes]
    return tuple(dict.fromkeys(said))
