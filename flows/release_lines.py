"""What a release says on the screen of whoever ran it: the same numbers and cautions as its first page, in lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEADLINE = ("termination", "composite")


def release_lines(facts: Mapping[str, Any]) -> list[str]:
    """Lines about a release from what its ``results.json`` holds; a caution stands before the numbers it is about."""
    lines = [f"NOT EVALUATED: {facts['unanswered']}"] if facts["unanswered"] else []
    failed = [verdict for verdict in facts["verdicts"] if verdict["status"] == "FAIL"]
    before = [verdict["sentence"] for verdict in failed if not verdict["code"].startswith("estimate.")]
    if before and facts["results"]:
        lines.append("Not every check set in advance was passed: these numbers say only what went together.")
    lines += [_line("FAIL", sentence) for sentence in before]
    lines += [_effect(name, facts["results"][name]) for name in (_HEADLINE if facts["results"] else ())]
    lines += [_line("FAIL", verdict["sentence"]) for verdict in failed if verdict["code"].startswith("estimate.")]
    not_run = [line["name"] for line in facts["plan"] if line["state"] == "not run"]
    if not_run:
        lines.append(_line("NOT RUN", f"{len(not_run)} of {len(facts['plan'])} planned analyses; the report says why"))
    return [*lines, *(_truth(truth) for truth in facts["truth"])]


def _effect(name: str, effect: Mapping[str, Any]) -> str:
    if effect["value"] is None:
        return _line(name, f"NOT EVALUATED: {effect['not_evaluated']}")
    interval = f"{100 * effect['level']:g}% interval {effect['lower']:+.3f} to {effect['upper']:+.3f}"
    return _line(name, f"{effect['value']:+.3f} {effect['scale']}, {interval}")


def _truth(truth: Mapping[str, Any]) -> str:
    inside = "inside" if truth["covered"] else "OUTSIDE"
    return _line("truth", f"{truth['truth']:+.3f}, {inside} the {100 * truth['level']:g}% interval: {truth['name']}")


def _line(head: str, text: str) -> str:
    return f"{head:<12} {text}"
