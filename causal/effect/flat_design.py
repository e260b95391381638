"""The design of one flat table: who is compared with whom, and how alike they are, from everything but the outcome.

Rows stand in canonical order before anything is computed (`in_canonical_order`), and ties go to the earlier one: the
order of the file's rows changes no digit. There is no risk set and no calendar here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.compare import Comparison, Units, compare, engine_model
from causal.design.describe import estimand_label
from causal.design.diagnostics.balance import BalanceRow, balance_table
from causal.design.diagnostics.clusters import cluster_spread
from causal.design.fates import CovariateFate, Fate, fates_of_columns, refuse_constant
from causal.design.frame import (
    DesignColumns,
    design_columns,
    key_codes,
    numbered,
    refuse_gaps,
    refuse_spellings,
    treatment_of,
)
from causal.design.matching.pairing import Pairing, refuse_arms
from causal.design.propensity.columns import moments
from causal.design.propensity.firth import FIRTH_BELOW
from causal.design.propensity.fit import Propensity, fit_propensity
from causal.design.propensity.logistic import expit
from causal.design.propensity.rare import rare_levels, rows_of_one_arm
from causal.design.propensity.separation import separation
from causal.design.propensity.terms import model_matrix
from causal.effect.flat_diagnostics import FlatDiagnostics, diagnostics_of
from causal.effect.flat_extremes import refuse_beyond
from causal.effect.flat_models import Table, declared_estimand
from causal.effect.flat_order import in_canonical_order
from causal.effect.flat_response import read_by
from causal.effect.matched_estimates import refuse_arm_in_one_cluster
from causal.errors import DesignError, EstimationError
from causal.numeric.grid import WEIGHT_DIGITS
from causal.numeric.keys import KeyArray
from causal.protocol.flat_table import (
    AugmentedWeighting,
    FlatAnalysis,
    FlatColumns,
    FlatTableStudy,
    Standardisation,
    TargetedLikelihood,
)
from causal.protocol.matching import AnyMatching, CoarsenedExact, CovariateDistance, named_keys
from causal.protocol.weighting import PropensityWeighting
from causal.spelling import nearest
from causal.threads import one_thread

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
MOST_LOST = 0.10
"""Share of the rows in levels left out of a covariate beyond which it would be adjusted for in name only."""
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatFacts:
    """What a table says of its n rows before any outcome, in canonical order.

    Attributes
    ----------
    frame, key
        The rows, and (n,) the key by which ties and lots are decided.
    treated
        (n,) arm.
    covariates, fates
        Every declared covariate, and what became of it.
    """

    frame: pd.DataFrame
    key: KeyArray
    treated: BoolArray
    covariates: DesignColumns
    fates: tuple[CovariateFate, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FlatDesign:
    """Who is compared with whom.

    Attributes
    ----------
    table
        The rows as estimators take them; its outcome is NaN until it is opened.
    covariates
        Every declared covariate with all its levels, used in models or not.
    units, compared
        What the comparison was made from, and the comparison; None where nothing but a model of the outcome adjusts,
        or two models of the whole table do.
    balance, fates, notes
        After adjustment beside before; what became of every declared covariate; what a reader should know.
    estimand
        Whose effect, in a few words.
    logit
        (n,) log odds of treatment; None where none are estimated.
    """

    table: Table
    covariates: DesignColumns
    units: Units | None
    compared: Comparison | None
    balance: tuple[BalanceRow, ...]
    fates: tuple[CovariateFate, ...]
    notes: tuple[str, ...]
    estimand: str
    logit: FloatArray | None

    @property
    def n_sets(self) -> int | None:
        """Matched sets or strata; None without."""
        compared = self.compared
        return None if compared is None or compared.grouping == "weight" else int(np.unique(compared.set_id).size)

    @property
    def content(self) -> tuple[bytes, ...]:
        """Everything a digest of the design is made of: arms, facts, weights (to eight digits) and sets, by row."""
        table, compared = self.table, self.compared
        weight = np.ones(table.treated.size) if compared is None else compared.weight
        with np.errstate(divide="ignore"):
            size = np.where(weight > 0, np.floor(np.log10(weight, where=weight > 0, out=np.zeros_like(weight))), 0)
        step = 10.0 ** (WEIGHT_DIGITS - 1 - size)
        parts = [table.treated, np.rint(weight * step) / step, np.ascontiguousarray(table.covariates)]
        if compared is not None and compared.grouping != "weight":
            parts += [compared.row, compared.set_id]
        return tuple(part.tobytes() for part in parts)

    def diagnostics(self, *, response: tuple[float, float] = (1.0, 1.0)) -> FlatDiagnostics:
        """What any answer from it rests on, before there is one."""
        return diagnostics_of(
            self.table.treated,
            self.compared,
            self.balance,
            weight=None,
            logit=self.logit,
            clusters=self.table.clusters,
            response=response,
            outpredicted=None,
        )


def design_flat_table(frame: pd.DataFrame, study: FlatTableStudy) -> FlatDesign:
    """The design of a table that holds no outcome.

    Raises
    ------
    DesignError
        ``flat.key`` where no column names the rows: lots would be drawn by what rows hold, outcomes included. Those of
        `flat_facts` and `flat_design`.
    """
    columns = study.columns
    if columns.key is None:
        raise DesignError(
            "flat.key",
            "a design made before outcomes are opened needs a column that names the rows",
            fix="name it under columns.key",
        )
    with one_thread():
        frame = numbered(frame)
        refuse_columns(frame, columns, outcome=False)
        refuse_gaps(frame, read_by(study))
        facts = flat_facts(frame, study)
        refuse_beyond(frame, columns.numeric)
        return flat_design(facts, study)


def flat_facts(frame: pd.DataFrame, study: FlatTableStudy) -> FlatFacts:
    """The rows in canonical order, their arms and their covariates.

    Raises
    ------
    DesignError
        A column is missing, not numeric, incomplete or constant; the treatment is not 0 and 1. Refusals name columns,
        never a category.
    """
    columns, analysis = study.columns, study.analysis
    _refuse_spellings(frame, analysis)
    frame, key = in_canonical_order(frame, study)
    covariates = design_columns(
        frame, numeric=columns.numeric, categorical=columns.categorical, squared=columns.squared
    )
    fates = fates_of_columns(covariates)
    refuse_constant(fates)
    treated = treatment_of(frame, columns.treatment, treated_value=columns.treated_value)
    refuse_arms(treated)
    return FlatFacts(frame=frame, key=key, treated=treated, covariates=covariates, fates=fates)


def flat_design(facts: FlatFacts, study: FlatTableStudy) -> FlatDesign:
    """Who is compared with whom, as the study says.

    Raises
    ------
    DesignError
        Covariates tell the arms apart; the standard error does not go with the design.
    EstimationError
        An arm lies in one cluster, or mostly in one.
    """
    analysis, frame, treated = study.analysis, facts.frame, facts.treated
    covariates = facts.covariates.sparing(treated)
    usable, left_out, fates = _without_rare(covariates, treated, analysis, facts.fates)
    seen = covariates if _compares_facts(analysis) else usable
    table = Table(
        outcome=np.full(treated.size, np.nan),
        treated=treated,
        clusters=_clusters(frame, analysis),
        key=facts.key,
        covariates=usable.in_models,
        names=usable.names_in_models,
    )
    propensity = None if isinstance(analysis.estimator, Standardisation) else _propensity(table, analysis)
    units = None if propensity is None else _units(frame, table, seen, propensity, analysis)
    compared = None if units is None else compare(analysis.design, units)
    _refuse_confined(table, compared, analysis)
    return FlatDesign(
        table=table,
        covariates=covariates,
        units=units,
        compared=compared,
        balance=_balance(covariates, treated, compared),
        fates=fates,
        notes=(*left_out, *_of_persons(analysis), *_penalised(propensity)),
        estimand=estimand_label(compared, left_out=_left_out(treated, compared))
        if compared is not None
        else declared_estimand(analysis),
        logit=None if units is None else units.logit,
    )


def _penalised(propensity: Propensity | None) -> tuple[str, ...]:
    """What to know where rows are few for the model of treatment."""
    if propensity is None or propensity.method != "Firth" or propensity.events_per_parameter >= FIRTH_BELOW:
        return ()
    few = f"fewer than {FIRTH_BELOW:g} rows of the smaller group for each column of the model of treatment"
    return (f"{few}: it is fitted by Firth's penalised likelihood",)


def _clusters(frame: pd.DataFrame, analysis: FlatAnalysis) -> IntArray | None:
    """Codes (n,) of rows that may resemble each other: the cluster column's; rows of one person where there is none."""
    name = analysis.cluster or (analysis.person if analysis.standard_error == "robust" else None)
    return None if name is None else key_codes(frame, name)


