"""The protocol can say every study of the scientific specification, and says what it cannot yet estimate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from typer.testing import CliRunner

from causal.errors import StudyFileError
from causal.protocol import STUDY, CohortStudy, Instrument, MetaStudy, OccasionStudy
from causal.protocol.analysis import Estimator
from causal.protocol.base import is_name
from causal.protocol.flat_table import FileData, FlatAnalysis
from causal.protocol.secondary import DoublyRobust, TwoWayClustering
from flows.cli import app
from flows.study_file import load_instruments, load_study
from flows.study_file.places import refuse_failed
from validation.estimable import waiting
from validation.protocol import judge_protocol
from validation.verdict import Status, failed

ROOT = Path(__file__).resolve().parents[3]
STUDIES = sorted((ROOT / "configs/studies").glob("s*.yaml"))
INSTRUMENTS = load_instruments(ROOT / "configs/instruments")
NOT_YET = "this can be written down and checked, but this version cannot estimate it yet: "


def test_there_are_thirteen_other_studies() -> None:
    """S1 to S9, a variant of S10, and S11 to S13."""
    assert sorted(path.stem.split("_")[0] for path in STUDIES) == sorted(f"s{number}" for number in range(1, 14))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_each_can_be_said_and_not_yet_estimated(path: Path) -> None:
    """It loads and holds together, and one verdict names in words the parts that wait."""
    verdicts = judge_protocol(load_study(path).study, INSTRUMENTS)
    assert failed(verdicts) == ()
    (waits,) = waiting(verdicts)
    assert waits.status is Status.NOT_EVALUATED
    assert waits.sentence.startswith(NOT_YET)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_each_passes_its_check_from_the_command_line(path: Path) -> None:
    """The exit code is 0, the line that says what waits is there, and nothing of it runs."""
    done = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    assert told["can_run"] is False
    assert "protocol.not_yet_estimable" in {verdict["code"] for verdict in told["verdicts"]}
    with pytest.raises(StudyFileError, match=r"^\[protocol\.not_yet_estimable\] the study cannot be run: "):
        refuse_failed(path, judge_protocol(load_study(path).study, INSTRUMENTS))


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        (
            "s1_hypertension_adherence",
            CohortStudy,
            (
                "a study with one row for each rating, starting at a rating (rating); as exposure, an amount that "
                "everyone has more or less of (continuous); as outcome, days covered by medicine (days_covered); "
                "entropy balancing (entropy_balancing) with the effect of a shift (modified_treatment_policy)"
            ),
        ),
        (
            "s7_group_cohesion",
            CohortStudy,
            (
                "a study with one row for each member_session, starting at the end of a session (session_end); as "
                "exposure, a member's own value beside the other members' (own_and_others); as outcome, a value at a "
                "later session (next_session); weighting by the propensity (propensity) with effects within and "
                "between people (within_between)"
            ),
        ),
        (
            "s10_duty_to_warn_kept",
            OccasionStudy,
            (
                "the effect of keeping to a strategy (per_protocol); for patient_ended in E2, asking what would have "
                "been without the event (hypothetical), where this version has counting the event as a bad outcome "
                "(composite)"
            ),
        ),
        ("s13_heterogeneity", MetaStudy, "pooling the effects of other studies"),
    ],
)
def test_the_parts_are_named_in_plain_words(name: str, kind: type[BaseModel], said: str) -> None:
    """Each part is said in words, with the file's own word in brackets."""
    study = load_study(ROOT / "configs/studies" / f"{name}.yaml").study
    assert isinstance(study, kind)
    verdict = next(v for v in judge_protocol(study, INSTRUMENTS) if v.code == "protocol.not_yet_estimable")
    assert verdict.sentence == NOT_YET + said


def models(model: type[BaseModel], seen: set[type[BaseModel]]) -> set[type[BaseModel]]:
    """`model` and every model its fields can hold."""
    if model in seen:
        return seen
    seen.add(model)
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            models(part, seen)
    return seen


def _parts(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for inner in getattr(annotation, "__args__", ()) for part in _parts(inner)]


