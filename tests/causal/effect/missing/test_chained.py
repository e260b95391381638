"""Chained equations: what is never imputed, what the draws follow, and how well pooled estimates cover."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from causal.effect.missing.chained import clinician_means, impute
from causal.effect.missing.chains import Kind
from causal.effect.missing.donors import nearest_donors
from causal.effect.missing.rubin import pool
from causal.errors import EstimationError


def bivariate(rng: np.random.Generator, n: int) -> np.ndarray:
    """``y = 1 + 0.8 x + e``, e of SD 0.5, y missing more often where x is large."""
    x = rng.normal(size=n)
    y = 1 + 0.8 * x + rng.normal(0, 0.5, n)
    return np.column_stack([x, np.where(rng.random(n) < 1 / (1 + np.exp(-x)), np.nan, y)])


@settings(max_examples=25)
@given(
    share=st.floats(0, 0.6),
    ended=arrays(np.int64, 60, elements=st.integers(1, 5)),
    seed=st.integers(0, 1000),
    kind=st.sampled_from(["pmm", "norm"]),
    by_arm=st.booleans(),
)
def test_never_after_the_end(share: float, ended: np.ndarray, seed: int, kind: Kind, by_arm: bool) -> None:
    """No score is imputed after a relationship's end, every other missing one is, and none that was given changes."""
    rng = np.random.default_rng(seed)
    defined = np.arange(4) < ended[:, None]
    gone = rng.random((60, 4)) < share
    scores = np.where(gone | ~defined, np.nan, rng.uniform(1, 5, (60, 4)))
    arm = np.arange(60) % 2 == 0
    enough = [
        (np.isfinite(scores[rows, t]).sum() >= 12) | ~(np.isnan(scores) & defined)[rows, t].any()
        for rows in ((arm, ~arm) if by_arm else (arm | ~arm,))
        for t in range(4)
    ]
    assume(all(enough))
    found = impute(
        scores, kinds=[kind] * 4, may_impute=defined, treated=arm, by_arm=by_arm, imputations=2, iterations=2, rng=rng
    )
    assert np.isnan(found.sets[:, ~defined]).all()
    assert np.isfinite(found.sets[:, defined]).all()
    given_ = np.isfinite(scores)
    assert (found.sets[:, given_] == scores[given_]).all()
    assert (found.filled == (np.isnan(scores) & defined)).all()


@pytest.mark.parametrize("kind", ["pmm", "norm"])
def test_conditional_distribution(kind: Kind) -> None:
    """Imputed values have the mean, spread and slope of the true conditional distribution (4,000 rows, 20 sets)."""
    rng = np.random.default_rng(5)
    table = bivariate(rng, 4000)
    gap = np.isnan(table[:, 1])
    found = impute(table, kinds=[kind] * 2, may_impute=np.ones_like(gap)[:, None] & [True, True], rng=rng)
    rest = found.sets[:, gap, 1] - (1 + 0.8 * table[gap, 0])
    # The mean over the sets keeps the error of the fit: SD 0.5/sqrt(2000) times about 2.
    assert abs(rest.mean()) < 0.06
    assert rest.std() == pytest.approx(0.5, abs=0.03)
    assert abs(np.polyfit(np.tile(table[gap, 0], 20), rest.ravel(), 1)[0]) < 0.08


def test_sets_differ_by_their_parameters() -> None:
    """Means of the imputed sets vary as parameter draws demand, not only as noise around one fit does."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=40)
    table = np.column_stack([x, 1 + 0.8 * x + rng.normal(0, 0.5, 40)])
    wanted = np.column_stack([np.full(4000, 3.0), np.full(4000, np.nan)])  # far out: the fit's error dominates
    found = impute(
        np.vstack([table, wanted]), kinds=["norm"] * 2, may_impute=np.ones((4040, 2), bool), imputations=200, rng=rng
    )
    design = np.column_stack([np.ones(40), x])
    rest = table[:, 1] - design @ np.linalg.lstsq(design, table[:, 1], rcond=None)[0]
    leverage = np.array([1, 3.0]) @ np.linalg.inv(design.T @ design) @ np.array([1, 3.0])
    expected = (leverage * rest @ rest / 36) ** 0.5  # SD of a t with 38 degrees of freedom
    assert found.sets[:, 40:, 1].mean(axis=1).std() == pytest.approx(expected, rel=0.15)


def test_binary_column() -> None:
    """Bayesian logistic draws are 0 and 1 with the true probability, and finite where a column separates."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=3000)
    event = (rng.random(3000) < 1 / (1 + np.exp(-(0.5 + x)))).astype(float)
    table = np.column_stack([x, np.where(x + rng.normal(size=3000) > 0.8, np.nan, event)])
    gap = np.isnan(table[:, 1])
    found = impute(table, kinds=["norm", "logistic"], may_impute=np.ones((3000, 2), bool), rng=rng)
    assert set(np.unique(found.sets[:, gap, 1])) == {0.0, 1.0}
    assert found.sets[:, gap, 1].mean() == pytest.approx((1 / (1 + np.exp(-(0.5 + x[gap])))).mean(), abs=0.03)
    separated = np.column_stack([x[:100], (x[:100] > 0).astype(float)])
    separated[:10, 1] = np.nan
    apart = impute(separated, kinds=["norm", "logistic"], may_impute=np.ones((100, 2), bool), rng=rng)
    clear = np.abs(x[:10]) > 1
    assert (apart.sets[:, :10, 1].mean(axis=0)[clear] > 0.5).tolist() == (x[:10][clear] > 0).tolist()


