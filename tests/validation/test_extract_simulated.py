"""Simulated extracts: every injected fault found under its reason, nothing else, and at scale within the limits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from causal.simulation import SimulationParameters
from flows.connectors.extract import read_extract
from flows.engine import attach, engine
from flows.simulate_extract import simulate_extract
from flows.study_file.load import load_instruments
from validation.extract import ExtractJudgement, judge_extract
from validation.verdict import Status


def judged(out: Path, cache: Path) -> ExtractJudgement:
    """Read and judge the extract simulated into `out`."""
    extract = read_extract(out / "extract", cache=cache)
    with engine(cache / "scratch", memory_gb=2, threads=2) as connection:
        return judge_extract(
            attach(connection, extract.files),
            load_instruments("configs/instruments"),
            as_of=extract.as_of,
            quarantined_share=0.25,
            unmatched_codes=0.25,
            unreadable=extract.unreadable,
        )


@pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")
@pytest.mark.parametrize(("dirt", "file_format"), [(0.0, "parquet"), (0.1, "csv")])
def test_injected_faults_are_found_and_nothing_else(
    tmp_path: Path, dirt: float, file_format: Literal["parquet", "csv"]
) -> None:
    """The counts are the simulator's own, class by class; a clean extract raises no alarm."""
    out = tmp_path / "out"
    simulate_extract(SimulationParameters(dirt=dirt), patients=500, seed=11, out=out, file_format=file_format)
    judgement = judged(out, tmp_path / "cache")
    assert judgement.counts == json.loads((out / "dirt.json").read_text())
    assert Status.FAIL not in {verdict.status for verdict in judgement.verdicts}


@pytest.mark.slow
def test_a_million_patients_are_judged_exactly(tmp_path: Path) -> None:
    """Some 29 million rows with 2 % dirt: a process of its own finds exactly what was injected."""
    out = tmp_path / "out"
    simulate_extract(SimulationParameters(dirt=0.02), patients=1_000_000, seed=11, out=out)
    subprocess.run(
        [sys.executable, __file__, str(out), str(tmp_path / "cache")],
        check=True,
        timeout=600,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )


if __name__ == "__main__":
    place = Path(sys.argv[1])
    assert judged(place, Path(sys.argv[2])).counts == json.loads((place / "dirt.json").read_text())
