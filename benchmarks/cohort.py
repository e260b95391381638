"""Speed and memory of the cohort on a million patients, beside their limits.

    python benchmarks/cohort.py

Simulates the extract once (kept under build/bench/), then measures each part in a process of its own: a plain DuckDB
scan of the columns the cohort reads, the cohort with its covariates and the matched design, and the validation of the
same extract. Prints every figure beside its limit; the exit code is 1 when a limit is broken.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / "build" / "bench"
SEED = 20240601
MEMORY_GB, THREADS = 2.0, 2
PEAK_LIMIT_GB = 4.0
SECONDS_LIMIT = {"scan": float("inf"), "cohort": 60.0, "validation": 120.0}
READ = {
    "patients": ("person_id", "birth_year", "sex", "death_date"),
    "clinics": ("clinic_id", "state"),
    "clinicians": ("clinician_id", "clinic_id", "profession"),
    "jurisdiction_regime": ("state", "profession", "valid_from", "valid_to", "regime"),
    "encounters": ("person_id", "clinician_id", "start_ts", "status"),
    "threat_assessments": (
        "ta_id",
        "person_id",
        "clinician_id",
        "ts",
        "instrument_ver",
        "severity",
        "target_identified",
        "means_access",
        "history_violence",
    ),
    "protective_actions": ("person_id", "action", "patient_informed", "ts", "ta_id"),
    "measures": (
        "person_id",
        "clinician_id",
        "instrument",
        "version",
        "rater",
        "admin_ts",
        *(f"itm_{number:02d}" for number in range(1, 13)),
    ),
    "diagnoses": ("person_id", "icd10", "onset"),
    "hospitalizations": ("person_id", "admit", "discharge"),
    "episodes": ("person_id", "clinician_id", "start", "end"),
}
"""Columns the cohort reads, by table."""
COSTS = {"seconds", "cpu_seconds", "peak_gb"}
"""Figures every part has."""


def extract_folder(patients: int) -> Path:
    """The extract, simulated if it is not there yet."""
    from causal.simulation import SimulationParameters
    from flows.simulate_extract import simulate_extract

    out = CACHE / f"extract-{patients}"
    if not (out / "extract" / "manifest.json").exists():
        start = time.perf_counter()
        simulate_extract(SimulationParameters(), patients=patients, seed=SEED, out=out)
        print(f"simulated {patients:,} patients in {time.perf_counter() - start:.0f} s, kept under {out}")
    return out / "extract"


def parquet_files(extract: Path) -> dict[str, tuple[Path, ...]]:
    """The Parquet files of every table."""
    return {
        folder.name: tuple(sorted(folder.glob("*.parquet"))) for folder in sorted(extract.iterdir()) if folder.is_dir()
    }


def scan(extract: Path) -> dict[str, float]:
    """Read every value of the columns the cohort reads: the least any cohort could cost."""
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS, "memory_limit": f"{MEMORY_GB:g}GB"})
    for name, columns in READ.items():
        counted = ", ".join(f'max("{column}")' for column in columns)
        connection.read_parquet(f"{extract / name}/*.parquet").aggregate(counted).fetchall()
    return {}


def cohort(extract: Path) -> dict[str, float]:
    """Occasions, covariates, eligibility, propensity, matching, balance: the product's own stages."""
    from causal.cohort.build import build_cohort
    from causal.design.build import build_design
    from causal.protocol import OccasionStudy
    from flows.engine import attach, engine, keep
    from flows.study_file.load import load_instruments, load_study

    study = load_study(ROOT / "configs" / "studies" / "duty_to_warn.yaml").study
    assert isinstance(study, OccasionStudy)
    instruments = load_instruments(ROOT / "configs" / "instruments")
    start = time.perf_counter()
    with engine(CACHE / "scratch", memory_gb=MEMORY_GB, threads=THREADS) as connection:
        tables = attach(connection, parquet_files(extract))

        def kept(name: str, expression: ir.Table) -> ir.Table:
            return keep(connection, name, expression)

        built = build_cohort(tables, study, instruments, kept, as_of=as_of(extract))
    between = time.perf_counter()
    design = build_design(built, study)
    return {
        "occasions and covariates, s": between - start,
        "propensity, matching, balance, s": time.perf_counter() - between,
        "assessments": built.attrition[0].occasions,
        "eligible": built.attrition[-1].occasions,
        "matched sets": design.n_sets,
    }


