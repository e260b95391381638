"""From what the stages found to what may be shown: the only road from results to a dossier.

Every count passes through `validation.disclosure` here, and every measured number through `flows.report.printed`.
Numbers are copied, withheld or rounded; none is computed.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from causal.cohort.catalogue import Catalogue, catalogue_of
from causal.design.covariates import MISSING_SUFFIX
from causal.design.diagnostics.balance import BalanceRow
from causal.design.fates import CovariateFate
from causal.effect.response import Response
from causal.effect.secondary.finding import Finding
from causal.errors import DesignError
from causal.measures.administration import ProspectiveRatings
from causal.protocol.approval import Approval
from causal.protocol.outcome import Rating
from causal.records import Design, Effects
from flows.approvals import fingerprint
from flows.code_version import code_version
from flows.report.decided import decided, worked_out
from flows.report.disclosed_checks import design_verdict, eligible, extract_verdicts, quality_lines, verdict_line
from flows.report.disclosed_findings import estimand_lines, finding_lines, opened_for, planned_line, planned_lines
from flows.report.disclosed_response import endings_are_told, few_rated, response_verdicts
from flows.report.disclosed_results import endings_told, fact_label, results_of, shared_by_arm, truth_lines
from flows.report.dossier import (
    ApprovalLine,
    BalanceLine,
    Dossier,
    EmulationLine,
    FindingLine,
    FlowStep,
    LaterCheck,
    OverlapBin,
    PlannedLine,
    Provenance,
    Results,
    TruthLine,
    UnansweredLine,
    VerdictLine,
    VersionLine,
)
from flows.report.looked_at import looked_at
from flows.report.numbers import capitalised
from flows.report.plan import is_planned_analysis, plan_of
from flows.report.printed import printed
from validation.disclosure import (
    disclose_categories,
    disclose_count,
    disclose_flow,
    disclose_percent,
    disclose_share,
)
from validation.response import judge_response, response_limits
from validation.verdict import Status

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
DIVISORS: dict[str, str] = {
    "ATT": "the standard deviation among all eligible {treated} occasions, before adjustment",
    "ATC": "the standard deviation among all eligible occasions without {event}, before adjustment",
    "ATE": "the root of the mean of both groups' variances among all eligible occasions, before adjustment",
    "ATO": "the standard deviation among all weighted occasions of both groups",
    "ATM": "the standard deviation among all weighted occasions of both groups",
}
"""What `causal.design.diagnostics.balance.fixed_sd` divides by, for each estimand, with the study's words to be put
in."""
WHEN_INFORMED = {"before": "before", "after": "afterwards", "no": "not told", "unknown": "not recorded"}
"""What the values of the version `patient_informed` mean."""


def design_dossier(ws: Workspace, judged: JudgedDesign, *, looks: int = 0) -> Dossier:
    """What the board reads before outcomes are opened; `looks` counts other designs whose outcomes already were."""
    study = ws.study
    assert isinstance(study.outcome, Rating)
    limits = response_limits((window.day for window in study.outcome.windows), study.gates)
    return _dossier(
        ws,
        judged,
        results=None,
        truth=(),
        approval=None,
        looks=looks,
        plan=plan_of(study, judged.verdicts, opened=False),
        later=tuple(LaterCheck(code=o.code, sentence=o.sentence, side=str(o.side), limit=o.limit) for o in limits),
    )


def release_dossier(
    ws: Workspace,
    judged: JudgedDesign,
    approval: Approval,
    effects: Effects | None,
    findings: tuple[Finding, ...],
    truth: TrueEffect | None,
    *,
    looks: int,
    unanswered: str = "",
    planned: ProspectiveRatings | None = None,
    response: tuple[Response, ...] = (),
) -> Dossier:
    """What may leave once outcomes were opened; `unanswered` says why there are no `effects`."""
    answered = judge_response(response, ws.study.gates)
    few = few_rated(response, ws.study.governance.small_cells.threshold)
    results = (
        None
        if effects is None
        else results_of(
            judged,
            effects,
            ws.study.governance.small_cells.threshold,
            ws.study.words,
            catalogue_of(ws.study),
            answered=answered,
            few=few,
        )
    )
    known = next((a for a in ws.site.approvers if a.public_key == approval.public_key), None)
    line = ApprovalLine(  # who a key belongs to is what the site says, not what the signer wrote
        approver=known.name if known else approval.decision.approver,
        role=known.role.replace("_", " ") if known else approval.decision.role,
        simulated=approval.decision.simulated,
        accepted_failures=approval.decision.accepted_failures,
        key_fingerprint=fingerprint(approval.public_key),
    )
    truths = truth_lines(results, truth, ws.study.words) if truth and results else ()
    threshold = ws.study.governance.small_cells.threshold
    found = finding_lines(
        findings,
        ws.study,
        sizes=(judged.design.n_treated, judged.design.n_comparison),
        published=endings_told(effects),
        answered=answered,
    )
    if planned is not None:
        found = (*found, planned_line(planned, threshold))
    return _dossier(
        ws,
        judged,
        results=results,
        fell_back=effects is not None and shared_by_arm(effects, ws.study),
        truth=truths,
        approval=line,
        looks=looks,
        unanswered=unanswered,
        findings=found,
        answered=response_verdicts(
            answered, judged.design, threshold, told=results is not None and endings_are_told(results), few=few
        ),
        plan=plan_of(ws.study, judged.verdicts, opened=True, results=results, unanswered=unanswered, findings=found),
    )


def _dossier(
    ws: Workspace,
    judged: JudgedDesign,
    *,
    results: Results | None,
    truth: tuple[TruthLine, ...],
    approval: ApprovalLine | None,
    looks: int,
    plan: tuple[PlannedLine, ...],
    fell_back: bool = False,
    later: tuple[LaterCheck, ...] = (),
    unanswered: str = "",
    findings: tuple[FindingLine, ...] = (),
    answered: tuple[VerdictLine, ...] = (),
) -> Dossier:
    study, design, threshold = ws.study, judged.design, ws.study.governance.small_cells.threshold
    strategies = study.target_trial.strategies
    n_treated, n_comparison = _arm_sizes(design, threshold)
    flow, balance = _flow(design, threshold), _balance(ws, design, threshold)
    dossier = Dossier(
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
        words=study.words,
        eligibility=tuple(step.rule for step in design.attrition[1:-2]),
        emulation=tuple(
            EmulationLine(element=e.element, ideal=e.ideal, emulated=e.emulated) for e in study.target_trial.emulation
        ),
        flow=flow,
        threshold=threshold,
        scale=_scale(ws),
        estimand_sentence=design.estimand_sentence,
        estimands=estimand_lines(study),
        worked_out=worked_out(study, unit=design.unit_of_inference, fell_back=fell_back),
        planned=planned_lines(study),
        opened_for=opened_for(study),
        method_sentence=design.method_sentence,
        adjustment="weighting" if design.grouping == "weight" else "matching",
        n_sets=design.n_sets if design.grouping == "matched set" else None,
        n_treated=n_treated,
        n_comparison=n_comparison,
        balance=balance,
        balance_denominator=DIVISORS[design.estimand].format(treated=study.words.treated, event=study.words.event),
        overlap=_overlap(design),
        looked_at=looked_at(
            design, frozenset(line.name for line in balance if line.smd_after is None), study.words, catalogue_of(study)
        ),
        versions=_versions(ws, design, threshold),
        verdicts=(
            *extract_verdicts(judged.extract.verdicts, judged.extract.rows, judged.extract.set_aside, threshold),
            *(
                design_verdict(verdict, design, flow, balance, threshold)
                for verdict in judged.verdicts
                if verdict.code.startswith("design.")
            ),
            *([_unanswered("primary", unanswered)] if unanswered else []),
            *(_unanswered(line.name, line.not_evaluated) for line in _without_number(results)),
            *_protocol_checks(judged, threshold),
            *answered,
        ),
        later=later,
        identification=(judged.identified,),
        decided=decided(study, ws.instruments),
        results=results,
        unanswered=unanswered,
        findings=findings,
        truth=truth,
        limitations=study.report.limitations,
        cannot_say=study.report.cannot_say,
        plan=plan,
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
    return printed(dossier)


def _protocol_checks(judged: JudgedDesign, threshold: int) -> tuple[VerdictLine, ...]:
    """Checks of the study file that could not be run, as against analyses that were planned and are not."""
    return tuple(
        verdict_line(verdict, None, threshold)
        for verdict in judged.verdicts
        if verdict.code.startswith("protocol.")
        and verdict.status is Status.NOT_EVALUATED
        and not is_planned_analysis(verdict.code)
    )


def _unanswered(what: str, reason: str) -> VerdictLine:
    status = str(Status.NOT_EVALUATED)
    return VerdictLine(code=f"estimate.{what}", status=status, sentence=reason, measured=None, limit=None)


def _without_number(results: Results | None) -> list[UnansweredLine]:
    """Those of the headline pair that could not be had."""
    pair = () if results is None else (results.termination, results.composite)
    return [line for line in pair if isinstance(line, UnansweredLine)]


def _arm_sizes(design: Design, threshold: int) -> tuple[int, int]:
    """Matched occasions by group, both large enough to be printed on every page."""
    if min(design.n_treated, design.n_comparison) < threshold:
        raise DesignError(
            "design.too_small_to_show",
            f"a matched group holds fewer than {threshold} occasions, so nothing about it may be shown",
            fix="wider eligibility or fewer exact keys, or pool more sites",
        )
    return design.n_treated, design.n_comparison


def _overlap(design: Design) -> tuple[OverlapBin, ...]:
    """Percent of each group by bin; the matched groups, whose sizes are shown, decide how fine."""
    n_treated, n_comparison = (sum(b.n_treated for b in design.overlap), sum(b.n_comparison for b in design.overlap))
    return tuple(
        OverlapBin(
            low=b.lower,
            high=b.upper,
            treated_percent=disclose_percent(b.n_treated / n_treated, design.n_treated),
            comparison_percent=disclose_percent(b.n_comparison / n_comparison, design.n_comparison),
        )
        for b in design.overlap
    )


def _flow(design: Design, threshold: int) -> tuple[FlowStep, ...]:
    """Attrition without any step from which a small count could be worked out.

    Counts by group are shown from the first rule on: before it, treated and untreated are not yet a comparison.
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
    """Every column in both groups, then the declared covariates that have none."""
    facts = catalogue_of(ws.study)
    limits = {1: ws.study.gates.smd_tier1, 2: ws.study.gates.smd_tier2}
    fates = {one.name: one for one in design.fates}
    hidden = _withheld(design, threshold, facts)
    lines = []
    for row in design.balance:
        shown = row.name not in hidden
        lines.append(
            BalanceLine(
                **_described(row.name, facts),
                tier=row.tier,
                mean_treated=row.mean_treated_after if shown else None,
                mean_comparison_before=row.mean_comparison_before if shown else None,
                mean_comparison_after=row.mean_comparison_after if shown else None,
                smd_before=row.smd_before if shown else None,
                smd_after=row.smd_after if shown else None,
                variance_ratio=row.variance_ratio if shown else None,
                limit=limits[row.tier],
                within_limit=abs(row.smd_after) <= limits[row.tier],
                fate=_fate(fates[row.name], facts),
            )
        )
    gone = (one for one in design.fates if not _has_row(one, design))
    return (*lines, *(_without_column(one, limits[one.tier], facts) for one in gone))


