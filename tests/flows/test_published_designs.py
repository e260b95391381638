"""An approver signs the design of the folder and the page in it, or nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from causal.errors import ApprovalError
from flows.published_designs import IDENTITY, find_design, identity_json, list_designs
from flows.store import Store, file_sha256, write_manifest
from validation.approval import DesignIdentity

DIGEST = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one published design."""
    made = Store(tmp_path, "example")
    made.prepare()
    page = tmp_path / "page.html"
    page.write_text("what the board reads")
    identity = DesignIdentity(
        study_id="example",
        design_digest=DIGEST,
        protocol_digest="b" * 64,
        tables_digest="c" * 64,
        small_cell_threshold=11,
        report_sha256=file_sha256(page),
        rehearsal=False,
    )
    with made.publishing(made.root / "designs" / DIGEST[:16]) as staging:
        (staging / "report.html").write_text(page.read_text())
        (staging / IDENTITY).write_bytes(identity_json(identity, ["design.unmatched"]))
    return made


def test_a_design_is_found_by_the_beginning_of_its_digest(store: Store) -> None:
    """Six characters are enough; its failed checks come with it."""
    identity, failed = find_design(store, DIGEST[:6])
    assert (identity.design_digest, failed) == (DIGEST, ["design.unmatched"])
    assert [design.approved for design in list_designs(store)] == [False]


@pytest.mark.parametrize("beginning", ["", "ab", "../..", "*", "abcdefabcdef", "zz" * 8])
def test_anything_else_names_no_design(store: Store, beginning: str) -> None:
    """Too short, not hexadecimal, a path, a pattern or another digest: refused."""
    with pytest.raises(ApprovalError, match=r"^\[approval\.which_design\]"):
        find_design(store, beginning)


@pytest.mark.parametrize("what", ["digest", "page"])
def test_an_altered_design_is_not_signed(store: Store, what: str) -> None:
    """A folder whose identity or page was rewritten, manifest and all, is refused."""
    folder = store.root / "designs" / DIGEST[:16]
    if what == "page":
        (folder / "report.html").write_text("something kinder")
    else:
        facts = json.loads((folder / IDENTITY).read_text())
        identity = dataclasses.replace(DesignIdentity(**facts["identity"]), design_digest="f" * 64)
        (folder / IDENTITY).write_bytes(identity_json(identity, []))
    (folder / "manifest.json").unlink()
    write_manifest(folder)
    with pytest.raises(ApprovalError, match=r"^\[approval\.design_altered\]"):
        find_design(store, DIGEST[:16])


@pytest.mark.parametrize("content", [b"", b"{}", b'{"identity"'])
def test_a_damaged_design_is_listed_as_damaged(store: Store, content: bytes) -> None:
    """`rapport status` tells of it, and of the others, rather than stopping."""
    (store.root / "designs" / DIGEST[:16] / IDENTITY).write_bytes(content)
    (design,) = list_designs(store)
    assert (design.digest, design.damaged, design.failed) == (DIGEST[:16], True, ())


def test_a_digest_that_ends_otherwise_is_another_design(store: Store) -> None:
    """All of what was typed has to agree, not only the characters that name the folder."""
    with pytest.raises(ApprovalError, match=r"^\[approval\.which_design\]"):
        find_design(store, DIGEST[:16] + "ff")
