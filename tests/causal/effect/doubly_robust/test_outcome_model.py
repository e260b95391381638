"""Outcome models: what they predict against definitions, scikit-learn and statsmodels."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from causal.effect.doubly_robust import outcome_trees
from causal.effect.doubly_robust.logistic import logistic_regression
from causal.effect.doubly_robust.outcome_model import OutcomeModel, predicted_means
from causal.errors import EstimationError

NAMES = ("a", "b", "c")


def sample(n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, arm, covariates."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 3)) * [1, 10, 0.1] + [0, 100, 0]
    arm = rng.random(n) < expit(x[:, 0])
    return x[:, 0] + 0.1 * x[:, 1] + arm + rng.normal(size=n), arm, x


def test_weighted_logistic_regression_is_statsmodels() -> None:
    """Coefficients with weights and fractional outcomes, to 1e-8."""
    import statsmodels.api as sm

    _, arm, x = sample()
    rng = np.random.default_rng(1)
    y, w = rng.beta(2, 3, arm.size), rng.uniform(0, 3, arm.size)
    design = np.column_stack([np.ones(arm.size), arm, x])
    beta, kept = logistic_regression(design, y, w)
    assert kept.all()
    expected = sm.GLM(y, design, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-14).params
    assert beta == pytest.approx(expected, rel=1e-8)


def test_a_column_twice_has_no_second_coefficient() -> None:
    """A repeated column gets 0, and the fit is that without it."""
    y, arm, x = sample()
    event, design = (y > y.mean()).astype(float), np.column_stack([np.ones(arm.size), x[:, 0]])
    beta, kept = logistic_regression(np.column_stack([design, 2 * x[:, 0]]), event)
    assert kept.tolist() == [True, True, False]
    assert beta == pytest.approx(np.r_[logistic_regression(design, event)[0], 0.0], rel=1e-9)


@pytest.mark.parametrize("outcome", [np.zeros(4), np.ones(4), np.array([0.0, 0, 1, 1])])
def test_separated_outcomes_have_no_maximum(outcome: np.ndarray) -> None:
    """All alike, or told apart by the covariate: refused."""
    design = np.column_stack([np.ones(4), [0.0, 1, 2, 3]])
    with pytest.raises(EstimationError) as refusal:
        logistic_regression(design, outcome)
    assert refusal.value.code == "estimation.outcome_separated"


def test_separate_arms_are_two_regressions() -> None:
    """Each arm's prediction is that of least squares in it, in folds from the other folds."""
    y, arm, x = sample()
    fold = np.arange(y.size) % 4
    design = np.column_stack([np.ones(y.size), x])
    found = predicted_means(OutcomeModel(), y, arm, x, names=NAMES, arms=[True, False], fold=fold).mean
    for a in (True, False):
        for k in range(4):
            rows = (fold != k) & (arm == a)
            beta = np.linalg.lstsq(design[rows], y[rows], rcond=None)[0]
            assert found[a][fold == k] == pytest.approx(design[fold == k] @ beta, rel=1e-8)


def test_pooled_arms_are_one_regression() -> None:
    """Treatment, covariates and the products named; predictions with treatment set."""
    y, arm, x = sample()
    model = OutcomeModel(arms="pooled", interactions=("b",))
    found = predicted_means(model, y, arm, x, names=NAMES, arms=[True, False]).mean

    def columns(a: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(y.size), a, x, a * x[:, 1]])

    beta = np.linalg.lstsq(columns(arm), y, rcond=None)[0]
    for a in (True, False):
        assert found[a] == pytest.approx(columns(np.full(y.size, a)) @ beta, rel=1e-8)