def _described(name: str, facts: Catalogue) -> dict[str, Any]:
    """What a line says of a covariate, the last level of a category, or the indicator of an absence."""
    definition = facts.described[name.removesuffix(MISSING_SUFFIX)]
    if name not in facts.described:
        return {"name": name, "label": fact_label(name, facts), "unit": "yes or no", "binary": True}
    return {"name": name, "label": definition.label, "unit": definition.unit, "binary": definition.binary}


def _has_row(one: CovariateFate, design: Design) -> bool:
    return any(row.name == one.name for row in design.balance)


def _without_column(one: CovariateFate, limit: float, facts: Catalogue) -> BalanceLine:
    """A declared covariate of which there is nothing to balance, with the reason."""
    return BalanceLine(
        **_described(one.name, facts),
        tier=one.tier,
        mean_treated=None,
        mean_comparison_before=None,
        mean_comparison_after=None,
        smd_before=None,
        smd_after=None,
        variance_ratio=None,
        limit=limit,
        within_limit=None,
        fate=_fate(one, facts),
    )


def _fate(one: CovariateFate, facts: Catalogue) -> str:
    if one.name in {category.last.name for category in facts.categories}:
        return "reference: left out by models, balanced like the others"
    others = ", ".join(fact_label(name, facts) for name in one.determined_by)
    return f"{one.fate} with {others}" if others else str(one.fate)


