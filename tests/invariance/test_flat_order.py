"""What must not change the answer from a flat table: order of rows and columns, names of categories and clusters.

Every method and estimator a study file can name, on a table full of ties: covariates in whole numbers, rows alike in
all that a design may see but not in their outcomes, rows alike in everything.
"""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest

from causal.effect.flat_table import FlatResult, analyse_flat_table
from causal.protocol import STUDY, FlatTableStudy
from causal.protocol.flat_table import AnyEstimator
from causal.protocol.matching import AnyMatching
from causal.protocol.weighting import AnyWeighting

CALIPER = {"scale": "logit", "sd": "pooled_within", "width": 0.5}
PAIRS = {"ratio": 1, "caliper": None}
DESIGNS: dict[str, dict[str, Any]] = {
    "highest first": {"method": "greedy", **PAIRS},
    "closest first": {"method": "greedy", "ratio": 2, "caliper": CALIPER, "order": "closest"},
    "lowest first": {"method": "greedy", **PAIRS, "order": "lowest"},
    "by lot": {"method": "greedy", **PAIRS, "order": "random", "seed": 3},
    "covariates": {"method": "greedy", **PAIRS, "distance": {"kind": "mahalanobis", "covariates": ("age", "race")}},
    "ranks": {"method": "greedy", **PAIRS, "distance": {"kind": "rank_mahalanobis", "covariates": ("age", "visits")}},
    "optimal": {"method": "optimal", **PAIRS},
    "full": {"method": "full", "caliper": None, "most_comparisons": 4},
    "generalised full": {"method": "generalised_full", "caliper": None},
    "fine": {"method": "fine_balance", **PAIRS, "balance": ("site",)},
    "cardinality": {"method": "cardinality", "tolerance": 0.3, "ratio": 1},
    "coarsened": {"method": "coarsened_exact", "covariates": ("age", "race")},
    "strata": {"method": "subclassification", "subclasses": 4},
    "weights": {"method": "propensity", "estimand": "ATE"},
    "overlap": {"method": "propensity", "estimand": "ATO"},
    "entropy": {"method": "entropy_balancing"},
    "balancing": {"method": "covariate_balancing"},
}
TREES = {"outcome_model": "boosting", "seed": 1, "repeats": 1, "folds": 2}
ANALYSES: dict[str, dict[str, Any]] = {
    **{name: {"design": design} for name, design in DESIGNS.items()},
    "paired": {"design": DESIGNS["highest first"], "standard_error": "paired"},
    "with replacement": {
        "design": {"method": "greedy", **PAIRS, "replacement": True},
        "standard_error": "abadie_imbens",
    },
    "estimated weights": {"design": DESIGNS["weights"], "standard_error": "estimated_weights"},
    "exact": {"design": DESIGNS["highest first"], "exact": ("site",)},
    "boosted score": {"design": DESIGNS["weights"], "propensity": {"model": "boosting", "seed": 1, "cross_fit": 3}},
    "elastic net": {"design": DESIGNS["highest first"], "propensity": {"model": "elastic_net", "cross_fit": 3}},
    "g-computation": {"design": DESIGNS["full"], "estimator": {"method": "g_computation"}},
    "standardisation": {"estimator": {"method": "standardisation"}},
    "AIPW": {"estimator": {"method": "aipw"}},
    "AIPW, trees": {"estimator": {"method": "aipw", **TREES}},
    "AIPW, ridge": {"estimator": {"method": "aipw", "outcome_model": "ridge", "repeats": 3}},
    "TMLE": {"estimator": {"method": "tmle", "lower": -20, "upper": 20}},
    "TMLE, clustered": {"estimator": {"method": "tmle", "lower": -20, "upper": 20}, "cluster": "site"},
}


def table() -> pd.DataFrame:
    """Two hundred and forty rows, a quarter of them alike in all covariates with others, six alike in everything."""
    rng = np.random.default_rng(4)
    n = 240
    frame = pd.DataFrame(
        {
            "age": rng.integers(20, 28, n).astype(float),
            "visits": rng.integers(0, 3, n).astype(float),
            "race": rng.choice(["a", "b", "c"], n, p=[0.5, 0.3, 0.2]),
            "site": rng.integers(1, 13, n).astype(str),
        }
    )
    frame["treated"] = (rng.random(n) < 1 / (1 + np.exp(1.2 - 0.15 * (frame["age"] - 24)))).astype(int)
    frame["score"] = (frame["age"] / 4 + frame["treated"] + rng.normal(size=n)).round(1)
    frame.loc[n - 6 :] = frame.loc[:5].to_numpy()
    return frame.assign(unit=[f"u{number}" for number in range(n)])


