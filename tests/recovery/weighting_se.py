"""Are the standard errors of weighted differences right? Replicates with a known truth for every way of weighting.

    python tests/recovery/weighting_se.py --replicates 4000 --jobs 2

Four independent standard normal confounders, a logistic model of treatment, an outcome linear in the confounders and an
effect that varies with them, so that every estimand has another value. The truth of an estimand is an integral over the
linear predictor, computed on a grid. The exit code is 1 when any demand is missed.

With 4,000 replicates the Monte Carlo error of a ratio of errors is .011, so that the limits of .95 and 1.05 lie four
and more of them from 1; with 1,000 it is .022 and a demand is sometimes missed by chance.

`known` is the ratio for errors that take estimated weights for known ones (HC0): what accounting for estimation mends.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import expit
from scipy.stats import norm

from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.cbps import cbps_weights
from causal.design.weighting.entropy import entropy_weights
from causal.design.weighting.propensity_weights import propensity_weights
from causal.design.weighting.weights import WeightEstimand, Weights
from causal.effect.weighted_estimates import weighted_difference

ENTROPY = 20240611
ROWS = 10_000
NAMES = ("a", "b", "c", "d")
INTERCEPT, SELECTION = -0.7, np.array([0.5, -0.4, 0.3, 0.2])
OUTCOME = np.array([1.0, 0.8, -0.6, 0.5])
EFFECT, MODIFICATION = 1.0, np.array([0.6, 0.3, 0.0, -0.2])
RATIO, COVERAGE, MOST_MCSE = (0.95, 1.05), (0.93, 0.97), 3.0
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """One way of weighting and whose effect it estimates."""

    label: str
    estimand: WeightEstimand
    make: Callable[[np.ndarray, np.ndarray, np.ndarray], Weights]


def _iptw(
    estimand: WeightEstimand, x: np.ndarray, treated: np.ndarray, logit: np.ndarray, *, stabilised: bool = False
) -> Weights:
    design = np.column_stack([np.ones(treated.size), x])
    return propensity_weights(treated, logit=logit, estimand=estimand, stabilised=stabilised, design_matrix=design)


METHODS = (
    *(Method(label=f"IPTW {e}", estimand=e, make=partial(_iptw, e)) for e in ("ATT", "ATC", "ATE", "ATO", "ATM")),
    Method(label="IPTW ATE stabilised", estimand="ATE", make=partial(_iptw, "ATE", stabilised=True)),
    *(
        Method(
            label=f"entropy {e}", estimand=e, make=lambda x, w, _, e=e: entropy_weights(x, w, names=NAMES, estimand=e)
        )
        for e in ("ATT", "ATE")
    ),
    *(
        Method(label=f"CBPS {e}", estimand=e, make=lambda x, w, _, e=e: cbps_weights(x, w, names=NAMES, estimand=e))
        for e in ("ATT", "ATE")
    ),
)


def truth(estimand: WeightEstimand) -> float:
    """Mean effect in the estimand's population.

    The population's density is that of everyone times h(e), and e depends on the confounders through the linear
    predictor u alone, given which the mean effect is linear: an integral over u.

    >>> round(truth("ATE"), 12)
    1.0
    """
    sd = float(np.linalg.norm(SELECTION))
    u = np.linspace(-9 * sd, 9 * sd, 200_001)
    e = expit(INTERCEPT + u)
    h = {"ATT": e, "ATC": 1 - e, "ATE": np.ones(u.size), "ATO": e * (1 - e), "ATM": np.minimum(e, 1 - e)}[estimand]
    effect = EFFECT + (MODIFICATION @ SELECTION) / sd**2 * u
    return float(np.average(effect, weights=h * norm.pdf(u, scale=sd)))


def replicate(seed: int, rows: int) -> np.ndarray:
    """(methods, 4) estimate, its error, the error for known weights, and whether the interval holds the truth."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    treated = rng.random(rows) < expit(INTERCEPT + x @ SELECTION)
    y = x @ OUTCOME + treated * (EFFECT + x @ MODIFICATION) + rng.normal(size=rows)
    logit = fit_propensity(x, treated, names=NAMES).logit
    found = []
    for method in METHODS:
        weights = method.make(x, treated, logit)
        effect = weighted_difference(y, treated, weights)
        known = weighted_difference(y, treated, weights, account_for_estimation=False).std_error
        found.append([effect.value, effect.std_error, known, effect.lower <= TRUTH[method.estimand] <= effect.upper])
    return np.array(found, dtype=np.float64)


TRUTH = {method.estimand: truth(method.estimand) for method in METHODS}


