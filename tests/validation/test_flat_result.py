"""An answer from a flat table is judged by what it rests on, a placebo outcome and a known effect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from causal.design.diagnostics.clusters import ClusterSpread
from causal.effect.contrast import student
from causal.effect.doubly_robust.outpredicted import Outpredicted
from causal.effect.flat_diagnostics import FlatDiagnostics, arm_weight, without_counterpart
from causal.effect.flat_extremes import Farthest
from causal.effect.flat_placebo import PlaceboEffect
from causal.effect.flat_table import FlatResult
from causal.protocol.design import Gates
from causal.protocol.flat_gates import FlatGates, KnownEffect
from validation.flat_result import judge_flat_result
from validation.verdict import Status, Verdict

GOOD = FlatDiagnostics(
    treated=arm_weight(np.ones(60)),
    comparison=arm_weight(np.ones(90)),
    left_out=0.0,
    without_counterpart=0.02,
    before=("age", 0.4),
    after=("age", 0.05),
    clusters=None,
    response=(1.0, 1.0),
    outpredicted=None,
)
RESULT = FlatResult(
    effect=student("difference", 2.0, 0.5, 100.0, level=0.95),
    log_ratio=None,
    means=None,
    estimand="ATT",
    method="",
    n_rows=150,
    n_sets=None,
    balance=(),
    fates=(),
    notes=(),
    diagnostics=GOOD,
)


def judged(
    found: FlatDiagnostics = GOOD,
    *,
    gates: FlatGates | None = None,
    placebos: tuple[PlaceboEffect, ...] = (),
    known: KnownEffect | None = None,
) -> dict[str, Verdict]:
    """The verdicts by code."""
    result = replace(RESULT, diagnostics=found)
    return {
        verdict.code: verdict
        for verdict in judge_flat_result(result, placebos, gates=gates or FlatGates(), known=known)
    }


def test_a_good_answer_passes_every_check() -> None:
    """Alike, overlapping, of enough rows, all of them heard."""
    found = judged()
    assert {verdict.status for verdict in found.values()} == {Status.PASS}
    assert len(found) == 9


def test_a_regression_of_the_outcome_is_held_against_trees() -> None:
    """A tenth of its error saved passes, more fails; what was not asked is said; trees are not judged."""
    for share, status in ((0.0, Status.PASS), (0.1, Status.PASS), (0.4, Status.FAIL), (None, Status.NOT_EVALUATED)):
        beside = Outpredicted(kind="ridge", share=share, reason="" if share is not None else "it is not cross-fitted")
        verdict = judged(replace(GOOD, outpredicted=beside))["flat.outcome_model"]
        assert (verdict.status, verdict.measured) == (status, share)
        assert "ridge model" in verdict.sentence
        assert beside.reason in verdict.sentence
    lenient = FlatGates(maximum_outpredicted=0.5)
    found = judged(replace(GOOD, outpredicted=Outpredicted(kind="linear", share=0.4)), gates=lenient)
    assert found["flat.outcome_model"].status is Status.PASS
    assert "flat.outcome_model" not in judged()


SPREAD = ClusterSpread(
    level="clinician", declared=True, total=9, treated=1, comparison=9, largest_treated=1.0, largest_comparison=0.2
)
HEAVY = np.r_[27.0, np.full(73, 1.0)]
"""One row with 27% of the weight."""


@pytest.mark.parametrize(
    ("change", "codes", "said"),
    [
        ({"after": ("race", 2.7)}, ["flat.balance"], "(race)"),
        ({"after": None, "before": ("age", 0.6)}, ["flat.balance"], "model of the outcome alone"),
        ({"left_out": 0.4}, ["flat.unmatched"], "the treated"),
        ({"without_counterpart": 0.2}, ["flat.overlap"], "the treated"),
        (
            {"comparison": arm_weight(HEAVY)},
            ["flat.effective.comparison", "flat.weight_share.comparison"],
            "comparison",
        ),
        ({"treated": arm_weight(np.ones(19))}, ["flat.effective.treated", "flat.weight_share.treated"], "of 19 with"),
        ({"clusters": SPREAD}, ["flat.clusters"], "of 9 in all"),
        ({"response": (0.4, 0.45)}, ["flat.response"], "treated 40%, comparison 45%"),
        ({"response": (0.9, 0.6)}, ["flat.response_difference"], "differ"),
    ],
)
def test_each_limit_fails_by_itself(change: dict[str, Any], codes: list[str], said: str) -> None:
    """What is out of its limit fails, and nothing else does."""
    found = judged(replace(GOOD, **change))
    assert [code for code, verdict in found.items() if verdict.status is Status.FAIL] == codes
    assert said in found[codes[0]].sentence


def test_the_weight_of_one_row_is_measured() -> None:
    """One comparison of 27% of the weight is told as .27, and as few rows that tell as much."""
    found = judged(replace(GOOD, comparison=arm_weight(HEAVY)))
    assert found["flat.weight_share.comparison"].measured == pytest.approx(0.27)
    assert found["flat.effective.comparison"].measured == pytest.approx(100**2 / (27**2 + 73))


def test_without_scores_overlap_is_not_evaluated() -> None:
    """No pass by default where only a model of the outcome adjusts."""
    found = judged(replace(GOOD, without_counterpart=None, after=None))
    assert found["flat.overlap"].status is Status.NOT_EVALUATED
    assert "flat.unmatched" not in found


def test_limits_are_the_file_s_and_otherwise_those_of_occasions() -> None:
    """A file may ask for more or less; what is not said is what studies of occasions have."""
    strict = FlatGates(smd=0.01, minimum_effective=100, maximum_without_counterpart=0.01)
    bad = [code for code, verdict in judged(gates=strict).items() if verdict.status is Status.FAIL]
    assert bad == ["flat.balance", "flat.overlap", "flat.effective.treated", "flat.effective.comparison"]
    own, theirs = FlatGates(), Gates()
    assert (own.smd, own.minimum_effective) == (theirs.smd_tier1, theirs.minimum_sets)
    for name in ("maximum_unmatched", "minimum_clusters_per_arm", "minimum_response", "maximum_response_difference"):
        assert getattr(own, name) == getattr(theirs, name)


@pytest.mark.parametrize(("value", "status"), [(0.9, Status.PASS), (1.1, Status.FAIL), (-1.1, Status.FAIL)])
def test_an_effect_on_a_placebo_outcome_fails(value: float, status: Status) -> None:
    """Beyond what chance allows, in either direction."""
    placebo = PlaceboEffect(column="before", effect=student("difference", value, 0.5, 1000.0, level=0.95))
    verdict = judged(placebos=(placebo,))["flat.placebo.before"]
    assert verdict.status is status
    assert "'before', which the treatment cannot have changed" in verdict.sentence


def test_a_placebo_that_cannot_be_analysed_is_not_evaluated() -> None:
    """The reason stands in its place."""
    verdict = judged(placebos=(PlaceboEffect(column="before", effect=None, reason="nobody differs"),))
    assert verdict["flat.placebo.before"].status is Status.NOT_EVALUATED
    assert "nobody differs" in verdict["flat.placebo.before"].sentence


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ({"value": 1.1}, Status.PASS),
        ({"value": 0.9}, Status.FAIL),
        ({"value": 0.9, "std_error": 0.5}, Status.PASS),
        ({"value": 0.4, "std_error": 0.5}, Status.FAIL),
        ({"value": 1.1, "tolerance": 0.5}, Status.FAIL),
        ({"value": 0.1, "tolerance": 2.0}, Status.PASS),
    ],
)
def test_an_answer_far_from_the_known_effect_fails(known: dict[str, float], status: Status) -> None:
    """Two, with a standard error of .5, beside what is known: by chance of both, or by the declared tolerance."""
    verdict = judged(known=KnownEffect(source="a trial", **known))["flat.known_effect"]
    assert verdict.status is status
    assert verdict.sentence.endswith("of a trial")


def test_the_share_without_counterpart_is_of_those_the_effect_is_about() -> None:
    """A comparison far from all treated does not matter to the effect in the treated; a treated one does."""
    logit, arm = np.array([-9.0, 0.0, 1.0, 0.0, 1.0, 5.0]), np.array([False, False, False, True, True, True])
    assert without_counterpart(logit, arm, arm.astype(float)) == pytest.approx(1 / 3)
    assert without_counterpart(logit, arm, (~arm).astype(float)) == pytest.approx(1 / 3)
    assert without_counterpart(logit, arm, np.ones(6)) == pytest.approx(1 / 3)


def test_a_number_far_from_all_others_fails() -> None:
    """Five ranges of the rest is the limit, which passes; what may be done about it stands beside it."""
    for gap, status in ((5.0, Status.PASS), (5.1, Status.FAIL)):
        far = Farthest(column="age", gap=gap, rows=3, place="first line 7")
        found = judge_flat_result(RESULT, (), gates=FlatGates(), known=None, far=far)
        (said,) = (verdict for verdict in found if verdict.code == "flat.extreme")
        assert said.status is status
        assert (
            "(age, in 3 rows, first line 7; if it stands for a missing value, name it under data.missing)"
            in said.sentence
        )
