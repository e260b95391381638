"""A mixed model for repeated measures of a long table: the difference at each visit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.effect.long_table.asked import OfVisits, adjusted, left_out, missed
from causal.effect.long_table.errors_by import PERSON, Clusterings
from causal.effect.repeated.alliance import RepeatedEffects, repeated_alliance
from causal.effect.secondary.finding import Finding, line_of
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.long_analyses import RepeatedMeasures

IntArray = NDArray[np.int64]


def repeated_measures(asked: OfVisits, declared: RepeatedMeasures) -> Finding:
    """The difference at each visit, and their plain mean.

    Raises
    ------
    EstimationError
        ``estimation.clusters_unused`` where clusters are named and the standard errors do not know of them, and those
        of `repeated_alliance`.
    """
    table = asked.table
    robust = declared.degrees_of_freedom == "cluster_robust"
    if table.clustered and not robust:
        raise EstimationError(
            "estimation.clusters_unused",
            "the table has clusters, and these standard errors take people for independent",
            fix="degrees_of_freedom: cluster_robust",
        )

    def fitted(codes: IntArray | None) -> RepeatedEffects:
        return repeated_alliance(
            table.scores,
            table.treated,
            np.arange(1, len(table.labels) + 1, dtype=np.float64),
            labels=table.labels,
            covariates=table.facts.values,
            names=table.facts.names,
            clusters=codes,
            structure=declared.covariance,
            method=declared.likelihood,
            degrees_of_freedom=declared.degrees_of_freedom,
            level=asked.level,
        )

    by: Clusterings | None = asked.clusterings if robust else None
    each = by.under_each(fitted) if by is not None else ((PERSON, fitted(None)),)
    found = each[0][1]
    counts = [asked.counts(k) for k in range(len(table.labels))]
    lines = []
    for k, label in enumerate(table.labels):
        who, difference = widest([(name, fit.by_day[k]) for name, fit in each])
        lines.append(
            line_of(
                difference,
                label=f"visit {label}",
                scale=asked.scale,
                counts=counts[k],
                clustered_by=who,
                events=asked.events(k),
            )
        )
    who, average = widest([(name, fit.average) for name, fit in each])
    lines.append(
        line_of(
            average,
            label="mean over these visits",
            scale=asked.scale,
            counts=min(counts),
            clustered_by=who,
            events=asked.fewest_events,
        )
    )
    return Finding(
        analysis=declared.name,
        title="Treated less comparison at each visit, all visits in one model",
        method=f"{found.description} {adjusted(table.facts.names)}",
        lines=tuple(lines),
        notes=(*missed(asked), *(by.notes if by is not None else ()), *left_out(found.aliased)),
    )
