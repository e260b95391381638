"""Mixed models: hand values, brute force, invariances, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from causal.effect.multilevel.mixed_degrees_of_freedom import DegreesOfFreedom, standard_error
from causal.effect.multilevel.mixed_model import Method, MixedFit, fit_mixed
from causal.effect.multilevel.nested import Level, whitened
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def level(codes: IntArray, design: FloatArray | None = None, name: str = "unit") -> Level:
    """Random intercepts of units, or effects of the columns given."""
    z = np.ones((codes.size, 1)) if design is None else design
    return Level(name=name, codes=codes, design=z, terms=("intercept", "day")[: z.shape[1]])


def extract(seed: int, *, clinicians: int = 6, slope: bool = False) -> tuple[FloatArray, FloatArray, list[Level]]:
    """Fixed columns, outcome and levels of patients (with slopes over days) in clinicians, of unequal sizes."""
    rng = np.random.default_rng(seed)
    clinician = np.repeat(np.arange(clinicians), rng.integers(2, 5, clinicians))
    visits = rng.integers(1, 5, clinician.size)
    patient, clinician = np.repeat(np.arange(visits.size), visits), np.repeat(clinician, visits)
    n = patient.size
    day = rng.random(n) * 3
    x = np.column_stack([np.ones(n), rng.random(visits.size)[patient] < 0.5, rng.normal(size=n), day])
    y = x @ [1.0, 0.5, -0.3, 0.1] + rng.normal(size=clinicians)[clinician] + rng.normal(size=visits.size)[patient]
    y += day * rng.normal(size=visits.size)[patient] * 0.7 + rng.normal(size=n) * 0.5
    z = x[:, [0, 3]] if slope else x[:, :1]
    return x, y, [level(patient, z, "patient"), level(clinician, name="clinician")]


def gradients(fit: MixedFit) -> list[FloatArray]:
    """Derivatives (n, n) of V by each variance parameter."""
    found = []
    for one, d in zip(fit.model.levels, fit.random, strict=True):
        same = (one.codes[:, None] == one.codes[None, :]).astype(float)
        for a, b in zip(*np.tril_indices(d.shape[0]), strict=True):
            outer = np.outer(one.design[:, a], one.design[:, b])
            found.append(same * (outer if a == b else outer + outer.T))
    groups = fit.model.residual_groups
    return [*found, *(np.diag((groups == g).astype(float)) for g in range(fit.residual.size))]


def dense(fit: MixedFit) -> tuple[FloatArray, list[FloatArray]]:
    """V (n, n) of a fit, and its derivatives."""
    steps = gradients(fit)
    values = [*(d[i] for d in fit.random for i in zip(*np.tril_indices(d.shape[0]), strict=True)), *fit.residual]
    return np.asarray(sum(v * g for v, g in zip(values, steps, strict=True))), steps


@pytest.mark.parametrize("method", ["REML", "ML"])
def test_balanced_one_way_analysis_of_variance(method: Method) -> None:
    """Variances are (MSB - MSW)/m and MSW by REML, and with MSB (g - 1)/g by ML."""
    rng = np.random.default_rng(3)
    g, m = 7, 4
    codes = np.repeat(np.arange(g), m)
    y = 2 + rng.normal(size=g)[codes] * 2 + rng.normal(size=g * m)
    means = y.reshape(g, m).mean(axis=1)
    between = m * means.var(ddof=1) * (1 if method == "REML" else (g - 1) / g)
    within = ((y - means[codes]) ** 2).sum() / (g * m - g)
    fit = fit_mixed(np.ones((g * m, 1)), y, levels=[level(codes)], method=method)
    assert fit.residual[0] == pytest.approx(within, rel=1e-9)
    assert fit.random[0].item() == pytest.approx((between - within) / m, rel=1e-9)
    assert fit.covariance.item() == pytest.approx(between / (g * m), rel=1e-9)


@pytest.mark.parametrize("by", ["satterthwaite", "kenward_roger", "cluster_robust"])
def test_contrast_between_groups_has_the_degrees_of_freedom_of_their_means(by: DegreesOfFreedom) -> None:
    """Balanced groups in two arms: error and df are those of the t test of group means, groups - 2."""
    rng = np.random.default_rng(4)
    codes = np.repeat(np.arange(10), 3)
    arm = (np.arange(10) < 5)[codes]
    y = rng.normal(size=10)[codes] * 1.5 + rng.normal(size=30)
    fit = fit_mixed(np.column_stack([np.ones(30), arm]), y, levels=[level(codes)])
    error, df = standard_error(fit, np.array([0.0, 1]), by)
    means = y.reshape(10, 3).mean(axis=1)
    assert df == pytest.approx(8, rel=1e-6)
    assert error == pytest.approx(np.sqrt((means[:5].var(ddof=1) + means[5:].var(ddof=1)) / 5), rel=1e-7)


def test_intercept_of_balanced_groups_has_groups_minus_one() -> None:
    """The grand mean has the standard error of the mean of group means, on groups - 1 degrees of freedom."""
    codes = np.repeat(np.arange(6), 5)
    rng = np.random.default_rng(5)
    y = rng.normal(size=6)[codes] + rng.normal(size=30)
    fit = fit_mixed(np.ones((30, 1)), y, levels=[level(codes)])
    error, df = standard_error(fit, np.ones(1), "kenward_roger")
    assert df == pytest.approx(5, rel=1e-9)
    assert error == pytest.approx(y.reshape(6, 5).mean(axis=1).std(ddof=1) / np.sqrt(6), rel=1e-8)


def test_variance_at_zero_is_least_squares_and_said() -> None:
    """Group means closer than chance: variance 0, the estimate of least squares, the level named, df still finite."""
    codes = np.repeat(np.arange(8), 4)
    y = np.tile([1.0, 2, 3, 4], 8) + 0.01 * np.arange(32) % 0.05
    arm = codes % 2 == 0
    x = np.column_stack([np.ones(32), arm])
    fit = fit_mixed(x, y, levels=[level(codes, name="clinician")])
    assert fit.boundary == ("clinician",)
    assert fit.random[0].item() == 0
    rest = y - x @ np.linalg.lstsq(x, y)[0]
    assert fit.residual[0] == pytest.approx(rest @ rest / 30, rel=1e-9)
    assert standard_error(fit, np.array([0.0, 1]), "satterthwaite")[1] < 30


@pytest.mark.parametrize("slope", [False, True])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_likelihood_is_the_dense_one_and_at_its_top(*, slope: bool, method: Method) -> None:
    """Log likelihood, effects and errors from n x n matrices; no variance changed by 1 % makes it higher."""
    x, y, levels = extract(6, clinicians=12, slope=slope)
    fit = fit_mixed(x, y, levels=levels, method=method)
    assert not fit.boundary
    v, steps = dense(fit)

    def log_likelihood(v: FloatArray) -> float:
        information = x.T @ np.linalg.solve(v, x)
        rest = y - x @ np.linalg.solve(information, x.T @ np.linalg.solve(v, y))
        log_det = np.linalg.slogdet(v)[1] + (np.linalg.slogdet(information)[1] if method == "REML" else 0)
        df = y.size - (x.shape[1] if method == "REML" else 0)
        return float(-0.5 * (df * np.log(2 * np.pi) + log_det + rest @ np.linalg.solve(v, rest)))

    best = log_likelihood(v)
    assert fit.log_likelihood == pytest.approx(best, rel=1e-10)
    assert all(log_likelihood(v + sign * 0.01 * s) < best for s in steps for sign in (-1, 1))
    covariance = np.linalg.inv(x.T @ np.linalg.solve(v, x))
    assert fit.covariance == pytest.approx(covariance, rel=1e-7)
    assert fit.coefficients == pytest.approx(covariance @ x.T @ np.linalg.solve(v, y), rel=1e-7)


@pytest.mark.parametrize("slope", [False, True])
def test_kenward_roger_and_satterthwaite_are_the_textbook_ones(*, slope: bool) -> None:
    """Adjusted covariance, both informations and degrees of freedom by their formulas in n x n matrices."""
    x, y, levels = extract(6, clinicians=12, slope=slope)
    fit = fit_mixed(x, y, levels=levels)
    v, steps = dense(fit)
    inv = np.linalg.inv(v)
    phi = np.linalg.inv(x.T @ inv @ x)
    p = inv - inv @ x @ phi @ x.T @ inv
    m = range(len(steps))
    expected = np.array([[0.5 * np.trace(p @ steps[i] @ p @ steps[j]) for j in m] for i in m])
    observed = np.array([[y @ p @ steps[i] @ p @ steps[j] @ p @ y for j in m] for i in m]) - expected
    slopes = [-x.T @ inv @ s @ inv @ x for s in steps]
    w = np.linalg.inv(expected)
    q = [[x.T @ inv @ a @ inv @ b @ inv @ x for b in steps] for a in steps]
    middle = sum(w[i, j] * (q[i][j] - slopes[i] @ phi @ slopes[j]) for i in m for j in m)
    adjusted = phi + 2 * phi @ middle @ phi
    c = np.array([0.0, 1, 0, 0])
    g = np.array([c @ phi @ s @ phi @ c for s in slopes])
    variance = c @ phi @ c
    assert standard_error(fit, c, "kenward_roger") == pytest.approx(
        (np.sqrt(c @ adjusted @ c), 2 * variance**2 / (g @ w @ g)), rel=1e-6
    )
    assert standard_error(fit, c, "satterthwaite") == pytest.approx(
        (np.sqrt(variance), 2 * variance**2 / (g @ np.linalg.solve(observed, g))), rel=1e-6
    )


def test_cluster_robust_is_the_dense_textbook_one() -> None:
    """CR2 with the fitted V as working model in n x n matrices: adjusted residuals unbiased for V, error, df."""
    x, y, levels = extract(6, clinicians=12, slope=True)
    fit = fit_mixed(x, y, levels=levels)
    v, _ = dense(fit)
    inv, clusters = np.linalg.inv(v), levels[1].codes
    bread = np.linalg.inv(x.T @ inv @ x)
    annihilator = np.eye(y.size) - x @ bread @ x.T @ inv
    c, parts = np.array([0.0, 1, 0, 0]), []
    for g in np.unique(clusters):
        rows = np.flatnonzero(clusters == g)
        own = v[np.ix_(rows, rows)]
        residual_covariance = annihilator[rows] @ v @ annihilator[rows].T
        root = np.linalg.cholesky(own)
        white = np.linalg.solve(root, np.linalg.solve(root, residual_covariance).T)
        values, vectors = np.linalg.eigh(white)
        adjust = root @ (vectors * values**-0.5) @ vectors.T @ np.linalg.inv(root)
        assert adjust @ residual_covariance @ adjust.T == pytest.approx(own, rel=1e-6, abs=1e-9)
        parts.append(annihilator[rows].T @ adjust.T @ inv[np.ix_(rows, rows)] @ x[rows] @ bread @ c)
    p = np.column_stack(parts)
    omega = p.T @ v @ p
    error, df = standard_error(fit, c, "cluster_robust")
    assert error == pytest.approx(np.sqrt(((p.T @ y) ** 2).sum()), rel=1e-8)
    assert df == pytest.approx(np.trace(omega) ** 2 / (omega**2).sum(), rel=1e-8)


def test_whitened_rows_are_independent() -> None:
    """The whitening matrix W satisfies W V W' = I."""
    x, y, levels = extract(7, slope=True)
    fit = fit_mixed(x, y, levels=levels)
    order, v = fit.layout.order, dense(fit)[0]
    w = whitened(fit.layout, np.eye(y.size), np.zeros(y.size, dtype=np.int64), fit.random, fit.residual)
    assert w @ v[np.ix_(order, order)] @ w.T == pytest.approx(np.eye(y.size), abs=1e-9)


