"""Signs that a form is not the one its scoring key describes."""

from __future__ import annotations

from collections.abc import Callable

import ibis
import numpy as np
import pytest

from flows.study_file.load import load_instruments
from tests.flows.connectors.small_extract import arrow_table, measure
from validation.forms import judge_forms
from validation.verdict import Status, Verdict

KEYS = load_instruments("configs/instruments")


def judged(answers: Callable[[int, int], int], people: int = 150, **changes: str) -> dict[str, Verdict]:
    """Verdicts, by code, on WAI-SR forms in which person i answered item k."""
    rows = [
        measure(f"p{i}", "2023-04-01 09:00", **{f"itm_{k:02d}": str(answers(i, k)) for k in range(1, 13)}, **changes)
        for i in range(people)
    ]
    return {each.code: each for each in judge_forms(ibis.memtable(arrow_table("measures", rows)), KEYS)}


def steady(person: int, item: int) -> int:
    """Give answers that agree with one another, within a point or two."""
    return 1 + (person % 3) + (person * 31 + item * 17) % 7 % 3


def test_a_seven_point_form_loaded_as_five_points_is_seen() -> None:
    """Answers of 6 and 7 are a share of all answers, above the limit; 9 is a missing code and no answer."""
    found = judged(lambda i, k: 9 if k == 12 else 1 + (i + k) % 7)["extract.above_range.wai_sr"]
    assert found.status is Status.FAIL
    assert found.measured == pytest.approx(2 / 7, abs=0.005)
    assert judged(steady)["extract.above_range.wai_sr"].measured == 0


def test_internal_consistency_is_cronbachs_alpha() -> None:
    """Alpha as numpy works it from its definition (Cronbach 1951)."""
    matrix = np.array([[steady(i, k) for k in range(1, 13)] for i in range(150)])
    alpha = 12 / 11 * (1 - matrix.var(axis=0, ddof=1).sum() / matrix.sum(axis=1).var(ddof=1))
    found = judged(steady)["extract.alpha.wai_sr"]
    assert (found.status, found.measured) == (Status.PASS, pytest.approx(alpha, rel=1e-12))


@pytest.mark.parametrize(
    ("answers", "people", "sentence"),
    [
        (steady, 99, "fewer than 100 whole forms of wai_sr: internal consistency not judged"),
        (lambda _, k: 1 + k % 5, 150, "whole forms of wai_sr all have one total: internal consistency not judged"),
        (
            lambda i, _: 1 + i % 5,
            150,
            "Cronbach's alpha of wai_sr, expected from 0.70 to 0.98, is 1.00: the scoring key may not fit this form",
        ),
    ],
)
def test_what_cannot_be_judged_is_not_evaluated(answers: Callable[[int, int], int], people: int, sentence: str) -> None:
    """Few forms, no spread, or an alpha that proves nothing: a warning, not a failure and not a pass."""
    found = judged(answers, people)["extract.alpha.wai_sr"]
    assert (found.status, found.sentence) == (Status.NOT_EVALUATED, sentence)


def test_reversed_items_are_keyed_before_they_are_added() -> None:
    """A form whose every second item is worded the other way is consistent under its key only."""
    turned = {number: number % 2 == 0 for number in range(1, 13)}
    key = KEYS["wai_sr"].model_copy(update={"reverse": tuple(n for n, reverse in turned.items() if reverse)})
    rows = [
        measure(
            f"p{i}",
            "2023-04-01 09:00",
            **{f"itm_{k:02d}": str(6 - steady(i, k) if turned[k] else steady(i, k)) for k in range(1, 13)},
        )
        for i in range(150)
    ]
    table = ibis.memtable(arrow_table("measures", rows))
    plain = {each.code: each for each in judge_forms(table, KEYS)}
    keyed = {each.code: each for each in judge_forms(table, {"wai_sr": key})}
    assert plain["extract.alpha.wai_sr"].status is Status.NOT_EVALUATED
    assert keyed["extract.alpha.wai_sr"] == judged(steady)["extract.alpha.wai_sr"]


def test_instruments_nobody_answered_have_no_verdict() -> None:
    """Only what was delivered is judged."""
    assert set(judged(steady)) == {"extract.above_range.wai_sr", "extract.alpha.wai_sr"}
    assert judged(steady, instrument="audit") == {}
