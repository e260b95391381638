"""The values passed between stages: what they refuse, their order, their digest."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from causal.design.diagnose import Diagnostics
from causal.design.propensity.curvature import Curvature
from causal.errors import DesignError
from causal.records import OCCASION_COLUMNS, AttritionStep, Cohort, Design, canonical, codes

COVARIATES = ("severity", "phq9", "age")


def occasions(n: int, seed: int = 0) -> pd.DataFrame:
    """Occasions (n rows) with distinct contents and all declared columns."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.normal(size=n) for name in COVARIATES})
    return frame.assign(
        ta_id=[f"t{i}" for i in range(n)],
        person_id=[f"p{i}" for i in range(n)],
        clinician_id=[f"c{i % 3}" for i in range(n)],
        clinic_id="k",
        time_zero=pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.permutation(n), unit="h"),
        regime="mandatory",
        same_day_hold=False,
        instrument_ver="v1",
        treated=rng.random(n) < 0.5,
        recipient=None,
        patient_informed=None,
        ended_in_grace=False,
    )


def design(**changed: Any) -> Design:
    """A design of two sets, with some fields changed."""
    members = (
        occasions(4)
        .iloc[:, :]
        .assign(set_id=[0, 0, 1, 1], treated=[True, False, True, False], weight=[1.0, 1.0, 1.0, 1.0])
    )
    whole = Design(
        members=members,
        covariates=np.arange(8.0).reshape(4, 2),
        covariate_names=("severity", "phq9"),
        estimand="ATT",
        estimand_label="ATT",
        estimand_sentence="the average effect",
        method_sentence="matched",
        grouping="matched set",
        attrition=(AttritionStep(rule="all", persons=4, occasions=4, treated=2),),
        balance=(),
        overlap=(),
        propensity_method="maximum likelihood",
        c_statistic=0.7,
        events_per_parameter=12.0,
        aliased=(),
        separated=(),
        fates=(),
        curvature=Curvature(linear=None),
        caliper=0.2,
        n_eligible_treated=2,
        n_unmatched_treated=0,
        lost_share=0.0,
        pretrend_smd=None,
        ended_in_grace_share=0.0,
        diagnostics=Diagnostics(**dict.fromkeys(field.name for field in dataclasses.fields(Diagnostics))),
    )
    return dataclasses.replace(whole, **changed)


def test_a_cohort_refuses_what_it_may_not_see() -> None:
    """A column of the future, or a missing one, is refused by name."""
    good = canonical(occasions(5), COVARIATES)
    for bad in (good.assign(end_reason="lost"), good.drop(columns="severity"), good[sorted(good.columns)]):
        with pytest.raises(DesignError, match=r"^\[cohort\.columns\]"):
            Cohort(occasions=bad, attrition=(), covariates=COVARIATES)
    with pytest.raises(DesignError, match="end_reason"):
        Cohort(occasions=good.assign(end_reason="lost"), attrition=(), covariates=COVARIATES)


def test_canonical_order_is_by_content() -> None:
    """Permuted rows and relabelled ids give the same order of contents, with the declared columns."""
    frame = occasions(50)
    rng = np.random.default_rng(1)
    shuffled = frame.iloc[rng.permutation(50)].assign(ta_id=[f"x{i}" for i in rng.permutation(50)])
    contents = ["time_zero", *COVARIATES]
    first, second = canonical(frame, COVARIATES), canonical(shuffled, COVARIATES)
    assert list(first.columns) == [*OCCASION_COLUMNS, *COVARIATES]
    assert first["time_zero"].is_monotonic_increasing
    pd.testing.assert_frame_equal(first[contents], second[contents])


def test_canonical_order_at_one_instant_is_by_covariates_then_by_id() -> None:
    """At one time zero the covariates decide, and only between equal contents the id does."""
    frame = pd.concat([occasions(1)] * 3, ignore_index=True)
    frame = frame.assign(severity=[2.0, 1.0, 1.0], ta_id=["a", "c", "b"])
    assert list(canonical(frame, COVARIATES)["ta_id"]) == ["b", "c", "a"]


def test_codes_do_not_depend_on_labels() -> None:
    """Codes follow first appearance; what is missing is a label of its own, never one of another label's."""
    assert codes(pd.Series(["z", "a", "z", "m"])).tolist() == [0, 1, 0, 2]
    assert codes(pd.Series(["z", None, "a", None])).tolist() == [0, 1, 2, 1]


def test_digest_covers_the_comparison() -> None:
    """Who, with whom, weights, covariates, flow and caliper are in the digest."""
    base = design()
    members = base.members
    changes: list[dict[str, Any]] = [
        {"members": members.assign(ta_id=["t9", *members["ta_id"][1:]])},
        {"members": members.assign(person_id=["p9", *members["person_id"][1:]])},
        {"members": members.assign(set_id=[0, 1, 1, 0])},
        {"members": members.assign(treated=~members["treated"])},
        {"members": members.assign(weight=[1.0, 1.0, 1.0, np.nextafter(1.0, 2.0)])},
        {"covariates": np.nextafter(base.covariates, 9.0)},
        {"covariate_names": ("severity", "age")},
        {"estimand_sentence": "another"},
        {"attrition": ()},
        {"caliper": 0.1},
        {"curvature": Curvature(linear=None, bends=("severity",))},
    ]
    digests = [base.digest, *(dataclasses.replace(base, **change).digest for change in changes)]
    assert len(set(digests)) == len(digests)
    assert design().digest == base.digest


def test_counts_of_a_design_and_of_a_step() -> None:
    """Sets are counted by their treated occasion; comparison occasions are the rest of a step."""
    assert design().n_sets == 2
    assert AttritionStep(rule="all", persons=7, occasions=10, treated=3).comparison == 7
