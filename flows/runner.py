"""Who runs the stages of a flow: this process alone, or Prefect around it. Both give the same bytes."""

from __future__ import annotations

from typing import Protocol, TypeVar, TypeVarTuple

from flows.stage import Stage
from flows.workspace import Workspace

T = TypeVar("T")
Inputs = TypeVarTuple("Inputs")


class Runner(Protocol):
    """Runs one stage: `direct`, or the recorder of `flows.pipelines`."""

    def __call__(self, stage: Stage[T, *Inputs], ws: Workspace, /, *inputs: *Inputs) -> T:
        """Give back what `stage` gives, or raise what it raises."""
        ...


def direct(stage: Stage[T, *Inputs], ws: Workspace, /, *inputs: *Inputs) -> T:
    """Run a stage in this process, with nothing around it."""
    return stage(ws, *inputs)
