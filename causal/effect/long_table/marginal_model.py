"""Estimating equations of a long table: one effect over all visits, averaged over people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.effect.long_table.asked import OfVisits, adjusted, left_out, missed
from causal.effect.multilevel.marginal import MarginalEffect, marginal_alliance
from causal.effect.secondary.finding import Finding, Scale, line_of, ratio_line
from causal.effect.secondary.repeated import ASKS_MORE
from causal.effect.widest import widest
from causal.protocol.long_analyses import MarginalModel

IntArray = NDArray[np.int64]
GIVEN = (
    "An odds ratio among people alike in the covariates is farther from 1 than the one over all people, even where the "
    "covariates have nothing to do with treatment."
)
RATIOS: dict[str, Scale] = {"binomial": "odds ratio", "poisson": "rate ratio"}


def marginal_model(asked: OfVisits, declared: MarginalModel) -> Finding:
    """The one difference or ratio over all visits."""
    table = asked.table
    row, visit = np.nonzero(np.isfinite(table.scores))
    covariates, names = table.facts.values[row], table.facts.names
    if declared.visit_means:
        own = (visit[:, None] == np.arange(1, len(table.labels))).astype(np.float64)
        covariates, names = np.column_stack([covariates, own]), (*names, *(f"visit {v}" for v in table.labels[1:]))

    def fitted(codes: IntArray) -> MarginalEffect:
        # With clusters of people no order of visits holds within a cluster, so each person's come one after another.
        occasion = visit if not table.clustered else np.arange(row.size)
        return marginal_alliance(
            table.scores[row, visit],
            table.treated[row],
            clusters=codes[row],
            covariates=covariates,
            names=names,
            occasion=occasion.astype(np.int64),
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
        line = line_of(contrast, label=label, scale="points", counts=counts, clustered_by=who)
    else:
        line = ratio_line(contrast, label=label, scale=RATIOS[declared.family], counts=counts, clustered_by=who)
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
