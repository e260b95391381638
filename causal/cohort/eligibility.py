"""Who is in, rule by rule: each rule is one boolean per occasion and one sentence for the flow diagram."""

from __future__ import annotations

import functools
import operator

import ibis
import ibis.expr.types as ir

from causal.cohort.history import AGE, CONTACTS, INPATIENT, RATINGS, holding
from causal.protocol.target_trial import (
    Alive,
    EligibilityRule,
    ExposureClear,
    FollowedUp,
    Holds,
    InRelationship,
    MinimumAge,
    NoPriorExposure,
    NotInpatient,
    PriorContacts,
    PriorRating,
    RegimeKnown,
)
from causal.protocol.words import NEUTRAL, Words

ON_RECORD = "Person, clinician and clinic on record"


def holds(rule: EligibilityRule, occasions: ir.Table) -> ir.BooleanValue:
    """Whether `rule` holds, one value per row of `history`'s table; never null."""
    match rule:
        case MinimumAge():
            return (occasions[AGE] >= rule.years).fill_null(False)
        case PriorContacts():
            return occasions[CONTACTS] >= rule.at_least
        case PriorRating():
            return occasions[RATINGS] >= rule.at_least
        case InRelationship():
            return occasions.in_relationship
        case NoPriorExposure():
            return ~occasions.prior_exposure
        case NotInpatient():
            return ~occasions[INPATIENT].cast("boolean")
        case RegimeKnown():
            return occasions.regime.notnull()
        case Alive():
            return ~occasions.died_before
        case ExposureClear():
            return ~occasions.exposure_unclear
        case FollowedUp():
            return occasions.days_on_record >= rule.days
        case Holds():
            return (occasions[holding(rule.of)] == 1).fill_null(False)


def sentence(rule: EligibilityRule, words: Words = NEUTRAL) -> str:
    """The rule in the study's words, as the flow diagram prints it.

    >>> sentence(MinimumAge(rule="minimum_age", years=18))
    'Aged 18 or over'
    >>> sentence(NoPriorExposure(rule="no_prior_exposure"))
    'No earlier treatment of this person'
    """
    match rule:
        case MinimumAge():
            return f"Aged {rule.years} or over"
        case PriorContacts():
            return f"{rule.at_least} or more completed visits with this clinician in the {rule.within_days} days before"
        case PriorRating():
            return f"{rule.at_least} or more {words.ratings} of this clinician in the {rule.within_days} days before"
        case InRelationship():
            return f"In treatment with {words.clinician}"
        case NoPriorExposure():
            return f"No {words.earlier_event}"
        case NotInpatient():
            return "Not in hospital when the day began"
        case RegimeKnown():
            return "Exactly one legal regime on record for the place and date"
        case ExposureClear():
            return f"Clear from the records whether {words.event} followed this {words.unit}"
        case Alive():
            return f"No death recorded before the {words.unit}"
        case Holds():
            return rule.says
        case FollowedUp():
            return f"At least {rule.days} days of records after the {words.unit}"


def eligible(rules: tuple[EligibilityRule, ...], occasions: ir.Table) -> ir.BooleanValue:
    """Whether the occasion is on record and every rule holds."""
    return functools.reduce(operator.and_, (holds(rule, occasions) for rule in rules), occasions.on_record)


def attrition(rules: tuple[EligibilityRule, ...], occasions: ir.Table) -> ir.Table:
    """One row of counts: persons_k, occasions_k, treated_k for step k of `steps`."""
    counts: dict[str, ir.Scalar] = {}
    inside: ir.BooleanValue = ibis.literal(True)
    for k, stays in enumerate((ibis.literal(True), occasions.on_record, *(holds(rule, occasions) for rule in rules))):
        inside = inside & stays
        counts[f"persons_{k}"] = occasions.person_id.nunique(where=inside)
        counts[f"occasions_{k}"] = occasions.count(where=inside)
        counts[f"treated_{k}"] = occasions.count(where=inside & occasions.treated)
    return occasions.aggregate(**counts)


def steps(rules: tuple[EligibilityRule, ...], words: Words) -> tuple[str, ...]:
    """Sentences of the attrition's steps: everything delivered, what is on record, then rule by rule."""
    start = f"{words.units_in_full[:1].upper()}{words.units_in_full[1:]} in the extract"
    return (start, ON_RECORD, *(sentence(rule, words) for rule in rules))
