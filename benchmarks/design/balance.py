"""Speed of the balance table: a million occasions, twelve covariates, before and after, with both distribution gaps.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/balance.py

Processor seconds, best of three, beside `np.argsort` of the same columns in the same run. Compilation is not timed.
The target is 0.8 s; R's cobalt takes 16.6 s for such a table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.design.diagnostics.balance import balance_table

ROWS, COLUMNS, TARGET = 1_000_000, 12, 0.8


def row(name: str, covariates: np.ndarray, treated: np.ndarray, weights: np.ndarray) -> None:
    """One line: the table beside sorting its columns."""
    names = [f"x{j}" for j in range(COLUMNS)]
    columns = [np.ascontiguousarray(x) for x in covariates.T]
    ours = best(lambda: balance_table(covariates, names, [1] * COLUMNS, treated, weights))
    sorts = best(lambda: [np.argsort(x) for x in columns])
    kept = "reached" if ours <= TARGET else "missed"
    print(f"{name:<44}{ours:7.3f} s {ours / sorts:6.2f} x np.argsort ({sorts:.3f} s)   target {TARGET} s {kept}")


def main() -> None:
    """All continuous, then as an extract has them: numbers, counts and yes-or-no."""
    rng = np.random.default_rng(1)
    treated = rng.random(ROWS) < 0.1
    weights = rng.random(ROWS) * (rng.random(ROWS) < 0.5)
    continuous = rng.normal(size=(ROWS, COLUMNS))
    balance_table(continuous[:100], [f"x{j}" for j in range(COLUMNS)], [1] * COLUMNS, treated[:100], weights[:100])
    print(f"{ROWS:,} x {COLUMNS}, before and after")
    row("12 continuous", continuous, treated, weights)
    mixed = continuous.copy()
    mixed[:, 4:8] = np.round(3 * mixed[:, 4:8])
    mixed[:, 8:] = mixed[:, 8:] > 0
    row("4 continuous, 4 counts, 4 yes-or-no", mixed, treated, weights)


if __name__ == "__main__":
    main()
