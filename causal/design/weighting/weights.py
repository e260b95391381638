"""Weights of a design, with what inference needs to know about how they were estimated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
WeightEstimand = Literal["ATT", "ATC", "ATE", "ATO", "ATM"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Nuisance:
    """The estimating equations ``sum_i psi_i(theta) = 0`` behind estimated weights, at their solution.

    Attributes
    ----------
    psi
        (n, q) each occasion's estimating functions.
    jacobian
        (q, q) derivative of ``sum_i psi_i`` with respect to theta.
    gradient
        (n, q) derivative of each occasion's weight with respect to theta.

    Notes
    -----
    A weighted estimator with influence ``phi_i`` and derivative ``D`` with respect to theta has, with theta estimated,
    the influence ``phi_i - D jacobian^-1 psi_i`` (Stefanski & Boos 2002, Am Stat 56:29-38).
    """

    psi: FloatArray
    jacobian: FloatArray
    gradient: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Weights:
    """Weights of n occasions.

    Attributes
    ----------
    weight
        (n,) 0 or more; 0 for occasions set aside.
    estimand
        Whose effect the weighted contrast estimates, after all that was done: ``ATT``, or ``ATT, trimmed`` when
        occasions were set aside or weights truncated (`estimand_note` says how).
    estimand_note
        What stabilising, trimming or truncation changed, in words; empty where nothing was.
    method
        How the weights were made, in words.
    nuisance
        For standard errors that account for the weights being estimated; None where they do not exist (boosting).
    """

    weight: FloatArray
    estimand: str
    estimand_note: str
    method: str
    nuisance: Nuisance | None


def effective_sample_size(weights: FloatArray) -> float:
    """Kish's ``(sum w)^2 / sum w^2`` of one arm's weights: as many equally weighted occasions tell as much.

    >>> effective_sample_size(np.array([1.0, 1.0, 0.0]))
    2.0
    """
    w = np.asarray(weights, dtype=np.float64)
    if not (w**2).sum() > 0:
        raise DesignError("design.empty_arm", "no occasion has weight: there is no effective sample size")
    return float(w.sum() ** 2 / (w**2).sum())
