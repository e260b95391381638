"""A flat table's study: every way of comparing, with the standard error it asks for, beside published numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from causal.design.propensity.fit import fit_propensity
from causal.effect.contrast import Contrast
from causal.effect.doubly_robust.aipw import aipw
from causal.effect.doubly_robust.lots import keys_of_lots, median_of_lots
from causal.effect.doubly_robust.outcome_model import OutcomeModel
from causal.effect.doubly_robust.outpredicted import Outpredicted
from causal.effect.doubly_robust.result import DoublyRobust
from causal.effect.doubly_robust.tmle import tmle
from causal.effect.flat_order import in_canonical_order
from causal.effect.flat_table import FlatResult, analyse_flat_table
from causal.effect.matched_estimates import LinearEffect
from causal.effect.standardisation import g_computation
from causal.effect.uneven_clusters import corrected
from causal.errors import DesignError, EstimationError
from causal.numeric.grid import figures
from causal.protocol import STUDY, FlatTableStudy
from flows.connectors.flat import read_flat
from flows.connectors.flat_cells import roles_of
from flows.flat_table import analyse
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
    return analyse_flat_table(read_flat(study.data, roles_of(study), path), changed)


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


def made(study: dict[str, Any], **analysis: Any) -> FlatTableStudy:
    """The study with parts of its analysis replaced."""
    changed = STUDY.validate_python(study | ({"analysis": {"level": 0.95, **analysis}} if analysis else {}))
    assert isinstance(changed, FlatTableStudy)
    return changed


def run(frame: pd.DataFrame, study: dict[str, Any], **analysis: Any) -> FlatResult:
    """The table under this analysis."""
    return analyse_flat_table(frame, made(study, **analysis))


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


GREEDY: dict[str, Any] = {"method": "greedy", "ratio": 1, "caliper": None}
WEIGHTING: dict[str, Any] = {"method": "propensity", "estimand": "ATT"}


def refused(frame: pd.DataFrame, study: dict[str, Any], **analysis: Any) -> DesignError:
    """The refusal of this analysis."""
    with pytest.raises(DesignError) as refusal:
        run(frame, study, **analysis)
    return refusal.value


def with_doctors() -> tuple[pd.DataFrame, dict[str, Any]]:
    """A table in which a doctor is a covariate, and one of them saw treated people only."""
    frame, study = clustered()
    frame["doctor"] = np.where(frame["clinician"] < 12, "Dr Usual", "Dr Other")
    frame.loc[frame.index[frame["treated"] == 1][:6], "doctor"] = "Dr Rare"
    return frame, study | {"columns": study["columns"] | {"categorical": ("doctor",)}}


@pytest.mark.parametrize(
    ("propensity", "code"),
    [
        ({}, "design.separation"),
        ({"model": "elastic_net"}, "design.separation"),
        ({"model": "boosting", "seed": 1}, "design.separation"),
        ({"splines": ("doctor",)}, "design.unknown_covariate"),
    ],
)
def test_no_refusal_holds_a_category(propensity: dict[str, Any], code: str) -> None:
    """Arms that a category tells apart are refused under every model, by the column's name and never the category's."""
    said = refused(*with_doctors(), design=GREEDY, standard_error="robust", propensity=propensity)
    assert said.code == code
    assert "doctor" in str(said)
    assert "Dr " not in str(said)


def test_no_refusal_of_a_design_holds_a_category() -> None:
    """What keeps a sample from being balanced is named by its column.

    All treated but one share a doctor with a single comparison, and that one's ward has no comparison of his doctor.
    """
    _, study = with_doctors()
    study |= {"columns": study["columns"] | {"numeric": (), "categorical": ("doctor", "ward")}}
    treated, row = np.arange(80) < 30, np.arange(80)
    frame = pd.DataFrame({"treated": treated, "clinician": 1, "score": 0.0})
    frame["doctor"] = np.where((treated & (row > 0)) | (row == 40), "Dr Rare", "Dr Usual")
    frame["ward"] = np.where((treated & (row % 2 == 0)) | (row == 40), "Dr Rare's", "Dr Usual's")
    said = refused(
        frame, study, design={"method": "cardinality", "tolerance": 0.05, "ratio": 4}, standard_error="robust"
    )
    assert said.code == "design.balance_infeasible"
    assert "ward" in str(said)
    assert "Dr " not in str(said)


@pytest.mark.parametrize(
    "design",
    [
        GREEDY | {"distance": {"kind": "mahalanobis", "covariates": ("age", "race")}},
        {"method": "coarsened_exact", "covariates": ("age", "race")},
    ],
)
def test_a_categorical_column_is_part_of_distances_and_strata(design: dict[str, Any]) -> None:
    """LaLonde: naming race beside age changes who is compared, and strata agree in it."""
    named = analysed("lalonde", design=design, standard_error="robust")
    alone = {"covariates": ("age",)}
    changed = design | ({"distance": design["distance"] | alone} if "distance" in design else alone)
    without = analysed("lalonde", design=changed, standard_error="robust")
    assert named.effect.value != without.effect.value
    apart, before = (
        [abs(row.smd_after) for row in found.balance if row.name.startswith("race: ")] for found in (named, without)
    )
    assert len(apart) == 3
    assert max(apart) < (1e-9 if design["method"] == "coarsened_exact" else max(before) - 0.1)


@pytest.mark.parametrize(
    ("design", "code"),
    [
        (GREEDY | {"distance": {"kind": "mahalanobis", "covariates": ("agee",)}}, "design.no_column"),
        ({"method": "coarsened_exact", "covariates": ("age", "agee")}, "design.no_column"),
        (GREEDY | {"calipers": ({"covariate": "race", "width": 1},)}, "design.rule_unsupported"),
    ],
)
def test_a_name_without_a_number_behind_it_is_refused(design: dict[str, Any], code: str) -> None:
    """A misspelt covariate is not dropped in silence, and categories have no caliper."""
    with pytest.raises(DesignError) as refusal:
        analysed("lalonde", design=design, standard_error="robust")
    assert refusal.value.code == code
    assert "hispan" not in str(refusal.value)


def test_reused_units_are_no_pairs() -> None:
    """A paired error of sets that share units would be too small; one beside a cluster column would not know of it."""
    frame, study = clustered()
    reused = GREEDY | {"replacement": True}
    assert refused(frame, study, design=reused, standard_error="paired").code == "flat.reused"
    with pytest.raises(ValidationError, match="would not see the cluster column"):
        run(frame, study, design=reused, standard_error="paired", cluster="clinician")


def test_scores_are_those_of_the_population() -> None:
    """Trimming where a tenth of the untreated were drawn keeps whom the scores without the offset -log f keep."""
    frame, study = clustered()
    bounds, log_f = np.array([0.02, 0.05]), np.log(0.1)
    odds = np.log(bounds / (1 - bounds)) - log_f
    there = 1 / (1 + np.exp(-odds))
    sampled = run(
        frame,
        study,
        design=WEIGHTING | {"trim": {"lower": bounds[0], "upper": bounds[1]}},
        standard_error="robust",
        propensity={"sampling_fraction": 0.1},
    )
    whole = run(
        frame, study, design=WEIGHTING | {"trim": {"lower": there[0], "upper": there[1]}}, standard_error="robust"
    )
    assert sampled.effect.value == pytest.approx(whole.effect.value, rel=1e-9)
    assert sampled.n_rows == whole.n_rows


@pytest.mark.parametrize(
    "analysis",
    [
        {"design": GREEDY, "exact": ("clinician",)},
        {"design": GREEDY, "cluster": "clinician"},
        {"design": GREEDY | {"differ": ("clinician",)}},
        {"design": GREEDY | {"prefer": ({"key": "clinician", "penalty": 1.0},)}},
        {"design": {"method": "fine_balance", "ratio": 1, "caliper": None, "balance": ("clinician",)}},
    ],
)
def test_what_is_missing_agrees_with_nothing(analysis: dict[str, Any]) -> None:
    """A key with gaps is refused with the count rule; one that is declared and not used may have them."""
    frame, study = clustered()
    frame["clinician"] = frame["clinician"].astype(float).where(frame.index >= 4)
    said = refused(frame, study, standard_error="robust", **analysis)
    assert (said.code, "'clinician'" in said.message) == ("flat.missing", True)
    assert "fewer than 11" in said.message
    assert run(frame, study, design=GREEDY, standard_error="robust").n_rows == len(frame)


def test_strata_are_no_clusters() -> None:
    """Six strata do not leave six observations: each row stands for itself, a cluster column given or else."""
    whole = analysed("lalonde", design={"method": "subclassification", "subclasses": 6}, standard_error="robust")
    effect = whole.effect
    assert isinstance(effect, LinearEffect)
    assert effect.n_clusters == effect.n_treated + effect.n_comparison > 600
    frame, study = clustered()
    strata = {"method": "subclassification", "subclasses": 5}
    by_clinician = run(frame, study, design=strata, standard_error="robust", cluster="clinician").effect
    assert isinstance(by_clinician, LinearEffect)
    assert by_clinician.n_clusters == 25


@pytest.mark.parametrize(
    "propensity", [{"model": "elastic_net"}, {"cross_fit": 3}, {"sampling_fraction": 0.5}], ids=lambda p: next(iter(p))
)
def test_estimated_weights_need_maximum_likelihood(propensity: dict[str, Any]) -> None:
    """Where the estimating equations are not those of maximum likelihood, nothing is said about the estimation."""
    said = refused(*clustered(), design=WEIGHTING, standard_error="estimated_weights", propensity=propensity)
    assert said.code == "flat.estimated_weights"


# Estimators with a model of the outcome.

EVERYONE: dict[str, Any] = {"method": "propensity", "estimand": "ATE"}
ROBUST: dict[str, Any] = {"standard_error": "robust"}


@pytest.mark.parametrize("name", ["nhefs_doubly_robust", "nhefs_standardisation"])
def test_examples_reproduce_what_is_published(name: str) -> None:
    """The two examples run from their files, and every published value agrees."""
    path = EXAMPLES / f"{name}.yaml"
    study = load_study(path).study
    assert isinstance(study, FlatTableStudy)
    text, value = analyse(study, path)
    assert [line["agrees"] for line in value["published"]] == [True] * len(study.published)
    assert study.published
    assert "   NO   " not in text
    one, zero = value["means"]
    assert one - zero == pytest.approx(value["estimate"], rel=1e-9)


def plain(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, arm and the one covariate of the table with clinicians."""
    return frame["score"].to_numpy(), frame["treated"].to_numpy() == 1, frame[["age"]].to_numpy()


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE"])
def test_two_models_follow_the_study(estimand: Any) -> None:
    """AIPW and TMLE get the estimand, the clusters, the folds and the models that the file declares.

    Their errors by cluster are corrected for few and uneven clusters.
    """
    frame, study = clustered()
    frame, key = in_canonical_order(frame, made(study))
    y, arm, x = plain(frame)
    clusters = pd.factorize(frame["clinician"])[0]
    design = {"method": "propensity", "estimand": estimand}
    pooled = {"arms": "pooled", "interactions": ("age",), "folds": 4, "truncate": 0.02}
    model = OutcomeModel(arms="pooled", interactions=("age",))
    common: dict[str, Any] = {
        "names": ("age",),
        "estimand": estimand,
        "clusters": clusters,
        "key": key,
        "folds": 4,
        "truncate": 0.02,
    }
    said = {"design": design, "cluster": "clinician", "minimum_clusters": 2, **ROBUST}
    found = run(frame, study, estimator={"method": "aipw"} | pooled, **said)

    def by_cluster(plain: DoublyRobust) -> Contrast:
        return figures(corrected(plain.effect, plain.influence, arm, plain.weight, clusters))

    assert found.effect == by_cluster(aipw(y, arm, x, outcome_model=model, **common))
    bounded = {"method": "tmle", "lower": -20, "upper": 30, "outcome_model": "linear"} | pooled
    targeted = run(frame, study, estimator=bounded, **said)
    assert targeted.effect == by_cluster(tmle(y, arm, x, outcome_model=model, bounds=(-20, 30), **common))
    assert (found.estimand, found.method) == (estimand, "augmented weighting, cross-fitted in 4 folds")
    assert (targeted.method, targeted.n_sets) == ("targeted likelihood, cross-fitted in 4 folds", None)
    assert found.means is not None
    assert found.balance


