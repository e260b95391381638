"""Speed of the missing-data methods, beside statsmodels' MICE on the same table in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/imputation.py

Processor seconds, best of three. Limits: 20 imputed sets of 1,000 rows and 12 columns in 0.5 s; the whole dropout story
(20 sets, a grid of 21 by 21 shifts, 500 rows, weighted ANCOVA with CR2) in 2 s.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.effect.contrast import Contrast, student
from causal.effect.matched_estimates import weighted_ancova
from causal.effect.missing.chained import impute
from causal.effect.missing.dropout_weights import dropout_weights
from causal.effect.missing.reference_based import normal_draws, reference_based
from causal.effect.missing.story import dropout_story

ROWS, COLUMNS, SETS = 1_000, 12, 20


def table(rng: np.random.Generator) -> np.ndarray:
    """Correlated columns, two of them binary, a tenth of the cells missing."""
    x = rng.normal(size=(ROWS, COLUMNS)) @ (0.3 * rng.normal(size=(COLUMNS, COLUMNS)) + np.eye(COLUMNS))
    x[:, 10:] = x[:, 10:] > 0
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def by_statsmodels(x: np.ndarray) -> Callable[[], object]:
    """Twenty sets, ten cycles each, by statsmodels' MICEData (no proper logistic draws: all columns matched)."""
    import pandas as pd
    from statsmodels.imputation.mice import MICEData

    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(COLUMNS)])

    def run() -> None:
        data = MICEData(frame, k_pmm=5)
        for _ in range(SETS):
            data.update_all(10)

    return run


def story(rng: np.random.Generator, rows: int = 500) -> Callable[[], object]:
    """The dropout story of a matched sample with 40 clinicians and three visits."""
    arm, clinician = np.arange(rows) % 3 == 0, rng.integers(0, 40, rows)
    x = rng.normal(3.5, 0.6, (rows, 4))
    scores = 1 + 0.7 * x[:, :1] - 0.3 * arm[:, None] + rng.normal(0, 0.4, (rows, 3))
    continuing = np.repeat((rng.random(rows) > 0.2)[:, None], 3, axis=1)
    scores[~continuing] = np.nan
    scores[rng.random(rows) > 1 / (1 + np.exp(-2 * (scores[:, 1] - 3))), 2] = np.nan

    def analyse(outcome: np.ndarray, weights: np.ndarray) -> Contrast:
        found = weighted_ancova(outcome, arm, x, weights, clinician)
        return student("difference", found.value, found.std_error, found.df)

    return lambda: dropout_story(
        scores,
        primary=2,
        fixed=np.where(continuing[:, 2], np.nan, 1.0),
        may_impute=continuing,
        treated=arm,
        covariates=x,
        names=["baseline", "severity", "phq9", "tenure"],
        analyse=analyse,
        clusters=clinician,
        imputations=SETS,
        rng=np.random.default_rng(1),
    )


def main() -> None:
    """Imputation by arm and with the arm among the predictors, response weights, the normal model, the whole story."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(1)
    x, arm = table(rng), rng.random(ROWS) < 0.3
    kinds = ["pmm"] * 10 + ["logistic"] * 2
    everywhere = np.ones(x.shape, dtype=bool)
    visits = np.where(rng.random((ROWS, 3)) < [0.0, 0.1, 0.3], np.nan, rng.normal(size=(ROWS, 3)))

    def chained(*, by_arm: bool) -> Callable[[], object]:
        return lambda: impute(
            x,
            kinds=kinds,
            may_impute=everywhere,
            treated=arm,
            by_arm=by_arm,
            imputations=SETS,
            rng=np.random.default_rng(2),
        )

    def normal() -> None:
        draws = normal_draws(
            visits, treated=arm, may_impute=everywhere[:, :3], imputations=SETS, rng=np.random.default_rng(3)
        )
        for assumption in ("MAR", "J2R", "CIR", "CR"):
            reference_based(draws, assumption)

    going, baseline = np.ones(visits.shape, dtype=bool), rng.normal(size=(ROWS, 6))
    work: dict[str, tuple[Callable[[], object], float | None]] = {
        "chained equations by arm": (chained(by_arm=True), 0.5),
        "chained equations, arm a predictor": (chained(by_arm=False), None),
        "response weights": (
            lambda: dropout_weights(visits, continuing=going, treated=arm, baseline=baseline),
            None,
        ),
        "normal model with gaps, four assumptions": (normal, None),
        "dropout story of 500 rows": (story(rng), 2.0),
    }
    peer = best(by_statsmodels(x))
    print(f"{SETS} sets of {ROWS:,} x {COLUMNS}: statsmodels MICEData {peer:.2f} s")
    for name, (run, target) in work.items():
        run()
        seconds = best(run)
        against = ""
        if target is not None:
            against = f"   limit {target} s x {seconds / target:.2f} {'met' if seconds <= target else 'MISSED'}"
        beside = f"   1/{peer / seconds:.0f} of statsmodels" if name.startswith("chained") else ""
        print(f"{name:<44}{seconds:7.3f} s{beside}{against}")


if __name__ == "__main__":
    main()
