"""A flat-table study from its data to a printed answer beside the published one."""

from __future__ import annotations

from dataclasses import asdict
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING, Any

from causal.effect.flat_diagnostics import column_of_row
from causal.effect.flat_extremes import farthest, measured, repeated_rows
from causal.effect.flat_placebo import placebo_effects
from causal.effect.flat_table import FlatResult, analyse_flat_table
from causal.errors import RapportError
from causal.protocol.flat_table import FileData, FlatTableStudy, PackageData
from flows.connectors.flat import read_flat
from flows.connectors.flat_cells import roles_of
from flows.report.decided import decided
from flows.study_file.places import placed, refuse_failed
from validation.flat_result import judge_flat_result
from validation.protocol import judge_protocol
from validation.verdict import Verdict, failed

if TYPE_CHECKING:
    import pandas as pd


def analyse(study: FlatTableStudy, study_file: Path) -> tuple[str, dict[str, Any]]:
    """The answer as text for people and as a value for machines; says whether each published value was reproduced.

    The first line is the study's title, or, where a check of the answer failed, that it is not to be trusted.

    Raises
    ------
    StudyFileError
        The study fails a check of `rapport check`: nothing is read then.
    RapportError
        The table cannot be read or analysed; what the study file names and nothing holds is told with its line there.
    """
    refuse_failed(study_file, judge_protocol(study, {}))
    try:
        frame = read_flat(study.data, roles_of(study), study_file)
        result = analyse_flat_table(frame, study)
    except RapportError as refusal:
        raise placed(refusal, study_file) from None
    placebos = placebo_effects(frame, study)
    far = farthest(frame, measured(study))
    verdicts = judge_flat_result(result, placebos, gates=study.gates, known=study.known_effect, far=far)
    effect, columns = result.effect, study.columns
    width = effect.upper - effect.lower
    got = {"estimate": effect.value, "lower": effect.lower, "upper": effect.upper, "sets": result.n_sets}
    lines = [
        *caution(verdicts),
        study.study.title,
        f"  {result.estimand}, {result.method}, {result.n_rows} rows",
        f"  treated: {columns.treatment} is {1 if columns.treated_value is None else columns.treated_value}",
        f"  estimate {_number(effect.value, width)}, {effect.level:.0%} interval {_number(effect.lower, width)} to "
        f"{_number(effect.upper, width)}" + (f", {result.n_sets} sets" if result.n_sets is not None else ""),
        *_beside(result),
    ]
    if study.published:
        lines.append(f"  {'quantity':<10}{'here':>14}{'published':>14}   agrees   source")
    published = []
    for line in study.published:
        value = got[line.quantity]
        agrees = value is not None and abs(value - line.value) <= line.tolerance
        lines.append(
            f"  {line.quantity:<10}{value if value is None else format(value, '14.4f')}{line.value:14.4f}"
            f"   {'yes' if agrees else 'NO':<6}   {line.source}"
        )
        published.append({"quantity": line.quantity, "here": value, "published": line.value, "agrees": agrees})
    if result.balance:
        worst = max(abs(row.smd_after) for row in result.balance)
        lines.append(f"  largest standardised difference after adjustment: {worst:.3f}")
    else:
        lines.append("  nothing but the model of the outcome makes the groups comparable: no balance to show")
    lines += [
        "  what became of every covariate:",
        *(f"    {line['name']}: {_told(line)}" for line in _covariates(result)),
    ]
    lines += [f"  note: {note}" for note in (*result.notes, *_repeated(frame, study), *undeclared(study.data))]
    lines += ["  checks of the answer:", *(f"    {checked(verdict)}" for verdict in verdicts)]
    return "\n".join(lines), _as_value(study, result, published, verdicts)


def undeclared(data: PackageData | FileData) -> tuple[str, ...]:
    """What to know of a file whose study says nothing of its protection."""
    told = "no governance is declared: the table counts as public, nothing is withheld and nothing published"
    return (told,) if isinstance(data, FileData) else ()


def _repeated(frame: pd.DataFrame, study: FlatTableStudy) -> list[str]:
    """How many rows repeat another, where no key says that they are people of their own."""
    copies = repeated_rows(frame, study) if study.columns.key is None else 0
    told = f"{copies} of {len(frame)} rows repeat another in every column that is read: without columns.key nobody can "
    return [told + "tell a row that was delivered twice from somebody alike"] if copies else []


