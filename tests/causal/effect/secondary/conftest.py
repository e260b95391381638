"""One invented study after its outcomes were opened: 900 occasions, about 200 sets, three days of rating."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.cohort.catalogue import catalogue_of
from causal.design.groups import build_groups
from causal.effect.outcomes import OpenedFacts
from causal.effect.secondary.opened import Opened
from causal.protocol import STUDY, OccasionStudy
from causal.records import AttritionStep, Cohort, canonical
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[4] / "configs" / "studies" / "duty_to_warn.yaml"
FLAGSHIP: Any = load_study(STUDY_FILE).study
COVARIATES = {
    name: catalogue_of(FLAGSHIP).covariates[name]
    for name in (
        *("alliance_lag1", "alliance_lag2", "alliance_lag3", "phq9", "severity", "target_identified", "means_access"),
        *("history_violence", "tenure_months", "visits_90d", "missed_180d", "sud", "psychosis", "hospitalised_365d"),
        *("prior_assessments", "age", "male", "regime_mandatory", "regime_permissive", "calendar_years"),
    )
}
"""In the order in which they are drawn."""
N = 900
DAYS = (30, 90, 180)
LEVEL_EFFECT, FLOOR = -0.3, 1.0
MIDDLE, SPREAD = 3.5, 0.9


@pytest.fixture(scope="session")
def flagship() -> OccasionStudy:
    """The flagship study, 60 clinicians being enough for its clustering."""
    loaded = load_study(STUDY_FILE).study
    assert isinstance(loaded, OccasionStudy)
    return loaded


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    """Occasions in which a warning depends weakly on severity; a few lags were not recorded."""
    rng = np.random.default_rng(20)
    frame = pd.DataFrame({name: rng.normal(size=N) for name in COVARIATES})
    for name, definition in COVARIATES.items():
        if definition.binary:
            frame[name] = (rng.random(N) < 0.4).astype(float)
    frame["treated"] = rng.random(N) < 1 / (1 + np.exp(1.2 - 0.4 * frame["severity"]))
    frame.loc[rng.random(N) < 0.1, "alliance_lag2"] = np.nan
    frame[list(FLAGSHIP.prior_ratings)] = MIDDLE + SPREAD * frame[list(FLAGSHIP.prior_ratings)]
    for column, prefix, groups in (("ta_id", "t", N), ("person_id", "p", N), ("clinician_id", "c", 60)):
        frame[column] = [f"{prefix}{i % groups}" for i in range(N)]
    frame["clinic_id"] = [f"k{i % 6}" for i in range(N)]
    frame["time_zero"] = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 100 * 86400, N), unit="s")
    frame["regime"], frame["instrument_ver"], frame["same_day_hold"] = "mandatory", "v1", False
    frame["recipient"] = np.where(frame["treated"], "warn_police", None)
    frame["patient_informed"] = np.where(frame["treated"], "before", None)
    frame["ended_in_grace"] = False
    step = AttritionStep(rule="all", persons=N, occasions=N, treated=int(frame["treated"].sum()))
    return Cohort(occasions=canonical(frame, [*COVARIATES]), attrition=(step,), covariates=(*COVARIATES,))


def facts_of(cohort: Cohort) -> dict[int, pd.DataFrame]:
    """What happened to every occasion by each day: endings at a daily rate, ratings, one in ten of them missing."""
    rng = np.random.default_rng(21)
    occasions = cohort.occasions
    treated = occasions["treated"].to_numpy(dtype=bool)
    ends = rng.exponential(np.where(treated, 250.0, 400.0))
    reason = rng.choice(["pt_initiated", "completed", "transfer"], size=N, p=[0.85, 0.1, 0.05])
    person = rng.normal(0, 0.4, N) + 0.2 * (occasions["alliance_lag1"].to_numpy() - MIDDLE) / SPREAD
    scores = {
        day: np.where(
            rng.random(N) < 0.1, np.nan, np.clip(MIDDLE + LEVEL_EFFECT * treated + person + rng.normal(0, 0.4, N), 1, 5)
        )
        for day in DAYS
    }
    frames = {}
    for day in DAYS:
        over = ends <= day
        gone_before_window = ends <= day - 20
        score = np.where(gone_before_window, np.nan, scores[day])
        frames[day] = pd.DataFrame(
            {
                "ta_id": occasions["ta_id"],
                "end_reason": np.where(over, reason, None),
                "ended_after_days": np.where(over, ends, np.nan),
                "died_after_days": np.nan,
                "window_score": score,
                "last_score": np.where(np.isnan(score) & (ends > 20), scores[30], score),
                "treated_later_after_days": np.nan,
                "inpatient_in_window": False,
            }
        )
    for name in ("bond", "goal", "task"):
        frames[90][f"subscale_{name}"] = np.clip(frames[90]["window_score"] + rng.normal(0, 0.1, N), 1, 5)
    return frames


@pytest.fixture(scope="session")
def opened(cohort: Cohort, flagship: OccasionStudy) -> Opened:
    """The flagship's analyses on this study."""
    return opened_of(cohort, flagship)


@pytest.fixture(scope="session")
def reused(cohort: Cohort, flagship: OccasionStudy) -> Opened:
    """The same people matched with replacement, one comparison each."""
    plain = flagship.model_dump(mode="python") | {"secondary": ({"analysis": "reuse_variance"},), "multiplicity": None}
    plain["matching"] |= {"replacement": True, "ratio": 1}
    study = STUDY.validate_python(plain)
    assert isinstance(study, OccasionStudy)
    return opened_of(cohort, study)


def opened_of(cohort: Cohort, study: OccasionStudy) -> Opened:
    """The study's design on these people, with what happened to them."""
    design: Any = build_groups(cohort, study)
    everyone = facts_of(cohort)

    def of_members(frame: pd.DataFrame) -> pd.DataFrame:
        aligned: pd.DataFrame = frame.set_index("ta_id").loc[design.members["ta_id"]].reset_index()
        return aligned

    return Opened(
        design=design,
        study=study,
        follow_up=OpenedFacts(
            facts={day: of_members(frame) for day, frame in everyone.items()},
            course=of_members(everyone[180]),
            followed_days=np.full(len(design.members), 365.0),
            everyone=everyone[90],
        ),
        score_range=(1, 5),
        cohort=cohort,
    )


Change = Callable[..., Opened]


@pytest.fixture(scope="session")
def declaring(opened: Opened) -> Change:
    """The same study with other analyses declared, or other values for some of its keys."""

    def change(*secondary: dict[str, Any], **changes: Any) -> Opened:
        plain = opened.study.model_dump(mode="python") | {"secondary": secondary, "multiplicity": None} | changes
        study = STUDY.validate_python(plain)
        assert isinstance(study, OccasionStudy)
        return dataclasses.replace(opened, study=study)

    return change
