"""The headline pair as it may be shown: which numbers stand as they were, which are withheld, and at which count."""

from __future__ import annotations

import dataclasses
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
from worlds import PROFILE, SETS, THRESHOLD, World, design_of, effects_of, judged_of, study

from causal.cohort.catalogue import catalogue_of
from causal.records import Effects, Estimate, Interval, NotEstimated
from flows.report.disclosed_results import (
    _interval,
    endings_told,
    fact_label,
    results_of,
    truth_lines,
)
from flows.report.dossier import EffectLine, Results, UnansweredLine
from validation.disclosure import Withheld
from validation.disclosure.answers import interval_of
from validation.verdict import at_least


@cache
def judged() -> Any:
    """A design with its verdicts, made once."""
    return judged_of(World(), design_of(World()))


FACTS = catalogue_of(study())


@cache
def estimates() -> Effects:
    """Its effects, made once."""
    return effects_of(World(), judged().design)


def results(effects: Effects | None = None, **given: Any) -> Results:
    """The results of a world with these effects, or its own."""
    return results_of(judged(), effects or estimates(), PROFILE, study().words, FACTS, **given)


def estimated(one: Estimate | NotEstimated) -> Estimate:
    """The estimate that there is."""
    assert isinstance(one, Estimate)
    return one


@pytest.mark.parametrize(
    ("by", "clusters", "deaths", "told", "freedom", "why"),
    [
        ("clinician", 57, False, 57, True, None),
        ("clinician", 5, False, 5, True, None),
        ("clinician", 57, True, None, True, Withheld.FEW_DEATHS),
        ("matched set", 201, False, 201, True, None),
        ("matched set", 11, False, 11, True, None),
        ("matched set", 10, False, None, True, Withheld.COUNT),
        ("matched set", 201, True, None, False, Withheld.FEW_DEATHS),
        ("patient", 390, False, None, False, Withheld.PATIENTS),
        ("patient", 390, True, None, False, Withheld.PATIENTS),
    ],
)
def test_clusters_and_freedom_are_told_where_they_count_no_patient(
    by: str, clusters: int, deaths: bool, told: int | None, freedom: bool, why: Withheld | None
) -> None:
    """Few clinicians are told; sets are not, where they are few or few of them were lost to deaths; patients never."""
    interval = Interval(clustered_by=by, clusters=clusters, std_error=0.3, df=12.5, lower=-0.5, upper=0.7)
    line = _interval(by, interval_of(interval, PROFILE, few_deaths=deaths), PROFILE, primary=True)
    assert (line.clusters, line.df) == (told, 12.5 if freedom else None)
    assert line.withheld == ("" if why is None else why.sentence(THRESHOLD))
    assert (line.clustered_by, line.std_error, line.lower, line.upper, line.primary) == (by, 0.3, -0.5, 0.7, True)


def test_an_effect_is_told_as_it_was_estimated() -> None:
    """Number, ends, level, means and the smallest difference; the first interval is the main one."""
    found = results()
    for line, estimate in ((found.termination, estimates().termination), (found.composite, estimates().composite)):
        assert isinstance(line, EffectLine)
        one = estimated(estimate)
        fields = ("name", "scale", "value", "level", "mean_treated", "mean_comparison", "detectable", "why_main")
        assert [getattr(line, name) for name in fields] == [getattr(one, name) for name in fields]
        assert (line.lower, line.upper) == (one.intervals[0].lower, one.intervals[0].upper)
        assert [i.primary for i in line.intervals] == [True, False]
        assert [i.clustered_by for i in line.intervals] == [i.clustered_by for i in one.intervals]
    assert found.termination.question == "Did more patients end treatment within 90 days?"
    assert found.composite.question.startswith("How strong was trust at day 90")
    assert (found.day, found.half_width, found.excluded) == (90, 21, 0)
    split = found.decomposition
    assert split is not None
    assert (split.total, split.termination_part, split.level_part, split.floor) == (
        estimated(estimates().composite).value,
        estimates().termination_part,
        estimates().level_part,
        estimates().floor,
    )


