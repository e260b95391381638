"""Multiple imputation beside mice (R 4.2.2) on its nhanes data, and beside statsmodels' MICE.

The first test holds the estimates of one coefficient in mice's ten imputed sets (`mice(nhanes, m = 10, seed =
20240601)`, `lm(bmi ~ age + hyp + chl)`) and what its `pool` made of them. Where the file of R's
results is at hand, all coefficients are held, fitted anew in mice's imputed sets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.effect.missing.chained import impute
from causal.effect.missing.rubin import Pooled, pool
from causal.effect.missing.within import within
from tests.reference.r_results import data_or_skip, r_results_or_skip

AGE: dict[str, Any] = {
    "coef": [
        -2.80100975379021,
        -4.3390642122832,
        -3.90224164641505,
        -4.22961000581316,
        -3.56052160401851,
        -5.89372336097065,
        -3.25204362530634,
        -4.15416189725527,
        -2.71157014977692,
        -3.7710776026516,
    ],
    "se": [
        1.18525187791295,
        0.926872916858593,
        0.924995861290671,
        0.901478879933469,
        0.893162638470189,
        1.21869911765991,
        1.14538375764034,
        0.979158122472999,
        0.859296335334288,
        0.792397125055256,
    ],
    "pooled": {
        "estimate": -3.86150238582809,
        "ubar": 0.985210194740311,
        "b": 0.833110523343748,
        "t": 1.90163177041843,
        "dfcom": 21,
        "df": 7.93188014358047,
        "riv": 0.930178738070895,
        "lambda": 0.481913265193542,
        "fmi": 0.576697827044175,
        "lower": -7.04623431199369,
        "upper": -0.676770459662489,
        "p": 0.0233856581491593,
    },
}


def agrees(found: Pooled, expected: dict[str, float]) -> None:
    """Hold every number `pool` of mice gives."""
    assert found.contrast.value == pytest.approx(expected["estimate"], rel=1e-9)
    assert found.within == pytest.approx(expected["ubar"], rel=1e-9)
    assert found.between == pytest.approx(expected["b"], rel=1e-9)
    assert found.total == pytest.approx(expected["t"], rel=1e-9)
    assert found.complete_df == expected["dfcom"]
    assert found.contrast.df == pytest.approx(expected["df"], rel=1e-9)
    assert found.riv == pytest.approx(expected["riv"], rel=1e-9)
    assert found.proportion_missing == pytest.approx(expected["lambda"], rel=1e-9)
    assert found.fmi == pytest.approx(expected["fmi"], rel=1e-9)


def test_pooling_of_mice() -> None:
    """Ten coefficients of age and their errors pool to what mice says, interval and p-value included."""
    found = pool(AGE["coef"], np.square(AGE["se"]), 21, label="age")
    agrees(found, AGE["pooled"])
    assert found.contrast.lower == pytest.approx(AGE["pooled"]["lower"], rel=1e-9)
    assert found.contrast.upper == pytest.approx(AGE["pooled"]["upper"], rel=1e-9)
    assert found.contrast.p_value == pytest.approx(AGE["pooled"]["p"], rel=1e-9)


def test_all_coefficients_in_the_imputed_sets_of_mice() -> None:
    """Least squares in each of mice's imputed sets, pooled, gives every number of its pooled table."""
    expected = r_results_or_skip()["mice_nhanes"]["pooled"]
    frame = pd.read_csv(data_or_skip("nhanes_imputed_long.csv"))
    sets = [part[["age", "hyp", "chl", "bmi"]].to_numpy(float) for _, part in frame.groupby(".imp")]
    for j, term in enumerate(["(Intercept)", "age", "hyp", "chl"]):

        def coefficient(table: np.ndarray, j: int = j) -> tuple[float, float, float]:
            design = np.column_stack([np.ones(len(table)), table[:, :3]])
            beta = np.linalg.lstsq(design, table[:, 3], rcond=None)[0]
            rest = table[:, 3] - design @ beta
            variance = rest @ rest / 21 * np.linalg.inv(design.T @ design)[j, j]
            return float(beta[j]), float(variance**0.5), 21.0

        agrees(within(sets, coefficient, label=term), expected[term])


def test_beside_statsmodels() -> None:
    """Both impute by predictive mean matching; a pooled slope and its error agree within the error of 30 draws."""
    from statsmodels.imputation.mice import MICE, MICEData
    from statsmodels.regression.linear_model import OLS

    rng = np.random.default_rng(1)
    n = 300
    x = rng.normal(size=n)
    z = 0.5 * x + rng.normal(size=n)
    y = 1 + 0.6 * x + 0.4 * z + rng.normal(0, 0.7, n)
    table = np.column_stack([x, np.where(rng.random(n) < 1 / (1 + np.exp(1 - x)), np.nan, z), y])
    table[rng.random(n) < 0.2, 2] = np.nan
    legacy = np.random.RandomState(2)  # statsmodels draws from the global state
    state = np.random.get_state()  # noqa: NPY002
    np.random.set_state(legacy.get_state())  # noqa: NPY002
    theirs = MICE("y ~ x + z", OLS, MICEData(pd.DataFrame(table, columns=["x", "z", "y"]), k_pmm=5)).fit(5, 30)
    np.random.set_state(state)  # noqa: NPY002

    sets = impute(
        table, kinds=["pmm"] * 3, may_impute=np.ones((n, 3), bool), imputations=30, rng=np.random.default_rng(3)
    ).sets
    for j in (1, 2):

        def slope(one: np.ndarray, j: int = j) -> tuple[float, float, float]:
            design = np.column_stack([np.ones(n), one[:, :2]])
            beta = np.linalg.lstsq(design, one[:, 2], rcond=None)[0]
            rest = one[:, 2] - design @ beta
            return (
                float(beta[j]),
                float((rest @ rest / (n - 3) * np.linalg.inv(design.T @ design)[j, j]) ** 0.5),
                n - 3.0,
            )

        ours = within(sets, slope, label="slope")
        noise = (ours.between / 30 * 2) ** 0.5
        assert ours.contrast.value == pytest.approx(theirs.params[j], abs=4 * noise)
        assert ours.contrast.std_error == pytest.approx(theirs.bse[j], rel=0.15)
