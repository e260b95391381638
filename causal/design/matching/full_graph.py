"""Optimal full matching under any rules: the cheapest cover of the graph of admissible pairs by stars, bounded or not.

Where a bound leaves no room for all, the zones tell who has to share: comparisons share treated occasions all of which
have as many comparisons as they may, and some comparisons are left out; or the other way round. Everybody else has one
partner or more. Within the zones the cheapest links are found as for 1:k sets (`optimal_graph`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.optimal_graph import solve
from causal.design.matching.optimal_pricing import market
from causal.design.matching.pairing import Pairing
from causal.design.matching.zones import Shortage, Zone
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large a star may be, whole numbers or infinity.

    Attributes
    ----------
    fewest, most
        Comparisons of a treated occasion. `fewest` above 1 must be met, or the match is refused.
    shared
        Treated occasions of one comparison; 1 where `fewest` is 1 or more.
    """

    fewest: int
    most: float
    shared: float


def cover_graph(
    coordinates: FloatArray, treated: BoolArray, pairing: Pairing, *, caliper: float, bounds: Bounds, memory: float
) -> tuple[IntArray, IntArray]:
    """Edges of a cheapest cover of the occasions that have an admissible partner.

    Parameters
    ----------
    coordinates
        (n, q) whose Euclidean distance is the cost of a pair, to which the penalties of preferences are added.
    treated
        (n,) arm.
    caliper
        Largest distance of a pair, inclusive.
    bounds
        Where they cannot be kept with all occasions, as many as possible are covered, and those at least cost.
    memory
        Gigabytes allowed.

    Returns
    -------
    Rows of the treated and of the comparison end of each edge (e,). Where edges of no cost leave a choice an edge may
    be superfluous.
    """
    cases, pool = np.flatnonzero(treated), np.flatnonzero(~treated)
    most, shared = (int(min(bound, arm.size)) for bound, arm in ((bounds.most, pool), (bounds.shared, cases)))
    asked = [
        Shortage(by_treated=False, wanted=1, room=most, zone=-1),
        Shortage(by_treated=True, wanted=bounds.fewest, room=shared, zone=1),
    ]
    zones = {
        -1: Zone(most, most, 0, 1),  # comparisons are left over
        0: Zone(bounds.fewest, most, 1, shared),
        1: Zone(0, bounds.fewest, shared, shared),  # treated occasions are
    }
    pairs = market(coordinates, treated, caliper=None if np.isinf(caliper) else caliper, pairing=pairing)
    found = solve(pairs, asked, zones, memory=memory)
    short = (np.diff(found.treated.lists.indptr) > 0) & (found.treated.degree < bounds.fewest)
    if bounds.fewest > 1 and short.any():
        raise DesignError(
            "design.too_few_comparisons",
            f"{int(short.sum())} treated occasions cannot be given {bounds.fewest} comparisons each",
            fix="lower min_controls, or widen the caliper",
        )
    case, comparison = found.links()
    order = np.lexsort((comparison, case))
    return cases[case[order]], pool[comparison[order]]
