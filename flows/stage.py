"""Stages: what a flow is made of, so that each of them says only what is its own.

A flow is a short list of stages, each of which takes what earlier ones gave:

```
extract = run(VALIDATE_EXTRACT, ws, delivered)
cohort = run(BUILD_COHORT, ws, extract)
```

`Stage` is one named step. Calling it runs it in this process and tells of it in one line, however it ends: its name,
how long it took, what it had to say. Who calls it is the `Runner`'s affair: this process alone, or Prefect around it.

`Kept` is what many stages run: something worked out once for the same inputs. Its key is the digest of those inputs, of
the study, of the scoring keys and of the code, and the folder of that key holds the result. Where the folder is whole,
nothing is worked out; where it is damaged, it is made again. An unchanged stage is therefore skipped, a changed one
never is, and nobody has to say which.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, TypeVarTuple

from flows.store import intact

if TYPE_CHECKING:
    from flows.workspace import Workspace

T = TypeVar("T")
Inputs = TypeVarTuple("Inputs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Generic[T, *Inputs]):
    """One step of a flow: from inputs to a value of type `T`.

    Attributes
    ----------
    name
        What people read while it runs, and what Prefect calls it.
    run
        The work. What it says with ``ws.say`` stands in the stage's line.

    >>> double = Stage(name="double", run=lambda _ws, x: 2 * x)
    >>> double.name
    'double'
    """

    name: str
    run: Callable[[Workspace, *Inputs], T]

    def __call__(self, ws: Workspace, *inputs: *Inputs) -> T:
        """Run in this process, and tell of it in one line; raises what the work raises."""
        notes: list[str] = []
        started = time.perf_counter()
        try:
            value = self.run(dataclasses.replace(ws, say=notes.append), *inputs)
        except BaseException:
            ws.say(f"{self.name:<18} stopped")
            raise
        ws.say(f"{self.name:<18} {time.perf_counter() - started:6.1f} s   {'; '.join(notes)}".rstrip())
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where the result of a stage lies: a folder of files with a manifest, under the digest of what it was made of."""

    key: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[T, *Inputs]):
    """Something worked out once for the same inputs and kept privately; can be what a `Stage` runs.

    Attributes
    ----------
    place
        Folder of such results below ``private/stages``.
    inputs
        From what it takes to the names and digests that, with those of study, scoring keys and code, make its key.
    make
        Works it out and writes it into an empty folder.
    read
        From the folder to the value; the same whether it was just made or has stood for months.
    """

    place: str
    inputs: Callable[[*Inputs], tuple[str, ...]]
    make: Callable[[Workspace, Path, *Inputs], None]
    read: Callable[[Workspace, Found, *Inputs], T]

    def at(self, ws: Workspace, *inputs: *Inputs) -> Found:
        """Where the result for these inputs lies, or would."""
        key = ws.key(*self.inputs(*inputs))
        return Found(key=key, folder=ws.store.stage_folder(self.place, key))

    def __call__(self, ws: Workspace, *inputs: *Inputs) -> T:
        """Give the value, made first where it does not stand whole."""
        found = self.at(ws, *inputs)
        if intact(found.folder):
            ws.say("unchanged, skipped")
        else:
            with ws.store.publishing(found.folder) as staging:
                self.make(ws, staging, *inputs)
        return self.read(ws, found, *inputs)
