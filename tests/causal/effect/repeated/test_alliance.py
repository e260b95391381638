"""Effects at several days: values by hand, what may be changed without changing them, what is refused."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import ttest_ind, ttest_rel

from causal.effect.contrast import Contrast
from causal.effect.repeated.alliance import RepeatedEffects, repeated_alliance
from causal.effect.repeated.mmrm import DegreesOfFreedom
from causal.effect.repeated.structures import STRUCTURES
from causal.errors import EstimationError

DAYS = np.array([30.0, 90, 180])
NAMES = ("age", "baseline")
KINDS: tuple[DegreesOfFreedom, ...] = get_args(DegreesOfFreedom)


def patients(seed: int, n: int = 60, missed: float = 0.2) -> dict[str, Any]:
    """Scores at three days, arm, two covariates, weights and matched sets."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 3 == 0
    x = rng.normal(size=(n, 2)) + arm[:, None]
    root = np.linalg.cholesky(0.7 + 0.5 * np.eye(3))
    y = 4 + x @ [[0.1, 0.2, 0.3], [0.5, 0.4, 0.3]] + 0.5 * arm[:, None] + rng.normal(size=(n, 3)) @ root.T
    y[rng.random((n, 3)) < missed] = np.nan
    return {
        "scores": y,
        "treated": arm,
        "days": DAYS,
        "covariates": x,
        "names": NAMES,
        "weights": np.where(arm, 1.0, rng.uniform(0.3, 1, n)),
    }


def made(means: tuple[Contrast | None, ...]) -> list[Contrast]:
    """Marginal means, all of which could be estimated."""
    assert None not in means
    return [mean for mean in means if mean is not None]


def same(one: RepeatedEffects, two: RepeatedEffects, *, factor: float = 1.0, rel: float = 1e-6) -> None:
    """Effects of two are factor times those of one, degrees of freedom equal."""
    for a, b in zip((*one.by_day, one.average), (*two.by_day, two.average), strict=True):
        assert b.value == pytest.approx(factor * a.value, rel=rel, abs=1e-8)
        assert b.std_error == pytest.approx(abs(factor) * a.std_error, rel=rel)
        assert b.df == pytest.approx(a.df, rel=1e-5)


@pytest.mark.parametrize("kind", ["kenward_roger", "satterthwaite"])
def test_complete_visits_give_the_t_test_at_each(kind: DegreesOfFreedom) -> None:
    """Without covariates and missed visits the effect at a day is the two-sample t test, n - 2 degrees of freedom."""
    data = patients(1, missed=0)
    found = repeated_alliance(data["scores"], data["treated"], DAYS, degrees_of_freedom=kind)
    arm = data["treated"]
    for t, effect in enumerate(found.by_day):
        test = ttest_ind(data["scores"][arm, t], data["scores"][~arm, t])
        interval = test.confidence_interval()
        assert effect.p_value == pytest.approx(test.pvalue, rel=1e-6)
        assert effect.df == pytest.approx(58, rel=1e-6)
        assert (effect.lower, effect.upper) == pytest.approx((interval.low, interval.high), rel=1e-6)
        assert made(found.treated)[t].value == pytest.approx(data["scores"][arm, t].mean(), rel=1e-9)
        assert made(found.comparison)[t].value == pytest.approx(data["scores"][~arm, t].mean(), rel=1e-9)
    test = ttest_ind(data["scores"][arm].mean(axis=1), data["scores"][~arm].mean(axis=1))
    assert found.average.p_value == pytest.approx(test.pvalue, rel=1e-6)
    assert found.average.df == pytest.approx(58, rel=1e-6)


def test_cluster_robust_of_complete_visits_is_welch() -> None:
    """CR2 of two means is each arm's own variance, with Bell and McCaffrey's degrees of freedom."""
    data = patients(2, missed=0)
    found = repeated_alliance(data["scores"], data["treated"], DAYS, degrees_of_freedom="cluster_robust")
    arm = data["treated"]
    n1, n0 = arm.sum(), (~arm).sum()
    df = (1 / n1 + 1 / n0) ** 2 / (1 / (n1**2 * (n1 - 1)) + 1 / (n0**2 * (n0 - 1)))
    for t, effect in enumerate(found.by_day):
        y = data["scores"][:, t]
        error = np.sqrt(y[arm].var(ddof=1) / n1 + y[~arm].var(ddof=1) / n0)
        assert effect.std_error == pytest.approx(error, rel=1e-9)
        assert effect.df == pytest.approx(df, rel=1e-7)


