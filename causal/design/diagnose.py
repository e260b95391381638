"""What a finished design is worth, beside its balance table: everything a board may ask before outcomes are opened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from causal.design.compare import Comparison
from causal.design.covariates import CovariateMatrix
from causal.design.diagnostics.balance import BalanceRow, fixed_sd
from causal.design.diagnostics.balance_terms import balance_terms
from causal.design.diagnostics.balance_test import BalanceTest, balance_test
from causal.design.diagnostics.clusters import ClusterSpread, Level, cluster_spread
from causal.design.diagnostics.generalisability import Generalisability, generalisability
from causal.design.diagnostics.positivity import SupportRule, support_rules
from causal.design.diagnostics.power import (
    DesignSize,
    DetectableEffect,
    OutcomePlan,
    design_size,
    detectable_effect,
)
from causal.design.diagnostics.prognostic import PrognosticBalance, prognostic_balance
from causal.design.diagnostics.subgroups import subgroup_balance
from causal.design.propensity.calibration import Calibration, calibration
from causal.design.propensity.fit import Propensity
from causal.errors import DesignError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

LOTTERY_SEED = 20240601
"""Seeds the lottery that says what balance chance alone would give; part of the method, not of a study."""
FEWEST_HISTORY = 50
"""Occasions outside the comparison below which no prognostic score is fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """n eligible occasions beside the comparison made of them.

    ``exact``, ``clinician``, ``clinic``, ``month`` (of time zero) and ``version`` (of the form) are codes (n,);
    ``cluster`` says on which of them the study's intervals are clustered; ``supported`` (n,) says where either decision
    was open; ``labels`` gives each column of the matrix in words, what it is called at 0 and at 1.
    """

    treated: BoolArray
    matrix: CovariateMatrix
    labels: tuple[tuple[str, str], ...]
    propensity: Propensity
    supported: BoolArray
    exact: IntArray
    clinician: IntArray
    clinic: IntArray
    month: IntArray
    version: IntArray
    cluster: Literal["clinician", "clinic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Positivity:
    """Strata of the exact keys: how many there are, and how many of them hold one decision only."""

    n_strata: int
    n_one_armed: int
    share_one_armed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WithinGroups:
    """Largest tier-1 difference within any group of a kind that is large enough, and how many are."""

    n_groups: int
    n_evaluated: int
    worst: float | None
    worst_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """What was looked at; None, or empty, where it could not be.

    Attributes
    ----------
    size
        Effective occasions by arm and the size of clinicians' clusters.
    clusters
        How each arm is spread over clinicians, clinics, months and versions of the form.
    calibration
        Fit of the propensity, and how many occasions were in equipoise.
    terms
        The squares and products of tier-1 covariates that differ most, the worst first, at most five.
    lottery
        The same balance had a lottery within sets decided; None for weights, strata and reused occasions.
    prognostic
        Balance of the rating predicted from the other covariates, fitted outside the comparison.
    within_clinics
        Tier-1 balance inside clinics.
    outside
        Which treated occasions had no counterpart, in rules.
    positivity
        One-armed strata of the exact keys.
    kept
        How well those in the comparison stand for all eligible ones of the group the effect is about; None where it is
        about both.
    detectable
        Smallest effects this design finds, outcome by outcome.
    """

    size: DesignSize
    clusters: tuple[ClusterSpread, ...]
    calibration: Calibration
    terms: tuple[BalanceRow, ...]
    lottery: BalanceTest | None
    prognostic: PrognosticBalance | None
    within_clinics: WithinGroups
    outside: tuple[SupportRule, ...]
    positivity: Positivity
    kept: Generalisability | None
    detectable: tuple[DetectableEffect, ...]


def diagnose(
    eligible: Eligible, compared: Comparison, plans: tuple[OutcomePlan, ...], *, proxy: str | None, minimum: int
) -> Diagnostics:
    """Everything but the balance table.

    Parameters
    ----------
    plans
        What is assumed of each outcome.
    proxy
        Covariate that stands in for the outcome in the prognostic score (a rating before time zero); None for none.
    minimum
        Smallest count a rule or a group may rest on.
    """
    matrix, treated, weight = eligible.matrix, eligible.treated, compared.weight
    size = design_size(treated, weight, eligible.clinician)
    terms = balance_terms(
        matrix.values, matrix.names, matrix.tiers, treated, weight, estimand=compared.estimand
    )  # fmt: skip
    supported = eligible.supported[treated]
    return Diagnostics(
        size=size,
        clusters=_clusters(eligible, weight),
        calibration=calibration(eligible.propensity.logit, treated, minimum=minimum),
        terms=tuple(sorted(terms, key=lambda row: -abs(row.smd_after))[:5]),
        lottery=_lottery(eligible, compared),
        prognostic=_prognostic(eligible, compared, proxy),
        within_clinics=_within(eligible, compared, minimum),
        outside=support_rules(
            matrix.values[treated],
            [words[1] for words in eligible.labels],
            ~supported,
            labels=eligible.labels,
            minimum=minimum,
        )
        if not supported.all()
        else (),
        positivity=_positivity(eligible),
        kept=_kept(eligible, compared),
        detectable=tuple(_detectable(size, plan) for plan in plans),
    )


def _clusters(eligible: Eligible, weight: FloatArray) -> tuple[ClusterSpread, ...]:
    levels: tuple[tuple[Level, IntArray], ...] = (
        ("clinician", eligible.clinician),
        ("clinic", eligible.clinic),
        ("month", eligible.month),
        ("version of the form", eligible.version),
    )
    return tuple(
        cluster_spread(eligible.treated, weight, code, level=level, declared=level == eligible.cluster)
        for level, code in levels
    )


def _lottery(eligible: Eligible, compared: Comparison) -> BalanceTest | None:
    reused = np.unique(compared.row).size < compared.row.size
    if compared.grouping != "matched set" or reused or compared.estimand not in ("ATT", "ATC", "ATE"):
        return None
    return balance_test(
        eligible.matrix.values[compared.row],
        eligible.treated[compared.row],
        compared.set_id,
        compared.row,
        sd=fixed_sd(eligible.matrix.values, eligible.treated, estimand=compared.estimand),
        rng=np.random.default_rng(LOTTERY_SEED),
        estimand=compared.estimand,
    )


def _prognostic(eligible: Eligible, compared: Comparison, proxy: str | None) -> PrognosticBalance | None:
    names = eligible.matrix.names
    outside = ~eligible.treated & (compared.weight == 0)
    if proxy is None or proxy not in names or outside.sum() < FEWEST_HISTORY:
        return None
    others = [j for j, name in enumerate(names) if not name.startswith(proxy)]
    values = eligible.matrix.values
    if not others or np.ptp(values[outside, names.index(proxy)]) == 0:
        return None
    return prognostic_balance(
        values[outside][:, others],
        values[outside, names.index(proxy)],
        values[:, others],
        eligible.treated,
        compared.weight,
        estimand=compared.estimand,
    )


def _within(eligible: Eligible, compared: Comparison, minimum: int) -> WithinGroups:
    n_groups = int(eligible.clinic.max()) + 1
    groups = subgroup_balance(
        eligible.matrix.values,
        eligible.matrix.names,
        eligible.matrix.tiers,
        eligible.treated,
        compared.weight,
        groups=eligible.clinic,
        labels=[str(k) for k in range(n_groups)],
        estimand=compared.estimand,
        minimum=minimum,
    )
    alone = [group for group in groups if group.rows is not None and group.label.isdigit()]
    rows = [row for group in alone for row in group.rows or () if row.tier == 1]
    worst = max(rows, key=lambda row: abs(row.smd_after), default=None)
    return WithinGroups(
        n_groups=n_groups,
        n_evaluated=len(alone),
        worst=None if worst is None else worst.smd_after,
        worst_name="" if worst is None else worst.name,
    )


def _positivity(eligible: Eligible) -> Positivity:
    code = np.unique(eligible.exact, return_inverse=True)[1]
    counts = np.array([np.bincount(code[arm], minlength=int(code.max()) + 1) for arm in
                       (eligible.treated, ~eligible.treated)])  # fmt: skip
    one_armed = (counts == 0).any(axis=0)
    return Positivity(
        n_strata=counts.shape[1],
        n_one_armed=int(one_armed.sum()),
        share_one_armed=float(counts[:, one_armed].sum() / counts.sum()),
    )


def _kept(eligible: Eligible, compared: Comparison) -> Generalisability | None:
    arm = {"ATT": eligible.treated, "ATC": ~eligible.treated}.get(compared.estimand)
    if arm is None:
        return None
    matrix = eligible.matrix
    return generalisability(matrix.values, matrix.names, matrix.tiers, arm, compared.weight, eligible.propensity.logit)


def _detectable(size: DesignSize, plan: OutcomePlan) -> DetectableEffect:
    """The smallest effect found, or an effect of no size where so few occasions find none."""
    try:
        return detectable_effect(size, plan)
    except DesignError as refusal:
        if refusal.code != "design.too_few_cases":
            raise
        return DetectableEffect(name=plan.name, in_sd=None, in_units=None, df=0.0)
