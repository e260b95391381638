"""How far the missing outcomes of a long table would have to differ for the conclusion to change."""

from __future__ import annotations

from dataclasses import replace

from causal.effect.long_table.asked import OfVisits, adjusted, left_out
from causal.effect.long_table.imputed import apart, difference_by, draws_until
from causal.effect.missing.reference_based import reference_based
from causal.effect.missing.tipping import TippingGrid, tipping
from causal.effect.secondary.dropout import tipped, tipping_reading
from causal.effect.secondary.finding import Finding, line_of
from causal.effect.widest import widest
from causal.errors import EstimationError
from causal.protocol.long_analyses import TippingPoint


def tipping_point(asked: OfVisits, declared: TippingPoint) -> Finding:
    """The difference with the missing as they would be at random, its corners, and where the conclusion tips.

    One clustering serves the whole grid, so that a tipping point is not a change of clustering.
    """
    visit = asked.position(declared.at)
    scores = asked.table.scores
    if (scores < declared.lower).any() or (scores > declared.upper).any():
        raise EstimationError(
            "estimation.outcome_range",
            "an outcome lies outside the least and the largest value it can have",
            fix="lower and upper of this analysis, or data.missing where a number stands for a missing value",
        )
    draws = draws_until(asked, visit, imputations=declared.imputations, name=declared.name)
    outcomes = reference_based(draws, "MAR")[:, :, visit]
    shifts = tuple(round(k * declared.step, 10) for k in range(-declared.steps, declared.steps + 1))
    by = asked.clusterings
    each = by.under_each(
        lambda codes: tipping(
            outcomes,
            draws.filled[:, visit],
            asked.table.treated,
            difference_by(asked, codes),
            label="difference",
            deltas_treated=shifts,
            deltas_comparison=shifts,
            scale=(declared.lower, declared.upper),
            level=asked.level,
        )
    )
    who = widest([(name, grid.at(0.0, 0.0).contrast) for name, grid in each])[0]
    grid: TippingGrid = next(found for name, found in each if name == who)
    main = line_of(
        grid.at(0.0, 0.0).contrast,
        label="missing at random: like those alike in what was seen",
        scale=asked.scale,
        counts=asked.counts(visit),
        clustered_by=who,
        events=asked.events(visit),
    )
    return Finding(
        analysis=declared.name,
        title=f"Treated less comparison at visit {asked.table.labels[visit]}, had the missing outcomes been others",
        method=(
            f"{declared.imputations} completed tables, missing outcomes as at random and then shifted by up to "
            f"{shifts[-1]:g} either way in each group; pooled by Rubin's rules. {adjusted(asked.table.facts.names)}"
        ),
        lines=(main, *(replace(line, events=asked.events(visit)) for line in tipped(grid, shifts, GROUPS))),
        notes=(*_beyond(grid), *apart(asked), *by.notes, *left_out(draws.aliased)),
        readings=tipping_reading(grid, GROUPS[0]),
    )


GROUPS = ("treated", "comparison")


def _beyond(grid: TippingGrid) -> tuple[str, ...]:
    """What to know of shifts that no outcome could have."""
    worst = max(float(grid.outside_treated.max()), float(grid.outside_comparison.max()))
    return (f"Up to {worst:.0%} of shifted values leave the range of the outcome.",) if worst > 0 else ()
