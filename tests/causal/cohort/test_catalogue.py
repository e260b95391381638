"""The catalogue of covariates: each entry says what it is, from which tables, and over which days."""

from __future__ import annotations

import re

import pytest

from causal.cohort.catalogue import DESCRIBED, CovariateDefinition
from causal.tables import TABLES


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