def test_complete_visits_with_covariates_are_weighted_least_squares_at_each() -> None:
    """The same covariates at each visit: seemingly unrelated regressions, so least squares visit by visit."""
    from statsmodels.api import WLS

    data = patients(3, missed=0)
    found = repeated_alliance(**data)
    centred = data["covariates"] - np.average(data["covariates"], axis=0, weights=data["weights"])
    x = np.column_stack([np.ones(60), data["treated"], centred])
    for t, effect in enumerate(found.by_day):
        fit = WLS(data["scores"][:, t], x, weights=data["weights"]).fit()
        assert effect.value == pytest.approx(fit.params[1], rel=1e-8)
        assert effect.std_error == pytest.approx(fit.bse[1], rel=1e-6)
        assert effect.df == pytest.approx(fit.df_resid, rel=1e-6)
        assert made(found.comparison)[t].value == pytest.approx(fit.params[0], rel=1e-8)
        assert made(found.comparison)[t].std_error == pytest.approx(fit.bse[0], rel=1e-6)
        assert found.covariance[t, t] == pytest.approx(fit.scale, rel=1e-6)


def test_two_visits_some_leaving_after_the_first_have_a_closed_form() -> None:
    """Anderson (1957): the second mean of each arm is corrected by the regression of its stayers on the first."""
    rng = np.random.default_rng(4)
    first = rng.normal(size=50)
    scores = np.column_stack([first, 1 + 0.7 * first + rng.normal(size=50)])
    scores[first > 0.8, 1] = np.nan
    arm = np.arange(50) % 2 == 0
    found = repeated_alliance(
        scores, arm, np.array([1.0, 2]), method="ML", covariance_by_arm=True, degrees_of_freedom="satterthwaite"
    )
    for rows, means in ((arm, made(found.treated)), (~arm, made(found.comparison))):
        stay = rows & np.isfinite(scores[:, 1])
        slope = np.cov(scores[stay].T)[0, 1] / scores[stay, 0].var(ddof=1)
        corrected = scores[stay, 1].mean() + slope * (scores[rows, 0].mean() - scores[stay, 0].mean())
        assert means[0].value == pytest.approx(scores[rows, 0].mean(), rel=1e-9)
        assert means[1].value == pytest.approx(corrected, rel=1e-6)
    assert found.covariance.shape == (2, 2, 2)
    assert found.covariance[1, 0, 0] == pytest.approx(scores[arm, 0].var(), rel=1e-6)
    assert found.covariance[0, 0, 0] == pytest.approx(scores[~arm, 0].var(), rel=1e-6)


def test_change_between_two_visits_is_the_paired_t_test_within_each_arm() -> None:
    """The difference of a patient's two scores, pooled over arms, has the effect of a t test on changes."""
    data = patients(5, missed=0)
    scores, arm = data["scores"][:, :2], data["treated"]
    found = repeated_alliance(scores, arm, DAYS[:2])
    change = found.by_day[1].value - found.by_day[0].value
    paired = (
        ttest_rel(scores[arm, 1], scores[arm, 0]).statistic
        * np.std(scores[arm, 1] - scores[arm, 0], ddof=1)
        / np.sqrt(arm.sum())
    )
    assert made(found.treated)[1].value - made(found.treated)[0].value == pytest.approx(paired, rel=1e-9)
    gain = scores[:, 1] - scores[:, 0]
    assert change == pytest.approx(gain[arm].mean() - gain[~arm].mean(), rel=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 50), shift=st.floats(-1e3, 1e3), scale=st.floats(0.01, 100))
