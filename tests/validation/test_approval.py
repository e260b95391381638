"""An approval opens outcomes only when every condition holds; each failure has its own code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from causal.errors import ApprovalError
from causal.protocol.approval import Approval
from flows.approvals import create_key, decide, public_half, read_key, sign, simulated_key, simulated_public_key
from validation.approval import (
    DesignIdentity,
    check_can_open_outcomes,
    check_can_sign,
    judge_approval,
    signed_bytes,
)
from validation.verdict import Verdict, at_most, failed

IDENTITY = DesignIdentity(
    study_id="duty_to_warn",
    design_digest="a" * 64,
    protocol_digest="b" * 64,
    tables_digest="c" * 64,
    small_cell_threshold=11,
    report_sha256="e" * 64,
    rehearsal=False,
)
TODAY = "2026-01-15"
FAILING = at_most("design.unmatched", 0.5, 0.3, "too many unmatched")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A freshly made approver's key."""
    path = tmp_path / "board.key"
    create_key(path)
    return path


def approval_of(key_file: Path, identity: DesignIdentity = IDENTITY, *, accept: tuple[str, ...] = ()) -> Approval:
    """An approval of `identity` by the holder of the key."""
    decision = decide(
        identity, approver="Board", role="ethics board", expires="2026-12-31", accepted_failures=accept, simulated=False
    )
    return sign(decision, read_key(key_file))


def codes_failed(
    approval: Approval,
    key_file: Path,
    *,
    identity: DesignIdentity = IDENTITY,
    verdicts: tuple[Verdict, ...] = (),
    today: str = TODAY,
) -> list[str]:
    """Codes of the conditions that do not hold."""
    judged = judge_approval(
        approval,
        design=identity,
        verdicts=verdicts,
        trusted_keys={public_half(read_key(key_file))},
        simulated_key=simulated_public_key(),
        today=today,
    )
    return [verdict.code for verdict in failed(judged)]


def test_a_good_approval_opens_outcomes(key_file: Path) -> None:
    """Signed by a trusted key for exactly this design, before expiry: nothing fails."""
    assert codes_failed(approval_of(key_file), key_file) == []


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("study_id", "another_study", "approval.study"),
        ("design_digest", "d" * 64, "approval.design"),
        ("protocol_digest", "d" * 64, "approval.protocol"),
        ("tables_digest", "d" * 64, "approval.tables"),
        ("small_cell_threshold", 5, "approval.disclosure"),
        ("report_sha256", "d" * 64, "approval.report"),
    ],
)
def test_an_approval_covers_only_what_it_names(key_file: Path, field: str, value: object, code: str) -> None:
    """An approval given for another study, design, protocol, table set or threshold fails by its own code."""
    other = dataclasses.replace(IDENTITY, **{field: value})
    assert codes_failed(approval_of(key_file, other), key_file) == [code]


def test_a_forged_decision_is_seen(key_file: Path) -> None:
    """Changing a signed decision breaks its signature."""
    approval = approval_of(key_file)
    forged = approval.model_copy(update={"decision": approval.decision.model_copy(update={"expires": "2030-01-01"})})
    assert codes_failed(forged, key_file) == ["approval.signature"]


def test_a_key_the_site_does_not_know_is_refused(key_file: Path, tmp_path: Path) -> None:
    """A self-made key opens nothing."""
    create_key(tmp_path / "own.key")
    assert codes_failed(approval_of(tmp_path / "own.key"), key_file) == ["approval.trusted"]


def test_an_expired_approval_is_refused(key_file: Path) -> None:
    """The last day still counts; the day after does not."""
    approval = approval_of(key_file)
    assert codes_failed(approval, key_file, today="2026-12-31") == []
    assert codes_failed(approval, key_file, today="2027-01-01") == ["approval.expiry"]


def test_a_failed_check_blocks_unless_it_is_named(key_file: Path) -> None:
    """A FAIL stops estimation until an approval names its code."""
    assert codes_failed(approval_of(key_file), key_file, verdicts=(FAILING,)) == ["approval.failures"]
    accepted = approval_of(key_file, accept=("design.unmatched",))
    assert codes_failed(accepted, key_file, verdicts=(FAILING,)) == []


def test_the_simulated_board_approves_rehearsals_only(key_file: Path) -> None:
    """Its key is public, so its signature is worth nothing on real records."""
    decision = decide(
        IDENTITY, approver="Simulated", role="none", expires="2099-12-31", accepted_failures=(), simulated=True
    )
    approval = sign(decision, simulated_key())
    assert codes_failed(approval, key_file) == ["approval.trusted"]
    assert codes_failed(approval, key_file, identity=dataclasses.replace(IDENTITY, rehearsal=True)) == []


def test_the_simulated_boards_key_cannot_pose_as_a_real_approver(key_file: Path) -> None:
    """Signing with the public seed but calling it real is refused."""
    decision = decide(
        IDENTITY, approver="Board", role="board", expires="2099-12-31", accepted_failures=(), simulated=False
    )
    assert codes_failed(sign(decision, simulated_key()), key_file) == ["approval.trusted"]


def test_every_reason_is_said_at_once(key_file: Path) -> None:
    """The refusal lists all conditions that fail, not only the first."""
    other = dataclasses.replace(IDENTITY, design_digest="d" * 64, study_id="another_study")
    judged = judge_approval(
        approval_of(key_file, other),
        design=IDENTITY,
        verdicts=(),
        trusted_keys={public_half(read_key(key_file))},
        simulated_key=simulated_public_key(),
        today=TODAY,
    )
    with pytest.raises(ApprovalError, match="another study; it approves another design"):
        check_can_open_outcomes(judged)


