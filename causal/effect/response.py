"""Who answered, of those whose relationship went on: a mean of ratings speaks for the others only as far as they do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.sample import Sample
from causal.records import Outcomes

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
        1; NaN where every one of the arm was ended.
    """

    day: int
    treated: float
    comparison: float


def response_of(sample: Sample, outcomes: Outcomes) -> Response:
    """The response of a sample under the outcomes of one day.

    The denominator is everybody the patient did not end, completed and transferred ones too, as in the composite.
    """
    staying = ~outcomes.ended[sample.kept]
    rated = ~np.isnan(outcomes.score[sample.kept])
    treated, comparison = (_share(rated, staying & arm, sample) for arm in (sample.treated, ~sample.treated))
    return Response(day=outcomes.day, treated=treated, comparison=comparison)


def _share(rated: BoolArray, rows: BoolArray, sample: Sample) -> float:
    total = float(sample.weights[rows].sum())
    return float(sample.weights[rows & rated].sum()) / total if total > 0 else float("nan")
