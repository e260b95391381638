"""The engine by itself: what people with a table get, and what is refused in one line."""

from __future__ import annotations

from pathlib import Path
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
    (broken(age=np.inf), {}, "flat.too_large"),
    (broken(age=-1e308), {}, "flat.too_large"),
    (broken(age=lambda t: t["treat"] * 10.0 + t["severity"]), {}, "design.separation"),
    (broken(age=lambda t: [k if k % 2 else str(k) for k in range(len(t))]), {}, "flat.mixed"),
    (broken(age=lambda t: [[1]] * len(t)), {}, "flat.mixed"),
    (broken(age=pd.Timestamp("2020-01-01")), {}, "flat.not_numeric"),
    (broken(age=1j), {}, "flat.not_numeric"),
    (broken(age="old"), {}, "design.constant_covariate"),
    (table_of().iloc[:0], {}, "design.no_treated"),
    (table_of().set_axis([k if k % 2 else str(k) for k in range(160)]), {}, "design.key"),
    (broken(unit=lambda t: [k if k % 2 else str(k) for k in range(len(t))]), {"key": "unit"}, "design.key"),
    (broken(unit=lambda t: [[k] for k in range(len(t))]), {"key": "unit"}, "design.key"),
    (table_of(), {"key": "unit"}, "design.key"),
    (broken(wing=lambda t: [[1]] * len(t)), {"exact": ["wing"]}, "flat.mixed"),
    (table_of(), {"method": "genetic"}, "design.argument"),
    (table_of(), {"m_order": "first"}, "design.argument"),
    (table_of(), {"distance": "euclidean"}, "design.argument"),
    (table_of(), {"link": "probit"}, "design.argument"),
    (table_of(), {"caliper": 0.2, "caliper_sd": "mine"}, "design.argument"),
    (table_of(), {"estimand": "ATO"}, "design.estimand"),
    (table_of(), {"method": "full", "estimand": "ATO"}, "design.estimand"),
    (table_of(), {"exact": "clinic"}, "design.argument"),
    (table_of(), {"calipers": ["age"]}, "design.argument"),
    (table_of(), {"calipers": {"age": "wide"}}, "design.argument"),
    (table_of(), {"calipers": {"height": 1.0}}, "design.no_column"),
    (table_of(), {"mahvars": ["height"]}, "design.no_column"),
    (table_of(), {"method": "cem", "cutpoints": {"height": 3}}, "design.no_column"),
    (table_of(), {"method": "fine"}, "design.argument"),
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


UNUSED: list[tuple[str, dict[str, Any], str]] = [
    ("nearest", {"fine": ["ward"]}, "fine"),
    ("nearest", {"max_controls": 2}, "max_controls"),
    ("nearest", {"tols": 0.2}, "tols"),
    ("nearest", {"cutpoints": {"age": 2}}, "cutpoints"),
    ("nearest", {"subclass": 4}, "subclass"),
    ("nearest", {"caliper_sd": "whole"}, "caliper_sd"),
    ("nearest", {"std_caliper": False}, "std_caliper"),
    ("nearest", {"reuse_max": 2}, "reuse_max"),
    ("nearest", {"distance": "mahalanobis", "link": "logit"}, "link"),
    ("nearest", {"distance": "mahalanobis", "m_order": "smallest"}, "m_order"),
    ("optimal", {"replace": True}, "replace"),
    ("optimal", {"m_order": "closest"}, "m_order"),
    ("optimal", {"seed": 1, "m_order": "random"}, "m_order, seed"),
    ("full", {"ratio": 2}, "ratio"),
    ("quick", {"calipers": {"age": 1.0}}, "calipers"),
    ("quick", {"antiexact": ["ward"]}, "antiexact"),
    ("quick", {"prefer": {"ward": 1.0}}, "prefer"),
    ("quick", {"mahvars": ["age"]}, "mahvars"),
    ("quick", {"distance": "mahalanobis"}, "distance"),
    ("fine", {"fine": ["ward"], "max_controls": 3}, "max_controls"),
    ("cardinality", {"antiexact": ["ward"], "caliper": 0.1, "prefer": {"ward": 1.0}}, "antiexact, caliper, prefer"),
    ("cardinality", {"calipers": {"age": 1.0}}, "calipers"),
    ("cardinality", {"mahvars": ["age"]}, "mahvars"),
    ("cem", {"caliper": 0.1}, "caliper"),
    ("cem", {"distance": "mahalanobis"}, "distance"),
    ("subclass", {"caliper": 0.1}, "caliper"),
    ("subclass", {"link": "logit"}, "link"),
    ("glm", {"moments": 2}, "moments"),
    ("ebal", {"trim": (0.1, 0.9), "truncate": (0.01, 0.99), "stabilize": True}, "stabilize, trim, truncate"),
    ("cbps", {"interactions": True}, "interactions"),
]


