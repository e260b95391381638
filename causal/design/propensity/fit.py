"""The probability of treatment given what was known before time zero: logistic regression, unpenalised or Firth.

With ten or more events per parameter the scores are plain maximum likelihood (they agree with R's ``glm``). Below ten
the likelihood is biased and Firth's correction takes over; below three nothing is fitted. Separation, a covariate that
tells the arms apart with certainty, is a finding about positivity and is never smoothed away by a penalty.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

FIRTH_BELOW = 10.0  # events per parameter under which maximum likelihood gives way to Firth
REFUSE_BELOW = 3.0  # events per parameter under which no score is fitted
LONGEST_STEP = 5.0  # no occasion's log odds moves by more in one Newton step
SETTLED = 1e-9  # largest last change of a log odds at a maximum
LBFGS_FROM = 2_000_000  # values in the design from which scikit-learn finds the neighbourhood of the maximum
ROWS_PER_BLOCK = 65_536  # rows whose share of the information matrix is formed at once, to bound memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Propensity:
    """Fitted propensity scores of n occasions on the k covariates that were kept.

    Attributes
    ----------
    names
        Covariates in the model, in the caller's order (k of them).
    aliased
        Covariates left out because the ones before them determine them exactly.
    separated
        Covariates that alone tell the arms apart. Empty under maximum likelihood (which refuses them); under Firth
        the scores are finite all the same, so this is where the reader learns of it.
    coefficients, intercept
        (k,) and scalar, on the scale of the covariates as given: log odds per unit.
    logit, probability
        (n,) each: log odds and probability of treatment.
    c_statistic
        Probability that a treated occasion scores above a comparison one, ties counted half. Not a measure of
        success: above about .85 it announces thin overlap.
    events_per_parameter
        Occasions in the smaller arm per kept covariate.
    method
        Which likelihood was maximised.
    """

    names: tuple[str, ...]
    aliased: tuple[str, ...]
    separated: tuple[str, ...]
    coefficients: FloatArray
    intercept: float
    logit: FloatArray
    probability: FloatArray
    c_statistic: float
    events_per_parameter: float
    method: Literal["maximum likelihood", "Firth"]


def fit_propensity(covariates: FloatArray, treated: BoolArray, *, names: Sequence[str]) -> Propensity:
    """Fit the log odds of treatment as a linear function of the covariates.

    Parameters
    ----------
    covariates
        (n, p) finite values known before time zero, without an intercept column.
    treated
        (n,) true where the occasion was treated.
    names
        p names, used in the result and in refusals.

    Raises
    ------
    DesignError
        ``design.no_treated``, ``design.no_comparison``, ``design.not_finite``, ``design.constant_covariate``,
        ``design.too_few_events`` (fewer than 3 events per parameter), ``design.separation`` (with 10 or more),
        ``design.not_converged``.

    Notes
    -----
    Columns are standardised for the fit and the coefficients returned on the original scale. The scores are summed
    column by column, so occasions with equal covariates have exactly equal scores wherever they stand.
    Firth: Firth (1993), Biometrika 80:27-38; Heinze & Schemper (2002), Stat Med 21:2409-2419. Rule of ten: Peduzzi
    et al. (1996), J Clin Epidemiol 49:1373-1379.

    >>> rng = np.random.default_rng(1)
    >>> severity = rng.normal(size=(400, 1))
    >>> warned = rng.random(400) < 1 / (1 + np.exp(1 - severity[:, 0]))
    >>> fit = fit_propensity(severity, warned, names=["severity"])
    >>> fit.method, fit.names, fit.aliased
    ('maximum likelihood', ('severity',), ())
    """
    x = np.asarray(covariates, dtype=np.float64)
    y = np.asarray(treated, dtype=np.bool_)
    labels = tuple(names)
    if x.ndim != 2 or x.shape != (y.size, len(labels)):
        raise ValueError(f"covariates {x.shape} do not fit {y.size} occasions and {len(labels)} names")
    _refuse_unusable(x, y, labels)

    centre, scale = x.mean(axis=0), x.std(axis=0)
    z = np.asfortranarray((x - centre) / scale)
    kept = independent_columns(z)
    z = z if kept.all() else np.asfortranarray(z[:, kept])
    used = tuple(name for name, keep in zip(labels, kept, strict=True) if keep)

    per_parameter = min(int(y.sum()), int((~y).sum())) / max(len(used), 1)
    if per_parameter < REFUSE_BELOW:
        raise DesignError(
            "design.too_few_events",
            f"the smaller arm has fewer than {REFUSE_BELOW:g} occasions for each of the {len(used)} covariates",
            fix="declare fewer covariates, or wait for more occasions",
        )
    separated = _separating(x, y, labels)
    if per_parameter < FIRTH_BELOW:
        method: Literal["maximum likelihood", "Firth"] = "Firth"
        beta = firth_logistic(np.column_stack([np.ones(y.size), z]), y)
    else:
        method = "maximum likelihood"
        if separated:
            raise _separation(separated)
        beta = _maximum_likelihood(z, y, used)

    coefficients = beta[1:] / scale[kept]
    logit = np.full(y.size, beta[0])
    for slope, column in zip(beta[1:], z.T, strict=True):
        logit += slope * column
    return Propensity(
        names=used,
        aliased=tuple(name for name, keep in zip(labels, kept, strict=True) if not keep),
        separated=separated,
        coefficients=coefficients,
        intercept=float(beta[0] - coefficients @ centre[kept]),
        logit=logit,
        probability=expit(logit),
        c_statistic=c_statistic(logit, y),
        events_per_parameter=per_parameter,
        method=method,
    )


def firth_logistic(design: FloatArray, treated: BoolArray) -> FloatArray:
    """Coefficients maximising Firth's penalised likelihood, log L + log|X'WX|/2.

    Parameters
    ----------
    design
        (n, k) of full column rank, its intercept included; columns best near unit scale.
    treated
        (n,) true for an event.

    Returns
    -------
    (k,) coefficients solving ``X'(y - p + h(1/2 - p)) = 0``, where h are the leverages of ``W^(1/2) X`` and
    ``W = p(1 - p)``. Finite under separation.

    Raises
    ------
    DesignError
        ``design.not_converged``.

    >>> none_of_twenty = firth_logistic(np.ones((20, 1)), np.zeros(20, dtype=bool))
    >>> round(float(none_of_twenty[0]), 6)  # log((0 + 1/2) / (20 - 0 + 1/2))
    -3.713572
    """
    try:
        return _maximise_penalised(design, np.asarray(treated, dtype=np.float64))
    except np.linalg.LinAlgError as singular:
        raise _not_converged() from singular


def independent_columns(x: FloatArray, *, tolerance: float = 1e-7) -> BoolArray:
    """Which columns are not linear combinations of the columns before them.

    Parameters
    ----------
    x
        (n, k) finite values.
    tolerance
        A column is dropped when, scaled to length one, less than this is left of it outside the span of the kept
        columns to its left: the limited pivoting of R's ``lm`` and ``glm``, so that the first declared stays.

    Returns
    -------
    (k,) true for the columns that stay.

    >>> independent_columns(np.array([[1.0, 2, 0], [1, 2, 1], [1, 2, 5]])).tolist()
    [True, False, True]
    """
    lengths = np.linalg.norm(x, axis=0)
    unit = x / np.where(lengths > 0, lengths, 1.0)
    if x.shape[1] and np.linalg.eigvalsh(unit.T @ unit)[0] > 1e-8:
        return np.ones(x.shape[1], dtype=np.bool_)  # plainly independent: spare the factorisation
    triangle = np.asarray(np.linalg.qr(unit, mode="r"))
    kept = np.zeros(x.shape[1], dtype=np.bool_)
    basis = np.zeros((triangle.shape[0], 0))
    for j, column in enumerate(triangle.T):
        rest = column - basis @ (basis.T @ column)
        rest -= basis @ (basis.T @ rest)  # twice is enough
        if (length := float(np.linalg.norm(rest))) > tolerance:
            kept[j] = True
            basis = np.column_stack([basis, rest / length])
    return kept


def c_statistic(score: FloatArray, treated: BoolArray) -> float:
    """Share of (treated, comparison) pairs in which the treated one scores higher, ties counted half.

    >>> c_statistic(np.array([3.0, 1.0, 2.0, 1.0]), np.array([True, True, False, False]))
    0.625
    """
    _, code, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[code]
    n1, n0 = int(treated.sum()), int((~treated).sum())
    return float((rank[treated].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))


def _maximise_penalised(design: FloatArray, y: FloatArray) -> FloatArray:
    """Scoring on Firth's objective, and Newton's method once scoring slows down (as it does under separation).

    The penalty does not depend on how the columns are combined, so the search runs on orthonormal ones.
    """
    orthonormal, triangle = np.linalg.qr(design)
    size = np.sqrt(y.size)
    design = orthonormal * size
    share = (y.sum() + 0.5) / (y.size + 1)
    beta, last = orthonormal.T @ np.full(y.size, np.log(share / (1 - share))) / size, np.inf
    value, score, information = _penalised_likelihood(design, y, beta)
    slow = False
    for _ in range(100):
        curvature = _curvature(design, information, expit(design @ beta)) if slow else information
        step = np.linalg.solve(curvature, score)
        moved = float(np.abs(design @ step).max())
        slow = slow or moved > last / 2
        step /= max(1.0, moved / LONGEST_STEP)
        trial = _penalised_likelihood(design, y, beta + step)
        while trial[0] < value - 1e-9 * abs(value):
            step /= 2
            trial = _penalised_likelihood(design, y, beta + step)
        beta, last = beta + step, moved
        value, score, information = trial
        if moved < SETTLED:
            return np.asarray(np.linalg.solve(triangle, beta * size), dtype=np.float64)
    raise _not_converged()


def _not_converged() -> DesignError:
    return DesignError(
        "design.not_converged",
        "the propensity model did not converge: its covariates nearly repeat one another or nearly separate the arms",
        fix="drop covariates that repeat one another; cross-tabulate the others with treatment",
    )


def _refuse_unusable(x: FloatArray, y: BoolArray, names: tuple[str, ...]) -> None:
    """Refuse an empty arm and columns that are not finite or do not vary."""
    if not y.any():
        raise DesignError("design.no_treated", "zero treated occasions", fix="check eligibility and the exposure")
    if y.all():
        raise DesignError("design.no_comparison", "zero comparison occasions", fix="check the comparator pool")
    with np.errstate(over="ignore", invalid="ignore"):
        usable = np.isfinite(x.std(axis=0))  # also catches values too large to square
        constant = usable & ((x.max(axis=0) == x.min(axis=0)) | (x.std(axis=0) == 0))
    if not usable.all():
        listed = ", ".join(name for name, ok in zip(names, usable, strict=True) if not ok)
        raise DesignError(
            "design.not_finite",
            f"covariates hold missing or infinite values: {listed}",
            fix="declare how missing values of these covariates are handled",
        )
    if constant.any():
        listed = ", ".join(name for name, flat in zip(names, constant, strict=True) if flat)
        raise DesignError(
            "design.constant_covariate",
            f"covariates have one value only: {listed}",
            fix="remove them from the confounders, or check that they were extracted",
        )


def _separating(x: FloatArray, y: BoolArray, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the covariates one of whose cut points leaves an arm entirely on one side (ties at the cut allowed)."""
    above = x[y].min(axis=0) >= x[~y].max(axis=0)
    below = x[y].max(axis=0) <= x[~y].min(axis=0)
    return tuple(name for name, found in zip(names, above | below, strict=True) if found)


