"""A flat table's study: every way of comparing, with the standard error it asks for, beside published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.effect.flat_table import FlatResult, analyse_flat_table
from causal.errors import DesignError
from causal.protocol import STUDY, FlatTableStudy
from flows.flat_table import read_flat
from flows.study_file.load import load_study

EXAMPLES = Path(__file__).parents[3] / "configs" / "studies" / "examples"
CALIPER = {"scale": "logit", "sd": "whole", "width": 0.2}


def analysed(name: str, **analysis: Any) -> FlatResult:
    """The example study with parts of its analysis replaced."""
    path = EXAMPLES / f"{name}.yaml"
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    plain = study.model_dump(mode="python")
    changed = STUDY.validate_python(plain | {"analysis": plain["analysis"] | analysis})
    assert isinstance(changed, FlatTableStudy)
    return analyse_flat_table(read_flat(study.data, path), changed)


def test_errors_that_know_the_weights_were_estimated() -> None:
    """NHEFS with the M-estimation error of WeightIt's lm_weightit (R 4.2): .487072607 where known weights give .525."""
    known = analysed("nhefs").effect
    aware = analysed("nhefs", standard_error="estimated_weights").effect
    assert known.value == pytest.approx(aware.value, rel=1e-12)
    assert (known.std_error, aware.std_error) == pytest.approx((0.52549355301407, 0.487072607164193), rel=1e-6)


@pytest.mark.parametrize(
    ("design", "sets", "estimate"),
    [
        ({"method": "greedy", "ratio": 1, "caliper": CALIPER}, 117, 1770.6029),
        ({"method": "greedy", "ratio": 1, "caliper": CALIPER | {"sd": "pooled_within"}}, 115, 1495.4315),
        ({"method": "optimal", "ratio": 1, "caliper": None}, 185, None),
        ({"method": "subclassification", "subclasses": 6}, 6, 1359.48753303061),
        ({"method": "full", "caliper": None}, 101, None),
    ],
)
def test_matching_of_any_kind(design: dict[str, Any], sets: int, estimate: float | None) -> None:
    """LaLonde: numbers of sets, and effects where MatchIt's or base R's are free of ties."""
    found = analysed("lalonde", design=design, standard_error="robust")
    assert found.n_sets == sets
    if estimate is not None:
        assert found.effect.value == pytest.approx(estimate, rel=1e-6)


@pytest.mark.parametrize(
    ("design", "estimate", "error", "rel"),
    [
        ({"method": "entropy_balancing"}, 1273.256188897, 789.743117427011, 1e-5),  # WeightIt stops at 3e-6 SD
        ({"method": "propensity", "estimand": "ATO"}, 1242.20063127236, 738.749039359972, 1e-6),
        ({"method": "propensity", "estimand": "ATM"}, 1119.52118948864, 758.452524498362, 1e-6),
    ],
)
def test_weighting_of_any_kind(design: dict[str, Any], estimate: float, error: float, rel: float) -> None:
    """LaLonde: effects and M-estimation errors of WeightIt (R 4.2)."""
    found = analysed("lalonde", design=design, standard_error="estimated_weights")
    assert (found.effect.value, found.effect.std_error) == pytest.approx((estimate, error), rel=rel)
    assert found.n_sets is None


def test_exact_columns_and_the_estimand() -> None:
    """Exact agreement leaves some out, and the letters say so."""
    free = analysed("lalonde", design={"method": "greedy", "ratio": 1, "caliper": None}, standard_error="robust")
    exact = analysed(
        "lalonde", design={"method": "greedy", "ratio": 1, "caliper": None}, standard_error="robust", exact=("race",)
    )
    assert (free.estimand, free.n_sets) == ("ATT", 185)
    assert (exact.estimand, exact.n_sets) == ("ATT in the matched", 116)


def clustered(n: int = 400) -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table with clinicians, and a study of it."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"age": rng.normal(40, 9, n), "clinician": rng.integers(0, 25, n)})
    frame["treated"] = (rng.random(n) < 1 / (1 + np.exp(1 - (frame["age"] - 40) / 12))).astype(int)
    frame["score"] = frame["age"] / 10 + frame["treated"] + rng.normal(size=25)[frame["clinician"]] + rng.normal(size=n)
    study = load_study(EXAMPLES / "lalonde.yaml").study.model_dump(mode="python")
    study |= {
        "columns": {"treatment": "treated", "outcome": "score", "numeric": ("age",), "keys": ("clinician",)},
        "published": (),
    }
    return frame, study


def run(frame: pd.DataFrame, study: dict[str, Any], **analysis: Any) -> FlatResult:
    """The table under this analysis."""
    made = STUDY.validate_python(study | {"analysis": {"level": 0.95, **analysis}})
    assert isinstance(made, FlatTableStudy)
    return analyse_flat_table(frame, made)


def test_errors_follow_the_cluster_column() -> None:
    """With a cluster column errors, cluster means and folds follow it; the effect of weighting moves only by them."""
    frame, study = clustered()
    design = {"method": "greedy", "ratio": 1, "caliper": None}
    by_set = run(frame, study, design=design, standard_error="robust").effect
    by_clinician = run(frame, study, design=design, standard_error="robust", cluster="clinician").effect
    assert by_set.value == by_clinician.value
    assert by_clinician.n_clusters <= 25 < by_set.n_clusters
    folded = {"cluster_means": "clinician", "cross_fit": 5}
    crossed = run(frame, study, design=design, standard_error="robust", cluster="clinician", propensity=folded).effect
    assert crossed.value != by_clinician.value


@pytest.mark.parametrize(
    ("analysis", "code"),
    [
        ({"design": {"method": "entropy_balancing"}, "standard_error": "paired"}, "flat.paired_weights"),
        (
            {"design": {"method": "greedy", "ratio": 1, "caliper": None}, "standard_error": "estimated_weights"},
            "flat.estimated_weights",
        ),
        (
            {
                "design": {"method": "greedy", "ratio": 1, "caliper": None, "replacement": True},
                "standard_error": "robust",
            },
            "flat.reused",
        ),
    ],
)
def test_errors_a_design_cannot_have(analysis: dict[str, Any], code: str) -> None:
    """Pairs under weighting, estimated weights under matching, and sets that share units are refused."""
    frame, study = clustered()
    with pytest.raises(DesignError) as refusal:
        run(frame, study, **analysis)
    assert refusal.value.code == code
