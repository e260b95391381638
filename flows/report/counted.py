"""How many: checks, planned analyses and looks at the outcomes, said the same way on every page and in every state."""

from __future__ import annotations

from collections.abc import Sequence

from flows.report.document import Block, Column, Paragraph, Table
from flows.report.dossier import Dossier, PlannedLine
from flows.report.numbers import capitalised, count, counted
from flows.report.plan import IN_PART, NOT_RUN, RUN, WAITS

UNRUN = "Planned analyses that were not run, or only in part"


def counted_blocks(dossier: Dossier) -> tuple[Block, ...]:
    """What was checked, what was planned and what of it was run; the names of what was not."""
    missing = [line.name for line in dossier.plan if line.state == NOT_RUN]
    planned = (Paragraph(lead="What was planned.", text=planned_sentence(dossier.plan)),) if dossier.plan else ()
    names = (Paragraph(lead="Not run:", text=f"{', '.join(missing)}."),) if missing else ()
    return (Paragraph(lead="What was checked.", text=checks_sentence(dossier)), *planned, *names)


def checks_sentence(dossier: Dossier) -> str:
    """How the checks came out, and how many are still to come."""
    failing = sum(v.status == "FAIL" for v in dossier.verdicts)
    missing = sum(v.status == "NOT EVALUATED" for v in dossier.verdicts)
    total = len(dossier.verdicts)
    later = f" {count(len(dossier.later))} more wait for the outcomes." if dossier.later else ""
    return (
        f"Of {counted(total, 'check', 'checks')} set in advance, {count(total - failing - missing)} passed, "
        f"{count(failing)} failed and {count(missing)} could not be run.{later} No check can show that nothing "
        "unrecorded was at work."
    )


def planned_sentence(plan: Sequence[PlannedLine]) -> str:
    """How many analyses were planned, and what became of them."""
    told = {state: sum(line.state == state for line in plan) for state in (RUN, IN_PART, NOT_RUN, WAITS)}
    parts = [
        f"{count(told[RUN])} {'was' if told[RUN] == 1 else 'were'} run",
        *([f"{count(told[IN_PART])} in part"] if told[IN_PART] else []),
        *([f"{count(told[WAITS])} {_wait(told[WAITS])} for the outcomes"] if told[WAITS] else []),
        f"{count(told[NOT_RUN])} {_unrun(told[NOT_RUN], waiting=told[WAITS] > 0)}",
    ]
    text = f"Of {counted(len(plan), 'planned analysis', 'planned analyses')}, {', '.join(parts[:-1])} and {parts[-1]}."
    if told[NOT_RUN] or told[IN_PART]:
        text += " “What could be wrong” says why."
    if any(line.hidden_causes and line.state == NOT_RUN for line in plan):
        text += " How strong something that nobody wrote down would have to be is among what has no result."
    return text


def _unrun(n: int, *, waiting: bool) -> str:
    if waiting:
        return "cannot be run"
    return "was not run" if n == 1 else "were not run"


def _wait(n: int) -> str:
    return "waits" if n == 1 else "wait"


def unrun_table(plan: Sequence[PlannedLine]) -> Table | None:
    """What was planned and not run, or not all of it, with the reasons."""
    rows = tuple(
        (capitalised(line.name), line.part, capitalised(line.state), line.reason)
        for line in plan
        if line.state in (NOT_RUN, IN_PART)
    )
    if not rows:
        return None
    columns = (
        Column(title="Analysis"),
        Column(title="What it is", width=1),
        Column(title="State", width=0.7),
        Column(title="Why not", width=2.5),
    )
    return Table(caption=UNRUN, columns=columns, rows=rows)


def unopened(dossier: Dossier) -> str:
    """Before approval: whether anybody could know what the outcomes say."""
    looks, words = dossier.provenance.looks, dossier.words
    if looks == 0:
        return f"Nobody has yet looked at whether {words.outcome} changed, or at how many {words.persons} left."
    others, were = ("1 other design", "was") if looks == 1 else (f"{count(looks)} other designs", "were")
    return (
        f"But the outcomes of {others} of this study {were} opened before this one was made. Whoever made it could "
        "know what they said."
    )


REPEATED = (
    "Opening those of the same design again shows nothing new and is not counted here; the ledger lists every opening. "
    "A run in which nothing has changed opens nothing."
)


def looked(dossier: Dossier) -> str:
    """How many designs of the study have had their outcomes opened, by the ledger."""
    looks, opened = dossier.provenance.looks, dossier.results is not None or bool(dossier.unanswered)
    if not opened:
        if looks == 0:
            return "When this dossier was made, the outcomes of this study had never been opened."
        others = "1 other design" if looks == 1 else f"{count(looks)} other designs"
        return f"When this dossier was made, the outcomes of {others} of this study had been opened. {REPEATED}"
    if looks == 1:
        return f"The outcomes of one design of this study have been opened: this one's. {REPEATED}"
    return (
        f"The outcomes of {count(looks)} different designs of this study have been opened, this one's included. "
        f"{REPEATED}"
    )
