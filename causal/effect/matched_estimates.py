"""Effects in a matched or weighted sample: weighted means, paired difference, covariate-adjusted difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.effect.cluster_robust import (
    ClusteredDesign,
    Kind,
    WorkingModel,
    beyond_rounding,
    cluster_robust,
    clustered_design,
    two_way,
)
from causal.effect.contrast import Contrast, student, student_interval
from causal.effect.variation import refuse_constant
from causal.effect.widest import widest
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Arm = Literal["treated", "comparison"]
Clustering = Literal["cluster", "set"]
MINIMUM_CLUSTERS = 30
"""Contributing clusters from which on their interval stands alone as the main one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearEffect:
    """Difference between treated and comparison with its interval.

    Attributes
    ----------
    value, std_error
        Treated minus comparison, in units of the outcome.
    df
        Degrees of freedom of Student's t behind the interval and the p-value.
    lower, upper, level
        Interval, and the share of such intervals that cover the truth.
    p_value
        Two-sided, for no difference. Never evidence of no effect.
    n_treated, n_comparison, n_clusters
        Rows with weight above 0 by arm, and clusters among them.
    aliased
        Covariates dropped from the adjustment because earlier ones determine them.
    """

    value: float
    std_error: float
    df: float
    lower: float
    upper: float
    level: float
    p_value: float
    n_treated: int
    n_comparison: int
    n_clusters: int
    aliased: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredEffect:
    """One difference with its uncertainty under every clustering of a matched sample.

    Attributes
    ----------
    primary
        Which clustering the main interval comes from, of the clusters where enough contribute, else the wider.
    by_cluster, by_set, by_both
        The difference with clusters (clinicians) for clusters, with matched sets for clusters, and with both at once;
        None where that one cannot be computed. The first is never None, nor the second where clusters are few.
    n_clusters, n_sets
        Clusters and sets with a row of weight above 0.
    clipped
        Whether the two-way covariance had a negative eigenvalue, set to zero.
    refused
        ``(clustering, reason)`` for each that is None.
    aliased
        Covariates dropped from the adjustment because earlier ones determine them.
    """

    primary: Clustering
    by_cluster: Contrast | None
    by_set: Contrast | None
    by_both: Contrast | None
    n_clusters: int
    n_sets: int
    clipped: bool
    refused: tuple[tuple[str, str], ...]
    aliased: tuple[str, ...]

    @property
    def effect(self) -> Contrast:
        """The difference with its primary interval."""
        chosen = self.by_cluster if self.primary == "cluster" else self.by_set
        assert chosen is not None
        return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmMeans:
    """Weighted mean of the outcome in each arm, and their difference."""

    treated: float
    comparison: float
    difference: float


def arm_in_one_cluster(treated: BoolArray, clusters: IntArray) -> bool:
    """Whether all rows of an arm lie in one cluster, which then says nothing of how clusters vary.

    Ten clusters of which one is treated reject a true null in about half of samples, whatever the correction.
    """
    return any(bool((clusters[arm] == clusters[arm][0]).all()) for arm in (treated, ~treated) if arm.any())


def refuse_arm_in_one_cluster(treated: BoolArray, clusters: IntArray, label: str) -> None:
    """Refuse a comparison (n rows with weight) one arm of which lies wholly in one cluster, called `label`.

    Whatever else changed with that cluster looks like an effect, and no standard error can say by how much: intervals
    by matched set reject a true null in 20 to 50% of samples.

    Raises
    ------
    EstimationError
        ``estimation.arm_in_one_cluster``.

    >>> refuse_arm_in_one_cluster(np.array([True, True, False, False]), np.array([0, 0, 1, 2]), "clinician")
    Traceback (most recent call last):
    causal.errors.EstimationError: [estimation.arm_in_one_cluster] all of one group lie in one clinician: ...
    """
    if arm_in_one_cluster(treated, clusters):
        raise EstimationError(
            "estimation.arm_in_one_cluster",
            f"all of one group lie in one {label}: a difference cannot be told from what else went on with that "
            f"{label}, and no interval allows for it",
            fix=f"pool records in which each group lies in several {label}s",
        )


def contributing_clusters(clusters: IntArray, weights: FloatArray | None = None) -> int:
    """How many clusters hold a row with weight.

    >>> contributing_clusters(np.array([0, 0, 1, 2]), np.array([1.0, 1, 1, 0]))
    2
    """
    code = np.asarray(clusters)
    return int(np.unique(code if weights is None else code[np.asarray(weights) > 0]).size)


