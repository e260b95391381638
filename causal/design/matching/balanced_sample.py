"""The programme behind cardinality matching: the largest sample of occasions that is balanced.

Occasions that are alike in everything the programme sees are counted, not told apart, which spares the search the many
samples that differ in nothing. Covariates come in standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from causal.design.matching.programme import Programme, Solution, attempt, solve
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Profile = Literal["ATT", "ATE"]

SLACK = 1e-9
"""Standard deviations by which rounding may carry a difference past its tolerance."""
MARGIN = 2e-6
"""What a rule is tightened by when the solver's own tolerance, 1e-6, let a sample past it."""
CORES = 400, 3200
"""Groups left free in the first attempts at a large programme."""
CORE_NODES = 500
"""Branches such an attempt may take."""
BYTES, BYTES_PER_PAIR = 300.0, 3500.0
"""Memory HiGHS takes per coefficient, and per admissible pair; measured, and rounded up."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Occasions alike in everything the programme sees, in order of their first rows.

    Attributes
    ----------
    of_row
        (n,) group of each row.
    size, treated
        (g,) occasions in the group and their arm.
    u
        (g, p) covariates in standard deviations, 0 at the mean to be met.
    levels
        (g, b) codes to be balanced exactly.
    person
        (g,) code of a person who has several rows, -1 for everyone else.
    """

    of_row: IntArray
    size: IntArray
    treated: BoolArray
    u: FloatArray
    levels: IntArray
    person: IntArray

    def rows(self, kept: IntArray) -> IntArray:
        """The first `kept` (g,) rows of each group, ascending."""
        order = np.argsort(self.of_row, kind="stable")
        begin = np.concatenate([[0], np.cumsum(self.size)[:-1]])
        rank = np.empty(order.size, dtype=np.int64)
        rank[order] = np.arange(order.size) - begin[self.of_row[order]]
        return np.flatnonzero(rank < kept[self.of_row]).astype(np.int64)

    def mean(self, kept: IntArray, arm: BoolArray) -> FloatArray:
        """Covariate means (p,) of an arm (g,) of the sample."""
        weight = kept * arm
        return np.asarray(weight @ self.u / weight.sum(), dtype=np.float64)


