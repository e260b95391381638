#!/usr/bin/env bash
# A random-effects mean that lies outside every study.
#
# Expected: the DerSimonian-Laird variance between studies is cut off at zero (DerSimonian & Laird 1986, Control Clin
#   Trials 7:177-188), so that six studies that agree better than chance give their fixed-effect mean, 0.300.
# Happens: statsmodels 0.15.0 keeps a negative variance (-0.047). Some weights become negative (from -1.39 to +2.75), the
#   "random effect" is 0.264 although every study lies between 0.29 and 0.31, and its standard error is missing. With
#   milder agreement the interval is there and far too narrow.
# Matters: a review that reads the row "random effect" reports a mean that no study supports. Cut tau2 at zero before use.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 numpy==2.4.6 scipy==1.15.3 pandas==3.0.6 2>/dev/null
cd "$dir"
"$dir/venv/bin/python" -W ignore - <<'PY'
import numpy as np
from statsmodels.stats.meta_analysis import combine_effects

effect = np.array([0.30, 0.31, 0.29, 0.30, 0.305, 0.295])
variance = np.array([0.04, 0.05, 0.045, 0.05, 0.04, 0.06])
found = combine_effects(effect, variance, method_re="dl")
table = found.summary_frame()
mean, error = table.loc["random effect", ["eff", "sd_eff"]]
print(f"tau2 {found.tau2:+.4f}; fixed {table.loc['fixed effect', 'eff']:.4f}; random {mean:.4f} (SE {error}); "
      f"studies {effect.min()} to {effect.max()}; weights {table['w_re'][:6].min():+.2f} to {table['w_re'][:6].max():+.2f}")
assert found.tau2 < 0, "changed: tau2 is no longer negative"
assert not effect.min() <= mean <= effect.max(), "changed: the mean lies among the studies"

milder = combine_effects(np.array([0.1, 0.5, 0.2, 0.6]), np.array([0.08, 0.09, 0.07, 0.1]), method_re="dl")
rows = milder.summary_frame()
width = {name: rows.loc[name, "ci_upp"] - rows.loc[name, "ci_low"] for name in ("fixed effect", "random effect")}
print(f"milder: tau2 {milder.tau2:+.4f}; width of the interval: fixed {width['fixed effect']:.3f}, "
      f"random {width['random effect']:.3f}")
assert milder.tau2 < 0, "changed"
assert width["random effect"] < width["fixed effect"], "changed: random effects are no longer surer than fixed ones"
print("as found with statsmodels 0.15.0")
PY
