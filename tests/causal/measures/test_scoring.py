"""Scores worked by hand for every key that ships, and the same scores from arrays and from relations."""

from __future__ import annotations

import ibis
import numpy as np
import pytest

from causal.measures.scoring import Scores, score_expression, score_items, subscale_expression
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


def on_engine(items: np.ndarray, instrument: Instrument) -> dict[str, np.ndarray]:
    """Total and subscales by the expressions, in row order; NaN for null."""
    columns = {
        name: [None if np.isnan(v) else int(v) for v in items[:, i]]
        for i, name in enumerate(ITEM_COLUMNS[: items.shape[1]])
    }
    table = ibis.memtable(
        {"row": range(len(items)), **columns}, schema={"row": "int64", **dict.fromkeys(columns, "int16")}
    )
    parts = {name: subscale_expression(table, instrument, name) for name in instrument.subscales}
    scored = table.select("row", total=score_expression(table, instrument), **parts).order_by("row").to_pyarrow()
    return {
        name: np.array([NAN if v is None else v for v in scored.column(name).to_pylist()], dtype=float)
        for name in ("total", *parts)
    }


def totals_on_engine(items: np.ndarray, instrument: Instrument) -> np.ndarray:
    """Totals by `score_expression`, in row order; NaN for null."""
    return on_engine(items, instrument)["total"]


def named(scores: Scores) -> dict[str, np.ndarray]:
    """Total and subscales of `score_items`."""
    return {"total": scores.total, **scores.subscales}


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
    # WAI-36: 14 reversed items; all ones give 14 x 7 + 22, all sevens 14 + 22 x 7.
    "wai_36, all ones": ("wai_36", [1] * 36, 120.0),
    "wai_36, all sevens": ("wai_36", [7] * 36, 168.0),
    "wai_36, code on reversed item 1": ("wai_36", [99] + [1] * 35, (13 * 7 + 22) * 36 / 35),
    "wai_36, nine of twelve task items": ("wai_36", [1 if n not in (2, 4, 7) else NAN for n in range(1, 37)], NAN),
    # WAI-S: items 4 and 10 reversed.
    "wai_s, best": ("wai_s", [7, 7, 7, 1, 7, 7, 7, 7, 7, 1, 7, 7], 84.0),
    "wai_s, worst": ("wai_s", [1, 1, 1, 7, 1, 1, 1, 1, 1, 7, 1, 1], 12.0),
    "wai_s, codes on both reversed items": ("wai_s", [6, 6, 6, 99, 6, 6, 6, 6, 6, -1, 6, 6], NAN),
    "wai_s, code on reversed item 4": ("wai_s", [6, 6, 6, 99, 6, 6, 6, 6, 6, 2, 6, 6], 72.0),
    # HAq-II: items 4, 8, 11, 16 and 19 reversed.
    "haq_ii, best": ("haq_ii", [1 if n in (4, 8, 11, 16, 19) else 6 for n in range(1, 20)], 114.0),
    "haq_ii, all twos": ("haq_ii", [2] * 19, 14 * 2 + 5 * 5),
    "haq_ii, code on reversed item 19": ("haq_ii", [2] * 18 + [99], (14 * 2 + 4 * 5) * 19 / 18),
    "haq_ii, fifteen answers": ("haq_ii", [2] * 15 + [NAN, 9, 99, -1], NAN),
    "haq_ii, a zero": ("haq_ii", [0] + [2] * 18, NAN),
    "gcq_s has no total": ("gcq_s", [3] * 12, NAN),
    # ARM-5: item 3 reversed.
    "arm_5, best": ("arm_5", [7, 7, 1, 7, 7], 7.0),
    "arm_5, code on reversed item 3": ("arm_5", [5, 6, 99, 6, 5], 5.5),
    "arm_5, three answers": ("arm_5", [5, 6, 99, NAN, 5], NAN),
    "miti has no total": ("miti", [4, 3, 5, 4], NAN),
}


SUBSCALES = {
    # name: (instrument, responses, subscales), worked by hand from the key
    "wai_sr, one code": (
        "wai_sr",
        [5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5, 99],
        {"task": 10 / 3, "goal": 15 / 4, "bond": 10 / 4},
    ),
    "wai_sr, no total but two subscales": (
        "wai_sr",
        [NAN, NAN, 3, 2, 1, 5, 4, 3, 2, 1, 5, 4],
        {"task": NAN, "goal": 15 / 4, "bond": 10 / 4},
    ),
    # Reversed: task 7, 11, 15, 31, 33; bond 1, 20, 29; goal 3, 9, 10, 12, 27, 34.
    "wai_36, all ones": ("wai_36", [1] * 36, {"task": 5 * 7 + 7, "bond": 3 * 7 + 9, "goal": 6 * 7 + 6}),
    "wai_36, ten of twelve bond items": (
        "wai_36",
        [9 if n in (1, 5) else 1 for n in range(1, 37)],
        {"task": 42, "bond": (2 * 7 + 8) * 12 / 10, "goal": 48},
    ),
    "wai_s, best": ("wai_s", [7, 7, 7, 1, 7, 7, 7, 7, 7, 1, 7, 7], {"task": 28, "bond": 28, "goal": 28}),
    "wai_s, both reversed items missing": (
        "wai_s",
        [6, 5, 4, 99, 4, 6, 4, 5, 4, 99, 6, 5],
        {"task": 21, "bond": 16, "goal": NAN},
    ),
    "gcq_s, all answered": (
        "gcq_s",
        [6, 5, 1, 4, 2, 0, 1, 3, 3, 2, 2, 1],
        {"engaged": 20 / 5, "avoiding": 6 / 3, "conflict": 4 / 4},
    ),
    "gcq_s, four missing": (
        "gcq_s",
        [6, 5, NAN, 4, 99, 0, 1, 3, -1, 2, 2, NAN],
        {"engaged": 20 / 5, "avoiding": NAN, "conflict": 3 / 3},
    ),
    "gcq_s, five missing": (
        "gcq_s",
        [6, 5, 1, 4, 99, 0, NAN, NAN, -1, 2, 2, NAN],
        {"engaged": NAN, "avoiding": NAN, "conflict": NAN},
    ),
    "miti, technical and relational": ("miti", [4, 3, 5, 4], {"technical": 3.5, "relational": 4.5}),
    "miti, one global missing": ("miti", [4, 3, 5, 99], {"technical": NAN, "relational": NAN}),
}


