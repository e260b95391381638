"""Signs that a questionnaire is not the one its scoring key describes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add

import ibis.expr.types as ir

from causal.protocol import Instrument
from causal.tables import ITEM_COLUMNS
from validation.verdict import Verdict, at_least, at_most, not_evaluated

ABOVE_RANGE_LIMIT = 0.01
ALPHA_RANGE = (0.70, 0.98)
ALPHA_MINIMUM_FORMS = 100


def judge_forms(measures: ir.Table, instruments: Mapping[str, Instrument]) -> list[Verdict]:
    """Verdicts on every instrument with answers in table ``measures`` as delivered: its range, its consistency."""
    verdicts: list[Verdict] = []
    for name, key in sorted(instruments.items()):
        items = item_columns(measures, key)
        forms = measures.filter(measures.instrument == name)
        above = _above_range(forms, name, key, items) if items else []
        if above:
            verdicts += above + _consistency(forms, name, key, items)
    return verdicts


def item_columns(measures: ir.Table, instrument: Instrument) -> list[str]:
    """Columns of the instrument's items that the table has, in item order."""
    return [item for item in ITEM_COLUMNS[: instrument.n_items] if item in measures.columns]


def _above_range(forms: ir.Table, name: str, instrument: Instrument, items: list[str]) -> list[Verdict]:
    """Seven-point answers loaded as five-point ones show as answers above the highest response."""
    answers = [forms[item] for item in items]
    given = [answer.notnull() & answer.notin(instrument.missing_codes or (None,)) for answer in answers]
    above = [there & (answer > instrument.high) for there, answer in zip(given, answers, strict=True)]
    sums = forms.aggregate(given=_total(given), above=_total(above)).to_pyarrow().to_pylist()[0]
    if not sums["given"]:
        return []
    sentence = f"share of answers of {name} above its highest response, {instrument.high}: is it another form?"
    return [at_most(f"extract.above_range.{name}", sums["above"] / sums["given"], ABOVE_RANGE_LIMIT, sentence)]


def _total(conditions: list[ir.BooleanValue]) -> ir.IntegerScalar:
    return reduce(add, (condition.sum() for condition in conditions))


def _consistency(forms: ir.Table, name: str, instrument: Instrument, items: list[str]) -> list[Verdict]:
    """Cronbach's alpha of whole forms (Cronbach 1951); outside the usual range it proves nothing, so it only warns."""
    code = f"extract.alpha.{name}"
    spread, n = _spread(forms, instrument, items)
    if len(items) < 2 or n < ALPHA_MINIMUM_FORMS:
        reason = f"fewer than {ALPHA_MINIMUM_FORMS} whole forms of {name}: internal consistency not judged"
        return [not_evaluated(code, reason)]
    *by_item, total = spread
    if not total:
        return [not_evaluated(code, f"whole forms of {name} all have one total: internal consistency not judged")]
    k = len(items)
    alpha = k / (k - 1) * (1 - sum(by_item) / total)
    low, high = ALPHA_RANGE
    sentence = f"Cronbach's alpha of {name}, expected from {low:.2f} to {high:.2f}"
    if low <= alpha <= high:
        return [at_least(code, alpha, low, sentence)]
    return [not_evaluated(code, f"{sentence}, is {alpha:.2f}: the scoring key may not fit this form")]


def _spread(forms: ir.Table, instrument: Instrument, items: list[str]) -> tuple[list[int], int]:
    """Give n sum(x^2) - sum(x)^2 of each item and of their total over n whole forms, and n: exact in any row order."""
    whole = forms.filter(*(forms[item].between(instrument.low, instrument.high) for item in items))
    answers = [_keyed(whole[item], instrument) for item in items]
    answers.append(reduce(add, answers))
    sums = {f"s{i}": answer.sum() for i, answer in enumerate(answers)}
    squares = {f"q{i}": (answer * answer).sum() for i, answer in enumerate(answers)}
    row = whole.aggregate(n=whole.count(), **sums, **squares).to_pyarrow().to_pylist()[0]
    n = int(row["n"])
    return [n * int(row[f"q{i}"] or 0) - int(row[f"s{i}"] or 0) ** 2 for i in range(len(answers))], n


def _keyed(answer: ir.Column, instrument: Instrument) -> ir.Column:
    number = ITEM_COLUMNS.index(answer.get_name()) + 1
    value = answer.cast("int64")
    return (instrument.low + instrument.high) - value if number in instrument.reverse else value
