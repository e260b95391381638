"""What was decided in advance, every decision of it, out of the typed study: for the dossier before it is signed.

`causal.protocol.in_words` says each decision. Here they are put under headings, and what is not told among them has a
reason (`NOT_TOLD`) or another place (`ELSEWHERE`): the pages hold every decision once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from causal.cohort.catalogue import EXACT_KEYS, CovariateDefinition, catalogue_of, facts_of, scores_of
from causal.protocol import AnyStudy, CohortStudy, Instrument, OccasionStudy
from causal.protocol.analysis import CovariateRule
from causal.protocol.cohort import CohortCovariateRule
from causal.protocol.design import Dag, DeclaredCovariate
from causal.protocol.in_words import AS_IT_COMES, Line, given, lines_of
from causal.protocol.words import NEUTRAL
from causal.records import UnitOfInference
from causal.tables import END_REASONS, ENDED_BY_PATIENT
from flows.report.document import Column, Paragraph, Section, Table
from flows.report.dossier import DecidedGroup, Dossier
from flows.report.numbers import capitalised
from flows.report.sentences import groups_of, stop
from flows.report.software_rules import TITLE as RULES
from flows.report.software_rules import software_rules

TITLE = "What was decided in advance"
OTHER = "Other decisions"
GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("The study", ("study", "kind", "schema_version", "unit", "levels", "actors", "claim", "inclusion", "data")),
    ("Who takes part, and from when", ("target_trial", "columns", "exposure", "assigned")),
    (
        "Who is compared with whom",
        ("target_trial.assignment", "matching", "weighting", "design", "support", "analysis.design", "analysis.exact"),
    ),
    ("The facts they are made alike in", ("confounders", "covariates", "missing.covariates")),
    ("How facts are taken from the records", ("definitions", "codelists", "prior_ratings")),
    ("How the probability of treatment is modelled", ("propensity", "analysis.propensity")),
    ("The causal diagram", ("dag",)),
    ("The outcome", ("outcome", "secondary_outcomes", "directed_measures", "estimands")),
    (
        "The main analysis",
        (
            *("estimator", "missing", "analysis", "analyses", "level", "meta"),
            *("minimum_n_inference", "non_inferiority_margin"),
        ),
    ),
    ("The analyses beside it", ("secondary", "multiplicity", "mediators", "effect_modifiers", "alliance", "published")),
    ("How wrong the answer could be", ("sensitivity", "negative_controls", "placebo_outcomes", "known_effect")),
    ("The limits, and on which side of them a study must stay", ("gates",)),
    ("What is assumed, to say how small an effect would be found", ("planning",)),
    ("The records and their protection", ("governance", "report")),
    ("Chance", ("seed",)),
    ("What things are called on these pages", ("words",)),
    (OTHER, ()),
)
"""Every heading with the keys of study files under it; of two that fit a key the longer decides."""

QUESTION, PROTECTION = "The question, and why there is no trial", "The data and their protection"
ELSEWHERE: dict[str, str] = {
    "study.id": "Where these numbers come from",
    "study.title": "the title of this page",
    "study.question": QUESTION,
    "study.why_no_trial": QUESTION,
    "study.registered": QUESTION,
    "target_trial.emulation": QUESTION,
    "estimands": QUESTION,
    "target_trial.strategies.treated.label": "In short",
    "target_trial.strategies.treated.short": "In short",
    "target_trial.strategies.comparison.label": "In short",
    "target_trial.strategies.comparison.short": "In short",
    "report.limitations": "What could be wrong",
    "report.cannot_say": "What this cannot say",
    "governance.basis": PROTECTION,
    "governance.data_class": PROTECTION,
    "governance.agreement": PROTECTION,
    "governance.certificate_of_confidentiality": PROTECTION,
}
"""Keys of a study of occasions that its pages print word for word, and under which title."""

FLAT_PATH = "data.path"
NOT_TOLD: dict[str, str] = {
    "schema_version": "names the vocabulary the study's file is written in; no result depends on it",
    "report.audience": "there is one kind of reader so far; no result depends on it",
    FLAT_PATH: "a place on somebody's machine",
    "instruments.*.licence": "who holds the rights in a questionnaire's wording; no score depends on it",
}
"""Keys that are told nowhere, each with the reason."""


def decided(study: AnyStudy, instruments: Mapping[str, Instrument]) -> tuple[DecidedGroup, ...]:
    """Every decision of a study under its heading, with the scoring keys and the code lists it rests on."""
    told: dict[str, list[Line]] = {title: [] for title, _ in GROUPS}
    for line in told_lines(study):
        told[heading(line.key)].append(line)
    groups = [DecidedGroup(title=title, lines=tuple(lines)) for title, lines in told.items() if lines]
    keys = [
        DecidedGroup(title=f"How {name} is scored", lines=tuple(scoring_lines(instruments[name])))
        for name in _instruments_of(study, instruments)
    ]
    codes = tuple(_codes(study))
    return (
        *groups,
        *keys,
        *([DecidedGroup(title="Codes on record, and what they count as", lines=codes)] if codes else []),
        *([DecidedGroup(title=RULES, lines=tuple(software_rules(study)))] if isinstance(study, OccasionStudy) else []),
    )


def told_lines(study: AnyStudy) -> Iterator[Line]:
    """The decisions of a study's file told under the headings: all but those with a reason or another place."""
    known, passed_over = _known_facts(study), {**NOT_TOLD, **(ELSEWHERE if isinstance(study, OccasionStudy) else {})}
    names = names_in(study)
    for line in lines_of(study, names):
        if line.key == "dag.edges" and isinstance(study, OccasionStudy | CohortStudy):
            yield from _arrows(study.dag, names)
        elif line.key.startswith("confounders.") and isinstance(study, OccasionStudy | CohortStudy):
            yield from _facts(line.key, study, names)
        elif line.key.startswith("definitions[") and isinstance(study, OccasionStudy | CohortStudy):
            yield _definition(line.key, study, names)
        elif line.key not in known and not _is_in(line.key, passed_over):
            yield line