@pytest.mark.parametrize(("off", "adjusted"), [(0.0, False), (1e-9, False), (0.01, True), (-0.01, True)])
def test_an_effect_other_than_the_difference_of_means_is_said_to_be_adjusted(off: float, adjusted: bool) -> None:
    """Beyond what a computer rounds."""
    one = estimated(estimates().termination)
    changed = dataclasses.replace(one, value=one.mean_treated - one.mean_comparison + off)
    line = results(dataclasses.replace(estimates(), termination=changed)).termination
    assert isinstance(line, EffectLine)
    assert line.adjusted is adjusted


@pytest.mark.parametrize(("ended", "told"), [(0, True), (1, False), (10, False), (11, True), (190, True), (191, False)])
@pytest.mark.parametrize("group", ["n_ended_treated", "n_ended_comparison"])
def test_few_endings_of_either_group_hide_the_means_of_both(group: str, ended: int, told: bool) -> None:
    """Few, or all but few; the mean of trust goes with them, each with its own reason."""
    found = results(dataclasses.replace(estimates(), **{group: ended}))
    for line, why in ((found.termination, Withheld.FEW_ENDINGS), (found.composite, Withheld.WITH_ENDINGS)):
        assert (line.mean_treated is not None, line.mean_comparison is not None) == (told, told)
        assert line.means_withheld == ("" if told else why.sentence(THRESHOLD))
    assert found.response.withheld == ("" if told else Withheld.WITH_ENDINGS.sentence(THRESHOLD))


@pytest.mark.parametrize(("deaths", "told"), [(0, True), (1, False), (10, False), (11, True)])
def test_few_deaths_are_not_counted_and_hide_the_clusters(deaths: int, told: bool) -> None:
    """From one to ten."""
    found = results(dataclasses.replace(estimates(), n_excluded=deaths))
    assert found.excluded == (deaths if told else None)
    assert isinstance(found.termination, EffectLine)
    assert [i.clusters is not None for i in found.termination.intervals] == [told, told]


@pytest.mark.parametrize(("lost", "told"), [(0, True), (1, False), (10, False), (11, True)])
def test_few_sets_lost_hide_the_clusters(lost: int, told: bool) -> None:
    """The sets that the page tells, less the clusters of an interval, would be their number."""
    one = estimated(estimates().composite)
    intervals = tuple(
        dataclasses.replace(i, clusters=SETS - lost) if i.clustered_by == "matched set" else i for i in one.intervals
    )
    found = results(dataclasses.replace(estimates(), composite=dataclasses.replace(one, intervals=intervals)))
    assert isinstance(found.termination, EffectLine)
    assert [i.clusters is not None for i in found.termination.intervals] == [told, told]


def test_shares_who_answered_are_in_steps_that_their_own_group_asks_for() -> None:
    """Of those who had not ended: 5% at the finest, coarser where 5% would be one or two people."""
    rated = dataclasses.replace(estimates(), response_treated=0.83, response_comparison=0.57)
    assert results(rated).response.treated == pytest.approx(0.85)
    assert results(rated).response.comparison == pytest.approx(0.55)
    stayed = dataclasses.replace(estimated(estimates().termination), mean_treated=161 / 201)  # 40 of 201: tenths
    few = dataclasses.replace(rated, response_treated=0.63, termination=stayed)
    assert results(few).response.treated == pytest.approx(0.6)
    assert results(few).response.comparison == pytest.approx(0.55)
    silent = dataclasses.replace(few, response_treated=0.83)  # 8 in 10 of 40 leaves 6 to 10 who did not
    assert (results(silent).response.treated, results(silent).response.comparison) == (None, None)
    assert results(silent).response.withheld == Withheld.FEW_SILENT.sentence(THRESHOLD)
    for hidden in (results(rated, few=frozenset({90})), results(dataclasses.replace(rated, n_ended_treated=5))):
        assert (hidden.response.treated, hidden.response.comparison) == (None, None)
        assert hidden.response.withheld
    assert results(rated, few=frozenset({30})).response.withheld == ""
    nobody = dataclasses.replace(rated, response_treated=float("nan"))
    assert results(nobody).response.treated is None


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("", "not applied: the ratings could not be compared"),
        ("everyone responded", "none were missing"),
        ("share by arm", "share by arm: those who answered stand in for those of the same group who did not"),
        (
            "share by arm: a note",
            "share by arm: those who answered stand in for those of the same group who did not (a note)",
        ),
    ],
)
def test_how_missing_ratings_were_handled_is_in_plain_words(method: str, said: str) -> None:
    """With the technical note in brackets where there is one."""
    assert results(dataclasses.replace(estimates(), response_handling=method)).response.handling == said