@pytest.mark.parametrize(("method", "words", "named"), UNUSED, ids=str)
def test_an_argument_the_method_does_not_use_is_refused_by_name(method: str, words: dict[str, Any], named: str) -> None:
    """Nothing declared is ignored: the refusal names every argument that would have done nothing."""
    design: Any = weight if method in {"glm", "ebal", "cbps"} else match
    with pytest.raises(DesignError, match=rf"does not use {named} ") as refusal:
        design(table_of(), "treat", ["age", "severity"], method=method, **words)
    assert refusal.value.code == "design.argument"


WEIGHTS_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"method": "gbm"}, "design.argument"),
    ({"estimand": "all"}, "design.estimand"),
    ({"method": "ebal", "estimand": "ATM"}, "design.estimand"),
    ({"method": "cbps", "estimand": "ATO"}, "design.estimand"),
    ({"truncate": 0.99}, "design.argument"),
    ({"trim": (0.1, 0.2, 0.3)}, "design.argument"),
    ({"trim": ("a", "b")}, "design.argument"),
    ({"stabilize": "yes", "estimand": "ATE"}, "design.argument"),
    ({"method": "ebal", "moments": 4}, "design.argument"),
]


@pytest.mark.parametrize(("words", "code"), WEIGHTS_REFUSED, ids=str)
def test_weights_no_method_makes_are_refused(words: dict[str, Any], code: str) -> None:
    """Words `weight` does not know, and pairs that are none, in one line."""
    with pytest.raises(DesignError) as refusal:
        weight(table_of(), "treat", ["age", "severity"], **words)
    assert refusal.value.code == code
    assert "\n" not in str(refusal.value)


def test_tables_and_names_that_are_none_are_refused() -> None:
    """A table that is no data frame, and one name where a list of them belongs."""
    not_a_table: Any = {"treat": [0, 1]}
    for call in (match, weight, balance):
        with pytest.raises(DesignError, match=r"design\.argument.*DataFrame"):
            call(not_a_table, "treat", ["age"])
        with pytest.raises(DesignError, match=r"design\.argument.*covariates"):
            call(table_of(), "treat", "age")


@pytest.mark.parametrize("design", [match, weight])
def test_units_are_found_by_their_key_whatever_the_index(design: Any) -> None:
    """With a key, an index that repeats, or is another in the next table, changes no unit's weight."""
    table = table_of().reset_index()
    found = design(table, "treat", COVARIATES, key="unit")
    again = design(table.set_axis([0] * len(table)), "treat", COVARIATES, key="unit")
    pd.testing.assert_series_equal(found.weights, again.weights, check_exact=True)
    assert (found.key, found.weights.index.name, list(found.weights.index)) == ("unit", "unit", list(table["unit"]))
    assert set(found.sets["unit"]) == set(found.weights.index[found.weights > 0])
    other = table.sort_values("age").reset_index(drop=True)
    for some in (table.set_axis([0] * len(table)), other):
        data = found.data(some).set_index("unit")
        assert list(data.index) == [unit for unit in some["unit"] if found.weights[unit] > 0]
        np.testing.assert_array_equal(data["weights"], found.weights[data.index])
        np.testing.assert_array_equal(data["distance"], found.distance[data.index])
        pd.testing.assert_frame_equal(balance(some, "treat", COVARIATES, found), found.balance)


def test_a_table_of_other_units_is_refused() -> None:
    """No key column, units lacking, units nobody weighed, a column of ours: each refused by its code."""
    table = table_of().reset_index()
    found = match(table, "treat", COVARIATES, key="unit")
    with pytest.raises(DesignError, match=r"design\.key.*no column 'unit'"):
        found.data(table.drop(columns="unit"))
    with pytest.raises(DesignError, match=r"design\.key.*lacks"):
        found.data(table.iloc[1:])
    with pytest.raises(DesignError, match=r"design\.column_name"):
        found.data(table.assign(weights=1.0))
    more = pd.concat([table, table.head(1).assign(unit="v")])
    assert len(found.data(more)) == len(found.data(table))
    with pytest.raises(DesignError, match=r"design\.key.*does not have"):
        balance(more, "treat", COVARIATES, found)


