"""What is known of each occasion before its time zero: the study's definitions, and what its eligibility rules count.

Rows that carry a timestamp count when it is before time zero; rows that carry only a date (midnight is one, see
`causal.cohort.clock`) count when it is before the day of time zero. Counts and latest values are exact integer
arithmetic or one recorded value, so they do not depend on the order in which rows are read.
"""

from __future__ import annotations

from typing import Any

import ibis
import ibis.expr.types as ir

from causal.cohort.catalogue import NOT_RECORDED, level_columns, used_names
from causal.cohort.language.compile import with_definitions
from causal.cohort.language.rows import named
from causal.cohort.language.types import OTHER, Category, Typed, typed, with_needs
from causal.measures.scoring import score_expression, subscale_expression
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.definitions import OUTCOME, Definition, Score
from causal.protocol.outcome import Rating
from causal.protocol.target_trial import EligibilityRule, Holds, MinimumAge, NotInpatient, PriorContacts, PriorRating

SUBSCALE = "subscale_"
AGE, CONTACTS, RATINGS, INPATIENT = "rule_age", "rule_contacts", "rule_ratings", "rule_inpatient"
RULES = (AGE, CONTACTS, RATINGS, INPATIENT)
"""Columns that eligibility rules are judged by; no definition of a study can be called so."""
HOLDS = "holds_"
"""Before the name of a definition that a rule asks to be yes."""
INNER = ("birth_year", "sex", "day_zero", "episode_start", "zone", "zero_first", "zero_last")
"""Columns of occasions that nothing needs after this."""


def holding(definition: str) -> str:
    """The column by which a rule judges whether a definition is yes."""
    return f"{HOLDS}{definition}"


def scored_ratings(
    measures: ir.Table, people: ir.Table, instrument: Instrument, rater: str, subscales: tuple[str, ...] = ()
) -> ir.Table:
    """Usable ratings of one instrument by one rater, for `people`: person_id, clinician_id, admin_ts, score.

    A rating is usable when the instrument's item-count rule gives it a score. For each of `subscales` there is a column
    ``subscale_<name>`` too.
    """
    chosen = measures.filter(
        (measures.instrument == instrument.id) & (measures.version == instrument.version) & (measures.rater == rater)
    ).semi_join(people, "person_id")
    parts = {f"{SUBSCALE}{name}": subscale_expression(chosen, instrument, name) for name in subscales}
    scored = chosen.select("person_id", "clinician_id", "admin_ts", score=score_expression(chosen, instrument), **parts)
    return scored.filter(scored.score.notnull())


def rule_definitions(rules: tuple[EligibilityRule, ...]) -> dict[str, Definition]:
    """What the eligibility rules of a study ask of the records, said in the language of definitions."""
    found: dict[str, Definition] = {}
    for rule in rules:
        match rule:
            case MinimumAge():
                found[AGE] = Definition(take="value", of="person.age")
            case PriorContacts():
                found[CONTACTS] = Definition(
                    take="count",
                    of="encounters",
                    same=("person", "clinician"),
                    where={"status": "completed"},
                    before=f"{rule.within_days} days",
                )
            case PriorRating():
                found[RATINGS] = Definition(
                    take="count",
                    of=Score(score=OUTCOME),
                    same=("person", "clinician"),
                    before=f"{rule.within_days} days",
                )
            case NotInpatient():
                found[INPATIENT] = Definition(take="exists", of="hospitalizations", at="time_zero")
    return found


def history(
    occasions: ir.Table,
    tables: dict[str, ir.Table],
    study: OccasionStudy,
    instruments: dict[str, Instrument],
) -> ir.Table:
    """`occasions` with the study's facts and what its eligibility rules ask for; one row per occasion.

    What nobody recorded is null, and zero where the absence of a row is the value (no diagnosis, no stay, no contact).
    Of a category there is an indicator for every level but the last.
    """
    assert isinstance(study.outcome, Rating)
    definitions = typed({**study.definitions, **rule_definitions(study.target_trial.eligibility)}, study.outcome)
    held = [rule.of for rule in study.target_trial.eligibility if isinstance(rule, Holds)]
    asked = dict.fromkeys((*used_names(study), *RULES, *held))
    wanted = {name: definitions[name] for name in with_needs(asked, definitions)}
    found = with_definitions(occasions, tables, wanted, instruments, study.codelists)
    facts: dict[str, Any] = {name: found[named(name)] for name in wanted if name in RULES}
    facts |= {holding(name): found[named(name)] for name in held}
    for name in used_names(study):
        facts |= _columns(definitions[name], found[named(name)])
    own = {name: found[name] for name in occasions.columns if name not in (*INNER, *facts)}
    return found.select(**own, **facts)


def _columns(one: Typed, value: Any) -> dict[str, Any]:
    """What a cohort holds of a definition: its value, or of a category an indicator for every level but the last."""
    if not isinstance(one.type, Category):
        return {one.name: value}
    told = value if one.type.values else ibis.ifelse(value.notnull() & value.notin(one.definition.levels), OTHER, value)
    told = told.fill_null(NOT_RECORDED)
    return {column: (told == level).cast("int8") for column, level in level_columns(one).items()}
