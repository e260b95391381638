"""A linear mixed model of a long table: straight courses over time, people differing at random."""

from __future__ import annotations

import numpy as np

from causal.effect.long_table.asked import OfVisits, adjusted, left_out, missed
from causal.effect.long_table.errors_by import CLUSTER, PERSON
from causal.effect.matched_estimates import refuse_arm_in_one_cluster
from causal.effect.multilevel.clustered import clustered_course
from causal.effect.secondary.finding import Finding, line_of
from causal.errors import EstimationError
from causal.protocol.long_analyses import MixedModel


def mixed_model(asked: OfVisits, declared: MixedModel) -> Finding:
    """The difference at each visit on straight courses, and how far the courses drift apart.

    Raises
    ------
    EstimationError
        ``estimation.no_days`` where visits have no times, and those of `clustered_course`.
    """
    table = asked.table
    if table.times is None:
        raise EstimationError(
            "estimation.no_days", "a straight course over time needs the time of each visit", fix="columns.times"
        )
    row, visit = np.nonzero(np.isfinite(table.scores))
    levels = {PERSON: row.astype(np.int64)}
    if table.clustered:
        refuse_arm_in_one_cluster(table.treated[row], table.clusters[row], CLUSTER)
        levels[CLUSTER] = table.clusters[row]
    found = clustered_course(
        table.scores[row, visit],
        table.treated[row],
        levels=levels,
        covariates=table.facts.values[row],
        names=table.facts.names,
        day=table.times[visit],
        at=tuple(table.times.tolist()),
        random="slope" if declared.random == "intercept_and_slope" else "intercept",
        method=declared.likelihood,
        degrees_of_freedom=declared.degrees_of_freedom,
        level=asked.level,
    )
    labels = (*(f"visit {label}" for label in table.labels), "how much the difference grows per unit of time")
    counts = [asked.counts(k) for k in range(len(table.labels))]
    lines = tuple(
        line_of(one, label=label, scale=asked.scale, counts=of, events=asked.fewest_events)
        for one, label, of in zip(found.contrasts, labels, (*counts, min(counts)), strict=True)
    )
    within = f" within {CLUSTER}s" if table.clustered else ""
    random = "level and slope" if declared.random == "intercept_and_slope" else "level"
    errors = "Satterthwaite" if declared.degrees_of_freedom == "satterthwaite" else "Kenward-Roger"
    return Finding(
        analysis=declared.name,
        title="Treated less comparison on straight courses over time",
        method=(
            f"Linear mixed model ({declared.likelihood}): the {random} of people{within} at random, a straight course "
            f"over time in each group; {errors} degrees of freedom. {adjusted(table.facts.names)}"
        ),
        lines=lines,
        notes=(*missed(asked), *found.notes, *left_out(found.aliased)),
    )