def test_weights_by_index_and_by_position() -> None:
    """A series is found by the index, an array by position; what covers another table is refused."""
    table = table_of()
    found = weight(table, "treat", COVARIATES)
    shuffled = found.weights.sample(frac=1, random_state=2)
    for weights in (shuffled, found.weights.to_numpy(), found.weights.tolist()):
        pd.testing.assert_frame_equal(balance(table, "treat", COVARIATES, weights), found.balance)
    refused: list[tuple[Any, str]] = [
        (found.weights.iloc[1:], "design.key"),
        (found.weights.reset_index(drop=True), "design.key"),
        (pd.concat([shuffled, shuffled.head(1)]), "design.key"),
        (found.weights.to_numpy()[1:], "design.weights"),
        (["heavy"] * len(table), "design.weights"),
        (-found.weights, "design.weights"),
    ]
    for weights, code in refused:
        with pytest.raises(DesignError) as refusal:
            balance(table, "treat", COVARIATES, weights)
        assert refusal.value.code == code
    unknown: Any = "all"
    with pytest.raises(DesignError, match=r"design\.argument.*estimand"):
        balance(table, "treat", COVARIATES, estimand=unknown)


def test_columns_may_have_any_name() -> None:
    """Names with spaces, in every place a column is named, change nothing but the names."""
    table = table_of()
    other = {"age": "age, years", "severity": "c1", "clinic": "the clinic", "ward": "c0: ward"}
    words: list[dict[str, Any]] = [
        {"calipers": {"age": 1.0}, "antiexact": ["ward"], "prefer": {"clinic": 0.5}},
        {"method": "fine", "fine": ["ward"], "exact": ["clinic"]},
        {"method": "cem", "mahvars": ["age", "clinic"], "cutpoints": {"age": 4}},
        {"distance": "mahalanobis", "mahvars": ["age", "clinic"]},
    ]

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            return {other[name]: number for name, number in value.items()}
        return [other[name] for name in value] if isinstance(value, list) else value

    for chosen in words:
        plain = match(table, "treat", COVARIATES, **chosen)
        spaced = match(
            table.rename(columns=other),
            "treat",
            [other[name] for name in COVARIATES],
            **{word: renamed(value) for word, value in chosen.items()},
        )
        pd.testing.assert_frame_equal(plain.sets, spaced.sets)
        assert list(spaced.balance.index) == [
            "age, years", "c1", "the clinic: east", "the clinic: north", "the clinic: west",
        ]  # fmt: skip


@pytest.mark.parametrize("word", ["exact", "antiexact", "fine", "prefer"])
def test_a_rule_on_a_column_with_gaps_is_refused(word: str) -> None:
    """Nobody agrees or differs in what is missing: the column is named, no value is."""
    table = table_of().assign(ward=lambda t: t["ward"].where(t["age"] > 30))
    words: dict[str, Any] = {word: {"ward": 1.0} if word == "prefer" else ["ward"]}
    with pytest.raises(DesignError, match=r"flat\.missing.*missing in column 'ward'"):
        match(table, "treat", ["age", "severity"], method="fine" if word == "fine" else "nearest", **words)


def test_no_refusal_tells_a_category() -> None:
    """Separation, also where few events call for Firth's correction, names the column and no level of it."""
    table = table_of()
    for rows in (table, table.groupby("treat").head(20)):
        some = rows.assign(
            doctor=np.where(rows["treat"] == 1, np.where(rows["ward"] == "a", "Dr Rare", "Dr A"), "Dr B")
        )
        more: dict[str, Any]
        for design, more in ((match, {}), (weight, {"method": "ebal"}), (match, {"method": "cardinality"})):
            with pytest.raises(DesignError) as refusal:
                design(some, "treat", ["age", "severity", "doctor"], **more)
            assert "doctor" in str(refusal.value)
            assert "Dr" not in str(refusal.value)
            assert "c2" not in str(refusal.value)


def test_only_trimming_and_truncation_modify_the_estimand() -> None:
    """Stabilised weights stand for the effect declared; truncated ones do not quite."""
    stable = weight(table_of(), "treat", COVARIATES, estimand="ATE", stabilize=True)
    assert stable.estimand == "ATE"
    assert weight(table_of(), "treat", COVARIATES, truncate=(0.05, 0.95)).estimand == "ATT, modified"


