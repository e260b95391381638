"""Prefect keeps history; whenever its server is away, every stage runs once and the result is the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from causal.errors import DesignError
from flows.runner import Runner, through_prefect

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """Stands in for Prefect: `task` and `flow` run what they are given, and fail at the moment `away` names."""

    def __init__(self, away: str) -> None:
        self.away = away
        self.asked: list[str] = []

    def fail(self, moment: str) -> None:
        """Raise what Prefect raises when its server is not there."""
        self.asked.append(moment)
        if moment == self.away:
            raise RuntimeError("Failed to reach API at http://user:secret@127.0.0.1:9/api/")

    def task(self, *, name: str, **_: object) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """A task of Prefect."""
        return self._around(f"before {name}", f"after {name}")

    def flow(self, **_: object) -> Callable[[Callable[[], None]], Callable[[], None]]:
        """A flow of Prefect."""
        return self._around("start", "end")

    def _around(self, before: str, after: str) -> Callable[[Callable[[], None]], Callable[[], None]]:
        def wrap(function: Callable[[], None]) -> Callable[[], None]:
            def call() -> None:
                self.fail(before)
                try:
                    function()
                finally:
                    self.fail(after)

            return call

        return wrap


@pytest.fixture
def prefect(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Server]:
    """Puts a stand-in for Prefect in place."""
    import prefect as library

    def put(away: str) -> Server:
        server = Server(away)
        monkeypatch.setattr(library, "task", server.task)
        monkeypatch.setattr(library, "flow", server.flow)
        monkeypatch.setenv("PREFECT_API_URL", "http://user:secret@127.0.0.1:9/api")
        monkeypatch.setattr("flows.quiet.hush", lambda _home: None)
        return server

    return put


MOMENTS = ("start", "before one", "after one", "before two", "after two", "end")


@pytest.mark.parametrize("away", ["never", *MOMENTS])
def test_a_server_that_is_away_costs_no_result(prefect: Any, tmp_path: Path, away: str) -> None:
    """At each moment: the value comes back, each stage ran exactly once, one line is told without the address."""
    server, ran, told = prefect(away), [], []

    def body(run: Runner) -> int:
        return run("one", lambda: ran.append("one") or 20) + run("two", lambda: ran.append("two") or 1)

    assert through_prefect("study", body, home=tmp_path, tell=told.append) == 21
    assert ran == ["one", "two"]
    assert len(told) == (away != "never")
    assert all("PREFECT_API_URL" in line and "RuntimeError" in line and "secret" not in line for line in told)
    if away == "before one":
        assert "before two" not in server.asked  # a server that is away is not asked again for every stage


@pytest.mark.parametrize("away", ["never", *MOMENTS[1:4], "end"])
def test_a_stage_that_stops_is_told_as_it_stopped(prefect: Any, tmp_path: Path, away: str) -> None:
    """Whatever Prefect adds, the refusal that comes out is the stage's own, and it ran once."""
    prefect(away)
    ran: list[str] = []

    def stops() -> int:
        ran.append("two")
        raise DesignError("design.no_overlap", "no stratum holds both groups")

    with pytest.raises(DesignError, match=r"design\.no_overlap"):
        through_prefect("study", lambda run: run("one", lambda: 1) + run("two", stops), home=tmp_path, tell=print)
    assert ran == ["two"]


def test_what_stops_between_stages_reaches_nobody_but_the_user(prefect: Any, tmp_path: Path) -> None:
    """An error outside a stage comes out as itself; Prefect is told that the flow stopped and no more."""
    prefect("never")
    with pytest.raises(KeyError, match="patient-7731"):
        through_prefect("study", lambda _run: {}["patient-7731"], home=tmp_path, tell=print)


def test_a_server_that_was_never_there(tmp_path: Path) -> None:
    """The real Prefect, asked to use an address where nobody listens: the value, one line, and an end in seconds."""
    program = (
        "import sys; from pathlib import Path; from flows.runner import through_prefect\n"
        "print(through_prefect('s', lambda run: run('one', lambda: 42), home=Path(sys.argv[1]),"
        " tell=lambda line: print(line, file=sys.stderr)))"
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
