"""Whether the covariates used identify the effect: DoWhy's set, our check of the set used, refusals in words."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design.fates import CovariateFate, Fate
from causal.effect.identification import identify
from causal.errors import DesignError
from causal.protocol import OccasionStudy
from causal.protocol.design import Dag
from flows.study_file import load_study
from validation.design import judge_adjustment
from validation.verdict import Status

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def flagship() -> OccasionStudy:
    """The flagship study."""
    study = load_study(ROOT / "configs/studies/duty_to_warn.yaml").study
    assert isinstance(study, OccasionStudy)
    return study


def confounders(study: OccasionStudy) -> tuple[str, ...]:
    """All covariates of the propensity model."""
    return (*study.confounders.tier1, *study.confounders.tier2)


def test_the_flagship_is_identified(flagship: OccasionStudy) -> None:
    """The confounders block every back-door path; those not drawn are listed as assumed measured before time zero."""
    found = identify(flagship.dag, confounders(flagship))
    assert found.sufficient
    assert found.open_paths == ()
    assert found.not_in_diagram == (
        "age",
        "hospitalised_365d",
        "missed_180d",
        "prior_assessments",
        "psychosis",
        "visits_90d",
    )
    assert found.unobserved == ("clinician_threshold",)
    assert set(found.adjustment_set_dowhy) == set(found.used) - set(found.not_in_diagram)
    assert found.sentence == (
        "If the diagram is right, the covariates used block every back-door path from warning to alliance_after. "
        "Not in the diagram, assumed measured before time zero: age, hospitalised_365d, missed_180d, "
        "prior_assessments, psychosis, visits_90d. In the diagram and never measured: clinician_threshold."
    )


@pytest.mark.parametrize(
    ("fate", "blocked"),
    [
        (Fate.ADJUSTED, True),
        (Fate.COLLINEAR, True),
        (Fate.CONSTANT, True),
        (Fate.TOO_RARE, False),
        (Fate.NEVER_RECORDED, False),
        (Fate.NOT_DELIVERED, False),
    ],
)
def test_what_became_of_a_covariate_decides_what_it_blocks(fate: Fate, blocked: bool) -> None:
    """By hand: x is the only way round; it blocks where it is held fixed, and where nobody differs that is said."""
    dag = Dag(treatment="w", outcome="y", edges=("x -> w", "x -> y", "w -> y"))
    found = identify(dag, ["x"], [CovariateFate(name="x", tier=1, fate=fate)])
    assert found.sufficient == blocked
    assert found.open_paths == (() if blocked else ("w <- x -> y",))
    assert ("stay open: w <- x -> y. Declared and not adjusted for: x" in found.sentence) != blocked
    assert ("The same for everyone eligible" in found.sentence) == (fate is Fate.CONSTANT)
    verdict = judge_adjustment(found)
    assert verdict.status is (Status.PASS if blocked else Status.FAIL)
    assert blocked or "x" in verdict.sentence


def test_a_confounder_left_out_opens_a_path(flagship: OccasionStudy) -> None:
    """Without severity the warned and the others differ, and the way in which they do is said."""
    used = [name for name in confounders(flagship) if name != "severity"]
    found = identify(flagship.dag, used)
    assert not found.sufficient
    assert found.open_paths == ("warning <- severity -> alliance_after",)
    assert found.sentence.startswith(
        "If the diagram is right, these paths stay open: warning <- severity -> alliance_after."
    )


def test_extras_that_do_no_harm_are_named() -> None:
    """What neither treatment nor outcome follows from need not be in a set, and does no harm in it."""
    dag = Dag(treatment="w", outcome="y", edges=("x -> w", "x -> y", "x -> leaf", "w -> y"))
    found = identify(dag, ["x", "leaf", "age"])
    assert (found.adjustment_set_dowhy, found.extras, found.not_in_diagram) == (("x",), ("leaf",), ("age",))
    assert found.sufficient
    assert found.extras_harmless


def test_both_indicators_are_the_regime() -> None:
    """A diagram may draw the regime as one node; both indicators together adjust for it, one alone does not."""
    dag = Dag(treatment="w", outcome="y", edges=("regime -> w", "regime -> y", "w -> y"))
    both = {"regime": ("regime_mandatory", "regime_permissive")}
    assert identify(dag, ["regime_mandatory", "regime_permissive"], indicators=both).sufficient
    assert not identify(dag, ["regime_mandatory"], indicators=both).sufficient
    assert not identify(dag, ["regime_mandatory", "regime_permissive"]).sufficient


def test_an_unmeasured_common_cause_is_refused() -> None:
    """When nothing measured will do, the path is told, and no estimate can follow."""
    dag = Dag(treatment="w", outcome="y", edges=("x -> w", "x -> y", "u -> w", "u -> y", "w -> y"), unobserved=("u",))
    with pytest.raises(DesignError, match=r"this path stays open: w <- u -> y\. Fix: measure something") as refused:
        identify(dag, ["x"])
    assert refused.value.code == "identification.open_path"


def test_an_unmeasured_common_cause_can_be_blocked_on_the_way() -> None:
    """What lies between the unmeasured cause and the treatment is enough."""
    dag = Dag(treatment="w", outcome="y", edges=("u -> x", "x -> w", "u -> y", "w -> y"), unobserved=("u",))
    found = identify(dag, ["x"])
    assert found.sufficient
    assert found.adjustment_set_dowhy == ("x",)


def test_the_treatment_itself_is_no_covariate() -> None:
    """Adjusting for the treatment is refused as adjusting for what comes after it."""
    dag = Dag(treatment="w", outcome="y", edges=("x -> w", "x -> y", "w -> y"))
    with pytest.raises(DesignError) as refused:
        identify(dag, ["x", "w"])
    assert refused.value.code == "identification.descendant"


def big_diagram(*, blocked: bool) -> Dag:
    """Sixty nodes: 30 confounders all joined to each other, 24 mediators, and an unmeasured M around a collider."""
    names = [f"x{number:02d}" for number in range(30)]
    edges = [f"{a} -> {b}" for position, a in enumerate(names) for b in names[position + 1 :]]
    edges += [f"{name} -> {end}" for name in names for end in ("w", "y")] + ["w -> y"]
    mediators = [f"m{number:02d}" for number in range(24)]
    edges += [f"w -> {name}" for name in mediators] + [f"{name} -> y" for name in mediators]
    edges += ["u1 -> c", "u2 -> c", "u1 -> w", "u2 -> y"] + ([] if blocked else ["u2 -> w"])
    dag = Dag(treatment="w", outcome="y", edges=tuple(edges), unobserved=("u1", "u2"))
    assert len({name for edge in edges for name in edge.split(" -> ")}) >= 59
    return dag


def test_sixty_nodes_take_less_than_two_seconds() -> None:
    """With mediators, a collider and unmeasured causes, where a search through subsets would not end."""
    identify(Dag(treatment="w", outcome="y", edges=("w -> y",)), [])  # DoWhy is imported
    used = [f"x{number:02d}" for number in range(30)]
    began = time.process_time()
    assert identify(big_diagram(blocked=True), used).sufficient
    assert not identify(big_diagram(blocked=True), [*used, "c"]).sufficient
    with pytest.raises(DesignError):
        identify(big_diagram(blocked=False), used)
    assert time.process_time() - began < 2


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda pair: pair[0] < pair[1]), max_size=12),
    st.sets(st.sampled_from(["n0", "n1", "n2"])),
)
def test_what_dowhy_names_is_enough(arrows: set[tuple[int, int]], unobserved: set[str]) -> None:
    """Using exactly DoWhy's set always blocks every path, by our own check."""
    names = ("n0", "n1", "n2", "w", "n3", "y")
    edges = tuple(sorted({f"{names[a]} -> {names[b]}" for a, b in arrows} | {"w -> y"}))
    dag = Dag(treatment="w", outcome="y", edges=edges, unobserved=tuple(sorted(unobserved)))
    try:
        found = identify(dag, [])
    except DesignError as refused:
        if refused.code != "identification.open_path":
            raise
        return
    assert not set(found.adjustment_set_dowhy) & unobserved
    assert identify(dag, found.adjustment_set_dowhy).sufficient


def test_importing_dowhy_leaves_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing is printed or logged, and how Python prints interactively is not changed."""
    hook, level = sys.displayhook, logging.getLogger("dowhy").level
    identify(Dag(treatment="w", outcome="y", edges=("x -> w", "x -> y", "w -> y")), ["x"])
    assert (sys.displayhook, logging.getLogger("dowhy").level) == (hook, level)
    assert capfd.readouterr() == ("", "")


def test_hash_seed_does_not_matter() -> None:
    """Another interpreter with another hash seed gives the same answer, to the letter."""
    names = ("severity", "sud", "age", "male")
    edges = (*(f"{name} -> {end}" for name in names for end in ("w", "y")), "w -> y")
    dag = Dag(treatment="w", outcome="y", edges=edges)
    program = (
        "import sys\n"
        "from causal.effect.identification import identify\n"
        "from causal.protocol.design import Dag\n"
        "print(identify(Dag.model_validate_json(sys.argv[1]), ['sud', 'age']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, dag.model_dump_json()],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "w <- male -> y" in done.stdout
    assert done.stdout == f"{identify(dag, ['sud', 'age'])}\n"
