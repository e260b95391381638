"""The flagship from records to release, run as its users run it: once for the folder, looked at from every side."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from command import ROOT, Ran, forked, started

STUDY = ROOT / "configs" / "studies" / "duty_to_warn.yaml"
PATIENTS = 8000
RELEASE_FILES = {"report.html", "report.pdf", "results.json", "manifest.json"}


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A delivered synthetic extract: extract/, truth.parquet."""
    out = tmp_path_factory.mktemp("delivered") / "demo"
    ran = forked("simulate", str(STUDY), "--patients", str(PATIENTS), "--seed", "7", "--out", str(out))
    assert ran.code == 0, ran.err
    return out


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of one direct run on synthetic records."""
    results = tmp_path_factory.mktemp("direct")
    ran = run_synthetic(results, "--direct")
    assert ran.code == 0, ran.err
    return results


def run_synthetic(results: Path, *words: str, **environment: str) -> Ran:
    """The demo's command at a smaller size."""
    return started(
        "run",
        str(STUDY),
        "--synthetic",
        str(PATIENTS),
        "--seed",
        "7",
        "--results",
        str(results),
        *words,
        **environment,
    )


def release_of(results: Path) -> Path:
    """The one release under `results`."""
    (folder,) = (results / "duty_to_warn" / "releases").iterdir()
    return folder


def test_a_run_ends_in_a_release_with_its_truth(released: Path) -> None:
    """Two commands' worth of work leave one whole release whose estimate stands beside the truth."""
    folder = release_of(released)
    assert {path.name for path in folder.iterdir()} >= RELEASE_FILES
    facts = json.loads((folder / "results.json").read_text())
    assert len(facts["truth"]) == 2
    for effect in (facts["results"]["termination"], facts["results"]["composite"]):
        assert effect["lower"] < effect["value"] < effect["upper"]
    parts = facts["results"]["decomposition"]
    assert parts["termination_part"] + parts["level_part"] == pytest.approx(parts["total"], abs=0.0021)


def test_running_again_does_no_work_twice_and_says_so(released: Path) -> None:
    """The second run skips every stage that did not change, publishes nothing, and loads nothing for what it skips."""
    before = {path: path.stat().st_mtime_ns for path in released.rglob("*") if path.is_file()}
    ran = run_synthetic(released, "--direct", PYTHONPROFILEIMPORTTIME="1")
    assert ran.code == 0, ran.err
    imported = {line.split("|")[-1].strip() for line in ran.err.splitlines() if line.startswith("import time:")}
    assert "causal.protocol.study" in imported
    assert imported.isdisjoint(
        {"dowhy", "great_expectations", "sklearn", "scipy.stats", "ibis", "matplotlib", "prefect"}
    )
    for stage in ("simulate", "validate extract", "build cohort", "build design", "judge design", "release"):
        assert any(line.startswith(stage) and "unchanged" in line for line in ran.err.splitlines()), (stage, ran.err)
    after = {path: path.stat().st_mtime_ns for path in released.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} <= {
        released / "duty_to_warn" / "private" / "study.lock"
    }
    ledger = [json.loads(line) for line in (released / "duty_to_warn" / "ledger.jsonl").read_text().splitlines()]
    opened = [entry["design"] for entry in ledger if entry["event"] == "outcomes opened"]
    facts = json.loads((release_of(released) / "results.json").read_text())
    assert (len(opened), facts["provenance"]["looks"]) == (1, 1)
    assert facts["provenance"]["design_digest"] == opened[0]


def test_prefect_sockets_hash_seed_time_zone_and_locale_change_nothing(released: Path, tmp_path: Path) -> None:
    """The release is the same to the byte through Prefect, with every connection off this machine refused, elsewhere.

    One run for all that may not matter: where the bytes differ, the release beside it says in what.
    """
    guard = tmp_path / "guard"
    guard.mkdir()
    log = tmp_path / "connections.txt"
    (guard / "sitecustomize.py").write_text(SOCKET_GUARD)
    results = tmp_path / "results"
    ran = run_synthetic(
        results,
        PYTHONPATH=str(guard),
        RAPPORT_TEST_CONNECTIONS=str(log),
        PREFECT_HOME=str(tmp_path / "p"),
        PYTHONHASHSEED="12345",
        TZ="Asia/Kathmandu",
        LANG="C",
        LC_ALL="C",
    )
    assert ran.code == 0, ran.err
    assert "refused" not in (log.read_text() if log.exists() else "")
    assert "loopback" in log.read_text()
    ours, theirs = release_of(released), release_of(results)
    assert ours.name == theirs.name
    for name in RELEASE_FILES:
        assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name


SOCKET_GUARD = '''
"""Refuse and record every connection or look-up that leaves this machine."""
import os, sys

def guard(event, args):
    if event == "socket.connect":
        address = args[1]
    elif event == "socket.getaddrinfo":
        address = args
    else:
        return
    if isinstance(address, (str, bytes)):
        return
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    local = host in (None, "", "localhost", "::1", "0.0.0.0") or str(host).startswith("127.")
    with open(os.environ["RAPPORT_TEST_CONNECTIONS"], "a") as log:
        log.write("loopback\\n" if local else f"refused {event} {host}\\n")
    if not local:
        raise OSError("this test allows no connection off this machine")

sys.addaudithook(guard)
'''


