"""The engine by itself: what people with a table get, and what is refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.design import balance, match, weight
from causal.errors import DesignError

COVARIATES = ["age", "severity", "clinic"]
MATCHINGS: list[dict[str, Any]] = [
    {"method": "nearest"},
    {"method": "nearest", "m_order": "closest", "caliper": 0.5},
    {"method": "nearest", "m_order": "random", "seed": 5, "ratio": 2},
    {"method": "nearest", "replace": True},
    {"method": "nearest", "distance": "robust_mahalanobis", "mahvars": ["age", "severity"]},
    {"method": "nearest", "prefer": {"clinic": 0.5}, "caliper": 1.0},
    {"method": "optimal"},
    {"method": "optimal", "distance": "mahalanobis", "mahvars": ["age", "severity"]},
    {"method": "full", "max_controls": 4},
    {"method": "quick"},
    {"method": "fine", "fine": ["clinic"]},
    {"method": "cardinality", "tols": 0.1},
    {"method": "cem", "cutpoints": {"age": 3, "severity": 3}, "mahvars": ["age", "severity"]},
    {"method": "subclass", "subclass": 4},
]
WEIGHTINGS: list[dict[str, Any]] = [
    {"method": "glm", "estimand": "ATE", "stabilize": True},
    {"method": "glm", "estimand": "ATO"},
    {"method": "glm", "estimand": "ATT", "truncate": (0.01, 0.99)},
    {"method": "ebal", "moments": 2},
    {"method": "cbps"},
]


def table_of(n: int = 160, seed: int = 3) -> pd.DataFrame:
    """Units whose treatment depends on two numbers and little on the clinic."""
    rng = np.random.default_rng(seed)
    age, severity = rng.normal(40, 10, n), rng.normal(size=n)
    treated = rng.random(n) < 1 / (1 + np.exp(1.3 - 0.6 * severity - 0.02 * (age - 40)))
    return pd.DataFrame(
        {
            "treat": treated.astype(int),
            "age": age,
            "severity": severity,
            "clinic": rng.choice(["east", "north", "west"], n),
            "ward": rng.choice(["a", "b"], n),
        },
        index=pd.Index([f"u{k:04d}" for k in rng.permutation(n)], name="unit"),
    )


@pytest.mark.parametrize("words", MATCHINGS, ids=lambda w: "-".join(map(str, w.values())))
def test_the_order_of_rows_changes_nothing(words: dict[str, Any]) -> None:
    """Every matching is a function of keys and values: shuffled rows give each unit the same weight and set mates."""
    table = table_of()
    found = match(table, "treat", COVARIATES, **words)
    again = match(table.sample(frac=1, random_state=7), "treat", COVARIATES, **words)
    pd.testing.assert_series_equal(found.weights, again.weights.reindex(table.index), check_exact=True)
    pd.testing.assert_frame_equal(found.sets, again.sets, check_exact=True)
    pd.testing.assert_frame_equal(found.balance, again.balance, check_exact=True)


@pytest.mark.parametrize("words", WEIGHTINGS, ids=lambda w: "-".join(map(str, w.values())))
def test_the_order_of_rows_changes_no_weight(words: dict[str, Any]) -> None:
    """The same for every weighting."""
    table = table_of()
    found = weight(table, "treat", COVARIATES, **words)
    again = weight(table.sample(frac=1, random_state=7), "treat", COVARIATES, **words)
    pd.testing.assert_series_equal(found.weights, again.weights.reindex(table.index), check_exact=True)


@pytest.mark.parametrize("words", MATCHINGS, ids=lambda w: "-".join(map(str, w.values())))
def test_each_set_weighs_both_groups_alike(words: dict[str, Any]) -> None:
    """Inside every set the treated and the comparisons have the same total weight (ATT)."""
    found = match(table_of(), "treat", COVARIATES, **words)
    total = found.sets.pivot_table(values="weight", index="subclass", columns="treated", aggfunc="sum")
    np.testing.assert_allclose(total[True], total[False])
    by_unit = found.sets.groupby("unit")["weight"].sum()
    np.testing.assert_allclose(found.weights[by_unit.index], by_unit)
    assert (found.weights.drop(by_unit.index) == 0).all()


def test_exact_and_antiexact_columns_hold() -> None:
    """Units of a set agree in the exact column and differ in the other."""
    table = table_of()
    found = match(table, "treat", COVARIATES, exact=["clinic"], antiexact=["ward"])
    sets = found.sets.set_index("unit").join(table)
    assert set(sets.groupby("subclass")["clinic"].nunique()) == {1}
    assert set(sets.groupby("subclass")["ward"].nunique()) == {2}


def test_calipers_hold_in_their_unit() -> None:
    """At most three years apart, and at least a tenth of a point of severity."""
    table = table_of()
    found = match(table, "treat", COVARIATES, calipers={"age": 3.0, "severity": -0.1}, std_caliper=False)
    sets = found.sets.set_index("unit").join(table)
    apart = sets.groupby("subclass")[["age", "severity"]].agg(np.ptp)
    assert (apart["age"] <= 3.0).all()
    assert (apart["severity"] >= 0.1).all()


def test_the_estimand_follows_what_was_done() -> None:
    """A caliper that leaves somebody out, trimming and truncation show in the letters."""
    table = table_of()
    assert match(table, "treat", COVARIATES).estimand == "ATT"
    tight = match(table, "treat", COVARIATES, caliper=0.001)
    assert (tight.estimand, tight.n_unmatched > 0) == ("ATT in the matched", True)
    assert match(table, "treat", COVARIATES, estimand="ATC", replace=True).estimand == "ATC"
    trimmed = weight(table, "treat", COVARIATES, estimand="ATE", trim=(0.2, 0.5))
    assert trimmed.estimand == "ATE, modified"
    assert "0.2" in trimmed.estimand_note


def test_effect_in_the_untreated_is_the_mirror_of_the_effect_in_the_treated() -> None:
    """Calling the untreated treated and asking for the ATT gives the sets of the ATC, arms exchanged."""
    table = table_of()
    mirrored = table.assign(treat=1 - table["treat"])
    atc = match(table, "treat", ["age", "severity"], estimand="ATC", replace=True)
    att = match(mirrored, "treat", ["age", "severity"], estimand="ATT", replace=True)
    np.testing.assert_allclose(atc.weights, att.weights)


def test_matched_data_carries_what_an_analysis_needs() -> None:
    """Rows with weight, their weight, their set and their score; the table itself stays as it was."""
    table = table_of()
    before = table.copy()
    matched = match(table, "treat", COVARIATES, caliper=0.5).data(table)
    assert {"weights", "subclass", "distance"} <= set(matched.columns)
    assert (matched["weights"] > 0).all()
    pd.testing.assert_frame_equal(table, before)


def test_balance_of_a_design_is_its_own() -> None:
    """`balance` with what `weight` returned says what that carries."""
    table = table_of()
    overlap = weight(table, "treat", COVARIATES, estimand="ATO")
    pd.testing.assert_frame_equal(
        balance(table.sort_index(), "treat", COVARIATES, overlap), overlap.balance, check_exact=False, rtol=1e-9
    )
    assert overlap.balance["smd_after"].abs().max() < 1e-8


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([2.0, 0.25, 1024.0]), st.floats(-100, 100))
def test_units_of_measurement_do_not_matter(seed: int, scale: float, shift: float) -> None:
    """Covariates in other units give the same sets (distances without ties)."""
    table = table_of(60, seed)
    if table["treat"].sum() < 8:
        return
    other = table.assign(age=table["age"] * scale + shift)
    words: dict[str, Any] = {"distance": "robust_mahalanobis", "mahvars": ["age", "severity"]}
    found = match(table, "treat", ["age", "severity"], **words)
    again = match(other, "treat", ["age", "severity"], **words)
    pd.testing.assert_series_equal(found.weights, again.weights)


def broken(**columns: Any) -> pd.DataFrame:
    """The table with columns replaced."""
    return table_of().assign(**columns)


REFUSED: list[tuple[pd.DataFrame, dict[str, Any], str]] = [
    (broken(treat=0), {}, "design.no_treated"),
    (broken(treat=1), {}, "design.no_comparison"),
    (broken(treat=2), {}, "flat.treatment"),
    (broken(age=np.nan), {}, "flat.missing"),
    (broken(age=lambda t: t["age"].where(t["age"] > 30)), {}, "flat.missing"),
    (broken(age=50.0), {}, "design.constant_covariate"),
    (broken(age=np.inf), {}, "flat.missing"),
    (broken(age=lambda t: t["treat"] * 10.0 + t["severity"]), {}, "design.separation"),
    (table_of(), {"caliper": 0.0}, "design.argument"),
    (table_of(), {"caliper": 1e-12}, "design.nothing_matched"),
    (table_of(), {"calipers": {"age": 0.0}}, "design.argument"),
    (table_of(), {"ratio": 0}, "design.argument"),
    (table_of(20), {"ratio": 4, "exact": []}, "design.ratio"),
    (table_of(), {"m_order": "random"}, "design.seed"),
    (table_of(), {"estimand": "ATE"}, "design.estimand"),
    (table_of(), {"exact": ["wing"]}, "flat.no_column"),
    (broken(weights=1.0), {}, "design.column_name"),
    (broken(distance=1.0), {}, "design.column_name"),
    (broken(unit=1), {"key": "unit"}, "design.key"),
]


@pytest.mark.parametrize(("table", "words", "code"), REFUSED, ids=[f"{code}-{k}" for k, (_, _, code) in
                                                                   enumerate(REFUSED)])  # fmt: skip
def test_refused_in_one_line(table: pd.DataFrame, words: dict[str, Any], code: str) -> None:
    """What no method can use is refused by its code, in one line without a value of anybody."""
    if code == "design.ratio":
        table = table.assign(treat=np.r_[np.ones(17, dtype=int), np.zeros(3, dtype=int)])
        words = words | {"distance": "mahalanobis", "mahvars": ["age", "severity"]}
    with pytest.raises(DesignError) as refusal:
        match(table, "treat", ["age", "severity"], **words)
    assert refusal.value.code == code
    assert "\n" not in str(refusal.value)


def test_text_declared_a_number_becomes_indicators() -> None:
    """A column of text is never read as a number."""
    found = match(table_of(), "treat", ["age", "clinic"])
    assert list(found.balance.index) == ["age", "clinic: north", "clinic: west"]


def test_dense_distances_of_ten_million_are_refused_before_they_start() -> None:
    """A general optimal match of ten million units is refused by its predicted memory, not by the machine."""
    from causal.design.matching.candidates import candidate_edges
    from causal.design.matching.pairing import Pairing

    n = 10_000_000
    treated = np.zeros(n, dtype=np.bool_)
    treated[: n // 10] = True
    with pytest.raises(DesignError, match=r"design\.memory"):
        candidate_edges(np.zeros(n), treated, caliper=None, pairing=Pairing(), memory=4.0)