def study(analysis: dict[str, Any], key: str | None = None) -> FlatTableStudy:
    """A study of the table."""
    made = STUDY.validate_python(
        {
            "schema_version": "rapport-study/1",
            "kind": "flat_table",
            "study": {
                "id": "order",
                "title": "Order of rows",
                "question": "Does it matter?",
                "why_no_trial": "There is nobody in it.",
                "registered": "not registered",
            },
            "data": {"kind": "file", "path": "table.csv"},
            "columns": {
                "treatment": "treated",
                "outcome": "score",
                "numeric": ("age", "visits"),
                "categorical": ("race",),
                "keys": ("site",),
                "key": key,
            },
            "analysis": {"standard_error": "robust", **analysis},
        }
    )
    assert isinstance(made, FlatTableStudy)
    return made


def numbers(found: FlatResult) -> str:
    """All digits of an answer."""
    return repr((found.effect, found.log_ratio, found.means, found.n_sets))


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows and the columns in another order."""
    rng = np.random.default_rng(8)
    return frame.iloc[rng.permutation(len(frame)), rng.permutation(frame.shape[1])]


@pytest.mark.parametrize("key", [None, "unit"], ids=["by content", "by name"])
@pytest.mark.parametrize("which", ANALYSES)
def test_order_of_rows_and_columns(which: str, key: str | None) -> None:
    """Rows and columns in another order: every digit stays, whether rows have names or not."""
    asked, frame = study(ANALYSES[which], key), table()
    assert numbers(analyse_flat_table(shuffled(frame), asked)) == numbers(analyse_flat_table(frame, asked))


@pytest.mark.parametrize("which", ANALYSES)
def test_names_of_categories_and_clusters(which: str) -> None:
    """Categories and sites under other names, in another order of the alphabet: every digit stays."""
    asked, frame = study(ANALYSES[which]), table()
    race = frame["race"].map({"a": "z", "b": "07", "c": "m"})
    site = frame["site"].map(lambda number: f"s{97 * int(number) % 13}")
    other = shuffled(frame).assign(race=race, site=site)
    assert numbers(analyse_flat_table(other, asked)) == numbers(analyse_flat_table(frame, asked))


def test_every_method_and_estimator_is_here() -> None:
    """Whatever a flat file can name is among the analyses above."""
    named = {analysis["design"]["method"] for analysis in ANALYSES.values() if "design" in analysis}
    named |= {analysis["estimator"]["method"] for analysis in ANALYSES.values() if "estimator" in analysis}
    known = {
        get_args(kind.model_fields["method"].annotation)[0]
        for kinds in (AnyMatching, AnyWeighting, AnyEstimator)
        for kind in get_args(kinds)
    }
    assert named | {"difference"} == known


def test_ties_are_broken_without_a_look_at_outcomes() -> None:
    """Rows alike in all covariates: over 200 seeds a lot by content picks outcomes like all of theirs."""
    rng = np.random.default_rng(2)
    n = 120
    frame = pd.DataFrame({"treated": np.arange(n) < 30, "age": np.arange(n) % 2, "score": rng.normal(size=n).round(3)})
    frame["race"], frame["site"], frame["visits"] = "a", "1", rng.integers(0, 2, n)
    picked = []
    for seed in range(200):
        asked = study({"design": DESIGNS["highest first"]}).model_copy(update={"seed": seed})
        asked = asked.model_copy(update={"columns": asked.columns.model_copy(update={"categorical": ()})})
        picked.append(analyse_flat_table(frame, asked).effect.value)
    by_cell = study({"design": {"method": "coarsened_exact", "covariates": ("age", "visits")}}).analysis
    whole = analyse_flat_table(frame, asked.model_copy(update={"analysis": by_cell})).effect.value
    assert abs(np.mean(picked) - whole) < 4 * np.std(picked) / np.sqrt(200)
    assert np.std(picked) > 0.01