def run_share(rows: int, todo: Sequence[int]) -> np.ndarray:
    """(replicates, methods, 4) of these seeds."""
    return np.stack([replicate(seed, rows) for seed in todo])


def recover(*, replicates: int, rows: int, jobs: int) -> np.ndarray:
    """(replicates, methods, 4), in seed order whatever the number of processes."""
    children = np.random.SeedSequence(ENTROPY).spawn(replicates)
    todo = [int(child.generate_state(1, np.uint32)[0]) for child in children]
    if jobs == 1:
        return run_share(rows, todo)
    for name in THREAD_VARIABLES:
        os.environ[name] = "1"  # the processes are the parallelism
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        shares = list(pool.map(partial(run_share, rows), [todo[job::jobs] for job in range(jobs)]))
    return np.stack([shares[k % jobs][k // jobs] for k in range(replicates)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How one way of weighting fared; Monte Carlo errors as in Morris et al. (2019), Stat Med 38:2074-2102."""

    label: str
    truth: float
    bias: float
    bias_mcse: float
    empirical_se: float
    model_se: float
    ratio: float
    ratio_mcse: float
    known_ratio: float
    coverage: float
    coverage_mcse: float

    def demands(self) -> tuple[tuple[str, str, bool], ...]:
        """What is demanded, the figure, and whether it is met."""
        return (
            (
                f"|bias| <= {MOST_MCSE:g} MCSE = {MOST_MCSE * self.bias_mcse:.4f}",
                f"{self.bias:+.4f}",
                abs(self.bias) <= MOST_MCSE * self.bias_mcse,
            ),
            (
                f"model SE / empirical SE in [{RATIO[0]}, {RATIO[1]}]",
                f"{self.ratio:.3f}",
                RATIO[0] <= self.ratio <= RATIO[1],
            ),
            (
                f"coverage in [{COVERAGE[0]}, {COVERAGE[1]}]",
                f"{self.coverage:.3f}",
                COVERAGE[0] <= self.coverage <= COVERAGE[1],
            ),
        )


def performance(found: np.ndarray) -> list[Performance]:
    """One row per method."""
    rows = []
    count = len(found)
    for j, method in enumerate(METHODS):
        value, error, known, covered = found[:, j].T
        empirical = float(value.std(ddof=1))
        model = float(np.sqrt((error**2).mean()))
        share = float(covered.mean())
        spread = (error**2).var(ddof=1) / (4 * count * model**4) + 1 / (2 * (count - 1))
        rows.append(
            Performance(
                label=method.label,
                truth=TRUTH[method.estimand],
                bias=float(value.mean() - TRUTH[method.estimand]),
                bias_mcse=empirical / np.sqrt(count),
                empirical_se=empirical,
                model_se=model,
                ratio=model / empirical,
                ratio_mcse=model / empirical * float(np.sqrt(spread)),
                known_ratio=float(np.sqrt((known**2).mean())) / empirical,
                coverage=share,
                coverage_mcse=float(np.sqrt(share * (1 - share) / count)),
            )
        )
    return rows


HEADER = (
    f"{'weights':<20} {'truth':>7} {'bias':>8} {'MCSE':>7} {'emp SE':>7} {'model SE':>8} {'ratio':>14} {'known':>6} "
    f"{'coverage':>14}"
)


def line(p: Performance) -> str:
    """One row of the printed table."""
    return (
        f"{p.label:<20} {p.truth:>7.4f} {p.bias:>+8.4f} {p.bias_mcse:>7.4f} {p.empirical_se:>7.4f} {p.model_se:>8.4f} "
        f"{p.ratio:>6.3f} +-{p.ratio_mcse:>5.3f} {p.known_ratio:>6.3f} {p.coverage:>6.3f} +-{p.coverage_mcse:>5.3f}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every demand is met."""
    parser = argparse.ArgumentParser(description="Standard errors of weighted differences against their truth.")
    parser.add_argument("--replicates", type=int, default=4000)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    rows = performance(recover(replicates=options.replicates, rows=options.rows, jobs=options.jobs))
    seconds = time.perf_counter() - start
    say = sys.stdout.write
    say(f"{options.replicates} replicates of {options.rows} occasions in {seconds:.0f} s\n\n{HEADER}\n")
    say("".join(line(p) + "\n" for p in rows) + "\n")
    judged = [(p.label, *demand) for p in rows for demand in p.demands()]
    say("".join(f"{'PASS' if met else 'FAIL'}  {label}: {sentence}: {f}\n" for label, sentence, f, met in judged))
    return 0 if all(met for *_, met in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
