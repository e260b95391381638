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


MATCHING: dict[str, Any] = flagship().model_dump(mode="python")["matching"]
OUTCOME: dict[str, Any] = flagship().model_dump(mode="python")["outcome"]
WEIGHTS: dict[str, Any] = {"matching": None, "weighting": {"method": "propensity", "estimand": "ATO"}}
STRATA: dict[str, Any] = {"matching": {"method": "subclassification", "estimand": "ATT"}}
REUSED: dict[str, Any] = {"matching": MATCHING | {"replacement": True}}
FULL: dict[str, Any] = {"matching": {"method": "full", "estimand": "ATC", "caliper": None}}
CHANGE = {"analysis": "reliable_change", "reliability": 0.75, "basis": "test_retest", "reference": "a sample"}
STORY = {"analysis": "dropout_story"}
COURSE = {"analysis": "termination_course"}
NOBODY_TWICE = "in which nobody stands twice"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            only({"analysis": name}) | {"outcome": OUTCOME | {"windows": OUTCOME["windows"][1:2]}},
            f"{name} needs an outcome rated around two days or more",
        )
        for name in ("other_days",)
    ]
    + [
        (
            only({"analysis": name, "estimand": "E2"}) | {"outcome": OUTCOME | {"windows": OUTCOME["windows"][1:2]}},
            f"{name} needs an outcome rated around two days or more",
        )
        for name in ("repeated_outcomes", "mixed_model", "marginal_model")
    ]
    + [
        (only({"analysis": "subscales"}) | {"outcome": OUTCOME | {"subscales": ()}}, "and the outcome names none"),
        (only({"analysis": "subscales"}) | {"outcome": OUTCOME | {"scale": "sum"}}, "rate the outcome as item_mean"),
        (only(COURSE | {"days": (90, 30), "horizon_days": 180}), "the days of termination_course must rise"),
        (only(COURSE | {"days": (30, 30), "horizon_days": 180}), "the days of termination_course must rise"),
        (
            only({"analysis": "equivalence"}) | {"non_inferiority_margin": 2.5},
            "a margin of 2.5 points excludes nothing; at most 2",
        ),
        (only() | {"non_inferiority_margin": 2.5}, "a margin of 2.5 points excludes nothing; at most 2"),
        (only(CHANGE | {"sd": 2.5}), "no standard deviation of 2.5 points; at most 2"),
        (only(STORY | {"delta_lowest": 0.0, "delta_highest": 0.0}), "must take in 0 and reach beyond it"),
        (only(STORY | {"delta_lowest": -1.0, "delta_highest": -0.5}), "must take in 0 and reach beyond it"),
        (only(STORY | {"delta_lowest": -1.05}), "must be whole numbers of steps away from 0"),
        (only(STORY | {"delta_highest": 0.55}), "must be whole numbers of steps away from 0"),
        (
            only(STORY | {"delta_lowest": -5.1, "delta_highest": 5.0}),
            "dropout_story has more than 100 shifts: take longer steps",
        ),
        (
            only({"analysis": "g_computation"}) | WEIGHTS,
            "g_computation averages over the treated, the untreated or everyone, and the design is for ATO",
        ),
        (only({"analysis": "doubly_robust"}) | WEIGHTS, "doubly_robust averages over the treated, the untreated or"),
        (only({"analysis": "win_odds"}) | WEIGHTS, "win_odds counts wins within matched sets, and this study weights"),
        (only({"analysis": "set_differences"}) | WEIGHTS, f"set_differences needs matched sets {NOBODY_TWICE}"),
        (only({"analysis": "set_differences"}) | STRATA, f"set_differences needs matched sets {NOBODY_TWICE}"),
        (only({"analysis": "set_differences"}) | REUSED, f"set_differences needs matched sets {NOBODY_TWICE}"),
        (only({"analysis": "mixed_model", "estimand": "E2"}) | FULL, "mixed_model carries no weights"),
        (only({"analysis": "mixed_model", "estimand": "E2"}) | REUSED, "mixed_model carries no weights"),
        (only({"analysis": "cluster_bootstrap"}) | STRATA, f"which needs sets {NOBODY_TWICE}"),
        (
            only({"analysis": "repeated_outcomes", "estimand": "E2", "degrees_of_freedom": "kenward_roger"}) | REUSED,
            "where an occasion stands in several sets repeated_outcomes needs degrees_of_freedom: cluster_robust",
        ),
        (only({"analysis": "randomisation"}) | WEIGHTS, f"randomisation needs matched sets {NOBODY_TWICE}"),
        (only({"analysis": "randomisation"}) | STRATA, f"randomisation needs matched sets {NOBODY_TWICE}"),
    ],
)
def test_what_this_design_cannot_answer_is_refused(changes: dict[str, Any], sentence: str) -> None:
    """One sentence, and no other: each analysis beside an outcome, a margin, a grid or a design it does not go with."""
    found = problems(flagship(**changes))
    assert sentence in found
    assert ";" not in found.replace("; at most", "")


