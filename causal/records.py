"""The frozen values passed between stages.

Frames are checked on creation: a cohort or a design that carries a column it may not see (anything dated at or after
time zero, apart from the strategy itself) is refused, so blindness is held by type as well as by import.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from causal.design.compare import Grouping
from causal.design.diagnose import Diagnostics
from causal.design.diagnostics.balance import BalanceRow
from causal.design.diagnostics.overlap import OverlapBin
from causal.design.fates import CovariateFate
from causal.design.propensity.curvature import Curvature
from causal.errors import DesignError, EstimationError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

ID_COLUMNS = ("ta_id", "person_id", "clinician_id", "clinic_id")
STRATEGY_COLUMNS = ("treated", "recipient", "patient_informed", "ended_in_grace")
CONTENT_COLUMNS = ("time_zero", "regime", "same_day_hold", "instrument_ver")
OCCASION_COLUMNS = (*ID_COLUMNS, *CONTENT_COLUMNS, *STRATEGY_COLUMNS)
"""The columns of every cohort, in this order; the study's facts follow them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttritionStep:
    """Who remains after one rule: counts of persons and occasions, and of occasions by strategy."""

    rule: str
    persons: int
    occasions: int
    treated: int

    @property
    def comparison(self) -> int:
        """Occasions under the comparison strategy."""
        return self.occasions - self.treated


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Eligible occasions, one row each, in canonical order, with covariates from before time zero (NaN: not recorded).

    The canonical order is by content (time zero, then every covariate), ids only where two occasions agree in
    everything else: relabelling ids or permuting rows of the extract changes no number computed from it. `covariates`
    names the columns of the study's facts, the last of `occasions`.
    """

    occasions: pd.DataFrame
    attrition: tuple[AttritionStep, ...]
    covariates: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse columns a cohort may not see."""
        got, allowed = list(self.occasions.columns), [*OCCASION_COLUMNS, *self.covariates]
        if got != allowed:
            odd = sorted(set(got) ^ set(allowed))
            raise DesignError("cohort.columns", f"a cohort may hold exactly its declared columns; these differ: {odd}")


def canonical(occasions: pd.DataFrame, covariates: Sequence[str]) -> pd.DataFrame:
    """`occasions` with the columns and the row order of a `Cohort` of these `covariates`."""
    order = ["time_zero", *covariates, *CONTENT_COLUMNS[1:], "treated", *ID_COLUMNS]
    return occasions[[*OCCASION_COLUMNS, *covariates]].sort_values(order, kind="stable", ignore_index=True)


def codes(values: pd.Series) -> Ints:
    """Integer codes (n,) in order of first appearance, so that labels never matter; missing is a label too."""
    return np.asarray(pd.factorize(values, sort=False, use_na_sentinel=False)[0], dtype=np.int64)


