"""Signs that answers are not those of the form their key describes."""

from __future__ import annotations

import numpy as np
import pytest

from causal.measures.detectors import (
    Finding,
    against_the_rest,
    answers_given,
    away_from_session,
    other_code,
    other_form,
    other_rater,
    same_day,
    too_fast,
    unreversed,
    unsigned,
    whole_forms,
)
from causal.protocol.instrument import Instrument
from flows.study_file.load import load_instruments

KEYS = load_instruments("configs/instruments")
NAN = np.nan


def simulated(key: Instrument, n: int = 400, seed: int = 1) -> np.ndarray:
    """Answers (n, n_items) to one factor per scale, with the reversed items answered the other way round."""
    rng = np.random.default_rng(seed)
    middle, width = (key.low + key.high) / 2, (key.high - key.low) / 5
    answers = np.full((n, key.n_items), middle)
    for numbers in key.scales.values():
        columns = np.array(numbers) - 1
        answers[:, columns] += width * (rng.standard_normal((n, 1)) + rng.standard_normal((n, len(numbers))))
    for number in key.reverse:
        answers[:, number - 1] = key.low + key.high - answers[:, number - 1]
    return np.clip(np.round(answers), key.low, key.high)


def test_answers_outside_the_range_are_counted_without_missing_codes() -> None:
    """Of 9 answers given, two are above and one below; 99 and gaps are no answers."""
    items = np.full((1, 12), 3.0)
    items[0, :6] = [6, 7, 0, 99, -1, NAN]
    found = answers_given(items, KEYS["wai_sr"])
    assert (found.above, found.below) == (Finding(count=2, of=9), Finding(count=1, of=9))
    assert (found.highest, found.lowest, found.beyond_namesake) == (7, 0, None)
    nothing = answers_given(np.full((2, 12), NAN), KEYS["wai_sr"])
    assert (nothing.above.share, nothing.highest, nothing.lowest) == (0.0, None, None)


def test_the_disability_index_does_not_reach_the_helping_alliance() -> None:
    """Answers of 0 to 3: some below the range, and none above 3; a real form has many."""
    index = np.random.default_rng(2).integers(0, 4, (50, 19)).astype(float)
    found = answers_given(index, KEYS["haq_ii"])
    assert found.below.share > 0.2
    assert found.beyond_namesake == Finding(count=0, of=950)
    real = answers_given(simulated(KEYS["haq_ii"]), KEYS["haq_ii"]).beyond_namesake
    assert real is not None
    assert real.share > 0.3


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_forms_that_fit_their_key_raise_no_alarm(key: Instrument) -> None:
    """Every shipped key: nothing out of range, no item against its scale, no other key that fits better."""
    items = simulated(key)
    answers, whole = answers_given(items, key), whole_forms(items, key)
    assert answers.above.count == answers.below.count == 0
    assert whole.straight.of == 400
    assert unreversed(whole, key) == ()
    assert other_form(answers, whole, key, KEYS) is None


@pytest.mark.parametrize("name", [name for name, key in KEYS.items() if key.reverse])
def test_items_that_the_source_had_reversed_already_run_against_their_scale(name: str) -> None:
    """Each reversed item, alone or, of ARM-5, its only one."""
    key = KEYS[name]
    for number in key.reverse:
        items = simulated(key)
        items[:, number - 1] = key.low + key.high - items[:, number - 1]
        assert unreversed(whole_forms(items, key), key) == (number,)


def test_an_item_by_chance_a_little_below_zero_is_no_sign() -> None:
    """Independent items of 100 forms: within two standard errors of 0 nearly always; the rest are reported."""
    flagged = 0
    for seed in range(50):
        items = np.random.default_rng(seed).integers(1, 6, (100, 12)).astype(float)
        flagged += len(unreversed(whole_forms(items, KEYS["wai_sr"]), KEYS["wai_sr"]))
    assert 0 < flagged / 600 < 0.06


def test_the_two_short_forms_are_told_apart_by_their_reversals_and_range() -> None:
    """WAI-S and WAI-SR have 12 items each, under one another's name."""
    short, revised = KEYS["wai_s"], KEYS["wai_sr"]
    items = simulated(revised)
    assert other_form(answers_given(items, short), whole_forms(items, short), short, KEYS) == "wai_sr"
    items = simulated(short)
    assert other_form(answers_given(items, revised), whole_forms(items, revised), revised, KEYS) == "wai_s"


