"""Whether single patients changed by more than measurement error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from causal.effect.cluster_robust import beyond_rounding, cluster_robust_contrasts
from causal.effect.contrast import student
from causal.effect.matched_estimates import weighted_ancova
from causal.effect.sample import Sample
from causal.effect.secondary.finding import Finding, Line, line_of
from causal.effect.secondary.opened import BoolArray, FloatArray, Opened, counts_of
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.measures.reliable_change import reliable_change as changed
from causal.protocol.secondary import ReliableChange

BASIS = {
    "test_retest": "test-retest reliability",
    "alpha": "alpha, which leaves out how people vary from day to day and so overstates precision",
}


def reliable_change(opened: Opened, declared: ReliableChange) -> Finding:
    """Shares of each arm worse and better than before by more than 1.96 Sdiff, and their adjusted differences.

    Raises
    ------
    EstimationError
        ``estimation.too_few_rated_twice``: in an arm fewer than the study demands have both ratings.
    """
    outcomes = opened.outcomes(opened.primary)
    sample = opened.sample(outcomes.excluded)
    score = np.where(outcomes.ended, np.nan, outcomes.score)[sample.kept]
    change = changed(
        last_rating_before(opened)[sample.kept],
        score,
        sd=declared.sd,
        reliability=declared.reliability,
        basis=declared.basis,
        reference=declared.reference,
    )
    twice = ~np.isnan(change.index)
    if min(counts_of(sample, twice)) < opened.study.minimum_n_inference:
        raise EstimationError(
            "estimation.too_few_rated_twice",
            f"in one group fewer than {opened.study.minimum_n_inference} have a rating both before and after",
            fix="describe, do not estimate",
        )
    lines: list[Line] = []
    missing: list[str] = []
    ways = {"worse": change.index < 0, "better": change.index > 0}
    for word, way in ways.items():
        moved = change.reliable & way
        # A share times its group is how many moved: such a number rests on those who did, or on those who did not.
        did, did_not = counts_of(sample, twice & moved), counts_of(sample, twice & ~moved)
        counts = (min(did[0], did_not[0]), min(did[1], did_not[1]))
        try:
            lines += _lines(sample, twice, moved, word, counts, opened.study.estimator.level)
        except EstimationError as refusal:
            missing.append(f"{word} than before: {refusal.message}")
    return Finding(
        analysis="reliable_change",
        title="Changed by more than measurement error",
        method=(
            f"Share of each group whose rating at day {opened.window.day} differs from their last one before by more "
            f"than {change.threshold:.2f} points (1.96 standard errors of a difference, Jacobson and Truax 1991), and "
            "the difference of these shares by weighted ANCOVA, CR2."
        ),
        lines=tuple(lines),
        not_evaluated=tuple(missing),
        notes=(
            f"Standard deviation and reliability of a rating are those of: {declared.reference.rstrip('.')}.",
            f"The reliability is {BASIS[declared.basis]}.",
            "Only those rated before, and again while treatment went on, count; nothing stands in for other ratings.",
            "Who ended treatment is not counted as changed.",
            "Who is left to be rated may differ between the groups because of the choice itself.",
        ),
    )


def last_rating_before(opened: Opened) -> FloatArray:
    """(n,) the latest recorded of the study's ratings before time zero, NaN where there is none.

    Raises
    ------
    EstimationError
        ``estimation.no_prior_rating``: the study defines no rating before time zero.
    """
    known = [name for name in opened.study.prior_ratings if name in opened.design.members]
    if not known:
        raise EstimationError(
            "estimation.no_prior_rating",
            "no rating before time zero is defined, so nobody's change can be told",
            fix="name definitions of it under prior_ratings",
        )
    lags = opened.design.members[known].to_numpy(dtype=np.float64)
    latest = np.isnan(lags).argmin(axis=1)
    return np.asarray(lags[np.arange(latest.size), latest])


def _lines(
    sample: Sample, twice: BoolArray, moved: BoolArray, word: str, counts: tuple[int, int], level: float
) -> Iterator[Line]:
    """The adjusted difference of the shares that moved one way, and the share in each group."""
    outcome, treated = moved[twice].astype(np.float64), sample.treated[twice]
    weights = sample.weights[twice]
    label = f"{word} than before"
    by, found = sample.wider(
        lambda code: weighted_ancova(
            outcome, treated, sample.covariates[twice], weights, code[twice], names=sample.names, level=level
        )
    )
    yield line_of(found, label=label, scale="risk difference", counts=counts, clustered_by=by)
    arms = np.column_stack([treated, ~treated]).astype(np.float64)
    each = sample.under_each(
        lambda code: cluster_robust_contrasts(arms, outcome, weights=weights, clusters=code[twice], contrasts=np.eye(2))
    )
    for k, group in enumerate(("first", "second")):
        words = f"{label}: share of the {group} group"
        shares = [
            (by, student(words, f[k].coefficient, beyond_rounding(f[k].std_error, outcome), f[k].df, level=level))
            for by, f in each
        ]
        by, share = widest(shares)
        line = line_of(share, label=words, scale="probability", counts=counts, clustered_by=by)
        yield replace(line, lower=max(line.lower, 0.0), upper=min(line.upper, 1.0))
