"""All that is told of endings over time, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from causal.effect.termination.course import termination_course
from causal.effect.termination.hazard import cause_specific_hazard_ratio
from causal.effect.termination.incidence import aalen_johansen, incidence_difference
from causal.effect.termination.restricted_mean import restricted_mean_difference, time_lost_difference
from causal.errors import EstimationError

Draw = Callable[..., dict[str, Any]]


def test_holds_what_each_estimator_gives(draw: Draw) -> None:
    """Days, days lost, days lasting and the hazard ratio are those of the single functions; counts are by hand."""
    data = draw(np.random.default_rng(1))
    course = termination_course(**data, days=[30, 90], horizon=180)
    assert [one.difference for one in course.days] == [incidence_difference(**data, day=day) for day in (30, 90)]
    assert course.time_lost == time_lost_difference(**data, horizon=180)
    assert course.lasting == restricted_mean_difference(**data, horizon=180)
    early = {**data, "time": np.minimum(data["time"], 180), "cause": np.where(data["time"] > 180, 0, data["cause"])}
    assert course.hazard == cause_specific_hazard_ratio(**early)
    assert (course.not_evaluated, course.n_clusters, len(course.contrasts)) == ((), 40, 5)
    last, arm = course.days[1], data["treated"]
    assert last.at_risk_treated == int((data["time"][arm] >= 90).sum())
    assert last.events_comparison == int(((data["time"] <= 90) & (data["cause"] == 1) & ~arm).sum())
    curve = aalen_johansen(data["time"][arm], data["cause"][arm], weights=data["weights"][arm])
    assert last.treated == curve.incidence_by(90)


def test_at_risk_counts_those_whose_last_day_it_is() -> None:
    """Whoever ends or is censored on the day was at risk when it began, and an ending on it counts by it."""
    time, cause = np.array([5.0, 5, 6, 4, 5, 5, 7, 3]), np.array([1, 0, 0, 0, 2, 1, 0, 1])
    arm, clusters = np.repeat([True, False], 4), np.tile(np.arange(4), 2)
    course = termination_course(time, cause, arm, weights=None, clusters=clusters, days=[5], horizon=6)
    (day,) = course.days
    assert (day.at_risk_treated, day.at_risk_comparison) == (3, 3)
    assert (day.events_treated, day.events_comparison) == (1, 2)
    assert day.treated == pytest.approx(1 / 3)


def test_each_refusal_has_its_name_and_reason(draw: Draw) -> None:
    """A day too late, a day too early and no event in an arm are told apart; the rest stands."""
    data = draw(np.random.default_rng(2))
    time = np.where((data["cause"] == 1) & (data["time"] < 5), 5.0, data["time"])
    course = termination_course(**{**data, "time": time}, days=[3, 90, 1000], horizon=180)
    early, usual, late = course.days
    assert (early.difference, late.difference, late.treated) == (None, None, None)
    assert early.treated == 0
    assert usual.difference is not None
    assert [name for name, _ in course.not_evaluated] == [
        "difference in cumulative incidence by day 3",
        "difference in cumulative incidence by day 1000",
    ]
    assert "no event by day 3" in course.not_evaluated[0][1]
    assert "followed to day 1000" in course.not_evaluated[1][1]
    assert len(course.contrasts) == 4


def test_no_event_at_all_leaves_only_counts(draw: Draw) -> None:
    """Without events every contrast is refused with a reason, and days lasting stand on the competing endings."""
    data = draw(np.random.default_rng(3))
    course = termination_course(
        **{**data, "cause": np.where(data["cause"] == 1, 2, data["cause"])}, days=[90], horizon=90
    )
    assert course.days[0].treated == course.days[0].comparison == 0
    assert (course.time_lost, course.hazard) == (None, None)
    assert course.lasting is not None
    assert len(course.not_evaluated) == 3


def test_covariates_adjust_every_part(draw: Draw) -> None:
    """Rows without weight may lack covariates; adjusted parts are those of the single functions with covariates."""
    data = draw(np.random.default_rng(4))
    x = np.random.default_rng(5).normal(size=(data["time"].size, 2))
    weights = np.where(data["clusters"] == 0, 0.0, data["weights"])
    x[data["clusters"] == 0] = np.nan
    data = {**data, "weights": weights}
    course = termination_course(**data, days=[90], horizon=600, covariates=x, names=["a", "b"])
    assert course.days[0].difference == incidence_difference(**data, day=90, covariates=x)
    alone = cause_specific_hazard_ratio(**data, covariates=x, names=["a", "b"])
    assert course.hazard is not None
    assert (course.hazard.ratio, course.hazard.lower) == pytest.approx((alone.ratio, alone.lower), rel=1e-12)
    plain = termination_course(**data, days=[90], horizon=600)
    assert course.days[0].treated == plain.days[0].treated
    assert course.days[0].difference != plain.days[0].difference


def test_refuses_where_nothing_can_be_told(draw: Draw) -> None:
    """One arm, one cluster, or a day that is none stop the whole course."""
    data = draw(np.random.default_rng(6))
    for case, code in [
        ({**data, "treated": np.ones(data["time"].size, dtype=bool), "days": [90]}, "estimation.empty_arm"),
        ({**data, "clusters": np.zeros(data["time"].size, dtype=int), "days": [90]}, "estimation.too_few_clusters"),
        ({**data, "days": [0]}, "estimation.day"),
    ]:
        with pytest.raises(EstimationError) as refusal:
            termination_course(**case, horizon=180)
        assert refusal.value.code == code
