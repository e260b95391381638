"""What the machine did is never told as our fault, and what could be our mistake is never told as the machine's."""

from __future__ import annotations

import errno

import duckdb
import pytest

from flows.machine import MENDS, machine_fault


@pytest.mark.parametrize("code", MENDS, ids=lambda code: errno.errorcode[code])
def test_every_fault_has_its_place_and_its_mend(code: int) -> None:
    """The file, what the system said of it, and what somebody can do."""
    fault = machine_fault(OSError(code, "words of the system", "results/study/x.parquet"))
    assert fault is not None
    assert fault.code == "machine.files"
    assert fault.message.startswith("results/study/x.parquet: ")
    assert "words of the system" not in fault.message
    assert fault.fix == MENDS[code]


def test_the_second_file_of_a_move_is_the_one_that_could_not_be_made() -> None:
    """A rename speaks of two files."""
    fault = machine_fault(OSError(errno.EROFS, "", "staging", None, "designs/abc"))
    assert fault is not None
    assert fault.message.startswith("designs/abc: ")


def test_what_engines_say_of_a_full_disk_is_not_repeated() -> None:
    """DuckDB and numpy have their own errors, whose words can quote what was written."""
    for error in (
        duckdb.IOException("Could not write file: patient-7731"),
        duckdb.OutOfMemoryException("failed to allocate patient-7731"),
        MemoryError("patient-7731"),
        OSError("80000 requested and 32 written"),
    ):
        fault = machine_fault(error)
        assert fault is not None, error
        assert "7731" not in str(fault)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a"),
        FileNotFoundError(errno.ENOENT, "No such file or directory", "templates/report.html.j2"),
        OSError("something else"),
        duckdb.CatalogException("no table"),
        ValueError("x"),
    ],
)
def test_what_may_be_our_mistake_stays_ours(error: Exception) -> None:
    """A file of ours that is not there, or a query of ours that is wrong, is an internal error."""
    assert machine_fault(error) is None
