"""Flow 3: both flows on synthetic records, approved by a simulated board, compared with the truth."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from causal.simulation import SimulationParameters
from flows.approvals import SIMULATED_EXPIRY, decide, file_approval, find_approval, sign, simulated_key
from flows.code_version import code_version
from flows.design_study import JudgedDesign, design_study
from flows.estimate_effect import Release, estimate_effect
from flows.runner import Runner
from flows.simulate_extract import simulate_extract
from flows.stage import Stage
from flows.store import SHORT, SYNTHETIC, digest_of
from flows.workspace import Workspace
from validation.verdict import failed

APPROVER = "Simulated board"
ROLE = "a stand-in for an ethics board; it reads nothing and accepts every failed check"


def simulate_study(
    ws: Workspace, run: Runner, *, parameters: SimulationParameters, patients: int, seed: int
) -> Release:
    """Simulate, design, approve as the simulated board, estimate, and set the truth beside the answer."""
    extract = run(SIMULATE, ws, parameters, patients, seed)
    ws = dataclasses.replace(ws, extract=extract / "extract", truth=extract / "truth.parquet")
    judged = design_study(ws, run)
    run(SIMULATED_BOARD, ws, judged)
    return estimate_effect(ws, judged, run)


def simulate(ws: Workspace, parameters: SimulationParameters, patients: int, seed: int) -> Path:
    """A synthetic extract with its truth file, made once for the same parameters, size, seed and code."""
    key = digest_of(dataclasses.asdict(parameters), patients, seed, code_version())
    folder = ws.store.private / SYNTHETIC / key[:SHORT]
    if (folder / "extract" / "manifest.json").is_file():
        ws.say("unchanged, skipped")
        return folder
    simulate_extract(parameters, patients=patients, seed=seed, out=folder)
    ws.say(f"{patients} patients, seed {seed}")
    return folder


SIMULATE = Stage(name="simulate", run=simulate)


def approve_as_simulated_board(ws: Workspace, judged: JudgedDesign) -> None:
    """Sign this design as the simulated board, unless it has."""
    decision = decide(
        judged.identity(ws),
        approver=APPROVER,
        role=ROLE,
        expires=SIMULATED_EXPIRY,
        accepted_failures=tuple(verdict.code for verdict in failed(judged.verdicts)),
        simulated=True,
    )
    approval = sign(decision, simulated_key())
    path = ws.store.root / "approvals" / f"{judged.digest[:SHORT]}.json"
    if not path.is_file() or find_approval(ws.store, judged.digest) != approval:
        file_approval(ws.store, approval)


SIMULATED_BOARD = Stage(name="simulated board", run=approve_as_simulated_board)
