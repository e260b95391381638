"""The tables of the report: disclosed values, worded cell by cell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from causal.protocol.words import Words
from flows.report.document import Column, Table
from flows.report.dossier import (
    BalanceLine,
    Dossier,
    EffectLine,
    EstimandLine,
    FindingLine,
    FindingRow,
    LaterCheck,
    LookedAt,
    QualityLine,
    Results,
    TruthLine,
    UnansweredLine,
    VerdictLine,
    VersionLine,
)
from flows.report.numbers import WITHHELD, capitalised, compact, count, fixed, percent, signed
from flows.report.sentences import Groups, groups_of, is_share, level_of, limit_of, scaled, stop, withheld_note
from validation.disclosure import FlowStep
from validation.verdict import Verdict

WEIGHT = {"FAIL": 0, "NOT EVALUATED": 1, "PASS": 2}
NONE = "\N{EN DASH}"


def flow_table(dossier: Dossier) -> Table:
    """Who remains after each rule."""
    groups = groups_of(dossier)
    return Table(
        caption="Persons and occasions that remain after each rule",
        columns=(
            Column(title="Rule", width=3),
            Column(title="Persons", role="number"),
            Column(title="Occasions", role="number"),
            Column(title=groups.treated_head, role="number", width=1.1),
            Column(title=groups.comparison_head, role="number", width=1.2),
        ),
        rows=tuple((step.rule, count(step.persons), count(step.occasions), *_by_group(step)) for step in dossier.flow),
        note=f"{withheld_note(dossier.threshold)} A dash: not known at that step, or withheld.",
    )


def _by_group(step: FlowStep) -> tuple[str, str]:
    if step.treated is None and step.comparison is None:
        return NONE, NONE
    return count(step.treated), count(step.comparison)


def looked_at_table(lines: Sequence[LookedAt]) -> Table:
    """What else was looked at, a question and what was found."""
    return Table(
        caption="What else was looked at before the outcomes were opened",
        columns=(Column(title="Question"), Column(title="What was found", width=2)),
        rows=tuple((line.question, stop(capitalised(line.answer))) for line in lines),
    )


def by_tier(balance: tuple[BalanceLine, ...]) -> tuple[BalanceLine, ...]:
    """Tier 1 first; within a tier the most unlike before adjustment first, the withheld last."""
    return tuple(
        sorted(
            balance,
            key=lambda line: (line.tier, 0.0 if line.smd_before is None else -abs(line.smd_before), line.name),
        )
    )


def balance_table(dossier: Dossier, groups: Groups) -> Table:
    """Means and standardised differences of each fact."""
    return Table(
        caption=f"Means of each fact in both groups, before and after {dossier.adjustment}",
        columns=(
            Column(title="Fact", width=3),
            Column(title="Tier", role="number", width=0.65),
            Column(title=groups.treated_head, role="number", width=1.1),
            Column(title=f"{groups.comparison_head}, before", role="number", width=1.2),
            Column(title=f"{groups.comparison_head}, after", role="number", width=1.2),
            Column(title="Differ. before", role="number", width=0.9),
            Column(title="Differ. after", role="number", width=0.9),
            Column(title="Limit (at most)", role="number", width=0.8),
            Column(title="Within limit", width=0.8),
            Column(title="Variance ratio", role="number", width=0.95),
            Column(title="Fate", width=1.2),
        ),
        rows=tuple(_balance_row(line) for line in by_tier(dossier.balance)),
        note="Fate: what became of each fact the study declares; the groups are alike in a constant one without being "
        "made so. Differences (“differ.”) are standardised: 0.10 is one tenth of the spread. A variance ratio near 1 "
        "means a like spread. Means of the first group are those of the cases compared. "
        + withheld_note(dossier.threshold),
    )


def _balance_row(line: BalanceLine) -> tuple[str, ...]:
    means = (line.mean_treated, line.mean_comparison_before, line.mean_comparison_after)
    if line.within_limit is None:  # nothing to balance
        return (f"{line.label}", str(line.tier), *[NONE] * 8, line.fate)
    unit = "" if line.binary or line.unit.lower() in line.label.lower() else f" ({line.unit})"
    return (
        f"{line.label}{unit}",
        str(line.tier),
        *(_mean(mean, binary=line.binary) for mean in means),
        *(WITHHELD if smd is None else signed(smd) for smd in (line.smd_before, line.smd_after)),
        fixed(line.limit),
        "yes" if line.within_limit else "NO",
        NONE if line.variance_ratio is None else fixed(line.variance_ratio),
        line.fate,
    )


def _mean(mean: float | None, *, binary: bool) -> str:
    if mean is None:
        return WITHHELD
    return percent(mean) if binary else fixed(mean)


def version_table(versions: tuple[VersionLine, ...], threshold: int) -> Table:
    """How the exposure was carried out."""
    return Table(
        caption="How the first choice was carried out, among the compared",
        columns=(
            Column(title="Version", width=2),
            Column(title="Value", width=2),
            Column(title="Share", role="number"),
        ),
        rows=tuple(
            (line.version, capitalised(line.value), WITHHELD if line.percent is None else percent(line.percent / 100))
            for line in versions
        ),
        note=withheld_note(threshold),
    )


def interval_table(effect: EffectLine) -> Table:
    """One effect under every clustering."""
    unit = "percentage points" if is_share(effect) else "points"
    why = f"{effect.why_main} " if effect.why_main else ""
    return Table(
        caption=f"Difference in {unit}, with every interval",
        columns=(
            Column(title="Clustered by", width=1.8),
            Column(title="Clusters", role="number"),
            Column(title="Difference", role="number"),
            Column(title=f"{level_of(effect)} interval", role="number", width=1.6),
            Column(title="Standard error", role="number"),
            Column(title="Degrees of freedom", role="number"),
        ),
        rows=tuple(
            (
                f"{line.clustered_by}{' (main)' if line.primary else ''}",
                count(line.clusters),
                scaled(effect, effect.value),
                f"{scaled(effect, line.lower)} to {scaled(effect, line.upper)}",
                scaled(effect, line.std_error).removeprefix("+"),
                WITHHELD if line.df is None else fixed(line.df, 1),
            )
            for line in effect.intervals
        ),
        note=f"{why}Of 100 studies done this way, about {100 * effect.level:g} would have the true value inside their "
        f"interval, if what the method assumes holds.{_withheld(line.withheld for line in effect.intervals)}",
    )


def _withheld(reasons: Iterable[str]) -> str:
    """Each reason for which something in a table is withheld, once."""
    return "".join(f" “Withheld”: {reason}." for reason in dict.fromkeys(reasons) if reason)


def estimand_table(estimands: Sequence[EstimandLine]) -> Table:
    """What is done about each event between time zero and the rating, a column for each estimand."""
    main = [f"{estimand.id}{' (main)' if estimand.primary else ''}: {estimand.label}" for estimand in estimands]
    return Table(
        caption="What can come between the choice and the rating, and what is done about it",
        columns=(Column(title="What happens"), *(Column(title=title, width=1.3) for title in main)),
        rows=tuple(
            (event, *(capitalised(estimand.events[k][1]) for estimand in estimands))
            for k, (event, _) in enumerate(estimands[0].events)
        ),
        note="A form not filled in while treatment goes on is none of these: it is a missing rating.",
    )


def planned_table(planned: Sequence[tuple[str, str]]) -> Table:
    """The analyses set in advance beside the main one."""
    return Table(
        caption="What else will be worked out, set in advance",
        columns=(Column(title="Analysis"), Column(title="What it is", width=2.8)),
        rows=tuple((capitalised(name), words) for name, words in planned),
    )


RATIOS = ("hazard ratio", "win odds")


def finding_table(finding: FindingLine, words: Words) -> Table:
    """The numbers of one analysis set in advance; a row whose numbers are withheld stays, with the reason below."""
    level = f"{100 * finding.rows[0].level:g}%"
    optional = {
        Column(title="Clustered by", width=1.2): [row.clustered_by for row in finding.rows],
        Column(title="Holds in the family", width=1): [row.family or NONE for row in finding.rows],
        Column(title="Who answered", width=1.2): [row.response or NONE for row in finding.rows],
    }
    told = {column: cells for column, cells in optional.items() if set(cells) - {"", NONE}}
    return Table(
        caption=f"Estimates with {level} intervals",
        columns=(
            Column(title="What", width=2.6),
            Column(title="Unit", width=1.2),
            Column(title="Estimate", role="number"),
            Column(title=f"{level} interval", role="number", width=1.6),
            *told,
        ),
        rows=tuple((*_finding_row(row), *(cells[k] for cells in told.values())) for k, row in enumerate(finding.rows)),
        note="".join((*_finding_notes(finding, words), *_why_withheld(finding))).strip(),
    )


def _finding_row(row: FindingRow) -> tuple[str, ...]:
    unit = "percentage points" if row.scale == "risk difference" else row.scale
    if row.lower is None or row.upper is None:
        return capitalised(row.label), unit, WITHHELD, WITHHELD
    estimate = NONE if row.value is None else _found(row, row.value)
    return capitalised(row.label), unit, estimate, f"{_found(row, row.lower)} to {_found(row, row.upper)}"


def _finding_notes(finding: FindingLine, words: Words) -> Iterator[str]:
    if any(row.family for row in finding.rows):
        yield (
            "“Holds in the family”: whether the difference stands apart from zero when all tests of the declared "
            "family are guarded together (Holm)."
        )
    if any(row.response for row in finding.rows):
        yield (
            " “Who answered”: a number marked so rests on ratings that too few gave, or one group far more than the "
            "other. It tells what those who answered said, and not what either choice does to "
            f"{words.outcome}."
        )


def _why_withheld(finding: FindingLine) -> Iterator[str]:
    """The reason of every withheld row, those that share one named together."""
    for reason in dict.fromkeys(row.withheld for row in finding.rows if row.withheld):
        rows = "; ".join(row.label for row in finding.rows if row.withheld == reason)
        yield f" “Withheld” ({rows}): {reason}."


def _found(row: FindingRow, x: float) -> str:
    if row.scale in RATIOS or row.scale == "probability":
        return fixed(x)
    return signed(100 * x, 1) if row.scale == "risk difference" else signed(x, 1 if row.scale == "days" else 2)


def truth_table(lines: tuple[TruthLine, ...], results: Results) -> Table:
    """The truth of synthetic records beside the estimate."""
    return Table(
        caption="The truth built into the synthetic records, beside what was estimated",
        columns=(
            Column(title="Quantity", width=2.4),
            Column(title="Truth", role="number"),
            Column(title="Estimate", role="number"),
            Column(title=f"{100 * lines[0].level:g}% interval", role="number", width=1.6),
            Column(title="Truth inside the interval", width=1.2),
        ),
        rows=tuple(_truth_row(line, results.termination) for line in lines),
    )


def _truth_row(line: TruthLine, termination: EffectLine | UnansweredLine) -> tuple[str, ...]:
    share = (line.estimate, line.lower, line.upper) == (termination.value, termination.lower, termination.upper)
    effect_unit, decimals = (100.0, 1) if share else (1.0, 2)
    truth, estimate, lower, upper = (
        signed(effect_unit * x, decimals) for x in (line.truth, line.estimate, line.lower, line.upper)
    )
    name = f"{capitalised(line.name)} ({'percentage points' if share else 'points'})"
    return name, truth, estimate, f"{lower} to {upper}", "yes" if line.covered else "NO"


def verdict_table(verdicts: Sequence[VerdictLine | Verdict]) -> Table:
    """Every judgement with its figure and its limit: what failed first, and of the rest the design before the data."""
    ordered = sorted(verdicts, key=lambda v: (WEIGHT[str(v.status)], not v.code.startswith("design.")))
    return Table(
        caption="PASS, FAIL, or NOT EVALUATED when a check could not be run",
        columns=(
            Column(title="Check", role="code", width=1.7),
            Column(title="Verdict", role="status", width=1.5),
            Column(title="What was judged", width=2.7),
            Column(title="Measured", role="number", width=1.05),
            Column(title="Limit", width=1.05),
        ),
        rows=tuple((v.code, str(v.status), *_judged(v), limit_of(v)) for v in ordered),
    )


def _judged(verdict: VerdictLine | Verdict) -> tuple[str, str]:
    """What was judged, and the figure; or why it is withheld."""
    why = verdict.withheld if isinstance(verdict, VerdictLine) else ""
    if not why:
        return capitalised(verdict.sentence), compact(verdict.measured)
    return f"{capitalised(verdict.sentence)} (figure withheld: {why})", WITHHELD


def later_table(checks: Sequence[LaterCheck]) -> Table:
    """Limits set before outcomes are open, for what only outcomes can tell."""
    return Table(
        caption="Limits set now, judged once outcomes are open",
        columns=(
            Column(title="Check", role="code", width=1.7),
            Column(title="What will be judged", width=2.8),
            Column(title="Limit", width=1.05),
        ),
        rows=tuple((check.code, capitalised(check.sentence), limit_of(check)) for check in checks),
        note="Where one fails, the report stops speaking of what the choice does to ratings, and marks every number "
        "that rests on them.",
    )


def quality_table(lines: Sequence[QualityLine], threshold: int) -> Table:
    """Rows delivered and set aside, with the reasons."""
    return Table(
        caption="Rows delivered, and rows set aside",
        columns=(
            Column(title="Table", width=1.6),
            Column(title="Rows", role="number"),
            Column(title="Set aside", role="number"),
            Column(title="Why", width=2.6),
        ),
        rows=tuple((line.table, count(line.rows), count(line.set_aside), _reasons(line)) for line in lines),
        note=withheld_note(threshold),
    )


def _reasons(line: QualityLine) -> str:
    return "; ".join(f"{reason}: {count(n)}" for reason, n in line.reasons) or NONE


def pairs_table(caption: str, pairs: tuple[tuple[str, str], ...], role: Literal["text", "code"] = "text") -> Table:
    """Two columns: what, and what is stated about it."""
    value = "Value" if role == "code" else "What is stated"
    return Table(caption=caption, columns=(Column(title="Item"), Column(title=value, role=role, width=2.8)), rows=pairs)
