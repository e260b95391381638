"""What the software fixes is said as it is for what a study declares, and not where it does not apply."""

from __future__ import annotations

from typing import Any

import pytest
from worlds import study

from causal.cohort.catalogue import EXACT_KEYS
from causal.design.describe import method_sentence
from causal.protocol import STUDY, OccasionStudy
from flows.report.decided import worked_out
from flows.report.software_rules import software_rules


def declaring(**changes: Any) -> OccasionStudy:
    """The flagship with blocks changed."""
    found = STUDY.validate_python(study().model_dump(mode="python") | changes, strict=False)
    assert isinstance(found, OccasionStudy)
    return found


def rules(of: OccasionStudy) -> dict[str, str]:
    """Every rule by its name."""
    return {line.name: line.value for line in software_rules(of)}


GREEDY = {"method": "greedy", "ratio": 1, "caliper": {"scale": "logit", "sd": "whole", "width": 0.2}}


@pytest.mark.parametrize(
    ("matching", "width", "person"),
    [
        (GREEDY, "everyone eligible taken together", "never twice among"),
        (GREEDY | {"replacement": True}, "everyone eligible taken together", "as declared, several times among"),
        (GREEDY | {"caliper": None}, "", "never twice among"),
        ({"method": "optimal", "ratio": 1, "caliper": GREEDY["caliper"]}, "everyone eligible", "never twice among"),
        ({"method": "full", "caliper": {"scale": "logit", "sd": "pooled_within", "width": 0.2}}, "both groups", ""),
    ],
    ids=["greedy", "replacement", "no_caliper", "optimal", "full"],
)
def test_rules_of_matching_follow_the_method(matching: dict[str, Any], width: str, person: str) -> None:
    """The spread of a caliper where there is one; how often a person serves where that is bounded."""
    told = rules(declaring(matching=matching))
    for name, words in (("Width of the caliper", width), ("A person with several assessments", person)):
        assert words in told.get(name, "")
        assert (name in told) is bool(words)


def test_nobody_is_called_free_where_all_may_serve_again() -> None:
    """With replacement the nearest is taken whoever has taken it before."""
    for replacement, words in ((False, " of another person still free on "), (True, " of another person on ")):
        of = declaring(matching=GREEDY | {"replacement": replacement})
        assert of.matching is not None
        sentence = method_sentence(of.matching, of.target_trial.assignment, of.words, EXACT_KEYS)
        assert words in sentence
        assert ("no person used twice" in sentence) is not replacement


def test_missing_ratings_are_told_by_either_plan() -> None:
    """Weights by a model of who answered, or the share of the group: r is what those who answered weigh."""
    by_model = study()
    by_share = declaring(missing=by_model.missing.model_dump(mode="python") | {"outcome": "available_case"})
    assert ("Probability of a rating" in rules(by_model), "Probability of a rating" in rules(by_share)) == (True, False)
    for of, words in (
        (by_model, "weighted by how unlikely"),
        (by_share, "those of the same group who answered stand in"),
    ):
        said = worked_out(of, unit="matched set")
        assert words in said
        assert "r is the weight of those who answered, scaled so that they stand for all of their group" in said
