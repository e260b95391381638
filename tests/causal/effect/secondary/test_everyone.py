"""Analyses of every eligible occasion: rare covariates named, the headline's rule, counts of the compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from causal.design.groups import build_groups, fit_occasions, work_out
from causal.design.propensity.fit import Propensity
from causal.effect.adjustment import bends_of
from causal.effect.doubly_robust.aipw import aipw
from causal.effect.estimate import estimate_effects
from causal.effect.outcome_decomposition import composite_effect
from causal.effect.outcomes import apply_estimand
from causal.effect.secondary.everyone import SAME, everyone_of
from causal.effect.secondary.finding import Finding
from causal.effect.secondary.opened import Opened, counts_of
from causal.effect.secondary.responses import STOOD_IN
from causal.effect.secondary.run import findings
from causal.numeric.keys import keys_of_names
from causal.records import Cohort

ROBUST: dict[str, Any] = {"analysis": "doubly_robust"}
WITHIN: dict[str, Any] = {"analysis": "imputation_within", "imputations": 5}
RARE = "hospitalised_365d"
Change = Callable[..., Opened]


def one(opened: Opened) -> Finding:
    """The only finding."""
    (found,) = findings(opened)
    return found


def with_occasions(opened: Opened, **columns: Any) -> Opened:
    """The study with these columns in its cohort."""
    assert opened.cohort is not None
    occasions = opened.cohort.occasions.assign(**columns)
    return dataclasses.replace(opened, cohort=dataclasses.replace(opened.cohort, occasions=occasions))


def supported(opened: Opened) -> tuple[Cohort, np.ndarray]:
    """The cohort, and its occasions (n,) in which either decision was open."""
    assert opened.cohort is not None
    return opened.cohort, work_out(opened.cohort, opened.study).supported


def in_treated(opened: Opened, cases: int) -> Opened:
    """The study where so many treated, and forty comparisons, had been in hospital: all where support is wide."""
    cohort, wide = supported(opened)
    treated = cohort.occasions["treated"].to_numpy(dtype=bool)
    place = cohort.occasions["severity"].to_numpy()
    middle = np.argsort(np.abs(place - np.median(place)))
    chosen = [row for row in middle if wide[row]]
    flags = np.zeros(treated.size)
    flags[[row for row in chosen if treated[row]][:cases]] = 1
    flags[[row for row in chosen if not treated[row]][:40]] = 1
    return with_occasions(opened, **{RARE: flags})


def scores_of(asked: Opened, rows: np.ndarray) -> Propensity:
    """The design's model, learned from all eligible occasions and cross-fitted by clinician, for some rows."""
    assert asked.cohort is not None
    every, worked = everyone_of(asked), work_out(asked.cohort, asked.study)
    model = dataclasses.replace(worked.model, cross_fit=5)
    found = fit_occasions(every.cohort.occasions, every.treated, worked.matrix, asked.study, model, every.clusters)
    assert found.fold is not None
    return dataclasses.replace(
        found, logit=found.logit[rows], probability=found.probability[rows], fold=found.fold[rows]
    )


def test_a_rare_covariate_is_left_out_by_name(declaring: Change) -> None:
    """One treated occasion with a flag: its fold goes without, both figures stand, and a note names it."""
    asked = in_treated(declaring(ROBUST, missing=plan(declaring, "available_case")), 1)
    found = one(asked)
    assert len(found.lines) == 2
    assert found.not_evaluated == ()
    assert any("so rare in one of the groups" in note and RARE in note for note in found.notes)
    assert asked.cohort is not None
    every, worked = everyone_of(asked), work_out(asked.cohort, asked.study)
    rows = worked.supported & ~every.outcomes.excluded
    x, names = worked.matrix.in_models[rows], worked.matrix.names_in_models
    direct = aipw(
        every.outcomes.ended[rows].astype(float),
        every.treated[rows],
        x,
        names=names,
        clusters=every.clusters[rows],
        key=keys_of_names(every.cohort.occasions["ta_id"][rows], asked.study.seed),
        scores=scores_of(asked, rows),
        outcome_terms=np.column_stack([*bends_of(x, names, asked.study).values()]),
    )
    assert found.lines[0].value == pytest.approx(direct.effect.value, rel=1e-12)
    assert found.notes == tuple(f"{found.lines[0].label}: {note}." for note in direct.notes) + found.notes[1:]


