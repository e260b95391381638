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
from pydantic import TypeAdapter, ValidationError
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

from causal.design.compare import Comparison, Units, compare
from causal.design.diagnostics.balance import balance_table
from causal.design.frame import column_of, design_columns, treatment_of
from causal.design.matching.pairing import Pairing
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.weighting.weights import WeightEstimand, effective_sample_size
from causal.errors import DesignError
from causal.protocol.matching import AnyMatching, Matching
from causal.protocol.weighting import AnyWeighting, Weighting

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

OURS = ("weights", "distance", "subclass")
"""Columns `Matched.data` adds; a table that has one already is refused."""
METHODS = {
    "nearest": "greedy",
    "optimal": "optimal",
    "full": "full",
    "quick": "generalised_full",
    "fine": "fine_balance",
    "cardinality": "cardinality",
    "cem": "coarsened_exact",
    "subclass": "subclassification",
}
ORDERS = {"largest": "highest", "smallest": "lowest", "closest": "closest", "data": "earliest", "random": "random"}
DISTANCES = {"mahalanobis": "mahalanobis", "robust_mahalanobis": "rank_mahalanobis"}
WEIGHTS = {"glm": "propensity", "ebal": "entropy_balancing", "cbps": "covariate_balancing"}


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
    weights
        (n,) weight of every unit of the table, in its order; 0 for units left out.
    subclass
        (n,) number of the unit's matched set, missing where it is in none; None for weighting and with replacement.
    sets
        One row per member of a set: ``subclass``, ``unit``, ``treated``, ``weight``. For weighting, the units with
        weight.
    distance
        (n,) estimated log odds of treatment; None where the method needs none.
    balance
        Every covariate before and after (`balance`).
    n_unmatched
        Units of the group the effect is about that were left out.
    """

    estimand: str
    estimand_note: str
    weights: pd.Series
    subclass: pd.Series | None
    sets: pd.DataFrame
    distance: pd.Series | None
    balance: pd.DataFrame
    n_unmatched: int

    def data(self, table: pd.DataFrame) -> pd.DataFrame:
        """Rows of `table` with weight, with ``weights`` and, where there are any, ``subclass`` and ``distance``."""
        found = {"weights": self.weights, "subclass": self.subclass, "distance": self.distance}
        added: dict[str, Any] = {name: column for name, column in found.items() if column is not None}
        return table.assign(**added).loc[self.weights.reindex(table.index) > 0]

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
) -> Designed:
    """Matched groups.

    Parameters
    ----------
    table
        One row per unit, complete in the columns used.
    treatment, covariates
        Column of 0 and 1; columns that make units alike. Text and categories become indicators.
    method
        ``nearest`` greedy; ``optimal`` pairs or 1:k; ``full``; ``quick`` generalised full; ``fine`` optimal with fine
        balance on `fine`; ``cardinality`` largest balanced sample; ``cem`` coarsened exact; ``subclass``.
    estimand
        Pairs and 1:k sets stand for the treated (ATT) or the untreated (ATC); full matching and strata also for all.
    distance, link, mahvars
        Closeness on the log odds of treatment (``glm``; ``link="logit"`` for the probability), or Mahalanobis distance
        on `mahvars` (all covariates where none is named), plain or on ranks. ``cem`` coarsens `mahvars`.
    ratio, replace, reuse_max
        Comparisons per treated unit; whether and how often one may be reused.
    m_order, seed
        Who chooses first under ``nearest``; ``random`` needs a seed.
    caliper, caliper_sd
        Largest distance on the score in standard deviations of the score: pooled within groups, or of everyone.
    calipers, std_caliper
        Limits by covariate, in standard deviations (`caliper_sd`) or, with ``std_caliper=False``, in its unit. A
        negative limit forbids closeness.
    exact, antiexact, prefer
        Columns that must agree, must differ, or had better agree (column: penalty in units of the distance).
    key
        Column that names units; the index where None. It must be unique.

    Raises
    ------
    DesignError
        Input no method can use, each in one line; nothing can be matched; separation; too much memory.

    >>> table = pd.DataFrame({"treat": [1, 1, 0, 0, 0, 0], "age": [30, 40, 29, 41, 60, 22]}, index=list("abcdef"))
    >>> found = match(table, "treat", ["age"], distance="mahalanobis")
    >>> found.weights.tolist(), found.estimand
    ([1.0, 1.0, 1.0, 1.0, 0.0, 0.0], 'ATT')
    """
    score = {"scale": "logit" if link == "linear.logit" else "probability", "sd": caliper_sd}
    rules = {
        "caliper": None if caliper is None else score | {"width": caliper},
        "calipers": tuple(_caliper(name, width, caliper_sd if std_caliper else None) for name, width in
                          (calipers or {}).items()),
        "differ": tuple(antiexact),
        "prefer": tuple({"key": name, "penalty": penalty} for name, penalty in (prefer or {}).items()),
    }  # fmt: skip
    closeness = {"kind": "score"} if distance == "glm" else {"kind": DISTANCES[distance], "covariates": tuple(mahvars)}
    swap = estimand == "ATC" and method in {"nearest", "optimal", "fine", "cardinality"}
    if (m_order == "random") != (seed is not None):
        raise DesignError("design.seed", "a random order needs a seed, and no other order takes one", fix="give seed=1")
    if estimand == "ATE" and method in {"nearest", "optimal", "fine", "cardinality"}:
        raise DesignError(
            "design.estimand", f"'{method}' makes sets for one group: ATT or ATC", fix="use full, cem or subclass"
        )
    arguments: dict[str, dict[str, Any]] = {
            "nearest": {
                **rules, "ratio": ratio, "order": ORDERS[m_order], "seed": seed, "distance": closeness,
                "replacement": replace, "most_uses": reuse_max,
            },
            "optimal": {**rules, "ratio": ratio, "distance": closeness},
            "full": {**rules, "estimand": estimand, "most_comparisons": max_controls, "distance": closeness},
            "quick": {"estimand": estimand, "caliper": rules["caliper"]},
            "fine": {**rules, "ratio": ratio, "balance": tuple(fine), "distance": closeness},
            "cardinality": {"ratio": ratio, "tolerance": tols},
            "cem": {
                "estimand": estimand,
                "covariates": tuple(mahvars),
                "bins": tuple({"covariate": n, "number": k} for n, k in (cutpoints or {}).items()),
            },
            "subclass": {"estimand": estimand, "subclasses": subclass},
        }  # fmt: skip
    words = _declared({"method": METHODS[method]} | arguments[method], Matching)
    needs_score = distance == "glm" or caliper is not None or method in {"quick", "subclass"}
    keys = (*exact, *antiexact, *(prefer or {}), *fine)
    return _designed(
        table, treatment, covariates, words, exact=exact, keys=keys, key=key, needs_score=needs_score, swap=swap
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
        Input no method can use; separation; no weights balance the covariates.

    >>> table = pd.DataFrame({"treat": [1, 1, 0, 0, 0, 0], "age": [30, 40, 29, 41, 60, 22]}, index=list("abcdef"))
    >>> found = weight(table, "treat", ["age"], method="ebal")
    >>> round(float(found.balance.loc["age", "smd_after"]), 6) == 0
    True
    """
    arguments: dict[str, dict[str, Any]] = {
        "glm": {
            "estimand": estimand,
            "stabilised": stabilize,
            "trim": _bounds(trim),
            "truncate": _bounds(truncate),
        },
        "ebal": {"estimand": estimand, "moments": moments, "interactions": interactions},
        "cbps": {"estimand": estimand},
    }
    words = _declared({"method": WEIGHTS[method]} | arguments[method], Weighting)
    return _designed(
        table,
        treatment,
        covariates,
        words,
        exact=(),
        keys=(),
        key=key,
        needs_score=method != "ebal" or estimand == "ATO",
        swap=False,
    )


