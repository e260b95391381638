"""Every analysis a study can declare gives its finding, or says why it cannot; nothing else stops."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from causal.effect.contrast import student
from causal.effect.estimate import estimate_effects
from causal.effect.secondary.change import last_rating_before
from causal.effect.secondary.days import subscale_label
from causal.effect.secondary.finding import Finding, Line, line_of
from causal.effect.secondary.opened import Opened
from causal.effect.secondary.run import ANALYSES, findings, in_family
from causal.protocol import STUDY, OccasionStudy
from causal.protocol.secondary import Secondary

CHANGE: dict[str, Any] = {
    "analysis": "reliable_change",
    "sd": 0.75,
    "reliability": 0.95,
    "basis": "test_retest",
    "reference": "this invented clinic",
}
EVERY: tuple[dict[str, Any], ...] = (
    {"analysis": "other_days"},
    {"analysis": "subscales"},
    {"analysis": "repeated_outcomes", "estimand": "E2"},
    {"analysis": "mixed_model", "estimand": "E2"},
    {"analysis": "marginal_model", "estimand": "E2"},
    {"analysis": "last_rating", "estimand": "E3"},
    {"analysis": "stratum_bounds", "estimand": "E4", "draws": 200},
    {"analysis": "termination_course", "days": (30, 90), "horizon_days": 180},
    {"analysis": "win_odds"},
    {"analysis": "g_computation"},
    {"analysis": "doubly_robust"},
    {"analysis": "two_way_clustering"},
    {"analysis": "clinic_fixed_effects"},
    {"analysis": "set_differences"},
    {"analysis": "randomisation", "draws": 1000},
    {"analysis": "cluster_bootstrap", "draws": 200},
    {"analysis": "reuse_variance"},
    CHANGE,
    {"analysis": "dropout_story", "imputations": 5},
    {"analysis": "imputation_within", "imputations": 5},
    {"analysis": "non_inferiority"},
    {"analysis": "equivalence"},
)
BY_NAME = {declared["analysis"]: declared for declared in EVERY}
Change = Callable[..., Opened]
RATIOS = ("hazard ratio", "win odds")


def one(opened: Opened) -> Finding:
    """The only finding."""
    (found,) = findings(opened)
    return found


def test_every_analysis_that_can_be_declared_is_carried_out() -> None:
    """The registry, the vocabulary and this file's list name the same analyses."""
    declarable = set(get_args(get_args(Secondary)[0]))
    assert set(ANALYSES) == declarable
    assert {d.model_fields["analysis"].annotation.__args__[0] for d in declarable} == {e["analysis"] for e in EVERY}


@pytest.fixture(scope="module")
def everything(declaring: Change, reused: Opened) -> tuple[Finding, ...]:
    """All of them at once; what needs matching with replacement on a design of its own."""
    together = findings(declaring(*EVERY, non_inferiority_margin=0.5))
    return tuple(one(reused) if found.analysis == "reuse_variance" else found for found in together)


def test_each_gives_numbers(everything: tuple[Finding, ...]) -> None:
    """Each has a title, a method and lines; intervals hold their estimate and every number is finite."""
    assert [found.analysis for found in everything] == [declared["analysis"] for declared in EVERY]
    for found in everything:
        assert found.lines, (found.analysis, found.not_evaluated)
        assert found.title
        assert found.method.endswith(".")
        assert found.not_evaluated == ()
        for line in found.lines:
            assert np.isfinite([line.lower, line.upper]).all()
            assert line.lower <= line.upper
            assert line.value is None or line.lower <= line.value <= line.upper
            assert min(line.n_treated, line.n_comparison) > 10


def test_they_find_what_was_put_in(everything: tuple[Finding, ...]) -> None:
    """Lower trust and more endings among the treated: every number points there, the level's near its truth."""
    for found in everything:
        for line in found.lines:
            if line.value is None or "shifted" in line.label or line.label.startswith("ended by"):
                continue
            harm = np.log(line.value) if line.scale in RATIOS else line.value
            if line.scale == "probability":
                continue
            worse = "days lost" in line.label or line.label.startswith("worse") or line.scale == "hazard ratio"
            assert (harm > 0) == worse, line.label
    for analysis in ("repeated_outcomes", "mixed_model", "marginal_model"):
        found = next(f for f in everything if f.analysis == analysis)
        for line in found.lines:
            assert line.lower < -0.3 < line.upper, line.label


