"""A declared method makes the comparison it says, inside risk sets, and the sentences say what was done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from causal.cohort.catalogue import EXACT_KEYS
from causal.design.compare import Comparison, Units, compare
from causal.design.describe import estimand_label, estimand_sentence, method_sentence
from causal.design.matching.pairing import Pairing
from causal.errors import DesignError
from causal.protocol.matching import AnyMatching, Matching
from causal.protocol.target_trial import Assignment
from causal.protocol.weighting import AnyWeighting, Weighting
from causal.protocol.words import NEUTRAL

N = 400
WINDOW = 60.0
CALIPER = {"scale": "logit", "sd": "pooled_within", "width": 0.5}
PAIRED: list[dict[str, Any]] = [
    {"method": "greedy", "ratio": 2, "caliper": CALIPER},
    {"method": "greedy", "ratio": 1, "order": "closest", "caliper": None},
    {"method": "greedy", "ratio": 1, "order": "random", "seed": 4, "caliper": CALIPER},
    {"method": "greedy", "ratio": 1, "replacement": True, "most_uses": 3, "caliper": CALIPER},
    {"method": "greedy", "ratio": 1, "distance": {"kind": "mahalanobis"}, "caliper": CALIPER},
    {"method": "greedy", "ratio": 1, "distance": {"kind": "rank_mahalanobis", "covariates": ("a",)}, "caliper": None},
    {"method": "optimal", "ratio": 1, "caliper": CALIPER},
    {"method": "optimal", "ratio": 1, "distance": {"kind": "rank_mahalanobis"}, "caliper": CALIPER},
    {"method": "full", "caliper": CALIPER, "most_comparisons": 5},
    {"method": "full", "caliper": CALIPER, "distance": {"kind": "mahalanobis"}},
    {"method": "fine_balance", "ratio": 1, "balance": ("clinic_id",), "caliper": CALIPER},
]
STRATIFIED: list[dict[str, Any]] = [
    {"method": "generalised_full", "caliper": CALIPER},
    {"method": "cardinality", "tolerance": 0.2},
    {"method": "coarsened_exact", "covariates": ("a",), "bins": ({"covariate": "a", "number": 4},)},
    {"method": "subclassification", "subclasses": 3},
]
WEIGHTED: list[dict[str, Any]] = [
    {"method": "propensity", "estimand": "ATT"},
    {"method": "propensity", "estimand": "ATE", "trim": {"lower": 0.1, "upper": 0.9}},
    {"method": "entropy_balancing", "moments": 2},
    {"method": "covariate_balancing", "estimand": "ATE"},
]


def declared(words: dict[str, Any]) -> Any:
    """The method as a study file declares it."""
    try:
        return TypeAdapter[AnyMatching](Matching).validate_python(words)
    except ValueError:
        return TypeAdapter[AnyWeighting](Weighting).validate_python(words)


@pytest.fixture(scope="module")
def units() -> Units:
    """Occasions of about 250 people over two years in two regimes and five clinics."""
    rng = np.random.default_rng(8)
    covariates = np.column_stack([rng.normal(size=N), rng.normal(size=N), rng.random(N) < 0.4]).astype(np.float64)
    logit = -1.2 + 0.6 * covariates[:, 0] - 0.4 * covariates[:, 1]
    return Units(
        treated=rng.random(N) < 1 / (1 + np.exp(-logit)),
        covariates=covariates,
        names=("a", "b", "c"),
        tiers=(1, 1, 2),
        logit=logit,
        keys={"clinic_id": rng.integers(0, 5, N), "clinician_id": rng.integers(0, 40, N)},
        pairing=Pairing(
            exact=rng.integers(0, 2, N),
            time=rng.integers(0, 730, N).astype(np.float64),
            window=WINDOW,
            person=rng.integers(0, 250, N),
        ),
    )


def names(words: dict[str, Any]) -> str:
    """A readable name of a case."""
    return "-".join(str(value) for value in words.values() if not isinstance(value, dict) or "kind" in value)


@pytest.mark.parametrize("words", [*PAIRED, *STRATIFIED], ids=names)
def test_sets_keep_to_the_risk_set(units: Units, words: dict[str, Any]) -> None:
    """Nobody is compared across exact keys, beyond the calendar window, or from outside those who may be used."""
    among = np.random.default_rng(1).random(N) < 0.9
    made = compare(declared(words), units, among=among)
    assert among[made.row].all()
    pairing = units.pairing
    assert pairing.exact is not None
    assert pairing.time is not None
    for s in np.unique(made.set_id):
        members = made.row[made.set_id == s]
        arms = units.treated[members]
        assert arms.any()
        assert not arms.all()
        assert np.unique(pairing.exact[members]).size == 1
        apart = np.abs(pairing.time[members[arms]][:, None] - pairing.time[members[~arms]][None, :])
        assert apart.max() <= WINDOW


@pytest.mark.parametrize("words", PAIRED, ids=names)
def test_nobody_is_compared_with_themselves(units: Units, words: dict[str, Any]) -> None:
    """No set holds a treated and a comparison occasion of the same person."""
    made = compare(declared(words), units)
    person = units.pairing.person
    assert person is not None
    for s in np.unique(made.set_id):
        members = made.row[made.set_id == s]
        arms = units.treated[members]
        assert not set(person[members[arms]]) & set(person[members[~arms]])


@pytest.mark.parametrize("words", [*PAIRED, *STRATIFIED, *WEIGHTED], ids=names)
def test_weights_of_the_whole_are_those_of_the_members(units: Units, words: dict[str, Any]) -> None:
    """Every occasion's weight is the sum of its weights as a member, and 0 where it is none."""
    made = compare(declared(words), units)
    summed = np.bincount(made.row, weights=made.row_weight, minlength=N)
    np.testing.assert_allclose(made.weight, summed)