def test_trees_of_the_outcome_need_a_seed() -> None:
    """Trees of the outcome ask for a seed, and give the same answer twice."""
    frame, study = clustered(120)
    trees = {"method": "aipw", "outcome_model": "boosting", "seed": 1, "folds": 2, "repeats": 1}
    one, other = (run(frame, study, estimator=trees, **ROBUST).effect for _ in range(2))
    assert one == other
    with pytest.raises(ValidationError, match="a seed belongs to outcome_model"):
        run(frame, study, estimator=trees | {"seed": None}, **ROBUST)


def test_the_median_of_lots_follows_the_study() -> None:
    """Five lots of folds are the engine's answers under their keys, by row and by cluster; trees have three unasked."""
    frame, study = clustered()
    frame, key = in_canonical_order(frame, made(study))
    y, arm, x = plain(frame)
    clusters = pd.factorize(frame["clinician"])[0]
    aipw_of = {"method": "aipw", "outcome_model": "ridge", "repeats": 5}
    found = run(frame, study, estimator=aipw_of, cluster="clinician", minimum_clusters=2, **ROBUST)
    model = OutcomeModel(kind="ridge")
    each = [
        aipw(y, arm, x, names=("age",), estimand="ATE", clusters=clusters, key=one, outcome_model=model)
        for one in keys_of_lots(key, 5)
    ]
    by_cluster = [corrected(one.effect, one.influence, arm, one.weight, clusters) for one in each]
    assert len({one.value for one in by_cluster}) == 5
    assert found.effect == figures(median_of_lots(by_cluster))
    assert found.means is not None
    assert found.means[0].value - found.means[1].value == pytest.approx(found.effect.value, rel=1e-8)
    assert found.method == "augmented weighting, cross-fitted in 5 folds, the median of 5 lots of folds"
    few = run(frame, study, estimator=aipw_of, cluster="clinician", minimum_clusters=30, **ROBUST).effect
    assert few.value == found.effect.value
    assert few.std_error >= found.effect.std_error
    trees = {"method": "aipw", "outcome_model": "boosting", "seed": 1}
    asks = [(trees, 3), (trees | {"repeats": 1}, 1), (trees | {"folds": None}, 1), (aipw_of | {"repeats": None}, 1)]
    assert [made(study, estimator=one, **ROBUST).analysis.lots for one, _ in asks] == [lots for _, lots in asks]
    scores = {"propensity": {"model": "average", "seed": 1}, "estimator": {"method": "aipw"}}
    assert made(study, **scores, **ROBUST).analysis.lots == 3


