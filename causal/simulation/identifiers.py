"""Opaque ids: distinct text that carries neither order nor meaning.

A row's running number goes through a keyed bijection of 40-bit numbers (odd multiplications and shifted exclusive-ors,
each invertible, as in the finaliser of SplitMix64), and the result is written in base 32 after a letter for its kind.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BITS: Final = 40
_MASK: Final = np.uint64((1 << BITS) - 1)
_DIGITS: Final = np.frombuffer(b"0123456789abcdefghjkmnpqrstvwxyz", dtype=np.uint8)
_MULTIPLIERS: Final = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))
NOBODY: Final = 1 << (BITS - 1)
"""Running numbers from here on belong to no simulated row: ids that point nowhere."""


def scatter(numbers: NDArray[np.int64], key: tuple[int, int]) -> NDArray[np.uint64]:
    """Permute the 40-bit numbers under a key, element by element.

    >>> len(np.unique(scatter(np.arange(1000), key=(7, 8))))
    1000
    """
    mixed = numbers.astype(np.uint64) & _MASK
    for round_key, multiplier in zip(key, _MULTIPLIERS, strict=True):
        mixed = ((mixed ^ (np.uint64(round_key) & _MASK)) * multiplier) & _MASK
        mixed ^= mixed >> np.uint64(BITS // 2)
    return mixed


def opaque_ids(kind: str, numbers: NDArray[np.int64], key: int) -> pa.LargeStringArray:
    """One nine-letter id per running number: the letter `kind`, then eight digits in base 32.

    >>> ids = opaque_ids("p", np.arange(3), key=7).to_pylist()
    >>> [len(i) for i in ids], {i[0] for i in ids}, len(set(ids))
    ([9, 9, 9], {'p'}, 3)
    """
    first, second = np.random.SeedSequence([key, ord(kind)]).generate_state(2, np.uint64)
    codes = scatter(numbers, (int(first), int(second)))
    letters = np.empty((len(numbers), 9), dtype=np.uint8)
    letters[:, 0] = ord(kind)
    for place in range(8):
        letters[:, 8 - place] = _DIGITS[(codes >> np.uint64(5 * place)) & np.uint64(31)]
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * 9
    return pa.LargeStringArray.from_buffers(len(numbers), pa.py_buffer(offsets), pa.py_buffer(letters))
