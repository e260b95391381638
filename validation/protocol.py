"""Judge the protocol before any data are read: whether it makes sense, and whether this version can carry it out.

Every sentence is for the person who wrote the study file, and for the board that reads its report.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from causal.cohort.catalogue import EXACT_KEYS, facts_of, indicators_of, scores_of, typed_definitions
from causal.cohort.language.types import Category, Flag
from causal.protocol import AnyStudy, CohortStudy, FlatTableStudy, Instrument, LongTableStudy, MetaStudy, OccasionStudy
from causal.protocol.cohort import ActorAvailable
from causal.protocol.definitions import OUTCOME
from causal.protocol.outcome import Rating
from causal.protocol.target_trial import Holds
from causal.protocol.words import SEVERAL
from causal.tables import ACTIONS
from validation.diagram import judge_diagram
from validation.estimable import DESCRIBED_VERSIONS, judge_estimable, judge_planned
from validation.flat_table import judge_flat_table
from validation.long_table import judge_long_table
from validation.method import estimand_of, judge_method
from validation.rated_outcome import (
    composite_value_verdicts,
    followed_up_verdict,
    instrument_verdicts,
    outcome_window_verdict,
    primary_day_verdict,
)
from validation.secondary import judge_secondary
from validation.verdict import Verdict
from validation.words import did_you_mean, holds, listed

FREE_TEXT = ("note_text", "session_note")
CLAIMS = re.compile(
    r"\b(safe|safely|harmless)\b|\b(no|zero|without an?) (\w+ )?(effect|harm)\b|\b(does|did|do) not (harm|hurt)\b",
    re.IGNORECASE,
)
"""Wording that a study which finds nothing would be quoted for."""
MAY_NAME_A_CLAIM = re.compile(r"^(whether|that|if)\b", re.IGNORECASE)


def judge_protocol(study: AnyStudy, instruments: Mapping[str, Instrument]) -> tuple[Verdict, ...]:
    """All verdicts on `study`, in the order of its file.

    Parameters
    ----------
    study
        A study of any kind.
    instruments
        The scoring keys that exist, by id.
    """
    match study:
        case OccasionStudy():
            lints = tuple(_occasions(study, instruments))
        case CohortStudy():
            lints = tuple(_cohort(study, instruments))
        case FlatTableStudy():
            lints = tuple(judge_flat_table(study))
        case LongTableStudy():
            lints = tuple(judge_long_table(study))
        case MetaStudy():
            lints = (_claims(study), _forbidden(study.governance.forbidden_columns), _moderators(study))
    return (*lints, judge_estimable(study), *judge_planned(study))


def _occasions(study: OccasionStudy, instruments: Mapping[str, Instrument]) -> Iterator[Verdict]:
    confounders = (*study.confounders.tier1, *study.confounders.tier2)
    declared = {covariate.name for covariate in study.covariates}
    yield _eligibility([rule.rule for rule in study.target_trial.eligibility])
    yield _rules_hold(study)
    yield _actions(study)
    yield _words(study)
    yield _exact_keys(study.target_trial.assignment.exact, {*EXACT_KEYS, *study.definitions, *declared})
    if isinstance(study.outcome, Rating):
        yield outcome_window_verdict(study, study.outcome)
        yield primary_day_verdict(study.outcome, study.target_trial.follow_up.horizon_days)
        yield followed_up_verdict(study, study.outcome)
        yield from instrument_verdicts(study.outcome, instruments)
        yield from composite_value_verdicts(study, study.outcome, instruments)
    yield _scoring_keys(study, instruments)
    yield _primary_estimand([estimand.primary for estimand in study.estimands], [e.id for e in study.estimands])
    yield from judge_diagram(
        study.dag,
        covariates={*study.definitions, *declared},
        mediators=[mediator.name for mediator in study.mediators],
        used=confounders,
        indicators=indicators_of(study),
    )
    yield _covariates(study, declared)
    yield _adjust_for(study.estimator.adjust_for, confounders)
    yield _mediators(study)
    yield from _method(study, confounders, {*EXACT_KEYS, *declared})
    yield _missing(study, confounders)
    yield from judge_secondary(study)
    yield _forbidden(study.governance.forbidden_columns)
    yield _claims(study)


def _cohort(study: CohortStudy, instruments: Mapping[str, Instrument]) -> Iterator[Verdict]:
    confounders = (*study.confounders.tier1, *study.confounders.tier2)
    declared = {covariate.name for covariate in study.covariates}
    yield _eligibility([rule.rule for rule in study.target_trial.eligibility])
    yield _actors(study)
    yield _exact_keys(study.target_trial.assignment.exact, {*EXACT_KEYS, *study.definitions, *declared})
    if isinstance(study.outcome, Rating):
        yield primary_day_verdict(study.outcome, study.target_trial.follow_up.horizon_days)
        yield from instrument_verdicts(study.outcome, instruments)
    yield _common_rater(study)
    yield _margin(study)
    yield _primary_estimand([estimand.primary for estimand in study.estimands], [e.id for e in study.estimands])
    yield _alliance(study)
    yield from judge_diagram(
        study.dag,
        covariates={*study.definitions, *declared},
        mediators=[mediator.name for mediator in study.mediators],
        used=confounders,
        indicators=indicators_of(study),
    )
    yield _covariates(study, declared)
    yield _adjust_for(study.estimator.adjust_for, confounders)
    yield _mediators(study)
    yield _missing(study, confounders)
    yield _forbidden(study.governance.forbidden_columns)
    yield _claims(study)


def _eligibility(rules: Sequence[str]) -> Verdict:
    may_repeat = {"holds", "diagnosis", "prior_measure", "prior_fills", "actor_available"}
    twice = sorted({rule for rule in rules if rules.count(rule) > 1} - may_repeat)
    return holds(
        "protocol.eligibility",
        f"an eligibility rule stands twice, and only one of them could count: {listed(twice)}" if twice else "",
        "each eligibility rule stands once",
    )


def _rules_hold(study: OccasionStudy) -> Verdict:
    known = typed_definitions(study)
    named = [rule.of for rule in study.target_trial.eligibility if isinstance(rule, Holds)]
    problems = [f"no definition is called {name}{did_you_mean(name, known)}" for name in named if name not in known]
    problems += [
        f"{name} is not yes or no; set at_least, at_most or is"
        for name in named
        if name in known and not isinstance(known[name].type, Flag)
    ]
    return holds(
        "protocol.rules",
        f"an eligibility rule asks whether a definition holds: {listed(problems)}" if problems else "",
        "every definition that an eligibility rule asks for is yes or no",
    )


def _actions(study: OccasionStudy) -> Verdict:
    unknown = [name for name in study.target_trial.strategies.treated.actions if name not in ACTIONS]
    names = listed(f"{name}{did_you_mean(name, ACTIONS)}" for name in unknown)
    return holds(
        "protocol.actions",
        f"the treated strategy names actions that the records do not know: {names}" if unknown else "",
        "every action of the treated strategy is one the records know",
    )


def _words(study: OccasionStudy) -> Verdict:
    """A word for an action or a version that the study does not have is a slip, or left from another study."""
    actions = {*study.target_trial.strategies.treated.actions, SEVERAL}
    slips = [
        f"{name}{did_you_mean(name, known)}"
        for said, known in ((study.words.actions, actions), (study.words.versions, DESCRIBED_VERSIONS))
        for name in said
        if name not in known
    ]
    return holds(
        "protocol.words",
        f"words are given for actions or versions the study does not have: {listed(slips)}" if slips else "",
        "the study's words are for actions and versions that it has",
    )


def _exact_keys(keys: Sequence[str], known: Collection[str]) -> Verdict:
    unknown = [key for key in keys if key not in known]
    names = listed(f"{key}{did_you_mean(key, known)}" for key in unknown)
    return holds(
        "protocol.exact_keys",
        f"compared occasions are to agree on keys that do not exist: {names}" if unknown else "",
        "every key on which compared occasions agree exists",
    )


def _scoring_keys(study: OccasionStudy, instruments: Mapping[str, Instrument]) -> Verdict:
    """Whether every questionnaire that a fact is a score of has a key, and the key the subscale that is meant."""
    problems = []
    for scored in scores_of(study):
        if scored.instrument == OUTCOME:  # the outcome is no rating, which `judge_estimable` says
            continue
        if scored.instrument not in instruments:
            problems.append(f"{scored.instrument} has no scoring key{did_you_mean(scored.instrument, instruments)}")
        elif scored.subscale and scored.subscale not in instruments[scored.instrument].subscales:
            near = did_you_mean(scored.subscale, instruments[scored.instrument].subscales)
            problems.append(f"{scored.instrument} has no subscale {scored.subscale}{near}")
        elif not scored.subscale and instruments[scored.instrument].total == "none":
            problems.append(f"{scored.instrument} has no total; name one of its subscales")
    return holds(
        "protocol.symptom_keys",
        f"a fact is the score of a questionnaire, and cannot be scored: {listed(dict.fromkeys(problems))}"
        if problems
        else "",
        "every questionnaire among the facts has a scoring key",
    )


def _primary_estimand(primary: Sequence[bool], ids: Sequence[str]) -> Verdict:
    if len(set(ids)) < len(ids):
        problem = f"two estimands have the same id: {listed(ids)}"
    elif sum(primary) != 1:
        problem = f"exactly one estimand must be primary; {sum(primary)} are"
    else:
        problem = ""
    return holds("protocol.primary_estimand", problem, "exactly one estimand is primary")


def _covariates(study: OccasionStudy | CohortStudy, declared: Collection[str]) -> Verdict:
    tier1 = study.confounders.tier1
    confounders = (*tier1, *study.confounders.tier2)
    known = {*study.definitions, *declared}
    unknown = [name for name in confounders if name not in known]
    twice = sorted({name for name in confounders if confounders.count(name) > 1})
    problems = []
    if unknown:
        names = listed(f"{name}{did_you_mean(name, known)}" for name in unknown)
        problems.append(f"confounders that no table and no definition holds: {names}")
    if twice:
        problems.append(f"confounders named twice: {listed(twice)}")
    if shadowed := sorted(set(declared) & set(study.definitions)):
        problems.append(
            f"declared anew under covariates, where the definition's own meaning would be used in silence: "
            f"{listed(shadowed)}"
        )
    problems += [
        f"{part} alone says only part of the {whole}; name every indicator of it or none"
        for whole, part in _in_part(study, confounders)
    ]
    return holds(
        "protocol.covariates",
        "; ".join(problems),
        f"all {len(confounders)} confounders are defined, {len(tier1)} of them to be balanced strictly",
    )


def _in_part(study: OccasionStudy | CohortStudy, confounders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """A category of which some of the indicators that a study could name are confounders, with one of those."""
    known = typed_definitions(study)
    for name, one in known.items():
        if isinstance(one.type, Category) and name not in confounders:
            named = [other.name for other in known.values() if other.needs == (name,) and other.name in confounders]
            if named and len(named) < len(one.type.values) - 1:
                yield (one.definition.label or name.replace("_", " ")).lower(), named[0]


def _adjust_for(adjust_for: Sequence[str], confounders: Sequence[str]) -> Verdict:
    beyond = [name for name in adjust_for if name not in confounders]
    names = listed(f"{name}{did_you_mean(name, confounders)}" for name in beyond)
    return holds(
        "protocol.adjust_for",
        f"the outcome regression adjusts for what is not among the confounders: {names}" if beyond else "",
        "the outcome regression adjusts for confounders only",
    )


def _mediators(study: OccasionStudy | CohortStudy) -> Verdict:
    used = {*study.confounders.tier1, *study.confounders.tier2, *study.estimator.adjust_for}
    adjusted = [mediator.name for mediator in study.mediators if mediator.name in used]
    backwards = [mediator.name for mediator in study.mediators if mediator.to_day < mediator.from_day]
    problems = []
    if adjusted:
        problems.append(
            f"{listed(adjusted)} is declared to lie between the exposure and the outcome, and is adjusted for all the "
            "same; that would hide part of the effect"
        )
    if backwards:
        problems.append(f"the window of {listed(backwards)} ends before it begins")
    return holds("protocol.mediators", "; ".join(problems), "nothing declared to lie on the path is adjusted for")


def _method(study: OccasionStudy, confounders: Sequence[str], keys: Collection[str]) -> Iterator[Verdict]:
    method = study.matching or study.weighting
    if method is None or (study.matching and study.weighting):
        sentence = "a study declares matching or weighting, one of the two; this one declares "
        yield holds("protocol.method", sentence + ("neither" if method is None else "both"), "")
        return
    exact = study.target_trial.assignment.exact
    yield from judge_method(method, study.propensity, covariates=confounders, keys=keys, exact=exact)
    if study.weighting:
        yield holds(
            "protocol.calendar",
            "weights know no calendar window: name calendar_years among the confounders"
            if "calendar_years" not in confounders
            else "",
            "calendar time is among the facts that are balanced",
        )
    declared, made = study.target_trial.contrast.estimand, estimand_of(method)
    yield holds(
        "protocol.estimand_of_method",
        f"the contrast asks for {declared} and the method gives {made}" if declared != made else "",
        "the method gives the contrast that is asked for",
    )


def _missing(study: OccasionStudy | CohortStudy, confounders: Sequence[str]) -> Verdict:
    gaps = {name for name, fact in facts_of(study).items() if fact.can_be_missing}
    gaps |= {covariate.name for covariate in study.covariates if covariate.can_be_missing}
    rules = [rule.covariate for rule in study.missing.covariates]
    lags = [rule.covariate for rule in study.missing.covariates if rule.fill == "nearest_lag"]
    problems = []
    if without := [name for name in confounders if name in gaps and name not in rules]:
        problems.append(f"nobody may have recorded {listed(without)}, and nothing says what stands in for it")
    known = typed_definitions(study)
    if whole := [name for name in rules if name in known and isinstance(known[name].type, Category)]:
        problems.append(f"that {listed(whole)} was not recorded is a value of the category itself; leave its rule out")
    if twice := sorted({name for name in rules if rules.count(name) > 1}):
        problems.append(f"two rules say what stands in for {listed(twice)}")
    if unused := [name for name in rules if name not in confounders]:
        near = listed(f"{name}{did_you_mean(name, confounders)}" for name in unused)
        problems.append(f"a rule for what is missing names no confounder: {near}")
    if wrong := [name for name in lags if name not in study.prior_ratings]:
        problems.append(f"{listed(wrong)} has no other lag that could stand in for it; use the median")
    return holds(
        "protocol.missing_covariates",
        "; ".join(problems),
        "a rule says what stands in for each confounder nobody recorded",
    )


def _forbidden(columns: Sequence[str]) -> Verdict:
    absent = [name for name in FREE_TEXT if name not in columns]
    return holds(
        "protocol.free_text",
        f"notes must be kept out of the extract: add {listed(absent)} to the forbidden columns" if absent else "",
        "columns of notes are refused in the extract",
    )


def _claims(study: OccasionStudy | CohortStudy | MetaStudy) -> Verdict:
    said = [study.study.title, *study.report.limitations]
    if not isinstance(study, MetaStudy):
        said += [estimand.label for estimand in study.estimands]
        said += [row.emulated for row in study.target_trial.emulation]
    said += [text for text in study.report.cannot_say if not MAY_NAME_A_CLAIM.match(text)]
    found = [match[0] for text in said if (match := CLAIMS.search(text))]
    return holds(
        "protocol.claims",
        f"wording that promises more than a study can show: {listed(map(repr, found))}; to say that the study cannot "
        "show it, begin the sentence with Whether"
        if found
        else "",
        "no sentence of the report promises safety or the absence of an effect",
    )


def _moderators(study: MetaStudy) -> Verdict:
    absent = [m.name for m in study.meta.moderators if m.type == "categorical" and m.reference is None]
    return holds(
        "protocol.moderators",
        f"a categorical moderator needs a reference level: {listed(absent)}" if absent else "",
        "every categorical moderator has a reference level",
    )


def _actors(study: CohortStudy) -> Verdict:
    named = {name for measure in study.directed_measures for name in (measure.rater, measure.target)}
    named |= {rule.actor for rule in study.target_trial.eligibility if isinstance(rule, ActorAvailable)}
    unknown = sorted(named - set(study.actors))
    names = listed(f"{name}{did_you_mean(name, study.actors)}" for name in unknown)
    return holds(
        "protocol.actors",
        f"somebody is named who is not among the actors: {names}" if unknown else "",
        "everybody named is among the actors",
    )


def _common_rater(study: CohortStudy) -> Verdict:
    rater = getattr(study.exposure, "rater", None)
    same = isinstance(study.outcome, Rating) and rater == study.outcome.rater
    return holds(
        "protocol.common_rater",
        f"the {rater} rates both the exposure and the outcome, so mood alone can link them; plan the sensitivity "
        "analysis common_rater"
        if same and "common_rater" not in study.sensitivity.planned
        else "",
        "nobody rates both the exposure and the outcome, or the plan takes account of it",
    )


def _margin(study: CohortStudy) -> Verdict:
    needs = study.claim == "non_inferiority" or study.estimator.primary.family == "non_inferiority"
    return holds(
        "protocol.margin",
        "a claim that something is not much worse needs the margin, set beforehand"
        if needs and study.non_inferiority_margin is None
        else "",
        "a margin is set where one is needed",
    )


def _alliance(study: CohortStudy) -> Verdict:
    empty = {"mediator": not study.mediators, "effect_modifier": not study.effect_modifiers}
    role = study.alliance.role
    return holds(
        "protocol.alliance",
        f"the alliance is called a {role.replace('_', ' ')}, and the study names none" if empty.get(role) else "",
        f"the study says what part the alliance plays: {role.replace('_', ' ')}",
    )
