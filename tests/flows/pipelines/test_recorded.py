"""Prefect keeps history; whenever its server is away, every stage runs once and the result is the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect import State
from prefect.exceptions import TerminationSignal

from causal.errors import DesignError
from flows.pipelines import recorded, studies, tasks
from flows.pipelines.once import StageFailed
from flows.pipelines.recorded import through_prefect
from flows.runner import Runner
from flows.stage import Stage
from flows.workspace import Workspace, open_workspace

ROOT = Path(__file__).resolve().parents[3]
STUDY = ROOT / "configs" / "studies" / "duty_to_warn.yaml"


class Server:
    """Stands in for Prefect: its flow and its tasks do what is due, and fail at the moment `away` names."""

    def __init__(self, away: str) -> None:
        self.away = away
        self.asked: list[str] = []
        self.told: list[str] = []

    def fail(self, moment: str) -> None:
        """Raise what Prefect raises when its server is not there."""
        self.asked.append(moment)
        if moment == self.away:
            raise RuntimeError("Failed to reach API at http://user:secret@127.0.0.1:9/api/")

    def around(self, function: Callable[..., State | None], before: str, after: str) -> Callable[..., None]:
        """`function` as a task or flow of Prefect, which hears what it is given and with which words it stops."""

        def call(**parameters: str) -> None:
            self.told += parameters.values()
            self.fail(before)
            try:
                if state := function(**parameters):
                    raise StageFailed(state.message)
            except StageFailed as stopped:
                self.told.append(str(stopped))
                raise
            finally:
                self.fail(after)

        return call


Through = Callable[[Callable[[Workspace, Runner], object]], object]


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    """The flagship with its results in a folder of this test."""
    return open_workspace(STUDY, results=tmp_path / "results", say=lambda _line: None)


def standing_in(monkeypatch: pytest.MonkeyPatch, away: str) -> Server:
    """Put a stand-in for Prefect in place of the tasks of two stages."""
    server = Server(away)
    run = tasks.check_protocol.fn
    stand_ins = {name: server.around(run, f"before {name}", f"after {name}") for name in ("one", "two")}
    monkeypatch.setattr(recorded, "TASKS", stand_ins)
    monkeypatch.setenv("PREFECT_API_URL", "http://user:secret@127.0.0.1:9/api")
    return server


def through(server: Server, ws: Workspace, told: list[str]) -> Through:
    """Run a pipeline through the stand-in."""
    flow = server.around(studies.design_study.fn, "start", "end")
    return lambda pipeline: through_prefect(flow, pipeline, ws, tell=told.append)


MOMENTS = ("start", "before one", "after one", "before two", "after two", "end")


@pytest.mark.parametrize("away", ["never", *MOMENTS])
def test_a_server_that_is_away_costs_no_result(ws: Workspace, monkeypatch: pytest.MonkeyPatch, away: str) -> None:
    """At each moment: the value comes back, each stage ran exactly once, one line is told without the address."""
    server, ran, told = standing_in(monkeypatch, away), [], []
    one = Stage(name="one", run=lambda _ws: ran.append("one") or 20)
    two = Stage(name="two", run=lambda _ws, more: ran.append("two") or more)

    assert through(server, ws, told)(lambda ws, run: run(one, ws) + run(two, ws, 1)) == 21
    assert ran == ["one", "two"]
    assert len(told) == (away != "never")
    assert all("PREFECT_API_URL" in line and "RuntimeError" in line and "secret" not in line for line in told)
    if away == "before one":
        assert "before two" not in server.asked  # a server that is away is not asked again for every stage


@pytest.mark.parametrize("away", ["never", *MOMENTS])
def test_a_stage_that_stops_is_told_as_it_stopped(ws: Workspace, monkeypatch: pytest.MonkeyPatch, away: str) -> None:
    """Whatever Prefect adds, the refusal that comes out is the stage's own, and it ran once; Prefect hears its code."""
    server, ran = standing_in(monkeypatch, away), []

    def stops(_ws: Workspace) -> int:
        ran.append("two")
        raise DesignError("design.no_overlap", "patient-7731 is in no stratum")

    one, two = Stage(name="one", run=lambda _ws: 1), Stage(name="two", run=stops)
    with pytest.raises(DesignError, match=r"patient-7731"):
        through(server, ws, [])(lambda ws, run: run(one, ws) + run(two, ws))
    assert ran == ["two"]
    assert not [words for words in server.told if "7731" in words]
    if away == "never":
        assert server.told[-2:] == ["stage 'two' stopped: design.no_overlap", "the flow stopped: design.no_overlap"]


