"""From a YAML file to a typed study: what is accepted, what is refused, and in which words."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from causal.errors import StudyFileError
from causal.protocol import FlatTableStudy, OccasionStudy
from causal.protocol.weighting import PropensityWeighting
from flows.study_file import load_instruments, load_study, schema_text, study_digest, study_json_schema, write_schema
from flows.study_file.plain_words import PATTERNS
from flows.study_file.plain_yaml import plain_yaml

ROOT = Path(__file__).resolve().parents[2]
FLAGSHIP = ROOT / "configs/studies/duty_to_warn.yaml"
STUDY_FILES = [*sorted((ROOT / "configs/studies").rglob("*.yaml")), *sorted((ROOT / "tests").rglob("studies/*.yaml"))]


def changed(folder: Path, *pairs: tuple[str, str]) -> Path:
    """A copy of the flagship's file in which the first of each pair, found once, is replaced by the second."""
    text = FLAGSHIP.read_text(encoding="utf-8")
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def place(path: Path, needle: str) -> str:
    """Line and column, from 1, at which `needle` stands for the only time in the file; "|" in it marks the place."""
    text = path.read_text(encoding="utf-8")
    assert text.count(needle.replace("|", "")) == 1, needle
    before = text[: text.index(needle.replace("|", "")) + needle.index("|")]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def problems(path: Path, **options: Any) -> list[str]:
    """The lines of the refusal of `path`, after the first, without its name."""
    with pytest.raises(StudyFileError) as refusal:
        load_study(path, **options)
    assert refusal.value.code == "study.invalid"
    first, *lines = refusal.value.message.splitlines()
    count = "1 problem" if len(lines) == 1 else f"{len(lines)} problems"
    assert first == f"{path} cannot be used: {count}"
    return [line.removeprefix(f"{path}:") for line in lines]


def test_flagship_loads() -> None:
    """The flagship's file is a study of occasions, from its path, with a digest."""
    loaded = load_study(FLAGSHIP, instruments=load_instruments(ROOT / "configs/instruments"))
    assert isinstance(loaded.study, OccasionStudy)
    assert loaded.study.study.id == "duty_to_warn"
    assert loaded.path == FLAGSHIP
    assert re.fullmatch("[0-9a-f]{64}", loaded.digest)


def test_examples_load() -> None:
    """The two published analyses are flat tables that say what the books say."""
    lalonde = load_study(ROOT / "configs/studies/examples/lalonde.yaml").study
    nhefs = load_study(ROOT / "configs/studies/examples/nhefs.yaml").study
    assert isinstance(lalonde, FlatTableStudy)
    assert isinstance(nhefs, FlatTableStudy)
    assert {value.quantity: value.value for value in lalonde.published} == {"estimate": 894.3675, "sets": 185}
    assert nhefs.analysis.design == PropensityWeighting(method="propensity", estimand="ATE", stabilised=True)
    assert nhefs.columns.squared == ("age", "smokeintensity", "smokeyrs", "wt71")


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    """One message names each problem with line, column, path, what was got and what was expected."""
    path = changed(
        tmp_path,
        ("  ratio: 2", "  ratio: 0"),
        ("  caliper: {", "  calliper: {"),
        ("kind: binary_event", "kind: binary_evnt"),
        ("{strategy: composite, value", "{strategy: compsite, value"),
        ("minimum_clusters: 30", "minimum_clusters: '30'"),
        ("  primary_day: 90", "  primary_day: yes"),
        ("  id: duty_to_warn", "  id: 010"),
        ("  basis: Demo", "  bases: Demo"),
        ("audience: ethics_board", "audience:"),
        ("unobserved: [clinician_threshold]", "unobserved: clinician_threshold"),
    )
    ambiguous = (
        "means different things to different readers of YAML; write it as a plain number, or quote it if it is text"
    )
    assert problems(path) == [
        f"{place(path, 'id: |010')}: study.id: 010 {ambiguous}",
        (
            f"{place(path, 'kind: |binary_evnt')}: exposure.kind: got 'binary_evnt', expected one of: binary_event, "
            "cluster_level, continuous, joint, repeated, sustained; did you mean 'binary_event'?"
        ),
        f"{place(path, 'primary_day: |')}: outcome.primary_day: got 'yes', expected an integer from 0 to 3650",
        (
            f"{place(path, 'strategy: |compsite')}: estimands[1].intercurrent_events.patient_ended.strategy: "
            "got 'compsite', expected one of: composite, hypothetical, principal_stratum, separate, treatment_policy, "
            "while_in_relationship; did you mean 'composite'?"
        ),
        (
            f"{place(path, 'unobserved: |')}: dag.unobserved: got 'clinician_threshold', expected a list "
            "(each: a lower-case word of letters, digits and underscores)"
        ),
        f"{place(path, 'ratio: |0')}: matching.ratio: got 0, expected an integer from 1 to 4",
        f"{place(path, '|calliper')}: matching.calliper: unknown key 'calliper'; did you mean 'caliper'?",
        (
            f"{place(path, 'minimum_clusters: |')}: estimator.minimum_clusters: "
            "got '30', expected an integer of at least 2; remove the quotes"
        ),
        f"{place(path, '|bases: Demo')}: governance.bases: unknown key 'bases'; did you mean 'basis'?",
        f"{place(path, '|audience:')}: report.audience: got nothing, expected ethics_board",
    ]


