from __future__ import annotations

import dataclasses
import itertools
import json
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mutants import blocks, filled, mutants
from pydantic import ValidationError
from worlds import CONFIGS, World, after, before, design_of, effects_of, judged_of, study, workspace

from causal.cohort.catalogue import DefinitionError, typed_definitions
from causal.protocol import CohortStudy, FlatTableStudy, Instrument, MetaStudy, OccasionStudy
from causal.protocol.base import Part
from causal.protocol.definitions import Definition
from causal.protocol.flat_table import FileData
from causal.protocol.in_words import AS_IT_COMES, lines_of
from causal.protocol.words import NEUTRAL
from flows.flat_table import analyse
from flows.report.decided import (
    ELSEWHERE,
    NOT_TOLD,
    OTHER,
    decided,
    decided_section,
    heading,
    plain_key,
    scoring_lines,
    told_lines,
    worked_out,
)
from flows.report.disclosed import design_dossier
from flows.report.disclosed_findings import estimand_lines
from flows.report.disclosed_results import shared_by_arm
from flows.report.document import Table, texts
from flows.report.dossier import DecidedGroup, to_json
from flows.report.sentences import forbidden
from flows.report.wording import document
from flows.study_file import load_instruments, load_study

STUDIES = sorted((CONFIGS / "studies").rglob("*.yaml"))
FLAT = """
schema_version: rapport-study/1
kind: flat_table
study: {id: flat, title: A table, question: Does it help?, why_no_trial: There is none., registered: not registered}
data: {kind: file, path: table.csv}
columns: {treatment: got_it, outcome: y_1, numeric: [age]}
analysis: {estimator: {method: standardisation}, standard_error: robust, level: 0.9}
"""
KINDS = [OccasionStudy, CohortStudy, FlatTableStudy, MetaStudy]
KEYS = load_instruments(CONFIGS / "instruments")


@cache
def flagship() -> Any:
    """The study that ships."""
    return load_study(CONFIGS / "studies" / "duty_to_warn.yaml").study


def pages(told: tuple[DecidedGroup, ...]) -> list[str]:
    """The section as text."""
    dossier: Any = SimpleNamespace(
        decided=told, treated_short="after one", comparison_short="after the other", words=NEUTRAL
    )
    return texts(decided_section(dossier))


def passed_over(key: str, registry: dict[str, str]) -> bool:
    """Whether a registry has a line for a key or for what holds it."""
    return any(plain_key(key) == one or plain_key(key).startswith(f"{one}.") for one in registry)


def makes_sense(some: Any) -> bool:
    """Whether a study's definitions can be loaded: a mutant may ask for the score of a table."""
    try:
        if isinstance(some, OccasionStudy | CohortStudy):
            for one in some.definitions.values():
                Definition.model_validate(one.model_dump(mode="python", warnings=False))
            typed_definitions(some)
    except (DefinitionError, ValidationError):
        return False
    return True


def unseen(some: Any, *, only: tuple[str, ...] = ("",)) -> list[str]:
    """Keys whose decision may change without a change of what is told, but for those with a reason or another place."""
    reasons = NOT_TOLD | (ELSEWHERE if isinstance(some, OccasionStudy) else {})
    told = [*told_lines(some)]
    return [
        key
        for key, other in mutants(some)
        if key.startswith(only)
        and not passed_over(key, reasons)
        and makes_sense(other)
        and all(
            line == before for line, before in itertools.zip_longest(told_lines(other), told)
        )  # stops where they part
    ]


@pytest.mark.parametrize("path", STUDIES, ids=[path.stem for path in STUDIES])
def test_no_decision_of_a_study_can_change_unseen(path: Path) -> None:
    """Every key of every study that ships is told: another value is told otherwise."""
    assert unseen(load_study(path).study) == []


class Holder(Part):
    """Several blocks."""

    held: tuple[Part, ...]
    """Blocks."""


def test_no_key_of_the_vocabulary_can_change_unseen() -> None:
    """Every key of every block, given or null, in whatever way it may stand in a file: by itself or in a list."""
    for block in sorted(set().union(*map(blocks, KINDS)), key=lambda one: one.__name__):
        some = filled(block)
        by_itself, in_a_list = [*lines_of(some, {}, under="x")], [*lines_of(Holder(held=(some,)), {})]
        for key, other in mutants(some):
            if block in KINDS and "." in key:
                continue  # told by the blocks themselves
            assert [*lines_of(other, {}, under="x")] != by_itself, (block, key)
            assert [*lines_of(Holder.model_construct(held=(other,)), {})] != in_a_list, (block, key)


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_a_study_is_told_or_has_its_reason(kind: Any) -> None:
    """With every optional key given and each analysis declared, nothing is dropped on the way to the headings."""
    some = filled(kind)
    reasons = NOT_TOLD | (ELSEWHERE if kind is OccasionStudy else {})
    told = {plain_key(line.key) for group in decided(some, {}) for line in group.lines} | {"missing.covariates"}
    assert [line.key for line in lines_of(some, {}) if not passed_over(line.key, reasons | dict.fromkeys(told))] == []
    assert unseen(some, only=("confounders", "covariates", "missing", "dag")) == []


