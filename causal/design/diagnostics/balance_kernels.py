"""The loops behind the balance table: means, spreads and distribution functions of one covariate at a time.

Each pass reads a column in row order, so a figure depends on the values and their order only, never on threads.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.compiled import compiled

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Bits = NDArray[np.uint64]

SIGN = np.uint64(1 << 63)
WORD = np.uint64(32)
LOW_WORD = np.uint64((1 << 32) - 1)
DIGIT = np.uint64(11)
LOW_DIGIT = np.uint64((1 << 11) - 1)
SHORT = 32


class Moments(NamedTuple):
    """One covariate in both arms under one weighting.

    Means are ``origin + offset``: differences are taken between offsets, so a large common value costs no digits.
    Spreads are mean squared deviations from the arm's mean, before any correction for degrees of freedom.
    """

    origin: float
    offset_treated: float
    offset_comparison: float
    spread_treated: float
    spread_comparison: float
    two_valued: bool


def moments(x: FloatArray, treated: BoolArray, share: FloatArray) -> tuple[float, float, float, float, float, bool]:
    """Fields of `Moments` for values (n,) and each row's share of its arm's weight (n,).

    The spread of an arm whose weighted rows are all alike is 0 to the last digit.
    """
    origin = low = high = x[0]
    low_one = low_zero = np.inf
    high_one = high_zero = -np.inf
    one = zero = 0.0
    for i in range(x.size):
        value = x[i]
        low, high = min(low, value), max(high, value)
        if share[i] == 0:
            continue
        if treated[i]:
            one += share[i] * (value - origin)
            low_one, high_one = min(low_one, value), max(high_one, value)
        else:
            zero += share[i] * (value - origin)
            low_zero, high_zero = min(low_zero, value), max(high_zero, value)
    two_valued = True
    spread_one = spread_zero = 0.0
    for i in range(x.size):
        value = x[i]
        two_valued &= value in (low, high)
        if treated[i]:
            spread_one += share[i] * (value - origin - one) ** 2
        else:
            spread_zero += share[i] * (value - origin - zero) ** 2
    spread_one = spread_one if low_one < high_one else 0.0
    spread_zero = spread_zero if low_zero < high_zero else 0.0
    return origin, one, zero, spread_one, spread_zero, two_valued


def rank_of(bits: np.uint64) -> np.uint64:
    """A float's bits as a whole number that orders as the float does."""
    return ~bits if bits >> np.uint64(63) else bits | SIGN


def ascending(x: FloatArray, bits: Bits, pairs: Bits, spare: Bits) -> Bits:
    """Rows in ascending order of x, in the lower 32 bits of the result (n,), which is `pairs` or `spare`.

    Three passes of 11 bits sort by the leading 32 bits of the range of `bits`, x seen as whole numbers; rows that agree
    in these are then put in order among themselves.
    """
    n = x.size
    low = high = rank_of(bits[0])
    for i in range(n):
        rank = rank_of(bits[i])
        low, high = min(low, rank), max(high, rank)
    shift = np.uint64(0)
    while (high - low) >> shift > LOW_WORD:
        shift += np.uint64(1)
    start = np.zeros((3, 2048), dtype=np.int64)
    for i in range(n):
        prefix = (rank_of(bits[i]) - low) >> shift
        pairs[i] = prefix << WORD | np.uint64(i)
        for digit in range(3):
            start[digit, (prefix >> (DIGIT * np.uint64(digit))) & LOW_DIGIT] += 1
    for digit in range(3):
        place = WORD + DIGIT * np.uint64(digit)
        total = 0
        for j in range(2048):
            count = start[digit, j]
            start[digit, j] = total
            total += count
        for i in range(n):
            j = (pairs[i] >> place) & LOW_DIGIT
            spare[start[digit, j]] = pairs[i]
            start[digit, j] += 1
        pairs, spare = spare, pairs
    if shift > np.uint64(0):
        order_within_prefixes(x, pairs)
    return pairs


def order_within_prefixes(x: FloatArray, pairs: Bits) -> None:
    """Put rows whose leading bits agree in order of x, in place."""
    begin = 0
    while begin < pairs.size:
        end = begin + 1
        alike = True
        while end < pairs.size and pairs[end] >> WORD == pairs[begin] >> WORD:
            alike &= x[pairs[end] & LOW_WORD] == x[pairs[begin] & LOW_WORD]
            end += 1
        if not alike and end - begin <= SHORT:
            for i in range(begin + 1, end):
                row, j = pairs[i], i
                while j > begin and x[pairs[j - 1] & LOW_WORD] > x[row & LOW_WORD]:
                    pairs[j] = pairs[j - 1]
                    j -= 1
                pairs[j] = row
        elif not alike:
            run = pairs[begin:end].copy()
            values = np.empty(run.size)
            for i in range(run.size):
                values[i] = x[run[i] & LOW_WORD]
            order = np.argsort(values, kind="mergesort")
            for i in range(run.size):
                pairs[begin + i] = run[order[i]]
        begin = end


def gaps(
    x: FloatArray, bits: Bits, treated: BoolArray, share: FloatArray, pairs: Bits, spare: Bits
) -> tuple[float, float, float, float]:
    """Distances between the arms' distribution functions: largest and mean before weighting, then after.

    ``bits`` is x seen as unsigned whole numbers, ``share`` (n,) each row's share of its arm's weight, ``pairs`` and
    ``spare`` (n,) are overwritten. Means are over the distinct values of x.
    """
    rows = ascending(x, bits, pairs, spare)
    n_treated = treated.sum()
    n_comparison = x.size - n_treated
    seen_treated = seen_comparison = distinct = 0
    difference = 0.0
    largest, total, largest_weighted, total_weighted = 0.0, 0.0, 0.0, 0.0
    for i in range(x.size):
        row = rows[i] & LOW_WORD
        if treated[row]:
            seen_treated += 1
            difference += share[row]
        else:
            seen_comparison += 1
            difference -= share[row]
        if i + 1 == x.size or x[rows[i + 1] & LOW_WORD] != x[row]:
            distinct += 1
            gap = abs(seen_treated / n_treated - seen_comparison / n_comparison)
            largest, total = max(largest, gap), total + gap
            gap = min(abs(difference), 1.0)
            largest_weighted, total_weighted = max(largest_weighted, gap), total_weighted + gap
    return largest, total / distinct, largest_weighted, total_weighted / distinct


@cache
def compiled_moments() -> Callable[..., Any]:
    """`moments`, compiled."""
    return compiled(moments)


@cache
def compiled_gaps() -> Callable[..., Any]:
    """`gaps`, compiled."""
    return compiled(gaps, ascending, order_within_prefixes, rank_of)
