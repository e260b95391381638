"""The model every page is drawn from: disclosed values only.

HTML, PDF, JSON and figures are renderings of one `Dossier`. Nothing in it may be an undisclosed count: a `Count` of
None is printed as "withheld" (it is 1 to threshold - 1, or would betray a count that is). Every measured number is
rounded to what a page prints before it comes here: digits beyond those would let withheld counts be solved for.
Sentences come from the study file or from the stages; renderers add layout, never numbers.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass

from causal.protocol.in_words import Line
from causal.protocol.words import NEUTRAL, Words
from validation.disclosure import Count, FlowStep, Shown, ShownCount


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulationLine:
    """One element of the target trial beside its emulation."""

    element: str
    ideal: str
    emulated: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLine:
    """One covariate in both groups; means in `unit`, SMDs in units of the treated SD before matching.

    Means and SMDs are None where the share of a yes-or-no covariate would give away a small count; `within_limit` is
    judged before anything is rounded or withheld. `fate` says what became of the covariate; where it has no column, so
    that there is nothing to balance, means, SMDs and `within_limit` are None.
    """

    name: str
    label: str
    tier: int
    unit: str
    binary: bool
    mean_treated: Shown | None
    mean_comparison_before: Shown | None
    mean_comparison_after: Shown | None
    smd_before: Shown | None
    smd_after: Shown | None
    variance_ratio: Shown | None
    limit: float
    within_limit: bool | None
    fate: str = "adjusted"


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlapBin:
    """Percent of each group with an estimated probability in [low, high), in whole percent or coarser steps.

    Not counts: their sums are the sizes of the groups, which the flow of occasions may withhold.
    """

    low: float
    high: float
    treated_percent: ShownCount
    comparison_percent: ShownCount


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictLine:
    """One judgement: PASS, FAIL or NOT EVALUATED, its figure and its limit; `side` of the limit figures are good.

    `withheld` says why a figure that was judged is not shown.
    """

    code: str
    status: str
    sentence: str
    measured: Shown | None
    limit: float | None
    side: str = ""
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaterCheck:
    """A check that can be judged only once outcomes are open, with the limit set for it now."""

    code: str
    sentence: str
    side: str
    limit: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLine:
    """One analysis the study plans. `state` is "run", "run in part", "not run", or "waits" for the outcomes.

    `reason` says why it was not run, or what of it. `hidden_causes`: whether it asks about causes nobody recorded.
    """

    part: str
    name: str
    state: str
    reason: str = ""
    hidden_causes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalLine:
    """An interval of one estimate under one clustering.

    `clusters` and `df` are None where they would tell how few matched sets were lost to deaths, or how many patients
    were counted again; `withheld` says which.
    """

    clustered_by: str
    clusters: Count
    std_error: Shown
    df: Shown | None
    lower: Shown
    upper: Shown
    primary: bool
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLine:
    """One headline effect. `value`, `lower`, `upper` are the primary ones; `intervals` lists every clustering.

    `scale` is "risk difference" (proportions) or "points" (item mean, 1 to 5).
    """

    name: str
    question: str
    scale: str
    value: Shown
    lower: Shown
    upper: Shown
    level: float
    mean_treated: Shown | None
    mean_comparison: Shown | None
    """Both None where a group's share would give away a small count."""
    adjusted: bool
    """Whether `value` is something other than the difference of the two (unrounded) means."""
    intervals: tuple[IntervalLine, ...]
    detectable: Shown | None
    """Smallest true effect this design would have found with 80% power, in the effect's own scale."""
    why_main: str = ""
    """Why the main interval is the main one."""
    means_withheld: str = ""
    """Why neither mean is shown, where they are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnansweredLine:
    """One headline effect that could not be had, with the keys of an `EffectLine`: what is unknown is null.

    The means stand where they may be shown: nobody is an answer of its own.
    """

    name: str
    question: str
    scale: str
    not_evaluated: str
    """Why, in words."""
    mean_treated: Shown | None
    mean_comparison: Shown | None
    value: None = None
    lower: None = None
    upper: None = None
    intervals: tuple[()] = ()
    detectable: None = None
    means_withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decomposition:
    """Composite difference = termination part + level part, exactly before each was rounded; all in points."""

    total: Shown
    termination_part: Shown
    level_part: Shown
    floor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseLine:
    """Share of those who had not ended treatment who gave a usable rating, by group, in coarse steps.

    None where the shares who ended treatment are withheld, or few rated; `withheld` says which.
    """

    treated: Shown | None
    comparison: Shown | None
    handling: str
    withheld: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedAt:
    """Something else that was looked at before outcomes were opened: a question and a sentence of disclosed values."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """How one version of the exposure is distributed among the matched treated, in percent; None is withheld."""

    version: str
    value: str
    percent: Shown | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingRow:
    """One number of an analysis set in advance. `value` is None where only a range is known.

    A number that may not be shown keeps its row: `withheld` says why, and value and interval are None. `response` says
    at which days too few answered, or the groups too unlike, for a number that rests on ratings; empty otherwise.
    `scale` is "points", "risk difference", "hazard ratio", "win odds", "days" or "probability". `family` says whether
    the number holds against no difference when the whole declared family of tests is guarded; empty outside it.
    """

    label: str
    scale: str
    value: Shown | None
    lower: Shown | None
    upper: Shown | None
    level: float
    clustered_by: str
    family: str = ""
    withheld: str = ""
    response: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingLine:
    """One analysis set in advance: its numbers, or the reasons for which it has none."""

    analysis: str
    title: str
    method: str
    rows: tuple[FindingRow, ...]
    not_evaluated: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidedGroup:
    """What was decided in advance under one heading: every key of the study's file there, with its value in words."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimandLine:
    """One question put precisely: what is done about each event between time zero and the rating (ICH E9(R1))."""

    id: str
    label: str
    primary: bool
    events: tuple[tuple[str, str], ...]
    """(event, how it is handled), both in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What was found once outcomes were opened."""

    day: int
    half_width: int
    termination: EffectLine | UnansweredLine
    composite: EffectLine | UnansweredLine
    """At least one of the two has a number."""
    decomposition: Decomposition | None
    """None where the composite has no number."""
    response: ResponseLine
    excluded: Count
    """Matched occasions that a death took out of this comparison: their own, or that of all they stood beside."""
    causal_wording: bool
    """False when a gate failed (and the approval accepted it): the pages then speak of association only."""
    rated_causal_wording: bool = True
    """False where too few answered at the day, or groups too unlike: whatever `causal_wording` says of the rest, the
    pages then describe the ratings only."""
    aliased: tuple[str, ...] = ()
    """Facts left out of the adjustment: nobody differs in them, or others determine them among the compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthLine:
    """For synthetic extracts only: the known truth beside the estimate and its interval."""

    name: str
    truth: float
    estimate: float
    lower: float
    upper: float
    covered: bool
    level: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityLine:
    """One table of the extract: rows delivered and rows set aside, with the reasons (reason code, count)."""

    table: str
    rows: Count
    set_aside: Count
    reasons: tuple[tuple[str, Count], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalLine:
    """Who allowed outcomes to be opened."""

    approver: str
    role: str
    simulated: bool
    accepted_failures: tuple[str, ...]
    key_fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What the numbers were made from and with. No clock: the same inputs give the same bytes."""

    protocol_digest: str
    extract_digest: str
    design_digest: str
    code_version: str
    packages: tuple[tuple[str, str], ...]
    extract_as_of: str
    synthetic: bool
    looks: int
    """How many different designs of this study have had their outcomes opened: in a release this one included, in a
    dossier the others before it was made. Opening those of one design again asks nothing new and is not counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """Everything a board reads.

    `results` is None before approval (the design dossier), and where `unanswered` says why the main question has no
    number.
    """

    study_id: str
    title: str
    question: str
    why_no_trial: str
    registered: str
    simulated: bool
    """Synthetic data or a simulated board: every page says so."""
    treated_label: str
    comparison_label: str
    treated_short: str = ""
    """The treated in a few words that fit into a sentence ("after a home visit"); empty: "with the first choice"."""
    comparison_short: str = ""
    words: Words = NEUTRAL
    """The study's nouns, for the sentences of the pages."""
    eligibility: tuple[str, ...]
    emulation: tuple[EmulationLine, ...]
    flow: tuple[FlowStep, ...]
    threshold: int
    scale: tuple[int, int]
    """Lowest and highest answer to an item of the outcome's scale."""
    estimand_sentence: str
    estimands: tuple[EstimandLine, ...] = ()
    worked_out: str = ""
    """How the main answer comes about: the model, what it adjusts for, missing ratings, intervals."""
    planned: tuple[tuple[str, str], ...] = ()
    """Analyses set in advance beside the primary one: (name, what it is)."""
    opened_for: str = "the occasions compared here"
    """Whose outcomes an approval opens."""
    method_sentence: str
    adjustment: str = "matching"
    """What made the groups alike: matching or weighting."""
    n_sets: int | None
    """Matched sets; None where groups are compared by strata or weights."""
    n_treated: int
    n_comparison: int
    balance: tuple[BalanceLine, ...]
    balance_denominator: str
    overlap: tuple[OverlapBin, ...]
    looked_at: tuple[LookedAt, ...] = ()
    versions: tuple[VersionLine, ...]
    verdicts: tuple[VerdictLine, ...]
    later: tuple[LaterCheck, ...] = ()
    """Before outcomes are open: the checks that will be judged then."""
    identification: tuple[str, ...]
    """Sentences about the causal diagram and the adjustment set actually used."""
    decided: tuple[DecidedGroup, ...] = ()
    """Every decision of the study's file, defaults included, and the scoring keys and code lists it rests on."""
    results: Results | None
    unanswered: str = ""
    """Why the main question was not evaluated once outcomes were open; empty otherwise."""
    findings: tuple[FindingLine, ...] = ()
    """The analyses set in advance beside the main one."""
    truth: tuple[TruthLine, ...]
    limitations: tuple[str, ...]
    cannot_say: tuple[str, ...]
    plan: tuple[PlannedLine, ...] = ()
    """Every analysis that was planned, and what became of it."""
    instrument_note: str
    regime_note: str
    governance: tuple[tuple[str, str], ...]
    quality: tuple[QualityLine, ...]
    approval: ApprovalLine | None
    provenance: Provenance


def to_json(dossier: Dossier) -> str:
    """The dossier as JSON text, keys sorted, floats shortest round-trip; the same dossier gives the same bytes."""
    facts = dataclasses.asdict(dossier) | {"words": dossier.words.model_dump()}
    return json.dumps(facts, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
