"""A flow's stages run as tasks of Prefect, which keeps their history and nothing else.

A server that is away, at the start, in the middle or at the end, costs that history and no result: stages go on without
it, and none runs twice.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from functools import partial
from typing import TypeVar, TypeVarTuple

from prefect import State, tags
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Failed

from flows.console import Console, told
from flows.pipelines.names import COMMANDED
from flows.pipelines.once import Once, StageFailed, due, due_here
from flows.pipelines.tasks import TASKS
from flows.runner import Runner
from flows.stage import Stage
from flows.workspace import Say, Workspace

T = TypeVar("T")
Inputs = TypeVarTuple("Inputs")


class Recorder:
    """A `Runner` whose stages are tasks of the Prefect flow around it, for as long as Prefect's server answers.

    `away` is the type of what Prefect raised when its server did not; it is not asked again.
    """

    def __init__(self) -> None:
        self.away = ""

    def __call__(self, stage: Stage[T, *Inputs], ws: Workspace, /, *inputs: *Inputs) -> T:
        """Run `stage` as its task."""
        once = Once(f"stage '{stage.name}'", partial(stage, ws, *inputs))
        self.see(once, TASKS[stage.name])
        return once.value()

    def see(self, once: Once[T], recorded: Callable[[], object]) -> None:
        """Let `recorded`, a task or a flow, run `once`; run it without, where Prefect does not come to it."""
        if not self.away:
            try:
                with due(once):
                    recorded()
            except Exception as error:  # noqa: BLE001 (Prefect's own, of whatever kind, unless the work stopped)
                if once.stopped is None:
                    self.away = type(error).__name__
        if not once.begun:
            try:
                once.run()
            except StageFailed:
                return  # `once` knows why


def through_prefect(
    flow: Callable[..., object],
    pipeline: Callable[[Workspace, Runner], T],
    ws: Workspace,
    *,
    tell: Say,
    delivery: str = "",
) -> T:
    """Run `pipeline` in this process as the Prefect flow `flow`, which is told the study's id and no place.

    `delivery` is told where it is a name; a path on the command line is not, and `COMMANDED` stands for it. Without a
    configured server Prefect starts its own for the duration of the run, on this machine. `tell` is given one line
    where a server is away.
    """
    recorder = Recorder()
    once = Once("the flow", partial(pipeline, ws, recorder))
    study = ws.study.study.id
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), tags(study):
        recorder.see(once, partial(flow, study=study, site=COMMANDED, delivery=delivery or COMMANDED))
    if recorder.away:
        tell(_no_history(recorder))
    return once.value()


def run_here(pipeline: Callable[[Workspace, Runner], object], begin: Callable[[Say], Workspace]) -> State | None:
    """What a flow does: what is due here, or else, where Prefect itself started it, `pipeline` on what `begin` finds.

    Gives the failed state, with the code alone, of a flow that stopped. Raised, its exception would be written to
    Prefect's storage, and the place of that into its database, whatever ``persist_result`` says.
    """
    try:
        (due_here() or partial(_started_by_prefect, pipeline, begin))()
    except StageFailed as stopped:
        return Failed(message=str(stopped))
    return None


def _started_by_prefect(pipeline: Callable[[Workspace, Runner], object], begin: Callable[[Say], Workspace]) -> None:
    """Run `pipeline` where no command waits for it: its progress, and why it stopped, go to standard error."""
    console, recorder = Console(as_json=False), Recorder()

    def whole() -> None:
        ws = begin(console.say)
        with ws.store.begun(), tags(ws.study.study.id):
            pipeline(ws, recorder)

    once = Once("the flow", whole)
    try:
        once.run()
    finally:
        if recorder.away:
            console.tell(_no_history(recorder))
        if once.stopped is not None:
            console.tell(told(once.stopped)[0])
            if os.environ.get("RAPPORT_DEBUG") == "1":
                traceback.print_exception(once.stopped)


def _no_history(recorder: Recorder) -> str:
    """One line; an address can hold a password, so it is not repeated."""
    server = "named by PREFECT_API_URL" if os.environ.get("PREFECT_API_URL") else "started for this run"
    return (
        f"Prefect keeps no history of this run: its server, {server}, cannot be used ({recorder.away}). The run "
        "goes on without it; the result is the same"
    )
