"""The cohort from end to end: the flow of occasions, what leaves, what is refused."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pytest
from ascii_tables import instruments, study, world
from ibis.expr import types as ir

from causal.cohort.build import build_cohort
from causal.cohort.catalogue import EXACT_KEYS, catalogue_of
from causal.cohort.eligibility import sentence, steps
from causal.errors import DesignError
from causal.protocol import OccasionStudy
from causal.protocol.target_trial import EligibilityRule, InRelationship, MinimumAge, PriorRating
from causal.records import Cohort

THREE_PEOPLE = """
    person_id | birth_year
    ann       | 1980
    bob       | 1990
    cas       | 2010
"""
ASSESSMENTS = """
    ta_id | person_id | ts
    a1    | ann       | 2020-03-10 12:00
    a2    | ann       | 2020-09-10 12:00
    b1    | bob       | 2020-03-10 12:00
    c1    | cas       | 2020-03-10 12:00
"""
ONE_WARNING = """
    ta_id | person_id | ts
    b1    | bob       | 2020-03-10 13:00
"""
RELATIONSHIPS = """
    person_id
    ann
    bob
    cas
"""


def with_rules(*rules: EligibilityRule) -> OccasionStudy:
    """The flagship study with other eligibility rules."""
    trial = study().target_trial.model_copy(update={"eligibility": rules})
    return study().model_copy(update={"target_trial": trial})


def built(tables: dict[str, ir.Table], *rules: EligibilityRule) -> Cohort:
    """The cohort under these rules, stages kept in memory."""
    return build_cohort(
        tables,
        with_rules(*rules),
        instruments(),
        lambda _, expression: ibis.memtable(expression.to_pyarrow()),
        as_of=date(2023, 12, 31),
    )


def small_world(*, warnings: str = ONE_WARNING) -> dict[str, ir.Table]:
    """Three people, four assessments."""
    return world(
        {
            "patients": THREE_PEOPLE,
            "episodes": RELATIONSHIPS,
            "threat_assessments": ASSESSMENTS,
            "protective_actions": warnings,
        }
    )


def test_flow_and_contents() -> None:
    """Each rule's step says who is left; what is left has every column, typed, and is in canonical order."""
    adults = MinimumAge(rule="minimum_age", years=18)
    relationship = InRelationship(rule="in_relationship")
    cohort = built(small_world(), adults, relationship)
    flow = [(step.rule, step.persons, step.occasions, step.treated) for step in cohort.attrition]
    assert flow == [
        (rule, *counts)
        for rule, counts in zip(
            steps((adults, relationship), study().words), ((3, 4, 1), (3, 4, 1), (2, 3, 1), (2, 3, 1)), strict=True
        )
    ]
    occasions = cohort.occasions
    assert sorted(occasions["ta_id"]) == ["a1", "a2", "b1"]
    assert occasions["time_zero"].is_monotonic_increasing
    assert all(occasions[name].dtype == np.float64 for name in catalogue_of(study()).covariates)
    assert all(occasions[name].dtype == bool for name in ("treated", "same_day_hold", "ended_in_grace"))
    assert occasions.loc[occasions["treated"], "ta_id"].tolist() == ["b1"]
    assert occasions["alliance_lag1"].isna().all()
    assert (occasions["visits_90d"] == 0).all()


def test_nobody_is_eligible() -> None:
    """A rule that nobody meets is a refusal that says so."""
    with pytest.raises(DesignError, match=r"^\[cohort\.empty\]"):
        built(small_world(), PriorRating(rule="prior_rating", at_least=1, within_days=90))


def test_one_arm_only() -> None:
    """Without a warned occasion, or without one that was not warned, there is nothing to compare."""
    adults = MinimumAge(rule="minimum_age", years=18)
    with pytest.raises(DesignError, match=r"^\[cohort\.no_treated\]"):
        built(small_world(warnings="-"), adults)
    everyone = """
        ta_id | person_id | ts
        a1    | ann       | 2020-03-10 13:00
        a2    | ann       | 2020-09-10 13:00
        b1    | bob       | 2020-03-10 13:00
    """
    with pytest.raises(DesignError, match=r"^\[cohort\.no_comparison\]"):
        built(small_world(warnings=everyone), adults)


def test_every_rule_has_its_sentence() -> None:
    """Each rule of the flagship is said in words of its own."""
    sentences = [sentence(rule) for rule in study().target_trial.eligibility]
    assert len(set(sentences)) == len(sentences)
    assert all(sentences)


def test_catalogue() -> None:
    """Names are keys, and lags can stand in for one another."""
    known = catalogue_of(study()).covariates
    assert all(name == definition.name for name, definition in known.items())
    assert all(known[lag].can_be_missing for lag in study().prior_ratings)
    assert set(study().target_trial.assignment.exact) <= set(EXACT_KEYS)
