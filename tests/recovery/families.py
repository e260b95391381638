"""Does every way of making groups comparable recover a known truth? One simulated extract serves all of them.

    python tests/recovery/families.py --replicates 200 --jobs 2

Each replicate simulates an extract, builds the cohort once, and lets every family design and estimate from it with the
product's own functions. Truth is the mean effect over the population a family's weights stand for, so families with
different estimands have different truths. Overlap is better than in the flagship's base setting (severity counts for
less, and one assessment in eight leads to a warning): weights for everyone (ATE) have no finite-sample meaning where
some assessments are all but certain to lead to a warning, and the base setting has such.

What is demanded of each family: |bias| <= max(.02, 2 MCSE), coverage in [.925, .975] within two Monte Carlo errors, and
model SE / empirical SE in [.9, 1.15] within two.

A known remainder, the 72 hours before a warning (see `recover.py`), shifts every family alike: about -.007 in the risk
difference and +.017 in the composite. Cardinality matching, which leaves differences as large as its tolerance on the
side confounding pushes them, adds to it and misses the limit for the composite: +.023 (MCSE .006) at .05 SD, +.021 at
.02 SD, 200 replicates.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from in_memory import cohort_of
from performance import LARGEST_BIAS, RATIO, Performance, performance
from replicate import ESTIMANDS, Replicate, flagship, one_study, record

from causal.protocol import STUDY, OccasionStudy
from causal.simulation import SimulationParameters

OVERLAPPING = SimulationParameters(positivity=0.35, warning_intercept=-3.4)
PATIENTS = 7_500
COVERAGE = (0.925, 0.975)
ENTROPY = 20260722
CALIPER = {"scale": "logit", "sd": "pooled_within", "width": 0.2}
FEW = ("severity", "alliance_lag1")

FAMILIES: dict[str, dict[str, Any]] = {
    "greedy, highest first 1:2": {"matching": {"method": "greedy", "ratio": 2, "caliper": CALIPER}},
    "greedy, closest first": {"matching": {"method": "greedy", "ratio": 1, "order": "closest", "caliper": CALIPER}},
    "greedy, with replacement": {
        "matching": {"method": "greedy", "ratio": 1, "replacement": True, "most_uses": 5, "caliper": CALIPER}
    },
    "greedy, clinic preferred": {
        "matching": {
            "method": "greedy",
            "ratio": 1,
            "caliper": CALIPER,
            "prefer": ({"key": "clinic_id", "penalty": 0.05},),
        }
    },
    "rank Mahalanobis": {
        "matching": {"method": "greedy", "ratio": 1, "distance": {"kind": "rank_mahalanobis"}, "caliper": CALIPER}
    },
    "optimal pair": {"matching": {"method": "optimal", "ratio": 1, "caliper": CALIPER}},
    "optimal full": {"matching": {"method": "full", "caliper": CALIPER, "most_comparisons": 6}},
    "generalised full": {"matching": {"method": "generalised_full", "caliper": CALIPER}},
    "fine balance": {"matching": {"method": "fine_balance", "ratio": 1, "balance": ("clinic_id",), "caliper": CALIPER}},
    "cardinality": {"matching": {"method": "cardinality", "tolerance": 0.05}},
    "coarsened exact": {
        "matching": {
            "method": "coarsened_exact",
            "covariates": FEW,
            "bins": tuple({"covariate": name, "number": 6} for name in FEW),
        }
    },
    "subclassification": {"matching": {"method": "subclassification", "subclasses": 10}},
    "propensity ATT": {"weighting": {"method": "propensity", "estimand": "ATT"}},
    "propensity ATC": {"weighting": {"method": "propensity", "estimand": "ATC"}},
    "propensity ATE": {"weighting": {"method": "propensity", "estimand": "ATE", "stabilised": True}},
    "overlap (ATO)": {"weighting": {"method": "propensity", "estimand": "ATO"}},
    "matching weights (ATM)": {"weighting": {"method": "propensity", "estimand": "ATM"}},
    "entropy balancing ATT": {"weighting": {"method": "entropy_balancing"}},
    "covariate balancing ATT": {"weighting": {"method": "covariate_balancing"}},
}
"""What each family changes in the flagship study."""


def studies(flagship: OccasionStudy, names: Sequence[str]) -> dict[str, OccasionStudy]:
    """The flagship study once for each family."""
    plain = flagship.model_dump(mode="python")
    plain["support"] = {"rule": "stratum_common", "probability_max": 0.95}
    made: dict[str, OccasionStudy] = {}
    for name in names:
        changes = {"matching": None, "weighting": None} | FAMILIES[name]
        method = changes["weighting"] or changes["matching"]
        trial = plain["target_trial"] | {
            "contrast": plain["target_trial"]["contrast"] | {"estimand": method.get("estimand", "ATT")}
        }
        if method["method"] in ("propensity", "covariate_balancing"):  # these weights keep no exact keys
            trial = trial | {"assignment": trial["assignment"] | {"exact": ()}}
        study = STUDY.validate_python(plain | changes | {"target_trial": trial})
        assert isinstance(study, OccasionStudy)
        made[name] = study
    return made


def seeds(replicates: int) -> list[int]:
    """Independent seeds; more replicates extend the list."""
    children = np.random.SeedSequence(ENTROPY).spawn(replicates)
    return [int(child.generate_state(1, np.uint32)[0]) for child in children]


def run_families(names: Sequence[str], *, patients: int, seed: int) -> dict[str, Replicate]:
    """Every family's answer from one simulated extract; a family that refuses is left out of this replicate."""
    made = record(OVERLAPPING, patients, seed)
    cohort = cohort_of(made, flagship())
    found = {name: one_study(study, made, cohort) for name, study in studies(flagship(), names).items()}
    for name, replicate in found.items():
        if replicate.refused:
            say(f"refused: {name}: {replicate.refused}\n")
    return {name: replicate for name, replicate in found.items() if not replicate.refused}