def test_each_number_says_whose_ratings_it_rests_on(everything: tuple[Finding, ...]) -> None:
    """Endings rest on no rating, and how many ended is known wherever the compared alone are behind it."""
    for found in everything:
        for line in found.lines:
            endings = line.label.startswith(("ended by", "mean days lost", "rate of ending"))
            days = line.rests_on(90)
            assert (days == ()) == endings, line.label
            assert (line.events is not None) == (endings and found.analysis != "doubly_robust"), line.label
            named = re.search(r"trust at day (\d+)", line.label)
            assert not named or int(named[1]) in days, line.label


def test_a_range_that_is_no_interval_says_so(everything: tuple[Finding, ...]) -> None:
    """It stands in the column of intervals: the row of the estimated bounds says that it leaves sampling error out."""
    (bounds,) = [found for found in everything if found.analysis == "stratum_bounds"]
    assert [("sampling error left out" in line.label) for line in bounds.lines] == [True, False]


def test_no_note_tells_a_count(everything: tuple[Finding, ...]) -> None:
    """Notes and methods carry no whole number that could count occasions: what they count might be few."""
    for found in everything:
        for text in found.notes:
            said = text.replace("by 1 in size", "").replace("at 0,", "")
            said = re.sub(r"\d+ imputations; \d+ are needed.*", "", said)  # those are no patients
            assert not re.search(r"(?<![\d.+-])\d+(?![\d.%])", said), text


def test_other_days_are_the_primary_analysis_at_those_days(opened: Opened, declaring: Change) -> None:
    """Day 30's numbers are those of `estimate_effects` given day 30's outcomes."""
    found = one(declaring({"analysis": "other_days"}))
    day = next(window for window in opened.windows if window.day == 30)
    direct = estimate_effects(opened.design, opened.outcomes(opened.primary, day), opened.study)
    line = next(line for line in found.lines if line.label == "trust at day 30, an ending counted")
    assert (line.value, line.lower) == (direct.composite.value, direct.composite.intervals[0].lower)


def test_two_ways_with_one_of_them_trivial(declaring: Change, opened: Opened) -> None:
    """Where every set is a clinician of its own the two-way interval is that of sets."""
    members = opened.design.members.assign(clinician_id=opened.design.members["set_id"].astype(str))
    alone = declaring({"analysis": "two_way_clustering"})
    same = dataclasses.replace(alone, design=dataclasses.replace(opened.design, members=members))
    direct = estimate_effects(opened.design, opened.outcomes(opened.primary), opened.study)
    by_set = next(i for i in direct.composite.intervals if i.clustered_by == "matched set")
    line = one(same).lines[1]
    assert line.std_error == pytest.approx(by_set.std_error, rel=1e-9)


def test_another_analysis_changes_nothing(declaring: Change) -> None:
    """Each draws from a stream of its own: alone or beside others its numbers are the same to the bit."""
    bounds, lottery = BY_NAME["stratum_bounds"], BY_NAME["randomisation"]
    assert findings(declaring(bounds, lottery))[1] == one(declaring(lottery))
    assert findings(declaring(bounds, lottery))[0] == one(declaring(bounds))


def test_another_seed_changes_only_what_is_drawn(declaring: Change) -> None:
    """The seed moves the lottery's interval and nothing that draws nothing."""
    lottery, plain = BY_NAME["randomisation"], BY_NAME["g_computation"]
    assert one(declaring(lottery, seed=1)) != one(declaring(lottery, seed=2))
    assert one(declaring(plain, seed=1)) == one(declaring(plain, seed=2))


def refused(opened: Opened) -> str:
    """Why the only analysis found nothing."""
    found = one(opened)
    assert found.lines == ()
    return found.not_evaluated[0]


def with_facts(opened: Opened, **columns: Any) -> Opened:
    """The study with these columns in the facts of every day."""
    facts = {day: frame.assign(**columns) for day, frame in opened.follow_up.facts.items()}
    return dataclasses.replace(opened, follow_up=dataclasses.replace(opened.follow_up, facts=facts))


