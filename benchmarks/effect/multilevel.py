"""Speed of mixed models and estimating equations beside statsmodels in the same run.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/multilevel.py

Processor seconds, best of three: 5,000 patients of 250 clinicians with up to five visits each, treatment and seven
covariates. Ours include checks, Satterthwaite degrees of freedom and, for estimating equations, the corrected errors;
statsmodels gives neither degrees of freedom nor a correction there. R's lmer takes 0.8 s for the first row.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.append(str(Path(__file__).resolve().parents[1]))
from timing import best

from causal.effect.multilevel.clustered import clustered_alliance
from causal.effect.multilevel.marginal import marginal_alliance


def extract(patients: int, clinicians: int) -> pd.DataFrame:
    """Draw patients of clinicians with two to six visits, some missed."""
    rng = np.random.default_rng(patients)
    patient = np.repeat(np.arange(patients), rng.integers(3, 7, patients))
    clinician = patient * clinicians // patients
    frame = pd.DataFrame(rng.normal(size=(patient.size, 7)), columns=[f"x{j}" for j in range(7)])
    frame["patient"], frame["clinician"] = patient, clinician
    frame["treated"] = (rng.random(patients) < 0.3)[patient].astype(float)
    frame["y"] = frame.filter(like="x").sum(axis=1) * 0.2 - 0.3 * frame["treated"] + rng.normal(size=patient.size)
    frame["y"] += 0.4 * rng.normal(size=clinicians)[clinician] + 0.7 * rng.normal(size=patients)[patient]
    return frame


def main() -> None:
    """Print one line per model."""
    import statsmodels.api as sm
    from statsmodels.regression.mixed_linear_model import MixedLM

    frame = extract(5000, 250)
    names = [f"x{j}" for j in range(7)]
    formula = "y ~ treated + " + " + ".join(names)
    y, treated, x = (frame[c].to_numpy() for c in ("y", "treated", names))
    patient, clinician = frame["patient"].to_numpy(), frame["clinician"].to_numpy()

    def mixed() -> float:
        return (
            clustered_alliance(y, treated > 0, covariates=x, names=names, patient=patient, clinician=clinician)
            .contrasts[0]
            .value
        )

    def peer_mixed() -> float:
        model = MixedLM.from_formula(
            formula, frame, groups="clinician", re_formula="1", vc_formula={"patient": "0 + C(patient)"}
        )
        return float(model.fit().params["treated"])

    def marginal() -> float:
        return marginal_alliance(y, treated > 0, covariates=x, names=names, clusters=clinician).contrast.value

    def peer_marginal() -> float:
        model = sm.GEE.from_formula(formula, "clinician", frame, cov_struct=sm.cov_struct.Exchangeable())
        return float(model.fit().params["treated"])

    print(f"{len(frame):,} rows, 5,000 patients, 250 clinicians")
    for label, ours, theirs in (
        ("random intercepts of patients in clinicians", mixed, peer_mixed),
        ("estimating equations, exchangeable", marginal, peer_marginal),
    ):
        gap = abs(ours() - theirs())
        own, peer = best(ours), best(theirs)
        print(f"{label:<45}{own:7.3f} s   {own / peer:5.2f} x statsmodels ({peer:.3f})   effects differ by {gap:.0e}")


if __name__ == "__main__":
    main()
