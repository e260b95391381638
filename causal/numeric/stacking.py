"""Weights of an average of models, chosen by what each says of rows it never saw."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from causal.numeric.grid import figures

FloatArray = NDArray[np.float64]
STEPS = 10


def average_weights(predicted: FloatArray, loss: Callable[[FloatArray], float]) -> FloatArray:
    """Weights (m,), tenths that add up to 1, of the average of m models with the least loss.

    Parameters
    ----------
    predicted
        (n, m) what each model predicts of rows it never saw.
    loss
        Of predictions (n,): smaller is better.

    Notes
    -----
    A convex super learner (van der Laan, Polley & Hubbard 2007, Stat Appl Genet Mol Biol 6:25), sought on a grid: no
    optimiser's last digits decide, and of equals the one with more of the first models is taken.

    >>> truth = np.array([0.0, 1.0, 2.0])
    >>> models = np.column_stack([truth + 1, truth - 1, truth + 9])
    >>> average_weights(models, lambda said: float(((truth - said) ** 2).mean())).tolist()
    [0.5, 0.5, 0.0]
    """
    m = predicted.shape[1]
    grid = [tenths for tenths in product(range(STEPS, -1, -1), repeat=m) if sum(tenths) == STEPS]
    losses = [figures(loss(predicted @ (np.array(tenths) / STEPS))) for tenths in grid]
    return np.array(grid[int(np.argmin(losses))]) / STEPS
