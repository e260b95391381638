"""Keys of rows: 64 bits each, drawn by a hash of a unit's name or of its content, never of its place in a file.

Whatever is dealt out by lot (folds, ties) is dealt by these, so that the order of rows changes nothing, and so that
rows which follow one another in a file (a pair, a visit, a month) have no place in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
KeyArray = NDArray[np.uint64]


def keys_of_names(names: ArrayLike | pd.Series, seed: int = 0) -> KeyArray:
    """Keys (n,) of units by name: equal names, equal keys, whatever type they were read as.

    Parameters
    ----------
    names
        (n,) ids, read as text.
    seed
        Of the study: another seed, other keys.

    >>> one, other = keys_of_names(["a", "b"]), keys_of_names(["b", "a"])
    >>> bool((one == other[::-1]).all()), bool((one == keys_of_names(["a", "b"], 1)).any())
    (True, False)
    """
    return rekeyed(_hashed(tuple(map(str, np.asarray(names, dtype=object)))), seed)


@lru_cache(maxsize=2)
def _hashed(names: tuple[str, ...]) -> KeyArray:
    """A hash (n,) of each name; kept, as designs made anew in imputed sets ask for the same names again."""
    digests = b"".join(blake2b(name.encode(), digest_size=8).digest() for name in names)
    hashed = np.frombuffer(digests, dtype="<u8").astype(np.uint64)
    hashed.flags.writeable = False
    return hashed


def keys_of_content(
    apart: Sequence[ArrayLike], alike: ArrayLike, *, labels: Sequence[ArrayLike] = (), seed: int = 0
) -> KeyArray:
    """Keys (n,) of rows by what they hold: rows that agree in everything have equal keys, and nothing tells them apart.

    Units (a column times 1,000), the order of the columns in `alike` and in `labels`, and the names of labels do not
    enter: a number counts by its rank, a label by the rows that bear it, a column by what it holds.

    Parameters
    ----------
    apart
        Columns (n,) of numbers, each with a part of its own: arm, outcome.
    alike
        (n, p) numbers whose order does not matter: covariates.
    labels
        Columns (n,) of codes that only tell who is alike: categories, clusters.
    seed
        Of the study: another seed, other keys.

    >>> x = np.array([[1.0, 2.0], [3.0, 1.0], [1.0, 2.0]])
    >>> found = keys_of_content([[0, 1, 0]], x)
    >>> bool(found[0] == found[2]), bool(found[0] == found[1])
    (True, False)
    >>> bool((found == keys_of_content([[0, 1, 0]], 1000 * x[:, ::-1])).all())
    True
    """
    numbers = np.asarray(alike, dtype=np.float64)
    key = np.zeros(numbers.shape[0], dtype=np.uint64)
    for column in apart:
        key = _mixed(key ^ _ranks(column))
    key = _joined(key, [_ranks(column) for column in numbers.T])
    codes = [np.unique(np.asarray(column), return_inverse=True)[1].reshape(-1) for column in labels]
    for _ in range(2 if codes else 0):  # twice: labels that differ only in what goes with other labels
        key = _joined(key, [keys_of_groups(key, code)[code] for code in codes])
    return rekeyed(key, seed)


def rekeyed(key: KeyArray, number: int) -> KeyArray:
    """Other keys (n,) from keys, one set for each number: a fresh lot for each partition.

    >>> key = keys_of_names(["a", "b"])
    >>> bool((rekeyed(key, 1) == rekeyed(key, 2)).any())
    False
    """
    return _mixed(key ^ _mixed(np.array([number % 2**64], dtype=np.uint64)))


def keys_of_groups(key: KeyArray, code: IntArray) -> KeyArray:
    """Keys of groups numbered from 0, from the keys (n,) of their rows: no group's name, no order matters."""
    total = np.zeros(int(code.max(initial=-1)) + 1, dtype=np.uint64)
    np.add.at(total, code, _mixed(key))  # modulo 2**64
    return _mixed(total)


def _ranks(column: ArrayLike) -> KeyArray:
    """Dense ranks (n,): the same in every unit."""
    return np.unique(np.asarray(column, dtype=np.float64), return_inverse=True)[1].reshape(-1).astype(np.uint64)


def _joined(key: KeyArray, columns: Sequence[KeyArray]) -> KeyArray:
    """Keys (n,) that also depend on columns (n,), each told from the others by what it holds beside the keys so far."""
    total = key.copy()
    for column in columns:
        own = _mixed(_mixed(column) ^ key)
        total += _mixed(own + _mixed(own.sum(keepdims=True)))
    return _mixed(total)


def _mixed(bits: KeyArray) -> KeyArray:
    """SplitMix64's finaliser (Steele, Lea & Flood 2014, OOPSLA): every bit of the result depends on every bit given."""
    z = bits + np.uint64(0x9E3779B97F4A7C15)  # modulo 2**64, as arrays add
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)
