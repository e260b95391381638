"""Two ways to run the same stages: directly, or through Prefect. Both give the same bytes.

Prefect sees the names of flows and stages and whether they succeeded. Stages are closures, so no path, table, digest or
patient's value is ever a parameter, a result or part of a message in its database.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from causal.errors import RapportError

S = TypeVar("S")
T = TypeVar("T")


class Runner(Protocol):
    """Runs one stage."""

    def __call__(self, name: str, stage: Callable[[], T], /) -> T:
        """Give back what `stage` gives, or raise what it raises."""
        ...


class StageFailed(Exception):
    """A stage stopped; says which and with what code, never why in words that could hold a value."""


def direct(name: str, stage: Callable[[], T]) -> T:  # noqa: ARG001 (a Runner takes a name)
    """Run a stage in this process, with nothing around it."""
    return stage()


def through_prefect(name: str, body: Callable[[Runner], T], *, home: Path, tell: Callable[[str], None]) -> T:
    """Run `body` as a Prefect flow called `name`, each of its stages as a task.

    Without a configured server Prefect starts its own for the duration of the run, on this machine, with its database
    under `home`. A server that is away, at the start, in the middle or at the end, costs history and no result: stages
    go on without it, none is run twice, and `tell` is given one line.
    """
    from flows.quiet import hush

    hush(home)
    from prefect import flow, task
    from prefect.cache_policies import NO_CACHE
    from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

    outcome: dict[str, T] = {}
    refusals: list[BaseException] = []
    away: list[str] = []

    def as_task(stage_name: str, stage: Callable[[], S]) -> S:
        results: list[S] = []

        def run_stage() -> None:
            try:
                results.append(stage())
            except Exception as error:  # noqa: BLE001 (its own words may hold a value; it is raised again below)
                refusals.append(error)
                code = error.code if isinstance(error, RapportError) else type(error).__name__
                raise StageFailed(f"stage '{stage_name}' stopped: {code}") from None

        if not away:
            try:
                task(name=stage_name, cache_policy=NO_CACHE, persist_result=False, log_prints=False)(run_stage)()
            except Exception as error:  # noqa: BLE001 (Prefect's own, of whatever kind, unless the stage stopped)
                if refusals:
                    raise StageFailed(f"stage '{stage_name}' stopped") from None
                away.append(type(error).__name__)
        if not results:
            run_stage()
        return results[0]

    def run_flow() -> None:
        try:
            outcome["value"] = body(as_task)
        except Exception as error:  # noqa: BLE001 (raised again below)
            if not refusals:
                refusals.append(error)
            raise StageFailed(f"flow '{name}' stopped") from None

    try:
        with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}):
            flow(name=name, persist_result=False, log_prints=False, validate_parameters=False)(run_flow)()
    except Exception as error:  # noqa: BLE001 (the same)
        if refusals:
            raise refusals[0] from None
        away.append(type(error).__name__)
    if away:
        tell(
            f"Prefect keeps no history of this run: its server, {_server()}, cannot be used ({away[0]}). The run "
            "goes on without it; the result is the same"
        )
    return outcome["value"] if "value" in outcome else body(direct)


def _server() -> str:
    """Which server was asked; an address can hold a password, so it is not repeated."""
    return "named by PREFECT_API_URL" if os.environ.get("PREFECT_API_URL") else "started for this run"
