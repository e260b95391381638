"""One replicate: simulate, build the comparison, open the outcomes, estimate, and set the answers beside the truth."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from in_memory import Recorded, cohort_of, ever_warned_contrast, facts_of, recorded_of, truth_of
from settings import Setting

from causal.cohort.catalogue import catalogue_of
from causal.design.build import build_design
from causal.design.groups import build_groups
from causal.effect.estimate import estimate_effects, primary_estimand, target_population
from causal.effect.outcomes import apply_estimand, primary_window
from causal.errors import DesignError, EstimationError
from causal.protocol import STUDY, OccasionStudy
from causal.protocol.outcome import Rating
from causal.records import Cohort, ComparisonGroups, Design, Effects, Estimate, NotEstimated, Outcomes
from causal.simulation import SimulationParameters, TrueEffect, true_effect
from causal.simulation.extract import scenes
from flows.study_file.load import load_study
from validation.design import judge_design
from validation.verdict import failed

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
FLAGSHIP = CONFIGS / "studies" / "duty_to_warn.yaml"
INSTRUMENTS = CONFIGS / "instruments"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One estimate with its primary interval, and the truth of the occasions it speaks of."""

    value: float
    std_error: float
    lower: float
    upper: float
    truth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicate:
    """What came of one replicate.

    Attributes
    ----------
    answers
        By estimand; empty where the study refused.
    refused
        Code of the refusal; empty where there was none.
    n_sets
        Matched treated occasions; 0 where no design could be made.
    naive
        Ever warned minus never warned, from intake.
    gates
        Codes of the gates that failed; None where they were not judged.
    """

    answers: Mapping[str, Answer]
    refused: str = ""
    n_sets: int = 0
    naive: float = 0.0
    gates: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed:
    """One study of one replicate, from its record to its primary answers: what an estimand may be estimated from.

    `facts` are those of the members of `groups`, in their order, by the primary day; `truth` holds the potential
    outcomes of the population the weights stand for, and `true` their averages by the primary day.
    """

    study: OccasionStudy
    made: Recorded
    groups: ComparisonGroups
    facts: pd.DataFrame
    outcomes: Outcomes
    effects: Effects
    truth: pd.DataFrame
    true: TrueEffect


Estimand = Callable[[Analysed], Answer | None]
"""None where the study tells of that number alone that it cannot be had."""


def _termination(analysed: Analysed) -> Answer | None:
    return _answer(analysed.effects.termination, analysed.true.termination_rd)


def _composite(analysed: Analysed) -> Answer | None:
    return _answer(analysed.effects.composite, analysed.true.composite_difference)


def _answer(estimate: Estimate | NotEstimated, truth: float) -> Answer | None:
    if isinstance(estimate, NotEstimated):
        return None
    primary = estimate.intervals[0]
    return Answer(
        value=estimate.value, std_error=primary.std_error, lower=primary.lower, upper=primary.upper, truth=truth
    )


ESTIMANDS: dict[str, Estimand] = {"termination": _termination, "composite": _composite}
"""What is estimated, and beside which truth. Independent of the settings: another estimand is another entry."""


@functools.cache
def flagship() -> OccasionStudy:
    """The flagship study as shipped."""
    study = load_study(FLAGSHIP).study
    assert isinstance(study, OccasionStudy)
    return study


def record(parameters: SimulationParameters, patients: int, seed: int) -> Recorded:
    """What is recorded of one simulated chunk of people."""
    return recorded_of(next(scenes(parameters, patients, seed)))


@functools.cache
def study_with_few_facts() -> OccasionStudy:
    """The flagship study matched on the last rating, severity, depression, months in treatment and substance use."""
    study = flagship()
    tier1, tier2 = ("alliance_lag1", "severity", "phq9", "tenure_months"), ("sud",)
    return study.model_copy(
        update={
            "confounders": study.confounders.model_copy(update={"tier1": tier1, "tier2": tier2}),
            "estimator": study.estimator.model_copy(update={"adjust_for": tier1}),
        }
    )


def with_propensity(study: OccasionStudy, changes: Mapping[str, str | int]) -> OccasionStudy:
    """The study with another model of the propensity, read as from its file."""
    plain = study.model_dump(mode="python")
    changed = STUDY.validate_python(plain | {"propensity": plain["propensity"] | dict(changes)})
    assert isinstance(changed, OccasionStudy)
    return changed


def run_replicate(setting: Setting, *, seed: int, judged: bool = False) -> Replicate:
    """Every estimand in one simulated world; `judged` says whether the study's gates are evaluated."""
    study = study_with_few_facts() if setting.few_facts else flagship()
    if setting.propensity:
        study = with_propensity(study, setting.propensity)
    made = record(setting.parameters, setting.patients, seed)
    return one_study(study, made, cohort_of(made, study), judged=judged)


def one_study(study: OccasionStudy, made: Recorded, cohort: Cohort, *, judged: bool = False) -> Replicate:
    """One study's answers, or the code of its refusal."""
    naive, groups = ever_warned_contrast(made), None
    try:
        groups = build_design(cohort, study) if judged else build_groups(cohort, study)
        analysed = analyse(study, made, groups)
        told = {name: estimand(analysed) for name, estimand in ESTIMANDS.items()}
        answers, refused = {name: answer for name, answer in told.items() if answer is not None}, ""
    except (DesignError, EstimationError) as refusal:
        answers, refused = {}, refusal.code
    gates = None
    if isinstance(groups, Design):
        gates = tuple(
            verdict.code for verdict in failed(judge_design(groups, study.gates, study.words, catalogue_of(study)))
        )
    return Replicate(
        answers=answers, refused=refused, n_sets=groups.n_treated if groups else 0, naive=naive, gates=gates
    )


def analyse(study: OccasionStudy, made: Recorded, groups: ComparisonGroups) -> Analysed:
    """Open the outcomes, estimate the primary answers, and look the truth up."""
    assert isinstance(study.outcome, Rating)
    window = primary_window(study.outcome)
    facts = facts_of(made, groups.members["ta_id"].tolist(), study, window)
    outcomes = apply_estimand(facts, primary_estimand(study), window)
    effects = estimate_effects(groups, outcomes, study)
    everyone = np.ones(len(groups.members), dtype=np.bool_)
    ids, weights = target_population(groups, everyone, groups.members["weight"].to_numpy(dtype=np.float64))
    truth = truth_of(made, list(dict.fromkeys(ids)))
    return Analysed(
        study=study,
        made=made,
        groups=groups,
        facts=facts,
        outcomes=outcomes,
        effects=effects,
        truth=truth,
        true=true_effect(truth, ids, weights),
    )