def test_ridge_by_its_definition() -> None:
    """Penalty per row on standardised slopes, the intercept free; left to itself it chooses one of the thirteen."""
    y, arm, x = sample()
    found = predicted_means(OutcomeModel(kind="ridge", penalty=0.3), y, arm, x, names=NAMES, arms=[False]).mean[False]
    rows = ~arm
    centre, scale = x[rows].mean(axis=0), x[rows].std(axis=0)
    z = (x - centre) / scale
    inner = z[rows].T @ z[rows] + 0.3 * rows.sum() * np.eye(3)
    slopes = np.linalg.solve(inner, z[rows].T @ (y[rows] - y[rows].mean()))
    assert found == pytest.approx(y[rows].mean() + z @ slopes, rel=1e-8)
    free = predicted_means(OutcomeModel(kind="ridge"), y, arm, x, names=NAMES, arms=[False]).mean[False]
    line = predicted_means(OutcomeModel(), y, arm, x, names=NAMES, arms=[False]).mean[False]
    assert free == pytest.approx(line, abs=0.3)
    assert (free != line).any()


def test_trees_find_bends() -> None:
    """A step that no line follows is learned, with units of the covariates of no importance."""
    rng = np.random.default_rng(5)
    x, arm = rng.normal(size=(1000, 3)), rng.random(1000) < 0.5
    y = np.where(np.abs(x[:, 0]) > 1, 3.0, 0.0)
    model = OutcomeModel(kind="boosting", arms="pooled")
    found = predicted_means(model, y, arm, x, names=NAMES, arms=[True]).mean[True]
    assert np.abs(found - y).mean() < 0.1
    assert predicted_means(model, y, arm, 100 * x, names=NAMES, arms=[True]).mean[True] == pytest.approx(found)


def test_a_column_without_variation_in_a_fold() -> None:
    """A rare indicator that all other folds lack has no coefficient there, and predictions stay finite."""
    y, arm, x = sample()
    rare = np.zeros(y.size)
    rare[:3] = 1
    fold = np.r_[np.zeros(50, dtype=int), 1 + np.arange(150) % 2]
    covariates = np.column_stack([x[:, 0], rare, x[:, 2]])
    for kind in ("linear", "ridge"):
        found = predicted_means(OutcomeModel(kind=kind), y, arm, covariates, names=NAMES, arms=[False], fold=fold)  # type: ignore[arg-type]
        without = predicted_means(
            OutcomeModel(kind=kind),  # type: ignore[arg-type]
            y,
            arm,
            covariates[:, [0, 2]],
            names=("a", "c"),
            arms=[False],
            fold=fold,
        )
        assert found.mean[False][:50] == pytest.approx(without.mean[False][:50], rel=1e-9)


def test_as_many_columns_as_rows() -> None:
    """A regression that would fit its rows exactly is refused; ridge is not."""
    y, _, x = sample(8)
    few = np.arange(8) < 3
    with pytest.raises(EstimationError) as refusal:
        predicted_means(OutcomeModel(), y, few, x, names=NAMES, arms=[True])
    assert refusal.value.code == "estimation.too_few_rows"
    assert np.isfinite(
        predicted_means(OutcomeModel(kind="ridge"), y, few, x, names=NAMES, arms=[True]).mean[True]
    ).all()


@pytest.mark.parametrize(
    "words",
    [
        {"interactions": ("a",)},
        {"kind": "boosting", "arms": "pooled", "interactions": ("a",)},
        {"penalty": 1.0},
        {"kind": "ridge", "penalty": 0.0},
        {"kind": "boosting", "trees": 0},
        {"kind": "boosting", "leaves": 1},
        {"kind": "boosting", "learning_rate": 2.0},
    ],
)
def test_models_nobody_can_mean(words: dict[str, Any]) -> None:
    """Values out of range, and words that belong to another kind."""
    with pytest.raises(EstimationError) as refusal:
        OutcomeModel(**words)
    assert refusal.value.code == "estimation.outcome_model"


def test_trees_stop_where_nothing_is_left_to_learn() -> None:
    """Of noise predictions stay near the mean; ten rows far off are learned all the same."""
    rng = np.random.default_rng(6)
    x, arm = rng.normal(size=(600, 3)), np.ones(600, dtype=bool)
    model = OutcomeModel(kind="boosting")
    noise = rng.normal(size=600)
    flat = predicted_means(model, noise, arm, x, names=NAMES, arms=[True]).mean[True]
    assert flat.std() < 0.5
    cell = np.arange(600) < 10
    found = predicted_means(
        model, 0.1 * noise + 30 * cell, arm, np.column_stack([x[:, :2], cell]), names=NAMES, arms=[True]
    ).mean[True]
    assert found[cell].mean() == pytest.approx(30, abs=1)