def test_what_stops_between_stages_reaches_nobody_but_the_user(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error outside a stage comes out as itself; Prefect is told its type and no more."""
    server = standing_in(monkeypatch, "never")
    with pytest.raises(KeyError, match="patient-7731"):
        through(server, ws, [])(lambda _ws, _run: {}["patient-7731"])
    assert server.told == ["duty_to_warn", "on-command-line", "on-command-line", "the flow stopped: KeyError"]


class Panic(BaseException):
    """What a library in another language raises."""


@pytest.mark.parametrize("stops", [KeyboardInterrupt(), TerminationSignal(15), Panic("patient-7731")])
def test_an_interruption_is_no_refusal(ws: Workspace, monkeypatch: pytest.MonkeyPatch, stops: BaseException) -> None:
    """Ctrl-C and the signal that ends a run reach Prefect, which records a crash; a panic reaches it as its type."""
    server = standing_in(monkeypatch, "never")

    def work(_ws: Workspace) -> None:
        raise stops

    with pytest.raises(type(stops)):
        through(server, ws, [])(lambda ws, run: run(Stage(name="one", run=work), ws))
    panicked = ["stage 'one' stopped: Panic", "the flow stopped: Panic"]
    assert server.told[3:] == (panicked if isinstance(stops, Panic) else [])


def test_no_stage_runs_twice(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Prefect that starts a task again, against its options, is refused; what the stage gave is given."""
    server, ran = standing_in(monkeypatch, "never"), []
    once = recorded.TASKS["one"]

    def twice() -> None:
        once()
        once()

    monkeypatch.setitem(recorded.TASKS, "one", twice)
    one = Stage(name="one", run=lambda _ws: ran.append("one") or 20)
    assert through(server, ws, [])(lambda ws, run: run(one, ws)) == 20
    assert ran == ["one"]


def test_every_stage_has_its_task() -> None:
    """What the flows run and what Prefect is told of have the same names, and Prefect tries, keeps, prints nothing."""
    from flows import answer, design_study, estimate_effect, simulate_study

    modules = (answer, design_study, estimate_effect, simulate_study)
    stages = {value.name for module in modules for value in vars(module).values() if isinstance(value, Stage)}
    assert stages == tasks.TASKS.keys()
    for each in (*tasks.TASKS.values(), *studies.FLOWS.values()):
        assert (each.retries, each.persist_result, each.log_prints) == (0, False, False), each.name


def test_a_server_that_was_never_there(tmp_path: Path) -> None:
    """The real Prefect, asked to use an address where nobody listens: the value, one line, and an end in seconds."""
    program = (
        "import sys; from functools import partial; from pathlib import Path\n"
        "from flows.pipelines import recorded, studies, tasks\n"
        "from flows.stage import Stage\n"
        "from flows.workspace import open_workspace\n"
        f"ws = open_workspace(Path({str(STUDY)!r}), results=Path(sys.argv[1]), say=lambda line: None)\n"
        "stage = Stage(name='estimate', run=lambda ws: 42)\n"
        "print(recorded.through_prefect(studies.design_study, lambda ws, run: run(stage, ws), ws,"
        " tell=partial(print, file=sys.stderr)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=ROOT,
        env=os.environ | {"PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout == "42\n"
    assert [line for line in done.stderr.splitlines() if line.startswith("Prefect keeps no history of this run")]
    assert "Traceback" not in done.stderr