def test_an_average_of_models_of_the_outcome() -> None:
    """The file's average is the engine's."""
    frame, study = clustered(120)
    frame, key = in_canonical_order(frame, made(study))
    y, arm, x = plain(frame)
    declared = {"method": "aipw", "outcome_model": "average", "seed": 1, "folds": 2, "repeats": 1}
    found = run(frame, study, estimator=declared, **ROBUST)
    model = OutcomeModel(kind="average")
    rng = np.random.default_rng([1, 0])
    same = aipw(y, arm, x, names=("age",), estimand="ATE", key=key, folds=2, outcome_model=model, rng=rng)
    assert found.effect == figures(same.effect)


def test_a_model_that_trees_outpredict_is_told() -> None:
    """A bend that no line follows is measured beside the answer of a line, in either unit; trees are not asked."""
    frame, study = clustered(600)
    bent = frame.assign(score=frame["score"] + (frame["age"] - 40).abs())
    bounded = {"method": "tmle", "lower": -50, "upper": 90}

    def beside(table: pd.DataFrame, **estimator: Any) -> Outpredicted | None:
        return run(table, study, estimator=estimator, **ROBUST).diagnostics.outpredicted

    assert beside(frame, method="aipw") == Outpredicted(kind="linear", share=0.0)
    shares = []
    for method in ({"method": "aipw"}, bounded | {"outcome_model": "linear"}):
        found = beside(bent, **method)
        assert found is not None
        shares.append(found.share)
    assert shares[0] == pytest.approx(shares[1], rel=0.02)
    assert shares[0] is not None
    assert shares[0] > 0.5
    assert beside(frame, method="aipw", folds=None) == Outpredicted(
        kind="linear", share=None, reason="it is not cross-fitted"
    )
    assert beside(frame[:200], method="aipw", outcome_model="boosting", seed=1, folds=2, repeats=1) is None