def _withheld(design: Design, threshold: int, facts: Catalogue) -> frozenset[str]:
    """Covariates whose balance would tell a small count; where a level of a category would, all of its levels."""
    treated = design.members["treated"].to_numpy(dtype=np.bool_)
    hidden = {
        row.name
        for j, row in enumerate(design.balance)
        if _betrays_count(design.covariates[:, j], treated, threshold)
        or (_described(row.name, facts)["binary"] and _eligible_betray_count(row, design, threshold))
    }
    for category in facts.categories:
        levels = {*category.levels, category.last.name}
        hidden |= levels if hidden & levels else set()
    return frozenset(hidden)


def _betrays_count(values: NDArray[np.float64], treated: NDArray[np.bool_], threshold: int) -> bool:
    """Whether in either matched group few differ from the rest: a mean would tell how few, yes-or-no or not."""
    groups = (values[treated], values[~treated])
    unusual = [int(group.size - np.unique(group, return_counts=True)[1].max()) for group in groups]
    return any(disclose_count(n, threshold) is None for n in unusual)


def _eligible_betray_count(row: BalanceRow, design: Design, threshold: int) -> bool:
    """Whether the share of a yes-or-no covariate among all eligible occasions would give away a small count."""
    sizes = (design.n_eligible_treated, eligible(design).comparison)
    shares = (row.mean_treated, row.mean_comparison_before)
    return any(disclose_share(round(s * n), n, threshold) is None for s, n in zip(shares, sizes, strict=True))


