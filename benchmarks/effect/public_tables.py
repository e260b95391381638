"""Errors, coverage and refusals of AIPW and TMLE on public tables whose truth is known.

    OPENBLAS_NUM_THREADS=1 python benchmarks/effect/public_tables.py FOLDER [--every N] [--effect ATT]

FOLDER holds tables that you fetched; none is in this repository. Three layouts are known by their names:

``x.csv`` with ``zymu_*.csv``
    Atlantic Causal Inference Conference 2016 (Dorie et al. 2019, Stat Sci 34:43-68): covariates; then arm, both
    outcomes and both means. Ten such files are in the package causallib (causallib/datasets/data/acic_challenge_2016);
    the R package aciccomp2016 (vdorie/aciccomp on GitHub) draws all 77 settings with ``dgp_2016``: write its ``z``,
    ``y0``, ``y1``, ``mu0``, ``mu1``.
``ihdp_npci_*.csv``
    Infant Health and Development Program, response surface B (Hill 2011), as in AMLab-Amsterdam/CEVAE on GitHub:
    arm, outcome, the other outcome, two means, 25 covariates, no header.
other ``*.csv`` with columns ``t, y, y0, y1``
    RealCause (Neal, Huang & Raghupathi 2020; bradyneal/realcause on GitHub): the rest are covariates.

Truth is the effect in the rows of the table (SATT or SATE): the mean difference of the two outcomes each row would have
had, as the competition of 2016 counted it (`satt` in aciccomp2016's own dgp.R), and of the two means in IHDP, as is the
custom there. Printed for each analysis: tables, refusals with their codes, root mean squared error and bias in standard
deviations of the outcome, coverage of 95% intervals, and mean standard error.

Beside ACIC 2016 stand the methods published there, whose answers to each draw are in vdorie/aciccomp too
(bakeoff/results_orig). Over the first three draws of each setting the best have .0130 with coverage .900 (BART on the
propensity), .0151 with .931 (BART and TMLE) and .0159 with .935 (BART with symmetric intervals).
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from causal.effect.flat_table import analyse_flat_table
from causal.errors import RapportError
from causal.protocol import STUDY, FlatTableStudy

TREES = {"method": "tmle", "outcome_model": "boosting", "seed": 1}
ANALYSES: dict[str, dict[str, Any]] = {
    "AIPW": {"estimator": {"method": "aipw"}},
    "TMLE": {"estimator": {"method": "tmle"}},
    "TMLE, trees": {"estimator": TREES},
    "TMLE, both trees": {"estimator": TREES, "propensity": {"model": "boosting", "seed": 1}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicTable:
    """A table with arm ``t`` and outcome ``y``, its covariates, and what each row would have had in both arms."""

    family: str
    name: str
    frame: pd.DataFrame
    covariates: tuple[str, ...]
    ones: np.ndarray
    zeros: np.ndarray


def tables(folder: Path) -> Iterator[PublicTable]:
    """Every table of a folder and the folders in it."""
    for path in sorted(folder.rglob("*.csv")):
        if path.name.startswith("zymu_"):
            yield _acic(path)
        elif path.name.startswith("ihdp_npci_"):
            yield _ihdp(path)
        elif path.name != "x.csv":
            yield _realcause(path)


def _acic(path: Path) -> PublicTable:
    x, drawn = pd.read_csv(path.with_name("x.csv")), pd.read_csv(path)
    frame = x.assign(t=drawn["z"], y=np.where(drawn["z"] == 1, drawn["y1"], drawn["y0"]))
    return PublicTable(
        family="ACIC 2016",
        name=path.stem,
        frame=frame,
        covariates=tuple(x.columns),
        ones=drawn["y1"].to_numpy(),
        zeros=drawn["y0"].to_numpy(),
    )


def _ihdp(path: Path) -> PublicTable:
    covariates = tuple(f"x{j}" for j in range(1, 26))
    frame = pd.read_csv(path, header=None, names=["t", "y", "other", "mu0", "mu1", *covariates])
    return PublicTable(
        family="IHDP",
        name=path.stem,
        frame=frame,
        covariates=covariates,
        ones=frame["mu1"].to_numpy(),
        zeros=frame["mu0"].to_numpy(),
    )


def _realcause(path: Path) -> PublicTable:
    frame = pd.read_csv(path)
    covariates = tuple(str(c) for c in frame.columns if c not in ("t", "y", "y0", "y1", "ite"))
    return PublicTable(
        family="RealCause " + path.stem.split("_sample")[0].rstrip("_0123456789"),
        name=path.stem,
        frame=frame,
        covariates=covariates,
        ones=frame["y1"].to_numpy(),
        zeros=frame["y0"].to_numpy(),
    )


def study(table: PublicTable, analysis: dict[str, Any], estimand: str, seed: int) -> FlatTableStudy:
    """What somebody would write for the table who names the models and leaves everything else as it comes."""
    estimator = analysis["estimator"]
    varying = [c for c in table.covariates if (table.frame[c] != table.frame[c].iloc[0]).any()]
    text = [c for c in varying if not pd.api.types.is_numeric_dtype(table.frame[c])]
    bounds = {"lower": float(table.frame["y"].min()), "upper": float(table.frame["y"].max())}
    made = STUDY.validate_python(
        {
            "schema_version": "rapport-study/1",
            "kind": "flat_table",
            "study": {
                "id": "public_table",
                "title": table.name,
                "question": "Is the known effect found?",
                "why_no_trial": "The table was made to be answered.",
                "registered": "not registered",
            },
            "data": {"kind": "file", "path": "table.csv"},
            "seed": seed,
            "columns": {
                "treatment": "t",
                "outcome": "y",
                "numeric": tuple(c for c in varying if c not in text),
                "categorical": tuple(text),
            },
            "analysis": analysis
            | {
                "design": {"method": "propensity", "estimand": estimand},
                "estimator": estimator | (bounds if estimator["method"] == "tmle" else {}),
                "standard_error": "robust",
            },
        }
    )
    assert isinstance(made, FlatTableStudy)
    return made


def main() -> None:
    """One row for each family, analysis and estimand."""
    ask = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    ask.add_argument("folder", type=Path, nargs="?", help="tables that you fetched; without it, how to get them")
    ask.add_argument("--every", type=int, default=1, help="every so many tables of a family")
    ask.add_argument("--only", default="", help="analyses whose name holds this")
    ask.add_argument("--family", default="", help="families whose name holds this")
    ask.add_argument("--effect", default="", help="ATT or ATE alone")
    ask.add_argument("--folds", type=int, default=5, help="of cross-fitting")
    ask.add_argument("--repeats", type=int, help="lots of folds; what goes with the models where it is not said")
    ask.add_argument("--seed", type=int, default=20240601, help="of the study: another lot of folds")
    asked = ask.parse_args()
    if asked.folder is None:
        print(__doc__)
        return
    folds = {"folds": asked.folds, "repeats": asked.repeats}
    errors: dict[tuple[str, str, str], list[tuple[float, float, bool]]] = defaultdict(list)
    refusals: dict[tuple[str, str, str], Counter[str]] = defaultdict(Counter)
    met: Counter[str] = Counter()
    for table in tables(asked.folder):
        met[table.family] += 1
        if (met[table.family] - 1) % asked.every or asked.family not in table.family:
            continue
        sd, treated = float(table.frame["y"].std()), table.frame["t"].to_numpy() == 1
        for estimand, rows in (("ATT", treated), ("ATE", np.ones(treated.size, dtype=bool))):
            if asked.effect not in estimand:
                continue
            truth = float((table.ones - table.zeros)[rows].mean())
            for name, analysis in ANALYSES.items():
                if asked.only not in name:
                    continue
                kind = (table.family, estimand, name)
                try:
                    declared = analysis | {"estimator": analysis["estimator"] | folds}
                    effect = analyse_flat_table(table.frame, study(table, declared, estimand, asked.seed)).effect
                except RapportError as refusal:
                    refusals[kind][refusal.code] += 1
                    print(f"{table.name}, {estimand}, {name}: {refusal}", file=sys.stderr)
                    continue
                inside = effect.lower <= truth <= effect.upper
                errors[kind].append(((effect.value - truth) / sd, effect.std_error / sd, inside))
                print(f"{table.name}, {estimand}, {name}: {errors[kind][-1]}", file=sys.stderr)
    print(
        f"{'tables':26}{'effect':8}{'analysis':18}{'n':>5}{'refused':>9}{'error':>9}{'bias':>9}{'SE':>9}{'covers':>8}"
    )
    for kind in sorted(set(errors) | set(refusals)):
        found, refused = np.array(errors[kind] or [(np.nan,) * 3], dtype=float), refusals[kind]
        error, bias = np.sqrt((found[:, 0] ** 2).mean()), found[:, 0].mean()
        family, estimand, name = kind
        print(
            f"{family:26}{estimand:8}{name:18}{len(errors[kind]) + refused.total():5}{refused.total():9}{error:9.4f}"
            f"{bias:9.4f}{found[:, 1].mean():9.4f}{found[:, 2].mean():8.3f}  {dict(refused) or ''}"
        )


if __name__ == "__main__":
    main()
