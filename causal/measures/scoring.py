"""From item responses to scores, by an instrument's key.

The order of operations matters and is the same everywhere: missing codes become "no answer", responses outside the
range are marked invalid, reversed items become ``low + high - x``, the item-count rule decides whether there is a
score, and the score is the mean of the answered items (times the number of items where the total is a sum).
Reversing before mapping a missing code such as 99 is a classic silent error.

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
RELIABLE_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of n questionnaires.

    Attributes
    ----------
    total
        (n,) in the instrument's scale; NaN where the item-count rule, a subscale's rule or an invalid response
        leaves no score.
    subscales
        By name: (n,) in the same scale; NaN likewise.
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
    spoiled = invalid.any(axis=1)
    subscales = {
        name: np.where(
            spoiled, np.nan, _mean_of_answered(keyed[:, np.array(part.items) - 1], part.minimum_answered, instrument)
        )
        for name, part in instrument.subscales.items()
    }
    total = np.where(spoiled, np.nan, _mean_of_answered(keyed, instrument.minimum_answered, instrument))
    for score in subscales.values():
        total = np.where(np.isnan(score), np.nan, total)
    return Scores(
        total=total,
        subscales=MappingProxyType(subscales),
        answered=in_range.sum(axis=1, dtype=np.int64),
        invalid=invalid,
    )


def _mean_of_answered(keyed: Floats, minimum: int, instrument: Instrument) -> Floats:
    """(n,) sum of answered / number answered, times the number of items for sums; one division, so exact operands."""
    answered = (~np.isnan(keyed)).sum(axis=1)
    sums = np.nansum(keyed, axis=1) * (keyed.shape[1] if instrument.total == "sum" else 1)
    return np.where(answered >= minimum, sums / np.maximum(answered, 1), np.nan)


def score_expression(measures: ir.Table, instrument: Instrument) -> ir.FloatingValue:
    """The total of `score_items` for each row of a relation with the columns ``itm_01`` ...; null where it is NaN.

    Items whose column the relation lacks count as not answered. Adds up integers and divides once.
    """
    import ibis

    responses = {
        number: measures[ITEM_COLUMNS[number - 1]].cast("int64")
        for number in range(1, instrument.n_items + 1)
        if ITEM_COLUMNS[number - 1] in measures.columns
    }
    answers = {number: _answer(response, number, instrument) for number, response in responses.items()}
    invalid = [
        (response.notnull() & ~_is_missing(response, instrument) & ~response.between(instrument.low, instrument.high))
        for response in responses.values()
    ]
    everything = tuple(range(1, instrument.n_items + 1))
    scored = [(_count(answers, everything) >= instrument.minimum_answered)]
    scored += [_count(answers, part.items) >= part.minimum_answered for part in instrument.subscales.values()]
    scored += [~condition for condition in invalid]
    factor = instrument.n_items if instrument.total == "sum" else 1
    total = ibis.literal(0, "int64")
    for answer in answers.values():
        total = total + answer.fill_null(0)
    quotient = (total * factor).cast("float64") / _count(answers, everything).nullif(0).cast("float64")
    return ibis.ifelse(ibis.and_(*scored), quotient, ibis.null("float64"))


def _is_missing(response: ir.IntegerValue, instrument: Instrument) -> ir.BooleanValue:
    import ibis

    return response.isin(instrument.missing_codes) if instrument.missing_codes else ibis.literal(False)


def _answer(response: ir.IntegerValue, number: int, instrument: Instrument) -> ir.IntegerValue:
    """The keyed answer; null where there is none."""
    import ibis

    valid = response.between(instrument.low, instrument.high) & ~_is_missing(response, instrument)
    keyed = (instrument.low + instrument.high) - response if number in instrument.reverse else response
    return ibis.ifelse(valid, keyed, ibis.null("int64"))


def _count(answers: Mapping[int, ir.IntegerValue], items: tuple[int, ...]) -> ir.IntegerValue:
    import ibis

    count = ibis.literal(0, "int64")
    for number in items:
        if number in answers:
            count = count + answers[number].notnull().cast("int64")
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliableChange:
    """Change of n people against measurement error.

    Attributes
    ----------
    sem, sdiff
        Standard error of one measurement and of a difference of two, in score points.
    threshold
        Smallest reliable change, 1.96 sdiff, in score points.
    index
        (n,) change / sdiff; NaN where a score is missing.
    reliable
        (n,) whether |index| > 1.96; False where it is NaN.
    """

    sem: float
    sdiff: float
    threshold: float
    index: Floats
    reliable: NDArray[np.bool_]


def reliable_change(before: ArrayLike, after: ArrayLike, *, sd: float, reliability: float) -> ReliableChange:
    """Reliable change index (Jacobson & Truax 1991): SEM = SD sqrt(1 - r), Sdiff = sqrt(2) SEM.

    Parameters
    ----------
    before, after
        (n,) scores.
    sd, reliability
        Of the reference sample; say whether the reliability is test-retest or alpha (alpha overstates precision).

    Raises
    ------
    ValueError
        `sd` is not positive or `reliability` is outside [0, 1).

    >>> change = reliable_change([3.0, 3.0], [3.7, 3.4], sd=0.75, reliability=0.92)
    >>> round(change.threshold, 3), change.reliable.tolist()
    (0.588, [True, False])
    """
    if not sd > 0 or not 0 <= reliability < 1:
        raise ValueError("expected sd > 0 and 0 <= reliability < 1")
    sem = sd * np.sqrt(1 - reliability)
    sdiff = np.sqrt(2) * sem
    index = (np.asarray(after, dtype=np.float64) - np.asarray(before, dtype=np.float64)) / sdiff
    return ReliableChange(
        sem=float(sem),
        sdiff=float(sdiff),
        threshold=float(RELIABLE_Z * sdiff),
        index=index,
        reliable=np.abs(index) > RELIABLE_Z,
    )
