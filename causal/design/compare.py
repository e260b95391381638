"""From a declared method to a comparison: the one place where the words of a study choose the engine that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.caliper import caliper_width
from causal.design.matching.pairing import Pairing
from causal.design.matching.sets import MatchedSets, on_rows, row_weights
from causal.design.weighting.weights import WeightEstimand
from causal.errors import DesignError
from causal.protocol.matching import AnyMatching, Caliper, Greedy
from causal.protocol.weighting import AnyWeighting

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Grouping = Literal["matched set", "stratum", "weight"]
"""Whether a design compares within matched sets, within strata, or by weights alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """n occasions as a method may see them, in canonical order.

    Attributes
    ----------
    treated, covariates, names, tiers
        (n,) arm, (n, p) complete covariates, their names and tiers.
    logit
        (n,) log odds of treatment.
    keys
        (n,) codes by name of every key that rules may name (clinic, clinician, regime).
    pairing
        The rules that hold whatever the method: exact keys, calendar window, persons.
    """

    treated: BoolArray
    covariates: FloatArray
    names: tuple[str, ...]
    tiers: tuple[int, ...]
    logit: FloatArray
    keys: Mapping[str, IntArray]
    pairing: Pairing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Who is compared with whom, or with what weights.

    Attributes
    ----------
    grouping
        What holds compared occasions together.
    estimand, note
        Whose effect the weights stand for, and what trimming or truncation changed about that (empty: nothing).
    weight
        (n,) weight of every occasion; 0 outside the comparison.
    set_id, row, row_weight
        (m,) set, row and weight of each member; an occasion used in several sets has several. Under weighting each
        occasion with weight is its own.
    caliper
        Largest distance allowed on the score, or None.
    """

    grouping: Grouping
    estimand: WeightEstimand
    note: str
    weight: FloatArray
    set_id: IntArray
    row: IntArray
    row_weight: FloatArray
    caliper: float | None


def compare(method: AnyMatching | AnyWeighting, units: Units, *, among: BoolArray | None = None) -> Comparison:
    """The comparison a declared method makes of n units, `among` (n,) those it may use.

    Calipers are in standard deviations of all n units, whoever may be used.

    Raises
    ------
    DesignError
        Nothing can be matched, the weights do not exist, or the method would need more memory than allowed.
    """
    rows = np.arange(units.treated.size) if among is None else np.flatnonzero(among)
    if isinstance(method, AnyMatching):
        sets = on_rows(_sets(method, units, rows), rows)
        return Comparison(
            grouping="matched set",
            estimand="ATT",
            note="",
            weight=row_weights(sets, units.treated.size),
            set_id=sets.set_id,
            row=sets.row,
            row_weight=sets.weight,
            caliper=sets.caliper,
        )
    raise DesignError("design.method", "weighting")


def score_of(caliper: Caliper | None, logit: FloatArray) -> FloatArray:
    """The scale on which closeness is measured: the caliper's, the log odds where there is none."""
    return 1 / (1 + np.exp(-logit)) if caliper is not None and caliper.scale == "probability" else logit


def _width(caliper: Caliper | None, units: Units) -> float | None:
    if caliper is None:
        return None
    return caliper_width(score_of(caliper, units.logit), units.treated, width=caliper.width, sd=caliper.sd)


def _sets(method: AnyMatching, units: Units, rows: IntArray) -> MatchedSets:
    from causal.design.matching.greedy import match_greedy

    assert isinstance(method, Greedy)
    return match_greedy(
        units.logit[rows],
        units.treated[rows],
        ratio=method.ratio,
        caliper=_width(method.caliper, units),
        exact=units.pairing.exact[rows],
        time_days=units.pairing.time[rows],
        window_days=units.pairing.window,
        person=units.pairing.person[rows],
        order=method.order,
    )
