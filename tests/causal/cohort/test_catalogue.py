"""The catalogue of covariates: each entry says what it is, from which tables, and over which days."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from ascii_tables import study

from causal.cohort.catalogue import EXACT_KEYS, CovariateDefinition, catalogue_of, code_lists_of
from causal.cohort.needs import KEYS, RULES, tables_needed
from causal.protocol import OccasionStudy
from causal.protocol.target_trial import EligibilityRule
from causal.tables import CLINICIANS, JURISDICTION_REGIME, PATIENTS, TABLES, THREAT_ASSESSMENTS

CATALOGUE = catalogue_of(study())
COVARIATES, DESCRIBED = CATALOGUE.covariates, CATALOGUE.described


@pytest.mark.parametrize("one", DESCRIBED.values(), ids=lambda one: one.name)
def test_each_covariate_says_what_it_is(one: CovariateDefinition) -> None:
    """A label, a meaning and a unit in words, tables that exist, and the days it says it looks back."""
    assert all(words and words == words.strip() for words in (one.label, one.meaning, one.unit))
    assert one.tables
    assert set(one.tables) <= set(TABLES)
    said = {int(days) for days in re.findall(r"\b(\d+)(?=d\b| days)", f"{one.name.replace('_', ' ')} {one.meaning}")}
    assert said <= {one.window_days}


def test_no_two_labels_are_alike() -> None:
    """A page that names two covariates names them apart."""
    labels = [one.label for one in DESCRIBED.values()]
    assert len(set(labels)) == len(labels)


SAID_OF = {
    "measures": {"alliance_lag1", "alliance_lag2", "alliance_lag3", "phq9"},
    "threat_assessments": {
        *("severity", "target_identified", "means_access", "history_violence", "prior_assessments", "calendar_years"),
    },
    "episodes": {"tenure_months"},
    "encounters": {"visits_90d", "missed_180d"},
    "diagnoses": {"sud", "psychosis"},
    "hospitalizations": {"hospitalised_365d"},
    "patients": {"age", "male"},
    "jurisdiction_regime": {"regime_mandatory", "regime_permissive", "regime_none"},
}


@pytest.mark.parametrize("table", SAID_OF)
def test_each_covariate_is_taken_from_its_table(table: str) -> None:
    """What a board asks of an absent table: which facts it would have told."""
    assert {name for name, one in DESCRIBED.items() if one.tables == (table,)} == SAID_OF[table]


def test_units_are_those_in_which_values_are_read() -> None:
    """Yes or no where there are two values, else points, months, contacts, assessments or years."""
    for name, one in DESCRIBED.items():
        assert one.binary is (one.unit == "yes or no"), name
        assert one.unit in {"yes or no", "points", "months", "contacts", "assessments", "years"}, name
        assert one.label[0].isupper(), name
    assert {name for name, one in COVARIATES.items() if one.unit == "points"} == SAID_OF["measures"] | {"severity"}
    assert {COVARIATES[name].unit for name in ("age", "calendar_years")} == {"years"}
    assert {one.name for one in DESCRIBED.values() if one.can_be_missing} == SAID_OF["measures"]


def test_windows_are_those_of_their_names() -> None:
    """How many days back each count or score looks; all others look at the whole record."""
    windows = {name: one.window_days for name, one in DESCRIBED.items() if one.window_days is not None}
    assert windows == {
        "alliance_lag1": 30,
        "alliance_lag2": 60,
        "alliance_lag3": 90,
        "phq9": 180,
        "visits_90d": 90,
        "missed_180d": 180,
        "hospitalised_365d": 365,
    }


def test_code_lists_are_whole_blocks_with_their_source() -> None:
    """Substance use is F10 to F19 and psychosis F20 to F29, each read from its file, with its source."""
    assert code_lists_of(study()) == {"substance_use": ("sud",), "psychosis": ("psychosis",)}
    lists = study().codelists
    assert {name: list(one.codes) for name, one in lists.items()} == {
        "substance_use": [f"F{n}" for n in range(10, 20)],
        "psychosis": [f"F{n}" for n in range(20, 30)],
    }
    for name, (fact,) in code_lists_of(study()).items():
        block = f"{lists[name].codes[0]}-{lists[name].codes[-1]}"
        assert f"block {block};" in lists[name].source
        assert block in COVARIATES[fact].meaning


def test_lags_and_levels_name_covariates() -> None:
    """Lags from the nearest on; the last level of a category is described and is no covariate."""
    assert set(study().prior_ratings) <= set(COVARIATES)
    (regime,) = CATALOGUE.categories
    assert set(regime.levels) == {"regime_mandatory", "regime_permissive"} <= set(COVARIATES)
    assert regime.last.name in set(DESCRIBED) - set(COVARIATES)


def test_every_rule_and_key_knows_the_table_it_reads() -> None:
    """Nothing a study can declare is asked of a table that was forgotten, or that there is not."""
    rules = {get_args(one.model_fields["rule"].annotation)[0] for one in get_args(get_args(EligibilityRule)[0])}
    assert set(RULES) == rules - {"holds"}  # which asks what its definition is taken from
    assert set(KEYS) == set(EXACT_KEYS)
    assert {*RULES.values(), *KEYS.values()} <= set(TABLES)
    assert {key for key, table in KEYS.items() if table == CLINICIANS.name} == {"clinic_id", "clinician_id"}
    assert {rule for rule, table in RULES.items() if table == PATIENTS.name} == {"minimum_age", "alive"}


def declaring(**words: object) -> OccasionStudy:
    """The flagship study with three facts, and other words of its trial."""
    few = study().confounders.model_copy(update={"tier1": ("age", "phq9"), "tier2": ("sud",)})
    trial = study().target_trial.model_copy(update=words)
    return study().model_copy(update={"confounders": few, "target_trial": trial})


def test_what_needs_each_table_is_said_in_the_file_s_words() -> None:
    """Facts first, then rules, keys, strategies and outcome; a table that nothing asks is not needed."""
    exact = study().target_trial.assignment.model_copy(update={"exact": ("regime", "custody")})
    found = tables_needed(declaring(eligibility=study().target_trial.eligibility[1:4], assignment=exact))
    assert found == {
        PATIENTS.name: ("age", "alive", "minimum_age"),
        "measures": ("phq9", "the outcome"),
        "diagnoses": ("sud",),
        "protective_actions": ("exposure_clear", "the strategies"),
        JURISDICTION_REGIME.name: ("regime",),
        "episodes": ("the outcome",),
    }
    whole = tables_needed(declaring())
    assert whole["hospitalizations"] == ("not_inpatient",)
    assert whole["encounters"] == ("prior_contacts",)
    assert whole[THREAT_ASSESSMENTS.name] == ("followed_up", "instrument_ver")