def test_a_form_with_other_responses_and_like_reversals_is_told_by_its_range() -> None:
    """Nothing is reversed in WAI-SR or GCQ-S: answers from 0 to 6 are the latter's."""
    items = np.random.default_rng(3).integers(0, 7, (300, 12)).astype(float)
    revised = KEYS["wai_sr"]
    assert other_form(answers_given(items, revised), whole_forms(items, revised), revised, KEYS) == "gcq_s"


def test_stray_answers_do_not_make_another_form() -> None:
    """One 6 and one 0 in 300 forms of WAI-SR lie in the range of GCQ-S, and are mistypings."""
    revised = KEYS["wai_sr"]
    items = simulated(revised, n=300)
    items[0, 0], items[1, 1] = 6, 0
    assert other_form(answers_given(items, revised), whole_forms(items, revised), revised, KEYS) is None


def test_straight_lines_and_ceilings_are_of_whole_forms() -> None:
    """A form with a gap is neither; the top of a keyed scale is low on its reversed items."""
    key = KEYS["wai_s"]
    best = [1 if number in key.reverse else 7 for number in range(1, 13)]
    found = whole_forms([best, [4] * 12, [7] * 12, [7] * 11 + [NAN], [7] * 11 + [99]], key)
    assert found.straight == Finding(count=2, of=3)
    assert found.at_top == {"total": Finding(count=1, of=3)}


def test_scales_without_a_total_are_judged_one_by_one() -> None:
    """GCQ-S: conflict runs against engaged, and no item is wrong for that."""
    rng = np.random.default_rng(4)
    key, mood = KEYS["gcq_s"], rng.standard_normal((300, 1))
    sign = np.array([1 if n in key.subscales["engaged"].items else -1 for n in range(1, 13)])
    items = np.clip(np.round(3 + sign * mood + rng.standard_normal((300, 12))), 0, 6)
    found = whole_forms(items, key)
    assert set(found.moments) == set(key.subscales)
    assert unreversed(found, key) == ()
    assert set(against_the_rest(found, key)) == set(range(1, 13))


def test_too_few_forms_have_no_moments() -> None:
    """One whole form, or none."""
    for n in (0, 1):
        found = whole_forms(np.full((n, 12), 3.0), KEYS["wai_sr"])
        assert (found.moments["total"], found.straight.of) == (None, n)
        assert unreversed(found, KEYS["wai_sr"]) == ()


def test_forms_of_one_day_count_once_per_pair_and_rater() -> None:
    """Three on one day are two too many; another clinician, rater or day is another form."""
    found = same_day([1, 1, 1, 1, 1, 1], [7, 7, 7, 8, 7, 7], [0, 0, 0, 0, 1, 0], [5, 5, 5, 5, 5, 6])
    assert found == Finding(count=2, of=6)


def test_a_form_away_from_a_contact_has_none_of_its_pair_on_its_day() -> None:
    """Another clinician's contact of that day does not count."""
    found = away_from_session([1, 1, 2], [7, 7, 7], [5, 6, 5], [1, 1, 2], [7, 8, 7], [5, 6, 4])
    assert found == Finding(count=2, of=3)


def test_who_answered() -> None:
    """Nobody, or somebody the form is not for; not judged where the key does not say."""
    raters = ["patient", "clinician", "", None]
    assert unsigned(raters) == Finding(count=2, of=4)
    assert other_rater(raters, KEYS["wai_sr"]) == Finding(count=1, of=2)
    assert other_rater(raters, KEYS["wai_sr"].model_copy(update={"rater": None})) is None


def test_less_than_a_second_per_item_is_too_fast() -> None:
    """Twelve seconds for twelve items are not; forms without a time or an answer are not judged."""
    assert too_fast([12, 11.9, NAN, 3], [12, 12, 12, 0]) == Finding(count=1, of=2)


def test_a_code_of_another_questionnaire() -> None:
    """HAq-II has no LOINC code, so any is another's; not judged where the key does not say."""
    assert other_code([None, "", "12345-6"], KEYS["haq_ii"]) == Finding(count=1, of=1)
    assert other_code(["12345-6"], KEYS["wai_sr"]) is None
    coded = KEYS["wai_sr"].model_copy(update={"loinc": ("12345-6",)})
    assert other_code(["12345-6", "65432-1"], coded) == Finding(count=1, of=2)