@pytest.mark.parametrize(
    ("old", "new", "needle", "line"),
    [
        (
            "  level: 0.95",
            "  level: 1",
            "level: |1\n",
            "estimator.level: got 1, expected a number above 0.5 and below 1",
        ),
        (
            "caliper: {scale: logit, sd: pooled_within, width: 0.2}",
            "caliper: 0.2",
            "caliper: |0.2",
            "matching.caliper: got 0.2, expected a block with the keys scale, sd, width, or null",
        ),
        (
            "  replacement: false",
            "  replacement: no",
            "replacement: |no",
            "matching.replacement: got 'no', expected true or false",
        ),
        (
            "  registered: not registered",
            "  registered: 2026-1-5",
            "registered: |",
            "study.registered: got '2026-1-5', expected a date written 2026-01-31, or: not registered",
        ),
        (
            "    - severity -> warning",
            "    - severity => warning",
            "- |severity => warning",
            (
                "dag.edges[1]: got 'severity => warning', expected an arrow between two names of "
                "lower-case letters, digits and underscores, written: cause -> effect"
            ),
        ),
        (
            "death: {strategy: while_in_relationship}",
            "death: {}",
            "death: |{}",
            (
                "estimands[3].intercurrent_events.death.strategy: this key is missing; expected one of: "
                "composite, hypothetical, principal_stratum, separate, treatment_policy, while_in_relationship"
            ),
        ),
        (
            "kind: occasions",
            "kind: occasion",
            "kind: |occasion\n",
            (
                "kind: got 'occasion', expected one of: cohort, flat_table, long_table, meta_analysis, occasions; "
                "did you mean 'occasions'?"
            ),
        ),
        (
            "  level: 0.95",
            "  level: 0,95",
            "level: |0,95",
            "estimator.level: got '0,95', expected a number above 0.5 and below 1; write a decimal point",
        ),
        (
            "exposure:\n  kind: binary_event",
            "exposure:\n  knd: binary_event",
            "|knd",
            (
                "exposure.kind: this key is missing; expected one of: binary_event, cluster_level, continuous, joint, "
                "repeated, sustained; is it spelt 'knd'?"
            ),
        ),
        (
            "  ratio: 2\n",
            "",
            "  |method: greedy",
            "matching.ratio: this key is missing; expected an integer from 1 to 4",
        ),
        (
            "  order: highest",
            "  zzz: highest",
            "|zzz",
            (
                "matching.zzz: unknown key 'zzz'; the keys here are caliper, calipers, differ, prefer, method, ratio, "
                "order, seed, distance, replacement, most_uses"
            ),
        ),
        (
            "    estimand: ATT",
            "    estimand: [ATT]",
            "estimand: |[ATT]",
            "target_trial.contrast.estimand: got a list of 1, expected one of: ATT, ATC, ATE, ATO, ATM",
        ),
        (
            "  minimum_clusters: 30",
            "  minimum_clusters: 30.0",
            "minimum_clusters: |",
            "estimator.minimum_clusters: got 30.0, expected an integer of at least 2",
        ),
        (
            "actions: [warn_victim, warn_police]",
            "actions: []",
            "actions: |[]",
            (
                "target_trial.strategies.treated.actions: got an empty list, expected a list of 1 or more "
                "(each: a lower-case word of letters, digits and underscores)"
            ),
        ),
        (
            "death: {strategy: while_in_relationship}",
            "death: separate",
            "death: |separate",
            (
                "estimands[3].intercurrent_events.death: got 'separate', expected a block whose 'strategy' is one of: "
                "composite, hypothetical, principal_stratum, separate, treatment_policy, while_in_relationship"
            ),
        ),
    ],
)
def test_one_problem_in_plain_words(tmp_path: Path, old: str, new: str, needle: str, line: str) -> None:
    """Each kind of mistake has one line of plain words; no word of pydantic's reaches the analyst."""
    path = changed(tmp_path, (old, new))
    assert problems(path) == [f"{place(path, needle)}: {line}"]


