"""The median of several lots of folds: by hand, free of order, steadier than one lot, and honest."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.contrast import Contrast, student
from causal.effect.doubly_robust.aipw import aipw
from causal.effect.doubly_robust.lots import keys_of_lots, median_at, median_of_lots
from causal.effect.doubly_robust.outcome_model import OutcomeModel
from causal.numeric.folds import drawn_folds
from causal.numeric.keys import keys_of_content, keys_of_names, rekeyed


def lots(*found: tuple[float, float, float]) -> list[Contrast]:
    """Answers from values, errors and degrees of freedom."""
    return [student("difference", value, error, df, level=0.9) for value, error, df in found]


def test_the_median_by_hand() -> None:
    """Of 1, 4, 2, 7, 3 the median is 3; variances .04 + 4, .09 + 1, .01 + 1, .25 + 16, .16 + 0 have the median 1.09."""
    found = median_of_lots(lots((1, 0.2, 9), (4, 0.3, 8), (2, 0.1, 7), (7, 0.5, 9), (3, 0.4, 9)))
    assert found.value == 3
    assert found == student("difference", 3.0, found.std_error, 7, level=0.9)
    assert found.std_error == pytest.approx(np.sqrt(1.09), rel=1e-12)


def test_lots_that_agree_change_nothing() -> None:
    """Equal answers are their own median, and one lot stands as it is."""
    one, *_ = same = lots((2.0, 0.3, 5), (2.0, 0.3, 5), (2.0, 0.3, 5))
    assert median_of_lots(same) == one
    assert median_of_lots(same[:1]) is one
    assert median_at(same) == 0


def test_the_order_of_lots_and_the_unit_do_not_matter() -> None:
    """The same lots in another order give the same answer; ten times the unit, ten times the answer."""
    made = ((1.0, 0.3, 9.0), (4.0, 0.5, 9.0), (2.0, 0.4, 9.0))
    assert median_of_lots(lots(*made)) == median_of_lots(lots(*made[::-1]))
    tenfold = median_of_lots(lots(*((10 * value, 10 * error, df) for value, error, df in made)))
    plain = median_of_lots(lots(*made))
    assert (tenfold.value, tenfold.std_error) == pytest.approx((10 * plain.value, 10 * plain.std_error), rel=1e-12)


def test_lots_are_other_folds_and_the_first_is_the_plain_one() -> None:
    """The first lot keeps the rows' keys, so that one lot is what it was; the others share no folds."""
    key, arm = keys_of_names(range(200)), np.arange(200) % 2
    folds = [drawn_folds(one, 5, strata=arm) for one in keys_of_lots(key, 3)]
    assert (folds[0] == drawn_folds(key, 5, strata=arm)).all()
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (folds[one] == folds[other]).mean() < 0.35  # a fifth by chance


def world(rng: np.random.Generator, n: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outcome, arm, three covariates; the effect is 1 for everyone."""
    x = rng.normal(size=(n, 3))
    arm = rng.random(n) < 1 / (1 + np.exp(-0.7 * x[:, 0]))
    return x @ [1.0, 0.5, 0.0] + arm + rng.normal(size=n), arm, x


def median_of(y: np.ndarray, arm: np.ndarray, x: np.ndarray, repeats: int, seed: int) -> Contrast:
    """The median answer of a small ridge-regression AIPW under one seed of the study."""
    keys = keys_of_lots(rekeyed(keys_of_content([arm, y], x), seed), repeats)
    model = OutcomeModel(kind="ridge", penalty=0.01)
    names = ("a", "b", "c")
    return median_of_lots([aipw(y, arm, x, names=names, key=key, folds=2, outcome_model=model).effect for key in keys])


def test_another_seed_moves_the_median_less_than_one_lot() -> None:
    """Over twelve seeds the answers of five lots spread less than two thirds as far as those of one."""
    y, arm, x = world(np.random.default_rng(2))
    spread = {repeats: np.std([median_of(y, arm, x, repeats, seed).value for seed in range(12)]) for repeats in (1, 5)}
    assert 0 < spread[5] < 0.67 * spread[1]


def test_known_effects_are_covered() -> None:
    """In 60 small worlds 95% intervals of three lots cover as often as promised, within three Monte Carlo errors."""
    rng = np.random.default_rng(11)
    found = [median_of(*world(rng), 3, 1) for _ in range(60)]
    error = np.array([one.value - 1 for one in found])
    inside = np.mean([one.lower <= 1 <= one.upper for one in found])
    assert abs(error.mean()) < 3 * error.std() / np.sqrt(error.size)
    assert 0.86 <= inside <= 1