def test_an_effect_that_could_not_be_had_says_why_and_keeps_its_means() -> None:
    """A mean that there is none of is null; the other effect stands, and the split goes with the composite."""
    missing = NotEstimated(
        name="trust",
        scale="points",
        reason="no ratings",
        mean_treated=float("nan"),
        mean_comparison=2.5,
        n_treated=SETS,
        n_comparison=SETS,
    )
    found = results(dataclasses.replace(estimates(), composite=missing, termination_part=None, level_part=None))
    line = found.composite
    assert isinstance(line, UnansweredLine)
    assert (line.name, line.scale, line.not_evaluated) == ("trust", "points", "no ratings")
    assert (line.mean_treated, line.mean_comparison) == (None, 2.5)
    assert line.question.startswith("How strong was trust")
    assert isinstance(found.termination, EffectLine)
    assert found.decomposition is None


def test_words_about_ratings_fall_with_the_checks_of_their_own_day() -> None:
    """A check that failed at another day does not matter, nor does one that passed."""
    for share, day, causal in ((0.1, 90, False), (0.1, 180, True), (0.9, 90, True)):
        verdict = at_least(f"estimate.response.day_{day}", share, 0.5, "share who answered")
        assert results(answered=(verdict,)).rated_causal_wording is causal
    unlike = SimpleNamespace(**vars(judged()) | {"verdicts": ()})
    assert results_of(unlike, estimates(), PROFILE, study().words, FACTS).causal_wording is True  # type: ignore[arg-type]
    assert results().causal_wording is False  # a check of this design fails


def test_facts_left_out_are_named_in_words() -> None:
    """By their labels; that something was not recorded is a fact of its own, and an unknown name stays."""
    label = fact_label("hospitalised_365d", FACTS)
    assert label not in ("", "hospitalised_365d")
    assert fact_label("hospitalised_365d_missing", FACTS) == f"{label}: not recorded"
    assert fact_label("something_else", FACTS) == "something_else"
    assert results(dataclasses.replace(estimates(), aliased=("hospitalised_365d",))).aliased == (label,)


def test_endings_told_are_the_headlines() -> None:
    """Treated first; none without a headline."""
    assert endings_told(estimates()) == ((60, 80),)
    assert endings_told(None) == ()


@pytest.mark.parametrize(("truth", "covered"), [("lower", True), ("value", True), ("upper", True), ("beyond", False)])
def test_a_truth_at_the_end_of_an_interval_is_inside_it(truth: str, covered: bool) -> None:
    """Beside each effect its own truth, level and interval; an effect that could not be had has no line."""
    found = results()
    pair = (found.termination, found.composite)
    truths = [line.upper + 0.01 if truth == "beyond" else getattr(line, truth) for line in pair]
    known: Any = SimpleNamespace(termination_rd=truths[0], composite_difference=truths[1])
    told = truth_lines(found, known, study().words)
    assert [line.covered for line in told] == [covered, covered]
    assert [line.truth for line in told] == truths
    for line, effect in zip(told, pair, strict=True):
        assert (line.estimate, line.lower, line.upper) == (effect.value, effect.lower, effect.upper)
        assert line.level == 0.95
    assert [line.name for line in told] == [
        "difference in ending treatment",
        "difference in trust, an ending counted",
    ]