def balance(
    table: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str],
    weights: pd.Series | Designed | None = None,
    *,
    estimand: WeightEstimand = "ATT",
) -> pd.DataFrame:
    """Balance of every covariate before and after, one row each, in units fixed before adjustment.

    Parameters
    ----------
    weights
        Weights by unit, or what `match` or `weight` returned; None for no adjustment (after equals before).
    estimand
        Sets the denominator of the standardised mean differences; taken from a `Designed`.

    >>> table = pd.DataFrame({"treat": [1, 1, 0, 0], "age": [30, 40, 25, 35]})
    >>> round(float(balance(table, "treat", ["age"]).loc["age", "smd_before"]), 4)
    0.7071
    """
    if isinstance(weights, Designed):
        estimand, weights = _letters(weights.estimand), weights.weights
    given = np.ones(len(table)) if weights is None else weights.reindex(table.index).to_numpy(dtype=np.float64)
    matrix, names = _covariates(table, covariates)
    rows = balance_table(
        matrix, names, [1] * len(names), treatment_of(table, treatment), given, estimand=estimand
    )  # fmt: skip
    return pd.DataFrame([asdict(row) for row in rows]).set_index("name").drop(columns="tier")


def _designed(
    table: pd.DataFrame,
    treatment: str,
    covariates: Sequence[str],
    words: AnyMatching | AnyWeighting,
    *,
    exact: Sequence[str],
    keys: Sequence[str],
    key: str | None,
    needs_score: bool,
    swap: bool,
) -> Designed:
    """The comparison of the table's units in order of their key, given back in the order of the table."""
    if taken := [name for name in OURS if name in table.columns]:
        raise DesignError(
            "design.column_name",
            f"the table has a column named like one of ours: {', '.join(taken)}",
            fix="rename it before matching or weighting",
        )
    order = _canonical(table, key)
    units = table.iloc[order]
    treated = treatment_of(units, treatment)
    matrix, names = _covariates(units, covariates)
    with threadpool_limits(limits=1, user_api="blas"):
        propensity = fit_propensity(matrix, treated, names=names) if needs_score else None
        compared = compare(words, _units(units, treated, matrix, names, propensity, exact, keys, swap=swap))
    return _given_back(table, order, compared, treated, matrix, names, propensity, swap=swap)


