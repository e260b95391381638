"""Outcomes opened, and what they answer: the part of flow 2 that runs only where there is no release yet."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pandas as pd

from causal.effect.estimate import estimate_effects, primary_estimand, target_population
from causal.effect.outcomes import OpenedFacts, facts_after, later_after, primary_window
from causal.effect.response import Response, response_by_day
from causal.effect.sample import without_excluded
from causal.effect.secondary.finding import Finding
from causal.effect.secondary.opened import Opened
from causal.effect.secondary.run import findings
from causal.errors import EstimationError
from causal.measures.administration import ProspectiveRatings, administrations, prospective_ratings
from causal.numeric.grid import figures
from causal.protocol import OccasionStudy
from causal.protocol.approval import Approval
from causal.protocol.outcome import Composite, Rating, Window
from causal.protocol.secondary import TerminationCourse, opens_everyone
from causal.records import Effects, Outcomes
from causal.simulation import TrueEffect
from flows.design_files import read_cohort
from flows.design_study import KEPT_COHORT, JudgedDesign
from flows.engine import attach, engine
from flows.stage import Stage
from flows.store import OPENED
from flows.workspace import Workspace


def open_outcomes(ws: Workspace, judged: JudgedDesign, approval: Approval) -> Opened:
    """What happened to the compared occasions. The one place where rows after time zero are read as outcomes.

    Takes the approval it rests on; every opening is written to the ledger before the first row is read, with whose
    outcomes were opened: those of the compared, or of everyone eligible where a declared analysis needs them. They are
    the rows that were hashed and judged, or nothing comes out.
    """
    study, outcome = ws.study, ws.study.outcome
    assert isinstance(outcome, Rating)
    key = ws.instruments[outcome.instrument]
    if approval.decision.design_digest != judged.digest:
        raise AssertionError("outcomes were asked for under another design's approval")
    design = judged.design  # before the ledger: one that is not what was judged opens nothing
    everyone = opens_everyone(study.secondary, weighted=study.weighting is not None)
    whose = "everyone eligible" if everyone else "the compared"
    ws.store.append(OPENED, design=judged.digest, extract=judged.extract.digest, whose=whose)
    cohort = read_cohort(KEPT_COHORT.at(ws, judged.extract).folder) if everyone else None
    members = design.members
    with engine(ws.store.private / "scratch", memory_gb=ws.site.memory_gb, threads=ws.site.threads) as connection:
        tables = attach(connection, judged.extract.files)

        def facts(rows: pd.DataFrame, window: Window, subscales: tuple[str, ...] = ()) -> pd.DataFrame:
            once = rows[["ta_id", "person_id", "clinician_id", "time_zero"]].drop_duplicates("ta_id")
            asked = connection.create_table("members", once, overwrite=True)
            after = facts_after(asked, tables, study, key, window, subscales=subscales)
            later = later_after(asked, tables, study, window)
            found = after.left_join(later, "ta_id").drop("ta_id_right").to_pandas()
            aligned: pd.DataFrame = found.set_index("ta_id").loc[rows["ta_id"]].reset_index()
            return aligned

        primary = primary_window(outcome)
        by_day = {
            window.day: facts(members, window, outcome.subscales if window == primary else ())
            for window in outcome.windows
        }
        horizon = max((d.horizon_days for d in study.secondary if isinstance(d, TerminationCourse)), default=None)
        course = None
        if horizon is not None:
            course = facts(members, Window(day=horizon, half_width=0))
        last_day = pd.Timestamp(judged.extract.as_of) + pd.Timedelta(days=1)
        followed = ((last_day - members["time_zero"]).dt.total_seconds() / 86400).to_numpy(dtype=float)
        all_facts = None if cohort is None else facts(cohort.occasions, primary)
        once = members[["ta_id", "person_id", "clinician_id", "time_zero"]].drop_duplicates("ta_id")
        people = connection.create_table("members", once, overwrite=True)
        ratings = administrations(tables["measures"], people, key, outcome.rater).to_pandas()
        ended = by_day[primary.day][["ended_after_days", "died_after_days"]].min(axis="columns").to_numpy()
        planned = prospective_ratings(members.assign(ended_after_days=ended), ratings, primary)
    judged.extract.refuse_changed()
    return Opened(
        design=design,
        study=study,
        follow_up=OpenedFacts(facts=by_day, course=course, followed_days=followed, everyone=all_facts),
        score_range=key.score_range(key.n_items),
        planned=planned,
        cohort=cohort,
    )


OPEN_OUTCOMES = Stage(name="open outcomes", run=open_outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found: the outcomes behind it, the headline pair or why there is none, and the other analyses."""

    outcomes: Outcomes
    effects: Effects | None
    unanswered: str = ""
    findings: tuple[Finding, ...] = ()
    planned: ProspectiveRatings | None = None
    response: tuple[Response, ...] = ()


def main_answer(ws: Workspace, opened: Opened) -> Answer:
    """The headline pair. Where it cannot be estimated the reason takes its place, and the rest of the report stands."""
    outcomes, response = opened.outcomes(opened.primary), response_by_day(opened)
    try:
        effects = figures(estimate_effects(opened.design, outcomes, opened.study))
    except EstimationError as refusal:
        ws.say(f"NOT EVALUATED: {refusal.message}")
        why = refusal.message
        return Answer(outcomes=outcomes, effects=None, unanswered=why, planned=opened.planned, response=response)
    return Answer(outcomes=outcomes, effects=effects, planned=opened.planned, response=response)


ESTIMATE = Stage(name="estimate", run=main_answer)


def _other_analyses(_ws: Workspace, opened: Opened) -> tuple[Finding, ...]:
    """Every analysis declared beside the headline pair, on the grid of what is published."""
    return figures(findings(opened))


OTHER_ANALYSES = Stage(name="other analyses", run=_other_analyses)


def truth_is_silent(study: OccasionStudy) -> str:
    """Why the truth file of a synthetic extract does not answer this study's main question; empty where it does."""
    from causal.simulation.truth import ACTIONS, FLOOR, HALF_WINDOWS

    if set(study.target_trial.strategies.treated.actions) != set(ACTIONS):
        return "the simulator knows the effect of other actions than those of this study"
    assert isinstance(study.outcome, Rating)
    window, ended = primary_window(study.outcome), primary_estimand(study).intercurrent_events.patient_ended
    floor = ended.value if isinstance(ended, Composite) else None
    if HALF_WINDOWS.get(window.day) != window.half_width or floor != FLOOR:
        days = ", ".join(f"{day} (within {half} days)" for day, half in sorted(HALF_WINDOWS.items()))
        return f"it is known at days {days}, an ending counted as {FLOOR:g}"
    return ""


def known_truth(ws: Workspace, judged: JudgedDesign, outcomes: Outcomes, truth_file: bytes | None) -> TrueEffect | None:
    """The known effect among the occasions the estimate speaks of, when a synthetic extract's truth file was given.

    None, and a word of why, where the study asks another question than those the truth file answers.
    """
    if truth_file is None or not judged.extract.synthetic:
        return None
    from causal.simulation import true_effect

    if why := truth_is_silent(ws.study):
        ws.say(f"no truth beside the answer: {why}")
        return None
    kept, weights = without_excluded(judged.design, outcomes.excluded)
    chosen = target_population(judged.design, kept, weights)
    return true_effect(pd.read_parquet(io.BytesIO(truth_file)), *chosen, day=outcomes.day)
