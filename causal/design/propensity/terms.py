"""From covariates to the columns of a propensity model: splines, interactions, cluster means, cluster effects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causal.design.memory import require_memory
from causal.design.propensity.columns import kept_columns, moments
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.splines import bend, harrell_knots, natural_spline_terms
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LOGISTIC = PropensityModel()
ROUNDING = 1e-9  # cluster means that differ by less, in standard deviations of the covariate, are the same


def model_matrix(
    covariates: FloatArray,
    names: Sequence[str],
    model: PropensityModel = LOGISTIC,
    clusters: IntArray | None = None,
) -> tuple[FloatArray, tuple[str, ...]]:
    """The design matrix of a model of kind ``logistic`` or ``elastic_net``, for estimating equations.

    Parameters
    ----------
    covariates, names, model, clusters
        As in `fit_propensity`.

    Returns
    -------
    (n, k + 1) a column of ones and the k kept columns, each with mean 0 and standard deviation 1, and their names. With
    p the fitted probabilities the scores of maximum likelihood are ``psi_i = x_i (y_i - p_i)``, their sum is 0 and its
    derivative ``-X'WX`` with ``W = p(1 - p)``. (Firth's and the elastic net's estimates solve other equations.)

    >>> model_matrix(np.array([[1.0, 2], [3, 6]]), ["age", "twice the age"])
    (array([[ 1., -1.],
           [ 1.,  1.]]), ('intercept', 'age'))
    """
    x = np.require(covariates, dtype=np.float64, requirements=["C", "W"])
    x, labels = model_columns(x, tuple(names), model, clusters)
    found = moments(x, np.zeros(x.shape[0], dtype=np.bool_))
    kept = kept_columns(x, found)
    z = (x[:, kept] - found.centre[kept]) / found.scale[kept]
    used = tuple(name for name, keep in zip(labels, kept, strict=True) if keep)
    return np.column_stack([np.ones(x.shape[0]), z]), ("intercept", *used)


def model_columns(
    x: FloatArray,
    names: tuple[str, ...],
    model: PropensityModel,
    clusters: IntArray | None,
    *,
    learned_from: BoolArray | None = None,
) -> tuple[FloatArray, tuple[str, ...]]:
    """The columns (n, q) of a model before any is dropped, and their names: the covariates (n, p) come first.

    Parameters
    ----------
    learned_from
        (n,) rows that place the knots; None for all.

    Raises
    ------
    DesignError
        ``design.unknown_covariate``, ``design.spline_binary``, ``design.spline_knots``, ``design.no_clusters``,
        ``design.memory``.
    """
    if not model.adds_terms:
        return x, names
    if (model.mundlak or model.cluster_effects) and clusters is None:
        raise DesignError("design.no_clusters", "cluster means and effects need clusters", fix="name the cluster")
    code = np.zeros(0, dtype=np.int64) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    width = x.shape[1] * (1 + model.mundlak) + len(model.splines) * (model.knots - 2) + len(model.bends)
    width += len(model.interactions) + int(code.max(initial=0)) * model.cluster_effects
    require_memory(
        16.0 * x.shape[0] * width, work=f"the {width} columns of the propensity model", instead="fewer terms"
    )
    rows = slice(None) if learned_from is None else learned_from
    blocks, labels = [x], list(names)
    for name in model.splines:
        column = x[:, _index(names, name)]
        blocks.append(natural_spline_terms(column, _knots(column[rows], name, model.knots)))
        labels += [f"{name}, bend {j + 1}" for j in range(model.knots - 2)]
    for name in model.bends:
        term = bend(x[:, _index(names, name)], learned_from)
        if term is None and learned_from is not None:
            continue  # some folds may hold too few of its values
        if term is None:
            raise DesignError(
                "design.spline_knots",
                f"covariate {name} has too few values for a bend",
                fix="let it enter as a line or as categories",
            )
        blocks.append(term[:, None])
        labels.append(f"{name}, bend")
    for one, other in model.interactions:
        blocks.append((x[:, _index(names, one)] * x[:, _index(names, other)])[:, None])
        labels.append(f"{one}:{other}")
    if model.mundlak:
        blocks.append(_cluster_means(x, code))
        labels += [f"{name}, cluster mean" for name in names]
    if model.cluster_effects:
        blocks.append((code[:, None] == np.arange(1, code.max() + 1)).astype(np.float64))
        labels += [f"cluster {g + 1}" for g in range(1, int(code.max()) + 1)]
    return np.ascontiguousarray(np.concatenate(blocks, axis=1)), tuple(labels)


def _index(names: tuple[str, ...], name: str) -> int:
    if name not in names:
        raise DesignError(
            "design.unknown_covariate",
            f"the propensity model names '{name}', which is no covariate; known: {', '.join(names)}",
        )
    return names.index(name)


def _knots(values: FloatArray, name: str, knots: int) -> FloatArray:
    """Distinct knots for a covariate, or a refusal by name."""
    low, high = values.min(), values.max()
    if ((values == low) | (values == high)).all():
        raise DesignError(
            "design.spline_binary", f"covariate {name} has two values: no curve can bend", fix="take it out of splines"
        )
    placed = harrell_knots(values, knots)
    if not (np.diff(placed) > 0).all():
        raise DesignError(
            "design.spline_knots",
            f"{knots} knots of covariate {name} fall on fewer distinct values",
            fix="fewer knots, or let it enter as a line or as categories",
        )
    return placed


def _cluster_means(x: FloatArray, code: IntArray) -> FloatArray:
    """Each row's cluster mean of every column (n, p); exactly constant where it is so to rounding."""
    size = np.bincount(code)
    centre, spread = x.mean(axis=0), x.std(axis=0)
    deviation = np.column_stack([np.bincount(code, weights=column) / size for column in (x - centre).T])
    deviation[:, np.abs(deviation).max(axis=0) <= ROUNDING * spread] = 0.0
    return np.asarray((centre + deviation)[code], dtype=np.float64)
