"""Memory is predicted before a method starts: a refusal at once is better than a machine that stops answering."""

from __future__ import annotations

from causal.errors import DesignError

MEMORY = 4.0
"""Gigabytes a method may take unless its caller says otherwise."""


def require_memory(needed: float, *, limit: float = MEMORY, work: str, instead: str) -> None:
    """Refuse work that would take more memory than allowed.

    Parameters
    ----------
    needed
        Bytes predicted, at the peak.
    limit
        Gigabytes (10^9 bytes) allowed.
    work
        What would take it, in words: ``"the 10,000,000 x 900,000 distances"``.
    instead
        The argument to change.

    Raises
    ------
    DesignError
        ``design.memory``.

    >>> require_memory(8e9, limit=4, work="the distances", instead="give a caliper")
    Traceback (most recent call last):
        ...
    causal.errors.DesignError: [design.memory] the distances would take 8.0 GB, 4.0 GB are allowed. Fix: give a caliper
    """
    if needed > limit * 1e9:
        raise DesignError(
            "design.memory",
            f"{work} would take {needed / 1e9:.1f} GB, {limit:.1f} GB are allowed",
            fix=instead,
        )
