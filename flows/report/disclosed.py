"""From what the stages found to what may be shown: the only road from results to a dossier.

Every count passes through `validation.disclosure` here. Numbers are copied, withheld or rounded; none is computed.
"""

from __future__ import annotations

import dataclasses
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causal.cohort.catalogue import COVARIATES
from causal.design.covariates import MISSING_SUFFIX
from causal.protocol.approval import Approval
from causal.protocol.outcome import Rating
from causal.records import Design, Effects, Estimate
from flows.approvals import fingerprint
from flows.code_version import code_version
from flows.report.dossier import (
    ApprovalLine,
    BalanceLine,
    Count,
    Decomposition,
    Dossier,
    EffectLine,
    EmulationLine,
    FlowStep,
    IntervalLine,
    OverlapBin,
    Provenance,
    QualityLine,
    ResponseLine,
    Results,
    TruthLine,
    VerdictLine,
    VersionLine,
)
from flows.report.quality_page import render_quality_page
from validation.disclosure import disclose_categories, disclose_count, disclose_flow, disclose_share
from validation.verdict import Status, Verdict, failed

if TYPE_CHECKING:
    from causal.simulation import TrueEffect
    from flows.design_study import JudgedDesign
    from flows.workspace import Workspace

PACKAGES = (
    "dowhy",
    "scikit-learn",
    "pandas",
    "numpy",
    "scipy",
    "duckdb",
    "ibis-framework",
    "great-expectations",
    "prefect",
)
VERSION_LABELS = {
    "recipient": {
        "warn_victim": "the person at risk",
        "warn_police": "the police",
        "several": "both",
    },
    "patient_informed": {
        "before": "before",
        "after": "afterwards",
        "no": "not told",
        "unknown": "not recorded",
    },
}
VERSION_NAMES = {"recipient": "Who was told", "patient_informed": "When the patient was told"}
RESPONSE_STEP = 0.05
"""Response shares are shown to the nearest 5%: finer ones could betray a small number of missing ratings."""


def design_dossier(ws: Workspace, judged: JudgedDesign) -> Dossier:
    """What the board reads before outcomes are opened."""
    return _dossier(ws, judged, results=None, truth=(), approval=None, looks=0)


def release_dossier(
    ws: Workspace, judged: JudgedDesign, approval: Approval, effects: Effects, truth: TrueEffect | None, *, looks: int
) -> Dossier:
    """What may leave once outcomes were opened."""
    results = _results(judged, effects, ws.study.governance.small_cells.threshold)
    known = next((a for a in ws.site.approvers if a.public_key == approval.public_key), None)
    line = ApprovalLine(  # who a key belongs to is what the site says, not what the signer wrote
        approver=known.name if known else approval.decision.approver,
        role=known.role.replace("_", " ") if known else approval.decision.role,
        simulated=approval.decision.simulated,
        accepted_failures=approval.decision.accepted_failures,
        key_fingerprint=fingerprint(approval.public_key),
    )
    truths = _truth_lines(results, truth) if truth else ()
    return _dossier(ws, judged, results=results, truth=truths, approval=line, looks=looks)


