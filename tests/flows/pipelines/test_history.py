"""What Prefect's database holds after runs: three words, names and states. Every table and column of it is read."""

from __future__ import annotations

import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs"
STUDY = CONFIGS / "studies" / "duty_to_warn.yaml"
CANARY = "canary-4711"
TASK_RUNS = 6 + 4 + 7
"""Of a design, of one that stops at its cohort, and of one that waits for approval."""
OPERATOR = f"""
from causal.errors import ExtractError
from flows import design_study as designed
from flows.pipelines import studies
from flows.stage import Stage

def refuse(ws, extract):
    try:
        raise KeyError("{CANARY} of a cell")
    except KeyError as error:
        raise ExtractError("extract.cell", "cannot read {CANARY}") from error

words = dict(study="duty_to_warn", site="clinic", delivery="autumn_2023")
studies.design_study(**words)
designed.BUILD_COHORT = Stage(name="build cohort", run=refuse)
try:
    studies.design_study(**words)
except Exception as stopped:
    print(stopped)
"""
"""One flow that ends well, and one with a stage that names a patient's value as it refuses."""


@dataclass(frozen=True, kw_only=True)
class Operated:
    """A site where flows were started by name and by command, and every cell that Prefect kept: table, column, text."""

    folder: Path
    by_name: subprocess.CompletedProcess[str]
    by_command: subprocess.CompletedProcess[str]
    cells: list[tuple[str, str, str]]

    def column(self, table: str, column: str) -> list[str]:
        """Every text in one column."""
        return [text for in_table, in_column, text in self.cells if (in_table, in_column) == (table, column)]


def environment(folder: Path, port: int) -> dict[str, str]:
    """An operator's: configs by name, Prefect's files apart, one server for everybody."""
    return os.environ | {
        "RAPPORT_CONFIGS": str(folder / "configs"),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def server(folder: Path, port: int) -> Iterator[None]:
    """Prefect's server, running."""
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "server.log").open("w") as log:
        started = subprocess.Popen(command, env=environment(folder, port), stdout=log, stderr=log)
        try:
            soon(lambda: healthy(port))
            yield
        finally:
            started.terminate()
            started.wait()


def healthy(port: int) -> bool:
    """Whether the server answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def soon(holds: Callable[[], bool], within: float = 120) -> None:
    """Wait until `holds` does, or as long as it may take."""
    end = time.monotonic() + within
    while not holds() and time.monotonic() < end:
        time.sleep(0.5)


def ended(database: Path) -> bool:
    """Whether Prefect has written down the end of every task of which it knows; it does so after the runs."""
    with closing(sqlite3.connect(database)) as connection:
        states = [state for (state,) in connection.execute("select state_type from task_run")]
    return len(states) == TASK_RUNS and set(states) <= {"COMPLETED", "FAILED"}


def run(folder: Path, port: int, *words: str) -> subprocess.CompletedProcess[str]:
    """Python in `folder`, as somebody at that site would run it."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment(folder, port),
        capture_output=True,
        text=True,
        check=False,
    )


def cells_of(database: Path) -> list[tuple[str, str, str]]:
    """Every cell of every table, as text."""
    found = []
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            rows = connection.execute(f"select * from {table}")  # noqa: S608 (a name out of the database itself)
            columns = [column[0] for column in rows.description]
            found += [
                (table, column, value.decode("latin-1") if isinstance(value, bytes) else str(value))
                for row in rows
                for column, value in zip(columns, row, strict=True)
                if value is not None
            ]
    return found


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Operated:
    """A delivery, a site file that says where it lies, two runs by name, and a third by command, not approved."""
    folder = tmp_path_factory.mktemp("operated")
    (folder / "configs" / "sites").mkdir(parents=True)
    for name in ("studies", "instruments", "codelists", "definitions"):
        (folder / "configs" / name).symlink_to(CONFIGS / name)
    (folder / "configs" / "sites" / "clinic.yaml").write_text(
        f"results: {folder}/results\ndeliveries: {folder}/deliveries\n"
    )
    size = ("--patients", "4000", "--seed", "7")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = run(folder, port, "-m", "flows.cli", "simulate", str(STUDY), *size, "--out", str(folder / "made"))
    assert made.returncode == 0, made.stderr
    (folder / "deliveries").mkdir()
    delivery = (folder / "made" / "extract").rename(folder / "deliveries" / "autumn_2023")
    study, site = (folder / "configs" / name for name in ("studies/duty_to_warn.yaml", "sites/clinic.yaml"))
    places = ("--extract", str(delivery), "--site", str(site))
    database = folder / "prefect" / "prefect.db"
    with server(folder, port):
        by_name = run(folder, port, "-c", OPERATOR)
        assert by_name.returncode == 0, by_name.stderr
        by_command = run(folder, port, "-m", "flows.cli", "estimate", str(study), *places)
        assert by_command.returncode == 1, by_command.stderr
        soon(lambda: ended(database))
    cells = cells_of(database)
    return Operated(folder=folder, by_name=by_name, by_command=by_command, cells=cells)


