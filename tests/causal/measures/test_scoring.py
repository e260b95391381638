"""Scores worked by hand, and the same scores from arrays and from relations."""

from __future__ import annotations

import ibis
import numpy as np
import pytest

from causal.measures.scoring import reliable_change, score_expression, score_items
from causal.protocol.instrument import Instrument, Licence, Subscale, Verified
from causal.tables import ITEM_COLUMNS
from flows.study_file.load import load_instruments

KEYS = load_instruments("configs/instruments")
NAN = np.nan


def key(**changes: object) -> Instrument:
    """Four items from 1 to 7, two of them reversed, one subscale."""
    plain = {
        "id": "four",
        "version": "std",
        "n_items": 4,
        "low": 1,
        "high": 7,
        "reverse": (2, 4),
        "missing_codes": (9, 99),
        "subscales": {"pair": Subscale(items=(1, 2), minimum_answered=1)},
        "minimum_answered": 3,
        "total": "mean",
        "licence": Licence(holder="nobody", permission_required=False),
        "verified": Verified(status="recall", source="made up for this test"),
    }
    return Instrument(**(plain | changes))


def totals_on_engine(items: np.ndarray, instrument: Instrument) -> np.ndarray:
    """Totals by `score_expression`, in row order; NaN for null."""
    columns = {
        name: [None if np.isnan(v) else int(v) for v in items[:, i]]
        for i, name in enumerate(ITEM_COLUMNS[: items.shape[1]])
    }
    table = ibis.memtable(
        {"row": range(len(items)), **columns}, schema={"row": "int64", **dict.fromkeys(columns, "int16")}
    )
    scored = table.select("row", score=score_expression(table, instrument)).order_by("row").to_pyarrow()
    return np.array([NAN if v is None else v for v in scored.column("score").to_pylist()])


