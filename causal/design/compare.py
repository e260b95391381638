"""From a declared method to a comparison: the one place where the words of a study choose the engine that runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import rankdata

from causal.design.matching.caliper import caliper_width
from causal.design.matching.pairing import Pairing, nothing_matched
from causal.design.matching.sets import MatchedSets, SetEstimand, on_rows, row_weights, sets_from_labels
from causal.design.memory import MEMORY
from causal.design.propensity.model import PropensityModel
from causal.design.weighting.weights import WeightEstimand, Weights
from causal.errors import DesignError
from causal.numeric.grid import SCORE, WEIGHT_DIGITS, settled, significant
from causal.protocol.design import PropensityModel as DeclaredModel
from causal.protocol.matching import (
    AnyMatching,
    Caliper,
    Cardinality,
    CoarsenedExact,
    CovariateDistance,
    Distance,
    FineBalance,
    Full,
    GeneralisedFull,
    Greedy,
    Optimal,
    PairRules,
    Subclassification,
)
from causal.protocol.weighting import AnyWeighting, CovariateBalancing, EntropyBalancing, PropensityWeighting

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Grouping = Literal["matched set", "stratum", "weight"]
"""Whether a design compares within matched sets, within strata, or by weights alone."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Units:
    """n occasions as a method may see them, in canonical order.

    Attributes
    ----------
    treated, covariates, names, tiers
        (n,) arm, (n, p) complete covariates, their names and tiers.
    spare
        (p,) true for one level of each category, which the others determine: it counts in distances and tolerances,
        and nothing has to be solved for it. None where there is none.
    logit
        (n,) log odds of treatment.
    keys
        (n,) codes by name of every key that rules may name (clinic, clinician, regime).
    pairing
        The rules that hold whatever the method: exact keys, calendar window, persons.
    curves
        (n, q) bends and splines of the propensity: what balances means balances theirs too. None without any.
    design_matrix
        (n, k) of the logistic model behind `logit`, its intercept included: lets weights say how they were estimated.
        None where it is not a logistic model or nobody will ask.
    memory
        Gigabytes a method may take.
    """

    treated: BoolArray
    covariates: FloatArray
    names: tuple[str, ...]
    tiers: tuple[int, ...]
    logit: FloatArray
    keys: Mapping[str, IntArray]
    pairing: Pairing
    spare: BoolArray | None = None
    curves: FloatArray | None = None
    design_matrix: FloatArray | None = None
    memory: float = MEMORY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """Who is compared with whom, or with what weights.

    Attributes
    ----------
    grouping
        What holds compared occasions together.
    estimand, note
        Whose effect the weights stand for, and what trimming or truncation changed about that (empty: nothing).
    weight
        (n,) weight of every occasion; 0 outside the comparison.
    set_id, row, row_weight
        (m,) set, row and weight of each member; an occasion used in several sets has several. Under weighting each
        occasion with weight is its own.
    caliper
        Largest distance allowed on the score, or None.
    weights
        Under weighting, the weights with how they were estimated.
    """

    grouping: Grouping
    estimand: WeightEstimand
    note: str
    weight: FloatArray
    set_id: IntArray
    row: IntArray
    row_weight: FloatArray
    caliper: float | None
    weights: Weights | None = None


def compare(method: AnyMatching | AnyWeighting, units: Units, *, among: BoolArray | None = None) -> Comparison:
    """The comparison a declared method makes of n units, `among` (n,) those it may use.

    Calipers are in standard deviations of all n units, whoever may be used.

    Raises
    ------
    DesignError
        Nothing can be matched, the weights do not exist, or the method would need more memory than allowed.
    """
    rows = np.arange(units.treated.size) if among is None else np.flatnonzero(among)
    if isinstance(method, AnyMatching):
        return _from_sets(method, on_rows(_sets(method, units, rows), rows), units.treated.size)
    return _from_weights(_weights(method, units, rows), rows, units.treated.size)


def engine_model(declared: DeclaredModel) -> PropensityModel:
    """The propensity model a study declares, in the engine's words."""
    return PropensityModel(
        kind="elastic_net" if declared.model == "ridge" else declared.model,
        l1_ratio=0.0 if declared.model == "ridge" else 0.5,
        splines=declared.splines,
        knots=declared.knots,
        mundlak=declared.cluster_means is not None,
        cross_fit=declared.cross_fit,
    )


def coordinates_of(distance: Distance, units: Units) -> FloatArray:
    """Coordinates (n, p) whose Euclidean distance tells how unlike units are: the log odds, or the covariates'."""
    if isinstance(distance, CovariateDistance):
        return _coordinates(distance, units)[0]
    return score_of(None, units.logit)[:, None]


