"""The analysis of a flat table made of an outcome the treatment cannot have changed."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from causal.effect.contrast import Contrast
from causal.effect.flat_table import analyse_flat_table
from causal.effect.matched_estimates import LinearEffect
from causal.effect.weighted_estimates import WeightedEffect
from causal.errors import RapportError
from causal.protocol.flat_table import FlatTableStudy


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceboEffect:
    """What the analysis finds in a placebo outcome: the effect, or None and the reason for which there is none."""

    column: str
    effect: LinearEffect | WeightedEffect | Contrast | None
    reason: str = ""


def placebo_effects(frame: pd.DataFrame, study: FlatTableStudy) -> tuple[PlaceboEffect, ...]:
    """The effect on every placebo outcome, by the same analysis without that outcome among the covariates.

    Imbens & Rubin (2015), Causal Inference for Statistics, Social, and Biomedical Sciences, section 21.5.
    """
    return tuple(_placebo_effect(frame, study, placebo.column) for placebo in study.placebo_outcomes)


def _placebo_effect(frame: pd.DataFrame, study: FlatTableStudy, column: str) -> PlaceboEffect:
    try:
        found = analyse_flat_table(frame, _study_of(study, column))
    except RapportError as refusal:  # told as NOT EVALUATED, with this reason
        return PlaceboEffect(column=column, effect=None, reason=refusal.message)
    return PlaceboEffect(column=column, effect=found.effect)


def _study_of(study: FlatTableStudy, column: str) -> FlatTableStudy:
    """The study with the placebo outcome for its outcome, and nowhere else."""
    columns = study.columns
    without = {
        part: tuple(name for name in getattr(columns, part) if name != column)
        for part in ("numeric", "categorical", "squared")
    }
    return study.model_copy(update={"columns": columns.model_copy(update={"outcome": column} | without)})
