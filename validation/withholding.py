"""Why a figure is withheld: every rule of disclosure with its one sentence, and the rules for the numbers of a finding.

A figure that is withheld carries the reason of the rule that fired, so that no page can print another one. The rules on
counts and shares are `validation.disclosure`; a table says once what its withheld cells have in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from causal.effect.secondary.finding import Line
from validation.disclosure import disclose_count, disclose_share

LEAST_DF = 10
"""Fewer degrees of freedom than this tell too much of single occasions (the ABS's rule for model output)."""
OF_STAFF = ("clinician", "clinic")
"""Clusters whose number limits the degrees of freedom of an interval, and tells nothing of single occasions."""

Pair = tuple[int, int]


class Withheld(Enum):
    """Each rule for which something is not shown; its value is the sentence, with the threshold still open."""

    COUNT = "a count of {few}, or one from which such a count could be worked out"
    FIGURE = "it would tell a count of {few}"
    FACT = "it would speak of a fact whose balance is withheld"
    FEW_OCCASIONS = "fewer than {threshold} occasions of a group stand behind it"
    FEW_FREEDOM = "it leaves fewer than {freedom} degrees of freedom, so it would tell of single occasions"
    FEW_ENDINGS = "in one of the groups {few} ended treatment, or all but {few} did"
    FEW_APART = "set against another difference shown here, it would tell of {few} endings of a group"
    FEW_RATED = "in one of the groups {few} gave a rating that counts"
    WITH_ENDINGS = "it would tell how many ended treatment, which is not shown"
    FEW_DEATHS = "it would tell of {few} occasions or sets that deaths took out"
    PATIENTS = "with the occasions, the number of patients would tell how many were counted again"

    def sentence(self, threshold: int) -> str:
        """The reason in words, for a study that shows no count from 1 to `threshold` - 1.

        >>> Withheld.FEW_ENDINGS.sentence(11)
        'in one of the groups 1 to 10 ended treatment, or all but 1 to 10 did'
        """
        return self.value.format(few=f"1 to {threshold - 1}", threshold=threshold, freedom=LEAST_DF)


def why_withheld(line: Line, threshold: int, sizes: Pair, told: Iterable[Pair]) -> Withheld | None:
    """The first rule for which a number of a finding may not be shown, or None where it may.

    Parameters
    ----------
    sizes
        Treated and comparison occasions compared, which every page shows.
    told
        Endings by group that differences of shares told before this one.

    >>> line = Line(label="x", scale="points", value=0.1, lower=0.0, upper=0.2, level=0.95, n_treated=60,
    ...             n_comparison=10, df=30.0)
    >>> why_withheld(line, 11, (60, 60), []).name
    'FEW_OCCASIONS'
    """
    if min(line.n_treated, line.n_comparison) < threshold:
        return Withheld.FEW_OCCASIONS
    if line.df is not None and line.df < LEAST_DF and set(OF_STAFF).isdisjoint(line.clustered_by.split(" and ")):
        return Withheld.FEW_FREEDOM
    return _endings(line, threshold, sizes, told)


def tells_endings(line: Line) -> bool:
    """Whether how many ended can be read off a number: off a difference of shares, not off a ratio or days."""
    return line.events is not None and line.scale == "risk difference"


def _endings(line: Line, threshold: int, sizes: Pair, told: Iterable[Pair]) -> Withheld | None:
    """Whether the endings behind a number are few, or few apart from those told before, in either group.

    Nobody is not few; neither the number who ended nor that of who did not may be. How far apart matters for
    differences of shares only: no count follows from a ratio of rates or from days.
    """
    if line.events is None:
        return None
    if any(disclose_share(n, size, threshold) is None for n, size in zip(line.events, sizes, strict=True)):
        return Withheld.FEW_ENDINGS
    apart = (abs(n - m) for pair in told for n, m in zip(line.events, pair, strict=True))
    if tells_endings(line) and any(disclose_count(n, threshold) is None for n in apart):
        return Withheld.FEW_APART
    return None
