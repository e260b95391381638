"""The effect in one flat table as a finding, like that of any other analysis."""

from __future__ import annotations

from causal.effect.flat_table import FlatResult
from causal.effect.secondary.finding import Finding, Scale, line_of, ratio_line

WHOSE = {
    "ATT": " on the treated",
    "ATC": " on the untreated",
    "ATE": " on everyone",
    "ATO": " on those who could have gone either way",
    "ATM": " on those a one-to-one match keeps",
}
"""Whose effect it is, in words."""


def flat_finding(result: FlatResult) -> Finding:
    """The difference, and the ratio where there is one; of an outcome of 0 and 1 with the events behind them."""
    counts, events = (result.diagnostics.treated.rows, result.diagnostics.comparison.rows), result.events
    scale: Scale = "points" if events is None else "risk difference"
    lines = [line_of(result.effect, label="treated less comparison", scale=scale, counts=counts, events=events)]
    if result.log_ratio is not None:
        label = "treated to comparison"
        lines.append(ratio_line(result.log_ratio, label=label, scale="risk ratio", counts=counts, events=events))
    return Finding(
        analysis="main",
        title=f"The effect{WHOSE.get(result.estimand[:3], '')} ({result.estimand})",
        method=f"{result.method[:1].upper()}{result.method[1:]}.",
        lines=tuple(lines),
        notes=tuple(f"{note[:1].upper()}{note[1:]}." for note in result.notes),
    )