@pytest.mark.parametrize("analysis", ["repeated_outcomes", "last_rating", "win_odds", "g_computation", "dropout_story"])
def test_nobody_rated(declaring: Change, analysis: str) -> None:
    """Without a single rating there is a reason instead of a number."""
    declared = next(e for e in EVERY if e["analysis"] == analysis)
    silent = with_facts(declaring(declared), window_score=np.nan, last_score=np.nan)
    assert refused(silent)


def test_all_missing_at_one_day(declaring: Change) -> None:
    """One day without ratings is named; the model does not run on the other two in silence."""
    declared = declaring(BY_NAME["repeated_outcomes"])
    facts = dict(declared.follow_up.facts)
    facts[180] = facts[180].assign(window_score=np.nan, last_score=np.nan)
    blank = dataclasses.replace(declared, follow_up=dataclasses.replace(declared.follow_up, facts=facts))
    assert "180" in refused(blank)


def test_one_day_only(declaring: Change, flagship: OccasionStudy) -> None:
    """A model of repeated ratings needs two days."""
    outcome = flagship.model_dump(mode="python")["outcome"] | {"windows": ({"day": 90, "half_width": 21},)}
    assert refused(declaring(BY_NAME["repeated_outcomes"], outcome=outcome))


def test_one_rating_for_everyone_has_no_standard_error(declaring: Change) -> None:
    """A score that does not vary leaves no variation for a standard error: refused, not printed as certain."""
    same = with_facts(
        declaring(BY_NAME["repeated_outcomes"]),
        window_score=3.0,
        last_score=3.0,
        ended_after_days=np.nan,
        end_reason=None,
    )
    assert refused(same)


ELSEWHERE = ("doubly_robust", "imputation_within", "other_days", "reuse_variance")


def test_too_few_sets(declaring: Change) -> None:
    """Fewer sets than the study demands: every analysis of the compared says so."""
    declared = tuple(e for e in EVERY if e["analysis"] not in ELSEWHERE)
    asked = declaring(*declared, minimum_n_inference=10_000, non_inferiority_margin=0.5)
    for found in findings(asked):
        assert found.lines == (), found.analysis
        assert "too few for an interval" in found.not_evaluated[0]


def test_an_estimand_that_asks_another_question(declaring: Change) -> None:
    """An analysis given the wrong estimand refuses, whatever was checked before."""
    for declared in (
        {"analysis": "repeated_outcomes", "estimand": "E1"},
        {"analysis": "last_rating", "estimand": "E2"},
    ):
        assert "E" in refused(declaring(declared))


def holm_of(flagship: OccasionStudy, *p_values: float | None) -> list[float | None]:
    """Holm's p-values of the family of subscales; None is a member that could not be evaluated."""
    outcome = flagship.model_dump(mode="python")["outcome"] | {"subscales": ("a", "b", "c")[: len(p_values)]}
    plain = flagship.model_dump(mode="python") | {"outcome": outcome, "multiplicity": {"holm": ("subscales",)}}
    study = STUDY.validate_python(plain)
    assert isinstance(study, OccasionStudy)
    lines = tuple(
        dataclasses.replace(
            line_of(student("", 1.0, 1.0, 9), label=subscale_label(name), scale="points", counts=(60, 60)), p_value=p
        )
        for name, p in zip("abc", p_values, strict=False)
        if p is not None
    )
    found = Finding(analysis="subscales", title="t", method="m", lines=lines, not_evaluated=("whatever is said",))
    return [line.p_adjusted for line in in_family((found,), study)[0].lines]


def test_the_family_by_hand(flagship: OccasionStudy) -> None:
    """3 x .01, then 2 x .02, then .04, never falling; one that could not be evaluated still counts."""
    assert holm_of(flagship, 0.01, 0.04, 0.02) == pytest.approx([0.03, 0.04, 0.04])
    assert holm_of(flagship, 0.01, None, 0.02) == pytest.approx([0.03, 0.04])


