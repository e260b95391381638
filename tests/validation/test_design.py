"""Gates of a finished design: which figure each holds to which limit, on which side, and in whose words."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd
import pytest

from causal.cohort.catalogue import catalogue_of
from causal.design.diagnose import Diagnostics
from causal.design.diagnostics.balance import BalanceRow
from causal.design.diagnostics.clusters import ClusterSpread
from causal.design.fates import CovariateFate, Fate
from causal.design.propensity.curvature import Curvature, ScoreTest
from causal.effect.identification import Identification
from causal.protocol.design import Gates
from causal.protocol.words import NEUTRAL
from causal.records import Design
from flows.study_file import load_study
from validation.design import curvature_verdict, judge_adjustment, judge_design
from validation.verdict import Status, Verdict

FACTS = catalogue_of(load_study("configs/studies/duty_to_warn.yaml").study)  # type: ignore[arg-type]  # of occasions
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
    verdict = curvature_verdict(found, 0.01, FACTS)
    assert (verdict.code, verdict.status) == ("design.curvature", status)
    assert says in verdict.sentence
    if status is not Status.NOT_EVALUATED:
        assert found.remaining is not None
        assert (verdict.measured, verdict.limit) == (found.remaining.p_value, 0.01)


def spread(**words: Any) -> ClusterSpread:
    """Treated with 3 clinicians of 5, comparisons with 4, at most 40% of a group with one of them."""
    usual = {"level": "clinician", "declared": True, "total": 5, "treated": 3, "comparison": 4}
    return ClusterSpread(**({**usual, "largest_treated": 0.4, "largest_comparison": 0.3} | words))


def row(name: str, tier: int, smd: float) -> BalanceRow:
    """Balance of one covariate, of which only its difference afterwards is judged."""
    nothing = dict.fromkeys(field.name for field in dataclasses.fields(BalanceRow))
    return BalanceRow(**(nothing | {"name": name, "tier": tier, "smd_after": smd}))


def fate(name: str, what: Fate, tier: int = 1) -> CovariateFate:
    """What became of one covariate."""
    return CovariateFate(name=name, tier=tier, fate=what)


def designed(*spreads: ClusterSpread, **words: Any) -> Design:
    """Two sets of one treated and one comparison, with nothing to object to but their number."""
    diagnosed = dict.fromkeys(field.name for field in dataclasses.fields(Diagnostics))
    usual: dict[str, Any] = {
        "members": pd.DataFrame({"set_id": [0, 0, 1, 1], "treated": [True, False] * 2, "ta_id": ["a", "b", "c", "d"]}),
        "grouping": "matched set",
        "estimand": "ATT",
        "lost_share": 0.3,
        "diagnostics": Diagnostics(**(diagnosed | {"clusters": spreads or (spread(),)})),
        "fates": (fate("severity", Fate.ADJUSTED),),
        "balance": (row("severity", 1, -0.08), row("phq9", 1, 0.05), row("age", 2, 0.15), row("male", 2, -0.16)),
        "separated": (),
        "curvature": Curvature(linear=STRAIGHT, remaining=STRAIGHT),
        "ended_in_grace_share": 0.02,
        "pretrend_smd": -0.2,
    }
    return Design(**(dict.fromkeys(field.name for field in dataclasses.fields(Design)) | usual | words))


def said(code: str, *spreads: ClusterSpread, **words: Any) -> Verdict:
    """The verdict of that code on such a design, where two sets are enough."""
    gates = Gates(minimum_sets=2, minimum_clusters_per_arm=3, maximum_cluster_share=0.4)
    (found,) = [one for one in judge_design(designed(*spreads, **words), gates, NEUTRAL, FACTS) if one.code == code]
    return found


def test_a_design_at_every_limit_passes_every_gate() -> None:
    """Limits are inside: a design that stands on each of them has nothing against it."""
    gates = Gates(minimum_sets=2, minimum_clusters_per_arm=3, maximum_cluster_share=0.4, smd_tier1=0.08, smd_tier2=0.16)
    found = judge_design(designed(), gates, NEUTRAL, FACTS)
    assert {one.status for one in found} == {Status.PASS}
    assert {one.code: (one.measured, one.limit) for one in found} == {
        "design.sets": (2, 2),
        "design.unmatched": (0.3, 0.3),
        "design.clusters": (3, 3),
        "design.cluster_share": (0.4, 0.4),
        "design.confined": (0, 0),
        "design.facts_tier1": (0, 0),
        "design.balance_tier1": (0.08, 0.08),
        "design.balance_tier2": (0.16, 0.16),
        "design.separation": (0, 0),
        "design.curvature": (0.4, 0.01),
        "design.ended_in_grace": (0.02, 0.02),
        "design.pretrend": (0.2, 0.2),
    }


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("design.sets", {"members": pd.DataFrame({"set_id": [0, 0], "treated": [True, False], "ta_id": ["a", "b"]})}),
        ("design.unmatched", {"lost_share": 0.31}),
        ("design.balance_tier1", {"balance": (row("severity", 1, -0.11),)}),
        ("design.balance_tier2", {"balance": (row("age", 2, -0.21),)}),
        ("design.separation", {"separated": ("severity",)}),
        ("design.ended_in_grace", {"ended_in_grace_share": 0.021}),
        ("design.pretrend", {"pretrend_smd": -0.21}),
        ("design.facts_tier1", {"fates": (fate("severity", Fate.CONSTANT),)}),
    ],
)
def test_past_a_limit_that_gate_alone_fails(code: str, words: dict[str, Any]) -> None:
    """A difference counts by its size, be it above or below zero."""
    gates = Gates(minimum_sets=2, minimum_clusters_per_arm=3, maximum_cluster_share=0.4)
    assert [
        one.code for one in judge_design(designed(**words), gates, NEUTRAL, FACTS) if one.status is Status.FAIL
    ] == [code]


@pytest.mark.parametrize(
    ("grouping", "n", "what", "made"),
    [
        ("matched set", 2, "matched sets", "after matching"),
        ("stratum", 1, "treated occasions in strata with both groups", "after matching"),
        ("weight", 1, "treated occasions with weight", "after weighting"),
    ],
)
def test_what_is_counted_depends_on_how_groups_were_made(grouping: str, n: int, what: str, made: str) -> None:
    """Sets where there are sets, else treated occasions, each counted once."""
    twice = designed().members.assign(ta_id=["a", "b", "a", "d"])
    found = said("design.sets", members=twice, grouping=grouping)
    assert (found.measured, found.sentence) == (n, what)
    assert made in said("design.balance_tier1", grouping=grouping).sentence


@pytest.mark.parametrize(
    ("estimand", "whom"),
    [
        ("ATT", "eligible treated occasions"),
        ("ATC", "eligible occasions without the treatment"),
        ("ATO", "the overlap pop"),
    ],
)
def test_the_lost_are_named_by_whom_the_effect_is_about(estimand: str, whom: str) -> None:
    """Who is not in the comparison is a share of the population of the estimand."""
    assert f"share of {whom}" in said("design.unmatched", estimand=estimand).sentence


def test_the_worst_covariate_of_each_tier_is_named() -> None:
    """By the size of its difference; an indicator of what was not recorded says so; an empty tier is not judged."""
    assert said("design.balance_tier1").sentence.endswith("tier-1 covariate after matching (Threat severity)")
    assert said("design.balance_tier2").sentence.endswith("tier-2 covariate after matching (Male)")
    absent = (row("severity", 1, 0.01), row("phq9_missing", 2, 0.02))
    assert said("design.balance_tier2", balance=absent).sentence.endswith("(Depression (PHQ-9): not recorded)")
    none = said("design.balance_tier2", balance=absent[:1])
    assert (none.status, none.sentence) == (Status.NOT_EVALUATED, "no covariate of tier 2 varies")


def test_what_alone_decides_is_named() -> None:
    """Two covariates that separate the groups are counted and named."""
    found = said("design.separation", separated=("severity", "phq9_missing"))
    assert found.measured == 2
    assert found.sentence.endswith("decide the choice: Threat severity, Depression (PHQ-9): not recorded")


def test_where_nothing_is_to_be_named_nothing_is() -> None:
    """The sentence ends where names would follow."""
    ends = {"separation": "decide the choice", "confined": "spans several", "facts_tier1": "nothing was adjusted for"}
    for gate, end in ends.items():
        assert said(f"design.{gate}").sentence.endswith(end)


def test_the_declared_clusters_are_judged_and_the_others_are_watched() -> None:
    """Numbers are those of the study's own clusters; what else holds all of a group in one of several is named."""
    clinics = spread(level="clinic", declared=False, total=3, treated=1, largest_treated=1.0)
    months = spread(level="month", declared=False, total=1, treated=1, comparison=1)
    own = spread(treated=4, comparison=2, largest_treated=0.2, largest_comparison=0.6)
    fewest, largest, confined = (
        said(f"design.{code}", clinics, own, months) for code in ("clusters", "cluster_share", "confined")
    )
    assert (fewest.status, fewest.measured) == (Status.FAIL, 2)
    assert fewest.sentence == "smallest number of clinicians behind a group"
    assert (largest.status, largest.measured) == (Status.FAIL, 0.6)
    assert largest.sentence == "largest share of a group that one clinician holds"
    assert (confined.status, confined.measured) == (Status.FAIL, 1)
    assert confined.sentence.endswith("though the comparison spans several: clinic")
    alone = spread(treated=1)
    assert said("design.confined", alone).measured == 0  # the gate on the number of clusters says it already


