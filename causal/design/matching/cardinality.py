"""Cardinality and profile matching: the largest sample whose covariate means agree within stated tolerances.

Other methods match first and hope for balance; this one states the balance and asks for the most occasions that have
it. Which occasion is compared with which is settled afterwards, inside the sample, where it can no longer disturb it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from causal.design.diagnostics.balance import fixed_sd
from causal.design.matching.balanced_sample import (
    BYTES,
    BYTES_PER_PAIR,
    Profile,
    SampleProblem,
    group_rows,
    largest_sample,
)
from causal.design.matching.candidates import candidate_edges, refuse_distances
from causal.design.matching.pairing import Pairing, nothing_matched, refuse_arms
from causal.design.matching.programme import NODES
from causal.design.matching.sets import MatchedSets, on_rows, sets_from_labels
from causal.design.matching.steps import in_steps
from causal.design.memory import MEMORY, require_memory
from causal.errors import DesignError
from causal.numeric.grid import SCORE, settled

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

EXACT_UP_TO = 2000
"""Occasions up to which the largest sample is sought by default; beyond, one within a thousandth of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CardinalityMatch:
    """The largest balanced sample.

    Attributes
    ----------
    sets
        Pairs (1:k sets) where a distance was given to pair on, else one set per exact stratum.
    n_treated, n_comparison
        Occasions kept.
    largest
        No balanced sample can have more occasions than this.
    gap
        ``largest / (n_treated + n_comparison) - 1``: 0 when the sample is proven to be the largest.
    difference, tolerance
        (p,) treated minus comparison mean in the sample, and the largest allowed, in standard deviations taken before
        adjustment.
    """

    sets: MatchedSets
    n_treated: int
    n_comparison: int
    largest: int
    gap: float
    difference: FloatArray
    tolerance: FloatArray