def test_one_subscale_without_variation_takes_nobody_with_it(declaring: Change) -> None:
    """The others keep their numbers, and the family its size."""
    both = ({"holm": ("subscales",)}, BY_NAME["subscales"])
    asked = declaring(both[1], multiplicity=both[0])
    whole = one(asked)
    facts = dict(asked.follow_up.facts)
    facts[90] = facts[90].assign(subscale_goal=1.0)  # as low as an ending
    flat = one(dataclasses.replace(asked, follow_up=dataclasses.replace(asked.follow_up, facts=facts)))
    assert len(whole.lines) == 3
    assert [line.label for line in flat.lines] == [subscale_label("bond"), subscale_label("task")]
    assert len(flat.not_evaluated) == 1


def test_records_that_end_too_early_are_no_staying(declaring: Change) -> None:
    """Who is not followed to the end of the window leaves that day's comparison, and only that one."""
    asked = declaring(BY_NAME["other_days"])
    followed = np.full(len(asked.design.members), 400.0)
    sets = asked.design.members["set_id"].to_numpy()
    followed[sets < 30] = 100.0
    short = dataclasses.replace(asked, follow_up=dataclasses.replace(asked.follow_up, followed_days=followed))
    whole, found = one(asked), one(short)
    assert found.lines[:2] == dataclasses.replace(whole, lines=whole.lines[:2]).lines  # day 30
    assert found.lines[2].n_treated == whole.lines[0].n_treated - 30


def test_outside_the_family_nothing_is_tested(declaring: Change) -> None:
    """Without a declared family no line keeps a p-value."""
    lines: list[Line] = [
        line for found in findings(declaring(BY_NAME["other_days"], BY_NAME["subscales"])) for line in found.lines
    ]
    assert {line.p_value for line in lines} == {None}
    assert {line.p_adjusted for line in lines} == {None}


def test_reuse_needs_matching_with_replacement(declaring: Change, reused: Opened) -> None:
    """Without replacement it is refused; too few sets are too few; a design stored without propensities says so."""
    assert "matching with replacement" in refused(declaring({"analysis": "reuse_variance"}))
    many = reused.study.model_copy(update={"minimum_n_inference": 10_000})
    assert "too few for an interval" in refused(dataclasses.replace(reused, study=many))
    old = dataclasses.replace(reused.design, members=reused.design.members.drop(columns="logit"))
    assert "stored without" in refused(dataclasses.replace(reused, design=old))


def test_reuse_by_hand(reused: Opened) -> None:
    """Abadie and Imbens' variance pair by pair: of the pairs' differences, and of each comparison used k times."""
    members, outcomes = reused.design.members, reused.outcomes(reused.primary)
    assert members["ta_id"].duplicated().any()
    assert not outcomes.excluded.any()
    y = outcomes.ended.astype(float)
    sets = members["set_id"].to_numpy()
    treated = members["treated"].to_numpy()
    gap = np.array([y[(sets == s) & treated][0] - y[(sets == s) & ~treated][0] for s in np.unique(sets)])
    times = members.loc[~treated, "ta_id"].value_counts()
    first = members.assign(y=y)[~treated].drop_duplicates("ta_id").set_index("ta_id")
    extra = 0.0
    for name, k in times.items():
        distance = (first["logit"] - first.loc[name, "logit"]).abs().drop(name)
        near = first["y"][distance.index[distance <= distance.min() * (1 + 1e-9)]]
        extra += k * (k - 1) * near.size / (near.size + 1) * (first.loc[name, "y"] - near.mean()) ** 2
    ended = next(line for line in one(reused).lines if line.scale == "risk difference")
    assert ended.value == pytest.approx(gap.mean())
    assert ended.std_error == pytest.approx(np.sqrt(((gap - gap.mean()) ** 2).sum() + extra) / gap.size)
    assert (ended.n_treated, ended.n_comparison) == (gap.size, times.size)
    assert ended.df == min(gap.size, times.size) - 1


