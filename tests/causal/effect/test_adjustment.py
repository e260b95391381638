"""What outcome regressions adjust for: facts, and a bend of every number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from causal.design.propensity.splines import natural_spline_terms
from causal.effect.adjustment import adjustment_of, bends_of
from causal.effect.outcome_decomposition import composite_effect
from causal.protocol import OccasionStudy
from causal.records import ComparisonGroups
from flows.study_file.load import load_study

STUDY_FILE = Path(__file__).parents[3] / "configs" / "studies" / "duty_to_warn.yaml"
ADJUSTED = ("severity", "phq9", "target_identified", "prior_assessments")
NAMES = ("severity", "phq9", "phq9_missing", "target_identified", "prior_assessments", "age")


def asking(*, bends: str = "each_number") -> OccasionStudy:
    """The flagship, adjusting for two scores, a flag and a count."""
    study = load_study(STUDY_FILE).study
    assert isinstance(study, OccasionStudy)
    estimator = study.estimator.model_copy(update={"adjust_for": ADJUSTED, "bends": bends})
    return study.model_copy(update={"estimator": estimator})


def columns(n: int, seed: int = 1) -> NDArray[np.float64]:
    """Two scores, one of them filled in for a third of the rows, a flag, a count that is mostly 0, and age."""
    rng = np.random.default_rng(seed)
    missing = np.arange(n) % 3 == 0
    phq9 = np.where(missing, 40.0, rng.integers(0, 28, n))
    count = (rng.random(n) < 0.05) * rng.integers(1, 4, n)
    return np.column_stack(
        [rng.normal(4.5, 1.6, n), phq9, missing, rng.random(n) < 0.4, count, rng.normal(40, 9, n)]
    ).astype(np.float64)


def groups_of(x: NDArray[np.float64]) -> ComparisonGroups:
    """A comparison of these rows."""
    members = pd.DataFrame({"ta_id": np.arange(len(x))})
    return ComparisonGroups(
        members=members,
        covariates=x,
        covariate_names=NAMES,
        estimand="ATT",
        estimand_label="ATT",
        grouping="matched set",
    )


def test_every_number_that_can_bend_does() -> None:
    """Scores get a bend; a flag none; a count with too few values stays a line; facts keep their columns."""
    x = columns(300)
    found = adjustment_of(groups_of(x), asking())
    assert found.names == (*NAMES[:2], "target_identified", "prior_assessments", "phq9_missing", "severity, bend",
                           "phq9, bend")  # fmt: skip
    assert (found.n_facts, found.n_bends, found.straight) == (5, 2, ("prior_assessments",))
    np.testing.assert_array_equal(found.values[:, :5], x[:, [0, 1, 3, 4, 2]])
    assert "one bend" in found.sentence
    assert "too few values" in found.sentence


def test_knots_are_quantiles_of_what_was_recorded() -> None:
    """The bend is the natural spline's term on the 10th, 50th and 90th percentile, values filled in set aside."""
    x = columns(300)
    term = bends_of(x, NAMES, asking())["phq9"]
    knots = np.quantile(x[x[:, 2] == 0, 1], [0.1, 0.5, 0.9])
    np.testing.assert_allclose(term, natural_spline_terms(x[:, 1], knots)[:, 0], rtol=1e-9, atol=1e-9)
    assert knots[2] < 40


def test_the_last_bits_of_a_value_move_no_knot() -> None:
    """Values that differ by rounding have bends that differ by no more than rounding."""
    x = columns(300)
    noise = 1 + 1e-15 * np.random.default_rng(2).choice([-1, 1], size=x.shape)
    noise[:, 2:4] = 1
    one, other = bends_of(x, NAMES, asking()), bends_of(x * noise, NAMES, asking())
    np.testing.assert_allclose(one["severity"], other["severity"], rtol=1e-12, atol=1e-12)


def test_lines_where_the_study_says_so() -> None:
    """`bends: none` leaves the facts alone, and says so."""
    found = adjustment_of(groups_of(columns(300)), asking(bends="none"))
    assert found.n_bends == 0
    assert found.straight == ()
    assert found.sentence == "Facts adjusted for enter as straight lines."


def test_a_curve_in_the_outcome_is_taken_out() -> None:
    """Where treatment and outcome bend in severity a line leaves bias and a bend little; the parts still add up."""
    rng = np.random.default_rng(5)
    x = columns(4_000)
    z = (x[:, 0] - 4.5) / 1.6
    arm = rng.random(4_000) < 1 / (1 + np.exp(1 - 0.4 * (z**2 - 1)))
    score = 3.5 - 0.2 * (z**2 - 1) + 0.4 * rng.normal(size=4_000)
    ended = rng.random(4_000) < 0.15
    rated = ~ended & (rng.random(4_000) < 0.9)
    values = {}
    for bends in ("none", "each_number"):
        adjusted = adjustment_of(groups_of(x), asking(bends=bends))
        effect = composite_effect(
            arm,
            ended,
            np.where(rated, score, np.nan),
            rated,
            clusters=np.arange(4_000),
            response_covariates=adjusted.values,
            response_bends=adjusted.n_bends,
            covariates=adjusted.values,
            names=adjusted.names,
        )
        values[bends] = effect.composite.value
        assert effect.termination_part + effect.level_part == pytest.approx(effect.composite.value, abs=1e-12)
    assert values["none"] < -0.12
    assert abs(values["each_number"]) < 0.06
