"""Latent quantities of one chunk of people: burden, severity, and the alliance apart from any warning."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from causal.simulation.draws import Draws
from causal.simulation.parameters import PERIOD_DAYS, PERIODS, SimulationParameters
from causal.simulation.world import World

MEAN_PHQ9: Final = 13.0
MEAN_SEVERITY: Final = 4.5
MEAN_ALLIANCE: Final = 3.5
SD_SEVERITY: Final = 1.6
SD_PHQ9: Final = 4.7
SD_ALLIANCE: Final = 0.7
NEVER: Final = 10**6
"""Day of what never happens."""


def expit(logit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse logit; saturates silently."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-logit))


def curve(values: NDArray[np.float64], mean: float, sd: float) -> NDArray[np.float64]:
    """How far values bend away from a line: ``z^2 - 1`` with z their SDs from the mean, 0 on average.

    >>> curve(np.array([13.0, 22.0]), 13.0, 4.5).tolist()
    [-1.0, 3.0]
    """
    return np.asarray(((values - mean) / sd) ** 2 - 1.0, dtype=np.float64)


def whole(uniform: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Whole numbers 0 .. count - 1."""
    return (uniform.astype(float) * count).astype(np.int64)


def sud_recorded_day(has: NDArray[np.float32], recorded: NDArray[np.float32]) -> NDArray[np.int64]:
    """One person in five; mostly recorded before intake, else on a day of care on which nobody is ever assessed."""
    before = -1 - whole(recorded / np.float32(0.85), 1000)
    during = PERIOD_DAYS * whole((recorded - np.float32(0.85)) / np.float32(0.1501), 12) + 5
    return np.where(has < 0.20, np.where(recorded < 0.85, before, during), NEVER)


def depression_course(draws: Draws) -> NDArray[np.float64]:
    """Latent PHQ-9 total, (n, P): mean 13, lasting SD 4, passing SD 2.5, a little higher with the threat trait."""
    lasting = 0.3 * draws.person.threat + np.sqrt(1 - 0.3**2) * draws.person.depression
    latent: NDArray[np.float64] = MEAN_PHQ9 + 4.0 * lasting[:, None] + 2.5 * draws.period.depression.astype(float)
    return latent


def severity_scores(draws: Draws) -> NDArray[np.float64]:
    """Severity score, (n, P): mean 4.5, SD 1.6, half of it the person's threat trait; one decimal, 0 to 10."""
    trait = 0.7 * draws.person.threat[:, None] + np.sqrt(1 - 0.7**2) * draws.period.severity.astype(float)
    score: NDArray[np.float64] = np.clip(np.round(MEAN_SEVERITY + 1.6 * trait, 1), 0.0, 10.0)
    return score


def stable_alliance(
    parameters: SimulationParameters,
    world: World,
    *,
    clinician: NDArray[np.int64],
    sud_day: NDArray[np.int64],
    depression: NDArray[np.float64],
    assessed: NDArray[np.bool_],
    severity: NDArray[np.float64],
    latest_phq9: NDArray[np.float64],
    draws: Draws,
) -> NDArray[np.float64]:
    """Latent alliance, (n, P), without the occasion's deviation; growth is centred at six months of care."""
    month = np.arange(PERIODS)
    growth = parameters.growth * (np.minimum(month, 6) - 6) + parameters.tenure * (np.minimum(month, 24) - 6)
    person = (
        parameters.alliance_mean
        + world.clinic_level[world.clinician_clinic[clinician]]
        + world.clinician_level[clinician]
        + parameters.patient_sd * draws.person.alliance
        + parameters.severity_on_alliance * 1.6 * 0.7 * draws.person.threat
        + parameters.sud_on_alliance * (sud_day < NEVER)
    )
    after_assessment = np.zeros_like(assessed)
    after_assessment[:, 1:] = np.logical_or.accumulate(assessed, axis=1)[:, :-1]
    hidden = parameters.hidden_u[1] * draws.person.hidden.astype(float)[:, None] * after_assessment
    drift = world.clinician_drift[clinician][:, None] * after_assessment
    level: NDArray[np.float64] = person[:, None] + growth + parameters.phq9_on_alliance * (depression - MEAN_PHQ9)
    bends = (
        (parameters.curved_severity[1], severity, MEAN_SEVERITY, SD_SEVERITY),
        (parameters.curved_phq9[1], latest_phq9, MEAN_PHQ9, SD_PHQ9),
        (parameters.curved_alliance[1], level, MEAN_ALLIANCE, SD_ALLIANCE),
    )
    bent = sum((theta * curve(values, mean, sd) for theta, values, mean, sd in bends if theta), np.float64(0.0))
    return level - hidden + drift - _since_assessment(np.broadcast_to(bent, level.shape), assessed)


def _since_assessment(values: NDArray[np.float64], assessed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The value (n, P) of the latest assessment in an earlier period; 0 before the first.

    >>> _since_assessment(np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([[False, True, False, False]])).tolist()
    [[0.0, 0.0, 2.0, 2.0]]
    """
    latest = np.full(assessed.shape, -1)
    latest[:, 1:] = np.maximum.accumulate(np.where(assessed, np.arange(assessed.shape[1]), -1), axis=1)[:, :-1]
    return np.where(latest >= 0, np.take_along_axis(values, np.maximum(latest, 0), axis=1), 0.0)
