"""Judge whether questionnaires are the ones their scoring keys describe, and were recorded as they must be.

A sign that scores would be wrong fails. A sign that proves nothing by itself (consistency, ceiling, speed) is a
caution: NOT EVALUATED, with its figure in the sentence. Nothing that comes out tells a count of 1 to 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import ibis.expr.types as ir

from causal.errors import EstimationError
from causal.measures.detectors import Answers, Finding, WholeForms, other_form, unreversed
from causal.measures.reliability import Moments, alpha_of
from causal.protocol import Instrument
from validation.disclosure import disclose_percent
from validation.forms import Days, Records, answers_and_records, item_columns, recorded_days, whole_forms
from validation.shares import at_least_share, at_most_share
from validation.verdict import Status, Verdict, at_least, at_most, not_evaluated
from validation.words import holds, listed

OUT_OF_RANGE_LIMIT = 0.01
NAMESAKE_LEAST = 0.05
OTHER_RECORD_LIMIT = 0.01
ALPHA_RANGE = (0.70, 0.98)
WHOLE_FORMS_NEEDED = 100
STRAIGHT_LIMIT = 0.05
CEILING_LIMIT = 0.40
SAME_DAY_LIMIT = 0.01
AWAY_LIMIT = 0.20
TOO_FAST_LIMIT = 0.05


def judge_measures(
    measures: ir.Table,
    encounters: ir.Table | None,
    instruments: Mapping[str, Instrument],
    *,
    others: Mapping[str, Instrument],
    unsigned_share: float,
) -> list[Verdict]:
    """Verdicts on every instrument with answers in table ``measures`` as delivered.

    Parameters
    ----------
    measures, encounters
        Tables of `causal.tables` on one engine; without contacts, days are not compared with them.
    instruments
        Scoring keys by the names used in ``measures.instrument``.
    others
        All scoring keys there are, any of which may fit better.
    unsigned_share
        Largest share of forms that may not say who answered them, in [0, 1].
    """
    facts = {}
    for name, key in sorted(instruments.items()):
        if item_columns(measures, key):
            forms = measures.filter(measures.instrument == name)
            answers, records = answers_and_records(forms, key)
            if answers.above.of:
                facts[name] = (answers, records, whole_forms(forms, key))
    days = recorded_days(measures, encounters, list(facts)) if facts else {}
    return [
        verdict
        for name, (answers, records, whole) in facts.items()
        for verdict in (
            *_range(name, answers, instruments[name]),
            *_form(name, answers, whole, instruments[name], others),
            *_consistency(name, whole, instruments[name]),
            *_habits(name, whole, instruments[name]),
            *_recording(name, records, unsigned_share),
            *_timing(name, records, days[name]),
        )
    ]


def instruments_present(measures: ir.Table, instruments: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """The keys of instruments that the table names; the others have nothing to judge."""
    held = set(measures.select("instrument").distinct().to_pyarrow().column("instrument").to_pylist())
    return {name: key for name, key in instruments.items() if name in held}


def _range(name: str, answers: Answers, key: Instrument) -> Iterator[Verdict]:
    yield at_most_share(
        f"extract.above_range.{name}",
        answers.above,
        OUT_OF_RANGE_LIMIT,
        f"share of answers of {name} above its highest response, {key.high}: is it another form?",
        answers=key.n_items,
    )
    yield at_most_share(
        f"extract.below_range.{name}",
        answers.below,
        OUT_OF_RANGE_LIMIT,
        f"share of answers of {name} below its lowest response, {key.low}: is it another form, or a missing code?",
        answers=key.n_items,
    )
    if key.namesake is not None and answers.beyond_namesake is not None:
        yield at_least_share(
            f"extract.namesake.{name}",
            answers.beyond_namesake,
            NAMESAKE_LEAST,
            f"share of answers of {name} above {key.namesake.high}, beyond which {key.namesake.name} has none",
            answers=key.n_items,
        )


def _form(
    name: str, answers: Answers, whole: WholeForms, key: Instrument, others: Mapping[str, Instrument]
) -> Iterator[Verdict]:
    """Reversals and neighbours, from how the items go together."""
    enough, few = whole.straight.of >= WHOLE_FORMS_NEEDED, _few(name)
    if enough:
        against = unreversed(whole, key)
        numbers = f": {listed(map(str, against))}" if against else ""
        sentence = (
            f"items of {name} that run against their scale after reversal, so that one reversal is wrong{numbers}"
        )
        yield at_most(f"extract.unreversed.{name}", len(against), 0, sentence)
    else:
        yield not_evaluated(f"extract.unreversed.{name}", f"{few}: whether items run against their scale not judged")
    if enough or answers.above.share > OUT_OF_RANGE_LIMIT:
        other = other_form(answers, whole, key, others)
        looks = f"forms recorded as {name} look like {other}: the range of their answers or their reversals are its own"
        sentence = f"the scoring key of {name} fits its forms at least as well as any other key with as many items"
        yield holds(f"extract.other_form.{name}", looks if other else "", sentence)
    else:
        yield not_evaluated(f"extract.other_form.{name}", f"{few}: whether another scoring key fits better not judged")
    if not enough:
        return
    if answers.highest is not None and answers.highest < key.high:
        sentence = f"no answer of {name} reaches its highest response, {key.high}: had the form fewer responses?"
        yield not_evaluated(f"extract.top_unused.{name}", sentence)


def _consistency(name: str, whole: WholeForms, key: Instrument) -> Iterator[Verdict]:
    """Cronbach's alpha of whole forms (Cronbach 1951); outside the usual range it proves nothing, so it never fails."""
    for scale, found in whole.moments.items():
        label = name if scale == "total" and key.total != "none" else f"{name}.{scale}"
        yield _alpha(label, _few(name), found)