def _separation(names: tuple[str, ...]) -> DesignError:
    which = f"covariate {names[0]} tells" if len(names) == 1 else f"covariates {', '.join(names)} tell"
    return DesignError(
        "design.separation",
        f"{which} treated and comparison occasions apart with certainty: no propensity score exists",
        fix="restrict eligibility to where both arms occur, match exactly on it, or remove it",
    )


def _maximum_likelihood(z: FloatArray, y: BoolArray, names: tuple[str, ...]) -> FloatArray:
    """Intercept and slopes (k + 1,) of the unpenalised fit on standardised columns z (n, k).

    Newton's steps shrink quadratically towards a maximum. Under separation they keep their size and settle on a
    direction along which the likelihood rises for ever: a direction that lifts every treated occasion at least as high
    as every comparison proves that there is no maximum.
    """
    design = np.asfortranarray(np.column_stack([np.ones(y.size), z]))
    beta = _starting_values(z, y)
    for _ in range(50):
        p = expit(design @ beta)
        try:
            step = np.asarray(np.linalg.solve(_information(design, p * (1 - p)), design.T @ (y - p)), dtype=np.float64)
        except np.linalg.LinAlgError:
            break  # some direction has no information left
        moved = float(np.abs(design @ step).max())
        step /= max(1.0, moved / LONGEST_STEP)
        beta = beta + step
        if moved < SETTLED:
            return beta
        if _apart(z @ step[1:], y):
            raise _separation(_needed(z, y, step[1:], names))
    raise _not_converged()