def test_no_part_of_a_scoring_key_can_change_unseen() -> None:
    """Nor can what decides a score; the keys of the outcome and of the facts are told."""
    key = filled(Instrument)
    told = [*scoring_lines(key)]
    kept = [where for where, other in mutants(key) if [*scoring_lines(other)] == told]
    assert {plain_key(where).split(".")[0] for where in kept} == {"licence"}
    assert {"How wai_sr is scored", "How phq9 is scored"} <= {group.title for group in decided(flagship(), KEYS)}


def test_what_is_told_elsewhere_is_told_there() -> None:
    """What the section leaves to another part of the pages is there word for word."""
    marked = itertools.count()
    words: list[str] = []

    def with_marks(value: Any, key: str) -> Any:
        """`value` with a word of its own in every sentence that is told elsewhere."""
        if isinstance(value, Part):
            known = type(value).model_fields
            return value.model_copy(
                update={name: with_marks(getattr(value, name), f"{key}.{name}".lstrip(".")) for name in known}
            )
        if isinstance(value, tuple):
            return tuple(with_marks(one, key) for one in value)
        if isinstance(value, str) and passed_over(key, ELSEWHERE) and not key.endswith(("strategy", "data_class")):
            words.append(f"Mark {next(marked)}")
            return words[-1]
        return value

    ws = workspace()
    ws.study = with_marks(study(), "")
    page = document(dataclasses.replace(design_dossier(ws, judged_of(World(), design_of(World()))), decided=()))
    said = " ".join(texts(page)).replace("mark ", "Mark ")
    assert len(words) > len(ELSEWHERE)
    assert [word for word in words if not re.search(rf"{word}\b", said)] == []
    titles = {section.title.split(". ")[1] for section in page.sections}
    assert {*ELSEWHERE.values()} - {"the title of this page"} <= titles


def test_estimands_are_told_with_every_strategy() -> None:
    """The table of estimands, to which the section leaves them, tells each strategy of each event, and its value."""
    told = estimand_lines(flagship())
    strategies = [
        (key, other) for key, other in mutants(flagship()) if "estimands" in key and "intercurrent_events" in key
    ]
    assert len(strategies) > 24
    assert [key for key, other in strategies if estimand_lines(other) == told] == []


def test_every_key_with_a_reason_exists() -> None:
    """A reason for a key that is gone would hide a key that comes."""
    for known in (*ELSEWHERE, *NOT_TOLD):
        kind = FileData if known.startswith("data.") else Instrument if "instruments" in known else OccasionStudy
        keys = {plain_key(line.key) for line in lines_of(filled(kind), {}, under="data" if kind is FileData else "")}
        wanted = known.removeprefix("instruments.*.")
        assert any(key == wanted or key.startswith(f"{wanted}.") for key in keys), known


def test_the_pages_hold_the_section_before_and_after_outcomes_are_opened() -> None:
    """Dossier and release tell the same decisions, and how the answer comes about; so does the file for machines."""
    sections = []
    for dossier in (before(World()), after(World())):
        by_anchor = {section.anchor: section for section in document(dossier).sections}
        assert dossier.worked_out in texts(by_anchor["question"])
        assert ("found" in by_anchor) == (dossier.results is not None)
        if dossier.results is not None:
            assert dossier.worked_out in texts(by_anchor["found"])
        sections.append(texts(by_anchor["decided"])[1:])
        told = json.loads(to_json(dossier))["decided"]
        keys = {line["key"]: line["value"] for group in told for line in group["lines"]}
        assert keys["gates.smd_tier1"] == "0.1"
    assert sections[0] == sections[1]


def test_what_was_nowhere_is_there() -> None:
    """Model, adjusters, fills, response weights, clusters, family, assumption, codes, arrows, seed of the flagship."""
    said = " ".join(pages(decided(flagship(), KEYS)))
    for words in (
        "weighted ANCOVA",
        "Alliance, 31-60 days before; Alliance, 61-90 days before; Threat severity; Depression (PHQ-9); Months in",
        "the nearest other rating of the same measure",
        "weighted by how unlikely they were to answer",
        "CR2",
        "Holm's correction",
        "nobody stays under the treated strategy who would leave under the comparison's",
        "covariance: unstructured (as Rapport comes)",
        "warn victim; warn police",
        "F10; F11; F12",
        "Threat severity leads to",
        "20240601",
    ):
        assert words in said, words