@pytest.mark.parametrize("slope", [False, True])
def test_units_order_and_codes_do_not_matter(*, slope: bool) -> None:
    """Rows shuffled, units relabelled, y -> 100 - 7 y, days in other units: effects follow, df stay."""
    x, y, levels = extract(8, clinicians=9, slope=slope)
    fit = fit_mixed(x, y, levels=levels)
    order = np.random.default_rng(0).permutation(y.size)
    units = np.diag([1.0, 1, 1, 30])
    other = fit_mixed(
        (x @ units)[order],
        100 - 7 * y[order],
        levels=[
            level(
                1000 - one.codes[order],
                (one.design @ np.diag([1.0, 30])[: one.design.shape[1], : one.design.shape[1]])[order],
                one.name,
            )
            for one in levels
        ],
    )
    assert other.coefficients[1:3] == pytest.approx(-7 * fit.coefficients[1:3], rel=1e-7)
    assert other.coefficients[3] == pytest.approx(-7 * fit.coefficients[3] / 30, rel=1e-7)
    by: DegreesOfFreedom
    for by in ("satterthwaite", "kenward_roger", "cluster_robust"):
        (e1, d1), (e2, d2) = (standard_error(one, np.array([0.0, 1, 0, 0]), by) for one in (fit, other))
        assert (e2, d2) == pytest.approx((7 * e1, d1), rel=1e-6)