def group_rows(u: FloatArray, case: BoolArray, levels: IntArray, person: IntArray | None, *, apart: bool) -> Groups:
    """Group rows whose arm, covariates, codes and (repeated) person are all the same; with `apart` every row alone."""
    n = case.size
    repeated = np.full(n, -1, dtype=np.int64)
    if person is not None:
        _, code, times = np.unique(person, return_inverse=True, return_counts=True)
        repeated = np.where(times[code] > 1, code, -1)
    row = np.arange(n)
    first, of_row = row, row
    if not apart:
        codes = [np.unique(column, return_inverse=True)[1] for column in levels.T]
        keys = np.column_stack([u + 0.0, case, repeated, *codes])  # + 0.0: a minus zero is a zero
        _, begin, label = np.unique(keys, axis=0, return_index=True, return_inverse=True)
        rank = np.empty_like(begin)
        rank[np.argsort(begin)] = np.arange(begin.size)
        first, of_row = np.sort(begin), rank[label.ravel()]
    return Groups(
        of_row=of_row.astype(np.int64),
        size=np.bincount(of_row).astype(np.int64),
        treated=case[first],
        u=u[first],
        levels=levels[first],
        person=repeated[first].astype(np.int64),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleProblem:
    """What a balanced sample is: see `causal.design.matching.cardinality.match_cardinality`.

    Attributes
    ----------
    groups
        Occasions.
    allowed
        (p,) tolerances in standard deviations.
    profile, ratio
        Whose means are met (None: the other arm's), and comparisons per treated occasion where they are.
    pairs
        Groups of the treated and of the comparison occasion of each admissible pair, (e,) and (e,): the sample must
        fall apart into such pairs. None where any two occasions may be compared.
    """

    groups: Groups
    allowed: FloatArray
    profile: Profile | None
    ratio: int
    pairs: tuple[IntArray, IntArray] | None


class Contrast(NamedTuple):
    """A weighted sum of u, ``weight (g,) @ u``, that may be ``share * tolerance * size`` of an arm (0 comparison)."""

    weight: FloatArray
    arm: int
    share: float


def contrasts(problem: SampleProblem) -> tuple[Contrast, ...]:
    """The sums that must be near 0."""
    case = problem.groups.treated.astype(np.float64)
    match problem.profile:
        case None:
            return (Contrast(case - (1.0 - case) / problem.ratio, 1, 1.0),)
        case "ATT":
            return (Contrast(1.0 - case, 0, 1.0),)
        case "ATE":
            return Contrast(1.0 - case, 0, 0.5), Contrast(case, 1, 0.5)


def largest_sample(problem: SampleProblem, names: Sequence[str], *, gap: float, nodes: int) -> tuple[IntArray, int]:
    """How many of each group are kept (g,), and the size no balanced sample exceeds.

    The solver lets sums miss their tolerance by 1e-6. A sample that does is sought again with that rule tightened; the
    size first found stays the bound, so that whatever this costs shows in the gap.

    Raises
    ------
    DesignError
        ``design.balance_infeasible``, ``design.programme``.
    """
    sums = contrasts(problem)
    margin = np.zeros(len(sums) * problem.allowed.size)
    work = f"the largest balanced sample of {int(problem.groups.size.sum()):,} occasions"
    most = None
    while True:
        found = _search(_programme(problem, margin), problem.groups.size.size, gap=gap, nodes=nodes, work=work)
        if found is None:
            raise _infeasible(problem, names)
        most = int(np.floor(1e-6 - found.bound)) if most is None else most
        kept = found.x[: problem.groups.size.size].astype(np.int64)
        past = _past(problem, sums, kept)
        if not past.any():
            return kept, _occasions(problem, most)
        margin = np.where(past, margin + MARGIN, margin)


def _search(whole: Programme, g: int, *, gap: float, nodes: int, work: str) -> Solution | None:
    """The best solution, sought where it is quickly found before it is sought everywhere.

    Fractions of occasions are quickly chosen, and all but a few are whole in the largest sample of them. Those few, and
    some occasions spread evenly over the rest, nearly always make a whole sample as large as any can be.
    """
    parts = solve(replace(whole, integral=np.zeros_like(whole.integral)), work=work)
    if parts is None:
        return None
    bound = float(np.ceil(parts.cost - 1e-6))
    for size in CORES:
        if 2 * size < g:
            found = attempt(_core(whole, parts.x, g, size), gap=gap, nodes=CORE_NODES)
            if found is not None and found.cost - bound <= gap * -found.cost + 1e-6:
                return replace(found, bound=bound)
    return solve(whole, gap=gap, nodes=nodes, work=work)


def _core(whole: Programme, parts: FloatArray, g: int, size: int) -> Programme:
    """The programme with all but the fractions and about `size` other groups fixed as they are in `parts`."""
    near = np.round(parts)
    fixed = (np.abs(parts - near) < 1e-9) & (np.arange(parts.size) < g)
    fixed[: g : max(1, g // size)] = False
    return replace(whole, lower=np.where(fixed, near, whole.lower), upper=np.where(fixed, near, whole.upper))


def _occasions(problem: SampleProblem, aim: int) -> int:
    """Occasions in a sample whose aim is this high: treated, comparisons or both, by the profile."""
    groups = problem.groups
    match problem.profile:
        case None:
            return aim * (1 + problem.ratio)
        case "ATT":
            return aim + int(groups.size[groups.treated].sum())
        case "ATE":
            return aim


def _past(problem: SampleProblem, sums: tuple[Contrast, ...], kept: IntArray) -> BoolArray:
    """Which sums (c p,) of the sample are past their tolerance by more than rounding."""
    groups = problem.groups
    size = [kept[~groups.treated].sum(), kept[groups.treated].sum()]
    apart = [np.abs((one.weight * kept) @ groups.u) / size[one.arm] for one in sums]
    return np.concatenate([a > one.share * problem.allowed + SLACK for a, one in zip(apart, sums, strict=True)])


def _programme(problem: SampleProblem, margin: FloatArray, *, elastic: bool = False) -> Programme:
    """The programme over (kept (g,), comparisons, treated, sums (c p,), excess (c p,), pairs (e,)).

    With `elastic` tolerances may be exceeded, and the programme seeks the sample that exceeds them least.
    """
    from scipy import sparse

    groups, sums = problem.groups, contrasts(problem)
    g, m = groups.size.size, margin.size
    p = problem.allowed.size
    width = np.zeros((m, 2))
    for c, one in enumerate(sums):
        width[c * p : (c + 1) * p, one.arm] = problem.allowed * one.share
    weights, sizes = _count_rules(problem)
    person = np.unique(groups.person, return_inverse=True)[1] - int((groups.person < 0).any())
    once = _incidence(person, np.ones(g))
    same = sparse.eye_array(m, format="csr")
    blocks: list[list[Any]] = [
        [weights, sizes, None, None, None],
        [np.vstack([(one.weight[:, None] * groups.u).T for one in sums]), None, -same, None, None],
        [None, -width, same, -same, None],
        [None, width, same, same, None],
        [once, None, None, None, None],
    ]
    below = [np.zeros(len(sizes) + m), np.full(m, -np.inf), margin, np.zeros(once.shape[0])]
    above = [np.zeros(len(sizes) + m), -margin, np.full(m, np.inf), np.ones(once.shape[0])]
    e = 0
    if problem.pairs is not None:
        e = problem.pairs[0].size
        degree = [sparse.csr_array((np.ones(e), (end, np.arange(e))), shape=(g, e)) for end in problem.pairs]
        each = np.where(groups.treated, problem.ratio, 1.0)
        blocks.append([sparse.diags_array(-each), None, None, None, degree[0] + degree[1]])
        below.append(np.zeros(g))
        above.append(np.zeros(g))
    arms = [groups.size[~groups.treated].sum(), groups.size[groups.treated].sum()]
    aim = {None: (0.0, -1.0), "ATT": (-1.0, 0.0), "ATE": (-1.0, -1.0)}[problem.profile]
    fixed = groups.treated & (problem.profile == "ATT")
    free = np.full(m, np.inf)
    return Programme(
        cost=np.concatenate(
            [np.zeros(g), np.zeros(2) if elastic else aim, np.zeros(m), np.full(m, float(elastic)), np.zeros(e)]
        ),
        lower=np.concatenate([np.where(fixed, groups.size, 0), np.ones(2), -free, np.zeros(m + e)]),
        upper=np.concatenate([groups.size, arms, free, free if elastic else np.zeros(m), np.ones(e)]),
        integral=np.arange(g + 2 + 2 * m + e) < g + 2,
        matrix=_stacked(blocks, (g, 2, m, m, e)),
        row_lower=np.concatenate(below),
        row_upper=np.concatenate(above),
    )


def _stacked(blocks: list[list[Any]], widths: tuple[int, ...]) -> Any:
    """One sparse matrix of the blocks; rows of blocks without rows, and columns without width, are left out."""
    from scipy import sparse

    columns = [c for c, width in enumerate(widths) if width]
    rows = [[None if row[c] is None else sparse.csr_array(row[c], dtype=np.float64) for c in columns] for row in blocks]
    full = [row for row in rows if any(block is not None and block.shape[0] for block in row)]
    return sparse.block_array(full, format="csc")


def _count_rules(problem: SampleProblem) -> tuple[Any, FloatArray]:
    """Rules about counts, all ``weights @ kept + sizes @ (comparisons, treated) = 0``: sparse (r, g), and (r, 2)."""
    from scipy import sparse

    groups, ratio = problem.groups, problem.ratio
    case = groups.treated.astype(np.float64)
    weights, sizes = [np.array([1.0 - case, case])], [-np.eye(2)]  # what the two sizes are
    if problem.profile is None:
        weights.append(np.zeros((1, case.size)))
        sizes.append(np.array([[1.0, -ratio]]))
    for column in groups.levels.T:
        level, treated = _levels(column, groups)
        all_treated = treated.sum()
        weights.append(_incidence(level, all_treated * (1.0 - case) if problem.profile else 1.0 - case - ratio * case))
        sizes.append(np.column_stack([-treated if problem.profile else 0.0 * treated, 0.0 * treated]))
    return sparse.vstack([sparse.csr_array(block) for block in weights]), np.vstack(sizes)


def _levels(column: IntArray, groups: Groups) -> tuple[IntArray, FloatArray]:
    """Each group's level as 0, 1, ..., and the treated at each level: counts, which are exact where shares are not."""
    values, level = np.unique(column, return_inverse=True)
    treated = np.bincount(level, weights=groups.size * groups.treated, minlength=values.size)
    return level.astype(np.int64), np.asarray(treated, dtype=np.float64)


def _incidence(row: IntArray, weight: FloatArray) -> Any:
    """Sparse matrix with each weight in its own column, in the row given; negative rows for nowhere."""
    from scipy import sparse

    at = np.flatnonzero(row >= 0)
    return sparse.csr_array((weight[at], (row[at], at)), shape=(int(row.max(initial=-1)) + 1, row.size))


def _infeasible(problem: SampleProblem, names: Sequence[str]) -> DesignError:
    """The refusal, with the covariates that bind.

    Asked of fractions of occasions, which is quickly answered: those that stay past their tolerance in the sample that
    exceeds the tolerances least; where fractions can be balanced, those whose tolerance limits the largest sample.
    """
    p = problem.allowed.size
    g, m = problem.groups.size.size, len(contrasts(problem)) * p
    best = []
    for elastic in (True, False):
        whole = _programme(problem, np.zeros(m), elastic=elastic)
        found = solve(replace(whole, integral=np.zeros_like(whole.integral)), work="the search for what binds")
        if found is not None:
            best.append(found.x[g : g + 2 + 2 * m])
    if not best:
        return DesignError(
            "design.balance_infeasible",
            "no sample has the nominal columns and exact strata distributed alike in both arms, each person kept once, "
            "and every pair admissible",
            fix="balance fewer nominal columns exactly, merge levels, or relax the rules on pairs",
        )
    excess = best[0][2 + m :]
    sums, sizes = best[-1][2 : 2 + m], best[-1][:2]
    limit = np.concatenate([one.share * problem.allowed * sizes[one.arm] for one in contrasts(problem)])
    at = excess > MARGIN / 2 if len(best) == 1 else np.abs(sums) > limit - MARGIN / 2
    binding = ", ".join(f"'{names[int(c)]}'" for c in np.flatnonzero(at.reshape(-1, p).any(axis=0)))
    who = "no sample is" if len(best) == 1 else "samples of fractions of occasions are, but no sample of whole ones is,"
    return DesignError(
        "design.balance_infeasible",
        f"{who} balanced within the tolerances; binding: {binding or 'exact counts'}",
        fix="widen their tolerances, or drop occasions outside the common support first",
    )
