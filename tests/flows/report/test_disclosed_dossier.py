"""What a dossier says of its study, its approval and its making is what the study and the records say."""

from __future__ import annotations

import dataclasses
from functools import cache
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from worlds import PROFILE, SETS, THRESHOLD, World, design_of, effects_of, extract_of, judged_of, study, workspace

from causal.design.fates import CovariateFate, Fate
from flows.approvals import fingerprint
from flows.report.disclosed import _balance, _versions, design_dossier, release_dossier
from flows.report.dossier import Dossier
from validation.disclosure.facts import FactsWithheld
from validation.verdict import Verdict, not_evaluated

NOTHING_WITHHELD = FactsWithheld(wholly=frozenset(), difference=frozenset(), share=frozenset())


@cache
def judged() -> Any:
    """A design with its verdicts, made once."""
    return judged_of(World(), design_of(World()))


def released(*, approvers: tuple[Any, ...] = (), simulated: bool = False, truth: Any = None, **changes: Any) -> Dossier:
    """A release whose site knows these approvers; `changes` are those of what was judged."""
    ws = workspace()
    ws.site = SimpleNamespace(approvers=approvers)
    decision = SimpleNamespace(approver="A", role="board", simulated=simulated, accepted_failures=("design.x",))
    approval: Any = SimpleNamespace(decision=decision, public_key="AAAA")
    one: Any = SimpleNamespace(**vars(judged()) | changes)
    return release_dossier(ws, one, approval, effects_of(World(), one.design), (), truth, looks=3)


@cache
def before() -> Dossier:
    """The dossier that a board reads."""
    return design_dossier(workspace(), judged(), looks=2)


def test_the_study_speaks_in_its_own_words() -> None:
    """Title, question, choices, limits: as the file has them."""
    dossier, own = before(), study()
    assert (dossier.study_id, dossier.title, dossier.question) == (own.study.id, own.study.title, own.study.question)
    assert (dossier.why_no_trial, dossier.registered) == (own.study.why_no_trial, own.study.registered)
    first, second = own.target_trial.strategies.treated, own.target_trial.strategies.comparison
    assert (dossier.treated_label, dossier.treated_short) == (first.label, first.short)
    assert (dossier.comparison_label, dossier.comparison_short) == (second.label, second.short)
    assert [(e.element, e.ideal, e.emulated) for e in dossier.emulation] == [
        (e.element, e.ideal, e.emulated) for e in own.target_trial.emulation
    ]
    assert (dossier.limitations, dossier.cannot_say) == (own.report.limitations, own.report.cannot_say)
    assert dict(dossier.governance) == {
        "Basis": own.governance.basis,
        "Data class": own.governance.data_class.replace("_", " "),
        "Agreement": own.governance.agreement,
        "Certificate of confidentiality": own.governance.certificate_of_confidentiality,
        "Small counts": "no count from 1 to 10 is shown",
    }
    assert dossier.threshold == THRESHOLD


def test_the_design_is_told_as_it_was_made() -> None:
    """Sizes, sets, sentences, and the rules between the first step of the flow and the last two."""
    dossier, design = before(), judged().design
    assert (dossier.n_treated, dossier.n_comparison, dossier.n_sets) == (SETS, SETS, SETS)
    assert (dossier.estimand_sentence, dossier.method_sentence) == (design.estimand_sentence, design.method_sentence)
    assert dossier.adjustment == "matching"
    assert dossier.eligibility == ("eligible",)
    assert dossier.identification == ("The diagram.",)
    weighted = design_dossier(workspace(), changed(grouping="weight"), looks=0)
    assert (weighted.adjustment, weighted.n_sets) == ("weighting", None)


def changed(**changes: Any) -> Any:
    """What was judged, with another design."""
    return SimpleNamespace(**vars(judged()) | {"design": dataclasses.replace(judged().design, **changes)})


def test_what_a_release_was_made_from_is_told() -> None:
    """Digests each in its own place, the day of the extract, the packages, and the looks that were counted."""
    made = released().provenance
    assert (made.protocol_digest, made.extract_digest, made.design_digest) == ("p" * 64, "e" * 64, "d" * 64)
    assert (made.extract_as_of, made.synthetic, made.looks) == ("2023-12-31", False, 3)
    assert dict(made.packages)["numpy"] == version("numpy")
    assert made.packages[0] == ("rapport", version("rapport"))
    assert before().provenance.looks == 2


def test_before_outcomes_are_open_there_is_no_approval_no_result_and_no_truth() -> None:
    """And the limits that only outcomes can meet stand ready; afterwards none of them waits."""
    dossier = before()
    assert (dossier.approval, dossier.results, dossier.truth, dossier.findings) == (None, None, (), ())
    assert dossier.later
    assert released().later == ()