def names_in(study: AnyStudy) -> Mapping[str, str]:
    """What the facts and keys of a study are called on its pages."""
    if not isinstance(study, OccasionStudy | CohortStudy):
        return {}
    whole = {name: fact.label for name, fact in facts_of(study).items()}
    words = study.words if isinstance(study, OccasionStudy) else NEUTRAL
    nouns = {f"words.{key}": said for key, said in words if isinstance(said, str)}
    parts = catalogue_of(study).described if isinstance(study, OccasionStudy) else {}
    return whole | {name: fact.label for name, fact in parts.items()} | EXACT_KEYS | nouns


def heading(key: str) -> str:
    """The heading under which a key of a study's file is told."""
    return _heading(plain_key(key))


@cache
def _heading(plain: str) -> str:
    fitting = [(len(start), title) for title, starts in GROUPS for start in starts if _is_in(plain, (start,))]
    return max(fitting, default=(0, OTHER))[1]


def plain_key(key: str) -> str:
    """A key without its places in lists, for looking it up.

    >>> plain_key("target_trial.eligibility[3]")
    'target_trial.eligibility'
    """
    return re.sub(r"\[[^]]*\]", "", key)


def _is_in(key: str, known: Iterable[str]) -> bool:
    plain = plain_key(key)
    return any(plain == one or plain.startswith(f"{one}.") for one in known)


def _facts(tier_key: str, study: OccasionStudy | CohortStudy, names: Mapping[str, str]) -> Iterator[Line]:
    """One line for each fact of a tier: what it is, over which time, and what stands in where nobody recorded it."""
    tier = tier_key.removeprefix("confounders.")
    declared, known = {one.name: one for one in study.covariates}, facts_of(study)
    for place, name in enumerate(getattr(study.confounders, tier), start=1):
        fill = "; ".join(_fills(study, name, names))
        lacking = f" Where nobody recorded it: {fill}, and that nobody did is a fact of its own." if fill else ""
        value = f"{tier.replace('tier', 'Tier ')}. {_meaning(name, known, declared)}{lacking}"
        yield Line(key=f"{tier_key}[{place}]", name=names.get(name, name.replace("_", " ")), value=value, usual=False)