def _units(
    units: pd.DataFrame,
    treated: BoolArray,
    matrix: FloatArray,
    names: tuple[str, ...],
    propensity: Propensity | None,
    exact: Sequence[str],
    keys: Sequence[str],
    *,
    swap: bool,
) -> Units:
    logit = np.zeros(treated.size) if propensity is None else propensity.logit
    codes = {name: pd.factorize(column_of(units, name), use_na_sentinel=False)[0].astype(np.int64) for name in keys}
    joint = np.zeros(treated.size, dtype=np.int64)
    for name in exact:
        joint = joint * (int(codes[name].max()) + 1) + codes[name]
    return Units(
        treated=~treated if swap else treated,
        covariates=matrix,
        names=names,
        tiers=(1,) * len(names),
        logit=-logit if swap else logit,
        keys=codes,
        pairing=Pairing(exact=joint if exact else None),
    )


def _given_back(
    table: pd.DataFrame,
    order: NDArray[np.intp],
    compared: Comparison,
    treated: BoolArray,
    matrix: FloatArray,
    names: tuple[str, ...],
    propensity: Propensity | None,
    *,
    swap: bool,
) -> Designed:
    index = table.index[order]
    estimand: WeightEstimand = "ATC" if swap else compared.estimand
    rows = balance_table(matrix, names, [1] * len(names), treated, compared.weight, estimand=estimand)
    focal = ~treated if estimand == "ATC" else treated
    lost = int((focal & (compared.weight == 0)).sum())
    if estimand not in {"ATT", "ATC"}:
        lost = int((compared.weight == 0).sum())
    note = " in the matched" if lost and compared.grouping != "weight" else ", modified" if compared.note else ""
    once = np.unique(compared.row).size == compared.row.size
    subclass = None
    if once and compared.grouping != "weight":
        subclass = pd.Series(pd.NA, index=index, dtype="Int64", name="subclass")
        subclass.iloc[compared.row] = compared.set_id
        subclass = subclass.reindex(table.index)
    return Designed(
        estimand=estimand + note,
        estimand_note=compared.note,
        weights=pd.Series(compared.weight, index=index, name="weights").reindex(table.index),
        subclass=subclass,
        sets=pd.DataFrame(
            {
                "subclass": compared.set_id,
                "unit": index[compared.row],
                "treated": treated[compared.row],
                "weight": compared.row_weight,
            }
        ),
        distance=None
        if propensity is None
        else pd.Series(propensity.logit, index=index, name="distance").reindex(table.index),
        balance=pd.DataFrame([asdict(row) for row in rows]).set_index("name").drop(columns="tier"),
        n_unmatched=lost,
    )


def _canonical(table: pd.DataFrame, key: str | None) -> NDArray[np.intp]:
    """Positions that put the units in order of their key."""
    values = table.index.to_series() if key is None else column_of(table, key)
    if values.isna().any() or not values.is_unique:
        raise DesignError(
            "design.key", "the units' key is missing or repeated for some rows", fix="name a column unique to each row"
        )
    return np.argsort(values.to_numpy(), kind="stable")


def _covariates(table: pd.DataFrame, names: Sequence[str]) -> tuple[FloatArray, tuple[str, ...]]:
    text = [name for name in names if not pd.api.types.is_numeric_dtype(column_of(table, name))]
    return design_columns(table, numeric=[name for name in names if name not in text], categorical=text)


def _caliper(name: str, width: float, sd: str | None) -> dict[str, Any]:
    return {"covariate": name, "width": abs(width), "sd": sd, "side": "within" if width > 0 else "beyond"}


def _bounds(pair: tuple[float, float] | None) -> dict[str, float] | None:
    return None if pair is None else {"lower": pair[0], "upper": pair[1]}


def _letters(estimand: str) -> WeightEstimand:
    return estimand[:3]  # type: ignore[return-value]  # the letters come first


def _declared(words: Mapping[str, Any], kind: Any) -> Any:
    """The declared method, refused in one line where an argument is out of range."""
    try:
        return TypeAdapter(kind).validate_python(words)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        raise DesignError("design.argument", f"argument {where}: {first['msg'].lower()}") from None
