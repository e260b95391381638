"""One model of some rows: which columns count, whether they separate the arms, and the estimates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.propensity.average import member_weights, members_of
from causal.design.propensity.boosting import Boosted, boosted
from causal.design.propensity.columns import Moments, kept_columns, moments
from causal.design.propensity.elastic_net import elastic_net
from causal.design.propensity.firth import FIRTH_BELOW, penalised_likelihood
from causal.design.propensity.logistic import Climb, maximum_likelihood
from causal.design.propensity.model import PropensityModel
from causal.design.propensity.separation import alone, separating_covariates, separation
from causal.design.propensity.sums import Regression, log_odds
from causal.errors import DesignError
from causal.numeric.folds import tuning_folds
from causal.numeric.keys import KeyArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Method = Literal["maximum likelihood", "Firth", "elastic net", "boosting", "average"]

REFUSE_BELOW = 3.0  # events per parameter under which no score is fitted
BENDS_FROM = 4.0  # events per parameter that a model must keep for a bend to be added to it


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows of a model: columns (n, q), arms (n,), offset (n,) or (0,), clusters (n,) or None, keys (n,)."""

    x: FloatArray
    treated: BoolArray
    offset: FloatArray
    clusters: IntArray | None
    key: KeyArray

    def take(self, rows: BoolArray) -> Rows:
        """Some of the rows."""
        return Rows(
            x=self.x[rows],
            treated=self.treated[rows],
            offset=self.offset[rows] if self.offset.size else self.offset,
            clusters=None if self.clusters is None else self.clusters[rows],
            key=self.key[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimates:
    """Estimates of one model, their log odds (n,) on its rows, and how it scores others; see `Propensity`.

    `outside` (n,) are the log odds of its rows by models that never saw them, where such were fitted on the way.
    """

    method: Method
    coefficients: FloatArray
    intercept: float
    covariance: FloatArray | None
    penalty: float | None
    logit: FloatArray
    score: Callable[[Rows], FloatArray]
    outside: FloatArray | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """A model of some rows: estimates of the columns kept, and what was found about the columns."""

    names: tuple[str, ...]
    aliased: tuple[str, ...]
    separated: tuple[str, ...]
    events_per_parameter: float
    estimates: Estimates


def fitted_to(
    rows: Rows,
    found: Moments,
    names: tuple[str, ...],
    model: PropensityModel,
    seed: int,
    *,
    inside_fold: bool = False,
    finite: bool = False,
) -> Fitted:
    """One model of the rows; columns that do not vary or repeat earlier ones are left out by name.

    Inside a fold separation is no finding about the whole: Firth's likelihood, always finite, takes over. So it does in
    the whole where the caller judges separation (`finite`).

    Raises
    ------
    DesignError
        As `fit_propensity`.
    """
    if model.kind == "average":
        return _averaged(rows, found, names, model, seed, inside_fold=inside_fold)
    kept = kept_columns(rows.x, found)
    used = tuple(name for name, keep in zip(names, kept, strict=True) if keep)
    per_parameter = min(int(rows.treated.sum()), int((~rows.treated).sum())) / max(len(used), 1)
    if per_parameter < REFUSE_BELOW and not inside_fold:  # the whole was judged
        raise DesignError(
            "design.too_few_events",
            f"the smaller arm has fewer than {REFUSE_BELOW:g} occasions for each of the {len(used)} covariates",
            fix="declare fewer covariates, or wait for more occasions",
        )
    regression = _regression(rows, kept, found.centre[kept], found.scale[kept])
    separated = alone(found, names)
    unpenalised = None if separated else maximum_likelihood(regression)
    if unpenalised is not None:
        separated = separating_covariates(regression, unpenalised, used)
    linear = _linear(rows, kept, regression, model, per_parameter, unpenalised, separated, finite=finite or inside_fold)
    return Fitted(
        names=used,
        aliased=tuple(name for name, keep in zip(names, kept, strict=True) if not keep),
        separated=separated,
        events_per_parameter=per_parameter,
        estimates=_boosted(rows, kept, linear, model, seed, certain=bool(separated) and not (finite or inside_fold))
        if model.kind == "boosting"
        else linear,
    )


def _averaged(
    rows: Rows, found: Moments, names: tuple[str, ...], model: PropensityModel, seed: int, *, inside_fold: bool
) -> Fitted:
    """The average of the members' log odds; what was found about the columns is the logistic member's.

    What ridge and trees say of rows they never saw comes from their own fits, which need it too, in the same folds.
    """
    members = members_of(model)
    fold = tuning_folds(rows.treated, rows.key, rows.clusters)

    def outside(member: PropensityModel) -> FloatArray:
        logit = np.empty(rows.treated.size)
        for k in range(int(fold.max()) + 1):
            seen = rows.take(fold != k)
            there = fitted_to(seen, moments(seen.x, seen.treated), names, member, seed, inside_fold=True)
            logit[fold == k] = there.estimates.score(rows.take(fold == k))
        return logit

    fits = [fitted_to(rows, found, names, member, seed, inside_fold=inside_fold) for member in members]
    said = [one.estimates.outside for one in fits]
    unseen = [outside(member) if known is None else known for member, known in zip(members, said, strict=True)]
    weights = member_weights(rows.treated, unseen)
    taken = [(weight, one.estimates) for weight, one in zip(weights, fits, strict=True) if weight > 0]

    def averaged(score: Callable[[Estimates], FloatArray]) -> FloatArray:
        return np.asarray(sum(weight * score(one) for weight, one in taken), dtype=np.float64)

    estimates = Estimates(
        method="average",
        coefficients=np.empty(0),
        intercept=float("nan"),
        covariance=None,
        penalty=None,
        logit=averaged(lambda one: one.logit),
        score=lambda others: averaged(lambda one: one.score(others)),
    )
    return replace(fits[0], estimates=estimates)


def _regression(rows: Rows, kept: BoolArray, centre: FloatArray, scale: FloatArray) -> Regression:
    """The regression of the arm on the columns kept."""
    return Regression(
        x=rows.x if kept.all() else np.ascontiguousarray(rows.x[:, kept]),
        centre=centre,
        scale=scale,
        outcome=rows.treated.astype(np.float64),
        offset=rows.offset,
    )


def _boosted(
    rows: Rows, kept: BoolArray, linear: Estimates, model: PropensityModel, seed: int, *, certain: bool
) -> Estimates:
    """Estimates of the logistic model and trees together."""

    def line(columns: FloatArray) -> FloatArray:
        x = np.zeros((columns.shape[0], kept.size))
        x[:, kept] = columns
        nobody, nameless = np.zeros(columns.shape[0], dtype=np.bool_), np.zeros(columns.shape[0], dtype=rows.key.dtype)
        return linear.score(Rows(x=x, treated=nobody, offset=np.empty(0), clusters=None, key=nameless))

    found = boosted(
        rows.x[:, kept],
        rows.treated,
        Boosted(logit=linear.logit, score=line),
        model,
        certain=certain,
        key=rows.key,
        clusters=rows.clusters,
        seed=seed,
    )
    return Estimates(
        method="boosting",
        coefficients=np.empty(0),
        intercept=float("nan"),
        covariance=None,
        penalty=None,
        logit=found.logit,
        score=lambda others: found.score(others.x[:, kept]),
        outside=found.outside,
    )


def _linear(
    rows: Rows,
    kept: BoolArray,
    regression: Regression,
    model: PropensityModel,
    per_parameter: float,
    unpenalised: Climb | None,
    separated: tuple[str, ...],
    *,
    finite: bool,
) -> Estimates:
    """Estimates of a linear model on the scale of the columns as given."""
    penalty, outside = None, None
    if model.kind == "elastic_net":
        net = elastic_net(
            regression, l1_ratio=model.l1_ratio, penalty=model.penalty, key=rows.key, clusters=rows.clusters
        )
        method: Method = "elastic net"
        climbed, penalty, outside = net.climbed, net.penalty, net.outside
    elif per_parameter < FIRTH_BELOW or ((finite or model.kind == "boosting") and separated):
        method, climbed = "Firth", penalised_likelihood(regression)
    elif unpenalised is None or separated:
        raise separation(separated)
    else:
        method, climbed = "maximum likelihood", unpenalised
    back = np.diag(np.concatenate([[1.0], 1 / regression.scale]))
    back[0, 1:] = -regression.centre / regression.scale
    estimates = back @ climbed.beta
    covariance = None if penalty is not None else back @ np.linalg.inv(climbed.sums.information) @ back.T

    def score(others: Rows) -> FloatArray:
        unseen = _regression(others, kept, regression.centre, regression.scale)
        return log_odds(unseen, climbed.beta, slice(None))

    return Estimates(
        method=method,
        coefficients=estimates[1:],
        intercept=float(estimates[0]),
        covariance=covariance,
        penalty=penalty,
        logit=climbed.logit,
        score=score,
        outside=outside,
    )