def test_reuse_is_wider_than_pairs_taken_for_independent(reused: Opened) -> None:
    """Differences that share a comparison tell less than as many that do not."""
    ended = next(line for line in one(reused).lines if line.scale == "risk difference")
    members, y = reused.design.members, reused.outcomes(reused.primary).ended.astype(float)
    order = np.lexsort((~members["treated"], members["set_id"]))
    gap = y[order][::2] - y[order][1::2]
    assert ended.std_error is not None
    assert ended.std_error > gap.std() / np.sqrt(gap.size)


def changed_by(opened: Opened, treated: list[float], comparison: list[float]) -> Opened:
    """Ratings before of 3, and after of 3 and these steps, dealt out in turn within each group; nobody ends."""
    arm = opened.design.members["treated"].to_numpy()
    step = np.zeros(arm.size)
    for group, steps in ((arm, treated), (~arm, comparison)):
        step[group] = np.resize(steps, int(group.sum()))
    members = opened.design.members.assign(alliance_lag1=3.0)
    there = with_facts(opened, window_score=3 + step, last_score=3 + step, ended_after_days=np.nan, end_reason=None)
    return dataclasses.replace(there, design=dataclasses.replace(opened.design, members=members))


def shares(found: Finding) -> dict[str, float | None]:
    """Estimates by label."""
    return {line.label: line.value for line in found.lines}


def test_change_by_hand(declaring: Change) -> None:
    """Of sd .75 and reliability .92 a change of .588 is reliable: .55 is none, .6 is, for better and for worse."""
    declared = declaring(CHANGE | {"reliability": 0.92})
    found = shares(one(changed_by(declared, [-0.6, -0.55, 0.6, -0.6], [-0.6, 0.55, 0.6, 0.6])))
    assert found["worse than before: share of the first group"] == pytest.approx(0.5, abs=0.02)
    assert found["better than before: share of the first group"] == pytest.approx(0.25, abs=0.02)
    assert found["worse than before: share of the second group"] == pytest.approx(0.25, abs=0.04)
    assert found["better than before: share of the second group"] == pytest.approx(0.5, abs=0.04)
    assert found["worse than before"] == pytest.approx(0.25, abs=0.06)
    assert found["better than before"] == pytest.approx(-0.25, abs=0.06)


def test_change_mirrored(declaring: Change, opened: Opened) -> None:
    """Ratings turned about the middle of the scale: what was worse is better, to the bit but for the names."""
    plain = declaring(CHANGE)
    lags = ["alliance_lag1", "alliance_lag2", "alliance_lag3"]
    members = opened.design.members.copy()
    members[lags] = 6 - members[lags]
    facts = {
        day: frame.assign(window_score=6 - frame["window_score"], last_score=6 - frame["last_score"])
        for day, frame in plain.follow_up.facts.items()
    }
    turned = dataclasses.replace(
        plain,
        design=dataclasses.replace(plain.design, members=members),
        follow_up=dataclasses.replace(plain.follow_up, facts=facts),
    )
    one_way, other = shares(one(plain)), shares(one(turned))
    assert {label.replace("worse", "better"): value for label, value in one_way.items() if "worse" in label} == {
        label: pytest.approx(value) for label, value in other.items() if "better" in label
    }


def test_change_is_from_the_last_rating_there_is(declaring: Change) -> None:
    """The nearest month with a rating counts, an earlier one only where it is empty; none at all is no change."""
    asked = declaring(CHANGE)
    members, n = asked.design.members.copy(), len(asked.design.members)
    members["alliance_lag1"] = np.resize([3.0, np.nan, np.nan, np.nan], n)
    members["alliance_lag2"] = np.resize([1.0, 4.0, np.nan, np.nan], n)
    members["alliance_lag3"] = np.resize([1.0, 1.0, 5.0, np.nan], n)
    design = dataclasses.replace(asked.design, members=members)
    before = last_rating_before(dataclasses.replace(asked, design=design))
    np.testing.assert_array_equal(before, np.resize([3.0, 4.0, 5.0, np.nan], n))


def test_change_leaves_out_who_ended(declaring: Change) -> None:
    """Neither an ending nor a rating from before it counts as a change: those who ended are as if never rated."""
    plain = declaring(CHANGE)
    ended = plain.outcomes(plain.primary).ended
    assert ended.any()
    facts = dict(plain.follow_up.facts)
    facts[90] = facts[90].assign(window_score=np.where(ended, 1.0, facts[90]["window_score"]))
    low_then_ended = dataclasses.replace(plain, follow_up=dataclasses.replace(plain.follow_up, facts=facts))
    assert one(low_then_ended) == one(plain)
    assert any("not counted as changed" in note for note in one(plain).notes)