@pytest.mark.parametrize(
    "changes",
    [
        only({"analysis": "other_days"}) | {"outcome": OUTCOME | {"windows": OUTCOME["windows"][:2]}},
        only(COURSE | {"days": (30, 180), "horizon_days": 180}),
        only({"analysis": "equivalence"}) | {"non_inferiority_margin": 2.0},
        only(CHANGE | {"sd": 2.0}),
        only(CHANGE | {"sd": 9.0}) | {"outcome": OUTCOME | {"scale": "sum"}},
        only(STORY | {"delta_lowest": 0.0}),
        only(STORY | {"delta_highest": 0.0}),
        only(STORY | {"delta_lowest": -5.0, "delta_highest": 5.0}),
        only({"analysis": "g_computation"}, {"analysis": "doubly_robust"}) | FULL,
        only({"analysis": "doubly_robust", "effect_in": "everyone"}) | WEIGHTS,
        only({"analysis": "cluster_bootstrap"}) | WEIGHTS,
        only({"analysis": "cluster_bootstrap"}, {"analysis": "randomisation"}, {"analysis": "set_differences"}) | FULL,
        only({"analysis": "win_odds"}) | STRATA,
        only({"analysis": "repeated_outcomes", "estimand": "E2"}) | REUSED,
        only({"analysis": "repeated_outcomes", "estimand": "E2"}, {"analysis": "marginal_model", "estimand": "E2"}),
        only({"analysis": "other_days"}, {"analysis": "subscales"})
        | {"multiplicity": {"holm": ("other_days", "subscales")}},
    ],
)
def test_what_is_just_within_its_limits_is_accepted(changes: dict[str, Any]) -> None:
    """Two days, the horizon itself, a margin and a spread of half the scale, 100 shifts, designs that do go with it."""
    assert problems(flagship(**changes)) == ""


@pytest.mark.parametrize(
    ("declared", "silent"),
    [
        ({"analysis": "other_days"}, "protocol.secondary_days"),
        ({"analysis": "marginal_model", "estimand": "E2"}, "protocol.secondary_days"),
        ({"analysis": "subscales"}, "protocol.subscales"),
    ],
)
def test_what_an_analysis_answers_is_no_longer_said(declared: dict[str, Any], silent: str) -> None:
    """Each asks for its own days, subscales or estimand, and the others stay named."""
    said = {v.code: v.sentence for v in judge_secondary(flagship(**only(declared)))}
    assert silent not in said
    left = [name for name in ("E2", "E3", "E4") if name != declared.get("estimand")]
    assert f"estimands {', '.join(left)}: no analysis" in said["protocol.secondary_estimands"]
    all_but = {"protocol.secondary", "protocol.secondary_days", "protocol.subscales", "protocol.secondary_estimands"}
    assert set(said) == all_but - {silent}