@pytest.mark.parametrize("instrument", KEYS)
def test_golden_scores(instrument: str) -> None:
    """Each shipped key gives the totals and subscales worked by hand, from arrays and from a relation."""
    totals = [(responses, {"total": total}) for name, responses, total in GOLDEN.values() if name == instrument]
    parts = [(responses, scores) for name, responses, scores in SUBSCALES.values() if name == instrument]
    items = np.array([responses for responses, _ in (*totals, *parts)], dtype=float)
    ours, engines = named(score_items(items, KEYS[instrument])), on_engine(items, KEYS[instrument])
    for row, (_, expected) in enumerate((*totals, *parts)):
        for scale, score in expected.items():
            assert np.array_equal([ours[scale][row], engines[scale][row]], [score, score], equal_nan=True), scale


def test_every_key_has_golden_vectors() -> None:
    """No key ships without a score worked by hand, and none with subscales without those."""
    assert {instrument for instrument, _, _ in GOLDEN.values()} == set(KEYS)
    assert {instrument for instrument, _, _ in SUBSCALES.values()} == {n for n, key in KEYS.items() if key.subscales}


@pytest.mark.parametrize("instrument", KEYS.values(), ids=KEYS)
def test_scores_reach_their_range_and_never_leave_it(instrument: Instrument) -> None:
    """The best and the worst form have the ends of the range; random forms with gaps stay inside."""
    best = [instrument.low if n in instrument.reverse else instrument.high for n in range(1, instrument.n_items + 1)]
    worst = [instrument.low + instrument.high - answer for answer in best]
    rng = np.random.default_rng(3)
    choices = [*range(instrument.low, instrument.high + 1)] * 4 + [NAN, 99]
    forms = rng.choice(choices, size=(300, instrument.n_items))
    for scale, found in named(score_items([best, worst, *forms], instrument)).items():
        if scale == "total" and instrument.total == "none":
            assert np.isnan(found).all()
            continue
        n_items = instrument.n_items if scale == "total" else len(instrument.subscales[scale].items)
        low, high = instrument.score_range(n_items)
        assert found[:2].tolist() == [high, low]
        scored = found[~np.isnan(found)]
        assert len(scored) > 30
        assert ((scored >= low) & (scored <= high)).all()


def test_answered_items_are_counted() -> None:
    """A missing code is no answer."""
    assert score_items([[5, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5, 99]], KEYS["wai_sr"]).answered.tolist() == [11]


def test_an_unknown_subscale_is_an_error() -> None:
    """WAI-SR has no subscale of that name."""
    table = ibis.memtable({"itm_01": [1]}, schema={"itm_01": "int16"})
    with pytest.raises(KeyError, match="cohesion"):
        subscale_expression(table, KEYS["wai_sr"], "cohesion")


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


@pytest.mark.parametrize(
    "instrument",
    [*KEYS.values(), key(), key(total="sum"), key(total="none"), key(missing_codes=(), subscales={})],
    ids=[*KEYS, "four", "four, sum", "four, no total", "four, no codes"],
)
def test_arrays_and_relations_agree_to_the_last_bit(instrument: Instrument) -> None:
    """Random forms with codes, gaps and impossible answers score the same, whatever the order of rows."""
    rng = np.random.default_rng(7)
    valid, odd = [*range(instrument.low, instrument.high + 1)], [NAN, NAN, 9, 99, -1, instrument.high + 1]
    share = 0.8 / instrument.n_items
    items = np.where(
        rng.random((400, instrument.n_items)) < share,
        rng.choice(odd, size=(400, instrument.n_items)),
        rng.choice(valid, size=(400, instrument.n_items)),
    )
    scores = named(score_items(items, instrument))
    order = rng.permutation(len(items))
    engine, shuffled = on_engine(items, instrument), on_engine(items[order], instrument)
    assert set(engine) == set(scores)
    for name, ours in scores.items():
        assert 4 < np.isnan(ours).sum() < 400 or instrument.total == "none"
        assert engine[name].tobytes() == ours.tobytes()
        assert shuffled[name].tobytes() == ours[order].tobytes()


def test_absent_item_columns_count_as_not_answered() -> None:
    """An extract that lacks the column of an item scores as if nobody had answered it."""
    items = np.array([[5.0, 4, 3, 2, 1, 5, 4, 3, 2, 1, 5]])
    assert totals_on_engine(items, KEYS["wai_sr"]).tolist() == [35 / 11]
