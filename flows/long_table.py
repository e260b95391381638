"""A study of one long table from its rows to printed findings, beside published ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from causal.effect.long_table.run import LongResult, analyse_long_table
from causal.effect.secondary.finding import Finding, Line
from causal.errors import RapportError
from causal.protocol.long_table import LongPublished, LongTableStudy, Visits, plain
from flows.connectors.flat import read_flat
from flows.connectors.flat_cells import roles_in_long
from flows.flat_table import caution, checked, undeclared
from flows.report.decided import decided
from flows.study_file.places import placed, refuse_failed
from validation.long_result import judge_long_result
from validation.protocol import judge_protocol
from validation.verdict import Verdict, failed


def analyse(study: LongTableStudy, study_file: Path) -> tuple[str, dict[str, Any]]:
    """The findings as text for people and as a value for machines; says whether each published value was reproduced.

    The first line is the study's title, or, where a check of the answer failed, that it is not to be trusted.

    Raises
    ------
    StudyFileError
        The study fails a check of `rapport check`: nothing is read then.
    RapportError
        The table cannot be read or is not what the study says; the line of the study file is told where it has one.
    """
    refuse_failed(study_file, judge_protocol(study, {}))
    try:
        frame = read_flat(study.data, roles_in_long(study), study_file)
        result = analyse_long_table(frame, study)
    except RapportError as refusal:
        raise placed(refusal, study_file) from None
    verdicts = judge_long_result(result, study)
    published = [_beside(one, study, result) for one in study.published]
    lines = [
        *caution(verdicts),
        study.study.title,
        f"  {_rests_on(study, result)}",
        *_response(result),
        *(line for finding in result.findings for line in _told(finding, main=finding is result.findings[0])),
    ]
    if published:
        lines.append(f"  {'published':<34}{'here':>12}{'there':>12}   agrees   source")
        lines += [
            f"  {one['quantity_of']:<34}{'none' if one['here'] is None else format(one['here'], '.5g'):>12}"
            f"{one['published']:>12.5g}   {'yes' if one['agrees'] else 'NO':<6}   {one['source']}"
            for one in published
        ]
    if result.balance:
        lines.append("  every covariate, standardised difference between the groups before anything adjusts:")
        lines += [f"    {name}: {smd:.3f}" for name, smd in result.balance]
    lines += [f"  note: {note}" for note in undeclared(study.data)]
    lines += ["  checks of the answer:", *(f"    {checked(verdict)}" for verdict in verdicts)]
    return "\n".join(lines), _as_value(study, result, published, verdicts)


def _rests_on(study: LongTableStudy, result: LongResult) -> str:
    columns = study.columns
    treated = 1 if columns.treated_value is None else columns.treated_value
    events = f", with {result.events[0]} and {result.events[1]} events" if result.events else ""
    return (
        f"{result.people[0]} treated people ({columns.treatment} is {treated}) and {result.people[1]} others"
        f"{events}, {result.n_rows} rows"
    )


def _response(result: LongResult) -> list[str]:
    """Shares of known outcomes, where any is missing."""
    if all(one.treated == one.comparison == 1 for one in result.response):
        return []
    return [
        "  outcome known, treated and others: "
        + "; ".join(f"visit {one.visit} {one.treated:.0%} and {one.comparison:.0%}" for one in result.response)
    ]


def _told(finding: Finding, *, main: bool) -> list[str]:
    told = [f"  {finding.analysis}{' (the main analysis)' if main else ''}: {finding.title}"]
    told += [f"    {finding.method}"] if finding.method else []
    width = max((len(line.label) for line in finding.lines), default=0)
    told += [
        f"    {line.label:<{width}}  {_number(line)}, {line.level:.0%} interval {_ends(line)}" for line in finding.lines
    ]
    told += [f"    NOT EVALUATED: {why}" for why in finding.not_evaluated]
    told += [f"    {reading}" for reading in finding.readings]
    told += [f"    note: {note}" for note in finding.notes]
    return told


def _number(line: Line) -> str:
    by = f" by {line.clustered_by}" if line.clustered_by else ""
    unit = "difference" if line.scale == "points" else line.scale
    return f"{unit} {_figure(line.value, line)} (standard error{by} {_figure(line.std_error, line)}{_of_log(line)})"


def _of_log(line: Line) -> str:
    return " of its logarithm" if line.scale != "points" else ""


def _ends(line: Line) -> str:
    return f"{_figure(line.lower, line)} to {_figure(line.upper, line)}"


def _figure(x: float | None, line: Line) -> str:
    """Four decimals, or as many digits where an interval of this width would be printed as none."""
    if x is None:
        return "none"
    return f"{x:.4f}" if line.upper - line.lower >= 0.001 else f"{x:.4g}"


def _beside(published: LongPublished, study: LongTableStudy, result: LongResult) -> dict[str, Any]:
    """A published number with the one found here; None where there is none."""
    finding = next(one for one in result.findings if one.analysis == published.analysis)
    line = _line_at(finding, published, study)
    here = None if line is None else getattr(line, "value" if published.quantity == "estimate" else published.quantity)
    at = "" if published.at is None else f" at {published.at}"
    return {
        "quantity_of": f"{published.analysis}{at}: {published.quantity}",
        "analysis": published.analysis,
        "at": published.at,
        "quantity": published.quantity,
        "here": here,
        "published": published.value,
        "agrees": here is not None and abs(here - published.value) <= published.tolerance,
        "source": published.source,
    }


def _line_at(finding: Finding, published: LongPublished, study: LongTableStudy) -> Line | None:
    """The number of a visit, or the first where none is named."""
    if published.at is None or not isinstance(study.columns, Visits):
        return finding.lines[0] if finding.lines else None
    wanted = f"visit {next(label for label in study.columns.labels if plain(label) == plain(published.at))}"
    return next((line for line in finding.lines if line.label == wanted), None)


def _as_value(
    study: LongTableStudy, result: LongResult, published: list[dict[str, Any]], verdicts: tuple[Verdict, ...]
) -> dict[str, Any]:
    return {
        "study": study.study.id,
        "main": study.analyses[0].name,
        "people": {"treated": result.people[0], "comparison": result.people[1]},
        "rows": result.n_rows,
        "response": [asdict(one) for one in result.response],
        "findings": [asdict(finding) for finding in result.findings],
        "covariates": [
            {"name": one.name, "fate": str(one.fate), "determined_by": list(one.determined_by)} for one in result.fates
        ],
        "balance": [{"name": name, "smd": smd} for name, smd in result.balance],
        "decided": [asdict(group) for group in decided(study, {})],
        "published": [{key: value for key, value in one.items() if key != "quantity_of"} for one in published],
        "failed": [verdict.code for verdict in failed(verdicts)],
        "verdicts": [asdict(verdict) for verdict in verdicts],
    }
