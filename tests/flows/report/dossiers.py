"""A dossier with plausible numbers and the flagship's own words, and variations of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from causal.protocol.in_words import Line
from causal.protocol.words import Words
from flows.report.dossier import (
    ApprovalLine,
    BalanceLine,
    DecidedGroup,
    Decomposition,
    Dossier,
    EffectLine,
    EmulationLine,
    FlowStep,
    IntervalLine,
    OverlapBin,
    PlannedLine,
    Provenance,
    QualityLine,
    ResponseLine,
    Results,
    TruthLine,
    VerdictLine,
    VersionLine,
)
from validation.disclosure import disclose_count, disclose_flow

STUDY = YAML(typ="safe", pure=True).load(Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml")
WORDS = Words.model_validate(STUDY["words"])
THRESHOLD = 11
DIGEST = "9f2c1ab0d4e87a66c1f0b3a2985d7714e6b0c8aa12de55f7730491bce2ad6f08"

FLOW = (
    ("Structured threat assessments in the extract", 3812, 5204, None, None),
    ("Aged 18 or over", 3705, 5061, None, None),
    ("In a relationship with the index clinician", 3120, 4302, None, None),
    ("At least 2 contacts in the 180 days before", 2466, 3380, None, None),
    ("At least 1 trust rating in the 90 days before", 1571, 2093, None, None),
    ("No earlier warning", 1540, 2011, None, None),
    ("Not an inpatient on the day", 1498, 1949, None, None),
    ("Legal regime known", 1493, 1942, 214, 1728),
    ("Probability of warning that both groups share", 1254, 1603, 179, 1424),
    ("Matched", 389, 431, 151, 280),
)

COVARIATES = (
    ("alliance_lag1", "Trust, latest rating", 1, "points", False, 3.21, 3.62, 3.24, -0.58, -0.04, 1.08),
    ("alliance_lag2", "Trust, rating before that", 1, "points", False, 3.38, 3.66, 3.39, -0.41, -0.02, 1.03),
    ("alliance_lag3", "Trust, two ratings before", 1, "points", False, 3.44, 3.67, 3.46, -0.33, -0.03, 0.98),
    ("severity", "Severity of the threat", 1, "0 to 10", False, 6.42, 4.11, 6.29, 1.12, 0.07, 0.93),
    ("target_identified", "Target identified", 1, "", True, 0.71, 0.34, 0.68, 0.79, 0.06, None),
    ("phq9", "Depression score (PHQ-9)", 1, "0 to 27", False, 13.8, 12.1, 13.6, 0.31, 0.03, 1.04),
    ("tenure_months", "Months with this clinician", 1, "months", False, 14.2, 17.9, 14.6, -0.29, -0.03, 0.91),
    ("means_access", "Access to means", 2, "", True, 0.38, 0.19, 0.35, 0.43, 0.06, None),
    ("history_violence", "History of violence", 2, "", True, 0.44, 0.27, 0.41, 0.36, 0.06, None),
    ("sud", "Substance use disorder", 2, "", True, 0.36, 0.29, 0.34, 0.15, 0.04, None),
    ("psychosis", "Psychosis", 2, "", True, 0.24, 0.17, 0.22, 0.17, 0.05, None),
    ("visits_90d", "Visits in 90 days", 2, "visits", False, 6.8, 6.1, 6.6, 0.19, 0.05, 1.11),
    ("missed_180d", "Missed visits in 180 days", 2, "visits", False, 1.9, 1.3, 1.8, 0.34, 0.06, 1.22),
    ("hospitalised_365d", "Hospital stay in a year", 2, "", True, 0.21, 0.14, 0.20, 0.18, 0.02, None),
    ("prior_assessments", "Earlier assessments", 2, "count", False, 1.4, 0.9, 1.3, 0.40, 0.08, 1.19),
    ("age", "Age", 2, "years", False, 37.9, 39.6, 38.1, -0.13, -0.02, 0.97),
    ("male", "Male", 2, "", True, 0.63, 0.49, 0.61, 0.29, 0.04, None),
    ("regime_mandatory", "Mandatory regime", 2, "", True, 0.68, 0.51, 0.68, 0.35, 0.0, None),
    ("regime_permissive", "Permissive regime", 2, "", True, 0.24, 0.37, 0.24, -0.29, 0.0, None),
    ("calendar_years", "Calendar time", 2, "years", False, 4.1, 3.7, 4.1, 0.16, 0.01, 0.99),
)

VERDICTS = tuple(
    VerdictLine(
        code=code,
        status=status,
        sentence=sentence,
        measured=measured,
        limit=limit,
        side="" if limit is None else "at least" if code in ("design.sets", "design.curvature") else "at most",
    )
    for code, status, sentence, measured, limit in (
        ("design.sets", "PASS", "matched sets", 151, 20),
        ("design.unmatched", "PASS", "share of eligible warned occasions without a match", 0.156, 0.3),
        ("design.balance_tier1", "PASS", "largest standardised difference of a tier-1 covariate (severity)", 0.07, 0.1),
        ("design.balance_tier2", "PASS", "largest standardised difference of a tier-2 covariate (age)", 0.08, 0.2),
        ("design.curvature", "PASS", "chance of as much curve without any (joint test)", 0.31, 0.01),
        ("design.ended_in_grace", "PASS", "share of occasions that ended inside the grace window", 0.0093, 0.02),
        ("design.pretrend", "PASS", "standardised difference in how trust moved before time zero", 0.05, 0.2),
        ("extract.quarantined", "PASS", "share of rows set aside", 0.0042, 0.02),
        ("design.influenza_vaccination", "NOT EVALUATED", "the extract holds no vaccinations", None, None),
    )
)


def _interval(
    by: str, clusters: int, std_error: float, df: float, ends: tuple[float, float], *, primary: bool
) -> IntervalLine:
    lower, upper = ends
    return IntervalLine(
        clustered_by=by, clusters=clusters, std_error=std_error, df=df, lower=lower, upper=upper, primary=primary
    )


TERMINATION = EffectLine(
    name="Ended treatment within 90 days",
    question="Do more patients leave treatment?",
    scale="risk difference",
    value=0.09,
    lower=0.018,
    upper=0.162,
    level=0.95,
    mean_treated=0.31,
    mean_comparison=0.22,
    adjusted=False,
    intervals=(
        _interval("clinician", 118, 0.0365, 71.4, (0.018, 0.162), primary=True),
        _interval("matched set", 151, 0.0341, 149.0, (0.023, 0.157), primary=False),
    ),
    detectable=0.11,
)

COMPOSITE = EffectLine(
    name="Trust, with leaving counted as its failure",
    question="Does the patient's trust in the clinician change?",
    scale="points",
    value=-0.46,
    lower=-0.70,
    upper=-0.22,
    level=0.95,
    mean_treated=2.66,
    mean_comparison=3.12,
    adjusted=False,
    intervals=(
        _interval("clinician", 118, 0.121, 69.8, (-0.70, -0.22), primary=True),
        _interval("matched set", 151, 0.113, 149.0, (-0.68, -0.24), primary=False),
    ),
    detectable=0.36,
)

RESULTS = Results(
    day=90,
    half_width=21,
    termination=TERMINATION,
    composite=COMPOSITE,
    decomposition=Decomposition(total=-0.4596, termination_part=-0.3012, level_part=-0.1584, floor=1.0),
    response=ResponseLine(
        treated=0.78, comparison=0.84, handling="Non-response was handled by weighting those who answered."
    ),
    excluded=0,
    causal_wording=True,
)

DOSSIER = Dossier(
    study_id="duty_to_warn",
    title=STUDY["study"]["title"],
    question=STUDY["study"]["question"],
    why_no_trial=STUDY["study"]["why_no_trial"],
    registered="not registered",
    simulated=True,
    treated_label="warn a third party within 72 hours of the assessment",
    comparison_label="manage the risk without telling a third party",
    treated_short="after a warning",
    comparison_short="without a warning",
    words=WORDS,
    eligibility=(
        "The patient is 18 or older.",
        "The patient is in a relationship with the clinician who made the assessment.",
        "There were at least 2 contacts in the 180 days before.",
        "There was at least 1 trust rating in the 90 days before.",
        "There was no earlier warning.",
        "The patient was not an inpatient.",
        "The legal regime on that day is known.",
    ),
    emulation=tuple(EmulationLine(**line) for line in STUDY["target_trial"]["emulation"]),
    flow=disclose_flow(
        tuple(FlowStep(rule=r, persons=p, occasions=o, treated=t, comparison=c) for r, p, o, t, c in FLOW), THRESHOLD
    ),
    threshold=THRESHOLD,
    scale=(1, 5),
    estimand_sentence="The average difference among those who were warned and could be matched, had the same people "
    "not been warned.",
    method_sentence="Each warned occasion was matched to at most 2 others in the same regime, with the same hold and "
    "instrument version, within 180 days, and with a like estimated probability of warning (within 0.2 standard "
    "deviations of its logit).",
    n_sets=151,
    n_treated=151,
    n_comparison=280,
    balance=tuple(
        BalanceLine(
            name=name,
            label=label,
            tier=tier,
            unit=unit,
            binary=binary,
            mean_treated=treated,
            mean_comparison_before=before,
            mean_comparison_after=after,
            smd_before=smd_before,
            smd_after=smd_after,
            variance_ratio=ratio,
            limit=0.1 if tier == 1 else 0.2,
            within_limit=True,
        )
        for name, label, tier, unit, binary, treated, before, after, smd_before, smd_after, ratio in COVARIATES
    ),
    balance_denominator="the standard deviation among the warned, before matching",
    overlap=(
        OverlapBin(low=0.0, high=0.1, treated_percent=0, comparison_percent=63),
        OverlapBin(low=0.1, high=0.2, treated_percent=13, comparison_percent=21),
        OverlapBin(low=0.2, high=0.3, treated_percent=17, comparison_percent=8),
        OverlapBin(low=0.3, high=0.4, treated_percent=19, comparison_percent=4),
        OverlapBin(low=0.4, high=0.5, treated_percent=21, comparison_percent=2),
        OverlapBin(low=0.5, high=0.7, treated_percent=17, comparison_percent=1),
        OverlapBin(low=0.7, high=0.95, treated_percent=12, comparison_percent=0),
    ),
    versions=(
        VersionLine(version="Who was told", value="The person at risk", percent=46.4),
        VersionLine(version="Who was told", value="The police", percent=31.8),
        VersionLine(version="Who was told", value="Both", percent=21.9),
        VersionLine(version="Patient informed", value="Before the warning", percent=58.3),
        VersionLine(version="Patient informed", value="Afterwards", percent=23.8),
        VersionLine(version="Patient informed", value="Not informed", percent=None),
        VersionLine(version="Patient informed", value="Not recorded", percent=None),
    ),
    verdicts=VERDICTS,
    identification=(
        "A warning and later trust share these recorded causes: severity, earlier trust, depression and substance use.",
        "Adjusting for them closes every path the diagram holds open, except those through what was not recorded.",
        "The diagram names one thing nobody recorded: each clinician's own threshold for warning.",
    ),
    worked_out="Each difference comes from one regression of the outcome on the choice.",
    decided=(
        DecidedGroup(
            title="Chance",
            lines=(
                Line(key="seed", name="Seed", value="20240601", usual=True),
                Line(key="propensity.cross_fit", name="Folds of whole clusters", value="none", usual=False),
            ),
        ),
    ),
    results=RESULTS,
    truth=(
        TruthLine(
            name="Ended treatment within 90 days", truth=0.12, estimate=0.09, lower=0.018, upper=0.162, covered=True
        ),
        TruthLine(
            name="Trust, with leaving counted as its failure",
            truth=-0.46,
            estimate=-0.46,
            lower=-0.70,
            upper=-0.22,
            covered=True,
        ),
    ),
    limitations=tuple(STUDY["report"]["limitations"]),
    cannot_say=tuple(STUDY["report"]["cannot_say"]),
    plan=(
        PlannedLine(part="main question", name="the main question", state="run"),
        PlannedLine(
            part="sensitivity analysis",
            name="rosenbaum",
            state="not run",
            reason="needs pairs; sets here have up to 2 comparisons",
            hidden_causes=True,
        ),
        PlannedLine(
            part="negative control",
            name="influenza vaccination",
            state="not run",
            reason="the extract holds no vaccinations",
        ),
    ),
    instrument_note="Trust is the mean of the 12 items of WAI-SR as the patient answered them, from 1 to 5.",
    regime_note="Which legal duty was in force is taken from the extract's regime table. This is not legal advice.",
    governance=(
        ("Basis", STUDY["governance"]["basis"]),
        ("Data class", STUDY["governance"]["data_class"]),
        ("Agreement", STUDY["governance"]["agreement"]),
        ("Certificate of confidentiality", STUDY["governance"]["certificate_of_confidentiality"]),
    ),
    quality=(
        QualityLine(table="threat_assessments", rows=5221, set_aside=17, reasons=(("duplicate_row", 17),)),
        QualityLine(
            table="measures",
            rows=48210,
            set_aside=disclose_count(7, THRESHOLD),
            reasons=(("date", disclose_count(7, THRESHOLD)),),
        ),
        QualityLine(table="encounters", rows=91377, set_aside=0, reasons=()),
    ),
    approval=ApprovalLine(
        approver="Simulated board",
        role="stands in for an ethics board",
        simulated=True,
        accepted_failures=(),
        key_fingerprint="a1b2 c3d4 e5f6 0718",
    ),
    provenance=Provenance(
        protocol_digest=DIGEST,
        extract_digest=DIGEST[::-1],
        design_digest=DIGEST[32:] + DIGEST[:32],
        code_version="0.1.0",
        packages=(("python", "3.11"), ("numpy", "2.3.5"), ("pandas", "3.0.1"), ("scipy", "1.15.3")),
        extract_as_of="2024-12-31",
        synthetic=True,
        looks=1,
    ),
)


def with_results(dossier: Dossier, **changes: Any) -> Dossier:
    """The dossier with some fields of its results replaced."""
    return dataclasses.replace(dossier, results=dataclasses.replace(dossier.results, **changes))


DESIGN_ONLY = dataclasses.replace(
    DOSSIER, results=None, truth=(), approval=None, provenance=dataclasses.replace(DOSSIER.provenance, looks=0)
)

INCLUDES_ZERO = with_results(
    DOSSIER,
    termination=dataclasses.replace(TERMINATION, value=0.03, lower=-0.04, upper=0.10, mean_treated=0.25),
    composite=dataclasses.replace(COMPOSITE, value=-0.1, lower=-0.34, upper=0.14, mean_treated=3.02),
    decomposition=Decomposition(total=-0.1, termination_part=-0.07, level_part=-0.03, floor=1.0),
)

GATE_FAILED = with_results(
    dataclasses.replace(
        DOSSIER,
        verdicts=(*VERDICTS[:2], dataclasses.replace(VERDICTS[2], status="FAIL", measured=0.17), *VERDICTS[3:]),
        approval=dataclasses.replace(DOSSIER.approval, accepted_failures=("design.balance_tier1",)),
    ),
    causal_wording=False,
)

PAYLOADS = (
    "<script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "--><svg onload=alert(1)>",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd",
    "\tTAB\rCR",
    "$a$ and $\\frac{1}{0}$",
    '#read("/etc/passwd")',
    "*bold* _it_ `raw` @ref <label> \\u{41}",
    "{{ 7 * 7 }} {% raw %}",
    "abc\u202edcba\u2066x\u2069",
    "\U0001f600\U0001f468\u200d\U0001f469 \u05d0\u05d1\u05d2 \u6f22\u5b57",
    "x" * 500,
    "many words " * 45,
    "a\x00b\x1b[31mred",
)


def hostile() -> Dossier:
    """The dossier with every text a person could have written replaced by, or joined to, an attack."""
    words = iter(PAYLOADS * 40)
    return _attacked(DOSSIER, words)


_NOT_FREE = {"status", "scale", "study_id"}


def _attacked(value: Any, words: Iterator[str]) -> Any:
    if isinstance(value, str):
        return next(words)
    if isinstance(value, tuple):
        return tuple(_attacked(item, words) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return dataclasses.replace(
            value, **{k: v if k in _NOT_FREE else _attacked(v, words) for k, v in fields.items()}
        )
    return value


HOSTILE = hostile()