def test_matched_values_stay_on_the_scale() -> None:
    """Predictive mean matching gives observed values only; normal draws leave the scale."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=300)
    score = np.clip(np.round(2 * (3.8 + x)) / 2, 1, 5)
    table = np.column_stack([x, np.where(rng.random(300) < 0.3, np.nan, score)])
    matched, normal = (
        impute(table, kinds=["norm", kind], may_impute=np.ones((300, 2), bool), rng=rng) for kind in ("pmm", "norm")
    )
    assert np.isin(matched.sets[:, :, 1], score).all()
    assert normal.sets[:, :, 1].max() > 5


def test_row_order_changes_nothing() -> None:
    """The same random numbers impute the same values whatever order the rows come in."""
    table = bivariate(np.random.default_rng(9), 120)
    arm = np.arange(120) % 3 == 0
    order = np.random.default_rng(10).permutation(120)

    def imputed(rows: np.ndarray) -> np.ndarray:
        return impute(
            table[rows],
            kinds=["pmm", "pmm"],
            may_impute=np.ones((120, 2), bool),
            treated=arm[rows],
            rng=np.random.default_rng(11),
        ).sets

    np.testing.assert_array_equal(imputed(order), imputed(np.arange(120))[:, order])


def test_units_pass_through() -> None:
    """Shifted and scaled columns are imputed by shifted and scaled values."""
    table = bivariate(np.random.default_rng(12), 150)
    plain, moved = (
        impute(t, kinds=["norm", "norm"], may_impute=np.ones((150, 2), bool), rng=np.random.default_rng(1)).sets
        for t in (table, 10 + 3 * table)
    )
    np.testing.assert_allclose(moved, 10 + 3 * plain, rtol=1e-9)


def test_arms_apart_keep_the_effect() -> None:
    """An effect that turns with a covariate survives imputation by arm and with products, not without the arm."""
    rng = np.random.default_rng(13)
    n = 4000
    x, arm = rng.normal(size=n), rng.random(n) < 0.5
    y = x + np.where(arm, -0.5 - x, 0.0) + rng.normal(0, 0.3, n)
    table = np.column_stack([x, np.where(rng.random(n) < 0.5, np.nan, y)])

    def slopes(treated: np.ndarray | None, by_arm: bool) -> np.ndarray:
        found = impute(
            table,
            kinds=["norm", "norm"],
            may_impute=np.ones((n, 2), bool),
            treated=treated,
            by_arm=by_arm,
            imputations=4,
            iterations=2,
            rng=rng,
        ).sets.mean(axis=0)
        gap = np.isnan(table[:, 1])
        return np.array([np.polyfit(x[gap & a], found[gap & a, 1], 1)[0] for a in (arm, ~arm)])

    np.testing.assert_allclose(slopes(arm, True), [0, 1], atol=0.05)
    np.testing.assert_allclose(slopes(arm, False), [0, 1], atol=0.05)
    np.testing.assert_allclose(slopes(None, True), [0.5, 0.5], atol=0.05)


def test_predictors_are_those_allowed() -> None:
    """A column that may not predict has no part in the imputed values."""
    rng = np.random.default_rng(14)
    table = bivariate(rng, 2000)
    gap = np.isnan(table[:, 1])
    nothing = np.zeros((2, 2), dtype=bool)
    found = impute(table, kinds=["norm"] * 2, may_impute=np.ones((2000, 2), bool), predictors=nothing, rng=rng)
    slope = np.polyfit(np.tile(table[gap, 0], 20), found.sets[:, gap, 1].ravel(), 1)[0]
    assert abs(slope) < 0.03


def test_undefined_rows_still_serve() -> None:
    """Rows whose later score is undefined still teach the model of an earlier one, through an indicator."""
    rng = np.random.default_rng(15)
    n = 1000
    first = rng.normal(3.5, 0.5, n)
    ended = rng.random(n) < 0.3
    first[ended] -= 1.0
    later = np.where(ended, np.nan, first + rng.normal(0, 0.1, n))
    gap = rng.random(n) < 0.3
    table = np.column_stack([np.where(gap, np.nan, first), later])
    found = impute(table, kinds=["norm"] * 2, may_impute=np.column_stack([np.ones(n, bool), ~ended]), rng=rng)
    gone, stayed = found.sets[:, gap & ended, 0], found.sets[:, gap & ~ended, 0]
    assert gone.mean() == pytest.approx(2.5, abs=0.1)
    slope, _ = np.polyfit(np.tile(later[gap & ~ended], 20), stayed.ravel(), 1)
    assert slope == pytest.approx(1, abs=0.05)  # the spread is that of both kinds of rows: one normal model
    assert (stayed - later[gap & ~ended]).mean() == pytest.approx(0, abs=0.05)
    assert any("indicator" in note for note in found.notes)


def test_mixed_chains() -> None:
    """R-hat is near 1 for a monotone pattern and far off when no row links the columns."""
    found = impute(
        bivariate(np.random.default_rng(16), 300),
        kinds=["norm"] * 2,
        may_impute=np.ones((300, 2), bool),
        rng=np.random.default_rng(17),
    )
    assert np.isnan(found.r_hat[0])
    assert found.r_hat[1] == pytest.approx(1, abs=0.1)
    assert found.notes == ()
    rng = np.random.default_rng(18)
    twins = rng.normal(size=(200, 1)) + 0.01 * rng.normal(size=(200, 2))
    twins[:100] = np.nan  # each is imputed from the other, and stays where it began
    stuck = impute(twins, kinds=["norm"] * 2, may_impute=np.ones((200, 2), bool), rng=rng)
    assert stuck.r_hat.max() > 1.2
    assert any("not yet mixed" in note for note in stuck.notes)


def test_nearest_donors_with_ties() -> None:
    """All donors as near as the k-th are eligible, in equal shares, wherever they stand."""
    given_ = np.array([2.0, 0.0, 2.0, 2.0, 9.0, 2.0])
    chances = (np.arange(400) + 0.5) / 400
    found = nearest_donors(given_[None], np.full((1, 400), 2.1), chances[None], 2)[0]
    assert np.bincount(found, minlength=6).tolist() == [100, 0, 100, 100, 0, 100]
    brute = np.random.default_rng(21)
    pool_, want = brute.normal(size=(3, 50)), brute.normal(size=(3, 200))
    picked = nearest_donors(pool_, want, brute.random((3, 200)), 5)
    for means, wanted, chosen in zip(pool_, want, picked, strict=True):
        rank = (np.abs(means - wanted[:, None]) < np.abs(means[chosen] - wanted)[:, None]).sum(axis=1)
        assert rank.max() == 4
        assert rank.min() == 0


def test_donors_of_sets_side_by_side_are_those_of_each() -> None:
    """Sets searched in one piece give what each gives alone, with ties, and with means out of all proportion."""
    rng = np.random.default_rng(23)
    given_, want, chance = rng.integers(0, 6, (4, 30)) / 3, rng.normal(size=(4, 90)), rng.random((4, 90))
    given_[2, :3], want[1, :2], want[2, :2] = [-1e9, 1e9, 1e300], [1e12, -1e12], [1e300, -1e300]
    together = nearest_donors(given_, want, chance, 4)
    for m in range(4):
        alone = nearest_donors(given_[m : m + 1], want[m : m + 1], chance[m : m + 1], 4)
        np.testing.assert_array_equal(together[m], alone[0])


def test_means_of_others() -> None:
    """The mean of a clinician's other patients leaves the row's own score out."""
    rng = np.random.default_rng(22)
    values, code = rng.normal(size=(30, 2)), rng.integers(0, 6, 30)
    values[rng.random((30, 2)) < 0.2] = np.nan
    found = clinician_means(values, code)
    for i in range(30):
        others = (code == code[i]) & (np.arange(30) != i)
        for j in range(2):
            rest = values[others & np.isfinite(values[:, j]), j]
            assert found[i, j] == pytest.approx(rest.mean() if rest.size else np.nanmean(values[:, j]))


@pytest.mark.parametrize(
    ("spoil", "options", "code"),
    [
        (lambda t: t.__setitem__((0, 0), np.inf), {}, "estimation.not_finite"),
        (lambda t: t.__setitem__((slice(None), 1), np.nan), {}, "estimation.nothing_observed"),
        (lambda t: t.__setitem__((slice(4, None), 1), np.nan), {}, "estimation.too_few_donors"),
        (lambda _: None, {"imputations": 1}, "estimation.too_few_imputations"),
        (lambda _: None, {"kinds": ["norm", "logistic"]}, "estimation.not_binary"),
    ],
)
def test_refusals(spoil: object, options: dict[str, object], code: str) -> None:
    """What cannot be imputed is refused by its own code, with the column's name."""
    table = bivariate(np.random.default_rng(23), 50)
    spoil(table)
    arguments = {"kinds": ["pmm", "pmm"], "names": ["phq9", "wai"], "rng": np.random.default_rng(0), **options}
    with pytest.raises(EstimationError) as refusal:
        impute(table, may_impute=np.ones((50, 2), bool), **arguments)
    assert refusal.value.code == code


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pmm", "norm"])
def test_coverage_of_an_effect(kind: Kind) -> None:
    """Intervals for an adjusted effect with a quarter of bounded scores missing cover 95% of 1,000 (MCSE .007)."""
    rng = np.random.default_rng(24)
    n, arm = 150, np.arange(150) % 2 == 0
    hits, errors, totals = [], [], []
    for _ in range(1000):
        before = np.clip(rng.normal(3.6, 0.7, n), 1, 5)
        after = np.round(12 * np.clip(1.0 + 0.7 * before - 0.3 * arm + rng.normal(0, 0.45, n), 1, 5)) / 12
        lost = rng.random(n) < 1 / (1 + np.exp(1.3 - 1.5 * (3.6 - before)))
        sets = impute(
            np.column_stack([before, np.where(lost, np.nan, after)]),
            kinds=["pmm", kind],
            may_impute=np.ones((n, 2), bool),
            treated=arm,
            iterations=1,
            rng=rng,
        ).sets[:, :, 1]
        design = np.column_stack([np.ones(n), arm, before])
        inverse = np.linalg.inv(design.T @ design)
        fitted = sets @ design @ inverse
        rest = ((sets - fitted @ design.T) ** 2).sum(axis=1) / (n - 3)
        found = pool(fitted[:, 1], rest * inverse[1, 1], n - 3, label="effect")
        hits.append(found.contrast.lower < -0.3 < found.contrast.upper)
        errors.append(found.contrast.value + 0.3)
        totals.append(found.total)
    assert abs(np.mean(errors)) < 3 * np.std(errors) / 1000**0.5
    assert np.mean(totals) == pytest.approx(np.var(errors), rel=0.1)
    assert 0.936 < np.mean(hits) < 0.964


