"""A cohort and a design as private files: Parquet for rows, JSON for the rest, read back and checked by digest."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from causal.design.diagnose import Diagnostics
from causal.design.diagnostics.balance import BalanceRow
from causal.design.diagnostics.overlap import OverlapBin
from causal.design.fates import CovariateFate
from causal.design.propensity.curvature import Curvature
from causal.errors import DesignError
from causal.records import AttritionStep, Cohort, Design

DIAGNOSTICS = TypeAdapter(Diagnostics)
CURVATURE = TypeAdapter(Curvature)
FATES = TypeAdapter(tuple[CovariateFate, ...])
FRAMES = ("members", "covariates")


def write_cohort(cohort: Cohort, folder: Path) -> None:
    """occasions.parquet and cohort.json."""
    cohort.occasions.to_parquet(folder / "occasions.parquet", index=False)
    attrition = [dataclasses.asdict(step) for step in cohort.attrition]
    _write_json(folder / "cohort.json", {"attrition": attrition, "covariates": cohort.covariates})


def read_cohort(folder: Path) -> Cohort:
    """The cohort written by `write_cohort`."""
    facts = _read_json(folder / "cohort.json")
    return Cohort(
        occasions=pd.read_parquet(folder / "occasions.parquet"),
        attrition=tuple(AttritionStep(**step) for step in facts["attrition"]),
        covariates=tuple(facts["covariates"]),
    )


def write_design(design: Design, folder: Path) -> None:
    """members.parquet, covariates.npy and design.json, which states the design's digest."""
    design.members.to_parquet(folder / "members.parquet", index=False)
    np.save(folder / "covariates.npy", design.covariates, allow_pickle=False)
    facts = {
        field.name: getattr(design, field.name) for field in dataclasses.fields(design) if field.name not in FRAMES
    }
    for name in ("attrition", "balance", "overlap", "fates"):
        facts[name] = [dataclasses.asdict(row) for row in facts[name]]
    facts["curvature"] = CURVATURE.dump_python(design.curvature, mode="json")
    facts["diagnostics"] = DIAGNOSTICS.dump_python(design.diagnostics, mode="json")
    _write_json(folder / "design.json", {"digest": design.digest, "design": facts})


def read_design(folder: Path, digest: str | None = None) -> Design:
    """The design written by `write_design`.

    Raises
    ------
    DesignError
        ``design.altered`` when the files no longer give the digest they state, or another than `digest`.
    """
    stored = _read_json(folder / "design.json")
    facts: dict[str, Any] = stored["design"]
    facts["attrition"] = tuple(AttritionStep(**row) for row in facts["attrition"])
    facts["balance"] = tuple(BalanceRow(**row) for row in facts["balance"])
    facts["overlap"] = tuple(OverlapBin(**row) for row in facts["overlap"])
    facts["fates"] = FATES.validate_python(facts["fates"])
    facts["curvature"] = CURVATURE.validate_python(facts["curvature"])
    facts["diagnostics"] = DIAGNOSTICS.validate_python(facts["diagnostics"])
    for name in ("covariate_names", "aliased", "separated"):
        facts[name] = tuple(facts[name])
    design = Design(
        members=pd.read_parquet(folder / "members.parquet"),
        covariates=np.load(folder / "covariates.npy", allow_pickle=False),
        **facts,
    )
    if design.digest != stored["digest"] or (digest is not None and design.digest != digest):
        raise DesignError(
            "design.altered",
            "the stored design does not give its own digest",
            fix="delete it and run 'rapport design' again",
        )
    return design


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