def test_standardisation_of_the_whole_table() -> None:
    """Everyone where nothing is said; the treated by a design; events have a ratio besides; no balance is claimed."""
    frame, study = clustered()
    frame["score"] = (frame["score"] > frame["score"].median()).astype(int)
    frame, _ = in_canonical_order(frame, made(study))
    y, arm, x = plain(frame)
    logistic = {"method": "standardisation", "outcome_model": "logistic"}
    found = run(frame, study, estimator=logistic, cluster="clinician", minimum_clusters=2, **ROBUST)
    clusters = pd.factorize(frame["clinician"])[0]
    by_hand = g_computation(y.astype(float), arm, x, None, clusters, names=("age",), estimand="ATE", family="logistic")
    assert (found.effect, found.log_ratio) == figures((by_hand.effect, by_hand.log_ratio))
    assert (found.estimand, found.n_sets, found.balance) == ("ATE", None, ())
    treated = run(frame, study, estimator=logistic, design=WEIGHTING, **ROBUST)
    assert (treated.estimand, treated.effect.value != found.effect.value) == ("ATT", True)


def test_g_computation_after_matching_is_r_s() -> None:
    """LaLonde, 1:1 within a caliper: MatchIt and marginaleffects (R 4.2.2) find 1347.437885 by the same model."""
    design = {"method": "greedy", "ratio": 1, "caliper": CALIPER}
    found = analysed("lalonde", design=design, estimator={"method": "g_computation"}, **ROBUST)
    assert (found.effect.value, found.n_sets) == (figures(1347.43788487814), 117)
    assert isinstance(found.effect, Contrast)
    assert found.method == "greedy 1:1, highest first, with a linear model of the outcome"
    assert found.balance


@pytest.mark.parametrize("estimand", ["ATT", "ATC", "ATE", "ATO"])
def test_g_computation_in_weighted_rows(estimand: str) -> None:
    """Weights make the arms comparable; the average is over people, under overlap weights over the weights."""
    frame, study = clustered()
    y, arm, x = plain(frame)
    found = run(
        frame,
        study,
        design={"method": "propensity", "estimand": estimand},
        estimator={"method": "g_computation"},
        **ROBUST,
    )
    weight = np.ones(y.size)
    for e in [fit_propensity(x, arm, names=("age",)).probability]:
        both = {"ATT": (1, e / (1 - e)), "ATC": ((1 - e) / e, 1), "ATE": (1 / e, 1 / (1 - e)), "ATO": (1 - e, e)}
        weight = np.where(arm, *both[estimand])
    people = {"ATT": arm, "ATC": ~arm, "ATE": np.ones(y.size), "ATO": weight}[estimand]
    means = []
    for rows in (arm, ~arm):
        slope, intercept = np.polyfit(x[rows, 0], y[rows], 1, w=np.sqrt(weight[rows]))
        means.append(np.average(intercept + slope * x[:, 0], weights=people))
    assert found.effect.value == pytest.approx(means[0] - means[1], rel=1e-7)
    assert found.notes == ("the standard error takes the weights for known",)


def test_g_computation_of_reused_units_needs_a_cluster() -> None:
    """As for the plain difference."""
    frame, study = clustered()
    reused = GREEDY | {"replacement": True}
    regression = {"method": "g_computation"}
    assert refused(frame, study, design=reused, estimator=regression, **ROBUST).code == "flat.reused"
    held = run(frame, study, design=reused, estimator=regression, cluster="clinician", **ROBUST)
    assert held.effect.df < 25


def test_strata_are_no_clusters_of_a_regression() -> None:
    """LaLonde in six strata: rows stand for themselves, and the effect is R's, 1723.859683."""
    strata = {"method": "subclassification", "subclasses": 6}
    found = analysed("lalonde", design=strata, estimator={"method": "g_computation"}, **ROBUST)
    assert found.effect.value == figures(1723.85968346227)
    assert found.effect.df > 50


def test_an_interaction_with_a_category_is_one_with_all_its_indicators() -> None:
    """LaLonde: naming race lets both of its slopes differ by treatment, naming it beside the numbers is naming all."""
    everything = ("age", "educ", "married", "nodegree", "re74", "re75", "race")
    whole = {"design": EVERYONE, **ROBUST}
    found, all_of_them, race, none = (
        analysed("lalonde", estimator={"method": "standardisation", "interactions": named}, **whole).effect.value
        for named in (everything, None, ("race",), ())
    )
    assert found == all_of_them
    assert len({found, race, none}) == 3


