"""Analyses set in advance, as they may be shown: a number that rests on few occasions is withheld, with the reason."""

from __future__ import annotations

from collections.abc import Iterable

from causal.effect.secondary.finding import Finding, Line
from causal.measures.administration import ProspectiveRatings
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Composite, Estimand, Strategy
from causal.protocol.secondary import opens_everyone
from flows.report.dossier import EstimandLine, FindingLine, FindingRow
from validation.disclosure import disclose_count, disclose_percent, disclose_share

LEAST_DF = 10
"""Fewer degrees of freedom than this tell too much of single occasions (the ABS's rule for model output)."""
OF_STAFF = ("clinician", "clinic")
"""Clusters whose number limits the degrees of freedom of an interval, and tells nothing of single occasions."""

EVENTS = {
    "patient_ended": "The patient ends treatment, or is lost",
    "planned_completion": "Treatment ends as planned",
    "transfer": "The patient is moved elsewhere",
    "hospitalised": "A hospital stay in the rating window",
    "comparison_treated_later": "A comparison patient gets the first choice later",
    "death": "The patient dies",
}
STRATEGIES = {
    "while_in_relationship": "the last rating before it counts",
    "hypothetical": "what would have been rated had it not happened",
    "treatment_policy": "it belongs to the course; the rating counts as it is",
    "principal_stratum": "only those in whom it would happen under neither choice",
    "separate": "an outcome of its own; the occasion leaves this comparison",
}
FAMILY = {True: "yes", False: "not settled"}


def estimand_lines(study: OccasionStudy) -> tuple[EstimandLine, ...]:
    """Every estimand with its strategies, in words."""
    return tuple(
        EstimandLine(
            id=estimand.id, label=estimand.label, primary=estimand.primary, events=tuple(_strategies(estimand))
        )
        for estimand in study.estimands
    )


def _strategies(estimand: Estimand) -> Iterable[tuple[str, str]]:
    events = estimand.intercurrent_events
    for name, words in EVENTS.items():
        yield words, _handled(getattr(events, name))


def _handled(strategy: Strategy) -> str:
    if isinstance(strategy, Composite):
        return f"it is itself a bad outcome, counted as {strategy.value:g}"
    return STRATEGIES[strategy.strategy]


def planned_lines(study: OccasionStudy) -> tuple[tuple[str, str], ...]:
    """The analyses the study declares beside the primary one, each with what it is."""
    return tuple(
        (declared.analysis.replace("_", " "), (type(declared).__doc__ or "").split("\n\n")[0].replace("\n", " "))
        for declared in study.secondary
    )


def opened_for(study: OccasionStudy) -> str:
    """Whose outcomes an approval of this study's design opens."""
    if opens_everyone(study.secondary, weighted=study.weighting is not None):
        return "every eligible occasion, compared or not: some of the analyses set in advance need them"
    return "the occasions compared here, and nobody else"


Pair = tuple[int, int]


def finding_lines(
    findings: Iterable[Finding], study: OccasionStudy, *, sizes: Pair, published: Iterable[Pair] = ()
) -> tuple[FindingLine, ...]:
    """Each finding with the numbers that may be shown.

    Parameters
    ----------
    sizes
        Treated and comparison occasions compared, which every page shows.
    published
        Endings by group that the headline tells already.
    """
    threshold = study.governance.small_cells.threshold
    told = list(published)
    return tuple(_finding(finding, threshold, study.estimator.level, sizes, told) for finding in findings)


def _finding(finding: Finding, threshold: int, level: float, sizes: Pair, told: list[Pair]) -> FindingLine:
    """One finding; endings it tells are added to those `told` before."""
    shown: list[Line] = []
    for line in finding.lines:
        if may_be_shown(line, threshold) and endings_may_be_shown(line, threshold, sizes, told):
            shown.append(line)
            if line.events is not None and line.scale == "risk difference":
                told.append(line.events)
    everything = len(shown) == len(finding.lines)
    withheld = () if everything else ("Part of it rests on too few occasions to be shown.",)
    return FindingLine(
        analysis=finding.analysis,
        title=finding.title,
        method=finding.method,
        rows=tuple(_row(line, level) for line in shown),
        not_evaluated=(*finding.not_evaluated, *withheld),
        notes=(*finding.notes, *(finding.readings if everything else ())),
    )


def planned_line(planned: ProspectiveRatings, threshold: int) -> FindingLine:
    """Whether the ratings that count were planned before the choice, or only asked for because of it."""
    told, why = "", planned.sentence
    if planned.found is not None:
        share = disclose_share(planned.found.count, planned.found.of, threshold)
        why = "the share tells a small count" if share is None else ""
        percent = None if share is None else disclose_percent(share, planned.found.of)
        told = "" if percent is None else f"About {percent}% of the ratings that count were planned before the choice."
    return FindingLine(
        analysis="prospective_ratings",
        title="Were the ratings planned beforehand?",
        method="A rating that was put on the schedule before the choice was not asked for because of it.",
        rows=(),
        not_evaluated=(why,) if why else (),
        notes=(told,) if told else (),
    )


def may_be_shown(line: Line, threshold: int) -> bool:
    """Whether both arms behind a number, and its degrees of freedom where occasions decide them, are large enough.

    >>> line = Line(label="x", scale="points", value=0.1, lower=0.0, upper=0.2, level=0.95, n_treated=60,
    ...             n_comparison=10, df=30.0)
    >>> may_be_shown(line, 11)
    False
    """
    free = line.df is None or line.df >= LEAST_DF or not set(OF_STAFF).isdisjoint(line.clustered_by.split(" and "))
    return min(line.n_treated, line.n_comparison) >= threshold and free


def endings_may_be_shown(line: Line, threshold: int, sizes: Pair, told: Iterable[Pair]) -> bool:
    """Whether the endings behind a number are not few, nor few apart from those told before, in either group.

    Nobody is not few; neither the number who ended nor that of who did not may be. How far apart matters for
    differences of shares only: no count follows from a ratio of rates or from days.

    >>> line = Line(label="x", scale="risk difference", value=0.1, lower=0.0, upper=0.2, level=0.95, n_treated=60,
    ...             n_comparison=60, events=(30, 20))
    >>> endings_may_be_shown(line, 11, (60, 60), []), endings_may_be_shown(line, 11, (60, 60), [(34, 20)])
    (True, False)
    """
    if line.events is None:
        return True
    few = [disclose_share(n, size, threshold) is None for n, size in zip(line.events, sizes, strict=True)]
    apart = [
        disclose_count(abs(n - m), threshold) is None for pair in told for n, m in zip(line.events, pair, strict=True)
    ]
    return not any(few) and not any(apart)


def _row(line: Line, level: float) -> FindingRow:
    family = "" if line.p_adjusted is None else FAMILY[line.p_adjusted <= 1 - level]
    return FindingRow(
        label=line.label,
        scale=line.scale,
        value=line.value,
        lower=line.lower,
        upper=line.upper,
        level=line.level,
        clustered_by=line.clustered_by,
        family=family,
    )
