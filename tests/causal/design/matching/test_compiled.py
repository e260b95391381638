"""Compiled loops are compiled afresh when anything they call has changed, in whatever file it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from causal.design.matching.compiled import compiled
from helper import step
from kernel import walk
loop = compiled(walk, step)
print(loop(3), sum(loop.stats.cache_hits.values()))
"""


KERNEL = """
from helper import step


def walk(n):
    total = 0
    for i in range(n):
        total += step(i)
    return total
"""


def run(folder: Path) -> list[str]:
    """What the loop gives in a process of its own, and how often it was found on disk."""
    done = subprocess.run([sys.executable, "-c", RUN, str(folder)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_a_change_in_another_file_is_noticed(tmp_path: Path) -> None:
    """The loop's own file stays as it is; the function it calls changes, and the answer with it."""
    kernel = (
        "from helper import step\n\n\ndef walk(n):\n    total = 0\n    for i in range(n):\n        total += step(i)\n"
    )
    (tmp_path / "kernel.py").write_text(kernel + "    return total\n", encoding="utf-8")
    (tmp_path / "helper.py").write_text("def step(i):\n    return i\n", encoding="utf-8")
    assert run(tmp_path) == ["3", "0"]
    assert run(tmp_path) == ["3", "1"]
    (tmp_path / "helper.py").write_text("def step(i):\n    return i + 1\n", encoding="utf-8")
    assert run(tmp_path) == ["6", "0"]