def test_a_level_in_which_all_outcomes_agree() -> None:
    """Four rows with a flag have no event: Firth's likelihood predicts few events there, and a note says so."""
    rng = np.random.default_rng(7)
    x, arm = rng.normal(size=(300, 2)), np.ones(300, dtype=bool)
    flag = (np.arange(300) < 4).astype(float)
    y = ((rng.random(300) < 0.4) & (flag == 0)).astype(float)
    model = OutcomeModel(kind="logistic")
    columns = np.column_stack([x, flag])
    found = predicted_means(model, y, arm, columns, names=NAMES, arms=[True])
    assert "Firth's likelihood" in found.notes[0]
    assert 0.01 < found.mean[True][:4].max() < 0.3
    with pytest.raises(EstimationError) as refusal:
        predicted_means(model, flag, arm, columns, names=NAMES, arms=[True])
    assert refusal.value.code == "estimation.outcome_separated"


def test_an_average_is_nearest_where_no_single_model_is_right() -> None:
    """An outcome of a line and a step: the average errs no more than the better of line and trees, in any row order."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1_200, 2))
    truth = x[:, 0] + 1.0 * (np.abs(x[:, 1]) > 1)
    y = truth + rng.normal(size=1_200)

    def predicted(kind: str, rows: np.ndarray) -> np.ndarray:
        model = OutcomeModel(kind=kind, trees=60)  # type: ignore[arg-type]
        arm = np.ones(rows.size, dtype=bool)
        return predicted_means(model, y[rows], arm, x[rows], names=["a", "b"], arms=[True]).mean[True]

    everyone, some = np.arange(1_200), rng.permutation(300)
    errors = [float(np.mean((predicted(kind, everyone) - truth) ** 2)) for kind in ("linear", "boosting", "average")]
    assert errors[2] <= min(errors[:2]) * 1.02
    np.testing.assert_allclose(predicted("average", some), predicted("average", np.arange(300))[some], rtol=1e-8)


def test_an_average_grows_trees_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five folds and the whole: what trees say out of fold comes from choosing their number, and saw none of it."""
    y, arm, x = sample()
    made = outcome_trees._model
    grown: list[int] = []
    monkeypatch.setattr(outcome_trees, "_model", lambda trees, rounds: grown.append(rounds) or made(trees, rounds))
    model = OutcomeModel(kind="average", trees=40)
    predicted_means(model, y, arm, x, names=NAMES, arms=[True])
    assert len(grown) == 6
    few = outcome_trees.Trees(most=20, learning_rate=0.2, leaves=4, seed=1)
    fold = np.arange(y.size) % 3
    said, other = (outcome_trees.boosted_means(few, x, z, fold).outside for z in (y, np.where(fold == 0, -y, y)))
    assert said is not None
    assert other is not None
    assert (said[fold == 0] == other[fold == 0]).all()
    assert (said[fold != 0] != other[fold != 0]).any()


def test_the_first_trees_of_a_process_grow_on_one_thread_too() -> None:
    """Threads are limited once scikit-learn has loaded them: a library loaded later would not be bound."""
    program = (
        "import numpy as np, causal.effect.doubly_robust.outcome_trees as trees\n"
        "from threadpoolctl import threadpool_info\n"
        "made, seen = trees._model, []\n"
        "def looked(*given):\n"
        "    found = made(*given)\n"
        "    seen.extend(one['num_threads'] for one in threadpool_info() if one['user_api'] == 'openmp')\n"
        "    return found\n"
        "trees._model = looked\n"
        "one = trees.Trees(most=1, learning_rate=0.1, leaves=2, seed=1)\n"
        "x = np.arange(40.0)\n"
        "trees.boosted_means(one, x[:, None], x, np.arange(40) % 2)\n"
        "print(set(seen))\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "{1}"
