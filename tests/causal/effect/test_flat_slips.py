"""What an analyst lets slip in a table: named in one line, by column and count, and never blamed on something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from causal.design.frame import LINE
from causal.effect.flat_disguise import FIRST_ROWS, NEARLY, refuse_disguised_outcome
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


def test_a_near_copy_is_the_outcome() -> None:
    """Rounded, in another unit, or with one row that differs, whatever the order of the two: refused by name."""
    frame = table()
    frame = frame.assign(
        made=frame.trust + np.resize([0.004, -0.004], N) * frame.trust.std(), upside=-100 * frame.trust
    )
    frame.loc[3, "upside"] += 2
    for names, said in ((["made"], "covariate made is"), (["made", "upside"], "covariates made, upside are each")):
        told = refusal(frame, PAIRED, numeric=["age", *names])
        assert told.code == "flat.outcome_in_covariates"
        assert told.message == f"{said} the outcome to within 1% of its spread over all {N} rows"


def test_what_is_like_the_outcome_is_not_refused() -> None:
    """A line that leaves more than a hundredth is no near copy, alone or beside others that are like it too."""
    rng = np.random.default_rng(1)
    y = rng.normal(size=4000)
    noise = rng.normal(size=(4000, 2))
    refuse_disguised_outcome(y, y[:, None] + (NEARLY + 0.001) * noise, ["one", "other"])
    with pytest.raises(DesignError, match="covariate other is the outcome to within 1%"):
        refuse_disguised_outcome(y, y[:, None] + noise * [0.1, NEARLY - 0.001], ["one", "other"])


def test_what_follows_from_the_first_rows_is_asked_of_all() -> None:
    """Rows that differ, beyond those that are looked at first, make no copy; a table of few rows is not judged."""
    y = np.random.default_rng(1).normal(size=FIRST_ROWS + 10)
    other = y.copy()
    other[-1] += 10
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
    assert told.message.startswith(
        f"column 'age' holds a number in 1 of {N} rows (first row 6) that is more than 1000 "
    )


def test_categories_that_differ_in_capitals_or_blanks() -> None:
    """Two spellings of one place are two places to a model."""
    told = refusal(cells("site", lambda site: site.where(site.index > 5, site.str.upper() + "  ")), PAIRED)
    assert (told.code, told.message) == (
        "flat.spelling",
        (
            f"3 of 6 values of column 'site' differ from another in capitals or blanks only, in fewer than 11 of "
            f"{N} rows (first row 1)"
        ),
    )


@pytest.mark.parametrize(
    "analysis",
    [
        STANDARDISED | {"cluster": "ward"},
        PAIRED | {"exact": ["ward"]},
        PAIRED | {"design": PAIRED["design"] | {"prefer": [{"key": "ward", "penalty": 1.0}]}},
    ],
    ids=["cluster", "exact", "prefer"],
)
def test_spellings_of_a_cluster_or_a_key(analysis: dict[str, Any]) -> None:
    """Asked of whatever rows are held together or apart by; a key that nothing uses may be spelt as it likes."""
    frame = table().assign(ward=np.resize(["A", "B", "C", "D"], N))
    frame.loc[[17, 40], "ward"] = ["b ", "a"]
    keys = {"keys": ["ward"]}
    told = refusal(frame, analysis, **keys)
    assert (told.code, told.message) == (
        "flat.spelling",
        (
            f"2 of 6 values of column 'ward' differ from another in capitals or blanks only, in fewer than 11 of "
            f"{N} rows (first row 18)"
        ),
    )
    analyse_flat_table(frame, study(STANDARDISED, **keys))


def test_gaps_of_all_columns_in_one_line() -> None:
    """Each column with its count and where the first is; the outcome's with them, unless such rows are left out."""
    frame = table().assign(ward=np.resize(["A", "B", "C", "D"], N))
    frame["score"] = frame["score"].where(frame.index < 100)
    frame.loc[[30, 20], "ward"] = None
    frame.loc[[7, 8], "trust"] = None
    rest = f"column 'score' ({N - 100} rows, first row 101), column 'ward' (fewer than 11 rows, first row 21)"
    analysis, keys = STANDARDISED | {"cluster": "ward"}, {"keys": ["ward"]}
    told = refusal(frame, analysis, **keys)
    assert told.code == "flat.missing"
    assert told.message == f"values are missing in column 'trust' (fewer than 11 rows, first row 8), {rest}"
    told = refusal(frame, analysis | {"missing_outcome": "leave_out"}, **keys)
    assert told.message == f"values are missing in {rest}"


