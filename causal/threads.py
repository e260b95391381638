"""Linear algebra on one thread: sums, and what is compared to the bit, then depend on no number of processors."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types


def one_thread() -> AbstractContextManager[object]:
    """Limit NumPy's and SciPy's linear algebra to one thread while this is open; before and after are alike.

    >>> with one_thread():
    ...     [library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()][0]
    1
    """
    limited: AbstractContextManager[object] = _linear_algebra().limit(limits=1)
    return limited


@cache
def _linear_algebra() -> ThreadpoolController:
    """The libraries, looked for once: a search of all a process has loaded takes milliseconds, a limit 10 us."""
    import scipy.linalg  # noqa: F401  # loads SciPy's own library, which would be missed if it came later

    return ThreadpoolController().select(user_api="blas")
