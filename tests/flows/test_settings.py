"""The site file: typed, nothing scientific, public keys that are keys."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError

from causal.errors import StudyFileError
from flows.settings import Site, load_site

ROOT = Path(__file__).resolve().parents[2]


def public_key(seed: int) -> str:
    """The base64 public key of the private key made of one byte."""
    return base64.b64encode(
        Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32).public_key().public_bytes_raw()
    ).decode()


def site_file(folder: Path, text: str) -> Path:
    """A site file that says `text`."""
    path = folder / "site.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(path: Path) -> list[str]:
    """The lines of the refusal of `path`, without its name."""
    with pytest.raises(StudyFileError) as refusal:
        load_site(path)
    assert refusal.value.code == "site.invalid"
    return [line.removeprefix(f"{path}:") for line in refusal.value.message.splitlines()[1:]]


def test_the_local_site_is_what_an_absent_file_means() -> None:
    """configs/sites/local.yaml writes results to results/ and lists nobody who may approve, as does no file at all."""
    local = load_site(ROOT / "configs/sites/local.yaml")
    assert local.results == Path("results")
    assert local.engine == "duckdb"
    assert local.approvers == ()
    assert load_site(None) == local


def test_an_approver_is_a_person_with_a_key(tmp_path: Path) -> None:
    """A public key in the site file is the 32 bytes that verify signatures."""
    text = f"results: results\napprovers:\n  - {{name: Dr A, role: ethics_board, public_key: {public_key(1)}}}\n"
    (approver,) = load_site(site_file(tmp_path, text)).approvers
    assert (approver.name, approver.role) == ("Dr A", "ethics_board")
    private = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    Ed25519PublicKey.from_public_bytes(approver.key_bytes()).verify(private.sign(b"design"), b"design")


def test_every_problem_is_named_with_its_line(tmp_path: Path) -> None:
    """Unknown keys, numbers out of range, another engine and text that is no key are all named at once."""
    lines = refused(
        site_file(
            tmp_path,
            "results: results\nthreads: 0\nmemory: 3\nengine: spark\napprovers:\n"
            "  - {name: Dr A, role: ethics_board, public_key: abc}\n"
            f"  - {{name: Dr B, role: Ethics, public_key: {'A' * 42}B=}}\n"
            "caliper: 0.2\n",
        )
    )
    keys = "the keys here are results, deliveries, threads, memory_gb, engine, approvers"
    assert lines == [
        "2:10: threads: got 0, expected an integer from 1 to 256",
        "3:1: memory: unknown key 'memory'; did you mean 'memory_gb'?",
        "4:9: engine: got 'spark', expected duckdb",
        "6:50: approvers[1].public_key: got 'abc', expected a public key: 44 characters of base64",
        "7:24: approvers[2].role: got 'Ethics', expected a lower-case word of letters, digits and underscores",
        "7:44: approvers[2].public_key: a public key is the base64 of exactly 32 bytes (Ed25519)",
        f"8:1: caliper: unknown key 'caliper'; {keys}",
    ]


@pytest.mark.parametrize("results", ["~/results", "$HOME/results", ".", "''"])
def test_a_results_folder_is_written_out(tmp_path: Path, results: str) -> None:
    """A folder that only a shell would understand, or none, is refused rather than made literally."""
    (line,) = refused(site_file(tmp_path, f"results: {results}\n"))
    assert line == "1:10: results: expected a folder written out, such as results or /srv/rapport/results"


def test_two_people_may_not_share_a_key(tmp_path: Path) -> None:
    """One key under two names would let one person approve as two."""
    people = "".join(f"  - {{name: {name}, role: board, public_key: {public_key(2)}}}\n" for name in ("A", "B"))
    (line,) = refused(site_file(tmp_path, "results: results\napprovers:\n" + people))
    assert line == "3:3: approvers: two approvers have the same public_key; each person signs with a key of their own"


def test_a_site_cannot_be_changed_after_reading() -> None:
    """The site is a value."""
    site = Site(results=Path("results"))
    with pytest.raises(ValidationError):
        site.threads = 8  # type: ignore[misc]


def test_a_missing_site_file_is_a_plain_refusal(tmp_path: Path) -> None:
    """No traceback for a wrong path."""
    with pytest.raises(StudyFileError) as refusal:
        load_site(tmp_path / "nowhere.yaml")
    assert str(refusal.value) == f"[site.unreadable] {tmp_path}/nowhere.yaml: there is no such file"
