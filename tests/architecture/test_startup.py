"""Starting up is cheap: help answers at once, and nothing heavy is imported for work that is not done."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "pandas",
    "numpy",
    "scipy",
    "sklearn",
    "dowhy",
    "prefect",
    "great_expectations",
    "matplotlib",
    "ibis",
    "duckdb",
)


def test_help_imports_nothing_heavy() -> None:
    """`rapport --help` loads none of the libraries that take seconds."""
    done = loaded("--help")
    assert "simulate" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("study", ["duty_to_warn", "examples/lalonde"])
def test_checking_a_study_imports_nothing_that_computes(study: str) -> None:
    """`rapport check STUDY` reads one file and judges it: no table is opened, so nothing that opens one is loaded."""
    done = loaded("check", f"configs/studies/{study}.yaml")
    assert "checks failed" in done.stdout
    assert done.stderr.strip() == "[]"


def loaded(*words: str) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own, which says at its end which heavy libraries it loaded."""
    program = (
        f"import sys; sys.argv = {['rapport', *words]!r}\n"
        "from flows.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