def test_unknown_names_have_a_nearest_one(tmp_path: Path) -> None:
    """A misspelt covariate, exact key or instrument is refused at its place with the name probably meant."""
    path = changed(
        tmp_path,
        ("tier1: [alliance_lag1,", "tier1: [aliance_lag1,"),
        ("adjust_for: [alliance_lag1, alliance_lag2", "adjust_for: [alliance_lag1, alliance_lg2"),
        ("covariate: phq9", "covariate: phq_9"),
        ("exact: [regime,", "exact: [regme,"),
        ("  instrument: wai_sr", "  instrument: wai_rs"),
    )
    assert problems(path, instruments=["gad7", "phq9", "wai_sr"]) == [
        f"{place(path, '|regme')}: target_trial.assignment.exact[1]: unknown exact key 'regme'; did you mean 'regime'?",
        f"{place(path, '|wai_rs')}: outcome.instrument: unknown instrument 'wai_rs'; did you mean 'wai_sr'?",
        (
            f"{place(path, '|aliance_lag1')}: confounders.tier1[1]: unknown covariate 'aliance_lag1'; "
            "did you mean 'alliance_lag1'?"
        ),
        (
            f"{place(path, '|alliance_lg2')}: estimator.adjust_for[2]: unknown covariate 'alliance_lg2'; "
            "did you mean 'alliance_lag2'?"
        ),
        f"{place(path, '|phq_9')}: missing.covariates[4].covariate: unknown covariate 'phq_9'; did you mean 'phq9'?",
    ]


def test_a_declared_covariate_is_known(tmp_path: Path) -> None:
    """A covariate the catalogue does not hold may be named once the study declares it."""
    declared = "covariates:\n  - {name: custody, meaning: has custody of a child, unit: yes or no}\n\nconfounders:\n"
    path = changed(tmp_path, ("confounders:\n", declared), ("    - psychosis\n", "    - custody\n"))
    study = load_study(path).study
    assert isinstance(study, OccasionStudy)
    assert "custody" in study.confounders.tier2


