"""Compiled loops: numba, kept on disk, and compiled afresh whenever the loop or anything it calls has changed."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any, cast


def compiled(function: Callable[..., Any], *uses: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled by numba's nopython mode, one thread, no reordering of floating-point sums.

    Parameters
    ----------
    function
        A module-level function over arrays and numbers. Call `compiled` inside a cached function so that numba is
        imported only when a loop runs.
    uses
        Every function it calls that numba must compile too. Numba's cache on disk knows only the time stamp of the
        file `function` stands in; their source is added to the stamp, or a change in another file would leave an
        outdated loop in use.
    """
    import numba
    from numba.extending import register_jitable

    for used in uses:
        register_jitable(used)
    try:
        dispatcher: Any = numba.njit(cache=True)(function)
    except RuntimeError:  # numba found no writable place for its cache: compile afresh in each process
        return cast("Callable[..., Any]", numba.njit(function))
    source = "".join(inspect.getsource(one) for one in (function, *uses))
    index = dispatcher._cache._cache_file  # noqa: SLF001 - numba offers no public way to say what a loop depends on
    index._source_stamp = (index._source_stamp, hashlib.sha256(source.encode()).hexdigest())  # noqa: SLF001
    return cast("Callable[..., Any]", dispatcher)
