"""A solver is given everything a release prints, and what any reader knows of how it was made.

It fails a release where some count must be 1 to 10: a cell of a table, those left out, those who did not answer.
"""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from engine_path import open_outcomes
from hypothesis import given, settings
from hypothesis import strategies as st
from reader import Reader
from small_study import bench, design_of
from worlds import CONFIGS, World, after, extract_of, study

from causal.cohort.catalogue import catalogue_of
from causal.effect.estimate import estimate_effects
from causal.effect.response import Response
from causal.records import Design, Effects
from causal.simulation import SimulationParameters, simulate
from flows.report.disclosed import release_dossier
from flows.report.dossier import Dossier, to_json
from flows.report.render import render
from flows.study_file import load_instruments
from validation.design import judge_design

PATIENTS = 800
SEVERAL_STATES, TWO_REGIMES = (16, 10.0), (10, 33.0)
"""Seed and caseload: with many small clinics, some in a state without a duty; with few, in no such state."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Released:
    """A small study, and what is released of it."""

    study: Any
    design: Design
    effects: Effects
    dossier: Dossier


@cache
def released() -> dict[tuple[int, float], Released]:
    """Releases of extracts of a few hundred people, in which every eighth assessment led to a warning."""
    found = {}
    with bench() as opened:
        for seed, caseload in (SEVERAL_STATES, TWO_REGIMES):
            parameters = SimulationParameters(warning_intercept=-4, assessment_rate=0.15, caseload=int(caseload))
            tables = simulate(parameters, PATIENTS, seed).tables
            design = design_of(opened, tables)
            outcomes = open_outcomes(opened, opened.load(tables), design)
            effects = estimate_effects(design, outcomes, opened.study)
            treated, rated = design.members["treated"].to_numpy(), ~np.isnan(outcomes.score)
            response = Response(
                day=effects.day,
                treated=effects.response_treated,
                comparison=effects.response_comparison,
                n_rated=(int(rated[treated].sum()), int(rated[~treated].sum())),
            )
            dossier = _dossier(opened.study, design, effects, response)
            found[seed, caseload] = Released(study=opened.study, design=design, effects=effects, dossier=dossier)
    return found


def _dossier(of: Any, design: Design, effects: Effects, response: Response) -> Dossier:
    """What leaves; four rows of the assessments had to be set aside."""
    extract = extract_of(
        World(first_step=design.attrition[0].occasions, set_aside={"threat_assessments.created:range": 4})
    )
    ws: Any = SimpleNamespace(
        study=of,
        instruments=load_instruments(CONFIGS / "instruments"),
        protocol_digest="p" * 64,
        site=SimpleNamespace(approvers=()),
    )
    judged: Any = SimpleNamespace(
        design=design,
        extract=extract,
        verdicts=(*extract.verdicts, *judge_design(design, of.gates, of.words, catalogue_of(of))),
        identified="The diagram.",
        digest="d" * 64,
    )
    decision = SimpleNamespace(approver="A", role="board", simulated=False, accepted_failures=())
    approval: Any = SimpleNamespace(decision=decision, public_key="AAAA")
    return release_dossier(ws, judged, approval, effects, (), None, looks=1, response=(response,))


def told(dossier: Dossier) -> dict[str, Any]:
    """The values of a dossier."""
    facts: dict[str, Any] = json.loads(to_json(dossier))
    return facts


@pytest.mark.parametrize("which", [SEVERAL_STATES, TWO_REGIMES], ids=["three regimes", "two regimes"])
def test_nobody_solves_a_small_study(which: tuple[int, float]) -> None:
    """Regimes of four or five people, missing ratings, those left out of the comparison, endings, silences."""
    one = released()[which]
    facts = json.loads(render(one.dossier)["results.json"]) if which == TWO_REGIMES else told(one.dossier)
    reader = Reader(facts, one.study)
    assert len(reader.cells) > 200
    assert reader.finds() == {}
    line = {line.name: line for line in one.dossier.balance}["regime_mandatory"]
    assert (line.mean_treated is None) is (which == SEVERAL_STATES)
    assert sum(line.smd_after is not None for line in one.dossier.balance) > 10  # not by showing nothing


def balance(facts: dict[str, Any], design: Design, name: str) -> dict[str, Any]:
    """The line of a fact in which all its numbers are printed."""
    (row,) = [row for row in design.balance if row.name == name]
    (line,) = [line for line in facts["balance"] if line["name"] == name]
    line |= {
        "mean_treated": round(row.mean_treated_after, 2),
        "mean_comparison_before": round(row.mean_comparison_before, 2),
        "mean_comparison_after": round(row.mean_comparison_after, 2),
        "smd_before": round(row.smd_before, 2),
        "smd_after": round(row.smd_after, 2),
    }
    return line


def test_the_solver_would_have_found_what_is_withheld() -> None:
    """Printed shares of two of three regimes, of those left out, or of who answered, are solved at once."""
    one = released()[SEVERAL_STATES]
    facts = told(one.dossier)
    for name in ("regime_mandatory", "regime_permissive"):
        balance(facts, one.design, name)
    assert derived(facts, one.study, "matched treated with regime_none", "matched comparison with regime_none")
    one = released()[TWO_REGIMES]
    facts = told(one.dossier)
    hidden = [line.name for line in one.dossier.balance if line.smd_before is None and line.smd_after is not None]
    for name in hidden:
        balance(facts, one.design, name)
    left_out = [f"eligible treated not matched, {having} {name}" for name in hidden for having in ("with", "without")]
    assert derived(facts, one.study, *left_out)
    assert facts["results"]["response"]["treated"] is None
    facts["results"]["response"]["treated"] = round(one.effects.response_treated / 0.05) * 0.05
    assert derived(facts, one.study, "matched treated not rated")


def derived(facts: dict[str, Any], of: Any, *cells: str) -> bool:
    """Whether any of these cells must be small."""
    reader = Reader(facts, of)
    return any(reader.attacker.derives_small(reader.cells[name], facts["threshold"]) for name in cells)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Few of a group have a trait, end treatment, find no match, or are set aside."""
    few = st.sampled_from([0, 3, 9, 10, 11, 14, 40])
    sets = draw(st.sampled_from([60, 201]))
    lost = tuple(draw(st.sampled_from([0, 1, 2, 4, 12])) for _ in range(5))
    matched = [min(draw(few), sets) for _ in range(2)]
    flagged = (matched[0] + min(draw(few), sum(lost)), matched[1] + draw(few), *matched)
    ended = [min(draw(few), sets // 2) for _ in range(2)]
    aside = draw(st.sampled_from([0, 4, 30]))
    return World(
        sets=sets,
        lost_by_bin=lost,
        flagged=flagged,  # type: ignore[arg-type]
        ended=(max(ended[0], 1), max(ended[1], 1), 0),
        set_aside={"threat_assessments.created:range": aside} if aside else {},
        first_step=draw(st.sampled_from([3950, 4120])),
    )


@settings(max_examples=5)
@given(worlds())
def test_nobody_solves_a_made_up_release(world: World) -> None:
    """Whatever the counts are that a report must not tell."""
    assert Reader(told(after(world)), study()).finds() == {}
