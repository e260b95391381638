"""A long table to what its study asks of it: one finding for each analysis, and what they rest on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.diagnostics.balance import balance_table
from causal.design.diagnostics.clusters import ClusterSpread, cluster_spread
from causal.design.fates import CovariateFate
from causal.design.frame import numbered, numbers
from causal.design.matching.pairing import refuse_arms
from causal.effect.flat_disguise import refuse_disguised_outcome
from causal.effect.flat_extremes import Farthest, farthest, refuse_beyond
from causal.effect.long_table.asked import OfSpells, OfVisits
from causal.effect.long_table.hazards import hazards
from causal.effect.long_table.marginal_model import marginal_model
from causal.effect.long_table.mixed_model import mixed_model
from causal.effect.long_table.people import (
    BASELINE,
    Facts,
    Followed,
    Visited,
    followed,
    people_of,
    places_of,
    refuse_columns,
    visited,
)
from causal.effect.long_table.reference_based import reference_based
from causal.effect.long_table.repeated_measures import repeated_measures
from causal.effect.long_table.tipping_point import tipping_point
from causal.effect.secondary.finding import Finding
from causal.errors import DesignError, EstimationError
from causal.numeric.grid import figures
from causal.protocol import long_analyses as declarable
from causal.protocol.long_table import LongTableStudy, Spells, Visits
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
ANALYSES: Mapping[type[Any], Callable[[Any, Any], Finding]] = {
    declarable.RepeatedMeasures: repeated_measures,
    declarable.MixedModel: mixed_model,
    declarable.MarginalModel: marginal_model,
    declarable.ReferenceBased: reference_based,
    declarable.TippingPoint: tipping_point,
    declarable.Hazards: hazards,
}
"""What carries out each analysis a study of a long table can declare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitResponse:
    """Shares of the treated and of the comparison people whose outcome at a visit is known."""

    visit: str
    treated: float
    comparison: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LongResult:
    """What a long table says.

    Attributes
    ----------
    findings
        One for each declared analysis, in order.
    people, events
        Treated and comparison people (with a spell in the group, where rows are spells), and their events, () of
        visits.
    n_rows
        Rows that were read.
    balance
        Name and standardised difference of every covariate before anything adjusts, treated minus comparison; spells
        count by how long they are.
    fates
        What became of every declared covariate.
    response
        Of each compared visit; () of spells.
    clusters
        How each group lies over the clusters; None where the study names none.
    far
        The number farthest from all others of its column; None where no column has enough different ones.
    """

    findings: tuple[Finding, ...]
    people: tuple[int, int]
    events: tuple[int, ...]
    n_rows: int
    balance: tuple[tuple[str, float], ...]
    fates: tuple[CovariateFate, ...]
    response: tuple[VisitResponse, ...]
    clusters: ClusterSpread | None
    far: Farthest | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongDesign:
    """Who takes part, known before any outcome is.

    Attributes
    ----------
    treated, facts
        Of the n people, in the order of their names: (n,) arm, of spells that of the first one; and their covariates.
    people, balance, clusters
        As in `LongResult`; of spells, of the first of each person.
    content
        Everything a digest of it is made of.
    """

    treated: BoolArray
    facts: Facts
    people: tuple[int, int]
    balance: tuple[tuple[str, float], ...]
    clusters: ClusterSpread | None
    content: tuple[bytes, ...]


def without_outcomes(frame: pd.DataFrame, study: LongTableStudy) -> pd.DataFrame:
    """The table with nothing in it that comes after treatment began.

    Outcomes are empty but at the baseline visit. Of spells only the first of each person is left, of one length and
    without its event.

    Raises
    ------
    DesignError
        ``flat.no_column`` and those of `causal.design.frame.numbers`, of the columns needed to tell what comes after.
    """
    frame, columns = numbered(frame), study.columns
    if isinstance(columns, Visits):
        refuse_columns(frame, columns, (columns.visit, columns.outcome))
        before = np.zeros(len(frame), dtype=np.bool_)
        if columns.baseline is not None:
            before = places_of(frame, columns) == BASELINE
        blind = frame.copy()
        blind[columns.outcome] = frame[columns.outcome].where(before)
        return blind
    refuse_columns(frame, columns, (columns.start, columns.stop, columns.event))
    start, people = numbers(frame, columns.start), people_of(frame, columns)
    order = np.lexsort((start, people))
    kept = frame.iloc[order[np.unique(people[order], return_index=True)[1]]]  # in the order of people's names
    blind = kept.copy()
    blind[columns.stop], blind[columns.event] = kept[columns.start] + 1.0, 0
    return blind