UnitOfInference = Literal["matched set", "patient"]
"""What stands for itself where clusters are few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonGroups:
    """Who is compared with whom: all an estimate needs of a design, and cheap to make.

    `members` has one row per member of a set (set_id, treated, weight, the propensity's logit and the columns of a
    cohort), the treated occasions of a set first; an occasion used in several sets has a row in each. Under weighting
    every occasion with weight is a row of its own and `grouping` says so. `covariates` (rows aligned with members)
    holds the filled covariate matrix, one column per name in `covariate_names`. `estimand` is whose effect the weights
    stand for (ATT); `estimand_label` adds what was done to it (ATT in the matched), in the letters tables use.
    """

    members: pd.DataFrame
    covariates: Floats
    covariate_names: tuple[str, ...]
    estimand: str
    estimand_label: str
    grouping: Grouping

    @property
    def n_sets(self) -> int:
        """Number of matched sets or strata; under weighting, of occasions."""
        return int(self.members["set_id"].nunique())

    @property
    def n_treated(self) -> int:
        """Treated occasions in the comparison."""
        return int(self.members["ta_id"][self.members["treated"]].nunique())

    @property
    def n_comparison(self) -> int:
        """Comparison occasions in the comparison, each counted once however often it is used."""
        return int(self.members["ta_id"][~self.members["treated"]].nunique())

    @property
    def unit_of_inference(self) -> UnitOfInference:
        """What stands for itself where clinicians are too few: the matched set, unless sets overlap or are large."""
        own = self.grouping == "matched set" and len(self.members) == self.n_treated + self.n_comparison
        return "matched set" if own else "patient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design(ComparisonGroups):
    """Who is compared with whom, built without outcomes, with everything a board may ask about it.

    `lost_share` is how much of the population the effect is about is not in the comparison. `fates` says what became of
    every declared covariate, those without a column among `covariates` too; `aliased` names columns of the propensity
    model that others determine.
    """

    estimand_sentence: str
    method_sentence: str
    attrition: tuple[AttritionStep, ...]
    balance: tuple[BalanceRow, ...]
    overlap: tuple[OverlapBin, ...]
    propensity_method: str
    c_statistic: float
    events_per_parameter: float
    fates: tuple[CovariateFate, ...]
    aliased: tuple[str, ...]
    separated: tuple[str, ...]
    curvature: Curvature
    caliper: float | None
    n_eligible_treated: int
    n_unmatched_treated: int
    lost_share: float
    pretrend_smd: float | None
    ended_in_grace_share: float
    diagnostics: Diagnostics

    @property
    def digest(self) -> str:
        """sha256 of everything the comparison consists of: who, with whom, with what weight and covariates."""
        h = hashlib.sha256()
        said = (self.estimand, self.estimand_label, self.estimand_sentence, self.method_sentence, self.grouping)
        h.update(repr(said).encode())
        h.update(repr((self.covariate_names, self.attrition)).encode())
        columns = ["ta_id", "person_id", "clinician_id", "clinic_id", "time_zero", "recipient", "patient_informed"]
        columns += ["set_id", "treated", "weight"]
        h.update(self.members[columns].to_csv(index=False, float_format="%.17g").encode())
        h.update(np.ascontiguousarray(self.covariates).tobytes())
        looked_for = (self.overlap, self.curvature, self.caliper, self.fates, self.diagnostics)
        h.update(repr((self.balance, *looked_for)).encode())
        return h.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Outcomes of the matched occasions, opened after approval; rows aligned with `Design.members`.

    `ended` (n,): the patient ended the relationship by the day; `score` (n,): the rating that counts, NaN where there
    is none; `excluded` (n,): leaves this estimand (death under `separate`); `undefined` (n,): there is no score because
    the relationship was over or the person had died, which nothing may impute, as opposed to a missing rating.
    """

    ended: NDArray[np.bool_]
    score: Floats
    excluded: NDArray[np.bool_]
    undefined: NDArray[np.bool_]
    day: int
    half_width: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """One estimate's uncertainty under one clustering; CR2 with Satterthwaite degrees of freedom."""

    clustered_by: str
    clusters: int
    std_error: float
    df: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Refuse an interval without width, or that rests on no degrees of freedom."""
        if not (0 < self.std_error < np.inf and self.df > 0 and self.lower < self.upper):
            raise EstimationError("estimation.no_standard_error", "the outcome leaves no variation for an interval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """One number with every interval; `intervals[0]` is the main one, and `why_main` says why in a sentence.

    Arm means are weighted and unadjusted.
    """

    name: str
    estimand: str
    method: str
    scale: str
    value: float
    level: float
    mean_treated: float
    mean_comparison: float
    n_treated: int
    n_comparison: int
    n_sets: int
    intervals: tuple[Interval, ...]
    detectable: float | None
    why_main: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotEstimated:
    """One of the headline pair that cannot be had, and why; the other stands. A mean is NaN where there is none."""

    name: str
    scale: str
    reason: str
    mean_treated: float
    mean_comparison: float
    n_treated: int
    n_comparison: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """The headline pair with the exact decomposition: composite = termination_part + level_part.

    At least one of the pair is an `Estimate`. The parts are there whenever the composite is.
    """

    termination: Estimate | NotEstimated
    composite: Estimate | NotEstimated
    termination_part: float | None
    level_part: float | None
    floor: float
    response_treated: float
    response_comparison: float
    response_handling: str
    n_excluded: int
    n_ended_treated: int
    n_ended_comparison: int
    day: int
    half_width: int
    aliased: tuple[str, ...] = ()
    """Covariates dropped from the adjustment: nobody differs in them, or earlier ones determine them."""

    @property
    def estimated(self) -> Estimate:
        """The composite where it could be had, else the difference in endings."""
        return next(one for one in (self.composite, self.termination) if isinstance(one, Estimate))
