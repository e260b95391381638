"""Optimal sets under any rules on pairs: who can be matched, then the cheapest way, over few pairs, certified over all.

*Zones.* Where one arm is scarce, the other has to share it. Which occasions that concerns depends on who may be paired
with whom, not on distances: where every comparison is used up, the treated lack some; where every treated occasion has
as many comparisons as it may, comparisons are left over. Pairs between two such zones are in no matching of the largest
size, or do not exist (Dulmage & Mendelsohn 1958). So the matching falls into zones, in each of which it is settled how
many partners everybody must and may have, and only distance is left to be minimised (`cheapest`).

*Pricing.* The search starts with each treated occasion's cheapest candidates. Zones and prices tell of every other
admissible pair whether it could make the matching larger or cheaper (linear programming duality); those that could are
added (`optimal_pricing` finds them), first until the zones, then until the prices stand. The matching is then optimal
over all admissible pairs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import Edges
from causal.design.matching.cheapest import link_cheapest
from causal.design.matching.links import Side, side
from causal.design.matching.listed import BYTES, both_ways, by_occasion, joined
from causal.design.matching.optimal_pricing import Market, Prices, improving
from causal.design.matching.zones import Shortage, Zone, answered, inquiries, listed_zones
from causal.design.memory import require_memory

IntArray = NDArray[np.int64]

FIRST_CANDIDATES = 8  # of each treated occasion to begin with; each round allows twice as many new ones


class Solution(NamedTuple):
    """Both sides with their `made` (1,) links, and the prices that prove them best."""

    treated: Side
    comparison: Side
    made: IntArray
    prices: Prices

    def links(self) -> tuple[IntArray, IntArray]:
        """Treated and comparison occasion of each link (m,)."""
        return self.treated.end[: self.made[0]], self.comparison.end[: self.made[0]]


def graph_choices(pairs: Market, *, ratio: int, memory: float) -> IntArray:
    """Comparisons (n1, ratio) of each treated occasion, both counted in row order, -1 where none.

    Most pairs, most treated occasions with a comparison, then the least total cost, over all pairs that the rules and
    the caliper admit.
    """
    return _sets(solve(pairs, *sets_of(ratio), memory=memory), ratio)


def listed_choices(edges: Edges, *, ratio: int, n0: int) -> IntArray:
    """As `graph_choices` from all the pairs there are, listed, of n0 comparisons; treated occasions enter by row.

    >>> pairs = Edges(np.array([0, 2, 3]), np.array([0, 1, 0], dtype=np.int32), np.array([1.0, 3.0, 1.5]))
    >>> listed_choices(pairs, ratio=1, n0=2).tolist()
    [[1], [0]]
    """
    asked, zones = sets_of(ratio)
    case_zone, zone = listed_zones(edges, n0, asked)
    prices = Prices(case_zone, np.zeros(case_zone.size), -zone, np.zeros(n0))
    return _sets(_cheapest(edges, prices, zones, np.arange(case_zone.size)), ratio)


def _sets(found: Solution, ratio: int) -> IntArray:
    """Comparisons (n1, ratio) that each treated occasion is linked to, -1 where none."""
    case, comparison = found.links()
    order = np.lexsort((comparison, case))
    case, comparison = case[order], comparison[order]
    chosen = np.full((found.treated.degree.size, ratio), -1)
    chosen[case, np.arange(case.size) - np.searchsorted(case, case)] = comparison
    return chosen


def sets_of(ratio: int) -> tuple[list[Shortage], dict[int, Zone]]:
    """What 1:k matching asks of the pairs, and its zones: everybody gets k, gets some, or not everybody gets one."""
    asked = [Shortage(by_treated=True, wanted=ratio, room=1, zone=1), Shortage(True, 1, 1, 2)]
    return asked, {0: Zone(ratio, ratio, 0, 1), 1: Zone(1, ratio, 1, 1), 2: Zone(0, 1, 1, 1)}


def solve(pairs: Market, asked: list[Shortage], zones: dict[int, Zone], *, memory: float) -> Solution:
    """Zones, the cheapest links within them, and the proof; of shortages that overlap the later counts."""
    n1, n0 = pairs.root.size, pairs.comparison.size
    edges = Edges(np.zeros(n1 + 1, np.int64), np.zeros(0, np.int32), np.zeros(0))
    prices = Prices(np.ones(n1, np.int64), np.zeros(n1), np.zeros(n0, np.int64), np.zeros(n0))  # all would improve
    edges = _more(pairs, edges, prices, FIRST_CANDIDATES, memory)
    edges, prices = _zoned(pairs, edges, asked, memory)
    order = np.argsort(pairs.coordinates[:n1, 0], kind="stable")  # neighbours in turn: shorter searches
    most, found = FIRST_CANDIDATES, None
    while True:
        found = _cheapest(edges, prices, zones, order, found)
        wider = _more(pairs, edges, found.prices, most, memory)
        if wider is edges:
            return found
        edges, most = wider, 2 * most


def _more(pairs: Market, edges: Edges, prices: Prices, most: int, memory: float) -> Edges:
    """The listed pairs and those that might improve the matching, up to `most` new ones of each treated occasion."""
    n1, n0 = pairs.root.size, pairs.comparison.size
    room = memory * 1e9 / BYTES - edges.cost.size
    most = min(most, n0, max(int(room / n1), 1))
    require_memory(
        float(edges.cost.size + n1 * most) * BYTES,
        limit=memory,
        work=f"optimal matching with up to {edges.cost.size + n1 * most:,} candidate pairs",
        instead="give a caliper, or a narrower one, or match exactly on more variables",
    )
    added = improving(pairs, edges, prices, most=most)
    return edges if added.cost.size == 0 else joined(edges, added)


def _zoned(pairs: Market, edges: Edges, asked: list[Shortage], memory: float) -> tuple[Edges, Prices]:
    """The pairs with those that largest matchings needed, and prices of 0 in levels by zone."""
    begun, edges = inquiries(pairs, edges, asked)
    most = FIRST_CANDIDATES
    while True:
        case_zone, zone, missing = answered(pairs, edges, begun)
        prices = Prices(case_zone, np.zeros(case_zone.size), -zone, np.zeros(zone.size))
        if not missing:
            return edges, prices
        edges, most = _more(pairs, edges, prices, most, memory), 2 * most
        for found in missing:
            edges = joined(edges, by_occasion(found.case, found.comparison, found.cost, case_zone.size))


def _cheapest(
    edges: Edges, prices: Prices, zones: dict[int, Zone], order: IntArray, before: Solution | None = None
) -> Solution:
    """The cheapest links within the zones, with their prices, starting from those of fewer pairs."""
    by_case, by_comparison = both_ways(edges, prices.treated_level, -prices.level)
    if before is None:
        bounds, first = np.array([zones[zone] for zone in sorted(zones)]), min(zones)
        ours, theirs = bounds[prices.treated_level - first, :2], bounds[-prices.level - first, 2:]
        links = int(ours[:, 0].sum() + theirs[:, 0].sum()) + ours.shape[0] + theirs.shape[0]  # with room to exchange
        treated = side(by_case, ours[:, 0].copy(), ours[:, 1].copy(), links)
        comparison = side(by_comparison, theirs[:, 0].copy(), theirs[:, 1].copy(), links)
        made = np.zeros(1, np.int64)
    else:
        treated, comparison = before.treated._replace(lists=by_case), before.comparison._replace(lists=by_comparison)
        made = before.made
    if not link_cheapest(treated, comparison, made, order):
        raise RuntimeError("a zone was found in which not everybody can have a partner")
    return Solution(treated, comparison, made, prices._replace(treated_price=treated.price, price=comparison.price))
