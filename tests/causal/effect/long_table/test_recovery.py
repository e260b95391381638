"""Known truths behind long tables: what is missing at random, what follows the reference, hazards that change."""

from __future__ import annotations

import numpy as np
import pytest

from causal.effect.long_table.run import analyse_long_table
from tests.causal.effect.long_table.worlds import of_spells, spells, study, visits

MAIN = {"name": "main", "analysis": "repeated_measures"}


def test_missed_at_random_costs_no_bias() -> None:
    """The likelihood finds -1 where the difference of those who were seen is off, in 60 tables."""
    seen, modelled, covered = [], [], []
    for seed in range(60):
        frame = visits(100 + seed, n=160, dropout=1.6)
        line = analyse_long_table(frame, study(MAIN, seed=seed)).findings[0].lines[2]
        last = frame[frame["week"] == 12]
        seen.append(last.loc[last["arm"] == 1, "score"].mean() - last.loc[last["arm"] == 0, "score"].mean())
        modelled.append(line.value)
        covered.append(line.lower <= -1 <= line.upper)
    error = np.std(modelled, ddof=1) / 60**0.5
    assert np.mean(modelled) == pytest.approx(-1, abs=3 * error)
    assert abs(np.mean(seen) + 1) > 4 * error
    assert np.mean(covered) > 0.88


def test_a_jump_to_reference_shrinks_by_the_share_that_is_missing() -> None:
    """Where the treated drop out by lot, J2R takes their effect away and MAR does not; 20 tables of 400."""
    found = {"MAR": [], "J2R": []}  # type: ignore[var-annotated]
    for seed in range(20):
        frame = visits(300 + seed, n=400, effect=-2.0, dropout=0.0)
        rng = np.random.default_rng(seed)
        lost = {who for who in frame["who"].unique() if rng.random() < 0.4}
        frame = frame[~(frame["who"].isin(lost) & (frame["arm"] == 1) & (frame["week"] > 0))]
        declared = {"name": "main", "analysis": "reference_based", "at": 12, "imputations": 10}
        for line in analyse_long_table(frame, study(declared, seed=seed)).findings[0].lines:
            found[line.label[:3]].append(line.value)
    assert np.mean(found["MAR"]) == pytest.approx(-2.0, abs=0.15)
    assert np.mean(found["J2R"]) == pytest.approx(-2.0 * 0.6, abs=0.15)


def test_hazards_that_change_with_treatment() -> None:
    """A ratio of exp(.6) while treated, beginning sooner in those who have more events; 60 tables."""
    values, covered = [], []
    for seed in range(60):
        line = analyse_long_table(spells(500 + seed), of_spells()).findings[0].lines[0]
        values.append(np.log(line.value))
        covered.append(line.lower <= np.exp(0.6) <= line.upper)
    error = np.std(values, ddof=1) / 60**0.5
    assert np.mean(values) == pytest.approx(0.6, abs=3 * error)
    assert np.mean(covered) > 0.88