def refuse_few_clusters(treated: BoolArray, clusters: IntArray) -> None:
    """Refuse an arm with no row, or whose rows all lie in one cluster."""
    if treated.all() or not treated.any():
        raise EstimationError("estimation.empty_arm", "one arm has no row with weight: there is no difference")
    if arm_in_one_cluster(treated, clusters):
        raise EstimationError(
            "estimation.too_few_clusters",
            "a cluster-robust standard error needs 2 clusters or more in each arm",
            fix="cluster on smaller units",
        )


def weighted_ancova(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray | None,
    weights: FloatArray | None,
    clusters: IntArray,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    kind: Kind = "CR2",
    working: WorkingModel = "inverse_weights",
    own_slopes_at: Arm | None = None,
) -> LinearEffect:
    """Coefficient of treatment in a weighted regression on treatment and centred covariates.

    Parameters
    ----------
    outcome, treated
        (n,) finite outcome and arm of the matched rows.
    covariates
        (n, p) values known before time zero; None or p = 0 for the difference of weighted means.
    weights
        (n,) 0 or more; None for all 1.
    clusters
        (n,) codes of the units within which outcomes may be correlated (matched set, clinician).
    names
        p names for ``aliased``; numbered when None.
    level
        Of the interval.
    kind, working
        Of the standard error, see `causal.effect.cluster_robust.cluster_robust`.
    own_slopes_at
        None: both arms share the covariates' slopes. An arm: each arm has its own, and the effect is the average at
        that arm's weighted covariates (g-computation; the treated for the ATT), which the standard error takes as
        given.

    Raises
    ------
    EstimationError
        Those of `cluster_robust`, ``estimation.empty_arm``, ``estimation.constant_outcome`` (see `refuse_constant`) and
        ``estimation.no_standard_error``.

    Notes
    -----
    Regression after matching with cluster-robust errors: Abadie & Spiess (2022), JASA 117:983-995; Stuart (2010).
    Own slopes: Lin (2013), Ann Appl Stat 7:295-318.

    >>> effect = weighted_ancova(np.array([3.0, 1, 5, 2]), np.array([True, False, True, False]), None, None,
    ...                          np.array([0, 0, 1, 1]))
    >>> round(effect.value, 6), effect.n_clusters
    (2.5, 2)
    """
    return ancova(
        treated,
        covariates,
        weights,
        clusters,
        names=names,
        level=level,
        kind=kind,
        working=working,
        own_slopes_at=own_slopes_at,
    ).effect(outcome)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ancova:
    """`weighted_ancova` before any outcome: everything that a second outcome of the same rows can use again.

    Attributes
    ----------
    treated, weights
        (n,) arm, and weight of 0 or more.
    design
        The regression, clustered, with the treatment's coefficient as its contrast.
    labels
        Names of its columns.
    level
        Of the intervals.
    """

    treated: BoolArray
    weights: FloatArray
    design: ClusteredDesign
    labels: tuple[str, ...]
    level: float

    def effect(self, outcome: FloatArray) -> LinearEffect:
        """The coefficient of treatment for a finite outcome (n,); refusals as those of `weighted_ancova`."""
        fit = self.design.fits(outcome)[0]
        refuse_constant(outcome, self.treated, self.weights)
        return _effect(
            fit.coefficient,
            beyond_rounding(fit.std_error, np.asarray(outcome, dtype=np.float64)[self.weights > 0]),
            fit.df,
            level=self.level,
            counts=_counts(self.treated, self.weights),
            n_clusters=fit.n_clusters,
            aliased=tuple(self.labels[j] for j in fit.aliased),
        )

    def difference(self, outcome: FloatArray) -> float:
        """The value of `effect` alone: there also where an outcome does not vary in an arm, and never an interval.

        >>> ended, arm = np.array([1.0, 0, 0, 0]), np.array([True, True, False, False])
        >>> round(ancova(arm, None, None, np.array([0, 1, 0, 1])).difference(ended), 9)
        0.5
        """
        return float(self.design.values(outcome)[0])


def ancova(
    treated: BoolArray,
    covariates: FloatArray | None,
    weights: FloatArray | None,
    clusters: IntArray,
    *,
    names: Sequence[str] | None = None,
    level: float = 0.95,
    kind: Kind = "CR2",
    working: WorkingModel = "inverse_weights",
    own_slopes_at: Arm | None = None,
) -> Ancova:
    """All of `weighted_ancova` that needs no outcome, arguments as there.

    Raises
    ------
    EstimationError
        Those of `weighted_ancova` that no outcome decides.
    """
    arm = np.asarray(treated, dtype=np.bool_)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    _counts(arm, w)
    refuse_few_clusters(arm[w > 0], np.asarray(clusters)[w > 0])
    design, labels = _design(arm, covariates, w, names, own_slopes_at)
    ready = clustered_design(
        design, weights=w, clusters=clusters, contrasts=_of_treatment(design)[None], kind=kind, working=working
    )
    return Ancova(treated=arm, weights=w, design=ready, labels=labels, level=level)


