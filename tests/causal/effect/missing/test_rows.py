"""The rows of a dropout story: who is rated, decided, missing or outside, and who stands for whom."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.missing.rows import (
    DropoutRows,
    completed,
    composite,
    dropout_rows,
    imputed_outcomes,
    normal_model,
    response_weights,
    stand_in,
)
from causal.effect.outcome_decomposition import composite_effect
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
    """A row is rated, decided, missing or undefined; every one keeps the design's weight."""
    found = rows()
    kinds = np.column_stack([found.rated, found.decided, found.gap, found.undefined]).sum(axis=1)
    assert (kinds == 1).all()
    assert found.undefined.sum() == 3
    assert (found.weights > 0).all()
    assert (found.outcome[found.decided] == 1).all()
    assert np.isnan(found.outcome[found.gap | found.undefined]).all()
    assert not found.allowed[found.decided, 1].any()


@pytest.mark.parametrize("truncate", [None, (0.01, 0.99)])
def test_the_rated_stand_for_the_continuing(truncate: tuple[float, float] | None) -> None:
    """In each arm the rated stand for all that are not decided, the undefined among them, and nobody else does."""
    found = rows()
    factor, notes = response_weights(found, monotone=True, truncate=truncate)
    standing = stand_in(found, factor)
    for arm in (found.arm, ~found.arm):
        carried = (found.weights * standing)[arm].sum()
        assert carried == pytest.approx(found.weights[arm & ~found.decided].sum())
        rated = arm & found.rated
        np.testing.assert_allclose(standing[rated] / factor[rated], (standing[rated] / factor[rated])[0])
    assert (standing[~found.rated] == 0).all()
    assert not any("largest" in note for note in notes)  # one person's


def test_the_composite_is_that_of_the_headline() -> None:
    """Decided rows keep their value; the pseudo-outcome is `composite_effect`'s, row by row, share rated by arm."""
    found = rows()
    direct = composite_effect(
        found.arm,
        found.decided,
        np.where(found.decided, np.nan, found.outcome),
        found.rated,
        clusters=np.arange(400) % 20,
        weights=found.weights,
    )
    outcome = composite(found, found.outcome, stand_in(found, found.rated.astype(float)))
    np.testing.assert_allclose(outcome, direct.pseudo_outcome, rtol=1e-12)


def test_constant_ratings_are_not_imputed() -> None:
    """Where an arm's ratings are all equal nothing says how its missing ones would have varied."""
    found = rows()
    found.outcome[found.arm & found.rated] = 4.3
    with pytest.raises(EstimationError, match="treated arm do not vary") as refusal:
        imputed_outcomes(
            found, score_kind="pmm", by_arm=True, imputations=3, iterations=2, rng=np.random.default_rng(1)
        )
    assert refusal.value.code == "estimation.no_variation"


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
    factor, _ = response_weights(late, monotone=True, truncate=None)
    with pytest.raises(EstimationError) as refusal:
        stand_in(late, factor)
    assert refusal.value.code == "estimation.no_scores"
