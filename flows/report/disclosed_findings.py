"""Analyses set in advance, as they may be shown: a number that may not be keeps its row, with the reason."""

from __future__ import annotations

from collections.abc import Iterable

from causal.effect.secondary.finding import Finding, Line
from causal.measures.administration import ProspectiveRatings
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Composite, Estimand, Rating, Strategy
from causal.protocol.secondary import opens_everyone
from flows.report.disclosed_response import response_words
from flows.report.dossier import EstimandLine, FindingLine, FindingRow
from validation.disclosure import Figure, Kind, Profile, disclose, disclose_percent, profile_of
from validation.disclosure.lines import DisclosedLine, Pair, disclose_line, tells_endings
from validation.verdict import Verdict, failed

EVENTS = {
    "patient_ended": "The {person} ends treatment, or is lost",
    "planned_completion": "Treatment ends as planned",
    "transfer": "The {person} is moved elsewhere",
    "hospitalised": "A hospital stay in the rating window",
    "comparison_treated_later": "A comparison {person} gets the first choice later",
    "death": "The {person} dies",
}
"""What can come between, with the study's word for the people to be put in."""
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
            id=estimand.id,
            label=estimand.label,
            primary=estimand.primary,
            events=tuple(_strategies(estimand, study.words.person)),
        )
        for estimand in study.estimands
    )


def _strategies(estimand: Estimand, person: str) -> Iterable[tuple[str, str]]:
    events = estimand.intercurrent_events
    for name, words in EVENTS.items():
        yield words.format(person=person), _handled(getattr(events, name))


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


def finding_lines(
    findings: Iterable[Finding],
    study: OccasionStudy,
    *,
    sizes: Pair,
    published: Iterable[Pair] = (),
    answered: Iterable[Verdict] = (),
) -> tuple[FindingLine, ...]:
    """Each finding with every row: its numbers, or the reason for which they are withheld.

    Parameters
    ----------
    sizes
        Treated and comparison occasions compared, which every page shows.
    published
        Endings by group that the headline tells already.
    answered
        Verdicts on who answered: rows that rest on ratings of a day that failed say so.
    """
    told, failing = list(published), tuple(failed(answered))
    return tuple(_finding(finding, study, sizes, told, failing) for finding in findings)


def _finding(
    finding: Finding, study: OccasionStudy, sizes: Pair, told: list[Pair], failing: tuple[Verdict, ...]
) -> FindingLine:
    """One finding; endings it tells are added to those `told` before."""
    profile = profile_of(study)
    rows: list[FindingRow] = []
    for line in finding.lines:
        shown = disclose_line(line, profile, sizes, told)
        if shown.why is None and line.events is not None and tells_endings(line):
            told.append(line.events)
        assert isinstance(study.outcome, Rating)
        response = response_words(failing, line.rests_on(study.outcome.primary_day))
        rows.append(_row(line, shown, study.estimator.level, response, profile))
    everything = not any(row.withheld for row in rows)
    return FindingLine(
        analysis=finding.analysis,
        title=finding.title,
        method=finding.method,
        rows=tuple(rows),
        not_evaluated=finding.not_evaluated,
        notes=(*finding.notes, *_readings(finding, everything=everything)),
    )


READINGS_WITHHELD = "What was read off these numbers is withheld with them."


def _readings(finding: Finding, *, everything: bool) -> tuple[str, ...]:
    if everything or not finding.readings:
        return finding.readings
    return (READINGS_WITHHELD,)


def planned_line(planned: ProspectiveRatings, profile: Profile) -> FindingLine:
    """Whether the ratings that count were planned before the choice, or only asked for because of it."""
    told, why = "", planned.sentence
    if planned.found is not None:
        n, of = planned.found.count, planned.found.of
        share = Figure(value=n / max(of, 1), unit="share", kind=Kind.SHARE, counts=(n,), complements=(of - n,))
        shown, why = disclose(share, profile), ""
        if shown.value is not None:
            told = (
                f"About {disclose_percent(shown.value, of)}% of the ratings that count were planned before the choice."
            )
        elif shown.why is not None:
            told = f"The share is withheld: {shown.why.sentence(profile.threshold)}."
    return FindingLine(
        analysis="prospective_ratings",
        title="Were the ratings planned beforehand?",
        method="A rating that was put on the schedule before the choice was not asked for because of it.",
        rows=(),
        not_evaluated=(why,) if why else (),
        notes=(told,) if told else (),
    )


def _row(line: Line, shown: DisclosedLine, level: float, response: str, profile: Profile) -> FindingRow:
    """The row; where its numbers are withheld, whether it holds in the family would tell of them too."""
    family = "" if line.p_adjusted is None or shown.why else FAMILY[line.p_adjusted <= 1 - level]
    return FindingRow(
        label=line.label,
        scale=line.scale,
        value=shown.value,
        lower=shown.lower,
        upper=shown.upper,
        level=line.level,
        clustered_by=line.clustered_by,
        family=family,
        withheld="" if shown.why is None else shown.why.sentence(profile.threshold),
        response=response,
    )
