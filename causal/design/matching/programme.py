"""Integer programmes: minimise a linear cost over whole numbers under linear rules, by HiGHS.

HiGHS runs on one thread with a fixed seed: the same programme always has the same solution. Where several solutions
cost the same the one returned depends on the order of the variables and rules, so callers give them in canonical order.
Presolve stays off: in the HiGHS of scipy 1.15 it can call a worse solution the best, or a soluble programme insoluble
(tests/causal/design/matching/test_cardinality.py holds a programme of nine occasions for which it does).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from causal.errors import DesignError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

NODES = 100_000
"""Branches HiGHS may search. A count, not a time: the answer must not depend on how busy the machine is."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Programme:
    """Minimise ``cost @ x`` with ``lower <= x <= upper`` and ``row_lower <= matrix @ x <= row_upper``.

    Attributes
    ----------
    cost, lower, upper
        (v,) one value per variable.
    integral
        (v,) whether the variable must be a whole number.
    matrix, row_lower, row_upper
        (r, v) sparse, (r,) and (r,).
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    integral: BoolArray
    matrix: Any
    row_lower: FloatArray
    row_upper: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """`x` (v,), whole where it must be; its `cost`; and `bound`, below which no solution's cost can lie."""

    x: FloatArray
    cost: float
    bound: float


def solve(programme: Programme, *, gap: float = 0.0, nodes: int = NODES, work: str) -> Solution | None:
    """The best solution of a programme, or None where there is none.

    Parameters
    ----------
    gap
        How far from the best a solution may be, as a share of its own cost. 0 for the best itself; HiGHS then stops
        at a difference of 1e-6 in absolute terms, so costs should be scaled to make that small.
    nodes
        Branches to search before giving up.
    work
        What is being solved, in words, for the refusal.

    Raises
    ------
    DesignError
        ``design.programme`` when the search ends without a proven solution.

    >>> from scipy import sparse
    >>> two = np.ones(2)  # the most of two things of weight 2 and 3 that weigh 5.5 at most
    >>> knapsack = Programme(cost=-two, lower=0 * two, upper=9 * two, integral=two > 0,
    ...                      matrix=sparse.csc_array([[2.0, 3.0]]), row_lower=np.zeros(1), row_upper=np.array([5.5]))
    >>> solve(knapsack, work="the knapsack").x.tolist()
    [2.0, 0.0]
    """
    result = _run(programme, gap, nodes)
    if result.status == 2:
        return None
    if result.status != 0:
        raise DesignError(
            "design.programme",
            f"{work} was not solved within {nodes:,} branches: {result.message}",
            fix="ask for less (fewer covariates or levels, a wider tolerance, a narrower caliper) or allow a gap",
        )
    return _solution(programme, result)


def attempt(programme: Programme, *, gap: float = 0.0, nodes: int) -> Solution | None:
    """As `solve`, where it does not matter whether there is no solution or none was proven within `nodes` branches."""
    result = _run(programme, gap, nodes)
    return _solution(programme, result) if result.status == 0 else None


def _run(programme: Programme, gap: float, nodes: int) -> Any:
    from scipy.optimize import Bounds, LinearConstraint, milp

    return milp(
        programme.cost,
        integrality=programme.integral.astype(np.uint8),
        bounds=Bounds(programme.lower, programme.upper),
        constraints=LinearConstraint(programme.matrix, programme.row_lower, programme.row_upper),
        options={"mip_rel_gap": gap, "node_limit": nodes, "presolve": False},
    )


def _solution(programme: Programme, result: Any) -> Solution:
    x = np.where(programme.integral, np.round(result.x), result.x)
    bound = result.mip_dual_bound if programme.integral.any() else result.fun
    return Solution(x=x, cost=float(programme.cost @ x), bound=float(bound))
