"""Recovery where confounding is curved and where it is not, by the primary and the doubly robust analysis.

    python tests/recovery/curved.py --replicates 200

Worlds are those of `settings.py`: curved in severity, in PHQ-9, in the alliance, half as curved in all three, and
straight ones. `--lines` makes the same run with neither bends of the outcome nor of the propensity, to see what they
are worth. Demanded in the curved worlds, of the composite by both analyses: |bias| at most .045 within two Monte Carlo
errors, coverage .92 or more within two. Demanded of straight worlds: |bias| at most .02 or two Monte Carlo errors,
coverage .93 or more within two; and that at most 2% of studies of about 61 warned refuse. The doubly robust analysis
speaks of all supported warned occasions and has its own truth.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from in_memory import cohort_of, facts_of, truth_of
from performance import share_mcse
from recover import seeds
from replicate import analyse, flagship, record
from settings import SETTINGS, Setting

from causal.design.groups import groups_of, work_out
from causal.effect.outcomes import OpenedFacts, primary_window
from causal.effect.secondary.everyone import doubly_robust, everyone_of
from causal.effect.secondary.opened import Opened
from causal.errors import DesignError, EstimationError
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Rating
from causal.protocol.secondary import DoublyRobust
from causal.simulation import true_effect
from causal.threads import one_thread

CURVED = ("curved_severity", "curved_phq9", "curved_alliance", "curved_half")
STRAIGHT = ("base", "null", "sets_61", "sets_61_null")
ANALYSES = ("primary", "doubly robust")
ROBUST = DoublyRobust(analysis="doubly_robust")
LARGEST_BIAS, COVERAGE, STRAIGHT_BIAS, STRAIGHT_COVERAGE, REFUSED = 0.045, 0.92, 0.02, 0.93, 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One composite with its interval and its own truth."""

    value: float
    std_error: float
    lower: float
    upper: float
    truth: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Answers by analysis, refusals by analysis, whether the test of squares fired, and what was left after bends."""

    answers: dict[str, Answer]
    refused: dict[str, str]
    fired: bool = False
    bends: int = 0
    left: bool = False


def study_of(*, lines: bool) -> OccasionStudy:
    """The flagship as shipped, or with lines alone."""
    study = flagship()
    if not lines:
        return study
    return study.model_copy(
        update={
            "estimator": study.estimator.model_copy(update={"bends": "none"}),
            "propensity": study.propensity.model_copy(update={"bends": "none"}),
        }
    )


def replicate(study: OccasionStudy, setting: Setting, seed: int) -> Found:
    """Both analyses of one simulated extract."""
    made = record(setting.parameters, setting.patients, seed)
    cohort = cohort_of(made, study)
    answers: dict[str, Answer] = {}
    refused: dict[str, str] = {}
    try:
        with one_thread():
            worked = work_out(cohort, study)
        groups = groups_of(cohort, worked)
        analysed = analyse(study, made, groups)
    except (DesignError, EstimationError) as refusal:
        return Found(answers={}, refused=dict.fromkeys(ANALYSES, refusal.code))
    composite = analysed.effects.composite
    main = composite.intervals[0]
    answers["primary"] = Answer(
        value=composite.value,
        std_error=main.std_error,
        lower=main.lower,
        upper=main.upper,
        truth=analysed.true.composite_difference,
    )
    assert isinstance(study.outcome, Rating)
    window = primary_window(study.outcome)
    opened = Opened(
        design=groups,  # type: ignore[arg-type]  # nothing here reads what a board may ask about it
        study=study,
        follow_up=OpenedFacts(
            facts={window.day: analysed.facts},
            everyone=facts_of(made, cohort.occasions["ta_id"].tolist(), study, window),
        ),
        score_range=(1, 5),
        cohort=cohort,
    )
    every = everyone_of(opened)
    ids = cohort.occasions["ta_id"][worked.supported & ~every.outcomes.excluded & every.treated].tolist()
    try:
        with one_thread():
            found = doubly_robust(opened, ROBUST)
        line = next((one for one in found.lines if one.scale == "points"), None)
        if line is None:
            refused["doubly robust"] = "; ".join(found.not_evaluated)
        else:
            assert line.value is not None
            assert line.std_error is not None
            answers["doubly robust"] = Answer(
                value=line.value,
                std_error=line.std_error,
                lower=line.lower,
                upper=line.upper,
                truth=true_effect(truth_of(made, ids), ids, np.ones(len(ids))).composite_difference,
            )
    except (DesignError, EstimationError) as refusal:
        refused["doubly robust"] = refusal.code
    curvature = worked.curvature
    limit = study.gates.curvature
    return Found(
        answers=answers,
        refused=refused,
        fired=curvature.linear is not None and curvature.linear.p_value < limit,
        bends=len(curvature.bends),
        left=curvature.remaining is not None and curvature.remaining.p_value < limit,
    )


def say(text: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(text)
    sys.stdout.flush()


def told(name: str, analysis: str, found: Sequence[Found]) -> bool:
    """One line of the table; whether what is demanded is met."""
    answers = [one.answers[analysis] for one in found if analysis in one.answers]
    why = Counter(one.refused[analysis] for one in found if analysis in one.refused)
    refused = sum(why.values()) / len(found)
    if len(answers) < 2:
        say(f"{name:<17}{analysis:<15}refused in every replicate: {', '.join(why)}\n")
        return False
    value, error, lower, upper, truth = (
        np.array([getattr(one, what) for one in answers]) for what in ("value", "std_error", "lower", "upper", "truth")
    )
    target, bias = truth.mean(), float((value - truth).mean())
    mcse = float((value - truth).std(ddof=1) / len(answers) ** 0.5)
    coverage = float(((lower <= target) & (target <= upper)).mean())
    curved = name in CURVED
    most, least = (LARGEST_BIAS, COVERAGE) if curved else (STRAIGHT_BIAS, STRAIGHT_COVERAGE)
    missed = []
    if abs(bias) > most + 2 * mcse:
        missed.append("bias")
    if coverage + 2 * share_mcse(least, len(answers)) < least:
        missed.append("coverage")
    if refused - 2 * share_mcse(REFUSED, len(found)) > REFUSED:
        missed.append("refusals")
    say(
        f"{name:<17}{analysis:<15}{len(answers):>5}{target:>+9.4f}{bias:>+9.4f}{mcse:>8.4f}{value.std(ddof=1):>8.4f}"
        f"{error.mean():>9.4f}{coverage:>9.3f}{refused:>9.3f}   {', '.join(missed) or 'met'}"
        f"{'   refused: ' + ', '.join(f'{k} {n}' for k, n in why.items()) if why else ''}\n"
    )
    return not missed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every demand is met."""
    parser = argparse.ArgumentParser(description="Recovery where confounding is curved.")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=[*CURVED, *STRAIGHT])
    parser.add_argument("--lines", action="store_true", help="neither bends of the outcome nor of the propensity")
    options = parser.parse_args(arguments)
    study, fine = study_of(lines=options.lines), True
    say(
        f"{'setting':<17}{'analysis':<15}{'runs':>5}{'truth':>9}{'bias':>9}{'MCSE':>8}{'emp SE':>8}{'model SE':>9}"
        f"{'coverage':>9}{'refused':>9}\n"
    )
    for name in options.settings:
        began = time.perf_counter()
        found = [replicate(study, SETTINGS[name], seed) for seed in seeds(name, options.replicates)]
        fine = sum(told(name, analysis, found) for analysis in ANALYSES) == len(ANALYSES) and fine
        fired, left = np.mean([one.fired for one in found]), np.mean([one.left for one in found])
        say(
            f"{'':<17}the test of squares fired in {fired:.3f}, {np.mean([one.bends for one in found]):.1f} bends, "
            f"curves left in {left:.3f}; {time.perf_counter() - began:.0f} s\n"
        )
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