def clustered_effect(
    outcome: FloatArray,
    treated: BoolArray,
    covariates: FloatArray | None,
    weights: FloatArray | None,
    *,
    sets: IntArray,
    clusters: IntArray,
    names: Sequence[str] | None = None,
    minimum_clusters: int = MINIMUM_CLUSTERS,
    level: float = 0.95,
    working: WorkingModel = "inverse_weights",
    label: str = "difference",
) -> ClusteredEffect:
    """`weighted_ancova` with its interval by clusters, by matched sets and by both, the primary one named.

    Arguments as for `weighted_ancova`, with (n,) codes of matched set and of cluster (clinician).

    Raises
    ------
    EstimationError
        ``estimation.arm_in_one_cluster``; and as `weighted_ancova`, where the clusters' interval is refused, or the
        sets' where clusters are few: nobody could then say which is wider. Another refusal is told in ``refused``.

    >>> y, pairs = np.array([3.0, 1, 5, 2, 4, 4]), np.array([0, 0, 1, 1, 2, 2])
    >>> found = clustered_effect(y, y > 2.5, None, None, sets=pairs, clusters=np.array([0, 0, 0, 1, 1, 1]))
    >>> found.primary, found.by_cluster is found.effect, found.n_clusters
    ('cluster', True, 2)
    """
    arm = np.asarray(treated, dtype=np.bool_)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    _counts(arm, w)
    refuse_constant(outcome, arm, w)
    design, labels = _design(arm, covariates, w, names, None)
    contrast, y = _of_treatment(design), np.asarray(outcome, dtype=np.float64)[w > 0]
    refuse_arm_in_one_cluster(arm[w > 0], np.asarray(clusters)[w > 0], "cluster")
    enough = contributing_clusters(clusters, w) >= minimum_clusters
    found: dict[str, Contrast] = {}
    refused: list[tuple[str, str]] = []
    aliased: tuple[int, ...] = ()
    clipped = False
    for name, code in (("cluster", clusters), ("set", sets)):
        try:
            one = cluster_robust(design, outcome, weights=w, clusters=code, contrast=contrast, working=working)
            found[name] = student(label, one.coefficient, beyond_rounding(one.std_error, y), one.df, level=level)
            aliased = one.aliased
        except EstimationError as refusal:
            if name == "cluster" or not enough:
                raise
            refused.append((name, refusal.message))
    try:
        two = two_way(design, outcome, weights=w, first=sets, second=clusters, contrast=contrast, working=working)
        found["both"] = student(label, two.coefficient, beyond_rounding(two.std_error, y), two.df, level=level)
        clipped = two.clipped
    except EstimationError as refusal:
        refused.append(("both", refusal.message))
    among = ["cluster"] if enough else ["set", "cluster"]
    return ClusteredEffect(
        primary=widest([(name, found[name]) for name in among])[0],  # type: ignore[arg-type]  # one of the two
        by_cluster=found.get("cluster"),
        by_set=found.get("set"),
        by_both=found.get("both"),
        n_clusters=contributing_clusters(clusters, w),
        n_sets=np.unique(np.asarray(sets)[w > 0]).size,
        clipped=clipped,
        refused=tuple(refused),
        aliased=tuple(labels[j] for j in aliased),
    )


def paired_difference(outcome: FloatArray, treated: BoolArray, *, sets: IntArray, level: float = 0.95) -> LinearEffect:
    """Mean difference within 1:1 matched pairs, with the standard error of the paired t test.

    Parameters
    ----------
    outcome, treated, sets
        (n,) finite outcome, arm and set code; every set holds one treated and one comparison row.
    level
        Of the interval.

    Returns
    -------
    ``mean(d)``, ``sd(d)/sqrt(pairs)``, ``pairs - 1`` degrees of freedom.

    Raises
    ------
    EstimationError
        ``estimation.not_pairs``, ``estimation.not_finite``, ``estimation.too_few_clusters``,
        ``estimation.constant_outcome``, ``estimation.no_standard_error`` (all pairs differ alike).

    >>> effect = paired_difference(np.array([3.0, 1, 5, 2]), np.array([True, False, True, False]),
    ...                            sets=np.array([0, 0, 1, 1]))
    >>> effect.value, effect.std_error, effect.df
    (2.5, 0.5, 1.0)
    """
    y, arm, code = np.asarray(outcome, dtype=np.float64), np.asarray(treated, dtype=np.bool_), np.asarray(sets)
    if not np.isfinite(y).all():
        raise EstimationError("estimation.not_finite", "the outcome of a matched row is missing")
    ones, zeros = np.flatnonzero(arm), np.flatnonzero(~arm)
    ones, zeros = ones[np.argsort(code[ones], kind="stable")], zeros[np.argsort(code[zeros], kind="stable")]
    if ones.size != zeros.size or (code[ones] != code[zeros]).any() or np.unique(code[ones]).size != ones.size:
        raise EstimationError(
            "estimation.not_pairs",
            "a matched set does not hold exactly one treated and one comparison row",
            fix="use the weighted difference for other ratios, and drop incomplete pairs whole",
        )
    if ones.size < 2:
        raise EstimationError("estimation.too_few_clusters", "a paired difference needs 2 pairs or more")
    refuse_constant(y, arm)
    difference = y[ones] - y[zeros]
    error = beyond_rounding(float(difference.std(ddof=1) / np.sqrt(ones.size)), y)
    pairs = ones.size
    return _effect(
        float(difference.mean()), error, float(pairs - 1), level=level, counts=(pairs, pairs), n_clusters=pairs
    )


