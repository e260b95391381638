"""The ratio of hazards in a long table of spells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from causal.effect.long_table.asked import OfSpells, adjusted, left_out
from causal.effect.long_table.errors_by import clusterings
from causal.effect.secondary.finding import Finding, ratio_line
from causal.effect.termination.hazard import cox
from causal.effect.termination.maximum import LikelihoodFit
from causal.effect.variation import CONSTANT
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.long_analyses import Hazards

IntArray = NDArray[np.int64]
TREATED = "treated"


def hazards(asked: OfSpells, declared: Hazards) -> Finding:
    """The hazard of the event, treated to comparison, given the covariates as they stood when each spell began.

    Raises
    ------
    EstimationError
        ``estimation.constant_outcome`` where a group has no event; those of `cox`.
    """
    table = asked.table
    if not table.event[table.treated].any() or not table.event[~table.treated].any():
        raise EstimationError(
            CONSTANT,
            "no spell of one of the groups ended with the event: its hazard is known from no event",
            fix="describe, do not estimate",
        )

    def fitted(codes: IntArray) -> LikelihoodFit:
        return cox(
            table.stop,
            table.event,
            np.column_stack([table.facts.values, table.treated]),
            clusters=codes,
            entry=table.start,
            names=(*table.facts.names, TREATED),
            told=(TREATED,),
            ties=declared.ties,
            level=asked.level,
        )

    by = clusterings(table.treated, table.people, table.clusters if table.clustered else None)
    each = by.under_each(fitted)
    if TREATED in each[0][1].aliased:
        raise EstimationError(
            "estimation.not_estimable",
            "the effect cannot be told apart from a combination of the covariates",
            fix="remove the covariate that determines the treatment in this table",
        )
    who, contrast = widest([(name, fit.contrasts[0]) for name, fit in each])
    people = tuple(int(np.unique(table.people[arm]).size) for arm in (table.treated, ~table.treated))
    with_event = tuple(int(np.unique(table.people[arm & table.event]).size) for arm in (table.treated, ~table.treated))
    several = int(np.bincount(table.people[table.event]).max()) > 1
    return Finding(
        analysis=declared.name,
        title="Ratio of hazards, treated to comparison",
        method=(
            f"Cox's regression of spells ({declared.ties.title()}'s ties), robust errors corrected for few and uneven "
            f"groups of spells. {adjusted(table.facts.names)}"
        ),
        lines=(
            ratio_line(
                contrast,
                label="hazard of the event",
                scale="hazard ratio",
                counts=(people[0], people[1]),
                clustered_by=who,
                events=(with_event[0], with_event[1]),
            ),
        ),
        notes=(*((RECURS,) if several else ()), *by.notes, *left_out(each[0][1].aliased)),
    )


RECURS = (
    "Some people have the event more than once: the ratio is of rates of all events, each as likely after one as "
    "before, given the covariates; the errors know that a person's events go together."
)
