"""The engine by itself, for people with a table and no study file: `match`, `weight`, `balance`.

    from causal.design import balance, match, weight

Words are MatchIt's and WeightIt's where those have a word (`method`, `estimand`, `ratio`, `replace`, `caliper`,
`exact`, `antiexact`, `mahvars`, `m_order`, `stabilize`). No outcome is asked for: choose the design first.

The answer is a function of the units' keys and values alone. Units are put in order of their key (the index of the
table, or the column `key`) before anything is computed, and every tie goes to the earlier key, so the order of the
rows, the number of threads and the machine change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from causal.design.api_arguments import MATCHINGS, WEIGHTINGS, arguments, matching, one_of, weighting
from causal.design.api_units import Sample, places, sample_of
from causal.design.compare import Comparison, compare
from causal.design.diagnostics.balance import balance_table
from causal.design.fates import fates_of_columns
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.separation import separation
from causal.design.weighting.weights import WeightEstimand, effective_sample_size
from causal.errors import DesignError
from causal.numeric.grid import SCORE, figures, settled
from causal.protocol.matching import AnyMatching
from causal.protocol.weighting import AnyWeighting
from causal.threads import one_thread

FloatArray = NDArray[np.float64]

OURS = ("weights", "distance", "subclass")
"""Columns `Designed.data` adds; a table that has one already is refused."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Designed:
    """Groups made comparable, by matching or by weighting.

    Attributes
    ----------
    estimand
        Whose effect a contrast of the weighted groups estimates, in letters: ``ATT``; ``ATT in the matched`` when
        treated units found no partner.
    estimand_note
        What trimming or truncation changed, in words; empty for nothing.
    key
        Column whose values name the units; None for the table's index. What follows is indexed by these names.
    weights
        (n,) weight of every unit of the table, in its order; 0 for units left out.
    subclass
        (n,) number of the unit's matched set, missing where it is in none; None for weighting and with replacement.
    sets
        One row per member of a set: ``subclass``, ``unit`` (its key), ``treated``, ``weight``. For weighting, the
        units with weight.
    distance
        (n,) estimated log odds of treatment; None where the method needs none.
    balance
        Every covariate before and after (`balance`).
    fates
        What became of every declared covariate: ``adjusted``, ``constant``, ``collinear with`` others by name.
    n_unmatched
        Units of the group the effect is about that were left out.
    """

    estimand: str
    estimand_note: str
    key: str | None
    weights: pd.Series
    subclass: pd.Series | None
    sets: pd.DataFrame
    distance: pd.Series | None
    balance: pd.DataFrame
    fates: pd.Series
    n_unmatched: int

    def data(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows of `table` with weight, with ``weights`` and, where there are any, ``subclass`` and ``distance``.

        Units are found by their key, wherever they stand; rows of the table that are no unit of the design have no
        weight.

        Raises
        ------
        DesignError
            ``design.key`` where the key is missing, repeated, or lacks some units; ``design.column_name``.
        """
        at = places(self.weights.index, table, self.key)
        _require_free(table)
        inside = (at >= 0) & (self.weights.to_numpy()[at] > 0)
        found = {"weights": self.weights, "subclass": self.subclass, "distance": self.distance}
        added: dict[str, Any] = {n: column.array[at[inside]] for n, column in found.items() if column is not None}
        return table.loc[inside].assign(**added)

    @property
    def effective_sample_size(self) -> float:
        """Kish's effective number of all units with weight."""
        return effective_sample_size(self.weights.to_numpy(dtype=np.float64))


def match(
    table: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str],
    *,
    method: Literal["nearest", "optimal", "full", "quick", "fine", "cardinality", "cem", "subclass"] = "nearest",
    estimand: Literal["ATT", "ATC", "ATE"] = "ATT",
    distance: Literal["glm", "mahalanobis", "robust_mahalanobis"] = "glm",
    link: Literal["linear.logit", "logit"] = "linear.logit",
    mahvars: Sequence[str] = (),
    ratio: int = 1,
    replace: bool = False,
    reuse_max: int | None = None,
    m_order: Literal["largest", "smallest", "closest", "data", "random"] = "largest",
    seed: int | None = None,
    caliper: float | None = None,
    caliper_sd: Literal["pooled_within", "whole"] = "pooled_within",
    calipers: Mapping[str, float] | None = None,
    std_caliper: bool = True,
    exact: Sequence[str] = (),
    antiexact: Sequence[str] = (),
    prefer: Mapping[str, float] | None = None,
    fine: Sequence[str] = (),
    max_controls: int | None = None,
    tols: float = 0.05,
    cutpoints: Mapping[str, int] | None = None,
    subclass: int = 6,
    key: str | None = None,
    person: str | None = None,
) -> Designed:
    """Matched groups.

    Parameters
    ----------
    table
        One row per unit, complete in the columns used.
    treatment, covariates
        Column of 0 and 1; columns that make units alike. Text and categories become indicators, one for every level.
    method
        ``nearest`` greedy; ``optimal`` pairs or 1:k; ``full``; ``quick`` generalised full; ``fine`` optimal with fine
        balance on `fine`; ``cardinality`` largest balanced sample; ``cem`` coarsened exact; ``subclass``.
    estimand
        Pairs and 1:k sets stand for the treated (ATT) or the untreated (ATC); full matching and strata also for all.
    distance, link, mahvars
        Closeness on the log odds of treatment (``glm``; ``link="logit"`` for the probability), or Mahalanobis distance
        on `mahvars` (all covariates where none is named), plain or on ranks. ``glm`` with `mahvars` is Mahalanobis
        distance within the caliper on the score. ``cem`` coarsens `mahvars`, in `cutpoints` bins each.
    ratio, replace, reuse_max
        Comparisons per treated unit; whether and how often one may be reused.
    m_order, seed
        Who chooses first under ``nearest``: largest or smallest score (the earliest key where there is no score);
        ``random`` needs a seed.
    caliper, caliper_sd
        Largest distance on the score in standard deviations of the score: pooled within groups, or of everyone.
    calipers, std_caliper
        Limits by covariate, in standard deviations (`caliper_sd`) or, with ``std_caliper=False``, in its unit. A
        negative limit forbids closeness.
    exact, antiexact, prefer
        Columns that must agree, must differ, or had better agree (column: penalty in units of the distance).
    fine, max_controls, tols, subclass
        Columns balanced by ``fine``; most comparisons in a set of ``full``; the tolerance of ``cardinality``; the
        number of strata of ``subclass``.
    key
        Column that names units; the index where None. It must be unique.
    person
        Column that names the person a unit belongs to, where a person has several (periods, visits, occasions): nobody
        is matched to their own units, and nobody is a comparison in more than one set, or in more than `reuse_max`
        where comparisons may be reused (MatchIt's ``unit.id``). ``cardinality`` keeps one unit of a person.

    Raises
    ------
    DesignError
        Input no method can use, each in one line; an argument the method does not use (``design.argument``); nothing
        can be matched; separation; too much memory.

    >>> table = pd.DataFrame({"treat": [1, 1, 0, 0, 0, 0], "age": [30, 40, 29, 41, 60, 22]}, index=list("abcdef"))
    >>> found = match(table, "treat", ["age"], distance="mahalanobis")
    >>> found.weights.tolist(), found.estimand
    ([1.0, 1.0, 1.0, 1.0, 0.0, 0.0], 'ATT')
    """
    given = arguments(match, locals(), MATCHINGS)
    exact = given.get("exact", ())
    persons = () if given.get("person") is None else (given["person"],)
    keys = (*exact, *given.get("antiexact", ()), *given.get("prefer", ()), *given.get("fine", ()), *persons)
    sample = _sample(table, treatment, covariates, keys=keys, key=key)
    words = matching(given, sample)
    return _designed(
        sample,
        words,
        key=key,
        exact=exact,
        person=given.get("person"),
        scored=method != "cem" and (distance == "glm" or caliper is not None),
        probability=link == "logit",
        swap=estimand == "ATC" and "ATE" not in MATCHINGS[method].estimands,
    )


