"""Zones: who shares a shortage, and so how many partners everybody must and may have, before distances are looked at.

Where every comparison is used up, the treated lack some; where every treated occasion has as many comparisons as it
may, comparisons are left over. In no largest matching is anybody paired across the border of such a zone (Dulmage &
Mendelsohn 1958, Canad J Math 10:517-534).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.candidates import Edges
from causal.design.matching.links import Lists, Side, deficient, link_all, side
from causal.design.matching.listed import both_ways, by_occasion, joined
from causal.design.matching.optimal_pricing import Market
from causal.design.matching.reached import Found, spread, sweep

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


class Zone(NamedTuple):
    """How many partners the treated and the comparisons of a zone must have and may have."""

    treated_fewest: int
    treated_most: int
    fewest: int
    most: int


class Shortage(NamedTuple):
    """A question to the pairs: who cannot have `wanted` partners where the other arm may have `room` each.

    `by_treated` says whether the treated ask. Those who cannot, and whom they share, are zone `zone`: the more the
    treated lack, the higher.
    """

    by_treated: bool
    wanted: int
    room: int
    zone: int


class Inquiry(NamedTuple):
    """A question and the `made` (1,) links of a largest matching that answers it over the pairs listed so far."""

    question: Shortage
    treated: Side
    comparison: Side
    made: IntArray


def inquiries(pairs: Market, edges: Edges, asked: list[Shortage]) -> tuple[list[Inquiry], Edges]:
    """The questions with the links that one sweep finds, and the pairs with these."""
    n1, n0 = pairs.root.size, pairs.comparison.size
    begun = []
    for question in asked:
        wanted, room = (question.wanted, question.room)[:: 1 if question.by_treated else -1]
        first = sweep(pairs.near, wanted=wanted, room=room)
        links = min(n1 * wanted, n0 * room)
        inquiry = Inquiry(question, _unlisted(n1, wanted, links), _unlisted(n0, room, links), np.zeros(1, np.int64))
        link_all(inquiry.treated, inquiry.comparison, inquiry.made, (first.case, first.comparison))
        begun.append(inquiry)
        edges = joined(edges, by_occasion(first.case, first.comparison, first.cost, n1))
    return begun, edges


def listed_zones(edges: Edges, n0: int, asked: list[Shortage]) -> tuple[IntArray, IntArray]:
    """Zones of both arms, (n1,) and (n0,), where the listed pairs are all there are."""
    n1 = edges.indptr.size - 1
    case_zone, zone = np.zeros(n1, np.int64), np.zeros(n0, np.int64)
    by_case, by_comparison = both_ways(edges, case_zone, zone)
    for question in asked:
        wanted, room = (question.wanted, question.room)[:: 1 if question.by_treated else -1]
        links, made = min(n1 * wanted, n0 * room), np.zeros(1, np.int64)
        cases, pool = _unlisted(n1, wanted, links), _unlisted(n0, room, links)
        case_reached, reached = _deficient(question, cases, pool, made, by_case, by_comparison)
        case_zone[case_reached] = zone[reached] = question.zone
    return case_zone, zone


def answered(pairs: Market, edges: Edges, begun: list[Inquiry]) -> tuple[IntArray, IntArray, list[Found]]:
    """Zones of both arms, (n1,) and (n0,); and the pairs still missing from `edges`, without which these are wrong."""
    n1, n0 = pairs.root.size, pairs.comparison.size
    case_zone, zone = np.zeros(n1, np.int64), np.zeros(n0, np.int64)
    by_case, by_comparison = both_ways(edges, case_zone, zone)
    missing = []
    for question, treated, comparison, made in begun:
        case_reached, reached = _deficient(question, treated, comparison, made, by_case, by_comparison)
        found = spread(pairs, treated, comparison, case_reached, reached, by_treated=question.by_treated)
        if found.free:
            missing.append(found)
        case_zone[case_reached] = zone[reached] = question.zone
    return case_zone, zone, missing


def _deficient(
    question: Shortage, treated: Side, comparison: Side, made: IntArray, by_case: Lists, by_comparison: Lists
) -> tuple[BoolArray, BoolArray]:
    """Treated and comparison occasions who share the shortage over the listed pairs."""
    cases, pool = treated._replace(lists=by_case), comparison._replace(lists=by_comparison)
    if question.by_treated:
        return deficient(cases, pool, made)
    reached, case_reached = deficient(pool, cases, made)
    return case_reached, reached


def _unlisted(r: int, most: int, links: int) -> Side:
    """An arm of r occasions that may have so many links each, without pairs."""
    nothing = Lists(np.zeros(r + 1, np.int64), np.zeros(0, np.int32), np.zeros(0))
    return side(nothing, np.zeros(r, np.int64), np.full(r, most), links)
