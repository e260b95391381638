from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from dossiers import DESIGN_ONLY, DOSSIER, VERDICTS

from flows.report.dossier import to_json
from flows.report.quality_page import render_quality_page
from flows.report.render import render
from validation.verdict import at_most

ROOT = Path(__file__).parents[3]
HASH_A_RELEASE = """
import sys, json, hashlib
sys.path += [sys.argv[1], sys.argv[2]]
from dossiers import DOSSIER
from flows.report.render import render
print(json.dumps({name: hashlib.sha256(content).hexdigest() for name, content in render(DOSSIER).items()}))
"""


def digests(folder: Path, **environment: str) -> dict[str, str]:
    """Digests of a release made by a process of its own, started in `folder`."""
    done = subprocess.run(
        [sys.executable, "-c", HASH_A_RELEASE, str(ROOT), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | environment,
        check=True,
        timeout=120,
    )
    return json.loads(done.stdout)


def test_a_release_is_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    """Other hash seed, time zone, language and folder: the same files, and nothing left behind."""
    here = {name: hashlib.sha256(content).hexdigest() for name, content in render(DOSSIER).items()}
    elsewhere = {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LANG": "C", "LC_ALL": "C", "TMPDIR": str(tmp_path)}
    assert digests(tmp_path, **elsewhere) == here
    assert list(tmp_path.iterdir()) == []
    assert digests(ROOT, PYTHONHASHSEED="77", TZ="America/St_Johns", SOURCE_DATE_EPOCH="1") == here


def test_a_release_has_its_files() -> None:
    """Two pages, the numbers, and a drawing for each figure; none of a result before approval."""
    pages = {"report.html", "report.pdf", "results.json", "flow.svg", "love_plot.svg", "overlap.svg"}
    assert set(render(DESIGN_ONLY)) == pages
    assert set(render(DOSSIER)) == pages | {"effects.svg", "termination.svg"}


def test_the_numbers_are_the_dossier() -> None:
    """The JSON is the dossier itself, readable by anything."""
    content = render(DESIGN_ONLY)["results.json"].decode("utf-8")
    assert content == to_json(DESIGN_ONLY)
    assert json.loads(content)["results"] is None


def test_the_drawing_style_of_the_process_is_left_alone() -> None:
    """Whoever draws after us finds their own settings."""
    import matplotlib

    before = dict(matplotlib.rcParams)
    render(DESIGN_ONLY)
    assert dict(matplotlib.rcParams) == before


def test_the_quality_page_tells_whether_an_extract_may_be_used() -> None:
    """One failed check is enough for a no, in words."""
    good = render_quality_page(DOSSIER.quality, VERDICTS, 11, about="Extract of 2024-12-31", synthetic=True).decode()
    assert "The extract may be used." in good
    assert "SYNTHETIC RECORDS" in good
    assert "Extract of 2024-12-31" in good
    assert "48\N{NARROW NO-BREAK SPACE}210" in good
    assert "withheld" in good
    failing = at_most("extract.dates", 0.3, 0.02, "dates out of range")
    bad = render_quality_page(DOSSIER.quality, (*VERDICTS, failing), 11).decode()
    assert "The extract may not be used as it is." in bad
    assert "Of 10 checks, 8 passed, 1 failed and 1 could not be run." in bad
    assert "SYNTHETIC" not in bad
    assert "<script" not in bad


def test_an_extract_nobody_checked_may_not_be_used() -> None:
    """No checks is not a pass."""
    assert "may not be used" in render_quality_page((), (), 11).decode()