GOLDEN = {
    # name: (instrument, responses, total), worked by hand from the key
    "wai_sr, all answered": ("wai_sr", [5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5, 4], 39 / 12),
    "wai_sr, two codes in two subscales": ("wai_sr", [99, 4, 9, 2, 1, 5, 4, 3, 2, 1, 5, 4], 31 / 10),
    "wai_sr, ten answers but half the task items": ("wai_sr", [NAN, NAN, 3, 2, 1, 5, 4, 3, 2, 1, 5, 4], NAN),
    "wai_sr, nine answers": ("wai_sr", [NAN, 4, NAN, NAN, 1, 5, 4, 3, 2, 1, 5, 4], NAN),
    "wai_sr, a seven": ("wai_sr", [7, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5, 4], NAN),
    "phq9, all answered": ("phq9", [0, 1, 2, 3, 0, 1, 2, 3, 0], 12.0),
    "phq9, two missing": ("phq9", [NAN, 1, 2, 3, -1, 1, 2, 3, 0], 12 * 9 / 7),
    "phq9, three missing": ("phq9", [NAN, 1, 2, 3, -1, 1, 2, 3, 99], NAN),
    "phq9, nothing": ("phq9", [NAN] * 9, NAN),
    "gad7, all threes": ("gad7", [3] * 7, 21.0),
    "gad7, one missing": ("gad7", [3, 3, 3, 3, 3, 3, NAN], 21.0),
    "gad7, a four": ("gad7", [3, 3, 3, 3, 3, 3, 4], NAN),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_totals(name: str) -> None:
    """Each shipped key gives the total worked by hand, from arrays and from a relation."""
    instrument, responses, total = GOLDEN[name]
    items = np.array([responses], dtype=float)
    assert np.array_equal(score_items(items, KEYS[instrument]).total, [total], equal_nan=True)
    assert np.array_equal(totals_on_engine(items, KEYS[instrument]), [total], equal_nan=True)


def test_subscales_of_wai_sr() -> None:
    """Task 1, 2, 10, 12; goal 4, 6, 8, 11; bond 3, 5, 7, 9, each a mean of its answered items."""
    scores = score_items([[5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5, 99]], KEYS["wai_sr"])
    assert {name: values.tolist() for name, values in scores.subscales.items()} == {
        "task": [10 / 3],
        "goal": [15 / 4],
        "bond": [10 / 4],
    }
    assert scores.answered.tolist() == [11]


def test_missing_codes_are_mapped_before_items_are_reversed() -> None:
    """99 on a reversed item is no answer; reversed first it would have become -91."""
    items = [[4.0, 99.0, 2.0, 1.0]]
    assert score_items(items, key()).total.tolist() == [(4 + 2 + 7) / 3]
    assert totals_on_engine(np.array(items), key()).tolist() == [(4 + 2 + 7) / 3]


def test_every_reversed_item_is_reversed_and_no_other() -> None:
    """The lowest answer on reversed items and the highest on the others is the highest score."""
    scores = score_items([[7, 1, 7, 1], [1, 7, 1, 7]], key())
    assert scores.total.tolist() == [7, 1]
    assert scores.subscales["pair"].tolist() == [7, 1]


def test_sums_are_scaled_up_to_all_items() -> None:
    """A sum with a missing item is the mean of the answered ones times the number of items."""
    scores = score_items([[7, 1, 7, 9]], key(total="sum"))
    assert scores.total.tolist() == [28]
    assert scores.subscales["pair"].tolist() == [14]


def test_invalid_responses_are_marked_and_leave_no_score() -> None:
    """Above, below and between whole responses; a missing code is not invalid."""
    scores = score_items([[8, 1, 1, 1], [0, 1, 1, 1], [1.5, 1, 1, 1], [9, 1, 1, 1], [np.inf, 1, 1, 1]], key())
    assert scores.invalid[:, 0].tolist() == [True, True, True, False, True]
    assert not scores.invalid[:, 1:].any()
    assert np.isnan(scores.total).tolist() == [True, True, True, False, True]
    assert np.isnan(scores.subscales["pair"]).tolist() == [True, True, True, False, True]


def test_inputs_are_not_changed() -> None:
    """Scoring works on a copy."""
    items = np.array([[99.0, 1, 1, 1]])
    score_items(items, key())
    assert items.tolist() == [[99, 1, 1, 1]]


def test_wrong_number_of_items_is_an_error() -> None:
    """A form with another number of columns is not scored by this key."""
    with pytest.raises(ValueError, match="expected 4 item columns, got 3"):
        score_items([[1, 2, 3]], key())


@pytest.mark.parametrize("instrument", [*KEYS.values(), key(), key(total="sum"), key(missing_codes=(), subscales={})])
def test_arrays_and_relations_agree_to_the_last_bit(instrument: Instrument) -> None:
    """Random forms with codes, gaps and impossible answers score the same, whatever the order of rows."""
    rng = np.random.default_rng(7)
    choices = [*range(instrument.low, instrument.high + 1)] * 4 + [NAN, NAN, 9, 99, -1, instrument.high + 1]
    items = rng.choice(choices, size=(400, instrument.n_items), p=None)
    totals = score_items(items, instrument).total
    order = rng.permutation(len(items))
    assert 20 < np.isnan(totals).sum() < 400
    assert totals_on_engine(items, instrument).tobytes() == totals.tobytes()
    assert totals_on_engine(items[order], instrument).tobytes() == totals[order].tobytes()


def test_absent_item_columns_count_as_not_answered() -> None:
    """An extract that lacks the column of an item scores as if nobody had answered it."""
    items = np.array([[5.0, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5]])
    assert totals_on_engine(items, KEYS["wai_sr"]).tolist() == [35 / 11]


@pytest.mark.parametrize(
    ("sd", "reliability", "sem", "sdiff", "threshold"),
    [
        # Worked from the formulas of Jacobson & Truax (1991): SEM = SD sqrt(1 - r), Sdiff = sqrt(2) SEM, 1.96 Sdiff.
        (0.75, 0.92, 0.2121, 0.3000, 0.588),
        (0.75, 0.75, 0.3750, 0.5303, 1.039),
        (9.0, 0.92, 2.5456, 3.6000, 7.056),
        (5.5, 0.89, None, None, 5.056),
        (4.9, 0.84, None, None, 5.433),
    ],
)
def test_reliable_change_thresholds(
    sd: float, reliability: float, sem: float | None, sdiff: float | None, threshold: float
) -> None:
    """SEM, Sdiff and the smallest reliable change, to the printed digits."""
    change = reliable_change([0.0], [1.0], sd=sd, reliability=reliability)
    assert round(change.threshold, 3) == threshold
    if sem is not None:
        assert (round(change.sem, 4), round(change.sdiff, 4)) == (sem, sdiff)


def test_reliable_change_of_people() -> None:
    """Both directions count; a missing score is no reliable change; the threshold itself is not beyond it."""
    change = reliable_change([10, 10, 10, NAN], [18, 2, 17, 30], sd=9.0, reliability=0.92)
    assert change.reliable.tolist() == [True, True, False, False]
    assert np.isnan(change.index).tolist() == [False, False, False, True]
    assert change.index[0] == pytest.approx(8 / 3.6)


@pytest.mark.parametrize(("sd", "reliability"), [(0.0, 0.9), (-1.0, 0.9), (1.0, 1.0), (1.0, -0.1), (NAN, 0.9)])
def test_reliable_change_needs_a_spread_and_a_reliability(sd: float, reliability: float) -> None:
    """No change is reliable against no spread."""
    with pytest.raises(ValueError, match="expected sd > 0"):
        reliable_change([1.0], [2.0], sd=sd, reliability=reliability)