@pytest.mark.parametrize(
    ("plan_of_missing", "said"),
    [
        ("available_case", "Those who answered stand in for those of their group who did not (share by arm)."),
        ("inverse_probability_of_response", "Those who answered stand in for those like them who did not."),
    ],
)
def test_how_missing_ratings_are_stood_in_for_is_said(declaring: Change, plan_of_missing: str, said: str) -> None:
    """By the model of response or by the share by arm, of the doubly robust estimate and of wins alike."""
    asked = declaring(ROBUST, {"analysis": "win_odds"}, missing=plan(declaring, plan_of_missing))
    robust, wins = findings(asked)
    assert robust.notes[-1] == said
    assert wins.notes[0] == said


def test_a_covariate_that_separates_everywhere_is_refused(declaring: Change) -> None:
    """No treated occasion with a flag that many others have, all of them kept: refused by name, not left out."""
    support = declaring(ROBUST).study.model_dump(mode="python")["support"] | {"rule": "none"}
    found = one(in_treated(declaring(ROBUST, support=support), 0))
    assert found.lines == ()
    assert found.not_evaluated
    assert all(RARE in reason for reason in found.not_evaluated)
    assert found.notes == ()


def test_a_covariate_without_variation_is_left_out_by_name(declaring: Change) -> None:
    """The rule of support drops who has a flag no treated one has; the others do not differ in it, and it is named."""
    asked = in_treated(declaring(ROBUST), 0)
    cohort, wide = supported(asked)
    assert cohort.occasions[RARE].any()
    assert not cohort.occasions[RARE][wide].any()
    found = one(asked)
    assert found.notes[0] == f"{SAME} {RARE}."
    assert len(found.lines) == 2
    assert found.not_evaluated == ()


def test_nothing_rare_leaves_nothing_out(declaring: Change) -> None:
    """Where every fold can learn from every covariate there is no note of it."""
    assert one(declaring(ROBUST)).notes == STOOD_IN["logistic regression"]


def test_it_models_the_choice_as_the_study_declares(declaring: Change) -> None:
    """Another propensity model moves the figures, and the finding names it; bends of the outcome are told too."""
    plain = one(declaring(ROBUST))
    assert "by logistic regression, the outcome by least squares with one bend" in plain.method
    penalised = one(declaring(ROBUST, propensity={"model": "elastic_net"}))
    assert "by penalised regression" in penalised.method
    assert penalised.lines[1].value != plain.lines[1].value
    curved = one(declaring(ROBUST, propensity={"model": "logistic", "splines": ("severity",), "knots": 3}))
    assert "with the design's curves" in curved.method
    estimator = declaring(ROBUST).study.model_dump(mode="python")["estimator"] | {"bends": "none"}
    straight = one(declaring(ROBUST, estimator=estimator))
    assert straight.method.endswith("the outcome by least squares.")
    assert straight.lines[1].value != plain.lines[1].value


@pytest.mark.parametrize(
    ("propensity", "outcome", "says"),
    [
        ({"model": "ridge"}, "ridge", "by ridge regression, the outcome by ridge regression with one bend"),
        (
            {"model": "average", "seed": 1},
            "average",
            "regression, ridge regression and boosted trees, the outcome by a cross-fitted average of least squares",
        ),
        ({"model": "boosting", "seed": 1}, "boosting", "logistic regression and boosted trees, the outcome by boosted"),
    ],
)
def test_every_model_a_study_can_declare(
    declaring: Change, propensity: dict[str, Any], outcome: str, says: str
) -> None:
    """Penalised, boosted and averaged models of choice and outcome run, are named, and are near the plain answer."""
    plain = one(declaring(ROBUST)).lines[1]
    found = one(declaring(ROBUST | {"outcome_model": outcome}, propensity=propensity))
    assert says in found.method
    assert found.not_evaluated == ()
    assert found.lines[1].value != plain.value
    assert plain.value is not None
    assert plain.std_error is not None
    assert found.lines[1].value == pytest.approx(plain.value, abs=1.5 * plain.std_error)


def test_a_declaration_it_cannot_follow_is_refused(declaring: Change) -> None:
    """Means of clinics beside folds of clinicians, and an effect in everyone from a sample of the untreated."""
    means = one(declaring(ROBUST, propensity={"model": "logistic", "cluster_means": "clinic"}))
    assert means.lines == ()
    assert "means of each clinic" in means.not_evaluated[0]
    everyone = ROBUST | {"effect_in": "everyone"}
    sampled = one(declaring(everyone, propensity={"model": "logistic", "sampling_fraction": 0.5}))
    assert sampled.lines == ()
    assert "untreated occasions were sampled" in sampled.not_evaluated[0]