def _of_persons(analysis: FlatAnalysis) -> tuple[str, ...]:
    """What to know where the standard error cannot see that rows share a person."""
    if analysis.person is None or analysis.cluster is not None or analysis.standard_error == "robust":
        return ()
    return ("the standard error takes rows of one person for independent: robust would not",)


def _compares_facts(analysis: FlatAnalysis) -> bool:
    """Whether the design compares the covariates themselves: a level too rare for a model still tells rows apart."""
    design = analysis.design
    return isinstance(design, CoarsenedExact) or isinstance(getattr(design, "distance", None), CovariateDistance)


def _refuse_confined(table: Table, compared: Comparison | None, analysis: FlatAnalysis) -> None:
    """Refuse an arm that lies in one cluster, or mostly in one, among the rows the estimator uses."""
    if table.clusters is None or analysis.cluster is None:
        return
    everyone = compared is None or isinstance(analysis.estimator, AugmentedWeighting | TargetedLikelihood)
    weight = np.ones(table.treated.size) if everyone or compared is None else compared.weight
    used = weight > 0
    refuse_arm_in_one_cluster(table.treated[used], table.clusters[used], "cluster")
    share = cluster_spread(table.treated, weight, table.clusters, level="clinician").largest
    if share > analysis.maximum_cluster_share:
        raise EstimationError(
            "estimation.cluster_share",
            "one cluster holds more of a group than the study allows: its own course may pass for an effect, and no "
            "interval knows",
            fix="more clusters behind the group, or a higher maximum_cluster_share under analysis",
        )


