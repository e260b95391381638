"""One Prefect task for each stage, under the stage's name.

Nothing is cached, kept, printed or tried again by Prefect: a stage knows by itself what has not changed, and one that
refused would refuse again.
"""

from __future__ import annotations

from collections.abc import Callable

from prefect import Task, task
from prefect.cache_policies import NO_CACHE

from flows.pipelines.once import due_here

StageTask = Task[[], None]


def _stage_task(name: str) -> Callable[[Callable[[], None]], StageTask]:
    return task(name=name, task_run_name=name, cache_policy=NO_CACHE, persist_result=False, retries=0, log_prints=False)


def _run() -> None:
    work = due_here()
    if work is None:
        raise AssertionError("a stage runs inside its flow")
    work()


@_stage_task("simulate")
def simulate() -> None:
    """Invent an extract whose true effect is known."""
    _run()


@_stage_task("check protocol")
def check_protocol() -> None:
    """Judge the study against itself."""
    _run()


@_stage_task("read extract")
def read_extract() -> None:
    """Hash and type every file of a delivery."""
    _run()


@_stage_task("validate extract")
def validate_extract() -> None:
    """Judge the extract and set bad rows aside."""
    _run()


@_stage_task("build cohort")
def build_cohort() -> None:
    """Find who, and from when."""
    _run()


@_stage_task("build design")
def build_design() -> None:
    """Make comparable groups."""
    _run()


@_stage_task("judge design")
def judge_design() -> None:
    """Judge the design and publish its dossier."""
    _run()


@_stage_task("simulated board")
def simulated_board() -> None:
    """Approve a design of invented records."""
    _run()


@_stage_task("check approval")
def check_approval() -> None:
    """Ask whether a board has signed this design."""
    _run()


@_stage_task("open outcomes")
def open_outcomes() -> None:
    """Read what happened after time zero."""
    _run()


@_stage_task("estimate")
def estimate() -> None:
    """Estimate the main effect."""
    _run()


@_stage_task("other analyses")
def other_analyses() -> None:
    """Run every analysis declared beside it."""
    _run()


@_stage_task("release")
def release() -> None:
    """Publish what may leave, or leave standing what was published."""
    _run()


TASKS = {
    one.name: one
    for one in (
        simulate,
        check_protocol,
        read_extract,
        validate_extract,
        build_cohort,
        build_design,
        judge_design,
        simulated_board,
        check_approval,
        open_outcomes,
        estimate,
        other_analyses,
        release,
    )
}
"""By the name of their stage."""
