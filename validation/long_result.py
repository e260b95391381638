"""May the answers from a long table be trusted? Each limit is declared, or that of other studies."""

from __future__ import annotations

from collections.abc import Iterator

from causal.effect.flat_extremes import Farthest
from causal.effect.long_table.run import LongDesign, LongResult
from causal.protocol.flat_gates import FlatGates
from causal.protocol.long_table import LongGates, LongTableStudy, Spells
from validation.verdict import Verdict, at_least, at_most, not_evaluated


def judge_long_result(result: LongResult, study: LongTableStudy) -> tuple[Verdict, ...]:
    """One verdict per limit, in the order a reader asks: alike, enough, heard, and numbers nobody could have."""
    gates = study.gates
    return (
        *_balance(result, study),
        *_enough(result, gates, spells=isinstance(study.columns, Spells)),
        *_response(result, gates),
        *((_extreme(result.far),) if result.far is not None else ()),
        *_run(result, study),
    )


def judge_long_design(design: LongDesign, study: LongTableStudy) -> tuple[Verdict, ...]:
    """What can be judged before outcomes are opened."""
    return (*_balance(design, study), *_numbers(design, study.gates))


def _balance(result: LongResult | LongDesign, study: LongTableStudy) -> Iterator[Verdict]:
    by_lot = study.assigned == "by_lot"
    limit = study.gates.smd
    if limit is None:
        limit = None if by_lot else FlatGates.model_fields["smd_model_only"].default
    if not result.balance:
        if not by_lot:
            yield not_evaluated("long.balance", "how far the groups differ: no covariate is named")
        return
    name, smd = max(result.balance, key=lambda row: abs(row[1]))
    if limit is None:
        return
    sentence = f"largest standardised difference of a covariate before anything adjusts ({name})"
    yield at_most("long.balance", abs(smd), limit, sentence)


def _numbers(result: LongResult | LongDesign, gates: LongGates) -> Iterator[Verdict]:
    yield at_least("long.people", min(result.people), gates.minimum_people, "people in the smaller group")
    if result.clusters is not None:
        sentence = f"smallest number of clusters behind a group, of {result.clusters.total} in all"
        yield at_least("long.clusters", result.clusters.fewest, gates.minimum_clusters_per_arm, sentence)


def _enough(result: LongResult, gates: LongGates, *, spells: bool) -> Iterator[Verdict]:
    yield from _numbers(result, gates)
    if spells:
        yield at_least(
            "long.events", min(result.events), gates.minimum_events, "events in the group that has fewer of them"
        )


def _response(result: LongResult, gates: LongGates) -> Iterator[Verdict]:
    if not result.response:
        return
    least = min(result.response, key=lambda one: min(one.treated, one.comparison))
    sentence = "share of people whose outcome is known, at the visit and in the group with fewest (visit "
    sentence += f"{least.visit})"
    yield at_least("long.response", min(least.treated, least.comparison), gates.minimum_response, sentence)
    apart = max(result.response, key=lambda one: abs(one.treated - one.comparison))
    yield at_most(
        "long.response_difference",
        abs(apart.treated - apart.comparison),
        gates.maximum_response_difference,
        f"how far the groups differ in that share, at the visit where they differ most (visit {apart.visit})",
    )


def _extreme(far: Farthest) -> Verdict:
    rows = "1 row" if far.rows == 1 else f"{far.rows} rows"
    sentence = "how far the farthest number of a column stands from the next, in ranges of all others "
    sentence += f"({far.column}, in {rows}, {far.place}; if it stands for a missing value, name it under data.missing)"
    return at_most("long.extreme", far.gap, FlatGates.model_fields["maximum_gap"].default, sentence)


def _run(result: LongResult, study: LongTableStudy) -> Iterator[Verdict]:
    """What was planned and has no number."""
    kinds = {one.name: one.analysis.replace("_", " ") for one in study.analyses}
    main = result.findings[0]
    if not main.lines:
        code = f"long.analysis.{main.analysis}"
        yield at_least(code, 0, 1, f"numbers of the main analysis: {'; '.join(main.not_evaluated)}")
    for finding in result.findings[0 if main.lines else 1 :]:
        for why in finding.not_evaluated:
            yield not_evaluated(f"long.analysis.{finding.analysis}", f"{kinds[finding.analysis]}: {why}")