def _balance(covariates: DesignColumns, treated: BoolArray, compared: Comparison | None) -> tuple[BalanceRow, ...]:
    """Every number and every level of every category, before and after; both the same without a comparison."""
    shown = covariates.shown
    names = [covariates.names[j] for j in shown]
    values, weight = covariates.values[:, shown], np.ones(treated.size) if compared is None else compared.weight
    estimand = "ATE" if compared is None else compared.estimand
    return balance_table(values, names, [1] * len(names), treated, weight, estimand=estimand)


def _without_rare(
    covariates: DesignColumns, treated: BoolArray, analysis: FlatAnalysis, fates: tuple[CovariateFate, ...]
) -> tuple[DesignColumns, tuple[str, ...], tuple[CovariateFate, ...]]:
    """The columns without levels too rare to say who may be treated, a note of them, and what became of covariates.

    The two models of AIPW and TMLE leave them out of the one of treatment themselves, and standardisation has none.

    Raises
    ------
    DesignError
        ``design.rare_levels``: the levels left out of one covariate hold more than a tenth of the rows. Each may be of
        one arm by chance; so many are not, and the covariate would be adjusted for in name only.
    """
    if isinstance(analysis.estimator, Standardisation):
        return covariates, (), fates
    rare = rare_levels(covariates.values, treated, moments(covariates.values, treated))
    if not rare.any():
        return covariates, (), fates
    source = np.array(covariates.source, dtype=object)
    for name in dict.fromkeys(source[rare]):
        lost = [rows_of_one_arm(covariates.values[:, j], treated) for j in np.flatnonzero(rare & (source == name))]
        if np.any(lost, axis=0).sum() > MOST_LOST * treated.size and not _compares_facts(analysis):
            levels = int((source == name).sum())
            raise DesignError(
                "design.rare_levels",
                f"levels of '{name}' ({levels} in {treated.size} rows) that one group alone has, each in few rows, "
                f"hold more than {MOST_LOST:.0%} of the rows: nothing can be adjusted for there",
                fix="merge levels; match exactly on the column; list a number under numeric, a name of rows as key; or "
                "drop what is no confounder",
            )
    if isinstance(analysis.estimator, AugmentedWeighting | TargetedLikelihood) or rare.all():
        return covariates, (), fates
    gone = ", ".join(name for name, is_rare in zip(covariates.plain, rare, strict=True) if is_rare)
    where = "the model of treatment" if _compares_facts(analysis) else "what makes the groups alike"
    partly = {name for name in source[rare] if (~rare & ~covariates.spare & (source == name)).any()}
    told = tuple(
        replace(one, fate=Fate.PARTLY if one.name in partly else Fate.TOO_RARE, determined_by=())
        if one.name in set(source[rare])
        else one
        for one in fates
    )
    note = f"in one of the groups only, and in few rows: left out of {where}: {gone}"
    return covariates.only(~rare), (note,), told


def _units(
    frame: pd.DataFrame, table: Table, covariates: DesignColumns, propensity: Propensity, analysis: FlatAnalysis
) -> Units:
    """The rows as the design may see them."""
    person = None if analysis.person is None else key_codes(frame, analysis.person)
    return Units(
        treated=table.treated,
        covariates=covariates.values,
        names=covariates.plain,
        tiers=(1,) * len(covariates.plain),
        spare=covariates.spare,
        logit=propensity.logit,
        keys={name: key_codes(frame, name) for name in named_keys(analysis.design)},
        pairing=Pairing(exact=_joint(frame, analysis.exact), person=person, once=person),
        design_matrix=_design_matrix(table.covariates, table.names, table.clusters, propensity, analysis),
    )