def weighted_means(outcome: FloatArray, treated: BoolArray, *, weights: FloatArray | None = None) -> ArmMeans:
    """Weighted mean of the outcome by arm.

    Parameters
    ----------
    outcome, treated, weights
        (n,) outcome, arm and weights of 0 or more (None for all 1); the outcome is finite where the weight is not 0.

    Raises
    ------
    EstimationError
        ``estimation.empty_arm``, ``estimation.not_finite``.

    >>> weighted_means(np.array([3.0, 1, 2]), np.array([True, False, False]), weights=np.array([1, 0.75, 0.25]))
    ArmMeans(treated=3.0, comparison=1.25, difference=1.75)
    """
    arm = np.asarray(treated, dtype=np.bool_)
    w = np.ones(arm.size) if weights is None else np.asarray(weights, dtype=np.float64)
    _counts(arm, w)
    rows = w > 0
    if not np.isfinite(outcome[rows]).all():
        raise EstimationError("estimation.not_finite", "the outcome of a weighted row is missing")
    one, zero = (float(np.average(outcome[rows & a], weights=w[rows & a])) for a in (arm, ~arm))
    return ArmMeans(treated=one, comparison=zero, difference=one - zero)


def _design(
    arm: BoolArray,
    covariates: FloatArray | None,
    weights: FloatArray,
    names: Sequence[str] | None,
    own_slopes_at: Arm | None,
) -> tuple[FloatArray, tuple[str, ...]]:
    """Columns (n, k) of the regression: 1, treated, centred covariates and their products with the arm; their names."""
    x = np.empty((arm.size, 0)) if covariates is None else np.asarray(covariates, dtype=np.float64)
    labels = tuple(names) if names is not None else tuple(f"covariate {j + 1}" for j in range(x.shape[1]))
    about = {None: weights > 0, "treated": arm & (weights > 0), "comparison": ~arm & (weights > 0)}[own_slopes_at]
    centred = x - np.average(x[about], axis=0, weights=weights[about])
    columns, heads = [np.ones(arm.size), arm, centred], ("one", "treated", *labels)
    if own_slopes_at is not None:
        columns.append(centred * arm[:, None])
        heads += tuple(f"treated x {name}" for name in labels)
    return np.column_stack(columns), heads


def _of_treatment(design: FloatArray) -> FloatArray:
    """The contrast (k,) that is the second column's coefficient."""
    return np.asarray(np.eye(1, design.shape[1], 1)[0], dtype=np.float64)


def _counts(treated: BoolArray, weights: FloatArray) -> tuple[int, int]:
    """Rows with weight by arm, refusing an arm that has none."""
    n1, n0 = int((treated & (weights > 0)).sum()), int((~treated & (weights > 0)).sum())
    if n1 == 0 or n0 == 0:
        raise EstimationError("estimation.empty_arm", "one arm has no row with weight: there is no difference")
    return n1, n0


def _effect(
    value: float,
    std_error: float,
    df: float,
    *,
    level: float,
    counts: tuple[int, int],
    n_clusters: int,
    aliased: tuple[str, ...] = (),
) -> LinearEffect:
    """Interval and p-value from Student's t."""
    interval = student_interval(value, std_error, df, level=level)
    return LinearEffect(
        value=value,
        std_error=std_error,
        df=df,
        lower=interval.lower,
        upper=interval.upper,
        level=level,
        p_value=interval.p_value,
        n_treated=counts[0],
        n_comparison=counts[1],
        n_clusters=n_clusters,
        aliased=aliased,
    )
