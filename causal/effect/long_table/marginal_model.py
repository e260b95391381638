"""Estimating equations of a long table: one effect over all visits, averaged over people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.effect.long_table.asked import OfVisits, adjusted, left_out, missed
from causal.effect.multilevel.marginal import MarginalEffect, marginal_alliance
from causal.effect.secondary.finding import Finding, Scale, line_of, ratio_line
from causal.effect.secondary.repeated import ASKS_MORE
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.long_analyses import MarginalModel

IntArray = NDArray[np.int64]
GIVEN = (
    "An odds ratio among people alike in the covariates is farther from 1 than the one over all people, even where the "
    "covariates have nothing to do with treatment."
)
RATIOS: dict[str, Scale] = {"binomial": "odds ratio", "poisson": "rate ratio"}


def marginal_model(asked: OfVisits, declared: MarginalModel) -> Finding:
    """The one difference or ratio over all visits.

    Raises
    ------
    EstimationError
        ``estimation.working_of_clusters`` where clusters are named and a working correlation other than independence:
        it would be one of all visits of a cluster, of whomever they are. Those of `marginal_alliance`.
    """
    table = asked.table
    if table.clustered and declared.working != "independence":
        raise EstimationError(
            "estimation.working_of_clusters",
            "a working correlation is of the visits of one person, and clusters hold several people",
            fix="working: independence, whose errors know of clusters",
        )
    row, visit = np.nonzero(np.isfinite(table.scores))
    covariates, names = table.facts.values[row], table.facts.names
    if declared.visit_means:
        own = (visit[:, None] == np.arange(1, len(table.labels))).astype(np.float64)
        covariates, names = np.column_stack([covariates, own]), (*names, *(f"visit {v}" for v in table.labels[1:]))

    def fitted(codes: IntArray) -> MarginalEffect:
        return marginal_alliance(
            table.scores[row, visit],
            table.treated[row],
            clusters=codes[row],
            covariates=covariates,
            names=names,
            occasion=visit.astype(np.int64),
            family=declared.family,
            correlation=declared.working,
            correction=declared.correction,
            level=asked.level,
        )

    by = asked.clusterings
    each = by.under_each(fitted)
    who, contrast = widest([(name, fit.contrast) for name, fit in each])
    counts = min(asked.counts(k) for k in range(len(table.labels)))
    label = "over all visits"
    if declared.family == "gaussian":
        line = line_of(
            contrast, label=label, scale=asked.scale, counts=counts, clustered_by=who, events=asked.fewest_events
        )
    else:
        line = ratio_line(
            contrast,
            label=label,
            scale=RATIOS[declared.family],
            counts=counts,
            clustered_by=who,
            events=asked.fewest_events,
        )
    working = "an independence" if declared.working == "independence" else f"an {declared.working}"
    correction = declared.correction.replace("_", " and ").title().replace(" And ", " and ")
    means = "visits with means of their own" if declared.visit_means else "all visits with one mean"
    return Finding(
        analysis=declared.name,
        title="Treated against comparison over all visits, averaged over people",
        method=(
            f"Generalised estimating equations ({declared.family}) with {working} working correlation, {means}; "
            + ("uncorrected sandwich errors" if declared.correction == "none" else f"errors corrected by {correction}")
            + f", Satterthwaite degrees of freedom. {adjusted(table.facts.names)}"
        ),
        lines=(line,),
        notes=(
            *((ASKS_MORE,) if missed(asked) else ()),
            *((GIVEN,) if declared.family == "binomial" and table.facts.names else ()),
            *by.notes,
            *left_out(each[0][1].aliased),
        ),
    )
