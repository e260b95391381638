"""Injected faults: exactly as many as counted, of every class, and nothing else touched."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest

from causal.simulation import SimulationParameters, simulate

CLASSES = {
    "measures.rater:missing",
    "threat_assessments.severity:out_of_range",
    "encounters.enc_id:duplicate_key",
    "encounters.person_id:orphan",
    "protective_actions.ts:out_of_order",
    "patients.sex:not_allowed",
    "patients.birth_year:out_of_range",
    "episodes.end:out_of_order",
    "diagnoses.onset:out_of_range",
    *(f"measures.itm_{item:02d}:out_of_instrument" for item in range(1, 13)),
}


@pytest.mark.parametrize("share", [0.005, 0.02, 0.1])
def test_every_fault_is_counted_and_no_other_is_made(share: float, violations: object) -> None:
    """A judge that knows only the contract finds each injected fault once, and none beside them."""
    simulated = simulate(SimulationParameters(dirt=share), 3_000, seed=6)
    assert violations(simulated.tables) == simulated.dirt  # type: ignore[operator]
    assert set(simulated.dirt) == CLASSES
    rows = sum(len(frame) for frame in simulated.tables.values())
    assert simulated.dirt.total() == pytest.approx(share * rows, rel=0.15)


def test_clean_means_clean() -> None:
    """Without dirt nothing is counted."""
    assert simulate(SimulationParameters(), 200, seed=6).dirt == Counter()


def test_dirt_leaves_truth_and_clean_rows_alone() -> None:
    """The truth is the same with and without dirt, and most rows are."""
    clean, dirty = (simulate(SimulationParameters(dirt=share), 2_000, seed=6) for share in (0.0, 0.02))
    pd.testing.assert_frame_equal(clean.truth, dirty.truth)
    for name, key in (("measures", None), ("episodes", None), ("threat_assessments", "ta_id")):
        before, after = clean.tables[name], dirty.tables[name]
        assert len(before) == len(after)
        changed = before.astype("str").fillna("") != after.astype("str").fillna("")
        assert (changed.sum(axis=1) <= 1).all()
        assert 0.01 < changed.any(axis=1).mean() < 0.04
        if key is not None:
            assert not changed[key].any()


def test_warnings_stay_as_they_were() -> None:
    """The exposure in a dirty extract is the one in the truth: warnings and holds keep their time and assessment."""
    clean, dirty = (simulate(SimulationParameters(dirt=share), 2_000, seed=6) for share in (0.0, 0.1))
    kept = "action.str.startswith('warn') or action.str.startswith('hold')"
    pd.testing.assert_frame_equal(
        clean.tables["protective_actions"].query(kept), dirty.tables["protective_actions"].query(kept)
    )


def test_dirty_chunks_do_not_collide(violations: object) -> None:
    """Faults of several chunks add up, and their strangers are different people."""
    simulated = simulate(SimulationParameters(dirt=0.001), 20_500, seed=6)
    assert violations(simulated.tables) == simulated.dirt  # type: ignore[operator]