def score_of(caliper: Caliper | None, logit: FloatArray) -> FloatArray:
    """The scale on which closeness is measured (n,), settled: the caliper's, the log odds where there is none."""
    return settled(expit(logit) if caliper is not None and caliper.scale == "probability" else logit, SCORE)


def _from_sets(method: AnyMatching, sets: MatchedSets, n: int) -> Comparison:
    return Comparison(
        grouping="stratum" if isinstance(method, CoarsenedExact | Subclassification) else "matched set",
        estimand=getattr(method, "estimand", "ATT"),
        note="",
        weight=row_weights(sets, n),
        set_id=sets.set_id,
        row=sets.row,
        row_weight=sets.weight,
        caliper=sets.caliper,
    )


def _from_weights(weights: Weights, rows: IntArray, n: int) -> Comparison:
    """Weights of all n units, or of the `rows` among them."""
    weight = significant(weights.weight, WEIGHT_DIGITS)
    if weight.size < n:
        weight = np.zeros(n)
        weight[rows] = significant(weights.weight, WEIGHT_DIGITS)
    inside = np.flatnonzero(weight > 0)
    letters: WeightEstimand = weights.estimand[:3]  # type: ignore[assignment]  # the letters come first
    return Comparison(
        grouping="weight",
        estimand=letters,
        note=weights.estimand_note,
        weight=weight,
        set_id=np.arange(inside.size),
        row=inside,
        row_weight=weight[inside],
        caliper=None,
        weights=weights,
    )


def _sets(method: AnyMatching, units: Units, rows: IntArray) -> MatchedSets:
    """Matched sets whose `row` counts among `rows`. Each engine is imported where it is asked for."""
    treated, logit = units.treated[rows], score_of(None, units.logit)[rows]
    match method:
        case Greedy(distance=CovariateDistance() as distance):
            from causal.design.matching.covariate_nearest import match_nearest

            coordinates, unit = _coordinates(distance, units)
            return match_nearest(
                coordinates[rows],
                treated,
                score=score_of(method.caliper, units.logit)[rows],
                caliper=_width(method.caliper, units),
                ratio=method.ratio,
                order="data" if method.order == "earliest" else method.order,
                pairing=_pairing(method, units, unit).rows(rows),
                replacement=method.replacement,
                most_uses=method.most_uses,
                rng=_lot(method),
                memory=units.memory,
            )
        case Greedy():
            from causal.design.matching.greedy import match_greedy

            return match_greedy(
                score_of(method.caliper, units.logit)[rows],
                treated,
                ratio=method.ratio,
                caliper=_width(method.caliper, units),
                pairing=_pairing(method, units).rows(rows),
                order="data" if method.order == "earliest" else method.order,
                replacement=method.replacement,
                most_uses=method.most_uses,
                rng=_lot(method),
                memory=units.memory,
            )
        case Optimal():
            from causal.design.matching.optimal import match_optimal

            place, caliper, pairing = _place(method, method.distance, units)
            return match_optimal(
                place[rows],
                treated,
                ratio=method.ratio,
                caliper=caliper,
                pairing=pairing.rows(rows),
                memory=units.memory,
            )
        case Full():
            from causal.design.matching.full import match_full

            place, caliper, pairing = _place(method, method.distance, units)
            return match_full(
                place[rows],
                treated,
                caliper=caliper,
                min_controls=0 if method.most_treated is None else 1 / method.most_treated,
                max_controls=np.inf if method.most_comparisons is None else method.most_comparisons,
                pairing=_between_arms(pairing).rows(rows),
                estimand=method.estimand,
                memory=units.memory,
            )
        case FineBalance():
            from causal.design.matching.fine_balance import match_fine_balance

            place, caliper, pairing = _place(method, method.distance, units)
            return match_fine_balance(
                place[rows],
                treated,
                ratio=method.ratio,
                caliper=caliper,
                balance=np.column_stack([units.keys[key] for key in method.balance])[rows],
                pairing=pairing.rows(rows),
                memory=units.memory,
            )
        case GeneralisedFull():
            units.pairing.refuse_once("generalised full matching")
            from causal.design.matching.generalised_full import match_generalised_full

            return match_generalised_full(
                score_of(method.caliper, units.logit)[rows],
                treated,
                caliper=_width(method.caliper, units),
                pairing=_in_periods(units.pairing).rows(rows),
                estimand=method.estimand,
            )
        case Cardinality():
            from causal.design.matching.cardinality import match_cardinality

            return match_cardinality(
                units.covariates[rows],
                treated,
                names=units.names,
                tolerance=method.tolerance,
                ratio=method.ratio,
                pairing=replace(_in_periods(units.pairing), person=units.pairing.once).rows(rows),
                pair_on=logit,
                memory=units.memory,
            ).sets
        case CoarsenedExact():
            units.pairing.refuse_once("coarsened exact matching")
            from causal.design.matching.coarsened import match_coarsened

            return match_coarsened(
                {units.names[j]: units.covariates[rows, j] for j in _columns(method.covariates, units)},
                treated,
                cutpoints={bins.covariate: bins.number for bins in method.bins},
                estimand=method.estimand,
                pairing=_in_periods(units.pairing).rows(rows),
            )
        case Subclassification():
            units.pairing.refuse_once("subclassification")
            from causal.design.matching.subclass import match_subclass

            sets = match_subclass(logit, treated, subclasses=method.subclasses, estimand=method.estimand)
            return _divided(sets, treated, _in_periods(units.pairing).rows(rows).exact, method.estimand)