def test_who_approved_is_whom_the_site_knows_by_the_key() -> None:
    """Not what the signer wrote; where nobody has the key, that is all there is."""
    known = SimpleNamespace(name="The board", role="ethics_board", public_key="AAAA")
    other = SimpleNamespace(name="Somebody", role="else", public_key="BBBB")
    for approvers, who in (((other, known), ("The board", "ethics board")), ((other,), ("A", "board"))):
        approval = released(approvers=approvers).approval
        assert approval is not None
        assert (approval.approver, approval.role) == who
        assert (approval.accepted_failures, approval.simulated) == (("design.x",), False)
        assert approval.key_fingerprint == fingerprint("AAAA")


@pytest.mark.parametrize(("records", "board"), [(False, False), (True, False), (False, True), (True, True)])
def test_synthetic_records_or_a_simulated_board_make_it_feigned(records: bool, board: bool) -> None:
    """Either is enough."""
    extract = extract_of(World())
    extract.synthetic = records
    dossier = released(extract=extract, simulated=board)
    assert dossier.simulated is (records or board)
    assert dossier.provenance.synthetic is records


def test_a_truth_stands_beside_the_results() -> None:
    """Where it is known, and there is something to set it beside."""
    assert len(released(truth=SimpleNamespace(termination_rd=0.1, composite_difference=-0.2)).truth) == 2
    assert released().truth == ()


def test_of_the_checks_of_the_study_file_only_those_that_could_not_be_run_are_told_here() -> None:
    """Beside those on the extract and the design; planned analyses have their own list."""
    verdicts: tuple[Verdict, ...] = (
        *judged().verdicts,
        not_evaluated("protocol.something", "nobody could tell"),
        not_evaluated("other.something", "nobody could tell"),
    )
    codes = [v.code for v in released(verdicts=verdicts).verdicts]
    assert "protocol.something" in codes
    assert "other.something" not in codes
    assert [v.code for v in judged().extract.verdicts] == codes[:2]
    assert {v.code for v in judged().verdicts if v.code.startswith("design.")} < set(codes)


def test_balance_is_judged_at_its_tier_s_limit_before_it_is_rounded() -> None:
    """Exactly at the limit is inside; a declared fact without a column has its line, and nothing in it."""
    design = judged().design
    (row,) = design.balance
    gates = study().gates
    for tier, limit in ((1, gates.smd_tier1), (2, gates.smd_tier2)):
        for smd, inside in ((limit, True), (-limit, True), (limit + 1e-6, False), (-limit - 1e-6, False)):
            one = dataclasses.replace(design, balance=(dataclasses.replace(row, tier=tier, smd_after=smd),))
            (line,) = _balance(workspace(), one, NOTHING_WITHHELD)
            assert (line.tier, line.limit, line.within_limit) == (tier, limit, inside)
            assert (line.mean_treated, line.mean_comparison_after) == (
                row.mean_treated_after,
                row.mean_comparison_after,
            )
            assert (line.mean_comparison_before, line.smd_before) == (row.mean_comparison_before, row.smd_before)
    constant = CovariateFate(name="severity", tier=1, fate=Fate.CONSTANT)
    _, line = _balance(workspace(), dataclasses.replace(design, fates=(*design.fates, constant)), NOTHING_WITHHELD)
    assert (line.name, line.tier, line.limit, line.within_limit) == ("severity", 1, gates.smd_tier1, None)
    assert (line.mean_treated, line.mean_comparison_before, line.smd_before, line.smd_after) == (None,) * 4
    assert line.fate == str(Fate.CONSTANT)


def test_versions_of_the_exposure_are_told_among_the_treated_small_ones_withheld() -> None:
    """In percent of them, in words; what was not recorded counts as that."""
    members = design_of(World()).members.copy()
    members["recipient"] = ["warn_victim"] * 150 + ["warn_police"] * 46 + ["several"] * 5 + ["several"] * SETS
    members["patient_informed"] = ["before"] * 101 + [None] * 100 + ["after"] * SETS
    lines = _versions(workspace(), dataclasses.replace(judged().design, members=members), PROFILE)
    told = {(line.version, line.value): line.percent for line in lines}
    assert told == {
        ("Who was told", "the person at risk"): pytest.approx(100 * 150 / SETS),
        ("Who was told", "the police"): None,
        ("Who was told", "both"): None,
        ("When the patient was told", "before"): pytest.approx(100 * 101 / SETS),
        ("When the patient was told", "not recorded"): pytest.approx(100 * 100 / SETS),
    }


def test_the_group_that_the_compared_stand_for_is_named() -> None:
    """An effect among the treated is about the first group."""
    assert [
        line.question
        for line in before().looked_at
        if "stand for all eligible cases of the first group?" in line.question
    ]
