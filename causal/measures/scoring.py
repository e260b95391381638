"""From item responses to scores, by an instrument's key.

The order of operations matters and is the same everywhere: missing codes become "no answer", responses outside the
range are marked invalid, reversed items become ``low + high - x``, the item-count rule decides whether there is a
score, and the score is the mean of the answered items (times the number of items where the total is a sum).
Reversing before mapping a missing code such as 99 is a classic silent error; so is calling it out of range. What comes
out lies in the instrument's range of scores, which is asserted.

Scores are quotients of two integers, so they do not depend on the order in which rows or items are added up, and
`score_items` (arrays) and `score_expression` (relations) agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from causal.protocol.instrument import Instrument
from causal.tables import ITEM_COLUMNS

if TYPE_CHECKING:
    import ibis.expr.types as ir

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of n questionnaires.

    Attributes
    ----------
    total
        (n,) in the instrument's scale; NaN where the item-count rule, a subscale's rule or an invalid response
        leaves no score, and everywhere where the instrument has no total.
    subscales
        By name: (n,) in the same scale, or means where there is no total; NaN likewise.
    answered
        (n,) number of items with a valid answer.
    invalid
        (n, n_items) responses that are neither in range nor a missing code.
    """

    total: Floats
    subscales: Mapping[str, Floats]
    answered: NDArray[np.int64]
    invalid: NDArray[np.bool_]


def score_items(items: ArrayLike, instrument: Instrument) -> Scores:
    """Score raw responses.

    Parameters
    ----------
    items
        (n, n_items) raw responses in item order; NaN where there is none.

    Raises
    ------
    ValueError
        `items` does not have one column per item.

    >>> from causal.protocol.instrument import Instrument, Licence, Verified
    >>> key = Instrument(id="two", version="std", n_items=2, low=1, high=5, reverse=(2,), missing_codes=(99,),
    ...     minimum_answered=1, total="sum", licence=Licence(holder="nobody", permission_required=False),
    ...     verified=Verified(status="recall", source="example"))
    >>> score_items([[4, 2], [4, 99], [4, 7]], key).total
    array([ 8.,  8., nan])
    """
    raw = np.array(items, dtype=np.float64, ndmin=2)
    if raw.shape[1] != instrument.n_items:
        raise ValueError(f"expected {instrument.n_items} item columns, got {raw.shape[1]}")
    raw[np.isin(raw, instrument.missing_codes)] = np.nan
    in_range = (raw >= instrument.low) & (raw <= instrument.high) & (raw == np.floor(raw))
    invalid = ~in_range & ~np.isnan(raw)
    keyed = np.where(in_range, raw, np.nan)
    for number in instrument.reverse:
        keyed[:, number - 1] = instrument.low + instrument.high - keyed[:, number - 1]
    unscored = invalid.any(axis=1)
    if instrument.total == "none":
        unscored |= in_range.sum(axis=1) < instrument.minimum_answered
    subscales = {
        name: np.where(unscored, np.nan, _score(keyed[:, np.array(part.items) - 1], part.minimum_answered, instrument))
        for name, part in instrument.subscales.items()
    }
    total = np.where(unscored, np.nan, _score(keyed, instrument.minimum_answered, instrument))
    for score in subscales.values():
        total = np.where(np.isnan(score), np.nan, total)
    if instrument.total == "none":
        total = np.full(len(raw), np.nan)
    return Scores(
        total=total,
        subscales=MappingProxyType(subscales),
        answered=in_range.sum(axis=1, dtype=np.int64),
        invalid=invalid,
    )


def _score(keyed: Floats, minimum: int, instrument: Instrument) -> Floats:
    """(n,) sum of answered / number answered, times the number of items for sums; one division, so exact operands."""
    n_items = keyed.shape[1]
    answered = (~np.isnan(keyed)).sum(axis=1)
    sums = np.nansum(keyed, axis=1) * (n_items if instrument.total == "sum" else 1)
    score = np.where(answered >= minimum, sums / np.maximum(answered, 1), np.nan)
    low, high = instrument.score_range(n_items)
    assert np.all(np.isnan(score) | ((score >= low) & (score <= high)))
    return score


def score_expression(measures: ir.Table, instrument: Instrument) -> ir.FloatingValue:
    """The total of `score_items` for each row of a relation with the columns ``itm_01`` ...; null where it is NaN.

    Items whose column the relation lacks count as not answered. Adds up integers and divides once.
    """
    import ibis

    if instrument.total == "none":
        return ibis.null("float64")
    responses = _responses(measures, instrument)
    everything = tuple(range(1, instrument.n_items + 1))
    enough = [
        _answered(responses, part.items, instrument) >= part.minimum_answered for part in instrument.subscales.values()
    ]
    enough.append(_answered(responses, everything, instrument) >= instrument.minimum_answered)
    return _scored(responses, everything, enough, instrument)


def subscale_expression(measures: ir.Table, instrument: Instrument, name: str) -> ir.FloatingValue:
    """The subscale `name` of `score_items` for each row of a relation; null where it is NaN.

    Raises
    ------
    KeyError
        The instrument has no such subscale.
    """
    part = instrument.subscales[name]
    responses = _responses(measures, instrument)
    enough = [_answered(responses, part.items, instrument) >= part.minimum_answered]
    if instrument.total == "none":
        everything = tuple(range(1, instrument.n_items + 1))
        enough.append(_answered(responses, everything, instrument) >= instrument.minimum_answered)
    return _scored(responses, part.items, enough, instrument)


def _responses(measures: ir.Table, instrument: Instrument) -> dict[int, ir.IntegerValue]:
    return {
        number: measures[item].cast("int64")
        for number, item in enumerate(ITEM_COLUMNS[: instrument.n_items], start=1)
        if item in measures.columns
    }


def _scored(
    responses: Mapping[int, ir.IntegerValue],
    items: tuple[int, ...],
    enough: list[ir.BooleanValue],
    instrument: Instrument,
) -> ir.FloatingValue:
    """Sum of answered / number answered where all of `enough` hold and no response of the form is invalid."""
    import ibis

    total = ibis.literal(0, "int64")
    for number in items:
        if number in responses:
            response = responses[number]
            keyed = (instrument.low + instrument.high) - response if number in instrument.reverse else response
            total = total + ibis.ifelse(_in_range(response, instrument), keyed, 0)
    factor = len(items) if instrument.total == "sum" else 1
    answered = _answered(responses, items, instrument)
    quotient = (total * factor).cast("float64") / answered.nullif(0).cast("float64")
    valid = [_valid(response, instrument) for response in responses.values()]
    return ibis.ifelse(ibis.and_(*enough, *valid), quotient, ibis.null("float64"))


def _in_range(response: ir.IntegerValue, instrument: Instrument) -> ir.BooleanValue:
    # No missing code is in range: `Instrument` refuses such a key.
    return response.between(instrument.low, instrument.high)


def _valid(response: ir.IntegerValue, instrument: Instrument) -> ir.BooleanValue:
    """In range, a missing code, or no response."""
    valid = _in_range(response, instrument)
    if instrument.missing_codes:
        valid |= response.isin(instrument.missing_codes)
    return valid.fill_null(True)


def _answered(
    responses: Mapping[int, ir.IntegerValue], items: tuple[int, ...], instrument: Instrument
) -> ir.IntegerValue:
    import ibis

    count = ibis.literal(0, "int64")
    for number in items:
        if number in responses:
            count = count + _in_range(responses[number], instrument).fill_null(False).cast("int64")
    return count