@pytest.mark.parametrize(
    ("analysis", "said"),
    [
        ({"design": GREEDY, "standard_error": "paired", "cluster": "clinician"}, "would not see the cluster column"),
        ({"standard_error": "robust"}, "needs a design"),
        ({"estimator": {"method": "g_computation"}, "standard_error": "robust"}, "needs a design"),
        ({"estimator": {"method": "aipw"}, "standard_error": "paired"}, "set standard_error to robust"),
        (
            {"design": WEIGHTING, "estimator": {"method": "g_computation"}, "standard_error": "estimated_weights"},
            "set standard_error to robust",
        ),
        ({"design": GREEDY, "estimator": {"method": "tmle", "lower": 0, "upper": 1}, **ROBUST}, "uses everybody"),
        ({"design": WEIGHTING | {"estimand": "ATO"}, "estimator": {"method": "aipw"}, **ROBUST}, "uses everybody"),
        (
            {"design": WEIGHTING | {"stabilised": True}, "estimator": {"method": "standardisation"}, **ROBUST},
            "uses everybody",
        ),
        ({"estimator": {"method": "aipw"}, "propensity": {"cross_fit": 5}, **ROBUST}, "drop cross_fit"),
        ({"estimator": {"method": "aipw"}, "propensity": {"sampling_fraction": 0.5}, **ROBUST}, "drop sampling"),
        ({"estimator": {"method": "aipw", "interactions": ("age",)}, **ROBUST}, "set arms to pooled"),
        ({"estimator": {"method": "tmle", "lower": 1, "upper": 1}, **ROBUST}, "lower must be below upper"),
        ({"estimator": {"method": "aipw", "repeats": 2}, **ROBUST}, "repeats is an odd number"),
        ({"estimator": {"method": "aipw", "repeats": 3, "folds": None}, **ROBUST}, "without folds it is 1"),
        (
            {"estimator": {"method": "standardisation", "interactions": ("agee",)}, **ROBUST},
            "got 'agee', which is no covariate of columns.numeric or columns.categorical; did you mean 'age'?",
        ),
    ],
)
def test_what_a_study_cannot_mean(analysis: dict[str, Any], said: str) -> None:
    """Parts that exclude each other, or would be ignored, are refused before any data are read."""
    frame, study = clustered()
    with pytest.raises(ValidationError, match=said):
        run(frame, study, **analysis)


def test_refusals_of_estimators_hold_no_category() -> None:
    """A doctor who saw treated people only is named by column, under every estimator that needs scores."""
    for method in ({"method": "aipw"}, {"method": "tmle", "lower": -50, "upper": 50}):
        with pytest.raises(EstimationError) as apart:
            run(*with_doctors(), estimator=method, **ROBUST)
        assert apart.value.code == "estimation.positivity"
        assert "doctor" in str(apart.value)
        assert "Dr " not in str(apart.value)
    frame, study = with_doctors()
    with pytest.raises(EstimationError) as refusal:
        run(frame, study, estimator={"method": "standardisation"}, **ROBUST)
    assert refusal.value.code == "estimation.not_estimable"
    assert "doctor: category 2" in str(refusal.value)
    assert "Dr " not in str(refusal.value)


def test_the_ratio_and_the_notes_are_printed() -> None:
    """LaLonde, marriage as the outcome: the ratio stands beside the difference, and what the error leaves out."""
    path = EXAMPLES / "lalonde.yaml"
    study = load_study(path).study.model_dump(mode="python")
    study["columns"] |= {"outcome": "married", "numeric": ("age", "educ", "nodegree", "re74", "re75")}
    study |= {"published": ()}
    study["analysis"] |= {
        "design": EVERYONE,
        "estimator": {"method": "g_computation", "outcome_model": "logistic", "interactions": ()},
        **ROBUST,
    }
    made = STUDY.validate_python(study)
    assert isinstance(made, FlatTableStudy)
    text, value = analyse(made, path)
    one, zero = value["means"]
    assert value["ratio"] == pytest.approx(one / zero, rel=1e-9)
    assert f"ratio {one / zero:.4f}, 95% interval" in text
    assert "note: the standard error takes the weights for known" in text
    assert f"mean had all been treated {one:.4f}" in text


PAIRS = {"method": "greedy", "ratio": 1, "caliper": None}
ROUTES: dict[str, dict[str, Any]] = {
    "pairs": {"design": PAIRS, "standard_error": "paired"},
    "sets": {"design": PAIRS | {"ratio": 2}, **ROBUST},
    "strata": {"design": {"method": "subclassification", "subclasses": 3}, **ROBUST},
    "full": {"design": {"method": "full", "caliper": None}, **ROBUST},
    "reuse": {"design": PAIRS | {"replacement": True}, "standard_error": "abadie_imbens"},
    "weights": {"design": WEIGHTING, **ROBUST},
    "weights, clustered": {"design": WEIGHTING, "cluster": "clinician", **ROBUST},
    "estimated weights": {"design": WEIGHTING, "standard_error": "estimated_weights"},
    "entropy": {"design": {"method": "entropy_balancing", "estimand": "ATT"}, "standard_error": "estimated_weights"},
    "g-computation": {"design": PAIRS, "estimator": {"method": "g_computation"}, **ROBUST},
    "standardisation": {"design": EVERYONE, "estimator": {"method": "standardisation"}, **ROBUST},
    "AIPW": {"estimator": {"method": "aipw", "folds": 2}, **ROBUST},
    "TMLE": {"estimator": {"method": "tmle", "folds": 2, "lower": -50, "upper": 50}, **ROBUST},
}