def _apart(score: FloatArray, y: BoolArray) -> bool:
    """Whether no comparison scores above any treated occasion, to rounding."""
    return bool(score[y].min() - score[~y].max() >= -1e-9 * np.ptp(score)) and float(np.ptp(score)) > 0


def _needed(z: FloatArray, y: BoolArray, direction: FloatArray, names: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the covariates a separating direction cannot do without, the least weighty tried first."""
    kept = direction.copy()
    for j in np.argsort(np.abs(direction)):
        without = kept.copy()
        without[j] = 0.0
        if _apart(z @ without, y):
            kept = without
    return tuple(name for name, weight in zip(names, kept, strict=True) if weight != 0)


def _starting_values(z: FloatArray, y: BoolArray) -> FloatArray:
    """Intercept and slopes to start Newton's method from: the share treated, or on large data nearly the maximum."""
    if z.size < LBFGS_FROM:
        intercept = float(np.log(y.sum() / (~y).sum()))
        return np.concatenate([[intercept], np.zeros(z.shape[1])])
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=np.inf, solver="lbfgs", tol=1e-8, max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the Newton steps that follow judge convergence
        model.fit(z, y)
    return np.concatenate([model.intercept_, model.coef_[0]]).astype(np.float64)


def _information(design: FloatArray, weight: FloatArray) -> FloatArray:
    """``X'WX`` (k, k), summed over blocks of rows."""
    total = np.zeros((design.shape[1], design.shape[1]))
    for start in range(0, design.shape[0], ROWS_PER_BLOCK):
        rows = slice(start, start + ROWS_PER_BLOCK)
        root = np.sqrt(weight[rows])[:, None] * design[rows]
        total += root.T @ root
    return total


def _penalised_likelihood(design: FloatArray, y: FloatArray, beta: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Firth's objective at beta, its gradient (k,), and the information (k, k)."""
    eta = design @ beta
    p = expit(eta)
    w = p * (1 - p)
    information = _information(design, w)
    value = float(y @ eta - np.logaddexp(0, eta).sum() + np.linalg.slogdet(information)[1] / 2)
    leverage = w * (_whitened(design, information) ** 2).sum(axis=1)
    return value, design.T @ (y - p + leverage * (0.5 - p)), information


def _curvature(design: FloatArray, information: FloatArray, p: FloatArray) -> FloatArray:
    """Minus the second derivative (k, k) of Firth's objective, made positive definite.

    ``I - [tr(I^-1 I_jl) - tr(I^-1 I_j I^-1 I_l)] / 2`` with I_j and I_jl the derivatives of the information I. Relative
    to I its eigenvalues are taken as they are above 1/100, otherwise by size and no less than that: far from the
    maximum the objective is not concave.
    """
    k = design.shape[1]
    w = p * (1 - p)
    white = _whitened(design, information)
    first = np.zeros((k, k * k))
    for start in range(0, design.shape[0], block := max(1, ROWS_PER_BLOCK // k)):
        rows = slice(start, start + block)
        pairs = (white[rows, :, None] * white[rows, None, :]).reshape(-1, k * k)
        first += (design[rows] * (w * (1 - 2 * p))[rows, None]).T @ pairs
    second = design.T @ (design * (w * (1 - 6 * w) * (white**2).sum(axis=1))[:, None])
    root = np.linalg.cholesky(information)
    relative = np.linalg.solve(root, np.linalg.solve(root, (second - first @ first.T) / 2).T)
    values, vectors = np.linalg.eigh(np.eye(k) - (relative + relative.T) / 2)
    half = root @ vectors * np.sqrt(np.maximum(np.abs(values), 0.01))
    return np.asarray(half @ half.T, dtype=np.float64)


def _whitened(design: FloatArray, information: FloatArray) -> FloatArray:
    """Rows u (n, k) with ``u'u = x' I^-1 x``."""
    return np.asarray(np.linalg.solve(np.linalg.cholesky(information), design.T).T, dtype=np.float64)


def expit(eta: FloatArray) -> FloatArray:
    """Probability from log odds, elementwise.

    >>> expit(np.array([0.0, np.log(3.0)])).tolist()
    [0.5, 0.75]
    """
    return np.asarray(0.5 * (1 + np.tanh(0.5 * eta)), dtype=np.float64)
