"""Starting up is cheap: help answers at once and imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

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
    program = (
        "import sys; sys.argv = ['rapport', '--help']\n"
        "from flows.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert not stop.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "simulate" in done.stdout
    assert done.stderr.strip() == "[]"
