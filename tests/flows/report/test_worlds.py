"""Someone who holds `results.json` and knows how it was made tries every world that could have given it.

A withheld count is safe only if worlds that differ in it give the same file, to the byte.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable

import numpy as np
import pytest
from worlds import SETS, World, after, before, design_of, effects_of, outcomes_of, study

from causal.effect.estimate import estimate_effects
from causal.effect.response import Response
from causal.records import Effects, Estimate
from flows.report.document import figures_of, texts
from flows.report.dossier import Dossier, EffectLine, UnansweredLine, to_json
from flows.report.figures import draw
from flows.report.wording import document
from validation.disclosure.rounding import rounded_share

SMALL = range(1, 11)


def lost(total: int, *, first_bin: int = 0, with_trait: int = 60) -> World:
    """So many eligible treated occasions without a match, dealt over the bins, and so many eligible with a trait."""
    by_bin = np.bincount((np.arange(total) + first_bin) % 5, minlength=5)
    return World(lost_by_bin=tuple(int(n) for n in by_bin), flagged=(with_trait, 900, 55, 95))


def alike(observed: Dossier, worlds: Iterable[tuple[int, Dossier]]) -> set[int]:
    """The values of a withheld count whose worlds give the file observed."""
    seen = to_json(observed)
    return {value for value, dossier in worlds if to_json(dossier) == seen}


def test_overlap_and_flow_do_not_tell_how_many_found_no_match() -> None:
    """10 of 211 eligible found no match: neither the bars of overlap nor a verdict give the 211 away."""
    observed = before(lost(10))
    assert [step.treated for step in observed.flow] == [None, None, None, SETS]
    (unmatched,) = [line for line in observed.verdicts if line.code == "design.unmatched"]
    assert unmatched.measured is None
    assert unmatched.status == "PASS"
    assert "%" not in unmatched.sentence
    tried = (
        (n, before(lost(n, first_bin=first, with_trait=55 + more)))
        for n in SMALL
        for first in (0, 2)
        for more in range(3, min(n, 5) + 1)
    )
    left = alike(observed, tried)
    assert 10 in left
    assert len(left) >= 2


@pytest.mark.parametrize(
    ("flagged", "at"),
    [((3, 60, 3, 30), 0), ((70, 900, 60, 4), 3), ((0, 5, 0, 0), 1), ((4, 60, 0, 0), 0)],
    ids=["few matched treated", "few matched comparisons", "few eligible comparisons", "few eligible treated"],
)
def test_differences_do_not_tell_how_many_have_a_rare_trait(flagged: tuple[int, int, int, int], at: int) -> None:
    """From a standardised difference and the sizes of the groups a share is solved for; so it goes with the means."""

    def world(n: int) -> World:
        counts = list(flagged)
        counts[at] = n
        if at == 0 and flagged[2]:
            counts[2] = n
        return World(flagged=(counts[0], counts[1], counts[2], counts[3]))

    observed = before(world(flagged[at]))
    (line,) = observed.balance
    assert (line.mean_treated, line.mean_comparison_before, line.mean_comparison_after) == (None, None, None)
    assert (line.smd_before, line.smd_after) == (None, None)
    (verdict,) = [v for v in observed.verdicts if v.code == "design.balance_tier2"]
    assert verdict.measured is None
    assert len(alike(observed, ((n, before(world(n))) for n in SMALL))) >= 2


def test_rows_delivered_and_the_flow_do_not_tell_how_few_were_set_aside() -> None:
    """4125 delivered and 4120 at the head of the flow would leave 5."""

    def world(n: int) -> World:
        return World(set_aside={"threat_assessments.created:range": n})

    observed = before(world(5))
    (line,) = [line for line in observed.quality if line.table == "threat_assessments"]
    assert (line.rows, line.set_aside) == (None, None)
    measured = {v.code: v.measured for v in observed.verdicts if v.code.startswith("extract.")}
    assert measured == {"extract.rows.threat_assessments": None, "extract.set_aside.threat_assessments": None}
    assert alike(observed, ((n, before(world(n))) for n in SMALL)) == set(SMALL)


def without(effects: Effects, sets: int, deaths: int) -> Effects:
    """The effects, had so many sets been lost to so many deaths: what the number of sets decides follows."""

    def fewer(estimate: Estimate) -> Estimate:
        intervals = tuple(
            dataclasses.replace(i, clusters=i.clusters - sets, df=i.df - sets) if i.clustered_by == "matched set" else i
            for i in estimate.intervals
        )
        return dataclasses.replace(estimate, intervals=intervals)

    return dataclasses.replace(
        effects, termination=fewer(effects.termination), composite=fewer(effects.composite), n_excluded=deaths
    )


@pytest.mark.parametrize(("per_set", "most"), [(2, 5), (3, 10)], ids=["few deaths", "many deaths in few sets"])
def test_clusters_and_freedom_do_not_tell_how_few_sets_were_lost_to_deaths(per_set: int, most: int) -> None:
    """201 sets less 198 clusters would leave 3, and so would the degrees of freedom of a plain paired comparison."""
    world = World()
    effects = effects_of(world, design_of(world))

    def dossier(sets: int) -> Dossier:
        return after(world, without(effects, sets, min(per_set * sets, 10) if most == 5 else 24 + per_set))

    observed = dossier(3)
    assert observed.results is not None
    for effect in (observed.results.termination, observed.results.composite):
        assert [line.clusters for line in effect.intervals] == [None, None]
        assert [line.df is None for line in effect.intervals] == [
            line.clustered_by == "matched set" for line in effect.intervals
        ]
    assert observed.results.excluded == (None if most == 5 else 27)
    assert len(alike(observed, ((n, dossier(n)) for n in range(1, most + 1)))) >= 2


def test_few_deaths_hide_the_clusters_even_where_no_set_was_lost() -> None:
    """Four deaths among the comparisons of larger sets: that no set was lost is part of what they would tell."""
    world = World()
    results = after(world, without(effects_of(world, design_of(world)), 0, 4)).results
    assert results is not None
    assert [i.clusters for i in results.termination.intervals] == [None, None]


def test_all_clusters_are_told_where_no_death_was() -> None:
    """Nothing is withheld for its own sake: no deaths, every cluster and its freedom."""
    results = after(World()).results
    assert results is not None
    assert results.excluded == 0
    assert [(i.clustered_by, i.clusters) for i in results.termination.intervals] == [
        ("clinician", 57),
        ("matched set", 201),
    ]
    assert all(i.df is not None for i in results.composite.intervals)


def few_ended(treated: int, comparison: int, both: int) -> Dossier:
    """Sixty pairs in which few ended treatment."""
    return after(World(sets=60, ended=(treated, comparison, both)))


def test_effects_do_not_tell_how_few_ended_treatment() -> None:
    """Sums, differences and standard errors of 5 and 8 endings also fit other numbers of endings in each group."""
    observed = few_ended(5, 8, 2)
    results = observed.results
    assert results is not None
    for effect in (results.termination, results.composite):
        assert (effect.mean_treated, effect.mean_comparison) == (None, None)
    assert (results.response.treated, results.response.comparison) == (None, None)
    others = [(t, c, b) for t in range(4, 7) for c in range(7, 10) for b in range(1, 4)]
    worlds = [(t, c, few_ended(t, c, b)) for t, c, b in others]
    assert len(alike(observed, ((t, dossier) for t, _, dossier in worlds))) >= 2
    assert len(alike(observed, ((c, dossier) for _, c, dossier in worlds))) >= 2


def test_the_share_of_one_clinician_does_not_tell_how_few_are_not_theirs() -> None:
    """All but few of 201 matched cases with one clinician: the check fails, and nothing says how few."""

    def world(n: int) -> World:
        return World(with_one=SETS - n)

    observed = before(world(5))
    (verdict,) = [v for v in observed.verdicts if v.code == "design.cluster_share"]
    assert (verdict.status, verdict.measured) == ("FAIL", None)
    (answer,) = [line.answer for line in observed.looked_at if "how many clinicians" in line.question]
    assert "Clinicians: 6 in the first group" in answer
    assert len(alike(observed, ((n, before(world(n))) for n in (4, 5)))) >= 1
    (told,) = [v for v in before(world(60)).verdicts if v.code == "design.cluster_share"]
    assert told.measured == pytest.approx(141 / SETS, abs=1e-3)


def test_the_dossier_says_behind_how_many_clinicians_each_group_lies() -> None:
    """Counts of clinicians are told; shares are coarse; what all of a group share is said to hold all of it."""
    (answer,) = [line.answer for line in before(World()).looked_at if "how many clinicians" in line.question]
    assert answer.startswith(
        "Clinicians: 57 in the first group and 57 in the second; the largest holds under 6% of the first and under 6%"
    )
    assert (
        "Clinics: 1 in the first group and 1 in the second; the largest holds all of the first and all of the" in answer
    )


def told(ended: tuple[int, int, int], *, silent: str = "") -> Dossier:
    """The release of a world in which ratings vary and an arm, or nobody, is silent."""
    world = World(ended=ended)
    design = design_of(world)
    left = np.isnan(outcomes_of(world).score)
    treated = design.members["treated"].to_numpy()
    unheard = left | {"": left, "treated": treated}[silent]
    score = np.where(unheard, np.nan, 3.0 + np.sin(np.arange(left.size)))
    outcomes = dataclasses.replace(outcomes_of(world), score=score)
    return after(world, estimate_effects(design, outcomes, study()))


@pytest.mark.parametrize("ended", [(0, 0, 0), (0, 80, 0), (60, 0, 0)])
def test_nobody_who_ended_leaves_the_mean_standing(ended: tuple[int, int, int]) -> None:
    """Page, numbers' file and checks: the share has no number and says why, the mean has its interval, zero is told."""
    dossier = told(ended)
    results = dossier.results
    assert results is not None
    assert isinstance(results.termination, UnansweredLine)
    assert isinstance(results.composite, EffectLine)
    assert results.composite.lower < results.composite.value < results.composite.upper
    assert results.decomposition is not None
    stated = json.loads(to_json(dossier))["results"]
    assert stated["termination"]["value"] is None
    assert "one value only" in stated["termination"]["not_evaluated"]
    assert [v.status for v in dossier.verdicts if v.code == "estimate.termination"] == ["NOT EVALUATED"]
    shares = (results.termination.mean_treated, results.termination.mean_comparison)
    assert shares == tuple(rounded_share(n / SETS) for n in ended[:2])
    said = " ".join(texts(document(dossier)))
    assert said.count("NOT EVALUATED. ") >= 2  # on the first page and where it is told in detail
    assert ("Nobody ended treatment, in either group" in said) == (ended == (0, 0, 0))
    assert "Counted this way, trust was" in said
    draw(dossier, {figure.name: figure.alt for figure in figures_of(document(dossier)).values()})