def every_model() -> list[type[BaseModel]]:
    """All models of the vocabulary, by name."""
    found: set[type[BaseModel]] = set()
    for top in (OccasionStudy, CohortStudy, MetaStudy, Instrument):
        models(top, found)
    return sorted(found, key=lambda model: model.__name__)


@pytest.mark.parametrize("model", every_model(), ids=lambda model: model.__name__)
def test_every_part_is_frozen_strict_and_documented(model: type[BaseModel]) -> None:
    """Nothing is converted, no key is ignored, nothing changes later, and each field has its sentence."""
    assert model.model_config.get("frozen")
    assert model.model_config.get("extra") == "forbid"
    assert model.model_config.get("strict")
    assert (model.__doc__ or "").strip()
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("model", [TwoWayClustering, DoublyRobust])
def test_what_follows_the_declared_cluster_names_no_other(model: type[BaseModel]) -> None:
    """The reference says that likeness and folds are of `estimator.cluster`, which need not be the clinician."""
    said = json.dumps(model.model_json_schema())
    assert "`estimator.cluster`" in said
    assert "clinician" not in said


@pytest.mark.parametrize(
    ("model", "key", "said"),
    [
        (
            FlatAnalysis,
            "standard_error",
            ("else by `person`", "else by matched set", "by row under weights, in strata"),
        ),
        (FlatAnalysis, "minimum_clusters", ("by cluster all the same", "Where a row stands in several matched sets")),
        (Estimator, "minimum_clusters", ("by patient under weights and strata", "where sets share occasions")),
    ],
)
def test_what_errors_are_clustered_by_is_said(model: type[BaseModel], key: str, said: tuple[str, ...]) -> None:
    """Every unit that the code may fall back on stands in the reference."""
    told = " ".join(model.model_json_schema()["properties"][key]["description"].split())
    assert all(words in told for words in said)


def test_numbers_are_not_text_and_text_is_not_a_number() -> None:
    """Strictness reaches the study as a whole."""
    study = load_study(ROOT / "configs/studies/duty_to_warn.yaml").study.model_dump(mode="json")
    assert STUDY.validate_json(json.dumps(study)).model_dump(mode="json") == study
    study["matching"]["ratio"] = "2"
    with pytest.raises(ValidationError):
        STUDY.validate_json(json.dumps(study))


@pytest.mark.parametrize("name", ["a", "alliance_lag1", "x" * 40])
def test_names(name: str) -> None:
    """Lower-case words are names."""
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "A", "1a", "a-b", "a b", "a\n", "é", "x" * 41])
def test_what_is_no_name(name: str) -> None:
    """Nothing else is, not even a name with a line feed after it."""
    assert not is_name(name)


@pytest.mark.parametrize("path", ["a.csv", "data/b-1.parquet", "a/b/c_d.csv"])
def test_paths_below_the_study_file(path: str) -> None:
    """A table may lie beside the study file or in a folder below it."""
    assert FileData(kind="file", path=path).path == path


IMPOSSIBLE = [
    ({"low": 5}, "low is 5 and high is 5; low must be below high"),
    ({"reverse": (13,)}, "items [13] are named, but the form has 12"),
    ({"minimum_answered": 13}, "minimum_answered is 13, but the form has 12 items"),
    ({"missing_codes": (3, 99)}, "missing_codes [3] are also responses from 1 to 5"),
    (
        {"subscales": {"bond": {"items": (3, 5), "minimum_answered": 3}}},
        "minimum_answered exceeds the number of items in subscales ['bond']",
    ),
]


@pytest.mark.parametrize(("change", "said"), IMPOSSIBLE, ids=[said[:20] for _, said in IMPOSSIBLE])
def test_an_impossible_scoring_key_cannot_be_made(change: dict[str, Any], said: str) -> None:
    """A key that no form can have is refused when it is made, whoever makes it."""
    whole = {**INSTRUMENTS["wai_sr"].model_dump(), **change}
    with pytest.raises(ValidationError) as refused:
        Instrument.model_validate(whole)
    assert said in str(refused.value)