def run_share(names: Sequence[str], patients: int, todo: Sequence[int]) -> list[dict[str, Replicate]]:
    """The replicates with these seeds, one after another."""
    return [run_families(names, patients=patients, seed=seed) for seed in todo]


def judged(p: Performance) -> list[str]:
    """Demands that are missed, in words; empty when all are met."""
    spread = 1 / np.sqrt(2 * (p.replicates - 1))  # relative MCSE of an empirical standard error
    missed = []
    if abs(p.bias) > max(LARGEST_BIAS, 2 * p.bias_mcse):
        missed.append("bias")
    if not COVERAGE[0] - 2 * p.coverage_mcse <= p.coverage <= COVERAGE[1] + 2 * p.coverage_mcse:
        missed.append("coverage")
    if not RATIO[0] * (1 - 2 * spread) <= p.ratio <= RATIO[1] * (1 + 2 * spread):
        missed.append("standard error")
    return missed


def say(text: str) -> None:
    """Print at once: a run takes minutes."""
    sys.stdout.write(text)
    sys.stdout.flush()


def table(found: Sequence[Mapping[str, Replicate]], names: Sequence[str]) -> bool:
    """Print one line per family and estimand; whether every demand is met."""
    say(
        f"{'family':<28}{'estimand':<13}{'runs':>5}{'treated':>9}{'truth':>9}{'bias':>9}{'MCSE':>8}{'emp SE':>8}"
        f"{'model SE':>9}{'ratio':>7}{'coverage':>10}   missed\n"
    )
    fine = True
    for name in names:
        replicates = [one[name] for one in found if name in one]
        if len(replicates) < max(2, 0.9 * len(found)):
            say(f"{name:<28}refused in {len(found) - len(replicates)} of {len(found)} replicates\n")
            fine = False
            continue
        for estimand in ESTIMANDS:
            p = performance(estimand, replicates)
            assert p is not None
            missed = judged(p)
            fine = fine and not missed
            say(
                f"{name:<28}{estimand:<13}{p.replicates:>5}{p.mean_sets:>9.1f}{p.truth:>+9.4f}{p.bias:>+9.4f}"
                f"{p.bias_mcse:>8.4f}{p.empirical_se:>8.4f}{p.model_se:>9.4f}{p.ratio:>7.3f}{p.coverage:>10.3f}   "
                f"{', '.join(missed) or 'none'}\n"
            )
    return fine


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every demand is met."""
    parser = argparse.ArgumentParser(description="Recovery of a simulated truth by every family of designs.")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--families", nargs="+", choices=list(FAMILIES), default=list(FAMILIES))
    parser.add_argument("--patients", type=int, default=PATIENTS)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    todo = seeds(options.replicates)
    start = time.perf_counter()
    run = partial(run_share, options.families, options.patients)
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        shares = list(pool.map(run, [todo[job :: options.jobs] for job in range(options.jobs)]))
    found = [shares[k % options.jobs][k // options.jobs] for k in range(options.replicates)]
    say(f"{options.replicates} replicates of {options.patients} patients in {time.perf_counter() - start:.0f} s\n")
    return 0 if table(found, options.families) else 1


if __name__ == "__main__":
    sys.exit(main())
