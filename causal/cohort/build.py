"""The cohort from end to end: occasions, history, eligibility, attrition."""

from __future__ import annotations

import datetime
from collections.abc import Callable

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from causal.cohort.catalogue import catalogue_of
from causal.cohort.eligibility import attrition, eligible, steps
from causal.cohort.history import history
from causal.cohort.occasions import assessments, candidate_occasions
from causal.errors import DesignError
from causal.protocol import Instrument, OccasionStudy
from causal.protocol.words import Words
from causal.records import AttritionStep, Cohort, canonical

Keep = Callable[[str, ir.Table], ir.Table]
"""Runs an expression on the engine and gives back its rows as a named table to build on."""


def build_cohort(
    tables: dict[str, ir.Table],
    study: OccasionStudy,
    instruments: dict[str, Instrument],
    keep: Keep,
    *,
    as_of: datetime.date,
) -> Cohort:
    """Eligible occasions with their covariates, and how many each rule removed; `as_of` is the last day on record.

    Raises
    ------
    DesignError
        No occasion, no treated or no comparison occasion is eligible.
    """
    rules = study.target_trial.eligibility
    base = keep("assessments", assessments(tables))
    candidates = keep("occasions", candidate_occasions(base, tables, study))
    past = history(candidates, tables, study, instruments)
    days = ibis.date(as_of).delta(past.time_zero.date(), unit="day")
    known = keep("history", past.mutate(days_on_record=days))
    counts = attrition(rules, known).to_pyarrow().to_pylist()[0]
    flow = tuple(
        AttritionStep(
            rule=rule,
            persons=int(counts[f"persons_{k}"]),
            occasions=int(counts[f"occasions_{k}"]),
            treated=int(counts[f"treated_{k}"]),
        )
        for k, rule in enumerate(steps(rules, study.words))
    )
    frame = known.filter(eligible(rules, known)).to_pyarrow().to_pandas()
    _refuse_empty_arms(flow[-1], study.words)
    covariates = tuple(catalogue_of(study).covariates)
    return Cohort(occasions=canonical(_typed(frame, covariates), covariates), attrition=flow, covariates=covariates)


def _typed(frame: pd.DataFrame, covariates: tuple[str, ...]) -> pd.DataFrame:
    """Covariates as float64 with NaN for not recorded; flags as bool."""
    typed = frame.astype(dict.fromkeys(covariates, np.float64))
    return typed.astype({"treated": bool, "same_day_hold": bool, "ended_in_grace": bool})


def _refuse_empty_arms(last: AttritionStep, words: Words) -> None:
    if last.occasions == 0:
        raise DesignError(
            "cohort.empty",
            f"no {words.unit} meets every eligibility rule",
            fix="see the flow of occasions, rule by rule",
        )
    if last.treated == 0:
        raise DesignError(
            "cohort.no_treated", f"no eligible {words.unit} led to the treated strategy: there is no effect to estimate"
        )
    if last.comparison == 0:
        raise DesignError(
            "cohort.no_comparison", f"every eligible {words.unit} led to the treated strategy: nothing to compare with"
        )
