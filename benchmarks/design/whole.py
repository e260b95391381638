"""A whole design from a Parquet file: read, propensity, match, balance, effect with cluster-robust error.

    OPENBLAS_NUM_THREADS=1 python benchmarks/design/whole.py

A million rows, a hundred thousand treated, twelve covariates. Processor seconds, best of three, and the most memory the
process ever held (imports and compiled loops included). R's MatchIt takes 18.6 s and 1.3 GB for the same.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROWS, COLUMNS, TARGET, TARGET_GB = 1_000_000, 12, 1.8, 1.2


def write(path: Path) -> None:
    """The table: treatment on two covariates, an outcome on three, clinicians of two hundred rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(7)
    x = rng.normal(size=(ROWS, COLUMNS))
    treated = rng.random(ROWS) < 1 / (1 + np.exp(2.4 - 0.5 * x[:, 0] - 0.3 * x[:, 1]))
    outcome = x[:, 0] + 0.5 * x[:, 2] + 0.3 * treated + rng.normal(size=ROWS)
    columns = {f"x{j}": x[:, j] for j in range(COLUMNS)}
    columns |= {"treated": treated, "outcome": outcome, "clinician": rng.integers(0, ROWS // 200, ROWS)}
    pq.write_table(pa.table(columns), path, compression="zstd")


def design(path: Path) -> dict[str, float]:
    """Seconds of each step."""
    import pyarrow.parquet as pq

    from causal.design.diagnostics.balance import balance_table
    from causal.design.matching.caliper import caliper_width
    from causal.design.matching.greedy import match_greedy
    from causal.design.matching.sets import row_weights
    from causal.design.propensity.fit import fit_propensity
    from causal.effect.matched_estimates import weighted_ancova

    names = [f"x{j}" for j in range(COLUMNS)]
    seconds: dict[str, float] = {}
    began = time.process_time()

    def done(step: str) -> None:
        nonlocal began
        seconds[step] = time.process_time() - began
        began = time.process_time()

    table = pq.read_table(path, use_threads=False)
    x = np.empty((table.num_rows, COLUMNS))
    for j, name in enumerate(names):
        x[:, j] = table[name].to_numpy()
    treated, outcome, clinician = (table[name].to_numpy() for name in ("treated", "outcome", "clinician"))
    del table
    done("read")
    propensity = fit_propensity(x, treated, names=names)
    done("propensity")
    width = caliper_width(propensity.logit, treated, width=0.2)
    sets = match_greedy(propensity.logit, treated, caliper=width)
    done("match")
    balance_table(x, names, [1] * COLUMNS, treated, row_weights(sets, ROWS))
    done("balance")
    weighted_ancova(outcome[sets.row], sets.is_treated, None, weights=sets.weight, clusters=clinician[sets.row])
    done("effect")
    return seconds


def main() -> None:
    """The steps, their sum, the peak."""
    if len(sys.argv) > 1:
        write(Path(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "table.parquet"
        subprocess.run([sys.executable, __file__, str(path)], check=True)
        design(path)  # compiles
        runs = [design(path) for _ in range(3)]
    fastest = min(runs, key=lambda run: sum(run.values()))
    score = np.random.default_rng(1).normal(size=ROWS)
    began = time.process_time()
    np.argsort(score)
    sort = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    total = sum(fastest.values())
    print(", ".join(f"{step} {second:.2f}" for step, second in fastest.items()))
    print(
        f"{'whole design from Parquet, 1,000,000 rows':<58}{total:8.3f} s {total / sort:8.1f} x argsort   "
        f"target {TARGET} s   peak {peak:.2f} GB, target {TARGET_GB} GB"
    )


if __name__ == "__main__":
    main()