@pytest.mark.parametrize("constant", ["both", "treated", "comparison"])
@pytest.mark.parametrize("route", ROUTES)
def test_an_arm_without_variation_has_no_interval(route: str, constant: str) -> None:
    """No event in both arms, or the same outcome throughout one: refused by one code on every route, none with width 0.

    The other arm varies, so that an interval made of it alone would look like any other.
    """
    frame, study = clustered()
    run(frame, study, **ROUTES[route])  # with the outcome as it is there is an interval
    arm = frame["treated"] == 1
    alike = {"both": arm | ~arm, "treated": arm, "comparison": ~arm}[constant]
    for value, others in ((0.0, (frame["score"] > 5) * 1.0), (1.0, (frame["score"] > 5) * 1.0), (4.2, frame["score"])):
        with pytest.raises(EstimationError) as refusal:
            run(frame.assign(score=np.where(alike, value, others)), study, **ROUTES[route])
        assert refusal.value.code == "estimation.constant_outcome"
        assert str(value) not in refusal.value.message


def test_every_declared_column_has_its_fate() -> None:
    """One that others determine is balanced and named with them; numbers and categories alike, no level told."""
    frame, study = clustered()
    frame["twice"] = 2 * frame["age"] + 1
    frame["older"] = np.where(frame["age"] > frame["age"].median(), "old", "young")
    frame["old"] = (frame["older"] == "old") * 1
    columns = study["columns"] | {"numeric": ("age", "twice", "old"), "categorical": ("older",)}
    found = run(frame, study | {"columns": columns}, design=WEIGHTING, standard_error="robust")
    assert [(one.name, one.said) for one in found.fates] == [
        ("age", "adjusted"),
        ("twice", "collinear with age"),
        ("old", "adjusted"),
        ("older", "collinear with old"),
    ]
    assert {row.name for row in found.balance} == {"age", "twice", "old", "older: old", "older: young"}


@pytest.mark.parametrize("estimator", [{"method": "difference"}, {"method": "standardisation"}, {"method": "aipw"}])
@pytest.mark.parametrize("column", ["age", "ward"])
def test_a_column_in_which_nobody_differs_is_refused(estimator: dict[str, Any], column: str) -> None:
    """A constant number, or a category of one level, adjusts for nothing, whatever the estimator."""
    frame, study = clustered()
    frame = frame.assign(ward="east" if column == "ward" else np.where(frame["age"] > 40, "east", "west"))
    frame = frame.assign(age=41.0) if column == "age" else frame
    more = study | {"columns": study["columns"] | {"categorical": ("ward",)}}
    words = {} if estimator["method"] != "difference" else {"design": WEIGHTING}
    said = refused(frame, more, estimator=estimator, standard_error="robust", **words)
    assert said.code == "design.constant_covariate"
    assert column in said.message
    assert "east" not in str(said)


@pytest.mark.parametrize("route", ["pairs", "sets", "full", "weights", "estimated weights", "g-computation"])
def test_a_level_of_few_rows_is_left_out_with_a_note(route: str) -> None:
    """Four rows of a category, all comparisons: their level leaves, named by number; thirty of one arm are refused."""
    frame, study = clustered()
    study["columns"] = study["columns"] | {"categorical": ("ward",)}
    comparisons = np.flatnonzero(frame["treated"] == 0)
    ward = np.array(["a", "b"], dtype=object)[np.arange(len(frame)) % 2]
    few, many = ward.copy(), ward.copy()
    few[comparisons[:4]], many[comparisons[:30]] = "rare ward", "rare ward"
    found = run(frame.assign(ward=few), study, **ROUTES[route])
    assert any("few rows" in note and "ward: category 3" in note for note in found.notes)
    assert not any("rare ward" in note for note in found.notes)
    assert refused(frame.assign(ward=many), study, **ROUTES[route]).code == "design.separation"


