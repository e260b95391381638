"""What a command prints: progress for people on standard error, the answer on standard output."""

from __future__ import annotations

import json
from typing import Any

import typer

from causal.errors import RapportError


class Console:
    """Where words go; `as_json` leaves nothing but the answer and what machines log as well."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def say(self, text: str) -> None:
        """One line for people."""
        if not self.as_json:
            self.tell(text)

    def tell(self, text: str) -> None:
        """One line that machines log as well: on standard error, whatever the answer's form."""
        typer.echo(text, err=True)

    def answer(self, text: str, value: dict[str, Any]) -> None:
        """The command's answer: text for people, `value` for machines."""
        typer.echo(json.dumps(value, indent=1, sort_keys=True) if self.as_json else text)


def told(error: BaseException) -> tuple[str, int]:
    """What stopped a run, in one line, and its exit code: 1 is a refusal or the machine's doing, 2 is ours.

    >>> told(KeyError("patient-7731"))[1]
    2
    """
    from flows.machine import machine_fault

    if isinstance(error, RapportError):
        return f"refused: {error}", 1
    if fault := machine_fault(error):
        return f"refused: {fault}", 1
    return (
        f"internal error ({type(error).__name__}): this is our fault, not the study's. "
        "Earlier results are untouched. RAPPORT_DEBUG=1 shows where it happened."
    ), 2
