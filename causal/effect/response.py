"""Who answered, of those whose relationship went on: a mean of ratings speaks for the others only as far as they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from causal.effect.sample import Sample
from causal.errors import EstimationError
from causal.records import Outcomes

if TYPE_CHECKING:
    from causal.effect.secondary.opened import Opened

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Response at one day of the outcome.

    Attributes
    ----------
    day
        Days from time zero.
    treated, comparison
        Weighted share of the occasions of an arm that the patient did not end and for which a rating counts, from 0 to
        1; NaN where every one of the arm was ended, or nobody could be counted.
    n_rated
        Occasions with such a rating, treated and comparison: for deciding what may be shown.
    reason
        Why nobody could be counted; empty otherwise.
    """

    day: int
    treated: float
    comparison: float
    n_rated: tuple[int, int] = (0, 0)
    reason: str = ""


def response_of(sample: Sample, outcomes: Outcomes) -> Response:
    """The response of a sample under the outcomes of one day.

    The denominator is everybody the patient did not end, completed and transferred ones too, as in the composite.
    """
    staying = ~outcomes.ended[sample.kept]
    rated = ~np.isnan(outcomes.score[sample.kept])
    treated, comparison = (_share(rated, staying & arm, sample) for arm in (sample.treated, ~sample.treated))
    one, zero = (
        int(np.unique(sample.occasions[staying & rated & arm & (sample.weights > 0)]).size)
        for arm in (sample.treated, ~sample.treated)
    )
    return Response(day=outcomes.day, treated=treated, comparison=comparison, n_rated=(one, zero))


def _share(rated: BoolArray, rows: BoolArray, sample: Sample) -> float:
    total = float(sample.weights[rows].sum())
    return float(sample.weights[rows & rated].sum()) / total if total > 0 else float("nan")


def response_by_day(opened: Opened) -> tuple[Response, ...]:
    """The response at every day of the outcome among those on record so long, under the primary estimand.

    A day that leaves too few for any inference has the reason instead of shares.
    """
    told = []
    for window in opened.windows:
        outcomes = opened.outcomes(opened.primary, window)
        excluded = outcomes.excluded
        if window != opened.window:
            excluded = excluded | opened.followed_too_briefly(window)
        try:
            told.append(response_of(opened.sample(excluded), outcomes))
        except EstimationError as refusal:
            told.append(Response(day=window.day, treated=float("nan"), comparison=float("nan"), reason=refusal.message))
    return tuple(told)