def test_an_arm_without_a_rating_leaves_the_endings_standing() -> None:
    """Nobody of an arm answered: no mean and no split of one, and the difference in endings is told all the same."""
    dossier = told((60, 80, 20), silent="treated")
    results = dossier.results
    assert results is not None
    assert isinstance(results.composite, UnansweredLine)
    assert isinstance(results.termination, EffectLine)
    assert results.decomposition is None
    assert results.response.treated == 0.0
    said = " ".join(texts(document(dossier)))
    assert "NOT EVALUATED: relationships continue in one arm but no rating was given there" in said
    assert "Where the difference in trust comes from" not in said
    assert [v.code for v in dossier.verdicts if v.code.startswith("estimate.")] == ["estimate.composite"]
    draw(dossier, {figure.name: figure.alt for figure in figures_of(document(dossier)).values()})


def test_ratings_of_few_are_a_description() -> None:
    """One in ten of a group answered, eight in ten of the other: page one says so, and no word about trust is causal.

    The figures shown are coarse, endings keep their words, and what answered alike keeps all of them.
    """
    unlike = after(World(), response=(Response(day=90, treated=0.1, comparison=0.8),))
    alike_ = after(World(), response=(Response(day=90, treated=0.8, comparison=0.8),))
    assert unlike.results is not None
    assert alike_.results is not None
    assert (unlike.results.rated_causal_wording, alike_.results.rated_causal_wording) == (False, True)
    assert unlike.results.causal_wording == alike_.results.causal_wording
    first, plain = (" ".join(texts(document(dossier).sections[0])) for dossier in (unlike, alike_))
    assert "Too few ratings to speak of what the choice does to trust." in first
    assert "measured 0.1, limit at least 0.5" in first
    assert "among those who answered, trust was" in first
    assert "Too few ratings" not in plain
    assert "among those who answered" not in plain
    shown = [line.measured for line in unlike.verdicts if line.code.startswith("estimate.response")]
    assert shown == [pytest.approx(0.1), pytest.approx(0.7)]


def test_no_small_number_who_answered_is_told() -> None:
    """Where the endings are withheld so are the shares who answered; else each figure fits several counts."""
    withheld = after(World(sets=60, ended=(5, 8, 2)), response=(Response(day=90, treated=1 / 55, comparison=0.8),))
    assert [v.measured for v in withheld.verdicts if v.code.startswith("estimate.response")] == [None, None]
    few = (Response(day=90, treated=0.1, comparison=0.8, n_rated=(9, 96)),)
    shown = after(World(), response=few)
    assert [v.measured for v in shown.verdicts if v.code.startswith("estimate.response")] == [None, None]
    assert shown.results is not None
    assert (shown.results.response.treated, shown.results.response.comparison) == (None, None)
    near = [after(World(), response=(Response(day=90, treated=k / 140, comparison=0.8),)) for k in (13, 14, 15)]
    assert len({to_json(dossier) for dossier in near}) == 1
