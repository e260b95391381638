"""Speed of g-computation, augmented weighting and targeted likelihood beside the regressions they rest on.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/doubly_robust.py

Processor seconds, best of three, 200,000 occasions of 2,000 clinicians with twelve covariates. Each row names its peer
in the same run: statsmodels' least squares and logistic regression with errors clustered in their own way, and
scikit-learn's two regressions, cross-fitted in five folds, which have no error at all. Compilation is not timed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import expit

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.effect.doubly_robust.aipw import aipw
from causal.effect.doubly_robust.outcome_model import OutcomeModel
from causal.effect.doubly_robust.tmle import tmle
from causal.effect.standardisation import g_computation

ROWS, COLUMNS, CLINICIANS = 200_000, 12, 2_000
NAMES = [f"x{j}" for j in range(COLUMNS)]


def main() -> None:
    """Each estimator with its error, beside its peer."""
    import statsmodels.api as sm
    from sklearn.linear_model import LinearRegression, LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_predict

    rng = np.random.default_rng(1)
    x = rng.normal(size=(ROWS, COLUMNS))
    x[:, 9:] = x[:, 9:] > 1
    clusters = rng.integers(0, CLINICIANS, ROWS)
    treated = rng.random(ROWS) < expit(x @ np.linspace(-0.5, 0.5, COLUMNS) - 1.4)
    y = np.clip(3 + 0.2 * x.sum(axis=1) + 0.3 * treated + rng.normal(size=ROWS), -5, 11)
    event = (rng.random(ROWS) < expit(0.3 * x[:, 0] + 0.4 * treated - 1)).astype(float)
    design = np.column_stack([np.ones(ROWS), treated, x, x * treated[:, None]])
    by_cluster = {"cov_type": "cluster", "cov_kwds": {"groups": clusters}}

    def learned_by_hand() -> None:
        folds = GroupKFold(5)
        cross_val_predict(LogisticRegression(C=1e6), x, treated, groups=clusters, cv=folds, method="predict_proba")
        cross_val_predict(LinearRegression(), x, y, groups=clusters, cv=folds)

    least_squares = best(lambda: sm.OLS(y, design).fit(**by_cluster).params)
    logistic = best(lambda: sm.GLM(event, design, family=sm.families.Binomial()).fit(**by_cluster).params)
    learned = best(learned_by_hand)
    bounds = (-5.0, 11.0)
    lines = OutcomeModel()
    work: dict[str, tuple[Callable[[], object], str, float]] = {
        "g-computation, CR2": (
            lambda: g_computation(y, treated, x, None, clusters, names=NAMES),
            "statsmodels OLS",
            least_squares,
        ),
        "g-computation, logistic, CR2": (
            lambda: g_computation(event, treated, x, None, clusters, names=NAMES, family="logistic"),
            "statsmodels GLM",
            logistic,
        ),
        "AIPW ATT, one fit": (
            lambda: aipw(y, treated, x, names=NAMES, clusters=clusters, folds=None),
            "scikit-learn, 5 folds",
            learned,
        ),
        "AIPW ATT, 5 folds": (
            lambda: aipw(y, treated, x, names=NAMES, clusters=clusters),
            "scikit-learn, 5 folds",
            learned,
        ),
        "TMLE ATE, 5 folds, linear": (
            lambda: tmle(
                y, treated, x, names=NAMES, clusters=clusters, estimand="ATE", bounds=bounds, outcome_model=lines
            ),
            "scikit-learn, 5 folds",
            learned,
        ),
        "TMLE ATE, 5 folds, logistic": (
            lambda: tmle(y, treated, x, names=NAMES, clusters=clusters, estimand="ATE", bounds=bounds),
            "scikit-learn, 5 folds",
            learned,
        ),
    }
    print(f"{ROWS:,} x {COLUMNS}, {int(treated.sum()):,} treated, {CLINICIANS:,} clinicians")
    for name, (run, peer, theirs) in work.items():
        run()
        seconds = best(run)
        print(f"{name:<32}{seconds:7.3f} s {seconds / theirs:6.2f} x {peer} ({theirs:.3f} s)")


if __name__ == "__main__":
    main()