def test_change_names_its_reference_and_basis(declaring: Change) -> None:
    """The sample is named, and alpha is said to overstate precision."""
    notes = " ".join(one(declaring(CHANGE | {"basis": "alpha"})).notes)
    assert "this invented clinic" in notes
    assert "alpha" in notes
    assert "overstates precision" in notes
    assert "overstates" not in " ".join(one(declaring(CHANGE)).notes)


def test_change_that_is_too_rare(declaring: Change) -> None:
    """Nobody rated before: its own reason. Nobody changed one way: no number for that way, and the other stands."""
    asked = declaring(CHANGE)
    members = asked.design.members.assign(alliance_lag1=np.nan, alliance_lag2=np.nan, alliance_lag3=np.nan)
    never = dataclasses.replace(asked, design=dataclasses.replace(asked.design, members=members))
    assert "a rating both before and after" in refused(never)
    found = one(changed_by(asked, [-1.0, 0.0], [0.0, -1.0]))
    assert all("worse" in line.label for line in found.lines)
    assert found.not_evaluated == ("better than before: the outcome has one value only",)


def test_a_share_rests_on_those_it_tells_of(declaring: Change) -> None:
    """One in ten moved: the line counts them, not the group, so that a share of a handful is not shown."""
    found = one(changed_by(declaring(CHANGE), [-1.0] + [0.0] * 9, [-1.0] + [0.0] * 9))
    arms = declaring(CHANGE).design.members["treated"].value_counts()
    for line in found.lines:
        assert line.n_treated == pytest.approx(arms[True] / 10, abs=1)
        assert line.n_comparison == pytest.approx(arms[False] / 10, abs=1)


def test_everyones_effect_is_another_than_that_of_the_treated(declaring: Change) -> None:
    """The population can be chosen, and is named."""
    whose = {
        name: one(declaring({"analysis": "doubly_robust", "effect_in": name}))
        for name in ("design", "treated", "everyone")
    }
    assert whose["design"].lines == whose["treated"].lines != whose["everyone"].lines
    assert "(ATE)" in whose["everyone"].method


@pytest.mark.parametrize("who", ["everyone", "treated"])
def test_a_group_of_one_clinician(declaring: Change, opened: Opened, who: str) -> None:
    """No analysis tells a number where a group lies in one clinician, and each says why."""
    asked = declaring(*EVERY, non_inferiority_margin=0.5)
    assert asked.cohort is not None

    def with_one(frame: pd.DataFrame) -> pd.DataFrame:
        chosen = frame["treated"] | (who == "everyone")
        return frame.assign(clinician_id=frame["clinician_id"].where(~chosen, "c1"))

    alone = dataclasses.replace(
        asked,
        design=dataclasses.replace(opened.design, members=with_one(opened.design.members)),
        cohort=dataclasses.replace(asked.cohort, occasions=with_one(asked.cohort.occasions)),
    )
    for found in findings(alone):
        assert found.lines == ()
        assert found.not_evaluated


def with_clinicians(opened: Opened, count: int) -> Opened:
    """The same study with so many clinicians, patients of one of whom drift together."""
    assert opened.cohort is not None
    occasions, members = opened.cohort.occasions, opened.design.members
    number = occasions["clinician_id"].str[1:].astype(int) % count
    clinician = pd.Series(("c" + number.astype(str)).to_numpy(), index=occasions["ta_id"])
    drift = pd.Series(np.random.default_rng(1).normal(size=count)[number], index=occasions["ta_id"])

    def drifted(facts: pd.DataFrame) -> pd.DataFrame:
        return facts.assign(
            window_score=(facts["window_score"] + drift.loc[facts["ta_id"]].to_numpy()).clip(1, 5),
            last_score=(facts["last_score"] + drift.loc[facts["ta_id"]].to_numpy()).clip(1, 5),
        )

    facts = {day: drifted(frame) for day, frame in opened.follow_up.facts.items()}
    return dataclasses.replace(
        opened,
        design=dataclasses.replace(
            opened.design, members=members.assign(clinician_id=clinician.loc[members["ta_id"]].to_numpy())
        ),
        cohort=dataclasses.replace(opened.cohort, occasions=occasions.assign(clinician_id=clinician.to_numpy())),
        follow_up=dataclasses.replace(opened.follow_up, facts=facts),
    )


