"""Analyses beside the primary one are refused when they cannot answer what they are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from causal.protocol import STUDY, OccasionStudy
from flows.study_file.load import load_study
from validation.secondary import ANSWERS, judge_secondary
from validation.verdict import Status

STUDY_FILE = Path(__file__).parents[2] / "configs" / "studies" / "duty_to_warn.yaml"


def flagship(**changes: Any) -> OccasionStudy:
    """The flagship study with other values for some of its keys."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    study = STUDY.validate_python(loaded.model_dump(mode="python") | changes)
    assert isinstance(study, OccasionStudy)
    return study


def problems(study: OccasionStudy) -> str:
    """The sentence of the verdict on the declared analyses, empty when it passes."""
    verdict = next(v for v in judge_secondary(study) if v.code == "protocol.secondary")
    return verdict.sentence if verdict.status is Status.FAIL else ""


def only(*declared: dict[str, Any]) -> dict[str, Any]:
    """These analyses and no family of tests."""
    return {"secondary": declared, "multiplicity": None}


def test_the_flagship_passes() -> None:
    """Everything it declares can be answered, and nothing it measures is left out."""
    assert [v.status for v in judge_secondary(flagship())] == [Status.PASS]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (only({"analysis": "win_odds"}, {"analysis": "win_odds"}), "declared twice: win_odds"),
        (only({"analysis": "last_rating", "estimand": "E9"}), "last_rating answers E9, which is no estimand"),
        (
            only({"analysis": "repeated_outcomes", "estimand": "E1"}),
            "repeated_outcomes answers an estimand whose patient_ended is hypothetical, and that of E1 is composite",
        ),
        (
            only({"analysis": "termination_course", "days": (200,), "horizon_days": 180}),
            "termination_course tells the incidence after its own horizon",
        ),
        (
            only({"analysis": "termination_course", "days": (90,), "horizon_days": 400}),
            "termination_course goes on after follow-up ends on day 180",
        ),
        (only({"analysis": "non_inferiority"}), "non_inferiority needs non_inferiority_margin"),
        (
            only({"analysis": "dropout_story", "delta_lowest": 0.1}),
            "the shifts of dropout_story must take in 0",
        ),
        (
            {"secondary": (), "multiplicity": {"holm": ("other_days",)}},
            "the family of tests names analyses that are not declared: other_days",
        ),
    ],
)
def test_what_cannot_be_answered_is_refused(changes: dict[str, Any], sentence: str) -> None:
    """Each contradiction is named in a sentence."""
    assert sentence in problems(flagship(**changes))


def test_what_matching_with_replacement_forbids() -> None:
    """Neither the bootstrap nor lotteries within sets hold where a comparison stands in several sets."""
    loaded = flagship().model_dump(mode="python")
    reuse = loaded["matching"] | {"replacement": True, "ratio": 1}
    both = only({"analysis": "cluster_bootstrap"}, {"analysis": "randomisation"})
    found = problems(flagship(matching=reuse, **both))
    assert "cluster_bootstrap is not valid after matching with replacement" in found
    assert "randomisation needs matched sets in which nobody stands twice" in found


def test_what_needs_matching_with_replacement() -> None:
    """The variance under reuse is asked of matching with replacement, and of nothing else."""
    loaded = flagship().model_dump(mode="python")
    reuse, asked = loaded["matching"] | {"replacement": True}, only({"analysis": "reuse_variance"})
    assert problems(flagship(matching=reuse, **asked)) == problems(flagship(**only()))
    assert "reuse_variance is for matching with replacement" in problems(flagship(**asked))


def test_what_nothing_answers_is_said() -> None:
    """Days, subscales and estimands without an analysis are NOT EVALUATED, each by name."""
    verdicts = list(judge_secondary(flagship(**only())))
    said = {v.code: v.sentence for v in verdicts if v.status is Status.NOT_EVALUATED}
    assert said["protocol.secondary_days"].startswith("ratings around day 30, 180")
    assert said["protocol.subscales"].startswith("subscales bond, goal, task")
    assert said["protocol.secondary_estimands"].startswith("estimands E2, E3, E4")


def test_every_answering_analysis_has_its_strategy() -> None:
    """The table of answers names strategies of the vocabulary only."""
    assert set(ANSWERS.values()) == {"hypothetical", "while_in_relationship", "principal_stratum"}