def match_cardinality(
    covariates: FloatArray,
    treated: BoolArray,
    *,
    names: Sequence[str],
    tolerance: float | FloatArray = 0.05,
    nominal: IntArray | None = None,
    profile: Profile | None = None,
    ratio: int = 1,
    pairing: Pairing | None = None,
    pair_on: FloatArray | None = None,
    gap: float | None = None,
    nodes: int = NODES,
    memory: float = MEMORY,
) -> CardinalityMatch:
    """Keep as many occasions as possible subject to balance.

    With z 1 for an occasion kept and u a covariate in standard deviations, maximise the number kept subject to

    - no profile: ``sum_C z = ratio * sum_T z`` and ``abs(mean_T(u) - mean_C(u)) <= tolerance``. The treated kept need
      not stand for all treated: the estimand is the effect among those kept.
    - profile ``ATT``: every treated occasion is kept, and the comparisons' means lie within the tolerance of theirs.
    - profile ``ATE``: both arms' means lie within half the tolerance of everyone's.

    Parameters
    ----------
    covariates, treated
        (n, p) finite values and (n,) arm. Standard deviations are those of `fixed_sd`: of the treated, or pooled for
        the profile ``ATE``.
    names
        p names, for refusals.
    tolerance
        In standard deviations, one for all or (p,), 0 or more.
    nominal
        (n, b) codes every column of which must have exactly the same distribution in both arms (fine balance). Not
        with the profile ``ATE``.
    ratio
        Comparisons kept per treated occasion; 1 with a profile, where sizes are free.
    pairing
        `exact` is balanced exactly, stratum by stratum, and never crossed by a set; of a person with several rows at
        most one is kept. The other rules are about pairs and need `pair_on`: the sample is then the largest that falls
        apart into admissible sets, which takes a variable per admissible pair.
    pair_on
        (n,) or (n, q) coordinates to pair the sample on by optimal matching; None leaves it in strata. Not with a
        profile.
    gap
        Share by which the largest sample may exceed the one returned; None for 0 up to 2,000 occasions, else 0.001.
    nodes
        Branches to search before giving up, see `solve`.
    memory
        Gigabytes allowed.

    Raises
    ------
    DesignError
        ``design.balance_infeasible`` naming the covariates no sample balances; ``design.rule_unsupported``,
        ``design.tolerance``, ``design.ratio``, ``design.gap``, ``design.not_finite``, ``design.no_treated``,
        ``design.no_comparison``, ``design.memory``, ``design.programme``.

    Notes
    -----
    Zubizarreta, Paredes & Rosenbaum (2014), Ann Appl Stat 8:204-231; Cohn & Zubizarreta (2022), Epidemiology
    33:623-631 (profile matching). Occasions alike in everything are counted, not told apart: the first rows are kept.

    >>> age = np.array([[30.0], [40.0], [70.0], [31.0], [39.0], [20.0]])
    >>> match = match_cardinality(age, np.arange(6) < 3, names=["age"], tolerance=0.01)
    >>> match.sets.row.tolist(), match.n_treated, match.gap
    ([0, 1, 3, 4], 2, 0.0)
    """
    x, case = np.asarray(covariates, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    rules = Pairing() if pairing is None else pairing
    allowed = np.broadcast_to(np.asarray(tolerance, dtype=np.float64), x.shape[1:]).copy()
    stop_at = (0.0 if case.size <= EXACT_UP_TO else 1e-3) if gap is None else gap
    _refuse_arguments(x, case, allowed, names=names, profile=profile, ratio=ratio, gap=stop_at)
    _refuse_rules(rules, nominal, profile=profile, paired=pair_on is not None)
    require_memory(
        BYTES * case.size * (x.shape[1] + 4),
        limit=memory,
        work=f"the balance of {x.shape[1]} covariates over {case.size:,} occasions",
        instead="give more memory, or match fewer occasions",
    )
    pairs = None if pair_on is None or not _pair_rules(rules) else _pairs(pair_on, case, rules, memory)
    levels = [] if nominal is None else [*np.asarray(nominal, dtype=np.int64).T]
    levels += [] if rules.exact is None else [np.asarray(rules.exact, dtype=np.int64)]
    groups = group_rows(
        _standardised(x, case, profile),
        case,
        np.array(levels, dtype=np.int64).reshape(len(levels), case.size).T,
        rules.person,
        apart=pairs is not None,
    )
    problem = SampleProblem(groups=groups, allowed=allowed, profile=profile, ratio=ratio, pairs=pairs)
    kept, largest = largest_sample(problem, names, gap=stop_at, nodes=nodes)
    sample = groups.rows(kept)
    n_treated = int(case[sample].sum())
    return CardinalityMatch(
        sets=_sets(sample, case, rules, pair_on, profile=profile, ratio=ratio, memory=memory),
        n_treated=n_treated,
        n_comparison=sample.size - n_treated,
        largest=largest,
        gap=largest / sample.size - 1,
        difference=groups.mean(kept, groups.treated) - groups.mean(kept, ~groups.treated),
        tolerance=allowed,
    )


def _standardised(x: FloatArray, case: BoolArray, profile: Profile | None) -> FloatArray:
    """Covariates in standard deviations before adjustment, from the mean they are to meet: (n, p).

    Where neither arm varies, but the arms differ, the SD of everyone stands in: no sample is balanced.
    """
    sd = fixed_sd(x, case, estimand="ATE" if profile == "ATE" else "ATT")
    centred = x - x[0]
    scale = np.where(sd > 0, sd, centred.std(axis=0))
    u = centred / np.where(scale > 0, scale, 1.0)
    return settled(u - (u if profile == "ATE" else u[case]).mean(axis=0), SCORE)


def _sets(
    sample: IntArray,
    case: BoolArray,
    rules: Pairing,
    pair_on: FloatArray | None,
    *,
    profile: Profile | None,
    ratio: int,
    memory: float,
) -> MatchedSets:
    """Pairs inside the sample by optimal distance, or the sample's exact strata."""
    if pair_on is not None:
        from causal.design.matching.optimal import match_optimal

        within = replace(rules.rows(sample), person=None)  # nobody is in the sample twice
        pairs = match_optimal(pair_on[sample], case[sample], ratio=ratio, pairing=within, memory=memory)
        return replace(on_rows(pairs, sample), n_unmatched_treated=int(case.sum()) - pairs.n_sets)
    label = np.full(case.size, -1, dtype=np.int64)
    label[sample] = 0 if rules.exact is None else np.unique(rules.exact[sample], return_inverse=True)[1]
    return sets_from_labels(label, case, estimand="ATE" if profile == "ATE" else "ATT")


def _pair_rules(rules: Pairing) -> list[str]:
    """Names of the rules given that only pairs can follow."""
    of_a_sample = {"exact", "person", "prefer", "penalty"}
    return [f.name for f in fields(rules) if getattr(rules, f.name) is not None and f.name not in of_a_sample]


def _pairs(pair_on: FloatArray, case: BoolArray, rules: Pairing, memory: float) -> tuple[IntArray, IntArray]:
    """Rows of the treated and of the comparison occasion of every admissible pair."""
    z = np.asarray(pair_on, dtype=np.float64)
    z = z.reshape(z.shape[0], -1)
    refuse_distances(z, case, caliper=None, pairing=rules)
    place, _, counted = in_steps(z, None, rules)
    edges = candidate_edges(place, case, pairing=counted, memory=memory)
    if not edges.cost.size:
        raise nothing_matched()
    require_memory(
        BYTES_PER_PAIR * edges.cost.size,
        limit=memory,
        work=f"the programme over {edges.cost.size:,} admissible pairs",
        instead="narrow the calipers or the window, or match exactly on more variables",
    )
    cases, pool = np.flatnonzero(case), np.flatnonzero(~case)
    return np.repeat(cases, np.diff(edges.indptr)), pool[edges.comparison]


def _refuse_rules(rules: Pairing, nominal: IntArray | None, *, profile: Profile | None, paired: bool) -> None:
    """Refuse, by name, every rule that a sample without pairs cannot follow."""
    given = [] if paired else [*_pair_rules(rules), *([] if rules.prefer is None else ["prefer"])]
    if profile == "ATE":
        given += [name for name, rule in (("exact", rules.exact), ("nominal", nominal)) if rule is not None]
    if profile and paired:
        given.append("pair_on")
    if given:
        raise DesignError(
            "design.rule_unsupported",
            f"cardinality matching {f'to the profile {profile}' if profile else 'without pairs'} cannot honour: "
            + ", ".join(given),
            fix="balance them as covariates" if profile else "give coordinates to pair on (pair_on)",
        )


def _refuse_arguments(
    x: FloatArray,
    case: BoolArray,
    allowed: FloatArray,
    *,
    names: Sequence[str],
    profile: Profile | None,
    ratio: int,
    gap: float,
) -> None:
    refuse_arms(case)
    if len(names) != x.shape[1] or x.shape[0] != case.size:
        raise ValueError("one name per covariate and one row per occasion")
    if not np.isfinite(x).all():
        raise DesignError("design.not_finite", "a covariate of some occasion is missing or infinite")
    if not (allowed >= 0).all():
        raise DesignError("design.tolerance", "a tolerance must be 0 or more standard deviations")
    if not 0 <= gap < 1:
        raise DesignError("design.gap", f"the gap must be 0 or more and below 1, got {gap:g}")
    if ratio < 1 or ratio > int((~case).sum()) or (profile and ratio != 1):
        raise DesignError(
            "design.ratio",
            f"the ratio must be 1 or more, at most the {int((~case).sum()):,} comparisons there are, and 1 with a "
            f"profile; got {ratio}",
        )
