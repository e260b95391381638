"""What was planned and what became of it: every analysis once, with its state, so that pages count the same things."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from causal.protocol import OccasionStudy
from flows.report.dossier import FindingLine, PlannedLine, Results, UnansweredLine
from validation.estimable import BESIDE, CONTROL_CODE, HIDDEN_CAUSES, IMPLEMENTED_SENSITIVITY, PART_OF, SENSITIVITY_CODE
from validation.verdict import Status, Verdict

RUN, IN_PART, NOT_RUN, WAITS = "run", "run in part", "not run", "waits"
MAIN, SECONDARY, SENSITIVITY, CONTROL, DECLARED = (
    "main question",
    "set in advance beside it",
    "sensitivity analysis",
    "negative control",
    "declared in the study",
)
NOT_KNOWN = "the software cannot do this yet"
ALL_WITHHELD = "run, but every number of it is withheld"
CONTROLS = {"pretrend": "design.pretrend"}
"""The verdict that a negative control ends in."""


def is_planned_analysis(code: str) -> bool:
    """Whether a verdict on the protocol speaks of a planned analysis, and not of a check."""
    return code.startswith((SENSITIVITY_CODE, CONTROL_CODE)) or code in BESIDE


def plan_of(
    study: OccasionStudy,
    verdicts: Sequence[Verdict],
    *,
    opened: bool,
    results: Results | None = None,
    unanswered: str = "",
    findings: Sequence[FindingLine] = (),
) -> tuple[PlannedLine, ...]:
    """Every planned analysis in the order of the study file; before outcomes are `opened` most of them wait.

    Parameters
    ----------
    verdicts
        Those on the protocol and the design.
    findings
        Of the analyses declared under ``secondary``, in their order.
    """
    secondary = tuple(_secondary(study, findings if opened else None))
    return (
        _main(results, unanswered) if opened else PlannedLine(part=MAIN, name="the main question", state=WAITS),
        *secondary,
        *_sensitivity(study, verdicts, {line.name: line for line in secondary}),
        *_controls(study, verdicts),
        *(
            PlannedLine(part=DECLARED, name=BESIDE[v.code], state=NOT_RUN, reason=v.sentence)
            for v in verdicts
            if v.code in BESIDE and v.status is Status.NOT_EVALUATED
        ),
    )


def _main(results: Results | None, unanswered: str) -> PlannedLine:
    missing = (
        unanswered
        if results is None
        else "; ".join(
            f"{line.name}: {line.not_evaluated}"
            for line in (results.termination, results.composite)
            if isinstance(line, UnansweredLine)
        )
    )
    state = NOT_RUN if results is None else IN_PART if missing else RUN
    return PlannedLine(part=MAIN, name="the main question", state=state, reason=missing)


def _secondary(study: OccasionStudy, findings: Sequence[FindingLine] | None) -> Iterator[PlannedLine]:
    for k, declared in enumerate(study.secondary):
        name = words(declared.analysis)
        if findings is None:
            yield PlannedLine(part=SECONDARY, name=name, state=WAITS)
            continue
        found = findings[k] if k < len(findings) else None
        if found is None or found.analysis != declared.analysis:
            yield PlannedLine(part=SECONDARY, name=name, state=NOT_RUN, reason="it left no finding")
        else:
            reasons = (*found.not_evaluated, *([ALL_WITHHELD] if _all_withheld(found) else []))
            yield PlannedLine(part=SECONDARY, name=name, state=_state(found), reason="; ".join(reasons))


def _state(found: FindingLine) -> str:
    if not found.not_evaluated and not _all_withheld(found):
        return RUN
    return IN_PART if found.rows else NOT_RUN


def _all_withheld(found: FindingLine) -> bool:
    return bool(found.rows) and all(row.withheld for row in found.rows)


def _sensitivity(
    study: OccasionStudy, verdicts: Iterable[Verdict], secondary: dict[str, PlannedLine]
) -> Iterator[PlannedLine]:
    reasons = _reasons(verdicts, SENSITIVITY_CODE)
    for name in study.sensitivity.planned:
        part_of = secondary.get(words(PART_OF.get(name, "")))
        if part_of is not None:
            state, reason = part_of.state, part_of.reason
        else:
            state = RUN if name in IMPLEMENTED_SENSITIVITY else NOT_RUN
            reason = "" if state == RUN else reasons.get(name, NOT_KNOWN)
        hidden = name in HIDDEN_CAUSES
        yield PlannedLine(part=SENSITIVITY, name=words(name), state=state, reason=reason, hidden_causes=hidden)


def _controls(study: OccasionStudy, verdicts: Sequence[Verdict]) -> Iterator[PlannedLine]:
    reasons = _reasons(verdicts, CONTROL_CODE)
    by_code = {verdict.code: verdict for verdict in verdicts}
    for control in (*study.negative_controls.outcomes, *study.negative_controls.exposures):
        verdict = by_code.get(CONTROLS.get(control.name, ""))
        if verdict is not None and verdict.status is not Status.NOT_EVALUATED:
            yield PlannedLine(part=CONTROL, name=words(control.name), state=RUN)
        else:
            reason = reasons.get(control.name, NOT_KNOWN) if verdict is None else verdict.sentence
            yield PlannedLine(part=CONTROL, name=words(control.name), state=NOT_RUN, reason=reason)


def _reasons(verdicts: Iterable[Verdict], prefix: str) -> dict[str, str]:
    return {
        v.code.removeprefix(prefix): v.sentence
        for v in verdicts
        if v.code.startswith(prefix) and v.status is Status.NOT_EVALUATED
    }


def words(name: str) -> str:
    """A name of the study file in words.

    >>> words("clone_censor_weight")
    'clone censor weight'
    """
    return name.replace("_", " ")