def caution(verdicts: tuple[Verdict, ...]) -> list[str]:
    """The first line of an answer that failed a check; nothing for others."""
    bad = [verdict.code for verdict in failed(verdicts)]
    told = f"DO NOT TRUST THIS ESTIMATE: {len(bad)} of {len(verdicts)} checks failed: {', '.join(bad)}"
    return [told] if bad else []


def checked(verdict: Verdict) -> str:
    """One check with its figure beside its limit.

    >>> from validation.verdict import at_most
    >>> checked(at_most("flat.balance", 1.0263, 0.1, "largest difference"))
    'FAIL            1.03, at most   0.1  flat.balance: largest difference'
    """
    figures = " " * 22
    if verdict.measured is not None and verdict.limit is not None:
        measured = f"{verdict.measured:.3g}" if abs(verdict.measured) < 1000 else f"{verdict.measured:.0f}"
        figures = f"{measured:>7}, {verdict.side:<8} {verdict.limit:4.3g}"
    return f"{verdict.status:<13}{figures}  {verdict.code}: {verdict.sentence}"


def _covariates(result: FlatResult) -> list[dict[str, Any]]:
    """Every declared covariate with its fate and its largest standardised differences, over all levels and its square.

    Levels are values out of somebody's record: none is told.
    """
    lines = []
    for one in result.fates:
        own = [row for row in result.balance if column_of_row(row) == one.name]
        smd = {
            "smd_before": max((abs(row.smd_before) for row in own), default=None),
            "smd_after": max((abs(row.smd_after) for row in own), default=None),
        }
        lines.append({"name": one.name, "fate": str(one.fate), "determined_by": list(one.determined_by)} | smd)
    return lines


def _told(line: dict[str, Any]) -> str:
    fate = f"{line['fate']} with {', '.join(line['determined_by'])}" if line["determined_by"] else line["fate"]
    if line["smd_after"] is None:
        return str(fate)
    return f"{fate}, standardised difference {line['smd_before']:.3f} before and {line['smd_after']:.3f} after"


def _number(x: float, width: float) -> str:
    """Four decimals, or as many digits where an interval of this width would be printed as none.

    >>> _number(1794.3434, 900.0), _number(0.0000123, 0.0001)
    ('1794.3434', '1.23e-05')
    """
    return f"{x:.4f}" if width >= 0.001 else f"{x:.4g}"


def _beside(result: FlatResult) -> list[str]:
    """The two means and the ratio of risks, from estimators that give them."""
    lines = []
    if result.means is not None:
        one, zero = (f"{mean.value:.4f} (standard error {mean.std_error:.4f})" for mean in result.means)
        lines.append(f"  mean had all been treated {one}, had none {zero}")
    if result.log_ratio is not None:
        value, lower, upper = (exp(x) for x in (result.log_ratio.value, result.log_ratio.lower, result.log_ratio.upper))
        lines.append(f"  ratio {value:.4f}, {result.log_ratio.level:.0%} interval {lower:.4f} to {upper:.4f}")
    return lines


def _as_value(
    study: FlatTableStudy, result: FlatResult, published: list[dict[str, Any]], verdicts: tuple[Verdict, ...]
) -> dict[str, Any]:
    return {
        "study": study.study.id,
        "estimand": result.estimand,
        "method": result.method,
        "estimate": result.effect.value,
        "std_error": result.effect.std_error,
        "lower": result.effect.lower,
        "upper": result.effect.upper,
        "means": None if result.means is None else [mean.value for mean in result.means],
        "ratio": None if result.log_ratio is None else exp(result.log_ratio.value),
        "sets": result.n_sets,
        "covariates": _covariates(result),
        "decided": [asdict(group) for group in decided(study, {})],
        "notes": list(result.notes),
        "published": published,
        "failed": [verdict.code for verdict in failed(verdicts)],
        "verdicts": [
            {
                "code": verdict.code,
                "status": verdict.status,
                "measured": verdict.measured,
                "limit": verdict.limit,
                "side": verdict.side,
                "sentence": verdict.sentence,
            }
            for verdict in verdicts
        ],
    }