def test_the_main_analysis_is_one_sentence() -> None:
    """The model, whose weights it has and every fact it adjusts for; what is not done is not said."""
    said = worked_out(flagship(), unit="matched set")
    first = said.split(". ")[0]
    assert "weighted by the matched sets (weighted ANCOVA)" in first
    assert "allows for alliance, last 30 days; alliance, 31-60 days before" in first
    assert "months in treatment (each number as a line with one bend, and that one was not recorded" in first
    how = flagship().estimator.model_copy(update={"adjust_for": (), "cluster": "clinic", "level": 0.9})
    other = worked_out(flagship().model_copy(update={"estimator": how, "matching": None}), unit="patient")
    assert "weighted as the groups were (weighted ANCOVA), that allows for nothing else." in other
    assert other.endswith("is the wider of that and the one by patient.")
    assert said.endswith("contribute, the main one is the wider of that and the one by matched set.")
    assert "Intervals are 90% and robust to likeness among the cases of one clinic (CR2)" in other


def test_the_pages_say_where_the_share_by_arm_stood_in() -> None:
    """A model of response was declared and too few ratings were missing for it: nobody reads that it was used."""
    design = design_of(World())
    effects = effects_of(World(), design)
    for handling, fell_back in (
        ("everyone responded", False),
        ("logistic regression", False),
        ("share by arm: too few missing ratings", True),
    ):
        dossier = after(World(), dataclasses.replace(effects, response_handling=handling))
        told = json.loads(to_json(dossier))
        assert ("the weight is the share by arm" in told["worked_out"]) is fell_back
        assert ("share by arm" in told["results"]["response"]["handling"]) is fell_back
    shares = flagship().missing.model_copy(update={"outcome": "available_case"})
    declared = flagship().model_copy(update={"missing": shares})
    assert shared_by_arm(dataclasses.replace(effects, response_handling="share by arm"), flagship())
    assert not shared_by_arm(dataclasses.replace(effects, response_handling="share by arm"), declared)


@pytest.mark.parametrize("key", ["estimator.adjust_for", "estimator.bends", "missing.outcome", "estimator.level"])
def test_the_sentence_follows_the_study(key: str) -> None:
    """Another main analysis is another sentence."""
    others = [other for where, other in mutants(flagship()) if plain_key(where) == key]
    assert others
    said = {worked_out(other, unit="matched set") for other in others}
    assert worked_out(flagship(), unit="matched set") not in said


def test_what_rapport_does_unasked_is_marked() -> None:
    """A decision is marked where it is what Rapport would have done, and where it is not it is not."""
    lines = {line.key: line.usual for group in decided(flagship(), KEYS) for line in group.lines}
    assert lines["planning.icc"]
    assert lines["support.rule"]
    assert lines["matching.distance.kind"]
    assert not lines["matching.ratio"]
    assert not lines["seed"] or flagship().seed == OccasionStudy.model_fields["seed"].default
    other = flagship().model_copy(update={"seed": 3})
    rows = [row for block in pages_tables(decided(other, KEYS)) for row in block.rows]
    assert ("4" + AS_IT_COMES) in {value for _, value in rows}
    assert "3" in {value for name, value in rows if name.startswith("Seed: ")}


def pages_tables(told: tuple[DecidedGroup, ...]) -> list[Table]:
    """The tables of the section."""
    dossier: Any = SimpleNamespace(decided=told, treated_short="", comparison_short="", words=NEUTRAL)
    return [block for block in decided_section(dossier).blocks if isinstance(block, Table)]


def test_the_words_are_fit_for_a_board_and_belong_to_no_study() -> None:
    """Nothing a report may not say, no mark of code, two columns for a telephone; nouns are the study's own."""
    told = decided(filled(OccasionStudy), {})
    said = " ".join(pages(told))
    assert forbidden(said) == ()
    assert "warn" not in said.lower()
    assert "`" not in said
    assert {len(table.columns) for table in pages_tables(told)} == {2}
    assert forbidden(" ".join(pages(decided(flagship(), KEYS)))) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_has_a_heading(kind: Any) -> None:
    """A key that is added stands under a heading that fits it, not among the others."""
    assert [key for key in kind.model_fields if heading(key) == OTHER] == []


def test_a_flat_table_tells_its_decisions_to_machines(tmp_path: Path) -> None:
    """A study without a dossier gives every decision beside its answer, columns by their own names."""
    path = tmp_path / "flat.yaml"
    path.write_text(FLAT, encoding="utf-8")
    rows = "\n".join(f"{k % 2},{k % 5},{k % 3}" for k in range(60))
    (tmp_path / "table.csv").write_text(f"got_it,y_1,age\n{rows}\n", encoding="utf-8")
    _, value = analyse(load_study(path).study, path)
    told = {line["key"]: line["value"] for group in value["decided"] for line in group["lines"]}
    assert told["columns.treatment"] == "got_it"
    assert told["columns.numeric"] == "age"
    assert told["analysis.level"] == "0.9"
    assert "data.path" not in told


def test_a_key_under_no_heading_is_told_under_the_last() -> None:
    """Whatever is added to the vocabulary is told somewhere; the longest beginning that fits decides."""
    assert heading("something_new.of_it") == OTHER
    assert heading("missing.covariates[2]") == heading("confounders.tier1") != heading("missing.outcome") != OTHER