@pytest.mark.parametrize("key", [None, "unit"], ids=["by content", "by name"])
def test_rows_are_told_where_they_stood_before_they_were_put_in_order(key: str | None) -> None:
    """Turned about, and known by the lines that their reader gave them; labels of another index are never told."""
    frame = cells("site", lambda site: site.where(~site.index.isin([5, 50]), site.str.upper()))
    declared = {} if key is None else {"key": key}
    assert "(first row 6)" in refusal(frame, PAIRED, **declared).message
    assert f"(first row {N - 50})" in refusal(frame.iloc[::-1], PAIRED, **declared).message
    lines = frame.set_axis(pd.RangeIndex(2, N + 2, name=LINE), axis="index")
    assert "(first line 7)" in refusal(lines.iloc[::-1], PAIRED, **declared).message
    named = frame.set_axis([f"Ann {row}" for row in range(N)], axis="index")
    assert "(first row 6)" in refusal(named, PAIRED, **declared).message


def test_a_column_named_twice_is_named() -> None:
    """The name of rows among the covariates, which makes every row its own."""
    told = refusal(table(), PAIRED, key="age")
    assert (told.code, told.message) == ("flat.column_twice", "a column is named twice under columns: 'age'")


def test_a_treatment_of_three_values_tells_where_the_third_is() -> None:
    """Neither the declared value nor the most frequent other one: in how many rows, and the first of them."""
    frame = cells("told", lambda told: told.map({0: "no", 1: "yes"}).where(told.index != 70, "perhaps"))
    said = refusal(frame, PAIRED, treated_value="yes")
    assert said.code == "flat.treatment"
    assert "holds 3 different values, expected 2: fewer than 11 of 120 rows (first row 71) hold neither" in said.message
    assert "perhaps" not in str(said)


@pytest.mark.parametrize(
    ("words", "fix"),
    [
        (("no", "Yes"), "it holds no and yes: say under columns which of them means treated, as in treated_value: yes"),
        (("Control", "treated"), "it holds control and treated: say under columns which of them means treated, as in "),
        (("no", "Dr Rare"), "declare under columns.treated_value which of the two values means treated"),
    ],
)
def test_words_for_the_arms_want_a_treated_value(words: tuple[str, str], fix: str) -> None:
    """Not called a column that is declared a number; only words that say nothing of anybody are repeated."""
    said = refusal(cells("told", lambda told: told.map(dict(enumerate(words)))), PAIRED)
    assert said.code == "flat.treatment"
    assert said.message == (
        f"treatment 'told' holds words in {N} of {N} rows (first row 1), and columns.treated_value does not say which "
        "means treated"
    )
    assert said.fix.startswith(fix)
    assert "Rare" not in str(said)


@pytest.mark.parametrize(
    ("told", "treated_value", "message", "fix"),
    [
        (
            lambda t: t + 1,
            None,
            f"holds values other than 0 and 1 in {{others}} of {N} rows (first row {{first}}), 2 different ones",
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
    first = int(table().told.argmax()) + 1
    assert message.format(others=int(table().told.sum()), first=first) in said.message
    assert said.fix.startswith(fix) or fix in said.fix
    assert "warned" not in str(said)


def test_counts_of_names_levels_bounds_and_arms() -> None:
    """How many rows, of how many."""
    told = refusal(cells("unit", lambda unit: unit.where(unit.index != 7, 3)), PAIRED, key="unit")
    assert told.message == f"1 of {N} rows share their name in column 'unit' with an earlier row (first row 8)"
    told = refusal(table(), PAIRED, categorical=["unit"])
    assert f"levels of 'unit' ({N} in {N} rows) that one group alone has" in told.message
    assert "list a number under numeric" in told.fix
    told = refusal(cells("told", lambda told: 0 * told + 1), PAIRED)
    assert told.message == f"zero comparisons: all {N} that could be compared are treated"
    bounded = {"estimator": {"method": "tmle", "lower": 0, "upper": 3}, "standard_error": "robust"}
    told = refusal(table(), bounded)
    outside = int((table().trust > 3).sum())
    assert told.message == f"{outside} of {N} outcomes lie outside their bounds 0 to 3"