def test_facts_that_nothing_was_adjusted_for_are_named_with_why() -> None:
    """Tier 1 only; what others determine is held by them; one empty level of a category is no loss, two are."""
    fates = (
        fate("severity", Fate.CONSTANT),
        fate("phq9", Fate.NEVER_RECORDED),
        fate("male", Fate.COLLINEAR),
        fate("age", Fate.CONSTANT, tier=2),
    )
    found = said("design.facts_tier1", fates=fates)
    assert found.measured == 2
    assert found.sentence.endswith(": Threat severity (constant), Depression (PHQ-9) (never recorded)")
    one = (fate("regime_mandatory", Fate.ADJUSTED), fate("regime_permissive", Fate.CONSTANT))
    assert said("design.facts_tier1", fates=one).measured == 0
    two = tuple(dataclasses.replace(each, fate=Fate.CONSTANT) for each in one)
    assert said("design.facts_tier1", fates=two).measured == 2


def test_a_trend_that_cannot_be_seen_is_not_called_none() -> None:
    """With too few ratings before time zero the gate is not evaluated."""
    found = said("design.pretrend", pretrend_smd=None)
    assert (found.status, found.measured) == (Status.NOT_EVALUATED, None)
    assert "two ratings before time zero" in found.sentence


def test_a_path_left_open_is_told_with_what_was_lost() -> None:
    """The facts that are not held and the paths they leave open; nothing of either where all are blocked."""
    fields = dict.fromkeys(field.name for field in dataclasses.fields(Identification))
    lost = {"open_paths": ("warning <- severity -> trust", "another"), "not_held": (("severity", "too rare"),)}
    wrong = judge_adjustment(Identification(**(fields | lost)))
    assert (wrong.code, wrong.status) == ("design.open_path", Status.FAIL)
    assert "adjusted for (severity (too rare))" in wrong.sentence
    assert wrong.sentence.endswith("outcome: warning <- severity -> trust; another")
    right = judge_adjustment(Identification(**(fields | {"open_paths": (), "not_held": ()})))
    assert right.status is Status.PASS
    assert "blocks every path" in right.sentence