def _dossier(
    ws: Workspace,
    judged: JudgedDesign,
    *,
    results: Results | None,
    truth: tuple[TruthLine, ...],
    approval: ApprovalLine | None,
    looks: int,
) -> Dossier:
    study, design, threshold = ws.study, judged.design, ws.study.governance.small_cells.threshold
    strategies = study.target_trial.strategies
    n_treated, n_comparison = _arm_sizes(design)
    return Dossier(
        study_id=study.study.id,
        title=study.study.title,
        question=study.study.question,
        why_no_trial=study.study.why_no_trial,
        registered=study.study.registered,
        simulated=judged.extract.synthetic or (approval is not None and approval.simulated),
        treated_label=strategies.treated.label,
        comparison_label=strategies.comparison.label,
        treated_short=strategies.treated.short or "",
        comparison_short=strategies.comparison.short or "",
        eligibility=tuple(step.rule for step in design.attrition[1:-2]),
        emulation=tuple(
            EmulationLine(element=e.element, ideal=e.ideal, emulated=e.emulated) for e in study.target_trial.emulation
        ),
        flow=_flow(design, threshold),
        threshold=threshold,
        estimand_sentence=design.estimand_sentence,
        matching_sentence=design.matching_sentence,
        n_sets=design.n_sets,
        n_treated=n_treated,
        n_comparison=n_comparison,
        balance=_balance(ws, design, threshold),
        balance_denominator="the standard deviation among all eligible warned occasions, before matching",
        overlap=tuple(
            OverlapBin(low=b.lower, high=b.upper, treated=b.n_treated, comparison=b.n_comparison)
            for b in design.overlap
        ),
        versions=_versions(ws, design, threshold),
        verdicts=(
            *extract_verdicts(judged.extract.verdicts, judged.extract.rows, judged.extract.set_aside, threshold),
            *(_verdict(v, design, threshold) for v in judged.verdicts if v.code.startswith("design.")),
        ),
        identification=(judged.identification.sentence,),
        results=results,
        truth=truth,
        limitations=study.report.limitations,
        cannot_say=study.report.cannot_say,
        not_evaluated=tuple(
            (v.code.removeprefix("protocol."), v.sentence)
            for v in judged.verdicts
            if v.status is Status.NOT_EVALUATED and v.code.startswith("protocol.")
        ),
        instrument_note=_instrument_note(ws),
        regime_note=(
            "Which legal duty was in force is taken from the extract's regime table by place and date. The table that "
            "ships with this software is illustrative and not legal advice; a site keeps its own."
        ),
        governance=(
            ("Basis", study.governance.basis),
            ("Data class", study.governance.data_class.replace("_", " ")),
            ("Agreement", study.governance.agreement),
            ("Certificate of confidentiality", study.governance.certificate_of_confidentiality),
            ("Small counts", f"no count from 1 to {threshold - 1} is shown"),
        ),
        quality=quality_lines(judged.extract.rows, judged.extract.set_aside, threshold),
        approval=approval,
        provenance=Provenance(
            protocol_digest=ws.protocol_digest,
            extract_digest=judged.extract.digest,
            design_digest=judged.digest,
            code_version=code_version(),
            packages=tuple((name, version(name)) for name in ("rapport", *PACKAGES)),
            extract_as_of=judged.extract.as_of.isoformat(),
            synthetic=judged.extract.synthetic,
            looks=looks,
        ),
    )


def _arm_sizes(design: Design) -> tuple[int, int]:
    return design.n_sets, len(design.members) - design.n_sets


def _flow(design: Design, threshold: int) -> tuple[FlowStep, ...]:
    """Attrition without any step from which a small count could be worked out.

    Counts by group are shown from the first rule on: before it, warned and unwarned are not yet a comparison.
    """
    raw = [
        FlowStep(
            rule=step.rule,
            persons=step.persons,
            occasions=step.occasions,
            treated=step.treated,
            comparison=step.comparison,
        )
        for step in design.attrition
    ]
    return disclose_flow(raw, threshold)


def _balance(ws: Workspace, design: Design, threshold: int) -> tuple[BalanceLine, ...]:
    treated = design.members["treated"].to_numpy(dtype=np.bool_)
    limits = {1: ws.study.gates.smd_tier1, 2: ws.study.gates.smd_tier2}
    lines = []
    for j, row in enumerate(design.balance):
        base = row.name.removesuffix(MISSING_SUFFIX)
        definition = COVARIATES[base]
        missing = row.name != base
        binary = definition.binary or missing
        hidden = binary and _betrays_count(design.covariates[:, j], treated, threshold)
        lines.append(
            BalanceLine(
                name=row.name,
                label=f"{definition.label}: not recorded" if missing else definition.label,
                tier=row.tier,
                unit="yes or no" if missing else definition.unit,
                binary=binary,
                mean_treated=None if hidden else row.mean_treated_after,
                mean_comparison_before=None if hidden else row.mean_comparison_before,
                mean_comparison_after=None if hidden else row.mean_comparison_after,
                smd_before=row.smd_before,
                smd_after=row.smd_after,
                variance_ratio=row.variance_ratio,
                limit=limits[row.tier],
            )
        )
    return tuple(lines)


