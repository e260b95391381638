"""The rows an estimate rests on: who leaves, what those who stay weigh, what stands for itself, and in which words."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.design.covariates import MISSING_SUFFIX
from causal.effect.contrast import Contrast, student
from causal.effect.sample import Sample, cluster_codes, sample_of, without_excluded
from causal.errors import EstimationError
from causal.protocol import OccasionStudy
from causal.records import ComparisonGroups
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"
N_SETS = 24
N = 3 * N_SETS


@pytest.fixture(scope="module")
def study() -> OccasionStudy:
    """The flagship study, whose clinicians are enough from six on."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded.model_copy(update={"estimator": loaded.estimator.model_copy(update={"minimum_clusters": 6})})


def estimating(study: OccasionStudy, **words: Any) -> OccasionStudy:
    """The study with other words about its estimator."""
    return study.model_copy(update={"estimator": study.estimator.model_copy(update=words)})


def groups(**other: Any) -> ComparisonGroups:
    """Sets of one treated and two comparisons, six clinicians in two clinics, two occasions of each patient."""
    rows = np.arange(N)
    members = pd.DataFrame(
        {
            "set_id": rows // 3,
            "treated": rows % 3 == 0,
            "weight": np.where(rows % 3 == 0, 1.0, 0.5),
            "ta_id": [f"t{i}" for i in rows],
            "person_id": [f"p{i}" for i in rows // 2],
            "clinician_id": [f"c{i % 6}" for i in rows // 2],
            "clinic_id": [f"k{i % 2}" for i in rows // 2],
        }
    )
    made = ComparisonGroups(
        members=members,
        covariates=np.column_stack([rows.astype(float), rows % 5 == 0]),
        covariate_names=("severity", "severity" + MISSING_SUFFIX),
        estimand="ATT",
        estimand_label="ATT",
        grouping="matched set",
    )
    return dataclasses.replace(made, **other)


def leaving(*rows: int) -> np.ndarray:
    """These rows leave the estimand."""
    excluded = np.zeros(N, dtype=np.bool_)
    excluded[[*rows]] = True
    return excluded


def test_every_column_is_of_those_who_stay(study: OccasionStudy) -> None:
    """The treated of one set leaves, a comparison of another: arm, weight, codes and facts are those of the rest."""
    found = sample_of(groups(), leaving(0, 4), study)
    rows = [3, *range(5, N)]
    assert np.flatnonzero(found.kept).tolist() == rows
    assert found.treated.tolist() == [row % 3 == 0 for row in rows]
    assert found.weights.tolist() == [1.0, 1.0, *[1.0, 0.5, 0.5] * (N_SETS - 2)]
    assert found.occasions.tolist() == list(range(len(rows)))
    assert found.sets.tolist() == [row // 3 - 1 for row in rows]
    assert found.patients.tolist() == [row // 2 - 1 for row in rows]
    assert found.clusters.tolist() == [(row // 2 - 1) % 6 for row in rows]
    assert found.covariates[:, 0].tolist() == rows
    assert found.covariates[:, 1].tolist() == [row % 5 == 0 for row in rows]


def test_facts_are_told_from_bends_and_from_what_has_no_column(study: OccasionStudy) -> None:
    """One fact of two that were declared has a column: it comes with its indicator and a bend, the other is named."""
    asked = estimating(study, adjust_for=("severity", "duration_days"))
    found = sample_of(groups(), leaving(), asked)
    assert found.facts == ("severity", "severity" + MISSING_SUFFIX)
    assert found.names == (*found.facts, "severity, bend")
    assert found.covariates.shape == (N, 3)
    assert found.left_out == ("duration_days",)


def test_sets_stand_for_themselves_unless_they_overlap(study: OccasionStudy) -> None:
    """With a comparison in two sets, and under weighting, it is the patient that stands for itself."""
    plain = sample_of(groups(), leaving(), study)
    assert (plain.unit_label, plain.units.tolist()) == ("matched set", plain.sets.tolist())
    reused = groups().members.assign(ta_id=lambda frame: frame["ta_id"].replace({"t4": "t1"}))
    for other in (groups(members=reused), groups(grouping="weight")):
        found = sample_of(other, leaving(), study)
        assert (found.unit_label, found.units.tolist()) == ("patient", found.patients.tolist())


@pytest.mark.parametrize(("level", "n"), [("clinician", 6), ("clinic", 2)])
def test_clusters_are_of_the_declared_level(study: OccasionStudy, level: Any, n: int) -> None:
    """Clinicians or clinics, as the study says: six of the ones, two of the others."""
    found = sample_of(groups(), leaving(), estimating(study, cluster=level))
    assert found.cluster_label == level
    assert found.clusters.tolist() == cluster_codes(groups().members, level).tolist()
    assert len(set(found.clusters.tolist())) == n


def by_sum(codes: np.ndarray) -> Contrast:
    """Some interval, the wider the more codes there are."""
    return student("", 0.0, float(codes.max()), 10)


def test_six_of_six_clinicians_are_enough(study: OccasionStudy) -> None:
    """Where as many contribute as the study asks for, their interval stands alone, and the sentence says so."""
    found = sample_of(groups(), leaving(), study)
    assert not found.few_clusters
    assert [label for label, _ in found.clusterings] == ["clinician"]
    assert found.wider(by_sum)[0] == "clinician"
    assert found.why_main == "6 or more clinicians contribute: the interval by clinician is the main one."


def test_six_of_seven_clinicians_are_too_few(study: OccasionStudy) -> None:
    """One fewer than asked for: both intervals are made, each of its own codes, and the wider is the main one."""
    found = sample_of(groups(), leaving(), estimating(study, minimum_clusters=7))
    assert found.few_clusters
    made = dict(found.under_each(lambda codes: len(set(codes.tolist()))))
    assert made == {"matched set": N_SETS, "clinician": 6}
    assert found.wider(by_sum) == ("matched set", by_sum(found.sets))
    assert found.wider(lambda codes: by_sum(-codes + 30))[0] == "clinician"
    assert found.why_main == (
        "Fewer than 7 clinicians contribute: of the intervals by matched set and by clinician the wider is the main "
        "one."
    )


def test_who_weighs_nothing_contributes_no_cluster(study: OccasionStudy) -> None:
    """A clinician whose occasions all weigh nothing does not count among those an interval rests on."""
    weight = groups().members["weight"].where(groups().members["clinician_id"] != "c5", 0.0)
    found = sample_of(groups(members=groups().members.assign(weight=weight), grouping="weight"), leaving(), study)
    assert found.few_clusters


def just_enough(study: OccasionStudy) -> OccasionStudy:
    """The study that asks for as many sets as there are."""
    return study.model_copy(update={"minimum_n_inference": N_SETS})


def test_as_many_sets_as_asked_for_are_enough(study: OccasionStudy) -> None:
    """Two comparisons that leave cost no set; a treated occasion that leaves costs one, and that is a refusal."""
    assert isinstance(sample_of(groups(), leaving(1, 4), just_enough(study)), Sample)
    with pytest.raises(EstimationError) as refused:
        sample_of(groups(), leaving(0), just_enough(study))
    assert refused.value.code == "estimation.too_few_sets"
    assert "fewer than 24 matched sets are left, too few for an interval" in str(refused.value)
    assert "describe, do not estimate; or pool more sites" in str(refused.value)


def test_under_weighting_treated_occasions_are_counted(study: OccasionStudy) -> None:
    """There are no sets: however many of the others there are, it is the treated that must be enough."""
    weighted = groups(grouping="weight", members=groups().members.assign(set_id=np.arange(N)))
    assert sample_of(weighted, leaving(1, 2, 4), just_enough(study)).weights.size == N - 3
    with pytest.raises(EstimationError, match="fewer than 24 treated occasions are left"):
        sample_of(weighted, leaving(0), just_enough(study))


def test_an_arm_in_one_cluster_is_told_by_those_who_weigh(study: OccasionStudy) -> None:
    """The treated of all clinicians but one weigh nothing: what is left of them cannot tell clinicians apart."""
    members = groups().members
    alone = members["treated"] & (members["clinician_id"] != "c0")
    weighted = groups(grouping="weight", members=members.assign(weight=members["weight"].where(~alone, 0.0)))
    with pytest.raises(EstimationError, match=r"^\[estimation\.arm_in_one_cluster\] all of one group lie in one clini"):
        sample_of(weighted, leaving(), study)


def test_under_weighting_everyone_keeps_their_weight() -> None:
    """Whoever leaves takes nobody along and leaves nobody heavier."""
    kept, weights = without_excluded(groups(grouping="weight"), leaving(0, 4))
    assert np.flatnonzero(~kept).tolist() == [0, 4]
    assert weights.tolist() == groups().members["weight"][kept].tolist()


@pytest.mark.parametrize(("estimand", "weighs"), [("ATT", [1.0, 1.0, 2.0]), ("ATC", [0.5, 0.5, 1.0])])
def test_a_set_stays_while_both_arms_are_in_it(estimand: str, weighs: list[float]) -> None:
    """Two treated and two comparisons, a comparison leaves: the rest share its weight; with a whole arm all leave."""
    members = groups().members.iloc[:4].assign(set_id=0, treated=[True, True, False, False], weight=9.0)
    pair = groups(members=members, estimand=estimand, covariates=np.zeros((4, 2)))
    kept, weights = without_excluded(pair, np.array([False, False, False, True]))
    assert kept.tolist() == [True, True, True, False]
    assert weights.tolist() == weighs
    kept, weights = without_excluded(pair, np.array([True, True, False, False]))
    assert (kept.any(), weights.size) == (False, 0)
    kept, _ = without_excluded(pair, np.array([False, False, True, True]))
    assert not kept.any()
