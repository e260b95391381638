#!/usr/bin/env bash
# A ridge chosen by cross-validation that shrinks every slope by a fifteenth, however many the rows.
#
# Expected: where shrinking gains nothing, cross-validation chooses hardly any penalty, and with more and more rows the
#   slopes become those of maximum likelihood; for a ridge as for a lasso.
# Happens: glmnet (here python-glmnet 2.6.1) starts the path of a ridge a thousand times higher than that of a lasso
#   (alpha 0 counts as .001) and ends it at 1/10,000 of where it starts: at a tenth of the strength at which a lasso
#   leaves no slope. With four honest columns cross-validation takes the end of the path or next to it, and the slopes
#   stay near .93 of the likelihood's at 20,000 and at 100,000 rows. A path that goes on gives .98 and more.
# Matters: scores shrunk alike match well but weigh wrongly. Inverse-probability weights by such a ridge keep some 7% of
#   the confounding at any sample size, while intervals narrow around it. Give lambda_path, or look whether the chosen
#   strength is the last one.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check \
  python-glmnet==2.6.1 numpy==2.2.6 scipy==1.17.1 scikit-learn==1.9.1 2>/dev/null
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import numpy as np
from glmnet import LogitNet
from scipy.optimize import minimize

rng = np.random.default_rng(2)
for n in (20_000, 100_000):
    x = rng.normal(size=(n, 4))
    y = (rng.random(n) < 1 / (1 + np.exp(0.9 - x @ np.array([0.6, 0.45, -0.4, 0.3])))).astype(int)
    z = np.column_stack([np.ones(n), x])
    plain = minimize(
        lambda b: np.logaddexp(0, z @ b).mean() - (y * (z @ b)).mean(),
        np.zeros(5),
        jac=lambda b: z.T @ (1 / (1 + np.exp(-z @ b)) - y) / n,
        method="BFGS",
        options={"gtol": 1e-8},
    ).x[1:]
    kept = {}
    for name, words in {"ridge": {"alpha": 0}, "ridge, longer path": {"alpha": 0, "lambda_path": np.geomspace(10, 1e-5, 100)},
                        "lasso": {"alpha": 1}}.items():
        fit = LogitNet(n_splits=5, cut_point=0, scoring="log_loss", random_state=1, **words).fit(x, y)
        kept[name] = float((fit.coef_.ravel() @ plain) / (plain @ plain))
        last = fit.lambda_path_[-1]
        print(f"{n:7,} rows, {name:19}: last strength tried {last:.5f}, chosen {fit.lambda_max_:.5f}, "
              f"slopes {kept[name]:.3f} of maximum likelihood's")
    assert kept["ridge"] < 0.95, "changed: the path of a ridge goes on"
    assert kept["ridge, longer path"] > 0.98 and kept["lasso"] > 0.96, "changed"
print("as found with python-glmnet 2.6.1")
PY
