"""A flat table's study before the table is read: which part each column may play beside the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from causal.protocol import STUDY, FlatTableStudy
from flows.study_file import load_study
from validation.flat_table import judge_flat_table
from validation.verdict import Status, Verdict

FILE = Path(__file__).resolve().parents[2] / "configs/studies/examples/lalonde.yaml"
PLAIN: dict[str, Any] = load_study(FILE).study.model_dump(mode="json")
ROBUST = {"standard_error": "robust"}
GREEDY = PLAIN["analysis"]["design"]
PLACEBO = {"column": "age", "because": "Nobody's age was changed."}


def judged(
    analysis: dict[str, Any] | None = None, columns: dict[str, Any] | None = None, **words: Any
) -> list[Verdict]:
    """The verdicts on the example with other words under `analysis` and `columns`, and at its top."""
    changed = {"analysis": PLAIN["analysis"] | (analysis or {}), "columns": PLAIN["columns"] | (columns or {})}
    study = STUDY.validate_json(json.dumps(PLAIN | changed | words))
    assert isinstance(study, FlatTableStudy)
    return list(judge_flat_table(study))


def failing(*given: dict[str, Any], **words: Any) -> dict[str, str]:
    """Those that fail, code to sentence."""
    return {one.code: one.sentence for one in judged(*given, **words) if one.status is Status.FAIL}


def test_the_order_of_verdicts_is_that_of_the_file() -> None:
    """Columns, placebo outcomes, the standard error, then the method; all of them pass on a sound study."""
    found = judged()
    assert [one.code for one in found] == [
        "protocol.columns",
        "protocol.placebo_outcomes",
        "protocol.standard_error",
        "protocol.method",
        "protocol.ratio",
    ]
    assert {one.status for one in found} == {Status.PASS}


def test_a_numeric_covariate_may_be_a_placebo_outcome() -> None:
    """It has no other part to play; two of them may be named."""
    both = [PLACEBO, PLACEBO | {"column": "educ"}]
    assert failing(placebo_outcomes=both) == {}


@pytest.mark.parametrize(
    ("column", "analysis", "columns"),
    [
        ("treat", {}, {}),
        ("re78", {}, {}),
        ("race", {}, {}),
        ("rownames", {}, {}),
        ("site", {}, {"keys": ["site"]}),
        ("age", {"exact": ["age"]}, {}),
        ("site", ROBUST | {"cluster": "site"}, {"keys": ["site"]}),
        ("age", {"propensity": {"splines": ["age"]}}, {}),
        ("age", {"design": GREEDY | {"calipers": [{"covariate": "age", "width": 1}]}}, {}),
        ("age", {"design": GREEDY | {"differ": ["age"]}}, {}),
        ("age", {"design": GREEDY | {"distance": {"kind": "mahalanobis", "covariates": ["age"]}}}, {}),
        ("age", ROBUST | {"design": {"method": "coarsened_exact", "covariates": ["age"]}}, {}),
        (
            "age",
            ROBUST
            | {
                "design": {
                    "method": "coarsened_exact",
                    "covariates": ["educ", "age"],
                    "bins": [{"covariate": "age", "number": 3}],
                }
            },
            {},
        ),
    ],
)
def test_a_placebo_outcome_is_that_and_nothing_else(
    column: str, analysis: dict[str, Any], columns: dict[str, Any]
) -> None:
    """Whatever else a column is named for, its own analysis would have to do without."""
    found = failing(analysis, columns, placebo_outcomes=[PLACEBO | {"column": column}])
    assert found["protocol.placebo_outcomes"].endswith(f"would not be the same: {column}")


def test_placebo_outcomes_are_named_once_and_leave_something_to_adjust_for() -> None:
    """Twice the same column; every covariate there is; and then nothing makes groups comparable."""
    twice = failing(placebo_outcomes=[PLACEBO, PLACEBO])
    assert twice == {"protocol.placebo_outcomes": "a placebo outcome is named twice: age"}
    alone = failing({}, {"numeric": ["age"], "categorical": []}, placebo_outcomes=[PLACEBO])
    assert alone["protocol.placebo_outcomes"] == "without the placebo outcomes no covariate is left to adjust for"
    assert failing({}, {"numeric": ["age"]}, placebo_outcomes=[PLACEBO]) == {}
    assert failing({}, {"numeric": [], "categorical": ["race"]}) == {}


@pytest.mark.parametrize(
    ("analysis", "columns", "said"),
    [
        ({"design": GREEDY | {"differ": ["re78"]}}, {}, "cannot also serve as a key: re78"),
        ({"exact": ["sitte"]}, {"keys": ["site"]}, "not among the columns of the study: sitte (did you mean site?)"),
        ({"person": "who"}, {}, "a key is not among the columns of the study: who"),
        (
            ROBUST | {"design": {"method": "full", "caliper": None}, "person": "who"},
            {"keys": ["who"]},
            "person is for greedy, optimal and cardinality matching: no other design keeps people apart",
        ),
        (
            ROBUST | {"propensity": {"cluster_means": "clinic"}},
            {},
            "cluster means need a cluster column",
        ),
        (
            ROBUST
            | {
                "design": {
                    "method": "coarsened_exact",
                    "covariates": ["race"],
                    "bins": [{"covariate": "race", "number": 3}],
                }
            },
            {},
            "calipers, bins and splines need numbers, and this holds categories: race",
        ),
    ],
)
def test_what_a_column_cannot_be(analysis: dict[str, Any], columns: dict[str, Any], said: str) -> None:
    """The refusal names the column and what it would have to be."""
    assert said in failing(analysis, columns)["protocol.columns"]


def test_what_a_column_can_be() -> None:
    """A person and a cluster among the keys, means of clusters where there is one, exact keys among the covariates."""
    sound = ROBUST | {"exact": ["race"], "cluster": "site", "person": "who", "propensity": {"cluster_means": "clinic"}}
    assert failing(sound, {"keys": ["site", "who"]}) == {}


def test_the_method_is_judged_with_the_table_s_own_columns() -> None:
    """Covariates, numeric and categorical, are what it may bend or bin; keys are those and the declared ones."""
    rules = {"differ": ["site", "race", "age"], "calipers": [{"covariate": "educ", "width": 1}]}
    assert failing({"design": GREEDY | rules}, {"keys": ["site"]}) == {}
    wrong = {"calipers": [{"covariate": "site", "width": 1}]}
    assert (
        "no confounder of this study: site"
        in failing({"design": GREEDY | wrong}, {"keys": ["site"]})["protocol.method"]
    )
    weights = ROBUST | {"design": {"method": "propensity", "estimand": "ATT"}, "exact": ["race"]}
    assert "do not make groups agree in the exact keys (race)" in failing(weights)["protocol.method"]