def _divided(sets: MatchedSets, treated: BoolArray, exact: IntArray | None, estimand: SetEstimand) -> MatchedSets:
    """Strata of the score cut further by the exact keys; cells with one arm leave.

    The score is cut first, over everyone: cutting it anew in every combination of keys would need many occasions of
    both arms in each.
    """
    if exact is None:
        return sets
    label = np.full(treated.size, -1, dtype=np.int64)
    label[sets.row] = sets.set_id * (int(exact.max()) + 1) + exact[sets.row]
    cells, code = np.unique(label, return_inverse=True)
    both = (np.bincount(code[treated], minlength=cells.size) > 0) & (
        np.bincount(code[~treated], minlength=cells.size) > 0
    )
    kept = both[code] & (label >= 0)
    if not kept.any():
        raise nothing_matched()
    return sets_from_labels(np.where(kept, code, -1), treated, estimand=estimand)


def _weights(method: AnyWeighting, units: Units, rows: IntArray) -> Weights:
    units.pairing.refuse_once("weighting")
    treated, e = units.treated[rows], expit(units.logit[rows])
    needed = np.ones(len(units.names), dtype=np.bool_) if units.spare is None else ~units.spare
    covariates = units.covariates[np.ix_(rows, np.flatnonzero(needed))]
    names = [name for name, counts in zip(units.names, needed, strict=True) if counts]
    if units.curves is not None and not isinstance(method, PropensityWeighting):
        curves = units.curves[rows][:, np.ptp(units.curves[rows], axis=0) > 0]
        covariates = np.column_stack([covariates, curves])
        names += [f"curve {k + 1}" for k in range(curves.shape[1])]
    wanted = units.design_matrix is not None
    match method:
        case PropensityWeighting():
            from causal.design.weighting.propensity_weights import propensity_weights

            inside = np.zeros(units.treated.size, dtype=np.bool_)
            inside[rows] = True
            return propensity_weights(
                units.treated,
                logit=units.logit,
                estimand=method.estimand,
                stabilised=method.stabilised,
                inside=inside,
                trim=(method.trim.lower, method.trim.upper) if method.trim else None,
                truncate=(method.truncate.lower, method.truncate.upper) if method.truncate else None,
                design_matrix=units.design_matrix,
                memory=units.memory,
            )
        case EntropyBalancing():
            from causal.design.weighting.entropy import entropy_weights

            return entropy_weights(
                covariates,
                treated,
                names=names,
                estimand=method.estimand,
                moments=method.moments,
                interactions=method.interactions,
                clusters=None if units.pairing.exact is None else units.pairing.exact[rows],
                overlap=e * (1 - e) if method.estimand == "ATO" else None,
                nuisance=wanted,
                memory=units.memory,
            )
        case CovariateBalancing():
            from causal.design.weighting.cbps import cbps_weights

            return cbps_weights(
                covariates, treated, names=names, estimand=method.estimand, nuisance=wanted, memory=units.memory
            )


def _place(rules: PairRules, distance: Distance, units: Units) -> tuple[FloatArray, float | None, Pairing]:
    """Where units lie, the caliper there, and the rules on pairs.

    On covariates the propensity's caliper is one more rule on pairs: it limits the score, not the distance.
    """
    if not isinstance(distance, CovariateDistance):
        return score_of(rules.caliper, units.logit), _width(rules.caliper, units), _pairing(rules, units)
    coordinates, unit = _coordinates(distance, units)
    pairing = _pairing(rules, units, unit)
    if rules.caliper is not None:
        limits = [(score_of(rules.caliper, units.logit), _width(rules.caliper, units) or 0.0)]
        pairing = _with_calipers(pairing, limits)
    return coordinates, None, pairing