def test_digest_keeps_choices_and_forgets_their_spelling(tmp_path: Path) -> None:
    """Comments, quotes, number spelling and written-out defaults keep the digest; a choice changes it."""
    digest = load_study(FLAGSHIP).digest
    same = changed(
        tmp_path,
        ("  ratio: 2", "  # as Austin advises\n  ratio: 2"),
        ("  smd_tier1: 0.10", "  smd_tier1: 1.0e-1"),
        ("  id: duty_to_warn", "  id: 'duty_to_warn'"),
        ("gates:\n", "minimum_n_inference: 20\n\ngates:\n"),
    )
    assert load_study(same).digest == digest
    other = changed(tmp_path, ("  ratio: 2", "  ratio: 1"))
    assert load_study(other).digest != digest


def test_digest_ignores_key_order(tmp_path: Path) -> None:
    """The same study with the keys of every block in another order has the same digest."""
    loaded = load_study(FLAGSHIP)
    rng = random.Random(7)  # noqa: S311 - an order, not a secret

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = list(value)
            rng.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    path = tmp_path / "shuffled.yaml"
    path.write_text(json.dumps(shuffled(loaded.study.model_dump(mode="json")), indent=1), encoding="utf-8")
    assert path.read_text(encoding="utf-8").index('"matching"') != FLAGSHIP.read_text(encoding="utf-8").index(
        "matching"
    )
    assert load_study(path).digest == loaded.digest == study_digest(loaded.study)


def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path) -> None:
    """A file saved by a Windows editor is the same study."""
    path = tmp_path / "windows.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + FLAGSHIP.read_bytes().replace(b"\n", b"\r\n"))
    assert load_study(path).digest == load_study(FLAGSHIP).digest


def test_values_are_yaml_1_2_and_no_more() -> None:
    """Words that YAML 1.1 turns into truth values and dates stay text; only plain decimals are numbers."""
    text = "[NO, on, yes, off, 2026-01-31, 1e-3, -0.5, 'true', true, ~, '']"
    assert plain_yaml(text).value == ["NO", "on", "yes", "off", "2026-01-31", 0.001, -0.5, "true", True, None, ""]


@pytest.mark.parametrize(
    "scalar", ["010", "0x1F", "0o17", "0b1", "1_000", "12:30:00", "1:30", ".5", "5.", ".inf", "-.INF", ".nan", "-0_1"]
)
def test_ambiguous_scalars_are_refused(scalar: str) -> None:
    """What two readers of YAML read as two things is refused, and accepted in quotes."""
    assert [problem.text.split(";")[0] for problem in plain_yaml(f"a: {scalar}").problems] == [
        f"{scalar} means different things to different readers of YAML"
    ]
    assert plain_yaml(f"a: '{scalar}'").value == {"a": scalar}


def test_printed_values_are_short(tmp_path: Path) -> None:
    """A value in a message has at most 80 characters."""
    (line,) = problems(changed(tmp_path, ("  ratio: 2", "  ratio: " + "x" * 500)))
    assert line.split("got '")[1].split("', expected")[0] == "x" * 79 + "…"


@pytest.mark.parametrize("escape", ["\\e[31m", "\\0", "\\u202e", "\\ud800", "\\t", "\\x85", "\\u2028"])
def test_escapes_bring_in_nothing_hidden(tmp_path: Path, escape: str) -> None:
    """What may not stand in the file may not come in through an escape either, as a value or as a key."""
    (line,) = problems(changed(tmp_path, ("  title: Duty-to-warn", f'  title: "a{escape}b" # ')))
    assert re.fullmatch(r"\d+:10: study\.title: the text holds the hidden character U\+[0-9A-F]{4}; remove it", line)
    (line,) = problems(changed(tmp_path, ("  ratio: 2", f'  ratio: 2\n  "a{escape}b": 1')))
    assert re.fullmatch(r"\d+:3: matching: a key holds the hidden character U\+[0-9A-F]{4}; remove it", line)