def test_outcomes_stay_closed_until_a_trusted_board_has_signed(delivered: Path, tmp_path: Path) -> None:
    """Without approval, `run` leaves a design dossier and refuses; an approval by a listed key opens it."""
    site, key, results = tmp_path / "site.yaml", tmp_path / "board.key", tmp_path / "results"
    site.write_text(f"results: {results}\n")
    words = ("--extract", str(delivered / "extract"), "--site", str(site), "--direct")
    ran = forked("run", str(STUDY), *words)
    assert ran.code == 1
    assert "[approval.none]" in ran.err
    assert not list((results / "duty_to_warn" / "releases").iterdir())
    (design,) = (results / "duty_to_warn" / "designs").iterdir()
    assert "not been opened" in (design / "report.html").read_text()

    made = json.loads(forked("approve", str(STUDY), "--init", "--key", str(key), "--json").out)
    signing = ("approve", str(STUDY), "--design", design.name, "--key", str(key), "--approver", "A. Board")
    signing += ("--role", "ethics board", "--expires", "2099-01-01", "--site", str(site))
    failed = json.loads((design / "identity.json").read_text())["failed"]
    for code in failed:
        signing += ("--accept", code)
    assert forked(*signing).code == 0
    untrusted = forked("estimate", str(STUDY), *words)
    assert untrusted.code == 1
    assert "[approval.trusted]" in untrusted.err

    site.write_text(
        f"results: {results}\n"
        f"approvers:\n  - {{name: A. Board, role: ethics_board, public_key: {made['public_key']}}}\n"
    )
    opened = forked("estimate", str(STUDY), *words)
    assert opened.code == 0, opened.err
    told = json.loads(forked("status", str(STUDY), "--site", str(site), "--json").out)
    assert told["outcomes_opened"] == 1
    assert len(told["releases"]) == 1

    # The same people, the same design, other outcomes: a redelivery needs a decision of its own.
    changed = tmp_path / "redelivered"
    shutil.copytree(delivered / "extract", changed)
    change_end_reasons(changed)
    again = forked("estimate", str(STUDY), "--extract", str(changed), "--site", str(site), "--direct")
    assert again.code == 1
    assert "[approval.none]" in again.err
    assert len(list((results / "duty_to_warn" / "releases").iterdir())) == 1


def change_end_reasons(extract: Path) -> None:
    """Redeliver the extract with every patient-initiated end called a completion, and a manifest that says so."""
    import pandas as pd
    import pyarrow.parquet as pq

    (part,) = (extract / "episodes").iterdir()
    table = pq.read_table(part)
    frame = table.to_pandas()
    frame["end_reason"] = frame["end_reason"].replace({"pt_initiated": "completed", "lost": "completed"})
    pq.write_table(table.from_pandas(pd.DataFrame(frame), schema=table.schema, preserve_index=False), part)
    manifest = json.loads((extract / "manifest.json").read_text())
    (listed,) = manifest["tables"]["episodes"]["files"]
    listed["bytes"], listed["sha256"] = part.stat().st_size, hashlib.sha256(part.read_bytes()).hexdigest()
    (extract / "manifest.json").write_text(json.dumps(manifest))


def test_a_changed_extract_under_the_same_path_is_seen(delivered: Path, tmp_path: Path) -> None:
    """Same path, same size, same time stamp, one byte changed: refused, because its sha256 is not the manifest's."""
    copy = tmp_path / "extract"
    shutil.copytree(delivered / "extract", copy)
    words = ("check", str(STUDY), "--extract", str(copy), "--results", str(tmp_path / "results"))
    assert forked(*words).code == 0
    (part, *_) = sorted((copy / "measures").iterdir())
    content, stamp = bytearray(part.read_bytes()), part.stat()
    content[len(content) // 2] ^= 1
    part.write_bytes(content)
    os.utime(part, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    ran = forked(*words)
    assert ran.code == 1
    assert "sha256" in ran.err
    assert "Traceback" not in ran.err


def test_no_patients_value_is_left_where_it_may_leave(released: Path) -> None:
    """No id of the extract stands in a release, a design dossier, an approval, the ledger or the command's words."""
    import pandas as pd

    study = released / "duty_to_warn"
    extract = next((study / "private" / "synthetic").iterdir()) / "extract"
    ids = set(pd.read_parquet(next((extract / "patients").iterdir()))["person_id"].sample(300, random_state=1))
    ids |= set(pd.read_parquet(next((extract / "threat_assessments").iterdir()))["ta_id"].sample(300, random_state=1))
    outside = [path for path in study.rglob("*") if path.is_file() and "private" not in path.relative_to(study).parts]
    assert outside
    for path in outside:
        text = path.read_bytes().decode("latin-1")
        assert not [name for name in ids if name in text], path


def test_private_rows_are_private(released: Path) -> None:
    """The folder with rows can be entered by its owner only."""
    assert (released / "duty_to_warn" / "private").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("design", str(STUDY)), "command.extract"),
        (("approve", str(STUDY)), "command.approve"),
        (("check", "no/such/study.yaml"), "study."),
        (("simulate", str(STUDY), "--out", "unused", "--switch", "nonsense=1"), "simulation.switch"),
    ],
)
def test_a_refusal_is_one_plain_message(words: tuple[str, ...], code: str) -> None:
    """Exit 1, the code, and no traceback."""
    ran = forked(*words)
    assert ran.code == 1
    assert f"[{code}" in ran.err
    assert "Traceback" not in ran.err + ran.out
