"""Work that runs once, and what came of it, kept in this process and out of Prefect's sight.

Tasks and flows are module-level functions that are handed nothing of ours: what one of them has to do is `due` in the
context it is called in. It gives nothing back, and stops with a code alone, because Prefect stores the parameters of
flows and the words of exceptions. Value and refusal are fetched from the `Once`, whatever Prefect says afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Generic, TypeVar

from prefect.exceptions import ExternalSignal, PrefectSignal

from causal.errors import RapportError

T = TypeVar("T")

_DUE: ContextVar[Callable[[], None] | None] = ContextVar("due", default=None)
INTERRUPTIONS = (KeyboardInterrupt, SystemExit, ExternalSignal, PrefectSignal)
"""Somebody ends or suspends the run: nothing stopped by itself."""
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,80}")


class StageFailed(Exception):
    """A stage or a flow stopped; says which and with what code, never why in words that could hold a value."""


class Once(Generic[T]):
    """Work that runs once, with its value or what stopped it.

    >>> answer = Once("stage 'count'", lambda: 6 * 7)
    >>> answer.run()
    >>> answer.value()
    42
    """

    def __init__(self, what: str, work: Callable[[], T]) -> None:
        self.begun = False
        self.stopped: BaseException | None = None
        self._what = what
        self._work = work
        self._values: list[T] = []

    def run(self) -> None:
        """Run it; raises `StageFailed` with the code of what stopped it. Only an interruption comes out as it is."""
        if self.begun:
            raise AssertionError(f"{self._what} was to be run twice")
        self.begun = True
        try:
            self._values.append(self._work())
        except INTERRUPTIONS:
            raise
        except BaseException as error:  # noqa: BLE001 (a panic's words may hold a value, too; `value` raises it)
            self.stopped = error
            raise StageFailed(f"{self._what} stopped: {code_of(error)}") from None

    def value(self) -> T:
        """What the work gave; raises what stopped it."""
        if self.stopped is not None:
            raise self.stopped from None
        return self._values[0]


def code_of(error: BaseException) -> str:
    """What may be told of an error outside: the code of a refusal, or the name of its type.

    >>> code_of(RapportError("extract.empty", "table 'measures' has 0 rows")), code_of(KeyError("patient-7731"))
    ('extract.empty', 'KeyError')
    """
    code = error.code if isinstance(error, RapportError) else ""
    return code if _CODE.fullmatch(code) else type(error).__name__


@contextmanager
def due(once: Once[T]) -> Iterator[None]:
    """Inside the block, `once` is what the next task or flow has to do."""
    token = _DUE.set(once.run)
    try:
        yield
    finally:
        _DUE.reset(token)


def due_here() -> Callable[[], None] | None:
    """What the task or flow that asks has to do; None where nobody said, as when Prefect itself starts a flow."""
    return _DUE.get()
