"""The difference at a visit had the missing outcomes followed an assumption about the reference group."""

from __future__ import annotations

from causal.effect.long_table.asked import OfVisits, adjusted, left_out
from causal.effect.long_table.imputed import apart, difference_by, draws_until
from causal.effect.missing import reference_based as imputing
from causal.effect.missing.rubin import Pooled
from causal.effect.missing.story import ASSUMPTIONS
from causal.effect.missing.within import within
from causal.effect.secondary.finding import Finding, Line, line_of
from causal.effect.widest import widest
from causal.protocol.long_analyses import ReferenceBased


def reference_based(asked: OfVisits, declared: ReferenceBased) -> Finding:
    """One pooled difference for each assumption; the same draws behind all of them."""
    visit = asked.position(declared.at)
    draws = draws_until(asked, visit, imputations=declared.imputations, name=declared.name)
    by = asked.clusterings
    lines: list[Line] = []
    notes: list[str] = []
    for assumption in declared.assumptions:
        sets = imputing.reference_based(draws, assumption)[:, :, visit]
        each: tuple[tuple[str, Pooled], ...] = by.under_each(
            lambda codes, sets=sets: within(  # type: ignore[misc]
                sets, difference_by(asked, codes), label="difference", level=asked.level
            )
        )
        who, contrast = widest([(name, pooled.contrast) for name, pooled in each])
        name, said = ASSUMPTIONS[assumption]
        label = f"{assumption}, {name}: {said}"
        lines.append(
            line_of(
                contrast,
                label=label,
                scale=asked.scale,
                counts=asked.counts(visit),
                clustered_by=who,
                events=asked.events(visit),
            )
        )
        notes += [f"{assumption}: {note}" for note in each[0][1].notes]
    return Finding(
        analysis=declared.name,
        title=f"Treated less comparison at visit {asked.table.labels[visit]}, had the missing followed an assumption",
        method=(
            f"{declared.imputations} completed tables, each analysed by a regression with CR2 errors, pooled by "
            f"Rubin's rules with Barnard and Rubin's degrees of freedom. {adjusted(asked.table.facts.names)}"
        ),
        lines=tuple(lines),
        notes=(*dict.fromkeys(notes), *apart(asked), *by.notes, *left_out(draws.aliased)),
    )