@pytest.mark.slow
def test_coverage_of_a_mean() -> None:
    """Intervals for a mean with half the values missing at random cover 95% of 1,000 data sets (MCSE .007)."""
    rng = np.random.default_rng(24)
    hits, errors = [], []
    for _ in range(1000):
        sets = impute(bivariate(rng, 200), kinds=["norm"] * 2, may_impute=np.ones((200, 2), bool), rng=rng).sets[
            :, :, 1
        ]
        found = pool(sets.mean(axis=1), sets.var(axis=1, ddof=1) / 200, 199, label="mean").contrast
        hits.append(found.lower < 1 < found.upper)
        errors.append(found.value - 1)
    assert abs(np.mean(errors)) < 2 * np.std(errors) / 1000**0.5
    assert 0.936 < np.mean(hits) < 0.964


def test_too_few_donors_tells_no_count() -> None:
    """The refusal says how many values the model needs, never how many there are."""
    table = np.column_stack([np.arange(9.0), np.where(np.arange(9) < 4, np.arange(9.0), np.nan)])
    with pytest.raises(EstimationError, match="fewer observed values in one group than the 5") as refusal:
        impute(table, kinds=["norm", "pmm"], may_impute=np.ones((9, 2), bool), rng=np.random.default_rng(0))
    assert refusal.value.code == "estimation.too_few_donors"
    assert "4" not in refusal.value.message