def test_mahvars_with_a_score_is_mahalanobis_distance_within_its_caliper() -> None:
    """As in MatchIt: the score limits pairs, and `mahvars` say which of them are close."""
    table = table_of()
    for method in ("nearest", "optimal", "full", "fine"):
        words: dict[str, Any] = {"method": method, "caliper": 0.4} | ({"fine": ["ward"]} if method == "fine" else {})
        found = match(table, "treat", COVARIATES, mahvars=["age"], **words)
        same = match(table, "treat", COVARIATES, mahvars=["age"], distance="mahalanobis", **words)
        pd.testing.assert_frame_equal(found.sets, same.sets)
        assert not found.sets.equals(match(table, "treat", COVARIATES, **words).sets)
        score = found.distance.groupby(table["treat"]).var().mean() ** 0.5
        if method != "full":
            apart = found.sets.assign(score=found.distance[found.sets["unit"]].to_numpy())
            assert apart.groupby("subclass")["score"].agg(np.ptp).max() <= 0.4 * score


def test_closeness_on_the_probability() -> None:
    """Nearest on the probability, caliper or none: each treated unit takes what a plain search finds on that scale."""
    table = table_of()
    for estimand in ("ATT", "ATC"):
        found = match(table, "treat", COVARIATES, link="logit", replace=True, estimand=estimand)
        p = 1 / (1 + np.exp(-found.distance))
        pool, case = table["treat"] == (estimand == "ATC"), table["treat"] == (estimand == "ATT")
        taken = found.sets.set_index("unit")
        for unit, number in taken[taken["treated"] == (estimand == "ATT")]["subclass"].items():
            mate = taken[(taken["subclass"] == number) & (taken["treated"] != (estimand == "ATT"))].index[0]
            assert abs(p[mate] - p[unit]) == pytest.approx((p[pool] - p[unit]).abs().min(), abs=1e-12)
        assert case.sum() == found.sets["subclass"].nunique()
    quick = match(table, "treat", COVARIATES, method="quick", link="logit")
    assert not quick.sets.equals(match(table, "treat", COVARIATES, method="quick").sets)


def test_numbers_of_numpy_are_numbers() -> None:
    """An integer or a fraction of NumPy's is taken like Python's."""
    ratio: Any = np.int64(2)
    found = match(table_of(), "treat", COVARIATES, ratio=ratio, caliper=np.float32(0.5), calipers={"age": np.int64(2)})
    same = match(table_of(), "treat", COVARIATES, ratio=2, caliper=0.5, calipers={"age": 2.0})
    pd.testing.assert_frame_equal(found.sets, same.sets)


def test_many_exact_columns_keep_units_apart() -> None:
    """Twelve exact columns hold together: 64 ** 11 combinations leave no code that wraps around and forgets the first.

    Units 2m and 2m + 1 differ in the first column only, and each is nearest in age to the other's twin.
    """
    unit = np.arange(128)
    treated = pd.DataFrame({"treat": 1, "age": unit * 1.0, "k0": unit % 2} | {f"k{k}": unit // 2 for k in range(1, 12)})
    twins = pd.concat([treated, treated.assign(treat=0, age=(unit ^ 1) * 1.0)], ignore_index=True)
    found = match(twins, "treat", ["age"], exact=[f"k{k}" for k in range(12)], distance="mahalanobis")
    pairs = found.sets.pivot_table(index="subclass", columns="treated", values="unit")
    assert len(pairs) == 128
    assert (pairs[True] + 128 == pairs[False]).all()


def test_text_declared_a_number_becomes_indicators() -> None:
    """A column of text is never read as a number."""
    found = match(table_of(), "treat", ["age", "clinic"])
    assert list(found.balance.index) == ["age", "clinic: east", "clinic: north", "clinic: west"]


def test_dense_distances_of_a_million_are_refused_before_they_start() -> None:
    """A general optimal match of a million units is refused by its predicted memory, not by the machine."""
    from causal.design.matching.candidates import candidate_edges
    from causal.design.matching.pairing import Pairing

    n = 1_000_000
    treated = np.zeros(n, dtype=np.bool_)
    treated[: n // 10] = True
    with pytest.raises(DesignError, match=r"design\.memory"):
        candidate_edges(np.zeros(n), treated, caliper=None, pairing=Pairing(), memory=4.0)


def test_the_page_about_the_engine_runs_as_written(capsys: pytest.CaptureFixture[str]) -> None:
    """The program of the how-to page runs, and prints what the page says it prints."""
    page = (Path(__file__).parents[3] / "docs/how-to/use-the-design-engine-from-python.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], names)  # noqa: S102  # the page is ours
    pairs, lalonde = names["pairs"], names["lalonde"]
    assert capsys.readouterr().out.startswith("ATT in the matched\n")
    assert (pairs.n_unmatched, int(lalonde["treat"].sum()), len(names["matched"])) == (70, 185, 230)
