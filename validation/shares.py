"""Verdicts on shares that never tell a small count."""

from __future__ import annotations

from dataclasses import replace

from causal.measures.detectors import Finding
from validation.disclosure import CMS_THRESHOLD, disclose_share
from validation.verdict import Verdict, at_least, at_most


def at_most_share(code: str, found: Finding, limit: float, sentence: str, *, answers: int = 1) -> Verdict:
    """PASS when the share is at most `limit`; see `withheld` for `answers`."""
    return withheld(found, at_most(code, found.share, limit, sentence), answers)


def at_least_share(code: str, found: Finding, limit: float, sentence: str, *, answers: int = 1) -> Verdict:
    """PASS when the share is at least `limit`."""
    return withheld(found, at_least(code, found.share, limit, sentence), answers)


def withheld(found: Finding, verdict: Verdict, answers: int = 1) -> Verdict:
    """The verdict without its figure where that would tell a small count of forms; its judgement stays.

    Where single answers were counted, up to `answers` of them may be one form's.
    """
    if not found.count or disclose_share(found.count, found.of, CMS_THRESHOLD * answers) is not None:
        return verdict
    least = f"fewer than {CMS_THRESHOLD}" + (" forms' worth" if answers > 1 else "")
    few = f"all but {least}" if found.count >= CMS_THRESHOLD * answers else least
    return replace(verdict, sentence=f"{verdict.sentence} ({few})", measured=None)