WAYS: tuple[dict[str, Any], ...] = (
    {"design": {"method": "greedy", "ratio": 1, "caliper": CALIPER}, **ROBUST},
    {"design": WEIGHTING, **ROBUST},
    {"design": WEIGHTING, "standard_error": "estimated_weights"},
    {"design": WEIGHTING, "estimator": {"method": "g_computation"}, **ROBUST},
    {"estimator": {"method": "standardisation"}, **ROBUST},
    {"estimator": {"method": "aipw", "folds": 4}, **ROBUST},
    {"estimator": {"method": "tmle", "folds": 4, "lower": -40, "upper": 60, "outcome_model": "linear"}, **ROBUST},
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("arm", [0, 1])
def test_an_arm_in_one_cluster_is_refused_whatever_the_estimator(way: dict[str, Any], arm: int) -> None:
    """All treated, or all others, in one cluster: no estimator of a flat table gives a number."""
    frame, study = clustered()
    _, treated, _ = plain(frame)
    frame["clinician"] = frame["clinician"].where(treated != arm, frame["clinician"].iloc[0])
    with pytest.raises(EstimationError, match=r"^\[estimation\.arm_in_one_cluster\]"):
        run(frame, study, cluster="clinician", **way)


@pytest.mark.parametrize("way", WAYS)
def test_few_clusters_give_the_wider_interval(way: dict[str, Any]) -> None:
    """Below the minimum the wider of both intervals, and a note that says which; the value is the same."""
    frame, study = clustered()
    by_cluster = run(frame, study, cluster="clinician", minimum_clusters=2, **way)
    told = run(frame, study, cluster="clinician", minimum_clusters=1000, **way)
    assert told.effect.value == by_cluster.effect.value
    assert told.effect.upper - told.effect.lower >= by_cluster.effect.upper - by_cluster.effect.lower
    assert "the wider is told" in told.notes[-1]
    by = told.notes[-1].rsplit(" ", 1)[1]
    assert (by == "cluster") == (told.effect == by_cluster.effect)
    if way.get("estimator", {}).get("method") not in ("aipw", "tmle"):  # there clusters make the folds too
        alone = run(frame, study, **way).effect
        width = max(one.upper - one.lower for one in (alone, by_cluster.effect))
        assert told.effect.upper - told.effect.lower == pytest.approx(width, rel=1e-12)


@pytest.mark.parametrize("estimator", [{"method": "difference"}, {"method": "g_computation"}])
def test_few_clusters_of_reused_rows_are_told_and_kept(estimator: dict[str, Any]) -> None:
    """Sets that share rows have no interval of their own: the clusters' is told, with the reason, and as it was."""
    frame, study = clustered()
    way = {"design": PAIRS | {"replacement": True}, "estimator": estimator, "cluster": "clinician", **ROBUST}
    enough = run(frame, study, minimum_clusters=2, **way)
    few = run(frame, study, minimum_clusters=1000, **way)
    assert few.effect == enough.effect
    why = (
        "fewer than 1000 clusters: the interval is by cluster all the same, because rows stand in several matched sets "
    )
    assert few.notes == (*enough.notes, f"{why}and one by matched set would not know of it")
    assert enough.method.partition(", with a ")[0] == "greedy 1:1, highest first, with replacement"


def rare_rows(category: list[str], treated: list[int], outcome: list[float]) -> pd.DataFrame:
    """A table of one category besides 112 ordinary rows of two levels, both of which both arms have."""
    rng = np.random.default_rng(7)
    s, w = rng.choice(["a", "b"], 112), np.arange(112) % 2
    y = (s == "b") + rng.normal(size=112)
    return pd.DataFrame({"s": [*s, *category], "w": [*w, *treated], "y": [*y, *outcome]})


def of_category(frame: pd.DataFrame, **analysis: Any) -> FlatResult:
    """What a study that adjusts for the category alone finds."""
    return analyse_flat_table(frame, study_of({"treatment": "w", "outcome": "y", "categorical": ("s",)}, analysis))


def study_of(columns: dict[str, Any], analysis: dict[str, Any]) -> FlatTableStudy:
    """The example study with other columns and another analysis."""
    plain = load_study(EXAMPLES / "lalonde.yaml").study.model_dump(mode="python")
    plain |= {"columns": columns, "analysis": {"standard_error": "robust"} | analysis, "published": ()}
    made = STUDY.validate_python(plain)
    assert isinstance(made, FlatTableStudy)
    return made


def test_two_rare_levels_are_no_stratum() -> None:
    """Four treated of one level and four untreated of another are unlike: strata are as without them."""
    rare = rare_rows(["t"] * 4 + ["c"] * 4, [1] * 4 + [0] * 4, [100.0] * 4 + [0.0] * 4)
    design = {"method": "coarsened_exact", "covariates": ("s",)}
    found, without = of_category(rare, design=design), of_category(rare.iloc[:112], design=design)
    assert found.n_sets == without.n_sets == 2
    assert found.effect.value == pytest.approx(without.effect.value, rel=1e-8)


@pytest.mark.parametrize("rows", [40, 200])
def test_a_level_of_one_arm_is_seen_though_it_is_the_most_frequent(rows: int) -> None:
    """The level that models would leave out is another one then, and nobody stands for its rows."""
    frame = rare_rows(["big"] * rows, [0] * rows, [20.0] * rows)
    with pytest.raises(EstimationError) as caught:
        of_category(frame, estimator={"method": "aipw"})
    assert caught.value.code == "estimation.positivity"
    with pytest.raises(DesignError) as apart:
        of_category(frame, design={"method": "propensity", "estimand": "ATE"})
    assert (apart.value.code, "category 3" in str(apart.value)) == ("design.separation", True)


def test_a_covariate_of_rare_levels_only_is_not_adjusted_for_in_name() -> None:
    """Sixty levels of four rows, each of one arm: refused, though each by itself might be chance."""
    level = np.repeat(np.arange(60), 4)
    w, rng = level % 2, np.random.default_rng(3)
    frame = pd.DataFrame({"s": [f"d{k}" for k in level], "w": w, "y": 2.0 * w + rng.normal(size=240)})
    for analysis in ({"design": {"method": "propensity", "estimand": "ATE"}}, {"estimator": {"method": "aipw"}}):
        with pytest.raises(DesignError) as caught:
            of_category(frame, **analysis)
        assert caught.value.code == "design.rare_levels"


def test_what_was_adjusted_but_for_rare_levels_is_told_so() -> None:
    """One level of three treated rows leaves the model; its column is not called adjusted without more."""
    found = of_category(rare_rows(["t"] * 3, [1] * 3, [0.0] * 3), design={"method": "propensity", "estimand": "ATT"})
    assert [one.said for one in found.fates] == ["adjusted, but for levels that one group alone has, in few rows"]


def test_a_table_without_rows_is_refused() -> None:
    """A header alone is no table, categories or not."""
    with pytest.raises(DesignError) as caught:
        of_category(rare_rows([], [], []).iloc[:0], design={"method": "propensity", "estimand": "ATE"})
    assert caught.value.code == "flat.empty"


def test_nearly_all_of_an_arm_in_one_cluster_is_refused() -> None:
    """Moving one row out of the cluster that holds an arm makes no honest interval; a study may allow it."""
    frame = rare_rows([], [], []).assign(c=np.arange(112) % 28)
    frame.loc[frame["w"] == 1, "c"] = 1
    frame.loc[frame.index[frame["w"] == 1][0], "c"] = 3
    columns = {"treatment": "w", "outcome": "y", "categorical": ("s",), "keys": ("c",)}
    ate = {"design": {"method": "propensity", "estimand": "ATE"}, "cluster": "c"}
    with pytest.raises(EstimationError) as caught:
        analyse_flat_table(frame, study_of(columns, ate))
    assert caught.value.code == "estimation.cluster_share"
    assert analyse_flat_table(frame, study_of(columns, ate | {"maximum_cluster_share": 1.0})).effect.std_error > 0


def test_rows_of_one_person_are_no_independent_rows() -> None:
    """With `person` and no cluster, robust errors are those of persons; a paired one says what it cannot see."""
    frame = rare_rows([], [], []).assign(p=np.arange(112) // 2)
    columns = {"treatment": "w", "outcome": "y", "categorical": ("s",), "keys": ("p",)}
    greedy = {"design": {"method": "greedy", "ratio": 1, "caliper": None}, "person": "p"}
    by_person = analyse_flat_table(frame, study_of(columns, greedy))
    told = analyse_flat_table(frame, study_of(columns, greedy | {"cluster": "p"}))
    assert by_person.effect.std_error == told.effect.std_error
    paired = analyse_flat_table(frame, study_of(columns, greedy | {"standard_error": "paired"}))
    assert any("rows of one person for independent" in note for note in paired.notes)


@pytest.mark.parametrize("way", [{"design": WEIGHTING}, {"estimator": {"method": "aipw", "folds": None}}])
def test_a_penalised_model_of_treatment_is_told(way: dict[str, Any]) -> None:
    """With fewer than ten treated rows a column the fit is Firth's, and the notes say so; with more they do not."""
    frame, study = clustered()
    few = frame[(frame["treated"] == 0) | ((frame["treated"] == 1).cumsum() <= 8)]
    told = "it is fitted by Firth's penalised likelihood"
    assert any(told in note for note in run(few, study, standard_error="robust", **way).notes)
    assert not any(told in note for note in run(frame, study, standard_error="robust", **way).notes)


def test_rows_without_an_outcome_are_left_out_only_where_it_is_said() -> None:
    """The answer is that of the other rows, and the shares that are known by arm are told; undeclared it is refused."""
    frame, study = clustered()
    gone = ((frame["treated"] == 1) & (frame.index % 4 == 0)).to_numpy()
    gaps = frame.assign(score=frame["score"].where(~gone))
    said = refused(gaps, study, design=WEIGHTING, standard_error="robust")
    assert (said.code, "leave_out" in str(said)) == ("flat.missing", True)
    found = run(gaps, study, design=WEIGHTING, standard_error="robust", missing_outcome="leave_out")
    assert found.effect == run(frame[~gone], study, design=WEIGHTING, standard_error="robust").effect
    treated, comparison = found.diagnostics.response
    assert (treated, comparison) == pytest.approx((1 - gone.sum() / (frame["treated"] == 1).sum(), 1.0))
    nobody = frame.assign(score=frame["score"].where(frame["treated"] == 0))
    none = refused(nobody, study, design=WEIGHTING, standard_error="robust", missing_outcome="leave_out")
    assert none.code == "flat.no_outcome"


def test_the_diagnostics_are_those_of_the_weights_used() -> None:
    """Effective numbers, largest share, who has no counterpart, by hand from R-checked propensity weights."""
    frame, study = clustered()
    found = run(frame, study, design=WEIGHTING, standard_error="robust", cluster="clinician").diagnostics
    _, arm, x = plain(frame)
    e = fit_propensity(x, arm, names=("age",)).probability
    odds = (e / (1 - e))[~arm]
    assert found.comparison.effective == pytest.approx(odds.sum() ** 2 / (odds**2).sum(), rel=1e-6)
    assert found.comparison.largest == pytest.approx(odds.max() / odds.sum(), rel=1e-6)
    assert (found.treated.rows, found.treated.effective) == (arm.sum(), arm.sum())
    beyond = (e[arm] > e[~arm].max()) | (e[arm] < e[~arm].min())
    assert found.without_counterpart == pytest.approx(beyond.mean())
    assert found.after is not None
    assert (found.before[0], found.after[0], found.after[1] < found.before[1]) == ("age", "age", True)
    assert found.clusters is not None
    assert found.clusters.total == 25


def test_who_is_not_in_the_comparison_is_counted() -> None:
    """Matched within race, 69 of LaLonde's 185 treated men find nobody."""
    exact = analysed("lalonde", design=GREEDY, standard_error="robust", exact=("race",)).diagnostics
    assert exact.left_out == pytest.approx(69 / 185)