def plan(declaring: Change, outcome: str) -> dict[str, Any]:
    """The study's plan for missing values with another for outcomes."""
    missing: dict[str, Any] = declaring(ROBUST).study.model_dump(mode="python")["missing"]
    return missing | {"outcome": outcome}


@pytest.mark.parametrize("outcome", ["available_case", "inverse_probability_of_response"])
def test_ratings_stand_in_as_the_study_declares(declaring: Change, outcome: str) -> None:
    """Covariates explain who answered only where the study weights by response; otherwise the share by arm."""
    asked = declaring(ROBUST, missing=plan(declaring, outcome))
    assert asked.cohort is not None
    every, worked = everyone_of(asked), work_out(asked.cohort, asked.study)
    rows = worked.supported & ~every.outcomes.excluded
    x, score = worked.matrix.in_models[rows], every.outcomes.score[rows]
    bends = np.column_stack([*bends_of(x, worked.matrix.names_in_models, asked.study).values()])
    pseudo = composite_effect(
        every.treated[rows],
        every.outcomes.ended[rows],
        score,
        ~np.isnan(score),
        clusters=every.clusters[rows],
        response_covariates=None if outcome == "available_case" else np.column_stack([x, bends]),
        response_bends=bends.shape[1],
    ).pseudo_outcome
    direct = aipw(
        pseudo,
        every.treated[rows],
        x,
        names=worked.matrix.names_in_models,
        clusters=every.clusters[rows],
        key=keys_of_names(every.cohort.occasions["ta_id"][rows], asked.study.seed),
        scores=scores_of(asked, rows),
        outcome_terms=bends,
    ).effect
    assert one(asked).lines[1].value == pytest.approx(direct.value, rel=1e-12)


def complete(opened: Opened, undefined: int) -> Opened:
    """The study with no missing covariate or rating; so many treated relationships were completed without a rating."""
    assert opened.cohort is not None
    everyone = opened.follow_up.everyone
    assert everyone is not None
    drawn = np.random.default_rng(2).uniform(3, 4, len(everyone))
    frame = everyone.assign(
        window_score=np.where(np.isnan(everyone["window_score"]), drawn, everyone["window_score"]),
        last_score=np.where(np.isnan(everyone["last_score"]), drawn, everyone["last_score"]),
    )
    treated = opened.cohort.occasions["treated"].to_numpy(dtype=bool)
    rows = np.flatnonzero(treated & frame["ended_after_days"].isna())[:undefined]
    columns = ["end_reason", "ended_after_days", "window_score", "last_score"]
    frame.loc[rows, columns] = ["completed", 10.0, np.nan, np.nan]
    lag = opened.cohort.occasions["alliance_lag2"]
    filled = with_occasions(opened, alliance_lag2=lag.fillna(3.5))
    return dataclasses.replace(filled, follow_up=dataclasses.replace(filled.follow_up, everyone=frame))


@pytest.mark.parametrize("undefined", [0, 7])
def test_with_nothing_missing_it_is_the_headline(declaring: Change, undefined: int) -> None:
    """Nothing to impute: the pooled value is `estimate_effects`', with undefined occasions in their sets too."""
    asked = complete(declaring(WITHIN, missing=plan(declaring, "available_case")), undefined)
    assert asked.cohort is not None
    design: Any = build_groups(asked.cohort, asked.study)
    assert asked.follow_up.everyone is not None
    frame = asked.follow_up.everyone.set_index("ta_id").loc[design.members["ta_id"]].reset_index()
    outcomes = apply_estimand(frame, asked.primary, asked.window, design.members["treated"].to_numpy(dtype=bool))
    assert outcomes.undefined[~outcomes.ended].any() == bool(undefined)
    direct = estimate_effects(design, outcomes, asked.study).composite
    line = one(asked).lines[0]
    assert line.value == pytest.approx(direct.value, rel=1e-9)
    assert line.std_error == pytest.approx(direct.intervals[0].std_error, rel=1e-9)
    compared = dataclasses.replace(asked, design=design)
    assert (line.n_treated, line.n_comparison) == counts_of(compared.sample(outcomes.excluded))


def test_counts_are_of_the_compared(declaring: Change) -> None:
    """The occasions behind the line are those matched, fewer than all that were eligible."""
    asked = declaring(WITHIN)
    assert asked.cohort is not None
    line = one(asked).lines[0]
    treated = asked.cohort.occasions["treated"].to_numpy(dtype=bool)
    assert 20 < line.n_treated <= treated.sum()
    assert 20 < line.n_comparison < (~treated).sum()
