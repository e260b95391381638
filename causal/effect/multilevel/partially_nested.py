"""The effect of a treatment given in groups, or by a few facilitators, to one arm only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from causal.effect.multilevel.mixed_degrees_of_freedom import DegreesOfFreedom, standard_error
from causal.effect.multilevel.mixed_effects import IntraclassCorrelation, MixedEffects, effect_design, mixed_effects
from causal.effect.multilevel.mixed_model import Method, MixedFit, fit_mixed
from causal.effect.multilevel.nested import Level
from causal.errors import EstimationError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def partially_nested_alliance(
    outcome: FloatArray,
    treated: BoolArray,
    *,
    group: IntArray,
    covariates: FloatArray | None = None,
    names: Sequence[str] = (),
    patient: IntArray | None = None,
    method: Method = "REML",
    degrees_of_freedom: DegreesOfFreedom = "satterthwaite",
    level: float = 0.95,
) -> MixedEffects:
    """Difference between members of treatment groups and ungrouped comparisons.

    ``y = X b + t (d + u_group) + (v_patient) + e``, with a residual variance for each arm.

    Parameters
    ----------
    outcome, treated, covariates, names
        As in `clustered_alliance`.
    group
        (n,) code of the group or facilitator, read for treated rows only; every comparison is a cluster of its own.
    patient
        (n,) codes where patients have several rows; a treated patient is in one group. None: one row each.
    method, degrees_of_freedom, level
        As in `clustered_alliance`; ``cluster_robust`` clusters on groups, and on comparison patients.

    Raises
    ------
    EstimationError
        ``estimation.two_arms`` (a patient in both), and those of `clustered_alliance`.

    Notes
    -----
    Roberts & Roberts (2005), Clin Trials 2:152-162; Bauer, Sterba & Hallfors (2008), Multivar Behav Res 43:210-236.

    >>> y, arm = np.array([5.0, 6, 8, 9, 2, 3, 4, 1]), np.array([1, 1, 1, 1, 0, 0, 0, 0], dtype=bool)
    >>> found = partially_nested_alliance(y, arm, group=np.array([0, 0, 1, 1, 9, 9, 9, 9]))
    >>> round(found.contrasts[0].value, 9), [round(one.value, 4) for one in found.variances]
    (4.5, [4.25, 1.6667, 0.5])
    """
    arm = np.asarray(treated, dtype=np.bool_)
    design = effect_design(arm, covariates, names)
    codes, n = np.unique(group, return_inverse=True)[1].reshape(-1), arm.size
    members = np.arange(n) if patient is None else np.unique(patient, return_inverse=True)[1].reshape(-1)
    if patient is not None and np.intersect1d(members[arm], members[~arm]).size:
        raise EstimationError(
            "estimation.two_arms",
            "a patient has rows in both arms",
            fix="compare within patients, or keep one arm's rows of each patient",
        )
    top = np.where(arm, codes, codes.max() + 1 + members)
    levels = [Level(name="group", codes=top, design=arm[:, None].astype(np.float64), terms=("treated",))]
    if patient is not None:
        levels.insert(0, Level(name="patient", codes=members, design=np.ones((n, 1)), terms=("intercept",)))
    fit = fit_mixed(design.columns, outcome, levels=levels, residual_groups=arm.astype(np.int64), method=method)
    return mixed_effects(
        fit,
        design,
        errors=lambda contrast: standard_error(fit, contrast, degrees_of_freedom),
        degrees_of_freedom=degrees_of_freedom,
        residual_terms=("comparison", "treated"),
        intraclass=_intraclass(fit),
        level=level,
    )


def _intraclass(fit: MixedFit) -> list[IntraclassCorrelation]:
    """Correlations by arm: within patients of each, and between the patients of a group."""
    comparison, treated = fit.residual
    patient = float(fit.random[0].item()) if len(fit.random) == 2 else 0.0
    group = float(fit.random[-1].item())
    total = group + patient + float(treated)
    of_patients = [
        IntraclassCorrelation(level="patient, comparison", value=patient / (patient + float(comparison))),
        IntraclassCorrelation(level="patient, treated", value=(group + patient) / total),
    ]
    return [*(of_patients if len(fit.random) == 2 else []), IntraclassCorrelation(level="group", value=group / total)]
