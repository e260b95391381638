"""The same records give the same numbers to the bit, however they are ordered, labelled, split, typed or read."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from engine_path import Bench, open_outcomes
from small_study import PATIENTS, SEED, Frames, answer_of, bench, numbers, simulated

from causal.cohort.build import build_cohort
from causal.design.build import build_design
from causal.effect.estimate import estimate_effects
from causal.simulation import AS_OF, SimulationParameters
from flows.connectors.extract import read_extract
from flows.engine import attach
from flows.simulate_extract import FileFormat, simulate_extract

ID_COLUMNS = ("person_id", "clinician_id", "clinic_id", "ta_id", "enc_id", "action_id")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def reference() -> tuple[str, str]:
    """Digest of the design and all numbers of the extract as simulated, on one thread."""
    with bench() as opened:
        design, effects = answer_of(opened, simulated().tables)
    return design.digest, numbers(design, effects)


def permuted(frame: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The rows in another order."""
    return frame.iloc[rng.permutation(len(frame))].reset_index(drop=True)


def relabelled(frames: Frames, rng: np.random.Generator) -> Frames:
    """Every id replaced by another, the same everywhere, in another order of the alphabet."""
    new: Frames = dict(frames)
    for column in ID_COLUMNS:
        found = pd.unique(pd.concat([frame[column].dropna() for frame in frames.values() if column in frame]))
        label = pd.Series([f"x{number:07d}" for number in rng.permutation(found.size)], index=found)
        for name, frame in new.items():
            if column in frame:
                new[name] = frame.assign(**{column: frame[column].map(label)})
    return new


def test_order_of_rows(reference: tuple[str, str]) -> None:
    """Rows of every table in another order: the same design, digest included, and the same effects."""
    rng = np.random.default_rng(5)
    with bench() as opened:
        design, effects = answer_of(opened, {name: permuted(frame, rng) for name, frame in simulated().tables.items()})
    assert (design.digest, numbers(design, effects)) == reference


def test_labels(reference: tuple[str, str]) -> None:
    """Other ids for everything: the same numbers (the digest names ids, so it differs)."""
    with bench() as opened:
        design, effects = answer_of(opened, relabelled(dict(simulated().tables), np.random.default_rng(6)))
    assert numbers(design, effects) == reference[1]
    assert design.digest != reference[0]


def test_threads(reference: tuple[str, str]) -> None:
    """Two threads on the engine instead of one: the same design and effects."""
    with bench(threads=2) as opened:
        design, effects = answer_of(opened, simulated().tables)
    assert (design.digest, numbers(design, effects)) == reference


def answer_of_files(opened: Bench, files: dict[str, tuple[Path, ...]]) -> tuple[str, str]:
    """Digest and numbers of an extract given as typed Parquet files."""
    tables = attach(opened.connection, files)
    cohort = build_cohort(tables, opened.study, opened.instruments, opened.keep, as_of=AS_OF)
    design = build_design(cohort, opened.study)
    effects = estimate_effects(design, open_outcomes(opened, tables, design), opened.study)
    return design.digest, numbers(design, effects)


def test_number_of_files(reference: tuple[str, str], tmp_path: Path) -> None:
    """Each table in one file or in five, rows dealt out at random: the same design and effects."""
    rng = np.random.default_rng(8)
    with bench() as opened:
        files: dict[str, tuple[Path, ...]] = {}
        for name, frame in simulated().tables.items():
            parts = rng.integers(0, 5, len(frame))
            files[name] = tuple(tmp_path / f"{name}-{part}.parquet" for part in range(5))
            for part, path in enumerate(files[name]):
                frame[parts == part].to_parquet(path, index=False)
        assert answer_of_files(opened, files) == reference


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_file_format(reference: tuple[str, str], tmp_path: Path, file_format: FileFormat) -> None:
    """Delivered as Parquet or as CSV, read by the connector: the same design and effects as in memory."""
    simulate_extract(
        SimulationParameters(), patients=PATIENTS, seed=SEED, out=tmp_path / "site", file_format=file_format
    )
    read = read_extract(tmp_path / "site" / "extract", cache=tmp_path / "cache", forbidden=())
    assert read.as_of == AS_OF
    with bench() as opened:
        assert answer_of_files(opened, dict(read.files)) == reference


def test_other_processes(reference: tuple[str, str]) -> None:
    """Other hash seeds, far-off time zones, fewer and more threads for linear algebra: the same design and effects."""
    code = (
        "import sys, hashlib\n"
        f"sys.path += {[str(HERE), str(HERE.parent / 'recovery')]!r}\n"
        "from small_study import answer_of, bench, numbers, simulated\n"
        "with bench() as opened:\n"
        "    design, effects = answer_of(opened, simulated().tables)\n"
        "print(design.digest, hashlib.sha256(numbers(design, effects).encode()).hexdigest())\n"
    )
    settings = (
        {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"},
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code], env=os.environ | setting, stdout=subprocess.PIPE, text=True)
        for setting in settings
    ]
    expected = f"{reference[0]} {hashlib.sha256(reference[1].encode()).hexdigest()}"
    assert [process.communicate()[0].strip() for process in running] == [expected, expected]