def _definition(key: str, study: OccasionStudy | CohortStudy, names: Mapping[str, str]) -> Line:
    """A definition as the study's file says it, without what it leaves as it comes."""
    name = key.removeprefix("definitions[").removesuffix("]")
    said = given(study.definitions[name], {})
    return Line(key=key, name=f"{names.get(name, name)} ({name})", value=said, usual=False)


def _fills(study: OccasionStudy | CohortStudy, name: str, names: Mapping[str, str]) -> list[str]:
    """What stands in for a fact nobody recorded, in words."""
    own = (rule for rule in _rules(study) if rule.covariate == name)
    return [line.value for rule in own for line in lines_of(rule, names) if line.key == "fill"]


def _meaning(name: str, facts: Mapping[str, CovariateDefinition], declared: Mapping[str, DeclaredCovariate]) -> str:
    if name not in facts:
        return stop(capitalised(declared[name].meaning)) if name in declared else "Known to the study alone."
    known = facts[name]
    said = known.window_days is None or str(known.window_days) in known.meaning
    back = "" if said else f", in the {known.window_days} days before"
    return f"{capitalised(known.meaning)} ({known.unit}{back})."


def _known_facts(study: AnyStudy) -> frozenset[str]:
    """Keys of the rules on missing facts that are told with the facts themselves."""
    if not isinstance(study, OccasionStudy | CohortStudy):
        return frozenset()
    named = {*study.confounders.tier1, *study.confounders.tier2}
    rules = enumerate(_rules(study), start=1)
    return frozenset(f"missing.covariates[{place}]" for place, rule in rules if rule.covariate in named)


def _rules(study: OccasionStudy | CohortStudy) -> Sequence[CovariateRule | CohortCovariateRule]:
    return study.missing.covariates


def _arrows(dag: Dag, names: Mapping[str, str]) -> Iterator[Line]:
    """One line for each cause: what the authors believe it leads to."""
    effects: dict[str, list[str]] = {}
    for arrow in dag.edges:
        cause, effect = (names.get(end, end.replace("_", " ")) for end in arrow.split(" -> "))
        effects.setdefault(cause, []).append(effect)
    for cause, caused in effects.items():
        yield Line(key="dag.edges", name=f"{capitalised(cause)} leads to", value="; ".join(caused), usual=False)


def _instruments_of(study: AnyStudy, instruments: Mapping[str, Instrument]) -> list[str]:
    """The questionnaires a study of occasions rests on: that of the outcome, and those of its facts."""
    if not isinstance(study, OccasionStudy):
        return []
    named = (getattr(study.outcome, "instrument", ""), *(score.instrument for score in scores_of(study)))
    return [name for name in dict.fromkeys(named) if name in instruments]


def scoring_lines(key: Instrument) -> Iterator[Line]:
    """Every part of a scoring key that decides a score, how far it was checked, and its hash."""
    under = f"instruments.{key.id}"
    for line in lines_of(key, EXACT_KEYS, under=under):
        if not _is_in(line.key.replace(under, "instruments.*", 1), NOT_TOLD):
            yield line
    yield Line(key=f"{under}.digest", name="Hash of all that decides a score", value=key.digest, usual=False)


def _codes(study: AnyStudy) -> Iterator[Line]:
    """Codes that stand in the software, not in the study's file."""
    if not isinstance(study, OccasionStudy):
        return
    others = ", ".join(reason for reason in END_REASONS if reason not in ENDED_BY_PATIENT)
    ended = f"{', '.join(ENDED_BY_PATIENT)}; not {others}"
    yield Line(
        key="episodes.end_reason", name=f"Endings that count as the {study.words.person}'s", value=ended, usual=True
    )


SHARED = (
    " Here too few ratings were missing, or given, for that model: the weight is the share by arm, the same for all of "
    "a group who answered."
)


