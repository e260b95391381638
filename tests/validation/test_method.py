"""Whether a declared way of making groups comparable holds together, before any data are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from causal.protocol import STUDY, OccasionStudy
from flows.study_file.load import load_instruments, load_study
from validation.protocol import judge_protocol
from validation.verdict import Status

CONFIGS = Path(__file__).parents[2] / "configs"
INSTRUMENTS = load_instruments(CONFIGS / "instruments")
RULES = {"caliper": None}


@pytest.fixture(scope="module")
def declared() -> dict[str, Any]:
    """The flagship study as plain values."""
    loaded = load_study(CONFIGS / "studies" / "duty_to_warn.yaml").study
    assert isinstance(loaded, OccasionStudy)
    return loaded.model_dump(mode="python")


def verdicts_of(declared: dict[str, Any], **changes: Any) -> dict[str, tuple[Status, str]]:
    """Status and sentence by code, of the study with these keys replaced."""
    study = STUDY.validate_python(declared | changes)
    return {v.code: (v.status, v.sentence) for v in judge_protocol(study, INSTRUMENTS)}


@pytest.mark.parametrize(
    "matching",
    [
        {"method": "greedy", "ratio": 3, "order": "closest", **RULES},
        {"method": "greedy", "ratio": 1, "order": "random", "seed": 3, "replacement": True, "most_uses": 2, **RULES},
        {"method": "optimal", "ratio": 1, "distance": {"kind": "rank_mahalanobis"}, **RULES},
        {"method": "full", "most_comparisons": 4, "prefer": ({"key": "clinic_id", "penalty": 0.1},), **RULES},
        {"method": "generalised_full", **RULES},
        {"method": "fine_balance", "ratio": 1, "balance": ("clinic_id",), **RULES},
        {"method": "cardinality"},
        {"method": "coarsened_exact", "bins": ({"covariate": "severity", "number": 5},)},
        {"method": "subclassification", "subclasses": 8},
    ],
)
def test_every_matching_can_be_declared(declared: dict[str, Any], matching: dict[str, Any]) -> None:
    """Each method passes the check of the protocol as an analyst would write it."""
    found = verdicts_of(declared, matching=matching)
    assert found["protocol.method"][0] is Status.PASS
    assert found["protocol.estimand_of_method"][0] is Status.PASS


@pytest.mark.parametrize(
    "weighting",
    [
        {"method": "propensity", "estimand": "ATT", "truncate": {"lower": 0.01, "upper": 0.99}},
        {"method": "entropy_balancing", "moments": 2},
        {"method": "covariate_balancing"},
    ],
)
def test_every_weighting_can_be_declared(declared: dict[str, Any], weighting: dict[str, Any]) -> None:
    """A study may declare weighting in the place of matching; only entropy balancing keeps exact keys."""
    trial = declared["target_trial"]
    free = trial | {"assignment": trial["assignment"] | {"exact": ()}}
    found = verdicts_of(declared, matching=None, weighting=weighting, target_trial=free)
    assert found["protocol.method"][0] is found["protocol.calendar"][0] is Status.PASS
    status, sentence = verdicts_of(declared, matching=None, weighting=weighting)["protocol.method"]
    kept = weighting["method"] == "entropy_balancing"
    assert (status is Status.PASS) == kept
    assert ("do not make groups agree in the exact keys" in sentence) != kept


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"matching": None}, "this one declares neither"),
        ({"weighting": {"method": "entropy_balancing"}}, "this one declares both"),
        ({"matching": {"method": "greedy", "ratio": 1, "order": "random", **RULES}}, "order: random needs one"),
        ({"matching": {"method": "greedy", "ratio": 1, "seed": 1, **RULES}}, "a seed belongs to order: random"),
        ({"matching": {"method": "greedy", "ratio": 1, "most_uses": 2, **RULES}}, "replacement is false"),
        (
            {"matching": {"method": "fine_balance", "ratio": 1, "balance": ("clinic",), **RULES}},
            "no key to match on of this study: clinic (did you mean clinic_id?)",
        ),
        (
            {
                "matching": {
                    "method": "greedy",
                    "ratio": 1,
                    "caliper": None,
                    "calipers": ({"covariate": "severty", "width": 1.0},),
                }
            },
            "no confounder of this study: severty (did you mean severity?)",
        ),
        ({"propensity": {"model": "boosting"}}, "model: boosting needs one"),
        ({"propensity": {"splines": ("sevrity",)}}, "did you mean severity?"),
        (
            {
                "matching": None,
                "weighting": {"method": "propensity", "estimand": "ATT", "trim": {"lower": 0.9, "upper": 0.1}},
            },
            "the lower bound of trim is not below the upper one",
        ),
    ],
)
def test_what_does_not_hold_together_is_named(declared: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    """Each contradiction fails with a sentence that says what to change."""
    status, sentence = verdicts_of(declared, **changes)["protocol.method"]
    assert status is Status.FAIL
    assert said in sentence


def test_method_and_contrast_must_agree(declared: dict[str, Any]) -> None:
    """Overlap weights do not answer a question about the treated."""
    overlap = {"method": "propensity", "estimand": "ATO"}
    found = verdicts_of(declared, matching=None, weighting=overlap)
    assert found["protocol.estimand_of_method"] == (Status.FAIL, "the contrast asks for ATT and the method gives ATO")
