"""From what the stages found to what may be shown: the only road from results to a dossier.

Every number passes through `validation.disclosure`, which alone decides whether it may be shown, and through
`flows.report.printed`, which rounds it. Here they are put together; none is computed.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from causal.cohort.catalogue import Catalogue, catalogue_of
from causal.design.covariates import MISSING_SUFFIX
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
from flows.report.disclosed_checks import design_verdict, extract_verdicts, quality_lines, verdict_line
from flows.report.disclosed_findings import estimand_lines, finding_lines, opened_for, planned_line, planned_lines
from flows.report.disclosed_response import response_verdicts
from flows.report.disclosed_results import (
    endings_told,
    fact_label,
    results_of,
    shared_by_arm,
    truth_lines,
)
from flows.report.dossier import (
    ApprovalLine,
    BalanceLine,
    Dossier,
    EmulationLine,
    FindingLine,
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
from validation.disclosure import Profile, disclose_percent, profile_of
from validation.disclosure.answers import endings_shown, why_unanswered
from validation.disclosure.facts import NOTHING, FactsWithheld, RowShown, row_of, sizes_may_be_shown, withheld_facts
from validation.disclosure.figure import NOTHING as NO_FIGURE
from validation.disclosure.flow import flow_of
from validation.disclosure.response import Endings, few_rated
from validation.disclosure.tables import disclose_percents
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
    profile = profile_of(ws.study)
    answered, few = judge_response(response, ws.study.gates), few_rated(response, profile)
    if effects is not None and (why := why_unanswered(effects, profile)) is not None:
        effects, unanswered = None, f"the answer is withheld: {why.sentence(profile.threshold)}"
    results = (
        None
        if effects is None
        else results_of(judged, effects, profile, ws.study.words, catalogue_of(ws.study), answered=answered, few=few)
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
    sizes = (judged.design.n_treated, judged.design.n_comparison)
    found = finding_lines(
        findings,
        ws.study,
        sizes=sizes,
        published=endings_told(effects),
        answered=answered,
    )
    if planned is not None:
        found = (*found, planned_line(planned, profile))
    endings = (
        Endings(day=0, sizes=sizes, shares=None) if effects is None else endings_shown(effects, judged.design, profile)
    )
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
        answered=response_verdicts(answered, endings, few, profile),
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
    study, design, profile = ws.study, judged.design, profile_of(ws.study)
    strategies = study.target_trial.strategies
    n_treated, n_comparison = _arm_sizes(design, profile)
    flow = flow_of(design.attrition, profile)
    withheld = withheld_facts(design, study, flow, profile)
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
        threshold=profile.threshold,
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
        balance=_balance(ws, design, withheld),
        balance_denominator=DIVISORS[design.estimand].format(treated=study.words.treated, event=study.words.event),
        overlap=_overlap(design),
        looked_at=looked_at(
            design,
            withheld.wholly | withheld.difference | withheld.share,
            study.words,
            catalogue_of(study),
            profile,
        ),
        versions=_versions(ws, design, profile),
        verdicts=(
            *extract_verdicts(judged.extract.verdicts, judged.extract.rows, judged.extract.set_aside, profile),
            *(
                design_verdict(verdict, design, flow, withheld.wholly, profile)
                for verdict in judged.verdicts
                if verdict.code.startswith("design.")
            ),
            *([_unanswered("primary", unanswered)] if unanswered else []),
            *(_unanswered(line.name, line.not_evaluated) for line in _without_number(results)),
            *_protocol_checks(judged, profile),
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
            ("Small counts", f"no count from 1 to {profile.threshold - 1} is shown"),
        ),
        quality=quality_lines(judged.extract.rows, judged.extract.set_aside, profile),
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


def _protocol_checks(judged: JudgedDesign, profile: Profile) -> tuple[VerdictLine, ...]:
    """Checks of the study file that could not be run, as against analyses that were planned and are not."""
    return tuple(
        verdict_line(verdict, NO_FIGURE, profile)
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


def _arm_sizes(design: Design, profile: Profile) -> tuple[int, int]:
    """Matched occasions by group, both large enough to be printed on every page."""
    if not sizes_may_be_shown(design, profile):
        raise DesignError(
            "design.too_small_to_show",
            f"a matched group holds fewer than {profile.threshold} occasions, so nothing about it may be shown",
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


def _balance(ws: Workspace, design: Design, withheld: FactsWithheld) -> tuple[BalanceLine, ...]:
    """Every column in both groups, then the declared covariates that have none."""
    facts = catalogue_of(ws.study)
    limits = {1: ws.study.gates.smd_tier1, 2: ws.study.gates.smd_tier2}
    fates = {one.name: one for one in design.fates}
    lines = [
        _balance_line(
            fates[row.name],
            row_of(row, withheld),
            facts,
            tier=row.tier,
            limit=limits[row.tier],
            within_limit=abs(row.smd_after) <= limits[row.tier],
        )
        for row in design.balance
    ]
    gone = (one for one in design.fates if not _has_row(one, design))
    return (
        *lines,
        *(_balance_line(one, NOTHING, facts, tier=one.tier, limit=limits[one.tier], within_limit=None) for one in gone),
    )


def _balance_line(
    one: CovariateFate, shown: RowShown, facts: Catalogue, *, tier: int, limit: float, within_limit: bool | None
) -> BalanceLine:
    """A declared covariate with what may be shown of it; `within_limit` is None where there is nothing to balance."""
    return BalanceLine(
        **_described(one.name, facts),
        tier=tier,
        mean_treated=shown.mean_treated,
        mean_comparison_before=shown.mean_comparison_before,
        mean_comparison_after=shown.mean_comparison_after,
        smd_before=shown.smd_before,
        smd_after=shown.smd_after,
        variance_ratio=shown.variance_ratio,
        limit=limit,
        within_limit=within_limit,
        fate=_fate(one, facts),
    )


def _described(name: str, facts: Catalogue) -> dict[str, Any]:
    """What a line says of a covariate, the last level of a category, or the indicator of an absence."""
    definition = facts.described[name.removesuffix(MISSING_SUFFIX)]
    if name not in facts.described:
        return {"name": name, "label": fact_label(name, facts), "unit": "yes or no", "binary": True}
    return {"name": name, "label": definition.label, "unit": definition.unit, "binary": definition.binary}


def _has_row(one: CovariateFate, design: Design) -> bool:
    return any(row.name == one.name for row in design.balance)


def _fate(one: CovariateFate, facts: Catalogue) -> str:
    if one.name in {category.last.name for category in facts.categories}:
        return "reference: left out by models, balanced like the others"
    others = ", ".join(fact_label(name, facts) for name in one.determined_by)
    return f"{one.fate} with {others}" if others else str(one.fate)


def _versions(ws: Workspace, design: Design, profile: Profile) -> tuple[VersionLine, ...]:
    names, words = getattr(ws.study.exposure, "versions", ()), ws.study.words
    cases = design.members[design.members["treated"]]
    lines = []
    for name in names:
        counts = cases[name].fillna("unknown").value_counts().sort_index()
        shown = disclose_percents({str(value): int(n) for value, n in counts.items()}, profile.threshold)
        lines += [
            VersionLine(
                version=words.version(name),
                value=WHEN_INFORMED.get(value, value) if name == "patient_informed" else words.action(value),
                percent=percent,
            )
            for value, percent in shown.items()
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