def worked_out(study: OccasionStudy, *, unit: UnitOfInference, fell_back: bool = False) -> str:
    """How the main answer comes about: the model with what it adjusts for, then missing ratings, then intervals.

    `unit` is what stands for itself where clusters are few; `fell_back` says that too few ratings were missing, or
    given, for the model of response that was declared.
    """
    how = study.estimator
    weighted = "as the groups were" if study.matching is None else "by the matched sets"
    ratings = {line.key: line.value for line in lines_of(study.missing, names_in(study))}["outcome"]
    return (
        "Each of the two main differences comes from one regression of the outcome on the choice over the same cases, "
        f"weighted {weighted} (weighted ANCOVA), that {_allowed_for(study)}. For ratings every case has a value: an "
        "ended treatment that of its estimand; otherwise m plus r times the distance of the rating from m, and m alone "
        "where no rating counts, m being halfway between the mean ratings of the two groups. Where a rating is missing "
        f"although treatment goes on, {ratings}: r is the weight of those who answered, scaled so that they stand for "
        f"all of their group whose treatment goes on.{SHARED if fell_back else ''} "
        f"Intervals are {100 * how.level:g}% and robust to likeness among the cases of one {how.cluster} (CR2); "
        f"where fewer than {how.minimum_clusters} {how.cluster}s contribute, the "
        f"main one is the wider of that and the one by {unit}."
    )


def _allowed_for(study: OccasionStudy) -> str:
    """What else the regression of the outcome holds, and how it enters."""
    how = study.estimator
    if not how.adjust_for:
        return "allows for nothing else"
    names = names_in(study)
    facts = "; ".join(in_a_sentence(names.get(name, name.replace("_", " "))) for name in how.adjust_for)
    enters = "with one bend" if how.bends == "each_number" else "without a bend"
    lacking = {rule.covariate for rule in study.missing.covariates}.isdisjoint(how.adjust_for)
    also = "" if lacking else ", and that one was not recorded enters as a fact of its own"
    return f"also allows for {facts} (each number as a line {enters}{also})"


def in_a_sentence(label: str) -> str:
    """A label as it stands inside a sentence; one that begins with an abbreviation keeps it.

    >>> in_a_sentence("Threat severity"), in_a_sentence("PHQ-9")
    ('threat severity', 'PHQ-9')
    """
    return label if label[1:2].isupper() else f"{label[:1].lower()}{label[1:]}"


def decided_section(dossier: Dossier) -> Section:
    """The section near the end of the pages: a table for each heading, and what is told elsewhere or not at all."""
    groups = groups_of(dossier)
    opening = (
        "All of this was settled before any outcome was opened; to change one line of it makes another design, which "
        f"needs another approval. “{RULES}” and whatever is not listed belong to its version, which is named at the "
        "end. "
        f"“Treated” is {groups.treated}, “comparison” is {groups.comparison}. “As Rapport "
        "comes” marks what Rapport does where a study's file says nothing, or says the same: that is a decision too."
    )
    tables = (decided_table(group) for group in dossier.decided)
    return Section(anchor="decided", title=TITLE, blocks=(Paragraph(text=opening), *tables, _rest()))


def decided_table(group: DecidedGroup) -> Table:
    """Every decision under one heading."""
    return Table(
        caption=group.title,
        columns=(Column(title="What"), Column(title="As decided", width=1.3)),
        rows=tuple((line.name, f"{line.value}{AS_IT_COMES if line.usual else ''}") for line in group.lines),
    )


def _rest() -> Table:
    """What of a study's files is not told above, and where it is, or why not."""
    places = {where: [key for key, place in ELSEWHERE.items() if place == where] for where in ELSEWHERE.values()}
    return Table(
        caption="What is told elsewhere on these pages, or not at all",
        columns=(Column(title="Where, or why not"), Column(title="Key of the file", width=1.3)),
        rows=(
            *((f"In full: {where}", "; ".join(map(_key_in_words, keys))) for where, keys in places.items()),
            *((f"Not told: {why}", _key_in_words(key)) for key, why in NOT_TOLD.items() if key != FLAT_PATH),
        ),
    )


def _key_in_words(key: str) -> str:
    return key.replace(".*", "").replace(".", ": ").replace("_", " ")
