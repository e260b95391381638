"""Small words for verdicts."""

from __future__ import annotations

from collections.abc import Iterable

from causal.spelling import nearest
from validation.verdict import Status, Verdict


def holds(code: str, problem: str, otherwise: str) -> Verdict:
    """FAIL with the sentence `problem` when there is one, else PASS with the sentence `otherwise`.

    >>> holds("protocol.ratio", "", "at most 4 comparisons for each").status
    <Status.PASS: 'PASS'>
    """
    return Verdict(code=code, status=Status.FAIL if problem else Status.PASS, sentence=problem or otherwise)


def listed(names: Iterable[str]) -> str:
    """Join names by commas.

    >>> listed(["a", "b"])
    'a, b'
    """
    return ", ".join(names)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Add the nearest known name in brackets, or nothing.

    >>> did_you_mean("severty", ["age", "severity"])
    ' (did you mean severity?)'
    """
    near = nearest(name, known)
    return f" (did you mean {near}?)" if near else ""