def design_long_table(frame: pd.DataFrame, study: LongTableStudy) -> LongDesign:
    """Who takes part, from a table `without_outcomes`.

    Raises
    ------
    DesignError
        The table is not what the study says; see `causal.effect.long_table.people`.
    """
    columns = study.columns
    with one_thread():
        found = visited(frame, columns) if isinstance(columns, Visits) else followed(frame, columns)
        refuse_beyond(frame, columns.numeric)
        clusters = _spread(found.treated, found.clusters, named=found.clustered)
        return LongDesign(
            treated=found.treated,
            facts=found.facts,
            people=_by_arm(found.treated),
            balance=figures(_balance(found.facts, found.treated, np.ones(found.treated.size))),
            clusters=clusters,
            content=(found.treated.tobytes(), found.facts.values.tobytes(), found.clusters.tobytes()),
        )


def analyse_long_table(frame: pd.DataFrame, study: LongTableStudy) -> LongResult:
    """Everything the study asks of the table.

    Raises
    ------
    DesignError
        The table is not what the study says; see `causal.effect.long_table.people`. Refusals of an analysis become the
        reason for which it has no number.
    """
    with one_thread():
        return figures(_analysed(numbered(frame), study))


def _analysed(frame: pd.DataFrame, study: LongTableStudy) -> LongResult:
    columns = study.columns
    if isinstance(columns, Visits):
        people = visited(frame, columns)
        looked_at = (columns.outcome, *columns.numeric)
        refuse_beyond(frame, looked_at)
        _refuse_disguised(people)
        of_visits = OfVisits(table=people, words=study.words, level=study.level, seed=study.seed)
        return LongResult(
            findings=tuple(evaluated(of_visits, declared) for declared in study.analyses),
            people=_by_arm(people.treated),
            events=(),
            n_rows=len(frame),
            balance=_balance(people.facts, people.treated, np.ones(people.treated.size)),
            fates=people.facts.fates,
            response=_response(people),
            clusters=_spread(people.treated, people.clusters, named=people.clustered),
            far=farthest(frame, looked_at),
        )
    return _of_spells(frame, columns, study)


def _of_spells(frame: pd.DataFrame, columns: Spells, study: LongTableStudy) -> LongResult:
    spells = followed(frame, columns)
    refuse_arms(spells.treated)
    looked_at = (columns.start, columns.stop, *columns.numeric)
    refuse_beyond(frame, looked_at)
    asked = OfSpells(table=spells, words=study.words, level=study.level)
    both = [int(np.unique(spells.people[arm]).size) for arm in (spells.treated, ~spells.treated)]
    return LongResult(
        findings=tuple(evaluated(asked, declared) for declared in study.analyses),
        people=(both[0], both[1]),
        events=_by_arm_of(spells),
        n_rows=len(frame),
        balance=_balance(spells.facts, spells.treated, spells.stop - spells.start),
        fates=spells.facts.fates,
        response=(),
        clusters=_spread(spells.treated, spells.clusters, named=spells.clustered),
        far=farthest(frame, looked_at),
    )


def evaluated(asked: OfVisits | OfSpells, declared: declarable.LongAnalysis) -> Finding:
    """The finding of one analysis; what it refuses is told in its place, and nothing else stops."""
    try:
        return ANALYSES[type(declared)](asked, declared)
    except (EstimationError, DesignError) as refusal:
        why = f"{refusal.message}{f' ({refusal.fix})' if refusal.fix else ''}"
    except np.linalg.LinAlgError:
        why = "a covariance is singular: the outcome or a covariate hardly varies"
    title = declared.analysis.replace("_", " ").capitalize()
    return Finding(analysis=declared.name, title=title, method="", not_evaluated=(why,))


def _refuse_disguised(people: Visited) -> None:
    for k in range(len(people.labels)):
        known = np.isfinite(people.scores[:, k])
        if people.facts.names and known.any():
            refuse_disguised_outcome(people.scores[known, k], people.facts.values[known], people.facts.names)


def _by_arm(treated: BoolArray) -> tuple[int, int]:
    return int(treated.sum()), int((~treated).sum())


def _by_arm_of(spells: Followed) -> tuple[int, int]:
    return int(spells.event[spells.treated].sum()), int(spells.event[~spells.treated].sum())


def _balance(facts: Facts, treated: BoolArray, weights: FloatArray) -> tuple[tuple[str, float], ...]:
    """Every covariate before anything adjusts; nothing where there is none, or where a group is empty."""
    columns = facts.columns
    if columns is None or treated.all() or not treated.any():
        return ()
    shown = columns.shown
    names = [columns.plain[j] for j in shown]
    rows = balance_table(columns.values[:, shown], names, [1] * len(names), treated, weights, estimand="ATE")
    return tuple((row.name, row.smd_after) for row in rows)


def _response(people: Visited) -> tuple[VisitResponse, ...]:
    known = np.isfinite(people.scores)
    shares = [known[arm].mean(axis=0) for arm in (people.treated, ~people.treated)]
    return tuple(
        VisitResponse(visit=label, treated=float(one), comparison=float(other))
        for label, one, other in zip(people.labels, *shares, strict=True)
    )


def _spread(treated: BoolArray, clusters: IntArray, *, named: bool) -> ClusterSpread | None:
    return cluster_spread(treated, np.ones(treated.size), clusters, level="clinician") if named else None
