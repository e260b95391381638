"""What stands in for a covariate nobody recorded, and that it is always marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.cohort.catalogue import catalogue_of
from causal.design.covariates import columns_of, covariate_matrix
from causal.design.fates import CovariateFate, Fate
from causal.errors import DesignError
from causal.protocol import OccasionStudy
from causal.protocol.analysis import CovariateRule
from causal.protocol.design import Confounders
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"
FLAGSHIP: Any = load_study(STUDY_FILE).study
COVARIATES = catalogue_of(FLAGSHIP).covariates
NAN = np.nan


@pytest.fixture(scope="module")
def flagship() -> OccasionStudy:
    """The flagship study."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded


def with_confounders(
    study: OccasionStudy, tier1: tuple[str, ...], tier2: tuple[str, ...] = (), fills: dict[str, str] | None = None
) -> OccasionStudy:
    """The study with other confounders and, if given, other rules for what is missing."""
    changed: dict[str, object] = {"confounders": Confounders(tier1=tier1, tier2=tier2)}
    if fills is not None:
        rules = tuple(CovariateRule.model_validate({"covariate": k, "fill": v}) for k, v in fills.items())
        changed["missing"] = study.missing.model_copy(update={"covariates": rules})
    return study.model_copy(update=changed)


def recorded(**columns: list[float]) -> pd.DataFrame:
    """Occasions with these covariates; the others are 0."""
    n = len(next(iter(columns.values())))
    return pd.DataFrame({name: np.zeros(n) for name in COVARIATES} | columns)


def test_median_and_indicator(flagship: OccasionStudy) -> None:
    """What is missing takes the median of what is recorded, and an indicator of tier 2 says where."""
    found = covariate_matrix(recorded(phq9=[4.0, NAN, 10.0, 6.0]), with_confounders(flagship, ("phq9",)))
    assert (found.names, found.tiers) == (("phq9", "phq9_missing"), (1, 2))
    assert found.values.tolist() == [[4.0, 0.0], [6.0, 1.0], [10.0, 0.0], [6.0, 0.0]]


def test_nearest_lag(flagship: OccasionStudy) -> None:
    """A missing lag takes the nearest recorded one, of two equally near the more recent, else its own median."""
    lags = ("alliance_lag1", "alliance_lag2", "alliance_lag3")
    occasions = recorded(
        alliance_lag1=[1.0, NAN, NAN, 4.0, NAN],
        alliance_lag2=[2.0, 2.5, NAN, NAN, NAN],
        alliance_lag3=[3.0, 3.5, 5.0, 3.0, NAN],
    )
    found = covariate_matrix(occasions, with_confounders(flagship, lags))
    filled = columns_of(found.values, found.names, lags)
    assert filled.tolist() == [[1.0, 2.0, 3.0], [2.5, 2.5, 3.5], [5.0, 5.0, 5.0], [4.0, 4.0, 3.0], [2.5, 2.25, 3.25]]
    missing = columns_of(found.values, found.names, [lag + "_missing" for lag in lags])
    assert missing.tolist() == np.isnan(occasions[list(lags)].to_numpy()).astype(float).tolist()


def test_a_lag_outside_the_study_still_stands_in(flagship: OccasionStudy) -> None:
    """The nearest recorded lag serves even when the study adjusts only for the last one."""
    occasions = recorded(alliance_lag1=[3.0, NAN, 2.0], alliance_lag2=[4.0, 5.0, NAN])
    found = covariate_matrix(occasions, with_confounders(flagship, ("alliance_lag1",)))
    assert found.values[:, 0].tolist() == [3.0, 5.0, 2.0]


def test_a_constant_is_left_out_and_named(flagship: OccasionStudy) -> None:
    """A covariate with one value for everybody cannot confound; it is listed, and so is a constant indicator's."""
    occasions = recorded(severity=[1.0, 2.0, 3.0], male=[1.0, 1.0, 1.0])
    found = covariate_matrix(occasions, with_confounders(flagship, ("severity",), ("male", "age")))
    assert found.names == ("severity",)
    told = [(one.name, one.tier, one.fate) for one in found.fates]
    assert told == [("severity", 1, Fate.ADJUSTED), ("male", 2, Fate.CONSTANT), ("age", 2, Fate.CONSTANT)]


def test_a_repeated_fact_keeps_its_column_and_names_what_determines_it(flagship: OccasionStudy) -> None:
    """A covariate that others determine exactly is balanced like any other, and says which they are."""
    severity, tenure = np.array([1.0, 2.0, 3.0, 5.0, 4.0]), np.array([0.0, 2.0, 1.0, 0.0, 7.0])
    occasions = recorded(
        severity=severity.tolist(), tenure_months=tenure.tolist(), age=(severity + 2 * tenure).tolist(),
        visits_90d=[1.0, 0.0, 0.0, 2.0, 1.0],
    )  # fmt: skip
    study = with_confounders(flagship, ("severity", "tenure_months"), ("visits_90d", "age"))
    found = covariate_matrix(occasions, study)
    assert found.names == ("severity", "tenure_months", "visits_90d", "age")
    assert found.fates[3] == CovariateFate(
        name="age", tier=2, fate=Fate.COLLINEAR, determined_by=("severity", "tenure_months")
    )


def test_a_minor_fact_recorded_for_nobody_says_so(flagship: OccasionStudy) -> None:
    """A tier-2 covariate without any value has no column and no indicator, and stands in the list all the same."""
    occasions = recorded(severity=[1.0, 2.0, 3.0], phq9=[NAN, NAN, NAN])
    found = covariate_matrix(occasions, with_confounders(flagship, ("severity",), ("phq9",)))
    assert found.names == ("severity",)
    assert found.fates[1] == CovariateFate(name="phq9", tier=2, fate=Fate.NEVER_RECORDED)


def test_declared_order(flagship: OccasionStudy) -> None:
    """Columns come as the study declares them, tier 1 before tier 2, so that what is aliased is the later one."""
    occasions = recorded(age=[1.0, 2.0], severity=[3.0, 4.0], male=[0.0, 1.0])
    found = covariate_matrix(occasions, with_confounders(flagship, ("severity", "age"), ("male",)))
    assert (found.names, found.tiers) == (("severity", "age", "male"), (1, 1, 2))


def test_no_rule(flagship: OccasionStudy) -> None:
    """A missing value without a declared rule is a refusal that names the covariate, not a silent fill."""
    with pytest.raises(DesignError, match=r"^\[design\.missing_rule\] covariate 'phq9' is missing for 33%"):
        covariate_matrix(recorded(phq9=[4.0, NAN, 10.0]), with_confounders(flagship, ("phq9",), fills={}))


def test_recorded_for_nobody(flagship: OccasionStudy) -> None:
    """A confounder that was never recorded cannot be adjusted for."""
    with pytest.raises(DesignError, match=r"^\[design\.covariate_empty\] covariate 'phq9'"):
        covariate_matrix(recorded(phq9=[NAN, NAN]), with_confounders(flagship, ("phq9",)))


def test_input_is_not_changed(flagship: OccasionStudy) -> None:
    """Filling works on copies."""
    occasions = recorded(phq9=[4.0, NAN, 10.0], alliance_lag1=[NAN, 3.0, 2.0], alliance_lag2=[3.0, 3.0, NAN])
    before = occasions.copy()
    covariate_matrix(occasions, with_confounders(flagship, ("phq9", "alliance_lag1")))
    pd.testing.assert_frame_equal(occasions, before)
