"""Speed of weighting: a million occasions, twelve covariates, beside a sort of as many scores in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/weighting.py

Processor seconds, best of three, weights with their estimating functions unless a row says otherwise. Compilation is
not timed. The target for entropy balancing (ATT) is 0.4 s; R's WeightIt takes 11.2 s for it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import expit

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.design.propensity.fit import fit_propensity
from causal.design.weighting.cbps import cbps_weights
from causal.design.weighting.continuous import density_weights, entropy_weights_continuous
from causal.design.weighting.entropy import entropy_weights
from causal.design.weighting.propensity_weights import propensity_weights
from causal.design.weighting.weights import Weights
from causal.effect.weighted_estimates import weighted_difference

ROWS, COLUMNS = 1_000_000, 12
NAMES = [f"x{j}" for j in range(COLUMNS)]


def imbalance(x: np.ndarray, treated: np.ndarray, weights: Weights) -> float:
    """Largest standardised difference between the weighted groups."""
    w = weights.weight
    one, zero = (w[arm] @ x[arm] / w[arm].sum() for arm in (treated, ~treated))
    return float(np.abs((one - zero) / x.std(axis=0)).max())


def main() -> None:
    """Entropy balancing, CBPS, inverse probability, continuous exposure, and the weighted difference."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, COLUMNS))
    x[:, 6:9] = rng.exponential(size=(ROWS, 3))
    x[:, 9:] = x[:, 9:] > 1
    slope = np.linspace(-0.5, 0.5, COLUMNS)
    treated = rng.random(ROWS) < expit(x @ slope - 1.4)
    dose = 0.5 * (x @ slope) + rng.normal(size=ROWS)
    y = x.sum(axis=1) + treated + rng.normal(size=ROWS)
    design = np.column_stack([np.ones(ROWS), x])
    logit = fit_propensity(x, treated, names=NAMES).logit
    balanced = entropy_weights(x, treated, names=NAMES)
    memory = 8.0
    work: dict[str, tuple[Callable[[], object], float | None]] = {
        "entropy balancing ATT": (lambda: entropy_weights(x, treated, names=NAMES), 0.4),
        "entropy balancing ATT, weights alone": (lambda: entropy_weights(x, treated, names=NAMES, nuisance=False), 0.4),
        "entropy balancing ATE": (lambda: entropy_weights(x, treated, names=NAMES, estimand="ATE"), None),
        "entropy balancing ATT, means and variances": (
            lambda: entropy_weights(x, treated, names=NAMES, moments=2, memory=memory),
            None,
        ),
        "CBPS ATT": (lambda: cbps_weights(x, treated, names=NAMES), None),
        "CBPS ATE": (lambda: cbps_weights(x, treated, names=NAMES, estimand="ATE"), None),
        "IPTW ATE from given scores": (
            lambda: propensity_weights(treated, logit=logit, estimand="ATE", design_matrix=design),
            None,
        ),
        "entropy balancing, continuous exposure": (
            lambda: entropy_weights_continuous(dose, x, names=NAMES, memory=memory),
            None,
        ),
        "density weights, continuous exposure": (lambda: density_weights(dose, x, names=NAMES), None),
        "weighted difference with its error": (lambda: weighted_difference(y, treated, balanced), None),
    }
    peer = best(lambda: np.argsort(logit))
    print(f"{ROWS:,} x {COLUMNS}, {int(treated.sum()):,} treated; np.argsort {peer:.3f} s")
    print(f"largest standardised difference after entropy balancing {imbalance(x, treated, balanced):.1e}")
    for name, (run, target) in work.items():
        run()
        seconds = best(run)
        against = "" if target is None else f"   target {target} s {'reached' if seconds <= target else 'missed'}"
        print(f"{name:<44}{seconds:7.3f} s {seconds / peer:6.1f} x np.argsort{against}")


if __name__ == "__main__":
    main()
