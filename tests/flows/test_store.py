"""The store: published whole or not at all, never overwritten, with a ledger that shows tampering."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path

import pytest

from causal.errors import RapportError
from flows.ledger import canonical_json
from flows.store import MANIFEST, Store, digest_of, intact


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store of one study."""
    made = Store(tmp_path, "example")
    made.prepare()
    return made


def publish(store: Store, name: str, text: str) -> Path:
    """Publish one file and give back its folder."""
    folder = store.root / "releases" / name
    with store.publishing(folder) as staging:
        (staging / "page.html").write_text(text)
    return folder


def test_a_published_folder_is_whole_and_says_so(store: Store) -> None:
    """A published folder holds its files and a manifest that matches them."""
    folder = publish(store, "1-abc", "hello")
    assert (folder / "page.html").read_text() == "hello"
    assert intact(folder)


def test_publishing_never_overwrites(store: Store) -> None:
    """A second publication under a standing name is refused and the first stays as it was."""
    folder = publish(store, "1-abc", "first")
    with pytest.raises(RapportError, match=r"store\.write_failed"):
        publish(store, "1-abc", "second")
    assert (folder / "page.html").read_text() == "first"
    assert not list(store.root.glob("**/.staging-*"))


def test_a_block_that_fails_publishes_nothing(store: Store) -> None:
    """When writing stops half-way, neither the folder nor its staging is left."""
    folder = store.root / "releases" / "1-abc"

    def stop_half_way() -> None:
        with store.publishing(folder) as staging:
            (staging / "page.html").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stop_half_way()
    assert not folder.exists()
    assert not list(store.root.glob("**/.staging-*"))


@pytest.mark.parametrize("damage", ["flip", "truncate", "delete"])
def test_damage_is_seen(store: Store, damage: str) -> None:
    """A folder with a changed, shortened or missing file is not intact."""
    folder = publish(store, "1-abc", "hello")
    page = folder / "page.html"
    if damage == "flip":
        page.write_text("hellp")
    elif damage == "truncate":
        page.write_text("")
    else:
        page.unlink()
    assert not intact(folder)


def test_a_folder_without_manifest_is_not_intact(store: Store) -> None:
    """A folder whose manifest is gone was never finished."""
    folder = publish(store, "1-abc", "hello")
    (folder / MANIFEST).unlink()
    assert not intact(folder)


def test_a_damaged_cache_entry_is_replaced_and_a_damaged_publication_is_not(store: Store) -> None:
    """Private results are rebuilt over a damaged one; what was published stays as evidence."""
    cached = store.stage_folder("design", "a" * 64)
    for text in ("first", "second"):
        with store.publishing(cached) as staging:
            (staging / "design.json").write_text(text)
        (cached / "design.json").write_text("damaged" if text == "first" else text)
    assert intact(cached)
    assert (cached / "design.json").read_text() == "second"
    released = publish(store, "1-abc", "hello")
    (released / "page.html").write_text("damaged")
    with pytest.raises(RapportError, match="what stands there is damaged"):
        publish(store, "1-abc", "again")


def test_the_ledger_is_a_chain(store: Store) -> None:
    """Entries are numbered and each names the hash of the one before."""
    store.append("design", design="d1")
    store.append("release", release="r1")
    first, second = store.entries()
    assert (first["seq"], second["seq"]) == (1, 2)
    assert second["previous"] != ""


def test_an_edited_ledger_is_refused(store: Store) -> None:
    """Changing an early entry breaks the chain."""
    for number in range(3):
        store.append("design", design=f"d{number}")
    lines = store.ledger.read_text().splitlines()
    entry = json.loads(lines[0]) | {"design": "another"}
    store.ledger.write_text("\n".join([json.dumps(entry), *lines[1:]]) + "\n")
    with pytest.raises(RapportError, match=r"ledger\.broken"):
        store.entries()


def test_two_runs_of_one_study_do_not_overlap(tmp_path: Path) -> None:
    """While one process holds the study, another is told that it is busy; when it dies the kernel frees the lock."""
    program = (
        "import sys, time; from pathlib import Path; from flows.store import Store\n"
        "with Store(Path(sys.argv[1]), 'example').locked():\n    print('ready', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        with pytest.raises(RapportError, match=r"store\.busy.*process \d+ since"), Store(tmp_path, "example").locked():
            pass
    finally:
        holder.kill()
        holder.communicate()
    with Store(tmp_path, "example").locked():
        pass


def test_stale_staging_is_swept_when_the_next_run_starts(store: Store) -> None:
    """What a killed run left behind is removed under the lock."""
    stale = store.root / "releases" / ".staging-dead"
    stale.mkdir()
    with store.locked():
        assert not stale.exists()


def test_a_results_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    """A results path that cannot hold folders is refused with a plain message."""
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(RapportError, match=r"store\.unwritable"):
        Store(tmp_path / "results", "example").prepare()


def test_digests_do_not_depend_on_key_order() -> None:
    """Canonical JSON sorts keys, so the same facts have the same digest."""
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
    assert canonical_json({"b": 1.5, "a": None}) == b'{"a":null,"b":1.5}'


def test_a_disk_that_fills_publishes_nothing_and_keeps_what_stands(store: Store) -> None:
    """No room half-way through a publication: it is absent, what was published is whole, and the next one works."""
    before = publish(store, "1-abc", "hello")

    def fill() -> None:
        with store.publishing(store.root / "releases" / "2-def") as staging:
            (staging / "page.html").write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device", str(staging / "report.pdf"))

    with pytest.raises(OSError, match="space"):
        fill()
    assert [path.name for path in store.releases()] == ["1-abc"]
    assert intact(before)
    assert not list(store.root.glob("**/.staging-*"))
    assert intact(publish(store, "2-def", "after freeing"))


def test_a_folder_that_is_no_release_is_passed_over(store: Store) -> None:
    """What somebody put beside the releases is not one."""
    publish(store, "1-abc", "hello")
    (store.root / "releases" / "old-copy").mkdir()
    assert [path.name for path in store.releases()] == ["1-abc"]


@pytest.mark.parametrize("content", ["[1]", '{"page.html": 3}', '{"page.html": {}}', "not JSON"])
def test_a_manifest_that_is_none_is_damage(store: Store, content: str) -> None:
    """Whatever stands in place of the manifest, the folder is not intact, and nothing crashes."""
    folder = publish(store, "1-abc", "hello")
    (folder / MANIFEST).write_text(content)
    assert not intact(folder)


def test_what_stands_already_is_recorded_once(store: Store) -> None:
    """A run that stopped between publishing and noting is made good by the next, and nothing is noted twice."""
    for _ in range(2):
        store.record("design", design="d1", failed=["design.unmatched"])
        store.record("release", release="1-abc", design="d1")
    assert [(entry["event"], entry["design"]) for entry in store.entries()] == [("design", "d1"), ("release", "d1")]
    store.record("design", design="d1", failed=[])
    assert len(store.entries()) == 3
