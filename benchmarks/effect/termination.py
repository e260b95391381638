"""Speed of the estimators of endings over time: 100,000 rows in matched sets of four, 365 days.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/termination.py

Processor seconds, best of three, beside statsmodels on the same rows in the same run (its Cox regression on a tenth of
the rows, the time for all being proportional or worse). Compilation is not timed. The target for the whole course with
covariates is 2 s.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from causal.effect.principal_strata import always_stayer_bounds
from causal.effect.termination.conditional_logit import conditional_logit
from causal.effect.termination.course import termination_course
from causal.effect.termination.hazard import cox
from causal.effect.termination.incidence import aalen_johansen

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

ROWS, TARGET = 100_000, 2.0


def drawn(rows: int) -> dict[str, Any]:
    """Sets of one treated and three comparisons, whole days, both kinds of ending, censoring, five covariates."""
    rng = np.random.default_rng(1)
    sets, arm = np.arange(rows) // 4, np.arange(rows) % 4 == 0
    x = rng.normal(size=(rows, 5))
    event, other = rng.exponential(np.where(arm, 150, 250) * np.exp(-0.2 * x[:, 0])), rng.exponential(400, rows)
    seen = rng.uniform(60, 365, rows)
    time = np.minimum(np.minimum(event, other), seen)
    return {
        "time": np.ceil(time),
        "cause": np.where(time == event, 1, np.where(time == other, 2, 0)),
        "treated": arm,
        "weights": np.where(arm, 1.0, 1 / 3),
        "clusters": sets,
        "covariates": x,
    }


def line(name: str, ours: float, peer: tuple[str, float] | None = None, target: float | None = None) -> None:
    """One line: seconds, and the peer's in the same run or the target."""
    beside = f"{peer[1] / ours:8.1f} x the speed of {peer[0]} ({peer[1]:.3f} s)" if peer else ""
    kept = f"   target {target} s {'reached' if ours <= target else 'missed'}" if target else ""
    print(f"{name:<58}{ours:7.3f} s {beside}{kept}")


def quietly(work: Callable[[], object]) -> Callable[[], object]:
    """The work without statsmodels' warnings of divisions by zero."""

    def run() -> object:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return work()

    return run


def main() -> None:
    """The course, and its parts beside statsmodels."""
    from statsmodels.discrete.conditional_models import ConditionalLogit
    from statsmodels.duration.hazard_regression import PHReg
    from statsmodels.duration.survfunc import CumIncidenceRight

    data, few = drawn(ROWS), drawn(ROWS // 10)
    plan = {"days": [30, 60, 90, 180], "horizon": 180}
    plain = {**data, "covariates": None}
    termination_course(**drawn(400), **plan)
    print(f"{ROWS:,} rows in matched sets")
    line(
        "course: 4 days, days lost and lasting, hazard ratio",
        best(lambda: termination_course(**plain, **plan)),
        None,
        2.0,
    )
    clinicians = {**data, "clusters": np.arange(ROWS) % 500}
    line("the same, 5 covariates", best(lambda: termination_course(**data, **plan)), None, TARGET)
    line("the same, 500 clinicians", best(lambda: termination_course(**clinicians, **plan)), None, TARGET)

    time, cause, arm, x = data["time"], data["cause"], data["treated"], data["covariates"]
    theirs = best(quietly(lambda: CumIncidenceRight(time, cause)))
    line(
        "Aalen-Johansen with pseudo-values at one day",
        best(lambda: aalen_johansen(time, cause).incidence_pseudo_values(90)),
        ("CumIncidenceRight", theirs),
    )
    design = np.column_stack([few["covariates"], few["treated"]])
    ended = few["cause"] == 1
    theirs = best(
        quietly(lambda: PHReg(few["time"], design, status=ended, ties="efron").fit(groups=few["clusters"], disp=0))
    )
    line(
        f"Cox, Efron, 6 columns, robust, {ROWS // 10:,} rows",
        best(lambda: cox(few["time"], ended, design, clusters=few["clusters"])),
        ("PHReg", theirs),
    )
    line(
        "the same, all rows", best(lambda: cox(time, cause == 1, np.column_stack([x, arm]), clusters=data["clusters"]))
    )
    theirs = best(
        quietly(
            lambda: ConditionalLogit(ended.astype(float), design, groups=few["clusters"]).fit(method="newton", disp=0)
        )
    )
    conditional_logit(ended[:400], design[:400], sets=few["clusters"][:400])
    line(
        f"conditional logit, 6 columns, {ROWS // 10:,} rows",
        best(lambda: conditional_logit(ended, design, sets=few["clusters"])),
        ("ConditionalLogit", theirs),
    )
    line(
        "the same, all rows",
        best(lambda: conditional_logit(cause == 1, np.column_stack([x, arm]), sets=data["clusters"])),
    )
    rng = np.random.default_rng(2)
    stayed = (cause != 1) | (time > 90)
    score = np.where(stayed, np.round(rng.normal(3.5, 0.7, ROWS) * 12) / 12, np.nan)
    line(
        "always-stayer bounds, 1,000 draws of whole sets",
        best(
            lambda: always_stayer_bounds(
                score, stayed, arm, clusters=data["clusters"], weights=data["weights"], rng=rng
            )
        ),
    )


if __name__ == "__main__":
    main()
