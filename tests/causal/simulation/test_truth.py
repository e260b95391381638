"""Potential outcomes: consistent with what happened, null when nothing works, right where they can be told by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from causal import tables
from causal.simulation import AS_OF, Simulated, SimulationParameters, simulate, true_effect
from causal.simulation.course import Course, plan_course
from causal.simulation.draws import draw
from causal.simulation.extract import factual_paths
from causal.simulation.mechanisms import latest_rating, warning_probability
from causal.simulation.scene import AS_OF_DAY
from causal.simulation.trajectories import Paths
from causal.simulation.truth import (
    Candidates,
    candidate_occasions,
    counterfactual,
    outcome_column,
    potential_outcomes,
)
from causal.simulation.world import build_world

OUTCOMES = ("terminated", "score", "composite", "level", "latent")


def scene(parameters: SimulationParameters, people: int, seed: int = 1) -> tuple[Course, Paths, Candidates]:
    """One chunk of people with their course, their factual paths and their candidate occasions."""
    world = build_world(parameters, people, np.random.default_rng(seed))
    course = plan_course(parameters, world, np.arange(people), draw(people, np.random.default_rng(seed + 1)))
    factual = factual_paths(parameters, course)
    return course, factual, candidate_occasions(course, factual, AS_OF_DAY)


def latest_score(paths: Paths, candidates: Candidates) -> np.ndarray:
    """Observed scores of the period of each occasion and of the two before, (k, 3)."""
    scores = np.column_stack([np.full((len(paths.end), 2), np.nan), paths.observed_scores()])
    return scores[candidates.persons[:, None], candidates.periods[:, None] + np.arange(3)]


@pytest.mark.parametrize("arm", [False, True])
def test_the_arm_that_happened_is_what_happened(arm: bool) -> None:
    """Forcing the observed decision reproduces the factual path to the last answer (consistency)."""
    parameters = SimulationParameters(hidden_u=(0.7, 0.2), mnar=-0.6, mar=-0.8, kappa=0.2)
    course, factual, candidates = scene(parameters, 6_000)
    chosen = candidates.treated == arm
    some = Candidates(
        persons=candidates.persons[chosen], periods=candidates.periods[chosen], treated=candidates.treated[chosen]
    )
    assert len(some.persons) > 50
    again = counterfactual(parameters, course, some, factual, arm=arm)
    period = some.periods[:, None] + np.arange(again.present.shape[1])
    inside = period < factual.present.shape[1]
    cells = some.persons[:, None], np.minimum(period, factual.present.shape[1] - 1)
    for field in ("present", "items", "answered", "before", "assessed", "warned", "alliance"):
        np.testing.assert_array_equal(
            getattr(again, field)[inside], getattr(factual, field)[cells][inside], err_msg=field
        )
    assert not again.present[~inside].any()
    ended = again.end_step < again.present.shape[1]
    np.testing.assert_array_equal(again.end[ended], factual.end[some.persons[ended]])
    np.testing.assert_array_equal((some.periods + again.end_step)[ended], factual.end_step[some.persons[ended]])


def test_tables_agree_with_the_truth_of_the_observed_arm() -> None:
    """With full response, outcomes read from the tables by the outcome rule equal the truth under the observed arm."""
    simulated = simulate(SimulationParameters(response_rate=1.0, unlinked_share=0.0), 6_000, seed=4)
    occasions = observed_outcomes(simulated)
    arm = occasions["treated"].to_numpy()
    assert arm.sum() > 50
    for outcome in ("terminated", "score"):
        truth = np.where(arm, occasions[f"{outcome}_1"].astype(float), occasions[f"{outcome}_0"].astype(float))
        np.testing.assert_array_equal(occasions[f"observed_{outcome}"].astype(float).to_numpy(), truth)


def observed_outcomes(simulated: Simulated) -> pd.DataFrame:
    """Give the truth of occasions followed for 111 days, beside what their tables say, computed with pandas alone."""
    assessed = simulated.tables["threat_assessments"][["ta_id", "clinician_id", "ts"]]
    episodes = simulated.tables["episodes"].drop(columns=["start"])
    occasions = simulated.truth.merge(assessed, on="ta_id").merge(episodes, on=["person_id", "clinician_id"])
    occasions = occasions[occasions["ts"] + pd.Timedelta(days=111) < pd.Timestamp(AS_OF)].reset_index(drop=True)
    actions = simulated.tables["protective_actions"].query("action in ('warn_victim', 'warn_police')")
    assert (occasions["treated"] == occasions["ta_id"].isin(actions["ta_id"])).all()
    left = occasions["end_reason"].isin(["pt_initiated", "lost"])
    occasions["observed_terminated"] = left & (occasions["end"] <= occasions["ts"] + pd.Timedelta(days=90))

    forms = simulated.tables["measures"].query("instrument == 'wai_sr' and rater == 'patient'").copy()
    forms["score"] = forms[list(tables.ITEM_COLUMNS[:12])].astype(float).mean(axis=1)
    pairs = occasions[["ta_id", "person_id", "clinician_id", "ts"]].merge(forms, on=["person_id", "clinician_id"])
    pairs["day"] = (pairs["admin_ts"].dt.normalize() - pairs["ts"].dt.normalize()).dt.days
    pairs = pairs[(pairs["day"] > 0) & (pairs["day"] < 200)]
    pairs["far"] = (pairs["day"] - 90).abs()
    inside = pairs[pairs["far"] <= 21].sort_values(["far", "day"]).drop_duplicates("ta_id")
    last = pairs.sort_values("day").drop_duplicates("ta_id", keep="last")
    chosen = pd.concat([inside, last]).drop_duplicates("ta_id").set_index("ta_id")["score"]
    score = occasions["ta_id"].map(chosen)
    return occasions.assign(observed_score=score.where(~occasions["observed_terminated"]))


def test_no_effect_means_equal_outcomes() -> None:
    """Under the null switch both potential outcomes are equal, exactly, on every occasion."""
    truth = simulate(SimulationParameters(null=True), 3_000, seed=4).truth
    assert len(truth) > 500
    for outcome in OUTCOMES:
        pd.testing.assert_series_equal(truth[f"{outcome}_0"], truth[f"{outcome}_1"], check_names=False)


def test_a_constant_effect_comes_back() -> None:
    """Told nobody beforehand matters, an effect of -.40 at all days is -.40 on the latent scale, on every occasion."""
    parameters = SimulationParameters(effect=(-0.4, -0.4, -0.4), informed_before_factor=1.0)
    truth = simulate(parameters, 6_000, seed=4).truth
    difference = truth["latent_1"] - truth["latent_0"]
    # A later warning of the comparison arm (treatment policy) has the same effect from its own day on.
    assert np.isclose(difference, -0.4).mean() > 0.98
    assert (np.isclose(difference, -0.4) | np.isclose(difference, 0.0)).all()


def test_who_is_told_beforehand_is_affected_half() -> None:
    """The 90-day effect of -.30 becomes -.15 for the 40% told beforehand, interpolated to the day of the rating."""
    truth = simulate(SimulationParameters(effect=(-0.3, -0.3, -0.3)), 6_000, seed=4).truth
    difference = (truth["latent_1"] - truth["latent_0"]).round(6)
    assert (difference == -0.15).mean() == pytest.approx(0.4, abs=0.03)
    assert (difference == -0.30).mean() == pytest.approx(0.6, abs=0.03)


def test_a_warning_that_drives_everyone_out() -> None:
    """With a huge effect on leaving, everyone warned leaves next period; whoever is not warned is untouched."""
    parameters = SimulationParameters(effect=(0.0, 0.0, 0.0), warning_on_leaving=10.0)
    course, factual, candidates = scene(parameters, 3_000)
    outcomes = potential_outcomes(parameters, course, factual, candidates)
    still_there = counterfactual(parameters, course, candidates, factual, arm=True).end_step > 0
    assert outcomes.loc[still_there, "terminated_1"].mean() > 0.99
    assert outcomes["terminated_0"].mean() < 0.3
    np.testing.assert_array_equal(outcomes["level_0"], outcomes["level_1"])


def test_period_of_the_assessment_is_untouched() -> None:
    """Whoever is gone before the next period is gone under both arms, in the same way."""
    parameters = SimulationParameters()
    course, factual, candidates = scene(parameters, 6_000)
    arms = [counterfactual(parameters, course, candidates, factual, arm=arm) for arm in (False, True)]
    gone = [paths.end_step == 0 for paths in arms]
    assert gone[0].sum() > 50
    np.testing.assert_array_equal(gone[0], gone[1])
    np.testing.assert_array_equal(arms[0].end[gone[0]], arms[1].end[gone[0]])


def test_missing_outcomes_are_missing_in_both_arms(base: Simulated) -> None:
    """A composite is missing in both arms or in neither, seldom, and levels never."""
    missing = base.truth[["composite_0", "composite_1"]].isna()
    assert (missing["composite_0"] == missing["composite_1"]).all()
    assert missing["composite_0"].mean() < 0.02
    assert not base.truth[["level_0", "level_1", "latent_0", "latent_1"]].isna().any().any()


def test_candidates_were_never_warned_before(base: Simulated) -> None:
    """Candidates are exactly the assessments of people without a warning after an earlier one."""
    assessed = base.tables["threat_assessments"]
    warned = base.tables["protective_actions"].query("action in ('warn_victim', 'warn_police')")
    first = warned.groupby("person_id")["ts"].min()
    expected = assessed[~(assessed["ts"] > assessed["person_id"].map(first))]
    assert set(base.truth["ta_id"]) == set(expected["ta_id"])


def test_given_what_is_recorded_warnings_are_as_good_as_random() -> None:
    """Weighted by the true odds, the unwarned have the untreated outcomes of the warned; a hidden cause breaks this."""
    gap, error = weighted_gap(SimulationParameters())
    assert abs(gap) < 3 * error
    gap, error = weighted_gap(SimulationParameters(hidden_u=(1.1, 0.3)))
    assert gap < -4 * error


def weighted_gap(parameters: SimulationParameters) -> tuple[float, float]:
    """Mean untreated latent alliance of the warned less that of odds-weighted others, and its standard error.

    The odds leave out what no record holds: the hidden U.
    """
    course, factual, candidates = scene(parameters, 40_000, seed=9)
    cell = candidates.persons * course.assessed.shape[1] + candidates.periods
    course.warning[:] -= parameters.hidden_u[0] * course.draws.person.hidden[:, None]
    p = warning_probability(parameters, course, cell, latest_rating(latest_score(factual, candidates)))
    outcome = counterfactual(parameters, course, candidates, factual, arm=False, lasting=True).alliance[:, 3]
    treated = candidates.treated
    odds = (p / (1 - p))[~treated]
    gap = outcome[treated].mean() - np.average(outcome[~treated], weights=odds)
    effective = odds.sum() ** 2 / (odds**2).sum()
    return float(gap), float(outcome.std() * np.sqrt(1 / treated.sum() + 1 / effective))


def test_true_effect_by_hand() -> None:
    """Averages over the chosen occasions; a composite missing in both arms leaves only that average."""
    truth = pd.DataFrame(
        {
            "ta_id": ["a", "b", "c", "d"],
            "terminated_0": [False, False, False, True],
            "terminated_1": [True, False, False, False],
            "composite_0": [3.0, 4.0, np.nan, 5.0],
            "composite_1": [1.0, 3.5, np.nan, 5.0],
            "level_0": [3.0, 4.0, 2.0, 5.0],
            "level_1": [2.5, 3.5, 1.0, 5.0],
            "latent_0": [3.0, 4.0, 2.0, 5.0],
            "latent_1": [2.7, 3.7, 1.7, 5.0],
        }
    )
    effect = true_effect(truth, ["c", "a", "b"])
    assert effect.n == 3
    assert effect.termination_rd == pytest.approx(1 / 3)
    assert effect.composite_difference == pytest.approx(-1.25)
    assert effect.level_difference == pytest.approx(-2 / 3)
    assert effect.latent_difference == pytest.approx(-0.3)
    # Of a, b and c, b and c would stay either way; c has no composite.
    assert effect.stayer_share == pytest.approx(2 / 3)
    assert effect.stayer_difference == pytest.approx(-0.5)
    # After a warning 1 and 3.5, without one 3 and 4: of four pairs one is won.
    assert effect.win_probability == pytest.approx(0.25)
    assert true_effect(truth, ["a", "d"]).stayer_difference is None
    with pytest.raises(KeyError):
        true_effect(truth, ["nobody"])


def test_days_of_the_truth() -> None:
    """Who has left by day 30 has left by day 90, and by day 180; the composite is the floor for exactly those."""
    truth = simulate(SimulationParameters(), 6_000, seed=4).truth
    for arm in (False, True):
        early, day, late = (truth[outcome_column("terminated", arm, day)] for day in (30, 90, 180))
        assert 0 < early.sum() < day.sum() < late.sum()
        assert not (early & ~day).any()
        assert not (day & ~late).any()
        for day in (30, 180):
            composite, level = (truth[outcome_column(name, arm, day)] for name in ("composite", "level"))
            gone = truth[outcome_column("terminated", arm, day)]
            assert (composite[gone] == 1).all()
            assert level.notna().all()
            both = ~gone & composite.notna()
            assert (composite[both] == level[both]).mean() > 0.9  # others ended otherwise, or before the next rating


def test_effects_by_day_are_those_of_the_process() -> None:
    """On the latent scale the effect is -.40, -.30 and -.15 at 30, 90 and 180 days, where nobody is told beforehand."""
    truth = simulate(SimulationParameters(informed_before_factor=1.0), 8_000, seed=4).truth
    for day, size in ((30, -0.40), (90, -0.30), (180, -0.15)):
        effect = true_effect(truth, truth["ta_id"], day=day)
        assert effect.latent_difference == pytest.approx(size, abs=0.03)


def test_truth_by_day_agrees_with_the_tables() -> None:
    """With full response, endings and ratings of days 30 and 180 in the tables are the truth of the observed arm."""
    simulated = simulate(SimulationParameters(response_rate=1.0, unlinked_share=0.0), 6_000, seed=4)
    assessed = simulated.tables["threat_assessments"][["ta_id", "clinician_id", "ts"]]
    occasions = simulated.truth.merge(assessed, on="ta_id").merge(
        simulated.tables["episodes"].drop(columns=["start"]), on=["person_id", "clinician_id"]
    )
    occasions = occasions[occasions["ts"] + pd.Timedelta(days=211) < pd.Timestamp(AS_OF)].reset_index(drop=True)
    forms = simulated.tables["measures"].query("instrument == 'wai_sr' and rater == 'patient'")
    forms = forms.assign(score=forms[list(tables.ITEM_COLUMNS[:12])].astype(float).mean(axis=1))
    pairs = occasions[["ta_id", "person_id", "clinician_id", "ts"]].merge(forms, on=["person_id", "clinician_id"])
    pairs["day"] = (pairs["admin_ts"].dt.normalize() - pairs["ts"].dt.normalize()).dt.days
    for day, half in ((30, 14), (180, 30)):
        ended = occasions["end_reason"].isin(["pt_initiated", "lost"]) & (
            occasions["end"] <= occasions["ts"] + pd.Timedelta(days=day)
        )
        near = pairs[(pairs["day"] > 0) & ((pairs["day"] - day).abs() <= half)]
        near = near.assign(far=(near["day"] - day).abs()).sort_values(["far", "day"]).drop_duplicates("ta_id")
        seen = occasions["ta_id"].map(near.set_index("ta_id")["score"])
        arm = occasions["treated"].to_numpy(dtype=bool)
        for name, observed, rows in (
            ("terminated", ended, np.ones(len(arm), dtype=bool)),
            ("composite", seen, (seen.notna() & ~ended).to_numpy()),
        ):
            truth = np.where(arm, *(occasions[outcome_column(name, a, day)].astype(float) for a in (True, False)))
            assert rows.sum() > 500
            np.testing.assert_allclose(truth[rows], observed.astype(float)[rows], rtol=0, atol=1e-12)
