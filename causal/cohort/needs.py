"""Which tables of an extract a study cannot do without, and what in it needs each of them."""

from __future__ import annotations

from causal.cohort.catalogue import catalogue_of, facts_of
from causal.protocol import OccasionStudy
from causal.protocol.target_trial import Holds
from causal.tables import (
    CLINICIANS,
    ENCOUNTERS,
    EPISODES,
    HOSPITALIZATIONS,
    JURISDICTION_REGIME,
    MEASURES,
    PATIENTS,
    PROTECTIVE_ACTIONS,
    THREAT_ASSESSMENTS,
)

RULES: dict[str, str] = {
    "minimum_age": PATIENTS.name,
    "alive": PATIENTS.name,
    "prior_contacts": ENCOUNTERS.name,
    "prior_rating": MEASURES.name,
    "in_relationship": EPISODES.name,
    "no_prior_exposure": PROTECTIVE_ACTIONS.name,
    "exposure_clear": PROTECTIVE_ACTIONS.name,
    "not_inpatient": HOSPITALIZATIONS.name,
    "regime_known": JURISDICTION_REGIME.name,
    "followed_up": THREAT_ASSESSMENTS.name,
}
"""The table each eligibility rule reads."""
KEYS: dict[str, str] = {
    "regime": JURISDICTION_REGIME.name,
    "same_day_hold": PROTECTIVE_ACTIONS.name,
    "instrument_ver": THREAT_ASSESSMENTS.name,
    "clinic_id": CLINICIANS.name,
    "clinician_id": CLINICIANS.name,
}
"""The table each exact key reads."""


def tables_needed(study: OccasionStudy) -> dict[str, tuple[str, ...]]:
    """What needs each table, in the study file's words: covariates, eligibility rules, exact keys, strategies, outcome.

    A table that holds no row answers every question with "no": nobody has a diagnosis, nobody was ever an inpatient.
    """
    trial, known = study.target_trial, catalogue_of(study)
    named = (*study.confounders.tier1, *study.confounders.tier2)
    columns = [(name, column) for name in named for column in known.columns.get(name, ())]
    asked = [(table, name) for name, column in columns for table in known.covariates[column].tables]
    asked += [(RULES[rule.rule], rule.rule) for rule in trial.eligibility if rule.rule in RULES]
    facts = facts_of(study)
    held = [rule.of for rule in trial.eligibility if isinstance(rule, Holds)]
    asked += [(table, name) for name in held for table in facts[name].tables]
    asked += [(KEYS[key], key) for key in trial.assignment.exact if key in KEYS]
    own = [key for key in trial.assignment.exact if key in facts and key not in KEYS]
    asked += [(table, key) for key in own for table in facts[key].tables]
    asked += [
        (PROTECTIVE_ACTIONS.name, "the strategies"),
        (MEASURES.name, "the outcome"),
        (EPISODES.name, "the outcome"),
    ]
    needed: dict[str, dict[str, None]] = {}
    for table, what in asked:
        needed.setdefault(table, {})[what] = None
    return {table: tuple(what) for table, what in needed.items()}