def _betrays_count(flag: NDArray[np.float64], treated: NDArray[np.bool_], threshold: int) -> bool:
    """Whether the share of a yes-or-no covariate in either matched group would give away a small count."""
    groups = (flag[treated], flag[~treated])
    return any(disclose_share(int(group.sum()), int(group.size), threshold) is None for group in groups)


def _versions(ws: Workspace, design: Design, threshold: int) -> tuple[VersionLine, ...]:
    names = getattr(ws.study.exposure, "versions", ())
    cases = design.members[design.members["treated"]]
    lines = []
    for name in names:
        counts = cases[name].fillna("unknown").value_counts().sort_index()
        shown = disclose_categories({str(value): int(n) for value, n in counts.items()}, threshold)
        lines += [
            VersionLine(
                version=VERSION_NAMES.get(name, name),
                value=VERSION_LABELS.get(name, {}).get(value, value),
                percent=None if n is None else 100 * n / len(cases),
            )
            for value, n in shown.items()
        ]
    return tuple(lines)


def _verdict(verdict: Verdict, design: Design, threshold: int) -> VerdictLine:
    """A verdict as shown: a share whose count is small loses its figure, and keeps its judgement."""
    counted = {
        "design.unmatched": (design.n_eligible_treated - design.n_sets, design.n_eligible_treated),
        "design.ended_in_grace": (
            round(design.ended_in_grace_share * design.attrition[-3].occasions),
            design.attrition[-3].occasions,
        ),
    }
    measured, sentence = verdict.measured, verdict.sentence
    if verdict.code in counted and disclose_share(*counted[verdict.code], threshold) is None:
        measured, sentence = None, sentence.split(" (")[0] + " (a small count, withheld)"
    return VerdictLine(
        code=verdict.code, status=str(verdict.status), sentence=sentence, measured=measured, limit=verdict.limit
    )


def _results(judged: JudgedDesign, effects: Effects, threshold: int) -> Results:
    accepted = not failed(judged.verdicts)
    termination = _effect(effects.termination, f"Did more patients end treatment within {effects.day} days?")
    if _endings_betray(effects, threshold):
        termination = dataclasses.replace(termination, mean_treated=None, mean_comparison=None)
    return Results(
        day=effects.day,
        half_width=effects.half_width,
        termination=termination,
        composite=_effect(
            effects.composite, f"How strong was trust at day {effects.day}, counting an ending as its failure?"
        ),
        decomposition=Decomposition(
            total=effects.composite.value,
            termination_part=effects.termination_part,
            level_part=effects.level_part,
            floor=effects.floor,
        ),
        response=ResponseLine(
            treated=_to_step(effects.response_treated),
            comparison=_to_step(effects.response_comparison),
            handling=_handling(effects.response_handling),
        ),
        causal_wording=accepted,
    )


RESPONSE_WORDS = {
    "everyone responded": "none were missing",
    "logistic regression": (
        "those who answered stand in for those like them who did not, weighted by how likely each was to answer given "
        "the group and what was known before"
    ),
    "share by arm": "those who answered stand in for those of the same group who did not",
}


def _handling(method: str) -> str:
    """How missing ratings were handled, in plain words; the technical note follows the colon of `method`."""
    name, _, note = method.partition(": ")
    return f"{RESPONSE_WORDS[name]} ({note})" if note else RESPONSE_WORDS[name]


