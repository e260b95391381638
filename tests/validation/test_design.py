"""Gates of a finished design that no other test of a design covers."""

from __future__ import annotations

import dataclasses

import pytest

from causal.design.propensity.curvature import Curvature, ScoreTest
from validation.design import curvature_verdict
from validation.verdict import Status

CURVED = ScoreTest(statistic=30.0, df=5, p_value=0.0001, covariates=("severity", "phq9"))
STRAIGHT = dataclasses.replace(CURVED, statistic=4.0, p_value=0.4)


@pytest.mark.parametrize(
    ("found", "status", "says"),
    [
        (Curvature(linear=STRAIGHT, remaining=STRAIGHT), Status.PASS, "as much curve in tier-1 numbers"),
        (Curvature(linear=CURVED, bends=("phq9",), remaining=STRAIGHT), Status.PASS, "a bend in Depression (PHQ-9)"),
        (
            Curvature(linear=CURVED, bends=("phq9",), unbent=("severity",), remaining=CURVED),
            Status.FAIL,
            "too few events per parameter for a bend in Threat severity",
        ),
        (Curvature(linear=CURVED, unbent=("severity",), remaining=CURVED), Status.FAIL, "too few events"),
        (Curvature(linear=CURVED, remaining=CURVED), Status.FAIL, "joint test"),
        (
            Curvature(linear=None, untested="a line tells the groups apart with certainty"),
            Status.NOT_EVALUATED,
            "a line tells",
        ),
        (Curvature(linear=CURVED, bends=("phq9",)), Status.NOT_EVALUATED, "beside its bends"),
    ],
)
def test_what_is_left_of_curves_is_judged(found: Curvature, status: Status, says: str) -> None:
    """The test in the model that was used decides, and the sentence says what was bent and what could not be."""
    verdict = curvature_verdict(found, 0.01)
    assert (verdict.code, verdict.status) == ("design.curvature", status)
    assert says in verdict.sentence
    if status is not Status.NOT_EVALUATED:
        assert found.remaining is not None
        assert (verdict.measured, verdict.limit) == (found.remaining.p_value, 0.01)
