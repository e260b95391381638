"""What a propensity model refuses to be."""

from __future__ import annotations

from typing import Any

import pytest

from causal.design.propensity.model import PropensityModel
from causal.errors import DesignError


@pytest.mark.parametrize(
    "wrong",
    [
        {"knots": 2},
        {"knots": 8},
        {"cross_fit": 1},
        {"l1_ratio": 1.1},
        {"l1_ratio": float("nan")},
        {"penalty": 0.0},
        {"penalty": float("inf")},
        {"trees": 0},
        {"leaves": 1},
        {"learning_rate": 0.0},
        {"mundlak": True, "cluster_effects": True},
        {"cross_fit": 5, "cluster_effects": True},
        {"kind": "boosting", "splines": ("age",)},
        {"kind": "boosting", "interactions": (("age", "sex"),)},
    ],
)
def test_what_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    """Values out of range and options that exclude each other are refused when the model is written."""
    with pytest.raises(DesignError) as caught:
        PropensityModel(**wrong)
    assert caught.value.code == "design.propensity_model"


def test_which_models_add_columns() -> None:
    """Only splines, interactions, cluster means and cluster effects add columns to the covariates."""
    assert not PropensityModel(kind="elastic_net", cross_fit=5).adds_terms
    assert PropensityModel(splines=("age",)).adds_terms
    assert PropensityModel(interactions=(("age", "sex"),)).adds_terms
    assert PropensityModel(mundlak=True).adds_terms
    assert PropensityModel(cluster_effects=True).adds_terms
