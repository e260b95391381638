"""The dropout story: every row on the same rows, decided outcomes kept, refusals told, the truth recovered."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.contrast import Contrast, student
from causal.effect.matched_estimates import weighted_ancova
from causal.effect.missing.story import DropoutStory, NotEvaluated, dropout_story
from causal.errors import EstimationError

FLOOR = 1.0


class Trial:
    """Matched rows with three visits: some relationships end, some ratings of continuing ones are missing."""

    def __init__(self, seed: int, n: int = 300, *, slope: float = 1.5, ends: float = 0.15) -> None:
        rng = np.random.default_rng(seed)
        self.n, self.rng = n, np.random.default_rng(seed + 1)
        self.arm = np.arange(n) % 3 == 0
        self.x = np.column_stack([rng.normal(3.5, 0.6, n), rng.random(n) < 0.4])
        self.clusters = rng.integers(0, 25, n)
        self.weights = np.where(self.arm, 1.0, rng.choice([0.5, 1.0], n))
        common = rng.normal(0, 0.25, n) + rng.normal(0, 0.15, 25)[self.clusters]
        time = np.array([0.4, 0.8, 1.0])
        self.full = np.clip(
            1.0 + 0.7 * self.x[:, :1] + common[:, None] - 0.4 * self.arm[:, None] * time + rng.normal(0, 0.3, (n, 3)),
            1,
            5,
        )
        end = np.where(rng.random(n) < ends * (1 + self.arm), rng.integers(1, 3, n), 3)
        self.continuing = np.arange(3) < end[:, None]
        self.scores = np.where(self.continuing, self.full, np.nan)
        for t in (1, 2):
            lost = rng.random(n) > 1 / (1 + np.exp(-1.2 - slope * (self.full[:, t - 1] - 3.3)))
            self.scores[lost | (np.isnan(self.scores[:, t - 1])), t] = np.nan
        self.fixed = np.where(self.continuing[:, 2], np.nan, FLOOR)
        self.truth = np.where(self.continuing[:, 2], self.full[:, 2], FLOOR)

    def analyse(self, outcome: np.ndarray, weights: np.ndarray) -> Contrast:
        """Weighted ANCOVA on the baseline score, CR2."""
        found = weighted_ancova(outcome, self.arm, self.x[:, :1], weights, self.clusters)
        return student("difference", found.value, found.std_error, found.df)

    def story(self, **changed: object) -> DropoutStory:
        """The story of this trial."""
        arguments = {
            "scores": self.scores,
            "primary": 2,
            "fixed": self.fixed,
            "may_impute": self.continuing,
            "treated": self.arm,
            "covariates": self.x,
            "names": ["baseline", "clinic"],
            "analyse": self.analyse,
            "weights": self.weights,
            "clusters": self.clusters,
            "rng": np.random.default_rng(0),
        }
        return dropout_story(**(arguments | changed))


NAMES = [
    "available cases",
    "inverse probability of response",
    "inverse probability of response, untruncated",
    "multiple imputation",
    "normal model",
    "jump to reference",
    "copy increments in reference",
    "copy reference",
]


def value(story: DropoutStory, name: str) -> float:
    """The estimate of a row."""
    result = story.row(name).result
    assert isinstance(result, Contrast), result
    return result.value


def test_all_rows_side_by_side() -> None:
    """Every way of handling gives an effect, and the grid of shifts holds the multiple imputation at no shift."""
    trial = Trial(1)
    story = trial.story()
    assert [row.name for row in story.rows] == NAMES
    assert all(isinstance(row.result, Contrast) for row in story.rows)
    gap = np.isnan(trial.scores[:, 2]) & trial.continuing[:, 2]
    assert (story.missing1, story.missing0) == ((gap & trial.arm).sum(), (gap & ~trial.arm).sum())
    assert story.rated1 + story.rated0 == np.isfinite(trial.scores[:, 2]).sum()
    assert story.decided1 + story.decided0 == np.isfinite(trial.fixed).sum()
    assert story.excluded == 0
    imputation = story.row("multiple imputation")
    assert imputation.outside_scale == 0
    assert imputation.pooled is not None
    assert 0 < imputation.pooled.fmi < 0.6
    assert imputation.pooled.between > 0
    assert not isinstance(story.tipping, NotEvaluated)
    assert story.tipping.at(0.0, 0.0).contrast.value == value(story, "multiple imputation")
    assert any("information-anchored" in note for note in story.row("jump to reference").notes)
    assert any("pooled logistic" in note for note in story.row(NAMES[1]).notes)


def test_available_cases_are_the_analysis_of_them() -> None:
    """The first row is the analysis itself with the missing left out and the decided kept."""
    trial = Trial(2)
    seen = np.isfinite(trial.scores[:, 2]) | np.isfinite(trial.fixed)
    outcome = np.where(np.isfinite(trial.fixed), trial.fixed, trial.scores[:, 2])
    direct = trial.analyse(outcome, np.where(seen, trial.weights, 0.0))
    assert trial.story().row("available cases").result == direct


def test_decided_outcomes_are_never_touched() -> None:
    """Every outcome handed to the analysis holds the floor where the relationship ended and the rating where given."""
    trial = Trial(3, n=200)
    seen: list[tuple[np.ndarray, np.ndarray]] = []

    def spying(outcome: np.ndarray, weights: np.ndarray) -> Contrast:
        seen.append((outcome.copy(), weights.copy()))
        return trial.analyse(outcome, weights)

    trial.story(analyse=spying)
    decided, rated = np.isfinite(trial.fixed), np.isfinite(trial.scores[:, 2])
    for outcome, weights in seen:
        assert (outcome[decided] == FLOOR).all()
        np.testing.assert_array_equal(outcome[rated], trial.scores[rated, 2])
        np.testing.assert_array_equal(weights[decided], trial.weights[decided])
    assert len(seen) == 1 + 2 + 20 + (3 * 20 + 4) + 4 * 20


def test_row_order_changes_nothing() -> None:
    """Rows in another order tell the same story, number by number."""
    trial = Trial(5, n=150)
    plain = trial.story()
    order = np.random.default_rng(6).permutation(150)
    for name in ("arm", "x", "clusters", "weights", "continuing", "scores", "fixed"):
        setattr(trial, name, getattr(trial, name)[order])
    for row, other in zip(plain.rows, trial.story().rows, strict=True):
        assert isinstance(row.result, Contrast)
        assert isinstance(other.result, Contrast)
        assert other.result.value == pytest.approx(row.result.value, rel=1e-8)
        assert other.result.std_error == pytest.approx(row.result.std_error, rel=1e-8)


def test_one_occasion_in_several_sets_is_imputed_once() -> None:
    """Rows of the same occasion get the same imputed outcome in every set, and doubled rows change no estimate."""
    trial = Trial(7, n=150)
    plain = trial.story()
    twice = np.r_[np.arange(150), np.arange(150)]
    for name in ("arm", "x", "clusters", "weights", "continuing", "scores", "fixed"):
        setattr(trial, name, getattr(trial, name)[twice])
    doubled = trial.story(units=twice)
    for name in NAMES:
        assert value(doubled, name) == pytest.approx(value(plain, name), rel=1e-8)


def test_nobody_missing() -> None:
    """Without a missing outcome the available cases are the answer and the other rows say so."""
    trial = Trial(8)
    story = trial.story(scores=np.where(trial.continuing, trial.full, np.nan))
    assert isinstance(story.row("available cases").result, Contrast)
    for row in story.rows[1:]:
        assert isinstance(row.result, NotEvaluated)
        assert row.result.code == "estimation.nothing_missing"
    assert isinstance(story.tipping, NotEvaluated)


def test_a_refusal_is_told_in_its_row() -> None:
    """An arm without ratings at an early visit stops the normal model and the response weights, not the imputation."""
    trial = Trial(9, slope=0.0)
    trial.scores[trial.arm, 0] = np.nan
    story = trial.story()
    assert isinstance(story.row("available cases").result, Contrast)
    for name in ("normal model", "jump to reference", "inverse probability of response"):
        refused = story.row(name).result
        assert isinstance(refused, NotEvaluated)
        assert "treated arm" in refused.reason
        assert refused.code.startswith("estimation.")


def test_small_arms_can_be_imputed_together() -> None:
    """Arms too small to be imputed apart say so; with the arm among the predictors there is an estimate."""
    trial = Trial(14, n=36)
    apart, together = (trial.story(by_arm=choice).row("multiple imputation").result for choice in (True, False))
    assert isinstance(apart, NotEvaluated)
    assert apart.code == "estimation.too_few_donors"
    assert isinstance(together, Contrast)


def test_deaths_are_outside() -> None:
    """A row that is neither rated, decided nor imputable has no weight anywhere and is counted."""
    trial = Trial(10)
    dead = np.flatnonzero(trial.continuing[:, 2] & np.isnan(trial.scores[:, 2]))[:5]
    may = trial.continuing.copy()
    may[dead, 2] = False
    weights: list[float] = []

    def spying(outcome: np.ndarray, w: np.ndarray) -> Contrast:
        weights.append(float(w[dead].sum()))
        return trial.analyse(outcome, w)

    story = trial.story(may_impute=may, analyse=spying)
    assert story.excluded == 5
    assert not any(weights)
    assert all(isinstance(row.result, Contrast) for row in story.rows)


def test_missing_covariates_cost_no_row() -> None:
    """A missing baseline value is imputed, or filled and flagged; every way of handling still has its estimate."""
    trial = Trial(11)
    gone = trial.x.copy()
    gone[np.random.default_rng(0).random(gone.shape) < 0.1] = np.nan
    story = trial.story(covariates=gone)
    assert all(isinstance(row.result, Contrast) for row in story.rows)


def test_inconsistent_rows_are_refused() -> None:
    """A rating beside a decided outcome, or rows of one occasion that differ, are refused."""
    trial = Trial(12)
    both = trial.scores.copy()
    both[np.flatnonzero(np.isfinite(trial.fixed))[0], 2] = 3.0
    for changed in ({"scores": both}, {"units": np.zeros(trial.n, dtype=np.int64)}):
        with pytest.raises(EstimationError) as refusal:
            trial.story(**changed)
        assert refusal.value.code == "estimation.inconsistent_scores"


def test_scores_by_the_normal() -> None:
    """Chained equations impute scores by normal regression when asked, and tell how many leave the scale."""
    trial = Trial(13)
    high = trial.scores + 1.2
    row = trial.story(scores=np.where(high > 5, 5.0, high), score_kind="norm").row("multiple imputation")
    assert row.outside_scale is not None
    assert row.outside_scale > 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "bound"), [("pmm", 0.02), ("norm", 0.012)])
def test_the_truth_is_recovered(kind: str, bound: float) -> None:
    """Over 100 studies of 600 available cases are off by a tenth, weights and imputations hardly (MCSE .004)."""
    errors: dict[str, list[float]] = {name: [] for name in NAMES[:5]}
    covered = []
    for seed in range(100):
        trial = Trial(1000 + seed, n=600)
        story = trial.story(imputations=10, deltas_treated=(0.0,), deltas_comparison=(0.0,), score_kind=kind)
        truth = trial.analyse(trial.truth, trial.weights).value
        for name, off in errors.items():
            off.append(value(story, name) - truth)
        found = story.row("multiple imputation").result
        assert isinstance(found, Contrast)
        covered.append(found.lower < truth < found.upper)
    assert abs(np.mean(errors["available cases"])) > 0.1
    for name in NAMES[1:5]:
        assert np.std(errors[name]) / 10 < 0.005
        assert abs(np.mean(errors[name])) < bound, name
    assert np.mean(covered) > 0.95  # the truth of the same rows, so more than nominal