def _pairing(rules: PairRules, units: Units, unit: float = 1.0) -> Pairing:
    """The rules on pairs of n units; penalties, which are told in units of the distance, times `unit`."""
    limits = []
    for limit in rules.calipers:
        if any(_belongs(name, limit.covariate) for name in units.names if name != limit.covariate):
            raise DesignError(
                "design.rule_unsupported",
                f"a caliper is set on '{limit.covariate}', which holds categories and no distances",
                fix="match exactly on it, or name it under prefer",
            )
        if limit.covariate not in units.names:
            raise DesignError(
                "design.no_column", f"a caliper is set on '{limit.covariate}', which is no covariate or never varies"
            )
        values = units.covariates[:, units.names.index(limit.covariate)]
        unit = caliper_width(values, units.treated, width=1.0, sd=limit.sd) if limit.sd else 1.0
        limits.append((values, limit.width * unit * (1 if limit.side == "within" else -1)))
    pairing = _with_calipers(units.pairing, limits)
    if rules.differ:
        pairing = replace(pairing, differ=np.column_stack([units.keys[key] for key in rules.differ]))
    if rules.prefer:
        pairing = replace(
            pairing,
            prefer=np.column_stack([units.keys[preference.key] for preference in rules.prefer]),
            penalty=unit * np.array([preference.penalty for preference in rules.prefer]),
        )
    return pairing


def _between_arms(pairing: Pairing) -> Pairing:
    """The rules for sets of any size: no treated beside a comparison of the same person.

    Several comparisons of one person may share a set, as inference by set or by patient allows; forbidding it would
    leave no optimum to find.
    """
    if pairing.person is None:
        return pairing
    known = np.empty((pairing.person.size, 0), dtype=np.int64) if pairing.differ is None else pairing.differ
    return replace(pairing, person=None, differ=np.column_stack([known, pairing.person]))


def _in_periods(pairing: Pairing) -> Pairing:
    """The rules for strata and samples, which know no pairs: the calendar is cut into periods one window long.

    Occasions of one period are at most the window apart. Whether a person may stand in a stratum twice is for
    inference to deal with (it is clustered on the patient).
    """
    if pairing.time is None or pairing.window is None:
        return Pairing(exact=pairing.exact)
    if pairing.window > 0:
        parts = (pairing.time - pairing.time.min()) / pairing.window
        period = np.floor(parts + 1e-9).astype(np.int64)  # rounding must not put a whole window into the one before
    else:
        period = np.unique(pairing.time, return_inverse=True)[1]
    exact = np.zeros_like(period) if pairing.exact is None else pairing.exact
    return Pairing(exact=exact * (int(period.max()) + 1) + period)


def _with_calipers(pairing: Pairing, limits: list[tuple[FloatArray, float]]) -> Pairing:
    if not limits:
        return pairing
    values, widths = zip(*limits, strict=True)
    columns, known = np.column_stack(values), np.array(widths)
    if pairing.calipers is not None and pairing.widths is not None:
        columns, known = np.column_stack([pairing.calipers, columns]), np.r_[pairing.widths, known]
    return replace(pairing, calipers=columns, widths=known)


def _coordinates(distance: CovariateDistance, units: Units) -> tuple[FloatArray, float]:
    """Coordinates (n, q) of a distance on covariates, and how much of it is one standard deviation.

    A covariate that stands alone is its own coordinate, or its rank is: decimals stay decimals, and equal distances
    equal, where dividing by a standard deviation would leave that to rounding.
    """
    from causal.design.matching.distance import mahalanobis_coordinates, rank_mahalanobis_coordinates

    values = units.covariates[:, _columns(distance.covariates, units)]
    plain = distance.kind == "mahalanobis"
    z = mahalanobis_coordinates(values, units.treated) if plain else rank_mahalanobis_coordinates(values)
    if z.shape[1] > 1:
        return z, 1.0
    alone = values[:, np.ptp(values, axis=0) > 0]
    alone = alone if plain else rankdata(alone, axis=0)
    return alone, float(np.ptp(alone) / np.ptp(z))


def _columns(named: tuple[str, ...], units: Units) -> list[int]:
    """Places of the named covariates, a categorical one's being all its indicators; of tier 1 where none is named."""
    if not named:
        return [j for j, tier in enumerate(units.tiers) if tier == 1]
    places = {name: [j for j, column in enumerate(units.names) if _belongs(column, name)] for name in named}
    for name, found in places.items():
        if not found:
            raise DesignError(
                "design.no_column",
                f"closeness is measured on '{name}', which is no covariate or never varies",
                fix="take it out of the method's covariates",
            )
    return sorted({j for found in places.values() for j in found})


def _belongs(column: str, covariate: str) -> bool:
    """Whether a column of the matrix is the covariate, or indicates one of its categories."""
    return column == covariate or column.startswith(f"{covariate}: ")


def _width(caliper: Caliper | None, units: Units) -> float | None:
    if caliper is None:
        return None
    return caliper_width(score_of(caliper, units.logit), units.treated, width=caliper.width, sd=caliper.sd)


def _lot(method: Greedy) -> np.random.Generator | None:
    return None if method.seed is None else np.random.default_rng(method.seed)
