"""What else a design was asked, in words: which difference is named, which share is told, what is withheld."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from worlds import PROFILE, study

from causal.cohort.catalogue import catalogue_of
from flows.report.looked_at import _held, _label, _lottery, _size, _terms, _words

FACTS = catalogue_of(study())


def terms(*rows: tuple[str, float]) -> Any:
    """What squares and products differ by, the largest first."""
    return SimpleNamespace(terms=[SimpleNamespace(name=name, smd_after=smd) for name, smd in rows])


def test_the_largest_difference_that_may_be_shown_is_named() -> None:
    """The first in order, of either sign, that rests on no withheld fact; and whether others are kept back."""
    found, opening = (
        terms(("severity squared", -0.3), ("hospitalised_365d", 0.1)),
        "The largest standardised difference",
    )
    first, second = (_words(row.name, FACTS) for row in found.terms)
    assert _terms(found, frozenset(), FACTS) == f"{opening} is about 0.3 ({first})"
    assert _terms(found, frozenset({"severity"}), FACTS) == f"{opening} shown is about 0.1 ({second})"
    assert _terms(found, frozenset({"severity", "hospitalised_365d"}), FACTS) == ""


@pytest.mark.parametrize(
    ("grouping", "unit", "said"),
    [
        ("matched set", "patient", "Not evaluated: comparisons are used with replacement, and "),
        ("matched set", "matched set", ""),
        ("stratum", "patient", ""),
        ("weight", "patient", ""),
    ],
)
def test_no_lottery_makes_sets_that_share_a_comparison(grouping: str, unit: str, said: str) -> None:
    """It is said that and why there is none; strata and weights have no sets to ask of."""
    design = SimpleNamespace(grouping=grouping, unit_of_inference=unit)
    answer = _lottery(design, SimpleNamespace(lottery=None))  # type: ignore[arg-type]
    assert answer.startswith(said)
    assert bool(answer) is bool(said)


def test_the_largest_share_is_coarse_and_all_only_where_it_is_all() -> None:
    """One cluster holds all; of two, neither is said to: of 200 a share is told in steps of two in a hundred."""
    assert _held(1.0, 1, 200, PROFILE) == "all"
    assert _held(0.5, 2, 200, PROFILE) == "about 50%"


def test_a_largest_share_of_few_or_of_all_but_few_is_told_as_a_bound() -> None:
    """1% of 200 would be 1 to 3 occasions of one clinician, and 98% of them all but 1 to 6."""
    assert _held(0.01, 90, 200, PROFILE) == "under 6%"
    assert _held(0.999, 2, 200, PROFILE) == _held(0.97, 2, 200, PROFILE) == "over 94%"


def test_squares_products_and_gaps_are_in_words() -> None:
    """A fact that was not recorded is said to be that; a square and a product name their facts."""
    severity = _label("severity", FACTS)
    assert severity == severity.lower()
    assert not severity.endswith("not recorded")
    assert _label("alliance_lag2_missing", FACTS) == f"{_label('alliance_lag2', FACTS)} not recorded"
    assert _words("severity squared", FACTS) == f"{severity}, squared"
    assert _words("severity x alliance_lag1", FACTS) == f"{severity} and {_label('alliance_lag1', FACTS)}"


@pytest.mark.parametrize(
    ("name", "in_units", "said"),
    [
        ("termination", 0.123, "12 in 100 more who end treatment"),
        ("trust", 0.456, "0.46"),
        ("trust", None, "none at all (trust)"),
    ],
)
def test_the_smallest_effect_is_told_in_the_outcome_s_units(name: str, in_units: float | None, said: str) -> None:
    """Patients in a hundred, points, or none at all."""
    assert _size(SimpleNamespace(name=name, in_units=in_units)).startswith(said)  # type: ignore[arg-type]
