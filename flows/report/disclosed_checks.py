"""Judgements as they may be shown: a figure that would tell a small count is withheld with its reason, still judged."""

from __future__ import annotations

from causal.records import AttritionStep, Design
from flows.report.dossier import BalanceLine, Count, FlowStep, QualityLine, VerdictLine
from flows.report.quality_page import render_quality_page
from validation.disclosure import disclose_categories, disclose_count, disclose_share
from validation.verdict import Status, Verdict
from validation.withholding import Withheld

SHARE_OF = {"end_reasons": "episodes"} | dict.fromkeys(
    (
        *("above_range", "below_range", "namesake", "unsigned", "other_rater", "other_code"),
        *("straight_lining", "ceiling", "same_day", "away_from_session", "too_fast"),
    ),
    "measures",
)
"""Table whose rows bound what a share on the extract was taken of."""


def verdict_line(verdict: Verdict, why: Withheld | None, threshold: int) -> VerdictLine:
    """A verdict with its figure, or with the reason `why` it is withheld; the judgement and the limit stay.

    A verdict that was judged against a limit and comes without its figure had it withheld by the judge.
    """
    judged = verdict.limit is not None and verdict.status is not Status.NOT_EVALUATED
    if why is None and judged and verdict.measured is None:
        why = Withheld.FIGURE
    return VerdictLine(
        code=verdict.code,
        status=str(verdict.status),
        sentence=verdict.sentence,
        measured=None if why is not None else verdict.measured,
        limit=verdict.limit,
        side="" if verdict.side is None else str(verdict.side),
        withheld="" if why is None else why.sentence(threshold),
    )


def design_verdict(
    verdict: Verdict, design: Design, flow: tuple[FlowStep, ...], balance: tuple[BalanceLine, ...], threshold: int
) -> VerdictLine:
    """A verdict on a design, without a figure that would give away a small count."""
    return verdict_line(verdict, _why_withheld(verdict.code, design, flow, balance, threshold), threshold)


def eligible(design: Design) -> AttritionStep:
    """The last step of the cohort: everyone eligible, before support and matching."""
    return design.attrition[-3]


def _why_withheld(
    code: str, design: Design, flow: tuple[FlowStep, ...], balance: tuple[BalanceLine, ...], threshold: int
) -> Withheld | None:
    if code in ("design.balance_tier1", "design.balance_tier2"):
        return Withheld.FACT if _worst_is_withheld(int(code[-1]), design, balance) else None
    betrays = (
        (code == "design.unmatched" and _unmatched_betray(design, flow, threshold))
        or (code == "design.ended_in_grace" and _grace_betrays(design, threshold))
        or (code == "design.cluster_share" and _cluster_shares_betray(design, threshold))
    )
    return Withheld.FIGURE if betrays else None


def _worst_is_withheld(tier: int, design: Design, balance: tuple[BalanceLine, ...]) -> bool:
    worst = max((row for row in design.balance if row.tier == tier), key=lambda r: abs(r.smd_after), default=None)
    return any(line.smd_after is None for line in balance if worst is not None and line.name == worst.name)


def _unmatched_betray(design: Design, flow: tuple[FlowStep, ...], threshold: int) -> bool:
    """With the number of sets the share tells how many were eligible: only where the flow tells that too."""
    if design.estimand != "ATT":
        return design.lost_share > 0
    lost = design.n_eligible_treated - design.n_treated
    small = disclose_share(lost, design.n_eligible_treated, threshold) is None
    return small or design.n_eligible_treated not in {step.treated for step in flow}


def _grace_betrays(design: Design, threshold: int) -> bool:
    occasions = eligible(design).occasions
    return disclose_share(round(design.ended_in_grace_share * occasions), occasions, threshold) is None


def _cluster_shares_betray(design: Design, threshold: int) -> bool:
    """Whether a largest share would tell that few of a group are one cluster's, or that few are not."""
    own = next(spread for spread in design.diagnostics.clusters if spread.declared)
    arms = ((own.largest_treated, design.n_treated), (own.largest_comparison, design.n_comparison))
    return any(disclose_share(round(share * n), n, threshold) is None for share, n in arms if share == own.largest)


def extract_verdicts(
    verdicts: tuple[Verdict, ...], rows: dict[str, int], set_aside: dict[str, int], threshold: int
) -> tuple[VerdictLine, ...]:
    """The verdicts on an extract as shown: a figure that is, or gives away, a small count is withheld."""
    shown = {line.table: line for line in quality_lines(rows, set_aside, threshold)}
    return tuple(
        verdict_line(verdict, _extract_figure(verdict, rows, set_aside, shown, threshold), threshold)
        for verdict in verdicts
    )


def _extract_figure(
    verdict: Verdict,
    rows: dict[str, int],
    set_aside: dict[str, int],
    shown: dict[str, QualityLine],
    threshold: int,
) -> Withheld | None:
    measured = verdict.measured
    kind, _, table = verdict.code.removeprefix("extract.").partition(".")
    if kind == "rows":
        return Withheld.FIGURE if shown[table].rows is None else None
    if not measured:
        return None
    few = kind in SHARE_OF and measured * rows[SHARE_OF[kind]] < threshold
    if kind == "set_aside":
        out = sum(n for code, n in set_aside.items() if code.split(".")[0] == table)
        few = disclose_share(out, rows[table], threshold) is None
    if kind == "lost_actions":
        few = disclose_count(round(measured), threshold) is None
    return Withheld.FIGURE if few else None


def quality_page(
    verdicts: tuple[Verdict, ...], rows: dict[str, int], set_aside: dict[str, int], threshold: int, about: str
) -> bytes:
    """The data-quality page of an extract; `about` names it."""
    return render_quality_page(
        quality_lines(rows, set_aside, threshold),
        extract_verdicts(verdicts, rows, set_aside, threshold),
        threshold,
        about=about,
    )


def quality_lines(rows: dict[str, int], set_aside: dict[str, int], threshold: int) -> tuple[QualityLine, ...]:
    """Rows delivered and set aside by table, small counts withheld; `set_aside` counts by reason code.

    Where the rows set aside are withheld the rows delivered are too: the flow begins with what was left of one table.
    """
    lines = []
    for table in sorted(rows):
        reasons = {code: n for code, n in sorted(set_aside.items()) if code.split(".")[0] == table and n > 0}
        shown: dict[str, Count] = disclose_categories(reasons, threshold)
        total = sum(reasons.values())
        complete = all(n is not None for n in shown.values())
        aside = disclose_count(total, threshold) if complete else None
        lines.append(
            QualityLine(
                table=table,
                rows=None if aside is None else disclose_count(rows[table], threshold),
                set_aside=aside,
                reasons=tuple(shown.items()),
            )
        )
    return tuple(lines)
