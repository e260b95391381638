"""One answer from several lots of folds: the median, with an error that counts how far the lots lie apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from causal.effect.contrast import Contrast, student
from causal.numeric.grid import figures
from causal.numeric.keys import KeyArray, rekeyed


def keys_of_lots(key: KeyArray, lots: int) -> tuple[KeyArray, ...]:
    """Keys (n,) for each of several lots of folds: the rows' own for the first, others made of them for each further.

    >>> own = np.array([3, 5], dtype=np.uint64)
    >>> first, second = keys_of_lots(own, 2)
    >>> bool((first == own).all()), bool((second == own).any())
    (True, False)
    """
    return tuple(rekeyed(key, lot) if lot else key for lot in range(lots))


def median_at(found: Sequence[Contrast]) -> int:
    """Which of an odd number of answers is the median; of those that are equal as figures the first."""
    values = [figures(one.value) for one in found]
    return values.index(sorted(values)[len(values) // 2])


def median_of_lots(found: Sequence[Contrast]) -> Contrast:
    """The median of an odd number of answers to one question, each from its own lot of folds.

    Its variance is the median over lots of ``se_r^2 + (value_r - median)^2``, its degrees of freedom the fewest of any.
    Which rows happened to share a fold is then no part of the answer, and what they would have changed is part of its
    error. Chernozhukov et al. (2018), Econom J 21:C1-C68, section 3.4, on the scale of the standard error.

    >>> lots = [student("difference", value, error, 9) for value, error in ((1.0, 0.3), (4.0, 0.5), (2.0, 0.4))]
    >>> middle = median_of_lots(lots)  # variances .09 + 1, .25 + 4, .16 + 0
    >>> middle.value, round(middle.std_error**2, 12), middle.df
    (2.0, 1.09, 9)
    >>> median_of_lots(lots[:1]) is lots[0]
    True
    """
    middle = found[median_at(found)]
    if len(found) == 1:
        return middle
    variance = float(np.median([one.std_error**2 + (one.value - middle.value) ** 2 for one in found]))
    return student(middle.label, middle.value, variance**0.5, min(one.df for one in found), level=middle.level)
