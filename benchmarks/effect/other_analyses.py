"""Speed of the analyses beside the primary one, at the size of the demonstration, each and in all, beside a yardstick.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/other_analyses.py

Processor seconds, best of three, of every analysis that the shipped study declares: 20,000 simulated patients, about
6,600 eligible occasions and 290 matched sets, in memory. The yardstick is a fixed workload timed before and after them,
so that a slow machine is not taken for slow code. Before outcome regressions bent and imputed sets were built by
products they took 65 to 85 times that; half of it, 38 times, is the limit.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "recovery"))
import numpy as np
import pandas as pd
from in_memory import cohort_of, facts_of
from replicate import flagship, record
from settings import SETTINGS
from timing import best, yardstick

from causal.design.build import build_design
from causal.effect.outcomes import SUBSCALE, OpenedFacts, primary_window
from causal.effect.secondary.opened import Opened
from causal.effect.secondary.run import evaluated
from causal.protocol.outcome import Rating
from causal.threads import one_thread

PATIENTS, SEED, LIMIT = 20_000, 1, 38


def completed(facts: pd.DataFrame) -> pd.DataFrame:
    """The facts with what this shorter way leaves out: the total for each subscale, nobody in hospital."""
    assert isinstance(flagship().outcome, Rating)
    subscales = {f"{SUBSCALE}{name}": facts["window_score"] for name in flagship().outcome.subscales}
    return facts.assign(**subscales, treated_later_after_days=np.nan, inpatient_in_window=False)


def main() -> None:
    """Every analysis, their sum, and the sum as a multiple of the yardstick and of a full design."""
    study = flagship()
    assert isinstance(study.outcome, Rating)
    made = record(SETTINGS["base"].parameters, PATIENTS, SEED)
    cohort = cohort_of(made, study)
    design = build_design(cohort, study)
    ids, everyone = design.members["ta_id"].tolist(), cohort.occasions["ta_id"].tolist()
    opened = Opened(
        design=design,
        study=study,
        follow_up=OpenedFacts(
            facts={window.day: completed(facts_of(made, ids, study, window)) for window in study.outcome.windows},
            everyone=completed(facts_of(made, everyone, study, primary_window(study.outcome))),
        ),
        score_range=(1, 5),
        cohort=cohort,
    )
    total = 0.0
    with one_thread():
        before = yardstick()
        for declared in study.secondary:
            found = evaluated(opened, declared)
            seconds = best(partial(evaluated, opened, declared))
            total += seconds
            said = f"   NOT EVALUATED: {'; '.join(found.not_evaluated)}" if found.not_evaluated else ""
            print(f"{declared.analysis:<28}{seconds:8.3f} s{said}")
        whole = best(partial(build_design, cohort, study))
        stick = (before + yardstick()) / 2
    kept = "kept" if total <= LIMIT * stick else "MISSED"
    print(f"{'all':<28}{total:8.3f} s   {total / stick:.0f} x the yardstick of {stick:.3f} s; at most {LIMIT}: {kept}")
    print(f"{'one full design':<28}{whole:8.3f} s   all are {total / whole:.1f} x that")


if __name__ == "__main__":
    main()