def weight(
    table: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str],
    *,
    method: Literal["glm", "ebal", "cbps"] = "glm",
    estimand: WeightEstimand = "ATT",
    stabilize: bool = False,
    trim: tuple[float, float] | None = None,
    truncate: tuple[float, float] | None = None,
    moments: Literal[1, 2, 3] = 1,
    interactions: bool = False,
    key: str | None = None,
) -> Designed:
    """Weighted groups.

    Parameters
    ----------
    table, treatment, covariates, key
        As in `match`.
    method
        ``glm`` weights from the estimated probability of treatment; ``ebal`` entropy balancing; ``cbps`` the
        covariate-balancing propensity score.
    estimand
        ``ATT``, ``ATC``, ``ATE``; for ``glm`` and ``ebal`` also ``ATO`` (overlap); for ``glm`` also ``ATM`` (matching
        weights).
    stabilize, trim, truncate
        For ``glm``: multiply by the group's share; leave out probabilities beyond two bounds; set weights beyond two
        quantiles to them. The estimand says what was done.
    moments, interactions
        For ``ebal``: means (1), also variances (2), also skewness (3); also the means of all pairwise products.

    Raises
    ------
    DesignError
        Input no method can use; an argument the method does not use (``design.argument``); separation; no weights
        balance the covariates.

    >>> table = pd.DataFrame({"treat": [1, 1, 0, 0, 0, 0], "age": [30, 40, 29, 41, 60, 22]}, index=list("abcdef"))
    >>> found = weight(table, "treat", ["age"], method="ebal")
    >>> round(float(found.balance.loc["age", "smd_after"]), 6) == 0
    True
    """
    given = arguments(weight, locals(), WEIGHTINGS)
    words = weighting(given)
    scored = method == "glm" or estimand == "ATO"
    return _designed(_sample(table, treatment, covariates, key=key), words, key=key, scored=scored)