def _propensity(table: Table, analysis: FlatAnalysis) -> Propensity:
    """The scores of the population, from a table in which the untreated may be fewer; refused where arms separate."""
    declared, offset = analysis.propensity, _offset(analysis)
    judged = isinstance(analysis.estimator, AugmentedWeighting | TargetedLikelihood)  # there, by what its scores do
    fitted = fit_propensity(
        table.covariates,
        table.treated,
        names=table.names,
        model=engine_model(declared),
        clusters=table.clusters,
        key=table.key,
        finite=judged,
        offset=None if offset == 0 else np.full(table.treated.size, offset),
        rng=None if declared.seed is None else np.random.default_rng(declared.seed),
    )
    if fitted.separated and not judged:
        raise separation(fitted.separated)
    if offset == 0:
        return fitted
    logit = fitted.logit - offset
    return replace(fitted, logit=logit, probability=expit(logit))


def _offset(analysis: FlatAnalysis) -> float:
    """By how much sampling the untreated raised the log odds of treatment in the table."""
    fraction = analysis.propensity.sampling_fraction
    return 0.0 if fraction is None or fraction == 1 else -float(np.log(fraction))


def _design_matrix(
    covariates: FloatArray,
    names: tuple[str, ...],
    clusters: IntArray | None,
    propensity: Propensity,
    analysis: FlatAnalysis,
) -> FloatArray | None:
    """What weights need in order to say how they were estimated; None where nobody asks."""
    if analysis.standard_error != "estimated_weights" or isinstance(analysis.design, AnyMatching):
        return None
    if not isinstance(analysis.design, PropensityWeighting):
        return covariates
    if propensity.method != "maximum likelihood" or propensity.fold is not None or _offset(analysis) != 0:
        raise DesignError(
            "flat.estimated_weights",
            "how weights were estimated is known for logistic scores by maximum likelihood of all rows, unsampled",
            fix="set standard_error to robust",
        )
    return model_matrix(covariates, names, engine_model(analysis.propensity), clusters)[0]


def _left_out(treated: BoolArray, compared: Comparison) -> bool:
    """Whether anybody of the population the effect is meant for is not in the comparison."""
    focal = {"ATT": treated, "ATC": ~treated}.get(compared.estimand, np.ones(treated.size, dtype=np.bool_))
    return bool((focal & (compared.weight == 0)).any())


def _joint(frame: pd.DataFrame, names: tuple[str, ...]) -> IntArray | None:
    """One code (n,) per combination of the columns' values."""
    if not names:
        return None
    joint = np.zeros(len(frame), dtype=np.int64)
    for name in names:
        codes = key_codes(frame, name)
        joint = joint * (int(codes.max()) + 1) + codes
    return joint


def _refuse_spellings(frame: pd.DataFrame, analysis: FlatAnalysis) -> None:
    """Refuse two spellings of one cluster or of one value of a key; those of covariates are found with their levels."""
    cluster = () if analysis.cluster is None else (analysis.cluster,)
    for name in (*cluster, *analysis.exact, *named_keys(analysis.design)):
        refuse_spellings(frame, name)


def refuse_columns(frame: pd.DataFrame, columns: FlatColumns, *, outcome: bool = True) -> None:
    """Refuse a table without rows, and columns that are not there or have two parts, `outcome` among them or not."""
    if not len(frame):
        raise DesignError("flat.empty", "the table has a header and no row", fix="deliver its rows")
    named = () if columns.key is None else (columns.key,)
    answers = (columns.outcome,) if outcome else ()
    wanted = (columns.treatment, *answers, *columns.numeric, *columns.categorical, *named, *columns.keys)
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        meant = [repr(near) for name in absent if (near := nearest(name, set(map(str, frame.columns)) - set(wanted)))]
        raise DesignError(
            "flat.no_column",
            f"the table has no column {', '.join(map(repr, absent))}",
            fix=f"did you mean {', '.join(meant)}?" if meant else "correct the name under columns",
        )
    if frame.columns.has_duplicates:
        raise DesignError("flat.duplicate_column", "two columns of the table have the same name")
    if len(set(wanted)) < len(wanted):
        twice = [name for name in dict.fromkeys(wanted) if wanted.count(name) > 1]
        raise DesignError(
            "flat.column_twice",
            f"a column is named twice under columns: {', '.join(map(repr, twice))}",
            fix="name each column once",
        )
    if not set(columns.squared) <= set(columns.numeric):
        raise DesignError("flat.squared", "a squared column must also be listed as numeric")
