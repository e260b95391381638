"""Linear algebra on one thread."""

from __future__ import annotations

import subprocess
import sys
import time

from threadpoolctl import ThreadpoolController, threadpool_limits

from causal.threads import one_thread


def threads() -> list[int]:
    """Threads of each linear algebra library now, looked for anew."""
    return [library["num_threads"] for library in ThreadpoolController().select(user_api="blas").info()]


def test_one_thread_inside_and_as_before_after() -> None:
    """Every library is limited, also when opened twice, and afterwards has the threads it had."""
    import scipy.linalg  # noqa: F401  # its library too

    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        assert before
        assert set(before) != {1}
        with one_thread():
            assert set(threads()) == {1}
            with one_thread():
                assert set(threads()) == {1}
            assert set(threads()) == {1}
        assert threads() == before


def test_libraries_loaded_later_are_limited_too() -> None:
    """Opened before SciPy was ever imported, it still limits SciPy's own library."""
    script = (
        "from causal.threads import one_thread\n"
        "with one_thread():\n"
        "    import numpy, scipy.linalg, scipy.optimize\n"
        "    from threadpoolctl import ThreadpoolController\n"
        "    found = ThreadpoolController().select(user_api='blas').info()\n"
        "    assert found and all(library['num_threads'] == 1 for library in found), found\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_it_costs_next_to_nothing() -> None:
    """Less than half of what a search of the libraries each time would take."""
    with one_thread():
        pass
    begun = time.process_time()
    for _ in range(100):
        with one_thread():
            pass
    ours = time.process_time() - begun
    begun = time.process_time()
    for _ in range(10):
        with threadpool_limits(limits=1, user_api="blas"):
            pass
    assert ours / 100 < 0.5 * (time.process_time() - begun) / 10