def test_whole_weights_are_repeated_clusters() -> None:
    """By maximum likelihood a clinician of weight 2 is the same as two alike."""
    x, y, levels = extract(9, clinicians=9)
    clinician = levels[1].codes
    w = 1.0 + (clinician % 2)
    twice = np.r_[np.arange(y.size), np.flatnonzero(w == 2)]
    again = np.arange(twice.size) >= y.size
    both = [level(one.codes[twice] + 1000 * again, one.design[twice], one.name) for one in levels]
    weighted = fit_mixed(x, y, levels=levels, weights=w, method="ML")
    repeated = fit_mixed(x[twice], y[twice], levels=both, method="ML")
    assert weighted.coefficients == pytest.approx(repeated.coefficients, rel=1e-6)
    assert [d.item() for d in weighted.random] == pytest.approx([d.item() for d in repeated.random], rel=1e-5)


def test_weights_have_cluster_robust_errors_only() -> None:
    """Scaling all weights changes nothing; model-based errors for them are refused."""
    x, y, levels = extract(9, clinicians=9)
    w = 1.0 + (levels[1].codes % 2)
    one, other = (fit_mixed(x, y, levels=levels, weights=s * w) for s in (1, 5))
    c = np.array([0.0, 1, 0, 0])
    assert standard_error(one, c, "cluster_robust") == pytest.approx(
        standard_error(other, c, "cluster_robust"), rel=1e-9
    )
    with pytest.raises(EstimationError, match="weights_need_cluster_robust"):
        standard_error(one, c, "satterthwaite")


