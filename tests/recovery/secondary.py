"""Do analyses beside the primary one recover their own truth? Repeated ratings, and bounds for always-stayers.

    python tests/recovery/secondary.py --replicates 400

Worlds, cohort and comparison are those of `recover.py` at its base setting. Demanded of the mixed model for repeated
measures: at day 90 the difference had every relationship lasted, |bias| at most .02 or two Monte Carlo errors, coverage
of 93 to 97% within two Monte Carlo errors. Of the bounds: that their interval holds the effect among always-stayers in
95% or more. The mixed model takes ratings for missing at random given earlier ones; in these worlds who leaves does so
by present trust, which earlier ratings tell only in part: the run measures what that costs.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
from in_memory import cohort_of, facts_of
from recover import seeds
from replicate import analyse, flagship, record
from settings import SETTINGS

from causal.design.groups import build_groups
from causal.effect.outcomes import OpenedFacts
from causal.effect.secondary.endings import stratum_bounds
from causal.effect.secondary.finding import Line
from causal.effect.secondary.opened import Opened
from causal.effect.secondary.repeated import repeated_outcomes
from causal.errors import DesignError, EstimationError
from causal.protocol import STUDY, OccasionStudy
from causal.protocol.outcome import Rating
from causal.protocol.secondary import RepeatedOutcomes, StratumBounds

REPEATED = RepeatedOutcomes(analysis="repeated_outcomes", estimand="E2")
BOUNDS = StratumBounds(analysis="stratum_bounds", estimand="E4", monotone="treated_leaves_more", draws=300)


def study() -> OccasionStudy:
    """The flagship study; who is warned later stays in their course, as in the truth."""
    plain = flagship().model_dump(mode="python")
    for estimand in plain["estimands"]:
        estimand["intercurrent_events"]["comparison_treated_later"] = {"strategy": "treatment_policy"}
    made = STUDY.validate_python(plain)
    assert isinstance(made, OccasionStudy)
    return made


def replicate(seed: int) -> tuple[Line, Line, float, float]:
    """Day 90 of the mixed model, the bounds' interval, and the truth of each."""
    base, asked = SETTINGS["base"], study()
    made = record(base.parameters, base.patients, seed)
    groups = build_groups(cohort_of(made, asked), asked)
    analysed = analyse(asked, made, groups)
    assert isinstance(asked.outcome, Rating)
    ids = groups.members["ta_id"].tolist()
    facts = {window.day: facts_of(made, ids, asked, window) for window in asked.outcome.windows}
    opened = Opened(design=groups, study=asked, follow_up=OpenedFacts(facts=facts), score_range=(1, 5))
    day_90 = next(line for line in repeated_outcomes(opened, REPEATED).lines if "90" in line.label)
    interval = stratum_bounds(opened, BOUNDS).lines[1]
    return day_90, interval, analysed.true.level_difference, analysed.true.stayer_difference


def main() -> int:
    """Run, print, and say by the exit code whether every demand is met."""
    parser = argparse.ArgumentParser(description="Recovery by analyses beside the primary one.")
    parser.add_argument("--replicates", type=int, default=400)
    wanted = parser.parse_args().replicates
    began, found, refused = time.perf_counter(), [], 0
    for seed in seeds("base", wanted):
        try:
            found.append(replicate(seed))
        except (DesignError, EstimationError):
            refused += 1
    values = np.array([line.value for line, _, _, _ in found], dtype=np.float64)
    errors = np.array([line.std_error for line, _, _, _ in found], dtype=np.float64)
    truth = np.array([level for _, _, level, _ in found])
    bias, mcse = float((values - truth).mean()), float((values - truth).std(ddof=1) / len(found) ** 0.5)
    inside = float(np.mean([line.lower <= truth.mean() <= line.upper for line, _, _, _ in found]))
    held = float(np.mean([line.lower <= stayers <= line.upper for _, line, _, stayers in found]))
    margin = 2 * (0.95 * 0.05 / len(found)) ** 0.5
    sys.stdout.write(
        f"{len(found)} replicates, {refused} refused, {time.perf_counter() - began:.0f} s\n"
        f"mixed model, day 90: truth {truth.mean():+.4f}, bias {bias:+.4f} ({mcse:.4f}), empirical SE "
        f"{values.std(ddof=1):.4f}, model SE {errors.mean():.4f}, coverage {inside:.3f}\n"
        f"always-stayers: truth {np.mean([s for *_, s in found]):+.4f}, interval holds it {held:.3f}\n"
    )
    met = abs(bias) <= max(0.02, 2 * mcse) and 0.93 - margin <= inside <= 0.97 + margin and held >= 0.95 - margin
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
