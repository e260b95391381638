#!/usr/bin/env bash
# A placebo test that condemns a right answer, because it reuses the scores of the analysis it tests.
#
# Expected: a placebo refuter replaces the treatment by a permuted one, estimates again, and finds about 0 when the
#   analysis is sound.
# Happens: DoWhy 0.14's propensity estimators write their scores into the caller's frame (`propensity_score` and others);
#   the refuters, given that frame, find the column and use the real treatment's scores for the permuted one. On a sound
#   analysis (truth 1) the placebo "effect" is far from 0; on a fresh copy of the frame it is about 0. The refuter that
#   adds a random common cause returns exactly the first estimate, for the same reason.
# Matters: right analyses are thrown away, or the test is not trusted when it should be. Hand the refuter a copy of the
#   frame without those columns.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check dowhy==0.14 pandas==3.0.6 numpy==2.4.6 scipy==1.15.3 scikit-learn==1.9.1 2>/dev/null
cd "$dir"
"$dir/venv/bin/python" -W ignore - <<'PY' 2>/dev/null
import numpy as np
import pandas as pd
from dowhy import CausalModel

rng = np.random.default_rng(1)
x = rng.normal(size=(4000, 3))
w = rng.random(4000) < 1 / (1 + np.exp(-(x @ [1.0, 0.8, -0.6])))
frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(w=w, y=x @ [1.0, 1.0, -1.0] + w + rng.normal(size=4000))

def placebo(data, again):
    model = CausalModel(data=data, treatment="w", outcome="y", common_causes=["a", "b", "c"])
    estimand = model.identify_effect(method_name="maximal-adjustment")
    estimate = model.estimate_effect(estimand, method_name="backdoor.propensity_score_weighting")
    if again is not None:
        model = CausalModel(data=again, treatment="w", outcome="y", common_causes=["a", "b", "c"])
    refuter = {"num_simulations": 20, "random_state": np.random.RandomState(1)}
    fake = model.refute_estimate(estimand, estimate, method_name="placebo_treatment_refuter", placebo_type="permute", **refuter)
    cause = model.refute_estimate(estimand, estimate, method_name="random_common_cause", **refuter)
    return estimate.value, fake.new_effect, cause.new_effect

mutated = frame.copy()
value, stale, cause = placebo(mutated, None)
added = sorted(set(mutated.columns) - set(frame.columns))
_, clean, fresh = placebo(frame.copy(), frame.copy())
print(f"estimate {value:.3f} (truth 1); columns added to the frame: {', '.join(added)}")
print(f"placebo on that frame {stale:+.3f}, on a clean copy {clean:+.3f}; random common cause {cause:.6f} against {fresh:.6f}")
assert "propensity_score" in added, "changed: the frame is left alone"
assert abs(stale) > 0.5 > 0.2 > abs(clean), "changed: the placebo no longer depends on the frame"
print("as found with DoWhy 0.14")
PY
