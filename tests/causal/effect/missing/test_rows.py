"""The rows of a dropout story: who is rated, decided, missing or outside, and who stands for whom."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.missing.rows import (
    DropoutRows,
    completed,
    dropout_rows,
    imputed_outcomes,
    normal_model,
    response_weights,
)
from causal.errors import EstimationError


def rows(seed: int = 1, n: int = 400, **changed: object) -> DropoutRows:
    """Two visits; some relationships end, some ratings of the second visit are missing, three patients die."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2 == 0
    x = rng.normal(3.5, 0.6, (n, 1))
    scores = x + rng.normal(0, 0.4, (n, 2)) - 0.3 * arm[:, None]
    ended = rng.random(n) < 0.2
    lost = rng.random(n) > 1 / (1 + np.exp(-2 * (scores[:, 0] - 2.6)))
    scores[ended | lost, 1] = np.nan
    dead = np.flatnonzero(~ended & lost)[:3]
    may = np.column_stack([np.ones(n, bool), ~ended])
    may[dead, 1] = False
    arguments = {
        "primary": 1,
        "fixed": np.where(ended, 1.0, np.nan),
        "may_impute": may,
        "treated": arm,
        "covariates": x,
        "names": ["baseline"],
        "weights": rng.uniform(0.5, 1.5, n),
        "clusters": rng.integers(0, 20, n),
        "units": None,
    }
    return dropout_rows(scores, **(arguments | changed))


def test_every_row_is_one_thing() -> None:
    """A row is rated, decided, missing or outside; only the last has no weight."""
    found = rows()
    kinds = np.column_stack([found.rated, found.decided, found.gap]).sum(axis=1)
    assert kinds.max() == 1
    assert (kinds == 0).sum() == 3
    assert ((kinds == 0) == (found.weights == 0)).all()
    assert (found.outcome[found.decided] == 1).all()
    assert np.isnan(found.outcome[found.gap | (kinds == 0)]).all()
    assert not found.allowed[found.decided, 1].any()


@pytest.mark.parametrize("truncate", [None, (0.01, 0.99)])
def test_the_rated_stand_for_the_continuing(truncate: tuple[float, float] | None) -> None:
    """In each arm the rated weigh what its continuing rows weigh, the decided what they did, the missing nothing."""
    found = rows()
    weights, notes = response_weights(found, monotone=True, truncate=truncate)
    for arm in (found.arm, ~found.arm):
        assert weights[arm & found.rated].sum() == pytest.approx(found.weights[arm & (found.rated | found.gap)].sum())
    assert (weights[found.decided] == found.weights[found.decided]).all()
    assert (weights[~(found.rated | found.decided)] == 0).all()
    assert "largest weight" in notes[0]


def test_only_the_missing_are_imputed() -> None:
    """Imputed outcomes differ from the given ones in the missing only; the dead have none."""
    found = rows()
    by_chains, imputed = imputed_outcomes(
        found, score_kind="pmm", by_arm=True, imputations=3, iterations=2, rng=np.random.default_rng(1)
    )
    outside = ~(found.gap | found.rated | found.decided)
    assert np.isnan(by_chains[:, outside]).all()
    assert np.isfinite(by_chains[:, ~outside]).all()
    known = found.rated | found.decided
    np.testing.assert_array_equal(by_chains[:, known], np.broadcast_to(found.outcome[known], (3, known.sum())))
    assert imputed.filled[:, 1].sum() == found.gap.sum()
    draws = normal_model(found, imputations=3, rng=np.random.default_rng(1))
    assert draws.filled[:, 1].sum() == found.gap.sum()


def test_rows_of_one_occasion_share_its_value() -> None:
    """An occasion's imputed score goes to each of its rows."""
    plain = rows(n=40)
    twice = np.r_[np.arange(40), np.arange(40)]
    doubled = dropout_rows(
        plain.scores[twice],
        primary=1,
        fixed=np.where(plain.decided, 1.0, np.nan)[twice],
        may_impute=plain.allowed[twice],
        treated=plain.arm[twice],
        covariates=plain.covariates[twice],
        names=["baseline"],
        weights=None,
        clusters=None,
        units=twice,
    )
    assert doubled.scores.shape == (40, 2)
    imputed = np.random.default_rng(0).normal(size=(2, 40))
    outcomes = completed(doubled, imputed)
    np.testing.assert_array_equal(outcomes[:, :40], outcomes[:, 40:])


def test_refusals() -> None:
    """A decided outcome beside a rating is refused, and so is an arm whose rated were all set aside."""
    with pytest.raises(EstimationError) as refusal:
        rows(fixed=np.ones(400))
    assert refusal.value.code == "estimation.inconsistent_scores"
    found = rows()
    scores = found.scores.copy()
    scores[found.arm & found.rated, 0] = np.nan  # the treated rated at the second visit missed the first
    late = dropout_rows(
        scores,
        primary=1,
        fixed=np.where(found.decided, 1.0, np.nan),
        may_impute=found.allowed,
        treated=found.arm,
        covariates=found.covariates,
        names=["baseline"],
        weights=None,
        clusters=None,
        units=None,
    )
    with pytest.raises(EstimationError) as refusal:
        response_weights(late, monotone=True, truncate=None)
    assert refusal.value.code == "estimation.no_scores"
