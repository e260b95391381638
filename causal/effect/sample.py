"""The rows an estimate is computed from: who stays in the estimand, with what weight, alike with whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.cohort.catalogue import catalogue_of
from causal.design.matching.sets import SetEstimand, set_weights
from causal.effect.adjustment import Adjustment, adjustment_of
from causal.effect.matched_estimates import contributing_clusters, refuse_arm_in_one_cluster
from causal.effect.widest import Ends, widest
from causal.errors import EstimationError
from causal.protocol import OccasionStudy
from causal.records import ComparisonGroups, codes

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Found = TypeVar("Found")

CLUSTER_COLUMNS = {"clinician": "clinician_id", "clinic": "clinic_id"}
SAMPLE_COLUMNS = ("ta_id", "person_id", "treated", *CLUSTER_COLUMNS.values())
"""What a sample takes from the occasions of a comparison."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Rows of a design that stay in an estimand.

    Attributes
    ----------
    kept
        (n,) rows of the design's members; everything below has a row for each of the n_kept that stay.
    treated, weights, occasions, sets, patients, clusters
        Arm, weight and codes of the occasion, the matched set, the patient and the study's cluster (clinician or
        clinic).
    units
        Codes of what stands for itself where clusters are too few: the matched set, or the patient where sets overlap.
    adjustment
        What outcomes are adjusted for, over the n_kept rows.
    left_out
        Covariates to adjust for that have no column: nobody eligible differs in them, or nobody recorded them.
    unit_label, cluster_label
        What `units` and `clusters` are called.
    """

    kept: BoolArray
    treated: BoolArray
    weights: FloatArray
    occasions: IntArray
    sets: IntArray
    patients: IntArray
    units: IntArray
    clusters: IntArray
    adjustment: Adjustment
    left_out: tuple[str, ...]
    unit_label: str
    cluster_label: str
    minimum_clusters: int

    @property
    def covariates(self) -> FloatArray:
        """(n_kept, q) facts, indicators of what was not recorded, and bends."""
        return self.adjustment.values

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the q covariates."""
        return self.adjustment.names

    @property
    def facts(self) -> tuple[str, ...]:
        """Names of those that are no bends."""
        return self.adjustment.names[: self.adjustment.n_facts]

    @property
    def few_clusters(self) -> bool:
        """Whether fewer clusters contribute than the study asks for."""
        return contributing_clusters(self.clusters, self.weights) < self.minimum_clusters

    @property
    def clusterings(self) -> tuple[tuple[str, IntArray], ...]:
        """What the main interval comes from, each with what it is called: the one of them that is wider, where two.

        The study's clusters alone where enough of them contribute, else the units and the clusters.
        """
        by_cluster = (self.cluster_label, self.clusters)
        return ((self.unit_label, self.units), by_cluster) if self.few_clusters else (by_cluster,)

    @property
    def why_main(self) -> str:
        """Why the main interval is the main one, in a sentence without a count of anybody."""
        if self.few_clusters:
            return (
                f"Fewer than {self.minimum_clusters} {self.cluster_label}s contribute: of the intervals by "
                f"{self.unit_label} and by {self.cluster_label} the wider is the main one."
            )
        return (
            f"{self.minimum_clusters} or more {self.cluster_label}s contribute: the interval by {self.cluster_label} "
            "is the main one."
        )

    def under_each(self, estimate: Callable[[IntArray], Found]) -> tuple[tuple[str, Found], ...]:
        """What `estimate` makes of the codes (n_kept,) of each of the `clusterings`."""
        return tuple((label, estimate(code)) for label, code in self.clusterings)

    def wider(self, estimate: Callable[[IntArray], Ends]) -> tuple[str, Ends]:
        """The widest of what `estimate` makes of each of the `clusterings`, and what it is clustered by."""
        return widest(self.under_each(estimate))


def sample_of(design: ComparisonGroups, excluded: BoolArray, study: OccasionStudy) -> Sample:
    """The sample that remains when the rows `excluded` (n,) have left the estimand.

    Raises
    ------
    EstimationError
        ``estimation.too_few_sets``: fewer sets (treated occasions, where there are no sets) than the study demands;
        ``estimation.arm_in_one_cluster``: all of an arm lie in one of the study's clusters.
    """
    kept, weights = without_excluded(design, excluded)
    left = "set_id" if design.grouping == "matched set" else "ta_id"
    members = design.members[["set_id", *SAMPLE_COLUMNS]][kept]
    if members[left][members["treated"]].nunique() < study.minimum_n_inference:
        raise EstimationError(
            "estimation.too_few_sets",
            f"fewer than {study.minimum_n_inference} {'matched sets' if left == 'set_id' else 'treated occasions'} are "
            "left, too few for an interval",
            fix="describe, do not estimate; or pool more sites",
        )
    adjustment, unit = adjustment_of(design, study), design.unit_of_inference
    sets, patients = codes(members["set_id"]), codes(members["person_id"])
    treated, clusters = members["treated"].to_numpy(dtype=np.bool_), cluster_codes(members, study.estimator.cluster)
    refuse_arm_in_one_cluster(treated[weights > 0], clusters[weights > 0], study.estimator.cluster)
    return Sample(
        kept=kept,
        treated=treated,
        weights=weights,
        occasions=codes(members["ta_id"]),
        sets=sets,
        patients=patients,
        units=sets if unit == "matched set" else patients,
        clusters=clusters,
        adjustment=replace(adjustment, values=adjustment.values[kept]),
        left_out=tuple(
            name
            for name in catalogue_of(study).spread(study.estimator.adjust_for)
            if name not in design.covariate_names
        ),
        unit_label=unit,
        cluster_label=study.estimator.cluster,
        minimum_clusters=study.estimator.minimum_clusters,
    )


def cluster_codes(occasions: pd.DataFrame, level: Literal["clinician", "clinic"]) -> IntArray:
    """Codes (n,) of the clinicians or clinics of occasions."""
    return codes(occasions[CLUSTER_COLUMNS[level]])


def without_excluded(design: ComparisonGroups, excluded: BoolArray) -> tuple[BoolArray, FloatArray]:
    """Rows (n,) that stay in the estimand and the weights (n_kept,) of those rows.

    A set left with one arm leaves; those that stay in a set share its weight anew (`set_weights`). Under weighting
    everyone keeps their own weight.
    """
    if design.grouping == "weight":
        return ~excluded, design.members["weight"].to_numpy(dtype=np.float64)[~excluded]
    treated = design.members["treated"].to_numpy(dtype=np.bool_)
    sets = design.members["set_id"].to_numpy(dtype=np.int64)
    n = int(sets.max()) + 1
    cases = np.bincount(sets[treated & ~excluded], minlength=n)
    comparisons = np.bincount(sets[~treated & ~excluded], minlength=n)
    kept = ~excluded & (cases[sets] > 0) & (comparisons[sets] > 0)
    estimand = cast("SetEstimand", design.estimand)
    return kept, set_weights(sets[kept], treated[kept], estimand=estimand)