@pytest.mark.parametrize("words", [*PAIRED, *STRATIFIED, *WEIGHTED], ids=names)
def test_every_method_is_described(units: Units, words: dict[str, Any]) -> None:
    """Label, population and method are said for each, ending in full sentences without a program's word."""
    method = declared(words)
    made = compare(method, units)
    left_out = int((units.treated & (made.weight == 0)).sum())
    assert estimand_label(made, left_out=left_out > 0).startswith(made.estimand)
    sentence = method_sentence(method, Assignment(exact=("regime",), calendar_days=60), NEUTRAL, EXACT_KEYS)
    assert sentence.endswith(".")
    assert "_" not in sentence.replace("clinic_id", "")
    assert ("not represented" in estimand_sentence(made, NEUTRAL, left_out=left_out > 0)) == (left_out > 0)


def test_rules_on_pairs_reach_the_engine(units: Units) -> None:
    """Further calipers, keys that must differ and preferences are followed, in units that are stated."""
    words = PAIRED[0] | {
        "ratio": 1,
        "differ": ("clinician_id",),
        "calipers": (
            {"covariate": "b", "width": 0.5, "sd": "whole"},
            {"covariate": "a", "width": 0.01, "side": "beyond"},
        ),
        "prefer": ({"key": "clinic_id", "penalty": 10.0},),
    }
    made = compare(declared(words), units)
    plain = compare(declared(words | {"prefer": ()}), units)
    first, second = made.row[units.treated[made.row]], made.row[~units.treated[made.row]]
    b, a = units.covariates[:, 1], units.covariates[:, 0]
    assert (units.keys["clinician_id"][first] != units.keys["clinician_id"][second]).all()
    assert np.abs(b[first] - b[second]).max() <= 0.5 * b.std(ddof=1)
    assert np.abs(a[first] - a[second]).min() >= 0.01
    assert same_clinic(units, made) > same_clinic(units, plain)


def same_clinic(units: Units, made: Comparison) -> float:
    """Share of pairs from one clinic."""
    clinic, treated = units.keys["clinic_id"][made.row], units.treated[made.row]
    return float((clinic[treated] == clinic[~treated]).mean())


def test_caliper_on_a_covariate_distance_limits_the_score(units: Units) -> None:
    """Closest on the covariates, yet never farther on the logit than the caliper allows."""
    made = compare(declared(PAIRED[7]), units)
    logit = units.logit
    spread = np.sqrt((logit[units.treated].var(ddof=1) + logit[~units.treated].var(ddof=1)) / 2)
    first, second = made.row[units.treated[made.row]], made.row[~units.treated[made.row]]
    assert np.abs(logit[first] - logit[second]).max() <= 0.5 * spread


def test_trimming_and_truncation_are_said(units: Units) -> None:
    """Whoever changes the population or the weights changes the estimand's letters and sentence."""
    trimmed = compare(declared(WEIGHTED[1]), units)
    assert estimand_label(trimmed, left_out=False) == "ATE, trimmed"
    assert "0.1" in estimand_sentence(trimmed, NEUTRAL, left_out=False)
    plain = compare(declared({"method": "propensity", "estimand": "ATE"}), units)
    assert estimand_label(plain, left_out=False) == "ATE"


def test_a_caliper_on_no_covariate_is_refused(units: Units) -> None:
    """A limit on what never varies, or is no covariate, is refused by name."""
    words = PAIRED[0] | {"calipers": ({"covariate": "z", "width": 1.0},)}
    with pytest.raises(DesignError, match=r"^\[design\.no_column\] a caliper is set on 'z'"):
        compare(declared(words), units)


def test_memory_is_asked_before_it_is_taken(units: Units) -> None:
    """A method that lists pairs refuses, naming what to change, when they would not fit."""
    small = replace(units, memory=1e-6)
    with pytest.raises(DesignError, match=r"^\[design\.memory\]"):
        compare(declared(PAIRED[7]), small)