def test_refusals() -> None:
    """Each thing that cannot be estimated is refused by its own code."""
    x, y, levels = extract(10, clinicians=9)
    patient = levels[0]
    n = y.size
    ones, codes = np.ones(n), np.arange(n)
    holes = np.where(codes == 3, np.nan, y)

    def code(**changed: object) -> str:
        given = {"design": x, "outcome": y, "levels": levels} | changed
        with pytest.raises(EstimationError) as raised:
            fit_mixed(given.pop("design"), given.pop("outcome"), **given)  # type: ignore[arg-type]
        return raised.value.code.removeprefix("estimation.")

    assert code(outcome=holes) == "not_finite"
    assert code(design=np.column_stack([x, x[:, 1]])) == "collinear"
    assert code(outcome=x @ [1.0, 2, 3, 4]) == "no_variation"
    assert code(levels=[level(codes)]) == "singletons_only"
    assert code(levels=[level(np.zeros(n, dtype=np.int64))]) == "too_few_clusters"
    assert code(levels=[patient, level(patient.codes, name="clinician")]) == "levels_coincide"
    assert code(levels=[patient, level(codes % 3, name="clinician")]) == "not_nested"
    assert code(levels=[level(patient.codes, np.column_stack([ones, ones]))]) == "not_identified"
    assert code(weights=1.0 + codes) == "weights_within_clusters"
    assert code(weights=0.0 * ones) == "weights"
    assert code(design=np.eye(n)) == "no_residual_df"
    constant = np.random.default_rng(1).normal(size=patient.codes.max() + 1)[patient.codes]
    assert code(design=ones[:, None], outcome=constant, levels=[patient]) == "no_residual_variance"
    ml = fit_mixed(x, y, levels=levels, method="ML")
    with pytest.raises(EstimationError, match="kenward_roger_needs_reml"):
        standard_error(ml, np.array([0.0, 1, 0, 0]), "kenward_roger")