def validation(extract: Path) -> dict[str, float]:
    """Judge every declared rule of every table, and set bad rows aside."""
    from flows.engine import attach, engine
    from flows.study_file.load import load_instruments
    from validation.extract import judge_extract

    instruments = load_instruments(ROOT / "configs" / "instruments")
    with engine(CACHE / "scratch", memory_gb=MEMORY_GB, threads=THREADS) as connection:
        tables = attach(connection, parquet_files(extract))
        judged = judge_extract(tables, instruments, as_of=as_of(extract), quarantined_share=0.02)
    return {"rows set aside": sum(judged.counts.values())}


PARTS: dict[str, Callable[[Path], dict[str, float]]] = {"scan": scan, "cohort": cohort, "validation": validation}


def as_of(extract: Path) -> date:
    """The last day on record."""
    return date.fromisoformat(json.loads((extract / "manifest.json").read_text())["as_of"])


def rows_of(extract: Path) -> int:
    """Rows of all tables."""
    tables = json.loads((extract / "manifest.json").read_text())["tables"]
    return sum(table["rows"] for table in tables.values())


def measure(part: str, extract: Path) -> dict[str, float]:
    """Run one part in this process: wall and processor seconds, peak resident memory, and its own figures."""
    start = time.perf_counter()
    figures = PARTS[part](extract)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak = used.ru_maxrss / 1024**2  # Linux counts KiB
    return {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "peak_gb": peak, **figures}


def in_fresh_process(part: str, extract: Path) -> dict[str, float]:
    """`measure` in a process of its own, so that its peak is its own."""
    command = [sys.executable, __file__, "--part", part, "--extract", str(extract)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def line(part: str, figures: dict[str, float], rows: int, scanned: dict[str, float] | None) -> str:
    """One row of the printed table."""
    seconds = figures["seconds"]
    limit = f"{SECONDS_LIMIT[part]:.0f}" if SECONDS_LIMIT[part] < float("inf") else "-"
    ratio = f"{seconds / scanned['seconds']:.1f}" if scanned else ""
    return (
        f"{part:<12} {seconds:>8.1f} {limit:>6} {figures['cpu_seconds']:>7.1f} "
        f"{figures['peak_gb']:>8.2f} {PEAK_LIMIT_GB:>6.0f} {rows / seconds:>12,.0f} "
        f"{ratio:>7}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code whether every limit holds."""
    parser = argparse.ArgumentParser(description="Speed and memory of the cohort on a large simulated extract.")
    parser.add_argument("--patients", type=int, default=1_000_000)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--extract", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.part:
        print(json.dumps(measure(options.part, options.extract)))
        return 0
    extract = extract_folder(options.patients)
    rows = rows_of(extract)
    print(f"{options.patients:,} patients, {rows:,} rows; engine: {THREADS} threads, {MEMORY_GB:g} GB\n")
    print(f"{'part':<12} {'seconds':>8} {'limit':>6} {'CPU s':>7} {'peak GB':>8} {'limit':>6} {'rows/s':>12}  x scan")
    found = {part: in_fresh_process(part, extract) for part in options.parts}
    kept = True
    for part, figures in found.items():
        kept &= figures["seconds"] < SECONDS_LIMIT[part] and figures["peak_gb"] < PEAK_LIMIT_GB
        print(line(part, figures, rows, found.get("scan")))
    for part, figures in found.items():
        for name in [name for name in figures if name not in COSTS]:
            print(f"  {part}: {name} {figures[name]:,.1f}")
    print("\nevery limit holds" if kept else "\nA LIMIT IS BROKEN")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