def test_names_tags_states_and_three_words_are_there(operated: Operated) -> None:
    """Each run under the delivery's name with three parameters, a task for each stage, tagged with the study's id."""
    words = {"study": "duty_to_warn", "site": "clinic", "delivery": "autumn_2023"}
    unsaid = {"study": "duty_to_warn", "site": "on-command-line", "delivery": "on-command-line"}
    assert [json.loads(text) for text in operated.column("flow_run", "parameters")] == [words, words, unsaid]
    names = ["duty_to_warn-autumn_2023", "duty_to_warn-autumn_2023", "duty_to_warn-on-command-line"]
    assert operated.column("flow_run", "name") == names
    assert operated.column("flow_run", "state_type") == ["COMPLETED", "FAILED", "FAILED"]
    ran = ["check protocol", "read extract", "validate extract", "build cohort", "build design", "judge design"]
    assert sorted(operated.column("task_run", "name")) == sorted([*ran, *ran[:4], *ran, "check approval"])
    assert sorted(operated.column("task_run", "state_type")) == ["COMPLETED"] * (TASK_RUNS - 2) + ["FAILED"] * 2
    assert set(operated.column("task_run", "tags")) == {'["duty_to_warn"]'}
    messages = " ".join(operated.column("flow_run_state", "message") + operated.column("task_run_state", "message"))
    for told in ("stage 'build cohort' stopped: extract.cell", "the flow stopped: extract.cell"):
        assert told in messages
    for told in ("stage 'check approval' stopped: approval.none", "the flow stopped: approval.none"):
        assert told in messages
    # Who sits at the machine is told why, in whole.
    assert operated.by_name.stdout == "the flow stopped: extract.cell\n"
    assert f"refused: [extract.cell] cannot read {CANARY}" in operated.by_name.stderr
    assert "refused: [approval.none]" in operated.by_command.stderr


def test_nothing_else_is_there(operated: Operated) -> None:
    """No path, no person's or clinician's id, no digest, not the value that a refusal spoke of, no result."""
    delivery = operated.folder / "deliveries" / "autumn_2023"
    ids: set[str] = set()
    for table in ("patients", "clinicians", "threat_assessments", "clinics"):
        frame = pd.concat(map(pd.read_parquet, sorted((delivery / table).iterdir())))
        ids |= {value for column in frame.filter(regex="_id$") for value in frame[column].dropna()}
    assert len(ids) > 4000
    results = operated.folder / "results"
    digests = set(re.findall(r"\b[0-9a-f]{16,64}\b", " ".join(str(path) for path in results.rglob("*"))))
    ledger = (results / "duty_to_warn" / "ledger.jsonl").read_text()
    digests |= set(re.findall(r"[0-9a-f]{64}", ledger + (delivery / "manifest.json").read_text()))
    assert len(digests) > 10
    paths = {str(operated.folder), str(ROOT), str(Path.home()), "deliveries", "results/", ".parquet", ".yaml"}
    for table, column, text in operated.cells:
        assert CANARY not in text, (table, column)
        assert "cannot read" not in text, (table, column)
        assert "Traceback" not in text, (table, column)
        if table.startswith("block_"):  # what Prefect itself brings: descriptions of its own blocks
            continue
        assert not [path for path in paths if path in text], (table, column, text)
        words = set(re.findall(r"[0-9A-Za-z]+", text))
        assert words.isdisjoint(ids), (table, column)
        assert words.isdisjoint(digests), (table, column)
    assert not list((operated.folder / "prefect").rglob("storage/*"))
    assert not operated.column("artifact", "id")
    assert not operated.column("log", "id")


def test_by_name_and_by_path_are_the_same_run(operated: Operated) -> None:
    """The command finds every stage unchanged where the run by name left it: the same keys, the same design."""
    told = operated.by_command.stderr
    for stage in ("validate extract", "build cohort", "build design", "judge design"):
        assert re.search(rf"^{stage} .*unchanged", told, re.MULTILINE), told
