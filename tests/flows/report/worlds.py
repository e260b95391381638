"""What may have happened in a small study, and the dossier made of it: the private counts are its parameters."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.cohort.catalogue import catalogue_of
from causal.design.compare import Comparison
from causal.design.covariates import CovariateMatrix
from causal.design.diagnose import Diagnostics, Eligible, diagnose
from causal.design.diagnostics.balance import balance_table
from causal.design.diagnostics.overlap import overlap_bins
from causal.design.diagnostics.power import OutcomePlan
from causal.design.fates import CovariateFate, Fate
from causal.design.propensity.curvature import Curvature
from causal.effect.estimate import estimate_effects
from causal.effect.response import Response
from causal.effect.secondary.finding import Finding
from causal.measures.administration import ProspectiveRatings
from causal.protocol import Instrument
from causal.records import AttritionStep, Design, Effects, Outcomes
from flows.report.disclosed import design_dossier, release_dossier
from flows.report.dossier import Dossier
from flows.study_file import load_instruments, load_study
from validation.design import judge_design
from validation.disclosure import Profile
from validation.verdict import Verdict, at_least, at_most

CONFIGS = Path(__file__).parents[3] / "configs"
THRESHOLD = 11
PROFILE = Profile(threshold=THRESHOLD)
SETS = 201
ELIGIBLE, SUPPORTED = 3946, 2311
"""Occasions in all at the two steps before the matched, whatever their groups."""
MATCHED_BY_BIN = np.array([71, 45, 35, 30, 20])
"""Matched treated occasions by bin of probability."""
COMPARISON_BY_BIN = np.array([330, 120, 55, 30])
"""Eligible comparison occasions in every bin but the first."""


@cache
def study() -> Any:
    """The flagship study, without covariates in its outcome model."""
    loaded: Any = load_study(CONFIGS / "studies" / "duty_to_warn.yaml").study
    return loaded.model_copy(update={"estimator": loaded.estimator.model_copy(update={"adjust_for": ()})})


@dataclass(frozen=True, kw_only=True)
class World:
    """The counts a report must not tell.

    `lost_by_bin`: eligible treated occasions without a match, by bin of probability, `unsupported` of them for want of
    support. `flagged`: how many of the eligible treated, the eligible comparison, the matched treated and the matched
    comparison occasions have a trait. `ended`: endings among the matched treated and the matched comparison occasions,
    and the sets in which both ended.
    """

    lost_by_bin: tuple[int, ...] = (2, 2, 2, 2, 2)
    unsupported: int = 0
    flagged: tuple[int, int, int, int] = (60, 900, 55, 95)
    set_aside: Mapping[str, int] = field(default_factory=dict)
    first_step: int = 4120
    sets: int = SETS
    ended: tuple[int, int, int] = (60, 80, 20)
    with_one: int = 0


def design_of(world: World) -> Design:
    """Sets of one treated and one comparison occasion out of everyone eligible, with one yes-or-no covariate."""
    lost, n = sum(world.lost_by_bin), ELIGIBLE
    n_treated = world.sets + lost
    treated = np.arange(n) < n_treated
    matched = np.r_[np.arange(world.sets), n_treated + np.arange(world.sets)]
    flag = np.zeros(n)
    in_treated, in_comparison, in_matched_treated, in_matched_comparison = world.flagged
    flag[:in_matched_treated] = 1
    flag[world.sets : world.sets + in_treated - in_matched_treated] = 1
    flag[n_treated : n_treated + in_matched_comparison] = 1
    flag[n_treated + world.sets : n_treated + world.sets + in_comparison - in_matched_comparison] = 1
    weights = np.zeros(n)
    weights[matched] = 1.0
    centres = (np.arange(5) + 0.5) / 5
    cases = MATCHED_BY_BIN * world.sets // SETS
    cases[0] += world.sets - cases.sum()
    others = np.r_[n - n_treated - COMPARISON_BY_BIN.sum(), COMPARISON_BY_BIN]
    by_bin = np.r_[np.repeat(centres, cases + np.array(world.lost_by_bin)), np.repeat(centres, others)]
    members = pd.DataFrame(
        {
            "ta_id": [f"t{k}" for k in range(2 * world.sets)],
            "set_id": np.tile(np.arange(world.sets), 2),
            "treated": np.repeat([True, False], world.sets),
            "weight": 1.0,
            "clinician_id": [f"c{k % 57}" for k in range(2 * world.sets)],
            "person_id": [f"p{k}" for k in range(2 * world.sets)],
            "clinic_id": "k",
            "recipient": np.where(np.arange(2 * world.sets) % 3 == 0, "warn_police", "warn_victim"),
            "patient_informed": np.where(np.arange(2 * world.sets) % 2 == 0, "before", "after"),
        }
    )
    return Design(
        members=members,
        covariates=flag[matched][:, None],
        covariate_names=("hospitalised_365d",),
        estimand="ATT",
        estimand_label="ATT",
        estimand_sentence="the average effect",
        method_sentence="matched",
        grouping="matched set",
        attrition=(
            AttritionStep(
                rule="assessed",
                persons=3100 + 2 * (world.first_step - ELIGIBLE) // 3,
                occasions=world.first_step,
                treated=n_treated,
            ),
            AttritionStep(rule="eligible", persons=3100, occasions=n, treated=n_treated),
            AttritionStep(rule="either", persons=2100, occasions=SUPPORTED, treated=n_treated - world.unsupported),
            AttritionStep(rule="matched", persons=2 * world.sets, occasions=2 * world.sets, treated=world.sets),
        ),
        balance=balance_table(flag[:, None], ["hospitalised_365d"], [2], treated, weights),
        overlap=overlap_bins(by_bin, treated, max_bins=5, minimum=THRESHOLD),
        propensity_method="maximum likelihood",
        c_statistic=0.7,
        events_per_parameter=12.0,
        fates=(CovariateFate(name="hospitalised_365d", tier=2, fate=Fate.ADJUSTED),),
        aliased=(),
        separated=(),
        curvature=Curvature(linear=None),
        caliper=0.2,
        n_eligible_treated=n_treated,
        n_unmatched_treated=lost - world.unsupported,
        lost_share=lost / n_treated,
        pretrend_smd=None,
        ended_in_grace_share=0.0,
        diagnostics=diagnostics_of(world, treated, flag, by_bin, matched, weights),
    )


def diagnostics_of(
    world: World,
    treated: NDArray[np.bool_],
    flag: NDArray[np.float64],
    score: NDArray[np.float64],
    matched: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> Diagnostics:
    """Everything else a design is asked, of the same occasions."""
    nobody = np.zeros(treated.size, dtype=np.int64)
    clinician = np.arange(treated.size) % 57
    clinician[: world.with_one] = 57
    return diagnose(
        Eligible(
            treated=treated,
            matrix=CovariateMatrix(
                values=flag[:, None],
                names=("hospitalised_365d",),
                tiers=(2,),
                spare=np.zeros(1, dtype=np.bool_),
                fates=(),
            ),
            labels=(("no inpatient", "inpatient"),),
            propensity=SimpleNamespace(logit=np.log(score / (1 - score))),
            supported=np.ones(treated.size, dtype=np.bool_),
            exact=nobody,
            clinician=clinician,
            clinic=nobody,
            month=nobody,
            version=nobody,
            cluster="clinician",
        ),
        Comparison(
            grouping="matched set",
            estimand="ATT",
            note="",
            weight=weights,
            set_id=np.tile(np.arange(world.sets), 2),
            row=matched,
            row_weight=np.ones(matched.size),
            caliper=0.2,
        ),
        (OutcomePlan(name="composite", sd=1.24),),
        proxy=None,
        minimum=THRESHOLD,
    )


def effects_of(world: World, design: Design) -> Effects:
    """The estimate when everyone who stays rates 3."""
    return estimate_effects(design, outcomes_of(world), study())


def outcomes_of(world: World) -> Outcomes:
    """Endings as the world has them; everyone who stays rates 3."""
    n = world.sets
    in_treated, in_comparison, in_both = world.ended
    ended = np.zeros(2 * n, dtype=np.bool_)
    ended[:in_treated] = True
    ended[n : n + in_both] = True
    ended[n + in_treated : n + in_treated + in_comparison - in_both] = True
    return Outcomes(
        ended=ended,
        score=np.where(ended, np.nan, 3.0),
        excluded=np.zeros(2 * n, dtype=np.bool_),
        undefined=ended,
        day=90,
        half_width=21,
    )


def extract_of(world: World) -> SimpleNamespace:
    """Rows delivered and set aside of one table; what is left of it begins the flow."""
    rows = {"threat_assessments": world.first_step + sum(world.set_aside.values()), "episodes": 12000, "measures": 9000}
    verdicts: tuple[Verdict, ...] = (
        at_least("extract.rows.threat_assessments", rows["threat_assessments"], 1, "rows"),
        at_most(
            "extract.set_aside.threat_assessments",
            sum(world.set_aside.values()) / rows["threat_assessments"],
            0.02,
            "share of rows set aside",
        ),
    )
    return SimpleNamespace(
        rows=rows,
        set_aside=dict(world.set_aside),
        verdicts=verdicts,
        synthetic=False,
        digest="e" * 64,
        as_of=datetime.date(2023, 12, 31),
    )


@cache
def instruments() -> dict[str, Instrument]:
    """The scoring keys that ship; treat them as read-only."""
    return load_instruments(CONFIGS / "instruments")


def workspace() -> Any:
    """What a dossier asks of a workspace."""
    return SimpleNamespace(
        study=study(),
        instruments=instruments(),
        protocol_digest="p" * 64,
        site=SimpleNamespace(approvers=()),
    )


def judged_of(world: World, design: Design) -> Any:
    """The design with its verdicts; its digest, which no one can invert, is the same for all."""
    extract = extract_of(world)
    return SimpleNamespace(
        design=design,
        extract=extract,
        verdicts=(*extract.verdicts, *judge_design(design, study().gates, study().words, catalogue_of(study()))),
        identified="The diagram.",
        digest="d" * 64,
    )


def before(world: World, *, looks: int = 0) -> Dossier:
    """The design dossier of a world."""
    return design_dossier(workspace(), judged_of(world, design_of(world)), looks=looks)


def after(
    world: World,
    effects: Effects | None = None,
    response: tuple[Response, ...] = (),
    *,
    findings: tuple[Finding, ...] = (),
    planned: ProspectiveRatings | None = None,
    unanswered: str = "",
) -> Dossier:
    """The release of a world, with its own effects unless others are given, or none where it is `unanswered`."""
    design = design_of(world)
    if not unanswered:
        effects = effects or effects_of(world, design)
    decision = SimpleNamespace(approver="A", role="board", simulated=False, accepted_failures=())
    approval: Any = SimpleNamespace(decision=decision, public_key="AAAA")
    return release_dossier(
        workspace(),
        judged_of(world, design),
        approval,
        effects,
        findings,
        None,
        looks=1,
        response=response,
        planned=planned,
        unanswered=unanswered,
    )