def test_units_order_and_the_size_of_weights_do_not_matter(
    kind: DegreesOfFreedom, seed: int, shift: float, scale: float
) -> None:
    """Scores in other units, patients in another order, weights times a constant: the same effects in these units."""
    data = patients(seed)
    one = repeated_alliance(**data, degrees_of_freedom=kind)
    order = np.random.default_rng(seed).permutation(60)
    moved = data | {
        "scores": shift + scale * data["scores"][order],
        "treated": data["treated"][order],
        "covariates": 5 - 3 * data["covariates"][order],
        "weights": scale * data["weights"][order],
    }
    two = repeated_alliance(**moved, degrees_of_freedom=kind)
    same(one, two, factor=scale)
    np.testing.assert_allclose(two.covariance, scale**3 * one.covariance, rtol=1e-5)
    for a, b in zip(made(one.treated + one.comparison), made(two.treated + two.comparison), strict=True):
        assert b.value == pytest.approx(shift + scale * a.value, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_swapped_arms_change_the_sign(structure: Any) -> None:
    """Treated for comparison: minus the effect, the means changed over."""
    data = patients(6) | {"structure": structure}
    one = repeated_alliance(**data)
    two = repeated_alliance(**(data | {"treated": ~data["treated"]}))
    same(one, two, factor=-1)
    assert [m.value for m in made(two.treated)] == pytest.approx([m.value for m in made(one.comparison)], rel=1e-7)
    assert two.n_patients == one.n_patients[::-1]


@pytest.mark.parametrize("structure", ["unstructured", "compound_symmetry", "compound_symmetry_heterogeneous"])
def test_visits_may_change_places_where_the_structure_knows_no_order(structure: Any) -> None:
    """Columns of scores permuted: effects permuted."""
    data = patients(7) | {"structure": structure}
    one = repeated_alliance(**data)
    order = [2, 0, 1]
    two = repeated_alliance(**(data | {"scores": data["scores"][:, order]}))
    for t, s in enumerate(order):
        assert two.by_day[t].value == pytest.approx(one.by_day[s].value, rel=1e-6)
        assert two.by_day[t].std_error == pytest.approx(one.by_day[s].std_error, rel=1e-6)
        assert two.by_day[t].df == pytest.approx(one.by_day[s].df, rel=1e-5)


def test_doubled_patients_halve_the_variance() -> None:
    """Under ML everybody twice leaves estimates and covariance, and halves squared standard errors."""
    data = patients(8) | {"method": "ML", "degrees_of_freedom": "satterthwaite"}
    twice = {k: np.concatenate([data[k], data[k]]) for k in ("scores", "treated", "covariates", "weights")}
    one, two = repeated_alliance(**data), repeated_alliance(**(data | twice))
    np.testing.assert_allclose(two.covariance, one.covariance, rtol=1e-6)
    for a, b in zip(one.by_day, two.by_day, strict=True):
        assert b.value == pytest.approx(a.value, rel=1e-7)
        assert b.std_error == pytest.approx(a.std_error / np.sqrt(2), rel=1e-6)
        assert b.df == pytest.approx(2 * a.df, rel=1e-5)


def test_patients_without_score_or_weight_say_nothing_about_the_effect() -> None:
    """They are counted (without score) or ignored (without weight); the effect stays, as it has one slope per day."""
    data = patients(9)
    one = repeated_alliance(**data)
    more = data | {
        "scores": np.vstack([data["scores"], np.full((2, 3), np.nan), np.ones((1, 3))]),
        "treated": np.append(data["treated"], [True, False, True]),
        "covariates": np.vstack([data["covariates"], np.ones((2, 2)), np.full((1, 2), np.nan)]),
        "weights": np.append(data["weights"], [1.0, 1.0, 0.0]),
    }
    two = repeated_alliance(**more)
    same(one, two)
    silent = np.isnan(data["scores"]).all(axis=1)
    assert one.n_without_score == ((silent & ~data["treated"]).sum(), (silent & data["treated"]).sum())
    assert two.n_without_score == (one.n_without_score[0] + 1, one.n_without_score[1] + 1)
    assert two.n_patients == one.n_patients
    np.testing.assert_array_equal(one.n_scores.sum(axis=0), np.isfinite(data["scores"]).sum(axis=0))
    assert made(two.comparison)[0].value != made(one.comparison)[0].value  # the covariate means moved


def test_common_slopes_are_fewer_and_told() -> None:
    """One slope per covariate: more degrees of freedom, another sentence."""
    data = patients(10)
    each, once = repeated_alliance(**data), repeated_alliance(**data, common_slopes=True)
    assert once.by_day[0].df > each.by_day[0].df
    assert "one slope each" in once.description
    assert "a slope for each visit" in each.description
    gap = [t.value - c.value for t, c in zip(made(once.treated), made(once.comparison), strict=True)]
    assert gap == pytest.approx([d.value for d in once.by_day], rel=1e-9)


@pytest.mark.parametrize("common_slopes", [False, True])
def test_aliased_covariates_are_dropped_by_name(common_slopes: bool) -> None:
    """A covariate that repeats another goes and the effects stay."""
    data = patients(11, missed=0)
    repeated = data | {
        "covariates": np.column_stack([data["covariates"], 1 - 2 * data["covariates"][:, 0]]),
        "names": (*NAMES, "age again"),
        "common_slopes": common_slopes,
    }
    found = repeated_alliance(**repeated)
    expected = ("age again",) if common_slopes else tuple(f"age again at day {d}" for d in (30, 90, 180))
    assert found.aliased == expected
    same(repeated_alliance(**data, common_slopes=common_slopes), found)


@pytest.mark.parametrize("common_slopes", [False, True])
def test_a_covariate_that_does_not_vary_on_a_day_is_dropped_for_it(common_slopes: bool) -> None:
    """The effect stays; the mean that would need the slope of that day is not made up, unless slopes are common."""
    data = patients(11, missed=0)
    scores = data["scores"].copy()
    late = np.arange(60) >= 50
    scores[late, 2] = np.nan
    found = repeated_alliance(
        **(
            data
            | {"scores": scores, "covariates": late[:, None] * 1.0, "names": ("late",), "common_slopes": common_slopes}
        )
    )
    assert found.aliased == (() if common_slopes else ("late at day 180",))
    assert [mean is None for mean in found.treated] == [False, False, not common_slopes]


def test_a_covariate_that_is_the_arm_leaves_no_effect() -> None:
    """The arm is not estimated as if the covariate had not been there."""
    data = patients(12)
    with pytest.raises(EstimationError) as refusal:
        repeated_alliance(**(data | {"covariates": data["treated"][:, None] * 2.0, "names": ("arm",)}))
    assert refusal.value.code == "estimation.not_estimable"


def test_clusters_by_other_names_and_each_patient_its_own() -> None:
    """Labels of clusters do not matter; no clusters are one per patient; coarser ones change the standard error."""
    data = patients(13) | {"degrees_of_freedom": "cluster_robust"}
    alone = repeated_alliance(**data)
    same(alone, repeated_alliance(**data, clusters=7 * np.arange(60)[::-1]))
    sets = np.arange(60) // 3
    one = repeated_alliance(**data, clusters=sets)
    same(one, repeated_alliance(**data, clusters=100 - 3 * sets))
    assert one.by_day[0].std_error != pytest.approx(alone.by_day[0].std_error, rel=1e-3)
    assert one.by_day[0].df < 20


def code(**changes: Any) -> str:
    """Code with which the patients are refused after changes."""
    with pytest.raises(EstimationError) as refusal:
        repeated_alliance(**(patients(14) | changes))
    return refusal.value.code.removeprefix("estimation.")


def scores_with(where: NDArray[np.bool_], value: float) -> NDArray[np.float64]:
    """Scores with some replaced."""
    return np.where(where, value, patients(14)["scores"])


def test_each_fault_has_its_reason() -> None:
    """What cannot be estimated is refused with a code of its own."""
    arm, day = patients(14)["treated"][:, None], np.arange(3) == 1
    assert code(treated=np.zeros(60, dtype=np.bool_)) == "empty_arm"
    assert code(treated=np.ones(60, dtype=np.bool_)) == "empty_arm"
    assert code(weights=np.where(arm[:, 0], 0.0, 1.0)) == "empty_arm"
    assert code(weights=np.full(60, np.nan)) == "weights"
    assert code(days=DAYS[:2]) == "days"
    assert code(names=("age",)) == "names"
    assert code(days=DAYS[::-1]) == "days"
    assert code(covariates=np.full((60, 2), np.nan)) == "not_finite"
    assert code(scores=scores_with(day & arm, np.inf)) == "not_finite"
    assert code(scores=patients(14)["scores"][:, :1], days=DAYS[:1]) == "one_visit"
    assert code(scores=scores_with(np.broadcast_to(day, (60, 3)), np.nan)) == "no_scores_at_visit"
    assert code(scores=scores_with(day & arm, np.nan)) == "arm_missing_at_visit"
    assert code(scores=scores_with(day & ~arm, np.nan)) == "arm_missing_at_visit"
    assert code(scores=np.full((60, 3), 4.0)) == "constant_outcome"
    assert code(scores=scores_with(day & arm, 4.0)) == "constant_outcome"
    assert code(scores=scores_with(np.broadcast_to(day, (60, 3)), 1.0)) == "constant_outcome"  # all at the floor
    assert code(scores=np.repeat(patients(14, missed=0)["scores"][:, :1], 3, axis=1)) == "singular_covariance"
    assert code(clusters=np.arange(60)) == "clusters_unused"
    assert code(clusters=np.zeros(60, dtype=np.int64), degrees_of_freedom="cluster_robust") == "too_few_clusters"
    assert code(method="ML") == "kenward_roger_needs_reml"


def test_a_refusal_names_days_and_never_a_score() -> None:
    """The missed day is named."""
    arm, day = patients(14)["treated"][:, None], np.arange(3) == 1
    with pytest.raises(EstimationError, match="no score of a treated at day 90"):
        repeated_alliance(**(patients(14) | {"scores": scores_with(day & arm, np.nan)}))


def test_every_estimate_is_finite_and_described() -> None:
    """Under each structure and kind of uncertainty: numbers, and a sentence that says which."""
    data, sentences = patients(15), set()
    for structure in STRUCTURES:
        for kind in KINDS:
            found = repeated_alliance(**data, structure=structure, degrees_of_freedom=kind)
            sentences.add(found.description)
            for c in (*found.by_day, found.average, *made(found.treated + found.comparison)):
                assert all(np.isfinite(getattr(c, f.name)) for f in fields(c) if f.name != "label")
    assert len(sentences) == len(STRUCTURES) * len(KINDS)
    assert [c.label for c in found.by_day] == ["day 30", "day 90", "day 180"]
    assert found.average.label == "mean over days 30, 90, 180"


def study(replicates: int, seed: int, n: int = 80) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Effect at the last day by model and among completers (replicates, 2); whether the model's interval covers.

    Patients leave more often the lower the score before, the treated more so: missing at random, but completers differ.
    """
    rng = np.random.default_rng(seed)
    root = np.linalg.cholesky(0.6 + 0.4 * np.eye(3))
    found, covered = [], []
    for _ in range(replicates):
        arm = np.arange(n) < n // 2
        y = rng.normal(size=(n, 3)) @ root.T + 0.5 * arm[:, None] * np.array([0, 0.5, 1])
        for t in (1, 2):
            leaves = rng.random(n) < 1 / (1 + np.exp(1 + 1.5 * (1 + arm) * y[:, t - 1]))
            y[leaves, t:] = np.nan
        effect = repeated_alliance(y, arm, DAYS).by_day[2]
        stay = np.isfinite(y[:, 2])
        found.append([effect.value, y[stay & arm, 2].mean() - y[stay & ~arm, 2].mean()])
        covered.append(effect.lower <= 0.5 <= effect.upper)
    return np.array(found), np.array(covered, dtype=np.float64)


def check(found: NDArray[np.float64], covered: NDArray[np.float64]) -> None:
    """No bias and honest coverage within 3.5 Monte Carlo errors, where completers are biased."""
    r = covered.size
    bias, error = found.mean(axis=0) - 0.5, found.std(axis=0, ddof=1) / np.sqrt(r)
    assert abs(bias[0]) < 3.5 * error[0]
    assert abs(bias[1]) > 4 * error[1]
    assert abs(covered.mean() - 0.95) < 3.5 * np.sqrt(0.95 * 0.05 / r)


def test_dropout_at_random_leaves_no_bias() -> None:
    """300 trials of 80 patients: coverage within 3.5 Monte Carlo errors of 1.3 points."""
    check(*study(300, 16))


@pytest.mark.slow
def test_dropout_at_random_leaves_no_bias_in_many_trials() -> None:
    """5,000 trials: coverage within 3.5 Monte Carlo errors of 0.3 points."""
    check(*study(5000, 17))