def test_a_key_is_private_and_never_overwritten(key_file: Path) -> None:
    """Key files are readable by their owner only, and a second key does not replace the first."""
    assert key_file.stat().st_mode & 0o077 == 0
    with pytest.raises(ApprovalError, match=r"approval\.key_exists"):
        create_key(key_file)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ({"expires": "2024-13-45"}, "approval.expires", "expected a day from 2026-01-15 to 2099-12-31"),
        ({"expires": "soon"}, "approval.expires", "'soon'"),
        ({"expires": "2026-1-31"}, "approval.expires", "YYYY-MM-DD"),
        ({"expires": "2025-12-31"}, "approval.expires", "expected a day from 2026-01-15"),
        ({"expires": "9999-12-31"}, "approval.expires", "to 2099-12-31"),
        ({"approver": "A" * 3000}, "approval.name", "1 to 200 printable characters"),
        ({"role": " "}, "approval.name", "the role"),
        ({"accepted": ["design.unmatchd"]}, "approval.accepts", "did you mean 'design.unmatched'?"),
        ({"accepted": ["zzz"]}, "approval.accepts", "failed are design.unmatched"),
    ],
)
def test_what_cannot_be_meant_is_not_signed(words: dict[str, Any], code: str, said: str) -> None:
    """An expiry that is no day, past or beyond every calendar; names nobody prints; failures that do not exist."""
    usual = {"approver": "Board", "role": "ethics board", "expires": "2026-12-31", "accepted": ["design.unmatched"]}
    check_can_sign(**usual, failures=["design.unmatched"], today=TODAY)
    with pytest.raises(ApprovalError) as refused:
        check_can_sign(**(usual | words), failures=["design.unmatched"], today=TODAY)
    assert refused.value.code == code
    assert said in str(refused.value)


def test_what_can_be_meant_is_signed_to_the_last_letter_and_day() -> None:
    """A name of 200 letters, an approval for today only and one to the end of the calendar, every failure accepted."""
    usual: dict[str, Any] = {"approver": "Board", "role": "ethics board", "expires": "2026-12-31", "accepted": []}
    failures = ["design.sets", "design.unmatched"]
    for words in (
        {"approver": "A" * 200},
        {"role": "B" * 200},
        {"expires": TODAY},
        {"expires": "2099-12-31"},
        {"accepted": failures},
    ):
        check_can_sign(**(usual | words), failures=failures, today=TODAY)
    for words in ({"approver": "A" * 201}, {"role": "B" * 201}, {"approver": "A\nB"}, {"accepted": [*failures, "x"]}):
        with pytest.raises(ApprovalError):
            check_can_sign(**(usual | words), failures=failures, today=TODAY)


def test_what_was_mistyped_is_told_with_how_to_write_it() -> None:
    """The option to use, the codes there are, a long value cut short; and that nothing failed where nothing did."""
    usual: dict[str, Any] = {"approver": "Board", "role": "ethics board", "expires": "2026-12-31", "accepted": ["zzz"]}
    for words, failures, said in (
        ({"approver": ""}, (), "write it out after --approver, as the report shall print it"),
        ({"role": ""}, (), "write it out after --role, as the report shall print it"),
        ({"expires": "x" * 50}, (), f"'{'x' * 40}'; expected"),
        ({"accepted": ["y" * 90]}, (), f"'{'y' * 80}' is no failed check of this design; failed are none"),
        ({}, ("b.two", "a.one"), "failed are a.one, b.two"),
        ({}, ("a.one",), "name after --accept only what failed"),
    ):
        with pytest.raises(ApprovalError) as refused:
            check_can_sign(**(usual | words), failures=failures, today=TODAY)
        assert said in str(refused.value)


def test_the_refusal_to_open_names_the_first_reason_and_the_remedy(key_file: Path, tmp_path: Path) -> None:
    """Its code is that of the first condition that fails; each reason is a sentence; nothing is raised without one."""
    create_key(tmp_path / "own.key")
    judged = judge_approval(
        approval_of(tmp_path / "own.key", accept=("design.sets",)),
        design=IDENTITY,
        verdicts=(FAILING, at_most("design.pretrend", 0.5, 0.3, "moved")),
        trusted_keys={public_half(read_key(key_file))},
        simulated_key=simulated_public_key(),
        today="2027-01-01",
    )
    with pytest.raises(ApprovalError) as refused:
        check_can_open_outcomes(judged)
    assert refused.value.code == "approval.trusted"
    assert "outcomes stay closed: the signing key is not one of the site's approvers; it has expired; " in str(
        refused.value
    )
    assert "it does not accept these failed checks: design.unmatched, design.pretrend" in str(refused.value)
    assert "have this design approved with 'rapport approve'" in str(refused.value)
    passing = [one for one in judged if one.code not in {each.code for each in failed(judged)}]
    assert {one.sentence for one in passing} == {"holds"}
    check_can_open_outcomes(passing)


def test_a_signature_that_is_no_signature_is_seen(key_file: Path) -> None:
    """Bytes of another length, or a key of another length, are a signature that does not match and no crash."""
    good = approval_of(key_file)
    for words in ({"signature": "AAAA"}, {"public_key": "AAAA"}):
        assert "approval.signature" in codes_failed(good.model_copy(update=words), key_file)


def test_what_is_signed_is_the_decision_in_one_spelling(key_file: Path) -> None:
    """Sorted keys, no blanks: the same decision is the same bytes wherever it was written."""
    decision = approval_of(key_file).decision
    text = signed_bytes(decision).decode()
    assert json.loads(text) == decision.model_dump(mode="json")
    assert text.startswith('{"accepted_failures":[],"approver":"Board","design_digest":"aaa')
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert ", " not in text
    assert ": " not in text