def _alpha(label: str, few: str, found: Moments | None) -> Verdict:
    code = f"extract.alpha.{label}"
    if found is None or found.n < WHOLE_FORMS_NEEDED:
        return not_evaluated(code, f"{few}: internal consistency not judged")
    try:
        alpha = alpha_of(found)
    except EstimationError:
        return not_evaluated(code, f"whole forms of {label} all have one total: internal consistency not judged")
    low, high = ALPHA_RANGE
    sentence = f"Cronbach's alpha of {label}, expected from {low:.2f} to {high:.2f}"
    if low <= alpha <= high:
        return at_least(code, alpha, low, sentence)
    return not_evaluated(code, f"{sentence}, is {alpha:.2f}: the scoring key may not fit this form")


def _habits(name: str, whole: WholeForms, key: Instrument) -> Iterator[Verdict]:
    """One answer throughout, and scores that cannot rise."""
    straight = f"share of whole forms of {name} with one and the same answer throughout"
    if key.reverse:
        words = f"{straight}, though some items are worded the other way"
        yield _caution(f"extract.straight_lining.{name}", whole.straight, STRAIGHT_LIMIT, words)
    else:
        words = f"{straight}; no item is reversed, so this is for information"
        yield _caution(f"extract.straight_lining.{name}", whole.straight, 1.0, words)
    for scale, found in whole.at_top.items():
        label = name if scale == "total" and key.total != "none" else f"{name}.{scale}"
        words = f"share of whole forms of {label} with the highest possible score, from which nothing can rise"
        yield _caution(f"extract.ceiling.{label}", found, CEILING_LIMIT, words)


def _recording(name: str, records: Records, unsigned_share: float) -> Iterator[Verdict]:
    sentence = f"share of forms of {name} that do not say who answered them"
    yield at_most_share(f"extract.unsigned.{name}", records.unsigned, unsigned_share, sentence)
    if records.other_rater is not None:
        sentence = f"share of forms of {name} answered by somebody whom this version of it is not for"
        yield at_most_share(f"extract.other_rater.{name}", records.other_rater, OTHER_RECORD_LIMIT, sentence)
    if records.other_code is not None:
        sentence = f"share of coded forms of {name} whose LOINC code is that of another questionnaire"
        yield at_most_share(f"extract.other_code.{name}", records.other_code, OTHER_RECORD_LIMIT, sentence)


def _timing(name: str, records: Records, days: Days) -> Iterator[Verdict]:
    words = f"share of forms of {name} that repeat one of the same day, pair and rater"
    yield _caution(f"extract.same_day.{name}", days.same_day, SAME_DAY_LIMIT, words)
    if days.away is not None:
        words = f"share of forms of {name} completed on a day without a completed contact of the pair"
        yield _caution(f"extract.away_from_session.{name}", days.away, AWAY_LIMIT, words)
    if records.too_fast is not None:
        words = f"share of forms of {name} answered in less than a second per item"
        yield _caution(f"extract.too_fast.{name}", records.too_fast, TOO_FAST_LIMIT, words)


def _few(name: str) -> str:
    return f"fewer than {WHOLE_FORMS_NEEDED} whole forms of {name}"


def _caution(code: str, found: Finding, limit: float, sentence: str) -> Verdict:
    """PASS within the limit; beyond it NOT EVALUATED, as are too few forms to tell."""
    if found.of < WHOLE_FORMS_NEEDED:
        return not_evaluated(code, f"{sentence}: fewer than {WHOLE_FORMS_NEEDED} forms, not judged")
    verdict = at_most_share(code, found, limit, sentence)
    if verdict.status is Status.PASS:
        return verdict
    if verdict.measured is None:
        return not_evaluated(code, f"{verdict.sentence}, expected at most {limit:.0%}")
    percent = disclose_percent(found.share, found.of)
    return not_evaluated(code, f"{sentence}, expected at most {limit:.0%}, is about {percent}%")