def test_within_clinics_by_taking_means_out(declaring: Change, opened: Opened) -> None:
    """With an intercept for every clinic the difference is that of deviations from the clinics' weighted means."""
    found = one(declaring({"analysis": "clinic_fixed_effects"}))
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    clinic = opened.design.members["clinic_id"].to_numpy()[sample.kept]
    columns = np.column_stack([outcomes.ended[sample.kept], sample.treated, sample.covariates]).astype(float)
    for label in np.unique(clinic):
        rows = clinic == label
        columns[rows] -= np.average(columns[rows], axis=0, weights=sample.weights[rows])
    root = np.sqrt(sample.weights)[:, None]
    by_hand = np.linalg.lstsq(columns[:, 1:] * root, columns[:, 0] * root[:, 0])[0][0]
    assert found.lines[0].value == pytest.approx(by_hand, abs=1e-10)
    assert found.lines[0].clustered_by == "clinician"


def test_within_one_clinic_there_is_nothing_to_add(declaring: Change, opened: Opened) -> None:
    """One clinic in all, or none with both groups: NOT EVALUATED, and why."""
    asked = declaring({"analysis": "clinic_fixed_effects"})
    members = opened.design.members
    for clinic in (pd.Series("k1", index=members.index), members["treated"].map({True: "k1", False: "k2"})):
        alone = dataclasses.replace(opened.design, members=members.assign(clinic_id=clinic))
        found = one(dataclasses.replace(asked, design=alone))
        assert found.lines == ()
        assert "nothing can be compared within clinics" in found.not_evaluated[0]


WIDER = (
    *(
        "other_days",
        "subscales",
        "repeated_outcomes",
        "marginal_model",
        "last_rating",
        "stratum_bounds",
        "termination_course",
    ),
    *("win_odds", "g_computation", "reliable_change", "dropout_story", "imputation_within", "non_inferiority"),
)


@pytest.mark.parametrize("analysis", WIDER)
def test_few_clinicians_give_the_wider_interval(declaring: Change, analysis: str) -> None:
    """With eight clinicians each number has the wider of both intervals; with none too few, the clinicians'."""
    few = with_clinicians(declaring(BY_NAME[analysis], non_inferiority_margin=0.5), 8)

    def lines(minimum: int, clinician_of: str) -> dict[str, Line]:
        estimator = few.study.estimator.model_copy(update={"minimum_clusters": minimum})
        design = few.design
        if clinician_of == "set_id":
            design = dataclasses.replace(
                design, members=design.members.assign(clinician_id=design.members["set_id"].astype(str))
            )
        study = few.study.model_copy(update={"estimator": estimator})
        return {line.label: line for line in one(dataclasses.replace(few, study=study, design=design)).lines}

    def width(line: Line) -> float:
        return float(np.log(line.upper / line.lower)) if line.scale in RATIOS else line.upper - line.lower

    wider, by_clinician = lines(30, "clinician_id"), lines(2, "clinician_id")
    assert set(wider) == set(by_clinician) != set()
    assert {line.clustered_by for line in by_clinician.values()} == {"clinician"}
    assert all(width(wider[label]) >= width(line) * (1 - 1e-9) for label, line in by_clinician.items())
    if analysis not in ("imputation_within", "dropout_story"):  # the clinician helps to impute
        by_set = lines(2, "set_id")
        for label, line in wider.items():
            both = {"matched set": width(by_set[label]), "clinician": width(by_clinician[label])}
            assert width(line) == pytest.approx(max(both.values()), rel=1e-9)
            if both["clinician"] != pytest.approx(both["matched set"]):  # the range itself has no clusters
                assert line.clustered_by == max(both, key=lambda name: both[name])
