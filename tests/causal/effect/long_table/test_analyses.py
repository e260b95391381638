"""What each analysis of a long table finds: by hand, against other engines, and under changes that change nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from causal.effect.long_table.run import LongResult, analyse_long_table
from causal.effect.secondary.finding import Finding, Line
from tests.causal.effect.long_table.worlds import of_spells, spells, study, visits

EVERY: tuple[dict[str, Any], ...] = (
    {"name": "by_visit", "analysis": "repeated_measures"},
    {"name": "robust", "analysis": "repeated_measures", "degrees_of_freedom": "cluster_robust"},
    {"name": "straight", "analysis": "mixed_model", "random": "intercept"},
    {"name": "average", "analysis": "marginal_model"},
    {"name": "imputed", "analysis": "reference_based", "at": 12, "assumptions": ["MAR", "J2R", "CIR", "CR"]},
    {"name": "tipped", "analysis": "tipping_point", "at": 12, "lower": -20, "upper": 40, "step": 0.5, "steps": 3},
)


def lines(frame: pd.DataFrame, *analyses: dict[str, Any], **parts: Any) -> dict[str, tuple[Line, ...]]:
    """The numbers of every analysis by its name; nothing may be left without one."""
    found = analyse_long_table(frame, study(*analyses, **parts))
    assert not [finding.not_evaluated for finding in found.findings if finding.not_evaluated]
    return {finding.analysis: finding.lines for finding in found.findings}


def figures(found: dict[str, tuple[Line, ...]]) -> np.ndarray:
    """Every number of every line."""
    every = [one for name in found for one in found[name]]
    return np.array([(one.value, one.lower, one.upper, one.std_error, one.df or 0.0) for one in every], dtype=float)


def complete(seed: int = 1) -> pd.DataFrame:
    """A table without a missed visit."""
    return visits(seed, n=40, dropout=0.0)


def test_without_gaps_and_covariates_each_visit_is_a_t_test() -> None:
    """The mixed model for repeated measures, unstructured: value, error and 38 degrees of freedom."""
    frame = complete()
    found = lines(frame, EVERY[0], columns={"numeric": [], "baseline": None, "visits_not_used": [0]})["by_visit"]
    for line, week in zip(found, (4, 8, 12), strict=False):
        at = frame[frame["week"] == week]
        treated, other = (at.loc[at["arm"] == k, "score"] for k in (1, 0))
        plain = stats.ttest_ind(treated, other)
        assert line.value == pytest.approx(treated.mean() - other.mean(), rel=1e-8)
        assert line.std_error == pytest.approx((treated.mean() - other.mean()) / plain.statistic, rel=1e-6)
        assert line.df == pytest.approx(38, rel=1e-6)
        assert (line.n_treated, line.n_comparison) == (20, 20)
    assert found[3].value == pytest.approx(np.mean([one.value for one in found[:3]]), rel=1e-8)


def test_without_gaps_the_marginal_model_is_the_difference_of_means_of_people() -> None:
    """Three visits each: the effect is the difference between mean person means, whatever the working correlation."""
    frame = complete()
    after = frame[frame["week"] > 0]
    mean = after.groupby("who").agg(score=("score", "mean"), arm=("arm", "first"))
    by_hand = mean.loc[mean["arm"] == 1, "score"].mean() - mean.loc[mean["arm"] == 0, "score"].mean()
    for working in ("independence", "exchangeable"):
        columns = {"numeric": [], "baseline": None, "visits_not_used": [0]}
        found = lines(frame, EVERY[3] | {"working": working}, columns=columns)["average"]
        assert found[0].value == pytest.approx(by_hand, rel=1e-8)


def test_imputation_of_nothing_is_the_regression() -> None:
    """With every outcome known all four assumptions give least squares, and a tipping point has nothing to shift."""
    frame = complete()
    found = lines(frame, EVERY[4])["imputed"]
    wide = frame.pivot_table(index="who", columns="week", values="score").join(
        frame.groupby("who")[["arm", "age"]].first()
    )
    x = np.column_stack([np.ones(40), wide["arm"], wide["age"], wide[0]])
    by_hand = np.linalg.lstsq(x, wide[12].to_numpy(), rcond=None)[0][1]
    assert [one.value for one in found] == pytest.approx([by_hand] * 4, rel=1e-8)
    tipped = analyse_long_table(frame, study(EVERY[5])).findings[0]
    assert tipped.not_evaluated
    assert not tipped.lines


@pytest.mark.parametrize("seed", [2, 3])
def test_the_order_of_rows_and_columns_and_names_changes_nothing(seed: int) -> None:
    """Every analysis, shuffled rows, columns turned round, people and index renamed in their order."""
    frame = visits(seed)
    rng = np.random.default_rng(seed)
    turned = frame.iloc[rng.permutation(len(frame)), ::-1].assign(who=lambda x: "z" + x["who"])
    one, other = lines(frame, *EVERY), lines(turned, *EVERY)
    assert figures(other) == pytest.approx(figures(one), rel=1e-7, abs=1e-9)


def test_other_names_of_people_change_no_digit_that_is_told() -> None:
    """People named in another order: imputations follow what people are, not how they are called."""
    frame = visits(4)
    rng = np.random.default_rng(4)
    names = dict(zip(frame["who"].unique(), rng.permutation(frame["who"].unique()), strict=True))
    renamed = frame.assign(who=frame["who"].map(names))
    assert figures(lines(renamed, *EVERY)) == pytest.approx(figures(lines(frame, *EVERY)), rel=1e-7, abs=1e-9)


def test_swapped_arms_turn_the_sign() -> None:
    """Of everything that treats both groups alike."""
    frame = visits(5)
    swapped = frame.assign(arm=1 - frame["arm"])
    one, other = (lines(each, *EVERY[:4]) for each in (frame, swapped))
    for name, own in one.items():
        assert [line.value for line in other[name]] == pytest.approx([-line.value for line in own], rel=1e-6)
        assert [line.lower for line in other[name]] == pytest.approx([-line.upper for line in own], rel=1e-6)


def test_another_unit_of_the_outcome_scales_all() -> None:
    """Ten times the score: ten times every number; a shift of all scores: no change."""
    frame = visits(6)
    ten = frame.assign(score=10 * frame["score"] + 70)
    wide = EVERY[5] | {"step": 5.0, "lower": -500, "upper": 900}
    one, other = figures(lines(frame, *EVERY)), figures(lines(ten, *EVERY[:5], wide))
    assert other[:, :4] == pytest.approx(10 * one[:, :4], rel=1e-6)
    assert other[:, 4] == pytest.approx(one[:, 4], rel=1e-5)


def test_what_is_added_to_a_study_changes_no_other_number() -> None:
    """Random draws come from the name of the analysis that draws."""
    frame = visits(7)
    alone = lines(frame, EVERY[4])["imputed"]
    assert lines(frame, *EVERY)["imputed"] == alone
    other = lines(frame, EVERY[4] | {"name": "again"})["again"]
    assert [one.value for one in other] != [one.value for one in alone]


def test_visits_that_are_text_are_the_same_visits() -> None:
    """Named visits, with times where a course needs them; capitals and blanks do not count."""
    frame = visits(8)
    named = frame.assign(week=frame["week"].map({0: "Before", 4: "week 4 ", 8: "Week 8", 12: "week 12"}))
    columns = {"visits": ["week 4", "week 8", "week 12"], "baseline": "before", "times": [4, 8, 12]}
    analyses = [one | ({"at": "week 12"} if "at" in one else {}) for one in EVERY]
    assert figures(lines(named, *analyses, columns=columns)) == pytest.approx(figures(lines(frame, *EVERY)), rel=1e-9)


def test_several_columns_name_a_person() -> None:
    """A number that starts anew in every clinic."""
    frame = visits(9, clinics=6)
    number = frame.groupby("clinic")["who"].transform(lambda who: pd.factorize(who)[0])
    apart = frame.assign(number=number)
    both = lines(apart, *EVERY, columns={"person": ["clinic", "number"]})
    assert figures(both) == pytest.approx(figures(lines(frame, *EVERY)), rel=1e-7, abs=1e-9)
    with pytest.raises(Exception, match="repeat the person and visit"):
        analyse_long_table(apart, study(EVERY[0], columns={"person": "number"}))


def drift(frame: pd.DataFrame, **analysis: Any) -> LongResult:
    """One robust analysis by clinic."""
    declared = {"name": "main", "analysis": "repeated_measures", "degrees_of_freedom": "cluster_robust"} | analysis
    return analyse_long_table(frame, study(declared, columns={"cluster": "clinic"}))


def test_few_clinics_give_the_wider_interval() -> None:
    """Of those by person and by clinic, and the finding says so; an arm in one clinic has no interval at all."""
    frame = visits(10, n=200, clinics=12, drift=2.0)
    assert "wider" in " ".join(drift(frame).findings[0].notes)
    treated = frame.assign(arm=(frame["clinic"].isin(["c0", "c1", "c2", "c3"])).astype(int))
    by_clinic = drift(treated).findings[0].lines[2]
    by_person = lines(treated, EVERY[1])["robust"][2]
    assert by_clinic.clustered_by == "cluster"
    assert by_clinic.std_error > 1.3 * by_person.std_error
    one = frame.assign(arm=(frame["clinic"] == "c0").astype(int))
    for name in ("repeated_measures", "marginal_model"):
        by_visit = name == "repeated_measures"
        robust = {"degrees_of_freedom": "cluster_robust"} if by_visit else {"working": "independence"}
        declared = {"name": "main", "analysis": name} | robust
        found = analyse_long_table(one, study(declared, columns={"cluster": "clinic"})).findings[0]
        assert not found.lines
        assert "one cluster" in found.not_evaluated[0]


def test_a_refused_analysis_silences_no_other() -> None:
    """Nobody of one arm seen at the last visit: what needs it says why, the marginal model stays."""
    frame = visits(11)
    frame = frame[(frame["week"] < 12) | (frame["arm"] == 0)]
    found = analyse_long_table(frame, study(*EVERY))
    state = {finding.analysis: bool(finding.lines) for finding in found.findings}
    assert not state["by_visit"]
    assert state["average"]
    assert "visit 12" in found.findings[0].not_evaluated[0]


def hazard(frame: pd.DataFrame) -> Finding:
    """The ratio of hazards."""
    return analyse_long_table(frame, of_spells()).findings[0]


def test_spells_in_another_order_or_cut_in_two() -> None:
    """The same ratio and error by person, whatever the order; a spell cut in two is the same follow-up."""
    frame = spells(1)
    one = hazard(frame).lines[0]
    shuffled = hazard(frame.sample(frac=1, random_state=1)).lines[0]
    assert (shuffled.value, shuffled.std_error) == pytest.approx((one.value, one.std_error), rel=1e-8)
    middle = (frame["start"] + frame["stop"]) / 2
    halves = pd.concat([frame.assign(stop=middle, event=0), frame.assign(start=middle)])
    cut = hazard(halves).lines[0]
    assert cut.value == pytest.approx(one.value, rel=1e-8)
    assert cut.std_error == pytest.approx(one.std_error, rel=1e-7)
    assert cut.df == pytest.approx(one.df, rel=1e-7)
    assert one.events == cut.events
    assert (one.n_treated, one.n_comparison) == (cut.n_treated, cut.n_comparison)


def test_swapped_arms_invert_the_ratio() -> None:
    """Of hazards."""
    frame = spells(2)
    one, other = hazard(frame).lines[0], hazard(frame.assign(arm=1 - frame["arm"])).lines[0]
    assert other.value == pytest.approx(1 / one.value, rel=1e-8)
    assert other.lower == pytest.approx(1 / one.upper, rel=1e-6)


def test_no_event_in_a_group_has_no_ratio() -> None:
    """It is NOT EVALUATED, with the reason."""
    frame = spells(3)
    found = hazard(frame.assign(event=frame["event"] * frame["arm"]))
    assert not found.lines
    assert "no spell of one of the groups" in found.not_evaluated[0]


def test_a_working_correlation_is_of_one_person() -> None:
    """With clusters it would be one of all visits of a clinic: only independence is told, the same as without them."""
    frame = visits(12, clinics=12)
    exchangeable = {"name": "main", "analysis": "marginal_model"}
    found = analyse_long_table(frame, study(exchangeable, columns={"cluster": "clinic"})).findings[0]
    assert not found.lines
    independence = exchangeable | {"working": "independence"}
    by_clinic = analyse_long_table(frame, study(independence, columns={"cluster": "clinic"})).findings[0].lines[0]
    by_person = lines(frame, independence)["main"][0]
    assert by_clinic.value == pytest.approx(by_person.value, rel=1e-9)


def test_numbers_that_nobody_can_have() -> None:
    """-99 near the others: refused where the outcome's range is declared, and by a tipping point that declares one."""
    frame = visits(13)
    frame.loc[frame.index[5], "score"] = -9.0
    found = analyse_long_table(frame, study(EVERY[5] | {"lower": 0, "upper": 40})).findings[0]
    assert "outside the least" in found.not_evaluated[0]
    with pytest.raises(Exception, match="lies outside 0 to 40 in fewer than 11 of") as refused:
        analyse_long_table(frame, study(EVERY[0], columns={"lower": 0, "upper": 40}))
    assert getattr(refused.value, "code", "") == "long.outside"


def test_events_of_yes_and_no_outcomes_stand_behind_every_number() -> None:
    """So that disclosure knows of them: at the visit, or of the visit at which they are fewest."""
    frame = visits(14, dropout=0.0)
    frame["score"] = (frame["score"] > 9).astype(float)
    found = analyse_long_table(frame, study(*EVERY[:4], columns={"baseline": None, "visits_not_used": [0]}))
    last = frame[frame["week"] == 12]
    events = tuple(int(last.loc[last["arm"] == arm, "score"].sum()) for arm in (1, 0))
    assert found.findings[0].lines[2].events == events
    for finding in found.findings:
        assert all(line.scale == "risk difference" and line.events is not None for line in finding.lines)