def test_instruments_load_by_id() -> None:
    """Every key in configs/instruments loads, in alphabetical order."""
    assert list(load_instruments(ROOT / "configs/instruments")) == [
        *("arm_5", "gad7", "gcq_s", "haq_ii", "miti", "phq9", "wai_36", "wai_s", "wai_sr"),
    ]


def test_an_impossible_instrument_is_refused(tmp_path: Path) -> None:
    """A key that no form can have is refused with its file, and every file's problems are told."""
    text = (ROOT / "configs/instruments/wai_sr.yaml").read_text(encoding="utf-8")
    (tmp_path / "wai_sr.yaml").write_text(text.replace("[1, 2, 10, 12]", "[1, 2, 10, 13]"), encoding="utf-8")
    (tmp_path / "wai.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(StudyFileError) as refusal:
        load_instruments(tmp_path)
    assert refusal.value.code == "instrument.invalid"
    assert refusal.value.message.splitlines() == [
        f"{tmp_path / 'wai.yaml'}: id is 'wai_sr'; expected the file's name, 'wai'",
        f"{tmp_path / 'wai_sr.yaml'} cannot be used: 1 problem",
        f"{tmp_path / 'wai_sr.yaml'}:2:1: items [13] are named, but the form has 12",
    ]


def test_the_committed_schema_is_current() -> None:
    """configs/schema holds the schema of this version, and it is a valid JSON Schema."""
    schema = study_json_schema()
    Draft202012Validator.check_schema(schema)
    committed = (ROOT / "configs/schema/study.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == json.loads(schema_text()), (
        "run: rapport schema --out configs/schema/study.schema.json"
    )


def test_write_schema_is_repeatable(tmp_path: Path) -> None:
    """Writing the schema twice gives the same bytes."""
    first = write_schema(tmp_path / "a" / "study.schema.json").read_bytes()
    assert write_schema(tmp_path / "b" / "study.schema.json").read_bytes() == first


def test_every_field_of_the_schema_is_described() -> None:
    """An editor shows a sentence for every key an analyst can write."""
    silent = [
        f"{name}.{key}"
        for name, part in study_json_schema()["$defs"].items()
        for key, field in part.get("properties", {}).items()
        if "description" not in field and "$ref" not in field
    ]
    assert silent == []


def test_every_pattern_has_words() -> None:
    """No refusal has to show a regular expression."""
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', schema_text()))
    assert {json.loads(pattern) for pattern in patterns} <= set(PATTERNS)


@pytest.mark.parametrize("path", STUDY_FILES, ids=lambda path: path.stem)
def test_every_study_file_fits_the_schema_its_first_line_names(path: Path) -> None:
    """The modeline leads to the committed schema, and the schema agrees with the loader."""
    first = path.read_text(encoding="utf-8").splitlines()[0]
    target = first.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / target).resolve() == ROOT / "configs/schema/study.schema.json"
    document = plain_yaml(path.read_text(encoding="utf-8"))
    Draft202012Validator(study_json_schema()).validate(document.value)
    load_study(path)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_edit_makes_the_loader_crash(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever is cut from or put into a study file, it loads or is refused with a line for each problem."""
    text = FLAGSHIP.read_text(encoding="utf-8")
    start = data.draw(st.integers(0, len(text)))
    length = data.draw(st.integers(0, 60))
    put = data.draw(
        st.one_of(
            st.text(max_size=8),
            st.sampled_from(
                ["\n", " ", ": ", "- ", "[", "]", "{", "}", "&a ", "*a", "!t ", "1E5", "null", "kind: x\n"]
            ),
        )
    )
    path = tmp_path / "edited.yaml"
    path.write_text(text[:start] + put + text[start + length :], encoding="utf-8", errors="replace")
    refusal = None
    try:
        load_study(path, instruments=["wai_sr"])
    except StudyFileError as error:
        refusal = error
    if refusal is not None:
        assert refusal.code == "study.invalid"
        assert len(refusal.message.splitlines()) > 1
        assert "pydantic" not in refusal.message
