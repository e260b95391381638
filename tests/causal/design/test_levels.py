"""A category counts with all its levels, and neither the names nor the order of levels changes a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.design import balance, match, weight
from causal.errors import DesignError

COVARIATES = ["age", "site", "arm"]
MATCHINGS: list[dict[str, Any]] = [
    {"method": "nearest"},
    {"method": "nearest", "caliper": 0.5, "m_order": "closest"},
    {"method": "nearest", "distance": "mahalanobis"},
    {"method": "nearest", "distance": "robust_mahalanobis"},
    {"method": "nearest", "distance": "robust_mahalanobis", "mahvars": ["site"], "exact": ["arm"]},
    {"method": "nearest", "replace": True, "distance": "mahalanobis", "mahvars": ["age", "site"]},
    {"method": "nearest", "prefer": {"site": 0.5}, "antiexact": ["arm"]},
    {"method": "optimal", "distance": "robust_mahalanobis"},
    {"method": "optimal"},
    {"method": "full", "max_controls": 4, "distance": "mahalanobis"},
    {"method": "quick"},
    {"method": "fine", "fine": ["site"]},
    {"method": "cardinality", "tols": 0.1},
    {"method": "cem", "cutpoints": {"age": 3}},
    {"method": "subclass", "subclass": 4},
]
WEIGHTINGS: list[dict[str, Any]] = [
    {"method": "glm", "estimand": "ATE"},
    {"method": "glm", "estimand": "ATO"},
    {"method": "ebal", "moments": 2, "interactions": True},
    {"method": "cbps"},
]
OTHER_NAMES = {"site": {"a": "zz", "b": "m", "c": "07", "d": "NA"}, "arm": {"x": "None", "y": "nan"}}


def table_of(n: int = 120, seed: int = 5) -> pd.DataFrame:
    """Units of four sites and two arms, unevenly many, treated more often at some sites than at others."""
    rng = np.random.default_rng(seed)
    site = rng.choice(["a", "b", "c", "d"], n, p=[0.45, 0.3, 0.15, 0.1])
    age = rng.normal(40, 10, n)
    odds = pd.Series(site).map({"a": -0.4, "b": -1.4, "c": -0.9, "d": -1.1}).to_numpy() + 0.03 * (age - 40)
    return pd.DataFrame(
        {
            "treat": (rng.random(n) < 1 / (1 + np.exp(-odds))).astype(int),
            "age": age,
            "site": site,
            "arm": rng.choice(["x", "y"], n, p=[0.7, 0.3]),
        },
        index=[f"u{k:03d}" for k in range(n)],
    )


def renamed(table: pd.DataFrame) -> pd.DataFrame:
    """The table with other names for the levels, which sort in another order."""
    return table.assign(**{column: table[column].map(names) for column, names in OTHER_NAMES.items()})


def numbers(found: pd.DataFrame) -> list[list[float]]:
    """The rows of a balance table, by content."""
    return sorted(found.fillna(-1.0).to_numpy(dtype=np.float64).tolist())


def test_the_first_level_is_seen() -> None:
    """By hand: .6 of the treated and .2 of the others at one site differ by (.6 - .2) / sqrt(.6 .4), whatever its name.

    R's MatchIt shows the same 0.816 for such a first level.
    """
    for name in ("A", "zzz"):
        site = [name] * 12 + [f"m{k}" for k in range(8)] + [name] * 8 + [f"m{k % 8}" for k in range(32)]
        table = pd.DataFrame({"treat": [1] * 20 + [0] * 40, "site": site})
        found = balance(table, "treat", ["site"])
        assert len(found) == 9
        assert found.loc[f"site: {name}", "smd_before"] == pytest.approx(0.4 / np.sqrt(0.24))
        assert found["smd_before"].abs().max() == found.loc[f"site: {name}", "smd_before"]


def test_a_tolerance_holds_for_every_level() -> None:
    """Cardinality matching keeps no sample in which a level, first or last, is past the tolerance."""
    found = match(table_of(), "treat", COVARIATES, method="cardinality", tols=0.05)
    assert len(found.balance) == 7
    assert found.balance["smd_after"].abs().max() <= 0.05 + 1e-9


@pytest.mark.parametrize("words", MATCHINGS, ids=lambda w: "-".join(map(str, w.values())))
def test_names_of_levels_change_no_match(words: dict[str, Any]) -> None:
    """Every method: weights, sets and every figure of the balance table are the same to the last bit."""
    table = table_of()
    found, again = (match(t, "treat", COVARIATES, **words) for t in (table, renamed(table)))
    pd.testing.assert_series_equal(found.weights, again.weights, check_exact=True)
    pd.testing.assert_frame_equal(found.sets, again.sets, check_exact=True)
    assert numbers(found.balance) == numbers(again.balance)


@pytest.mark.parametrize("words", WEIGHTINGS, ids=lambda w: "-".join(map(str, w.values())))
def test_names_of_levels_change_no_weight(words: dict[str, Any]) -> None:
    """The same for every weighting."""
    table = table_of()
    found, again = (weight(t, "treat", COVARIATES, **words) for t in (table, renamed(table)))
    pd.testing.assert_series_equal(found.weights, again.weights, check_exact=True)
    assert numbers(found.balance) == numbers(again.balance)


def test_a_level_alone_in_an_arm_is_named_by_its_column() -> None:
    """Also where it is the first, and the most frequent, of its category: separation, and no level told."""
    table = table_of().assign(site=lambda t: np.where(t["treat"] == 1, "a", np.where(t["age"] > 40, "b", "c")))
    for levels in (table, table.assign(site=table["site"].map({"a": "z", "b": "b", "c": "c"}))):
        with pytest.raises(DesignError, match=r"design\.separation.*'?site"):
            match(levels, "treat", ["age", "site"])
