"""Scores, calipers and penalties in whole steps of a decimal grid: distances and their sums are then exact.

`0.7 - 0.4` is not `0.3` in binary; seven tenths less four tenths are three tenths. Every method matches on whole
numbers, so that a pair exactly a caliper apart is within it, equal distances are equal, and ties go to the key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.pairing import Pairing
from causal.numeric.grid import decimal_exponent, exponent_for, settled, whole

FloatArray = NDArray[np.float64]

DISTANCE_DIGITS = 8
"""Digits of a Euclidean distance as long as a typical coordinate: far above rounding noise, far below any meaning."""
PLACE = -4
"""Coordinates are told to a ten-thousandth of a step, so that no noise decides where equal ones lie in a tree."""
HAIR = 1e-12
"""Part of itself by which a limit may have been rounded."""


class Counted(NamedTuple):
    """What a method matches on.

    Attributes
    ----------
    coordinates
        (n, q) in steps: whole numbers where q is 1; otherwise distances are rounded to whole steps as they are taken,
        since those that are equal by arithmetic differ by noise.
    caliper
        Largest distance in steps, never a whole number, so that no rounding decides; infinite for none.
    pairing
        The rules, each variable in steps of its own, penalties in those of the distance.
    """

    coordinates: FloatArray
    caliper: float
    pairing: Pairing


def in_steps(coordinates: FloatArray, caliper: float | None, pairing: Pairing) -> Counted:
    """Coordinates (n, q), caliper and rules in whole steps. All are finite but the caliper, which may be infinite.

    >>> counted = in_steps(np.array([[0.7], [0.4]]), 0.3, Pairing())
    >>> counted.coordinates.ravel().tolist(), counted.caliper
    ([7.0, 4.0], 3.5)
    """
    penalty = None if pairing.penalty is None else pairing.penalty[np.isfinite(pairing.penalty)]
    if coordinates.shape[1] == 1:
        exponent, slack = _decimals(coordinates[:, 0], penalty)
        z = whole(coordinates, exponent)
    else:
        # Where nobody differs in anything the penalties are all there is to tell.
        scale = coordinates if penalty is None or coordinates.any() else penalty
        exponent, slack = exponent_for(scale, DISTANCE_DIGITS), 0.5
        z = settled(_parts(coordinates, exponent), PLACE)
    return Counted(
        coordinates=np.ascontiguousarray(z),
        caliper=np.inf if caliper is None else _within(float(caliper), exponent, slack),
        pairing=_rules(pairing, exponent),
    )


def _decimals(values: FloatArray, others: FloatArray | None = None) -> tuple[int, float]:
    """Exponent of the step of values that are to be subtracted, and by how many steps a difference may be off."""
    exponent, exact = decimal_exponent(np.asarray(values, dtype=np.float64), others)
    return exponent, 0.0 if exact else 1.0


def _rules(pairing: Pairing, exponent: int) -> Pairing:
    """The rules in steps; penalties in steps of ``10**exponent``."""
    if pairing.penalty is not None:
        pairing = replace(pairing, penalty=whole(pairing.penalty, exponent))
    if pairing.calipers is not None and pairing.widths is not None and pairing.widths.size:
        counted = [_caliper(x, float(width)) for x, width in zip(pairing.calipers.T, pairing.widths, strict=True)]
        columns, widths = zip(*counted, strict=True)
        pairing = replace(pairing, calipers=np.column_stack(columns), widths=np.array(widths))
    if pairing.time is not None:
        risk = np.zeros(0) if pairing.at_risk is None else pairing.at_risk.ravel()
        own, slack = _decimals(pairing.time, risk[np.isfinite(risk)])
        pairing = replace(
            pairing,
            time=whole(pairing.time, own),
            window=None if pairing.window is None else _within(pairing.window, own, slack),
            at_risk=None if pairing.at_risk is None else whole(pairing.at_risk, own),
        )
    return pairing


def _caliper(values: FloatArray, width: float) -> tuple[FloatArray, float]:
    """A caliper's variable (n,) and width in steps."""
    exponent, slack = _decimals(values)
    limit = _within(width, exponent, slack) if width > 0 else -_beyond(-width, exponent, slack)
    return whole(values, exponent), limit


def _within(width: float, exponent: int, slack: float) -> float:
    """Half a step above the largest whole number of steps within the width."""
    steps = min(float(_parts(width, exponent)), 1e300)
    return float(np.floor(steps * (1 + HAIR) + slack)) + 0.5


def _beyond(width: float, exponent: int, slack: float) -> float:
    """Half a step below the smallest whole number of steps, 1 or more, that the width does not forbid."""
    steps = min(float(_parts(width, exponent)), 1e300)
    return max(float(np.ceil(steps * (1 - HAIR) - slack)), 1.0) - 0.5


def _parts(values: FloatArray | float, exponent: int) -> FloatArray:
    """Values in steps, not rounded."""
    with np.errstate(over="ignore"):
        return np.asarray(values * 10.0**-exponent if exponent < 0 else values / 10.0**exponent, dtype=np.float64)