def balance(
    table: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str],
    weights: pd.Series | Designed | Sequence[float] | FloatArray | None = None,
    *,
    estimand: WeightEstimand = "ATT",
) -> pd.DataFrame:
    """Balance of every covariate before and after, one row each, in units fixed before adjustment.

    Parameters
    ----------
    weights
        What `match` or `weight` returned, found by its key; weights by the table's index; or one weight per row, in
        the table's order. None for no adjustment (after equals before).
    estimand
        Sets the denominator of the standardised mean differences; taken from a `Designed`.

    Raises
    ------
    DesignError
        ``design.key`` where weights and table are not of the same units; ``design.weights``; input no table can be
        made of.

    >>> table = pd.DataFrame({"treat": [1, 1, 0, 0], "age": [30, 40, 25, 35]})
    >>> round(float(balance(table, "treat", ["age"]).loc["age", "smd_before"]), 4)
    0.7071
    """
    one_of("estimand", estimand, WEIGHTINGS["glm"].estimands)
    if not isinstance(table, pd.DataFrame):
        raise DesignError("design.argument", "the table must be a pandas DataFrame")
    if isinstance(weights, Designed):
        estimand = _letters(weights.estimand)
    given = _weights_of(table, weights)
    rows = table.reset_index(drop=True)  # balance has no order to keep: units need no name
    return _balance(sample_of(rows, treatment, covariates, key=None), given, estimand)


def _weights_of(table: pd.DataFrame, weights: Any) -> FloatArray:
    """One weight per row of the table (n,)."""
    if weights is None:
        return np.ones(len(table))
    if isinstance(weights, Designed):
        at = places(weights.weights.index, table, weights.key)
        if (at < 0).any():
            raise DesignError("design.key", "the table has units the design does not have")
        return weights.weights.to_numpy(dtype=np.float64)[at]
    if isinstance(weights, pd.Series) and not weights.index.equals(table.index):
        if not weights.index.is_unique or not table.index.isin(weights.index).all():
            raise DesignError(
                "design.key", "the weights' index is not that of the table", fix="give one weight per unit"
            )
        weights = weights.reindex(table.index)
    try:
        given = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise DesignError("design.weights", "some weights are not numbers") from None
    if given.shape != (len(table),):
        raise DesignError("design.weights", f"expected {len(table)} weights, one per row, got shape {given.shape}")
    return given


