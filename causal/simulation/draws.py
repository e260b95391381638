"""All causal randomness of one chunk, drawn up front.

Every array has one entry per person (n) or per person and period (n, P), whatever happens to the person. The recursion
only reads them, so a counterfactual is the same recursion on the same draws: common random numbers. The order of the
calls is fixed and depends on no parameter, so two parameter sets with one seed share their luck.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.simulation.parameters import PERIODS

Normals = NDArray[np.float32]
Uniforms = NDArray[np.float32]
Seconds = NDArray[np.int64]

WAI_ITEMS = 12
PHQ9_ITEMS = 9
DAY = 86_400
HOUR = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDraws:
    """Per person, (n,): standard normals and uniforms."""

    alliance: Normals
    threat: Normals
    depression: Normals
    hidden: Normals
    bond_task: Normals
    """(n, 2): lasting part of the bond and the goal-and-task deviations."""
    intake: Uniforms
    intake_hour: Uniforms
    sex: Uniforms
    substance: Uniforms
    substance_recorded: Uniforms
    violence: Uniforms


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodDraws:
    """Per person and period, (n, P): standard normals, uniforms, and times in seconds within the period."""

    alliance: Normals
    depression: Normals
    bond_task: Normals
    """(n, P, 2)."""
    wai: Normals
    """(n, P, 12): what is left of each item response."""
    phq9: Normals
    """(n, P, 9)."""
    severity: Normals
    respond: Uniforms
    respond_phq9: Uniforms
    assess: Uniforms
    target: Uniforms
    means: Uniforms
    hold: Uniforms
    warn: Uniforms
    informed: Uniforms
    leave: Uniforms
    lost: Uniforms
    other_end: Uniforms
    rating: Seconds
    """Day 3-12, 9:00-17:00."""
    assessment: Seconds
    """Day 13-27, 8:00-18:00."""
    delay: Seconds
    """0.5-60 h from an assessment to its warning, if there is one."""
    ending: Seconds
    """Day 28-29, 8:00-18:00."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """The randomness of one chunk of n people."""

    person: PersonDraws
    period: PeriodDraws


def draw(people: int, rng: np.random.Generator) -> Draws:
    """Draw everything one chunk can ever need."""

    def normal(*shape: int) -> Normals:
        return rng.standard_normal((people, *shape), dtype=np.float32)

    def uniform(*shape: int) -> Uniforms:
        return rng.random((people, *shape), dtype=np.float32)

    def moment(first_day: int, last_day: int, opens: int, closes: int) -> Seconds:
        day = rng.integers(first_day, last_day + 1, (people, PERIODS))
        return day * DAY + rng.integers(opens * HOUR, closes * HOUR, (people, PERIODS))

    person = PersonDraws(
        alliance=normal(),
        threat=normal(),
        depression=normal(),
        hidden=normal(),
        bond_task=normal(2),
        intake=uniform(),
        intake_hour=uniform(),
        sex=uniform(),
        substance=uniform(),
        substance_recorded=uniform(),
        violence=uniform(),
    )
    period = PeriodDraws(
        alliance=normal(PERIODS),
        depression=normal(PERIODS),
        bond_task=normal(PERIODS, 2),
        wai=normal(PERIODS, WAI_ITEMS),
        phq9=normal(PERIODS, PHQ9_ITEMS),
        severity=normal(PERIODS),
        respond=uniform(PERIODS),
        respond_phq9=uniform(PERIODS),
        assess=uniform(PERIODS),
        target=uniform(PERIODS),
        means=uniform(PERIODS),
        hold=uniform(PERIODS),
        warn=uniform(PERIODS),
        informed=uniform(PERIODS),
        leave=uniform(PERIODS),
        lost=uniform(PERIODS),
        other_end=uniform(PERIODS),
        rating=moment(3, 12, 9, 17),
        assessment=moment(13, 27, 8, 18),
        delay=rng.integers(HOUR // 2, 60 * HOUR + 1, (people, PERIODS)),
        ending=moment(28, 29, 8, 18),
    )
    return Draws(person=person, period=period)
