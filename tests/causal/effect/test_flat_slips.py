"""What an analyst lets slip in a table: named in one line, by column and count, and never blamed on something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from causal.effect.flat_disguise import FIRST_ROWS, refuse_disguised_outcome
from causal.effect.flat_table import analyse_flat_table
from causal.errors import DesignError, EstimationError, RapportError
from causal.protocol import STUDY, FlatTableStudy

STANDARDISED = {
    "estimator": {"method": "standardisation", "outcome_model": "linear"},
    "standard_error": "robust",
}
PAIRED = {
    "design": {"method": "greedy", "ratio": 1, "caliper": None},
    "estimator": {"method": "difference"},
    "standard_error": "paired",
}
N = 120


def table() -> pd.DataFrame:
    """A table of two arms that nothing is wrong with."""
    rng = np.random.default_rng(8)
    age, score = rng.normal(45, 10, N).round(), rng.integers(0, 20, N)
    told = (rng.random(N) < 1 / (1 + np.exp(-(age - 45) / 20))).astype(int)
    trust = (3 + 0.3 * told - 0.02 * age + 0.1 * score + rng.normal(0, 0.5, N)).round(2)
    site = np.resize(["North", "South", "East"], N)
    return pd.DataFrame({"unit": np.arange(N), "told": told, "trust": trust, "age": age, "score": score, "site": site})


def study(analysis: dict[str, Any], **columns: Any) -> FlatTableStudy:
    """A study of that table."""
    adapter: TypeAdapter[Any] = STUDY
    sentence = "Nothing is asked."
    found = adapter.validate_python(
        {
            "schema_version": "rapport-study/1",
            "kind": "flat_table",
            "study": {
                "id": "slip",
                "title": sentence,
                "question": sentence,
                "why_no_trial": sentence,
                "registered": "not registered",
            },
            "data": {"kind": "file", "path": "t.csv"},
            "columns": {"treatment": "told", "outcome": "trust", "numeric": ["age", "score"], "categorical": ["site"]}
            | columns,
            "analysis": analysis,
            "seed": 1,
        },
        strict=False,
    )
    assert isinstance(found, FlatTableStudy)
    return found


def cells(column: str, change: Callable[[pd.Series], Any]) -> pd.DataFrame:
    """The table with one column changed."""
    frame = table()
    return frame.assign(**{column: change(frame[column])})


def refusal(frame: pd.DataFrame, analysis: dict[str, Any], **columns: Any) -> RapportError:
    """What is said of it."""
    with pytest.raises((DesignError, EstimationError)) as found:
        analyse_flat_table(frame, study(analysis, **columns))
    return found.value


@pytest.mark.parametrize("analysis", [STANDARDISED, PAIRED], ids=["standardised", "paired"])
@pytest.mark.parametrize(
    ("made", "numeric", "named"),
    [
        (lambda t: t.trust, ["age", "made"], "covariate made determines"),
        (lambda t: 100 - 3 * t.trust, ["age", "made"], "covariate made determines"),
        (lambda t: t.trust - t.score, ["age", "score", "made"], "covariates score, made together determine"),
    ],
    ids=["copy", "unit", "change"],
)
def test_the_outcome_among_the_covariates(
    made: Callable[[pd.DataFrame], pd.Series], numeric: list[str], named: str, analysis: dict[str, Any]
) -> None:
    """A copy, another unit, a change beside the value before: refused by name under every analysis."""
    frame = table().assign(made=made)
    told = refusal(frame, analysis, numeric=numeric)
    assert told.code == "flat.outcome_in_covariates"
    assert told.message == f"{named} the outcome exactly in all {N} rows"


def test_what_nearly_is_the_outcome_is_not_refused() -> None:
    """One row that differs, beyond the rows that are looked at first, is no copy; a table of few rows is not judged."""
    y = np.random.default_rng(1).normal(size=FIRST_ROWS + 10)
    other = y.copy()
    other[-1] += 0.01
    refuse_disguised_outcome(y, other[:, None], ["other"])
    refuse_disguised_outcome(y[:3], y[:3, None], ["few"])
    refuse_disguised_outcome(np.ones(50), y[:50, None], ["constant outcome"])
    with pytest.raises(DesignError, match="covariate other determines"):
        refuse_disguised_outcome(y[:-1], other[:-1, None], ["other"])


@pytest.mark.parametrize("column", ["age", "trust"])
@pytest.mark.parametrize("key", [None, "unit"], ids=["by content", "by name"])
def test_text_where_a_number_is_declared_is_told_as_such(column: str, key: str | None) -> None:
    """Whoever made the table: nothing is computed from a column before it is known to hold numbers."""
    frame = cells(column, lambda values: values.astype(str) + " or so")
    told = refusal(frame, PAIRED, **({} if key is None else {"key": key}))
    assert (told.code, told.message) == ("flat.not_numeric", f"column '{column}' is declared a number and holds text")


def test_one_number_beyond_all_others_is_not_called_separation() -> None:
    """Beside a billion nobody's age differs; the column, the count and the distance are told."""
    told = refusal(cells("age", lambda age: age.where(age.index != 5, 1e12)), PAIRED)
    assert told.code == "flat.beyond"
    assert told.message.startswith(f"column 'age' holds a number in 1 of {N} rows that is more than 1000 times as far")


def test_categories_that_differ_in_capitals_or_blanks() -> None:
    """Two spellings of one place are two places to a model."""
    told = refusal(cells("site", lambda site: site.where(site.index > 5, site.str.upper() + "  ")), PAIRED)
    assert (told.code, told.message) == (
        "flat.spelling",
        "3 of 6 categories of column 'site' differ from another in capitals or blanks only",
    )


@pytest.mark.parametrize(
    ("told", "treated_value", "message", "fix"),
    [
        (
            lambda t: t + 1,
            None,
            f"holds values other than 0 and 1 in {{others}} of {N} rows, 2 different ones",
            "write 0",
        ),
        (lambda t: t.map({0: "no", 1: "warned"}), "wanred", f"none of {N} rows of", "spelt nearly so"),
        (lambda t: t.map({0: "no", 1: "warned"}), "3", f"none of {N} rows of", "say it as"),
    ],
    ids=["one_two", "misspelt", "another"],
)
def test_the_treatment_is_told_by_counts(told: Any, treated_value: str | None, message: str, fix: str) -> None:
    """How many rows and how many values; that one is spelt nearly as declared, never which."""
    declared = {} if treated_value is None else {"treated_value": treated_value}
    said = refusal(cells("told", told), PAIRED, **declared)
    assert message.format(others=int(table().told.sum())) in said.message
    assert said.fix.startswith(fix) or fix in said.fix
    assert "warned" not in str(said)


def test_counts_of_names_levels_bounds_and_arms() -> None:
    """How many rows, of how many."""
    told = refusal(cells("unit", lambda unit: unit.where(unit.index != 7, 3)), PAIRED, key="unit")
    assert told.message == f"1 of {N} rows share their name in column 'unit' with an earlier row"
    told = refusal(table(), PAIRED, categorical=["unit"])
    assert f"levels of 'unit' ({N} in {N} rows) that one group alone has" in told.message
    assert "list a number under numeric" in told.fix
    told = refusal(cells("told", lambda told: 0 * told + 1), PAIRED)
    assert told.message == f"zero comparisons: all {N} that could be compared are treated"
    bounded = {"estimator": {"method": "tmle", "lower": 0, "upper": 3}, "standard_error": "robust"}
    told = refusal(table(), bounded)
    outside = int((table().trust > 3).sum())
    assert told.message == f"{outside} of {N} outcomes lie outside their bounds 0 to 3"
