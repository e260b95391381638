"""Mixed model for repeated measures for any design: generalised least squares with an estimated visit covariance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.effect.contrast import Contrast, student
from causal.effect.repeated.degrees_of_freedom import cluster_sandwich, kenward_roger, satterthwaite
from causal.effect.repeated.likelihood import Maximum, maximise
from causal.effect.repeated.patterns import PatternSums, VisitDesign, pattern_sums
from causal.effect.repeated.preparation import Prepared, arrange, prepare
from causal.effect.repeated.structures import Structure
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Method = Literal["REML", "ML"]
DegreesOfFreedom = Literal["kenward_roger", "satterthwaite", "cluster_robust"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mmrm:
    """A fitted mixed model for repeated measures.

    Attributes
    ----------
    coefficients
        (p,) fixed effects, NaN for aliased columns.
    vcov, vcov_kenward_roger
        (p, p) their covariance, taking the visit covariance for known, and enlarged for its estimation (Kenward-Roger,
        linear form; None under ML). NaN for aliased columns.
    covariance
        (groups, T, T) fitted covariance of the visits, of a subject of weight 1.
    log_likelihood
        Of the scores; restricted under REML (constants as in R's mmrm and SAS: no ``log|X'X|``).
    structure, method
        As asked for.
    n_subjects, n_scores
        Subjects with a score, and scores.
    aliased
        Columns dropped because the ones before them determine them.
    decrement, steps
        Proof of convergence: how much a further Newton step promises to lower -2 log likelihood; and steps taken.
    """

    coefficients: FloatArray
    vcov: FloatArray
    vcov_kenward_roger: FloatArray | None
    covariance: FloatArray
    log_likelihood: float
    structure: Structure
    method: Method
    n_subjects: int
    n_scores: int
    aliased: tuple[int, ...]
    decrement: float
    steps: int
    _prepared: Prepared
    _sums: PatternSums
    _maximum: Maximum

    def estimable(self, weights: FloatArray) -> bool:
        """Whether the data determine ``weights @ beta``, aliased columns being dropped."""
        return self._prepared.estimable(np.asarray(weights, dtype=np.float64))

    def contrast(
        self,
        weights: FloatArray,
        label: str,
        *,
        degrees_of_freedom: DegreesOfFreedom = "kenward_roger",
        clusters: IntArray | None = None,
        level: float = 0.95,
    ) -> Contrast:
        """Estimate ``weights @ beta``, weights (p,); the rest as in `contrasts`."""
        one = np.asarray(weights)[None]
        return self.contrasts(one, (label,), degrees_of_freedom=degrees_of_freedom, clusters=clusters, level=level)[0]

    def contrasts(
        self,
        weights: FloatArray,
        labels: tuple[str, ...],
        *,
        degrees_of_freedom: DegreesOfFreedom = "kenward_roger",
        clusters: IntArray | None = None,
        level: float = 0.95,
    ) -> tuple[Contrast, ...]:
        """Estimate ``weights @ beta`` for m linear combinations, with one sandwich for all where there is one.

        Parameters
        ----------
        weights
            (m, p) linear combinations.
        labels
            What each is, in words.
        degrees_of_freedom
            ``kenward_roger``: standard error enlarged for the estimated covariance (REML only). ``satterthwaite``:
            model-based standard error. ``cluster_robust``: CR2, the fitted covariance being the working model.
        clusters
            (n,) codes of units that hold whole subjects, in the order of the subjects' rows in the design by visit
            (of `mmrm`: of the sorted subject codes). None for each subject its own. Only with ``cluster_robust``.
        level
            Of the interval.

        Raises
        ------
        EstimationError
            ``estimation.not_estimable``, ``estimation.kenward_roger_needs_reml``, ``estimation.clusters``, those of
            `causal.effect.contrast.student` and, with ``cluster_robust``, those of
            `causal.effect.cluster_robust.cluster_robust`.
        """
        wanted = np.asarray(weights, dtype=np.float64)
        if not all(self.estimable(one) for one in wanted):
            raise EstimationError(
                "estimation.not_estimable",
                "the effect cannot be told apart from a combination of the other columns",
                fix="remove the covariate that determines the treatment among the scores seen",
            )
        kept = self._prepared.kept
        along = wanted[:, kept]
        values = (along @ self.coefficients[kept]).tolist()
        errors = self._errors(along, degrees_of_freedom, clusters)
        return tuple(
            student(label, value, std_error, df, level=level)
            for label, value, (std_error, df) in zip(labels, values, errors, strict=True)
        )

    def _errors(
        self, along: FloatArray, degrees_of_freedom: DegreesOfFreedom, clusters: IntArray | None
    ) -> list[tuple[float, float]]:
        """Standard error and degrees of freedom of combinations (m, kept) of the kept coefficients."""
        kept, c = self._prepared.kept, along @ self._prepared.basis
        if degrees_of_freedom == "cluster_robust":
            n = self._prepared.design.scores.shape[0]
            code = np.arange(n) if clusters is None else np.asarray(clusters)
            if code.shape != (n,):
                raise EstimationError("estimation.clusters", f"{n} subjects need a cluster each, got {code.size}")
            robust = cluster_sandwich(self._prepared.design, self._sums, self._maximum, c, code)
            return [(one.std_error, one.df) for one in robust]
        vcov = self.vcov
        if degrees_of_freedom == "kenward_roger":
            if self.vcov_kenward_roger is None:
                raise EstimationError(
                    "estimation.kenward_roger_needs_reml",
                    "the Kenward-Roger standard error is defined for REML only",
                    fix="fit by REML, or take Satterthwaite's degrees of freedom",
                )
            vcov = self.vcov_kenward_roger
        inner = vcov[np.ix_(kept, kept)]
        return [
            (float(np.sqrt(one @ inner @ one)), satterthwaite(self._maximum, direction))
            for one, direction in zip(along, c, strict=True)
        ]


def mmrm(
    design: FloatArray,
    outcome: FloatArray,
    *,
    subjects: IntArray,
    visits: IntArray,
    n_visits: int,
    weights: FloatArray | None = None,
    groups: IntArray | None = None,
    structure: Structure = "unstructured",
    method: Method = "REML",
) -> Mmrm:
    """Fit ``outcome = design @ beta + e``, the e of one subject's visits being correlated.

    Parameters
    ----------
    design
        (N, p) rows, the intercept included.
    outcome
        (N,) scores; rows with NaN are left out.
    subjects, visits
        (N,) codes of subjects, and positions 0 to n_visits - 1 of visits in their order of time.
    n_visits
        T, 2 or more; each seen in some subject of each group.
    weights
        (N,) 0 or more: the covariance of a subject's rows is ``W^-1/2 Sigma W^-1/2``, W their weights on the diagonal,
        as in R's mmrm; with one weight w per subject, ``Sigma / w``. Rows with 0 are left out.
    groups
        (N,) codes; subjects of each group have a covariance of their own, in the order of the sorted codes. A subject's
        rows share one. None for one covariance.
    structure, method
        Shape of the covariance; restricted or full likelihood.

    Raises
    ------
    EstimationError
        ``estimation.one_visit``, ``estimation.no_scores_at_visit``, ``estimation.too_few_subjects``,
        ``estimation.repeated_visit``, ``estimation.visits``, ``estimation.weights``, ``estimation.not_finite``,
        ``estimation.not_estimable`` (every column zero), and of the search
        ``estimation.covariance_not_identified``, ``estimation.singular_covariance``, ``estimation.not_converged``.

    >>> visit, subject = np.tile([0, 1], 4), np.repeat(np.arange(4), 2)
    >>> x = np.column_stack([visit == 0, visit == 1]).astype(float)
    >>> fit = mmrm(x, np.array([1.0, 2, 3, 5, 2, 2, 4, 3]), subjects=subject, visits=visit, n_visits=2)
    >>> fit.covariance[0].round(4).tolist()  # without missed visits the sample covariance
    [[1.6667, 1.0], [1.0, 2.0]]
    >>> change = fit.contrast(np.array([-1.0, 1]), "change")
    >>> round(change.value, 4), round(change.std_error, 4), round(change.df, 4)  # the paired t test
    (0.5, 0.6455, 3.0)
    """
    x, y = np.asarray(design, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    w = np.ones(y.size) if weights is None else np.asarray(weights, dtype=np.float64)
    if not (np.isfinite(w).all() and (w >= 0).all()):
        raise EstimationError("estimation.weights", "weights must be 0 or more, finite and not missing")
    rows = (w > 0) & ~np.isnan(y)
    group = np.zeros(y.size, dtype=np.int64) if groups is None else np.unique(groups, return_inverse=True)[1]
    who = np.unique(np.asarray(subjects), return_inverse=True)[1].reshape(-1)
    arranged = arrange(x[rows], y[rows], w[rows], who[rows], np.asarray(visits)[rows], n_visits, who.max() + 1)
    of_subject = np.zeros(who.max() + 1, dtype=np.int64)
    of_subject[who] = group
    return fit_design(replace(arranged, groups=of_subject), structure=structure, method=method)


def fit_design(design: VisitDesign, *, structure: Structure, method: Method) -> Mmrm:
    """Fit a design by visit; the refusals of `mmrm`."""
    _refuse_unfit(design)
    prepared = prepare(design)
    sums = pattern_sums(prepared.design)
    reml = method == "REML"
    found = maximise(sums, structure, n_groups=int(design.groups.max()) + 1, reml=reml)
    seen = np.isfinite(design.scores)
    n_scores, rank = int(seen.sum()), prepared.start.size
    constant = (n_scores - rank * reml) * np.log(2 * np.pi) - design.log_weights
    # log|X'V^-1 X| was taken in another basis
    stretch = -2 * float(np.linalg.slogdet(prepared.basis)[1]) * reml
    adjusted = kenward_roger(sums, found) if reml else None
    return Mmrm(
        coefficients=_spread(prepared.start + prepared.basis @ found.profile.beta, prepared.kept),
        vcov=_covariance_of_all(found.profile.phi, prepared),
        vcov_kenward_roger=None if adjusted is None else _covariance_of_all(adjusted, prepared),
        covariance=np.stack([c.value for c in found.covariances]),
        log_likelihood=-(found.profile.objective + constant + stretch) / 2,
        structure=structure,
        method=method,
        n_subjects=int(seen.any(axis=1).sum()),
        n_scores=n_scores,
        aliased=tuple(int(j) for j in np.flatnonzero(~prepared.kept)),
        decrement=found.decrement,
        steps=found.steps,
        _prepared=prepared,
        _sums=sums,
        _maximum=found,
    )


def _refuse_unfit(design: VisitDesign) -> None:
    seen = np.isfinite(design.scores)
    if seen.shape[1] < 2:
        raise EstimationError(
            "estimation.one_visit",
            "a model for repeated measures needs 2 visits or more, got 1",
            fix="estimate the difference at that visit by itself",
        )
    if seen.any(axis=1).sum() < 2:
        raise EstimationError(
            "estimation.too_few_subjects", "a model for repeated measures needs 2 subjects with scores or more"
        )
    for group in np.unique(design.groups):
        missed = int((~seen[design.groups == group].any(axis=0)).sum())
        if missed:
            raise EstimationError(
                "estimation.no_scores_at_visit",
                f"nobody has a score at {missed} of {seen.shape[1]} visits",
                fix="leave these visits out",
            )


def _spread(values: FloatArray, kept: BoolArray) -> FloatArray:
    """Values of the kept columns among all of them, NaN elsewhere."""
    out = np.full(kept.size, np.nan)
    out[kept] = values
    return out


def _covariance_of_all(phi: FloatArray, prepared: Prepared) -> FloatArray:
    out = np.full((prepared.kept.size,) * 2, np.nan)
    out[np.ix_(prepared.kept, prepared.kept)] = prepared.basis @ phi @ prepared.basis.T
    return out