def _sample(
    table: pd.DataFrame, treatment: str, covariates: Sequence[str], *, keys: Sequence[str] = (), key: str | None
) -> Sample:
    sample = sample_of(table, treatment, covariates, keys=keys, key=key)
    _require_free(table)
    return sample


def _require_free(table: pd.DataFrame) -> None:
    if taken := [name for name in OURS if name in table.columns]:
        raise DesignError(
            "design.column_name",
            f"the table has a column named like one of ours: {', '.join(taken)}",
            fix="rename it before matching or weighting",
        )


def _designed(
    sample: Sample,
    words: AnyMatching | AnyWeighting,
    *,
    key: str | None,
    scored: bool,
    exact: Sequence[str] = (),
    person: str | None = None,
    probability: bool = False,
    swap: bool = False,
) -> Designed:
    """The comparison of the units in order of their key, given back in the order of the table."""
    with sample.in_words(), one_thread():
        propensity = _propensity(sample) if scored else None
        logit = np.zeros(sample.treated.size) if propensity is None else propensity.logit
        score = expit(logit) if probability else logit  # closeness is measured on what stands for the log odds
        compared = compare(words, sample.units(score, exact, person, swap=swap))
    return _given_back(sample, compared, propensity, key, swap=swap)


def _propensity(sample: Sample) -> Propensity:
    """Log odds of treatment; separation is refused however few the events, as a finding about positivity."""
    names = [name for name, spare in zip(sample.short, sample.covariates.spare, strict=True) if not spare]
    fitted = fit_propensity(sample.covariates.in_models, sample.treated, names=names)
    if fitted.separated:
        raise separation(fitted.separated)
    return fitted


def _given_back(
    sample: Sample, compared: Comparison, propensity: Propensity | None, key: str | None, *, swap: bool
) -> Designed:
    estimand: WeightEstimand = "ATC" if swap else compared.estimand
    focal = {"ATT": sample.treated, "ATC": ~sample.treated}.get(estimand, np.ones_like(sample.treated))
    lost = int((focal & (compared.weight == 0)).sum())
    modified = compared.weights is not None and compared.weights.estimand != compared.estimand
    index = sample.keys[sample.place]

    def by_key(values: Any, name: str) -> pd.Series:
        return pd.Series(values[sample.place], index=index, name=name)

    subclass = None
    if compared.grouping != "weight" and np.unique(compared.row).size == compared.row.size:
        of_unit = pd.array([pd.NA] * sample.treated.size, dtype="Int64")
        of_unit[compared.row] = compared.set_id
        subclass = by_key(of_unit, "subclass")
    members = {
        "subclass": compared.set_id,
        "unit": sample.keys[compared.row],
        "treated": sample.treated[compared.row],
        "weight": compared.row_weight,
    }
    return Designed(
        estimand=estimand + (", modified" if modified else " in the matched" * (lost > 0 and compared.weights is None)),
        estimand_note=compared.note,
        key=key,
        weights=by_key(compared.weight, "weights"),
        subclass=subclass,
        sets=pd.DataFrame(members),
        distance=None if propensity is None else by_key(settled(propensity.logit, SCORE), "distance"),
        balance=_balance(sample, compared.weight, estimand),
        fates=pd.Series({one.name: one.said for one in fates_of_columns(sample.covariates)}, name="fate"),
        n_unmatched=lost,
    )


def _balance(sample: Sample, weights: FloatArray, estimand: WeightEstimand) -> pd.DataFrame:
    shown = sample.covariates.shown
    values, names = sample.covariates.values[:, shown], [sample.short[j] for j in shown]
    with sample.in_words():
        rows = figures(balance_table(values, names, [1] * len(names), sample.treated, weights, estimand=estimand))
    table = pd.DataFrame([asdict(row) for row in rows]).drop(columns=["tier", "name"])
    return table.set_index(pd.Index([sample.covariates.names[j] for j in shown], name="name"))


def _letters(estimand: str) -> WeightEstimand:
    return estimand[:3]  # type: ignore[return-value]  # the letters come first
