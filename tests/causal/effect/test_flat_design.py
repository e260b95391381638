"""The design of a flat table is made without its outcome, and is the one the answer rests on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from causal.effect.flat_design import FlatDesign, design_flat_table
from causal.effect.flat_table import analyse_flat_table, answer_flat_table
from causal.errors import DesignError
from causal.protocol.flat_table import FlatTableStudy

ANALYSES: dict[str, dict[str, Any]] = {
    "pairs": {"design": {"method": "greedy", "ratio": 1, "order": "highest", "caliper": None, "replacement": False}},
    "full": {"design": {"method": "full", "caliper": None}},
    "weights": {"design": {"method": "propensity", "estimand": "ATT"}},
    "balancing": {"design": {"method": "entropy_balancing", "estimand": "ATE"}},
    "aipw": {"estimator": {"method": "aipw"}},
    "regression": {"estimator": {"method": "standardisation"}},
}


def study(analysis: dict[str, Any], **columns: Any) -> FlatTableStudy:
    """A study of one table."""
    import json

    written = {
        "schema_version": "rapport-study/1",
        "kind": "flat_table",
        "study": {
            "id": "one",
            "title": "A table",
            "question": "What?",
            "why_no_trial": "So.",
            "registered": "not registered",
        },
        "data": {"kind": "file", "path": "t.csv"},
        "columns": {"treatment": "told", "outcome": "score", "numeric": ["age"], "categorical": ["site"], "key": "who"}
        | columns,
        "analysis": {"standard_error": "robust"} | analysis,
    }
    return TypeAdapter(FlatTableStudy).validate_json(json.dumps(written))


def table(seed: int = 1, n: int = 240) -> pd.DataFrame:
    """Rows with names, a treatment that age and site lead to, and an outcome."""
    rng = np.random.default_rng(seed)
    age, site = rng.integers(20, 70, n).astype(float), rng.choice(["a", "b", "c"], n)
    told = (rng.random(n) < 1 / (1 + np.exp(-(age - 48) / 15 - (site == "a")))).astype(int)
    score = age / 10 + told + (site == "b") + rng.normal(size=n)
    return pd.DataFrame({"who": np.arange(n), "told": told, "score": score.round(4), "age": age, "site": site})


def content(found: FlatDesign) -> tuple[bytes, ...]:
    """What its digest is made of."""
    return found.content


@pytest.mark.parametrize("name", ANALYSES)
def test_the_answer_by_the_blind_design_is_the_answer(name: str) -> None:
    """Every digit of the effect, and of what it rests on."""
    frame, asked = table(), study(ANALYSES[name])
    blind = design_flat_table(frame.drop(columns="score"), asked)
    assert np.isnan(blind.table.outcome).all()
    one, other = answer_flat_table(blind, frame, asked), analyse_flat_table(frame, asked)
    assert one.effect == other.effect
    assert (one.balance, one.diagnostics, one.notes, one.method) == (
        other.balance,
        other.diagnostics,
        other.notes,
        other.method,
    )


@pytest.mark.parametrize("name", ANALYSES)
def test_no_outcome_moves_a_design(name: str) -> None:
    """Other outcomes, and rows in another order: the same design to the bit; another fact is another design."""
    frame, asked = table(), study(ANALYSES[name])
    rng = np.random.default_rng(2)
    scrambled = frame.assign(score=rng.normal(size=len(frame))).sample(frac=1, random_state=2)
    assert content(design_flat_table(scrambled, asked)) == content(design_flat_table(frame, asked))
    other = frame.assign(age=frame["age"] + (frame["who"] == 7))
    assert content(design_flat_table(other, asked)) != content(design_flat_table(frame, asked))


def test_refusals() -> None:
    """Without names of rows; and an answer asked of other rows than the design was made of."""
    frame, asked = table(), study(ANALYSES["weights"])
    with pytest.raises(DesignError, match="a column that names the rows"):
        design_flat_table(frame, study(ANALYSES["weights"], key=None))
    blind = design_flat_table(frame, asked)
    with pytest.raises(DesignError) as refused:
        answer_flat_table(blind, frame.assign(who=frame["who"] + 1), asked)
    assert refused.value.code == "flat.other_rows"
    with pytest.raises(DesignError) as refused:
        design_flat_table(frame.assign(age=frame["age"].where(frame["who"] != 5, 1e12)), asked)
    assert refused.value.code == "flat.beyond"
    with pytest.raises(DesignError, match="missing"):
        answer_flat_table(blind, frame.assign(score=frame["score"].where(frame["who"] > 3)), asked)
