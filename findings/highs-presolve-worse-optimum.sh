#!/usr/bin/env bash
# The largest balanced sample, half as large as it could be, and "proven".
#
# Expected: a solver that reports an optimal solution with a gap of zero has found the best there is.
# Happens: scipy 1.15.3 hands mixed-integer programmes to its HiGHS. On a small cardinality match (how many treated and
#   comparison units can be kept in each cell, so that means agree) presolve makes it call 3 the best, with the bound 3
#   and status "optimal"; without presolve it finds 6, which satisfies every constraint to 1e-9.
# Matters: cardinality matching (Zubizarreta 2014, Ann Appl Stat 8:204-231) reports the size of the largest balanced
#   sample. Half of it is thrown away with a proof that nothing larger exists. Set options={"presolve": False}.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check scipy==1.15.3 numpy==2.4.6 2>/dev/null
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

# How many of each kind are kept (five counts), the pairs per arm in both strata, a mean and its shortfall.
s = np.sqrt(0.5)
rows = np.array([
    [1, 0, 0, 1, 1, -1, 0, 0, 0],
    [0, 1, 1, 0, 0, 0, -1, 0, 0],
    [3, 0, 0, 0, 0, -2, 0, 0, 0],
    [0, 0, 0, 3, 3, -1, 0, 0, 0],
    [-s, 0, 0, -s, 2 * s, 0, 0, -1, 0],
    [0, 0, 0, 0, 0, -1, 0, 1, -1],
    [0, 0, 0, 0, 0, 1, 0, 1, 1],
])
low, high = np.array([0, 0, 0, 0, 0, -np.inf, 0]), np.array([0, 0, 0, 0, 0, 0, np.inf])
bounds = Bounds([0, 2, 1, 0, 0, 1, 1, -np.inf, 0], [4, 2, 1, 1, 1, 6, 3, np.inf, 0])
cost = np.array([0, 0, 0, 0, 0, -1, 0, 0, 0])
whole = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0])

found = {}
for presolve in (True, False):
    result = milp(cost, integrality=whole, bounds=bounds, constraints=LinearConstraint(rows, low, high),
                  options={"presolve": presolve})
    inside = (rows @ result.x >= low - 1e-9).all() and (rows @ result.x <= high + 1e-9).all()
    found[presolve] = -result.fun
    print(f"presolve {presolve}: largest sample {-result.fun:g}, bound {-result.mip_dual_bound:g}, "
          f"status {result.status} (optimal), constraints kept: {inside}")
    assert result.status == 0 and inside, "changed"
assert found[True] == 3 and found[False] == 6, "changed: presolve no longer loses the larger sample"
print("as found with scipy 1.15.3")
PY