def _endings_betray(effects: Effects, threshold: int) -> bool:
    """Whether the share who ended treatment would give away a small count in either group."""
    groups = (
        (effects.n_ended_treated, effects.termination.n_treated),
        (effects.n_ended_comparison, effects.termination.n_comparison),
    )
    return any(disclose_share(ended, n, threshold) is None for ended, n in groups)


def _to_step(share: float) -> float:
    return round(round(share / RESPONSE_STEP) * RESPONSE_STEP, 10)


def _effect(estimate: Estimate, question: str) -> EffectLine:
    first = estimate.intervals[0]
    return EffectLine(
        name=estimate.name,
        question=question,
        scale=estimate.scale,
        value=estimate.value,
        lower=first.lower,
        upper=first.upper,
        level=estimate.level,
        mean_treated=estimate.mean_treated,
        mean_comparison=estimate.mean_comparison,
        intervals=tuple(
            IntervalLine(
                clustered_by=interval.clustered_by,
                clusters=interval.clusters,
                std_error=interval.std_error,
                df=interval.df,
                lower=interval.lower,
                upper=interval.upper,
                primary=interval is first,
            )
            for interval in estimate.intervals
        ),
        detectable=estimate.detectable,
    )


def _truth_lines(results: Results, truth: TrueEffect) -> tuple[TruthLine, ...]:
    pairs = (
        ("difference in ending treatment", truth.termination_rd, results.termination),
        ("difference in trust, an ending counted", truth.composite_difference, results.composite),
    )
    return tuple(
        TruthLine(
            name=name,
            truth=value,
            estimate=effect.value,
            lower=effect.lower,
            upper=effect.upper,
            covered=effect.lower <= value <= effect.upper,
        )
        for name, value, effect in pairs
    )


def _instrument_note(ws: Workspace) -> str:
    assert isinstance(ws.study.outcome, Rating)
    key = ws.instruments[ws.study.outcome.instrument]
    checked = {
        "primary_source": "was checked against the primary source",
        "secondary_source": "has been checked against a secondary source only",
        "recall": "has not been verified against any source",
    }[key.verified.status]
    return (
        f"Trust is the mean of the {key.n_items} items of {key.id.upper().replace('_', '-')} as the patient answered "
        f"them, from {key.low} to {key.high}. The scoring key {checked} ({key.verified.source})."
    )


def extract_verdicts(
    verdicts: tuple[Verdict, ...], rows: dict[str, int], set_aside: dict[str, int], threshold: int
) -> tuple[VerdictLine, ...]:
    """The verdicts on an extract as shown: a figure that is, or gives away, a small count is withheld."""
    lines = []
    for verdict in verdicts:
        measured = verdict.measured
        kind, _, table = verdict.code.removeprefix("extract.").partition(".")
        if kind == "rows" and disclose_count(rows[table], threshold) is None:
            measured = None
        if kind == "set_aside" and measured:
            out = sum(n for code, n in set_aside.items() if code.split(".")[0] == table)
            measured = disclose_share(out, rows[table], threshold)
        lines.append(
            VerdictLine(
                code=verdict.code,
                status=str(verdict.status),
                sentence=verdict.sentence,
                measured=measured,
                limit=verdict.limit,
            )
        )
    return tuple(lines)


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
    """Rows delivered and set aside by table, small counts withheld; `set_aside` counts by reason code."""
    lines = []
    for table in sorted(rows):
        reasons = {code: n for code, n in sorted(set_aside.items()) if code.split(".")[0] == table and n > 0}
        shown: dict[str, Count] = disclose_categories(reasons, threshold)
        total = sum(reasons.values())
        complete = all(n is not None for n in shown.values())
        lines.append(
            QualityLine(
                table=table,
                rows=disclose_count(rows[table], threshold),
                set_aside=disclose_count(total, threshold) if complete else None,
                reasons=tuple(shown.items()),
            )
        )
    return tuple(lines)