def _versions(ws: Workspace, design: Design, threshold: int) -> tuple[VersionLine, ...]:
    names, words = getattr(ws.study.exposure, "versions", ()), ws.study.words
    cases = design.members[design.members["treated"]]
    lines = []
    for name in names:
        counts = cases[name].fillna("unknown").value_counts().sort_index()
        shown = disclose_categories({str(value): int(n) for value, n in counts.items()}, threshold)
        lines += [
            VersionLine(
                version=words.version(name),
                value=WHEN_INFORMED.get(value, value) if name == "patient_informed" else words.action(value),
                percent=None if n is None else 100 * n / len(cases),
            )
            for value, n in shown.items()
        ]
    return tuple(lines)


def _scale(ws: Workspace) -> tuple[int, int]:
    """Lowest and highest answer to an item of the outcome's instrument."""
    assert isinstance(ws.study.outcome, Rating)
    key = ws.instruments[ws.study.outcome.instrument]
    return key.low, key.high


def _instrument_note(ws: Workspace) -> str:
    """How the outcome is scored, how far its key was checked, and the hash by which a site finds the key again."""
    assert isinstance(ws.study.outcome, Rating)
    key = ws.instruments[ws.study.outcome.instrument]
    checked = {
        "primary_source": "Scoring key checked against the primary source",
        "secondary_source": "Scoring key checked against a secondary source only",
        "recall": "Caution: scoring key not verified against the primary source",
    }[key.verified.status]
    low, high = key.score_range(key.n_items)
    return (
        f"{capitalised(ws.study.words.outcome)} is the {key.total} of the {key.n_items} items of "
        f"{key.id.upper().replace('_', '-')} as the {ws.study.outcome.rater} answered them, from {low} to {high}. "
        f"{checked} ({key.verified.source}). Scoring-key hash: {key.digest[:12]}."
    )
