"""Item responses: a graded-response model from the latent score to ordered answers.

An item's underlying value is the latent score (shifted by the item's difficulty) + a factor shared with the items of
its kind + its own noise; the answer counts the thresholds it exceeds (Samejima 1969, normal ogive). Standardised, the
WAI-SR loadings are about .67 on the alliance and .34 on the kind, which gives an alpha of .90-.93, as published; the
loadings of .75 and .45 that one might start from give .95.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from causal.simulation.draws import PHQ9_ITEMS, Normals

Items = NDArray[np.int8]

BOND: Final = (3, 5, 7, 9)
"""Item numbers of the WAI-SR bond subscale; the other eight are goal and task."""
_KIND: Final = np.array([0 if item in BOND else 1 for item in range(1, 13)])
_KIND_SD: Final = np.float32(0.36)
_LASTING: Final = np.float32(np.sqrt(0.5))
_NOISE_SD: Final = np.float32(0.68)
_THRESHOLDS: Final = (1.5, 2.5, 3.5, 4.45)
_DIFFICULTY: Final = np.array([-0.10, 0.05, 0.12, -0.05, 0.10, 0.0, 0.15, -0.12, 0.18, -0.08, -0.15, -0.10], np.float32)

_PHQ9_NOISE_SD: Final = np.float32(0.75)
_PHQ9_DIFFICULTY: Final = np.array([0.1, 0.2, 0.3, 0.4, 0.0, 0.1, 0.0, -0.4, -0.7], np.float32)


def wai_answers(alliance: NDArray[np.float64], lasting: Normals, passing: Normals, noise: Normals) -> Items:
    """Answer the 12 items (1-5) from a latent alliance.

    Parameters
    ----------
    alliance
        (rows,) latent alliance in points.
    lasting, passing
        (rows, 2) standard normal deviations of bond and of goal-and-task: the person's own, and the occasion's.
    noise
        (rows, 12) standard normal.

    Returns
    -------
    (rows, 12) integers from 1 to 5.
    """
    kind = _KIND_SD * _LASTING * (lasting + passing)
    underlying = alliance.astype(np.float32)[:, None] + _DIFFICULTY + kind[:, _KIND] + _NOISE_SD * noise
    answers = np.ones(underlying.shape, dtype=np.int8)
    for threshold in _THRESHOLDS:
        answers += underlying > np.float32(threshold)
    return answers


def phq9_answers(depression: NDArray[np.float64], noise: Normals) -> Items:
    """Answer the nine items (0-3), shape (rows, 9), from a latent total (rows,) and standard normals (rows, 9)."""
    mean = (depression / PHQ9_ITEMS).astype(np.float32)
    underlying = mean[:, None] + _PHQ9_DIFFICULTY + _PHQ9_NOISE_SD * noise
    answers = np.zeros(underlying.shape, dtype=np.int8)
    for threshold in (0.5, 1.5, 2.5):
        answers += underlying > np.float32(threshold)
    return answers


def item_mean(answers: Items) -> NDArray[np.float64]:
    """Mean over the last axis."""
    mean: NDArray[np.float64] = answers.sum(axis=-1, dtype=np.int64) / answers.shape[-1]
    return mean
