"""May this number leave? Everything that decides it, and nothing else.

The rule is that of the US Centers for Medicare & Medicaid Services (cell size suppression policy): no count of 1 to 10
is shown, none can be derived, and zero may be shown. A withheld count is `None`; so is a larger count that would betray
one. Only disclosed values reach a page, so the pages themselves need no rule.

A number reaches a page as a `Figure`, with its kind and the counts it rests on; without them it is withheld. What tells
of the same people is judged together:

| Module | Judges |
|---|---|
| `profile` | nothing: the study's threshold |
| `figure` | one number by the counts behind it |
| `counts` | one count, one share; steps of percentages |
| `tables` | disjoint categories, in one group or several, with the groups' totals |
| `families`, `facts` | all columns of one variable, in both groups, compared and eligible |
| `left_out` | the compared beside the eligible they are part of |
| `flow` | who remains after each rule |
| `verdicts` | the figure of each check |
| `answers`, `response`, `lines` | the headline pair, who answered, the numbers of findings |
| `rounding` | how many digits leave |
| `reasons` | nothing: the sentence of each rule |
"""

from __future__ import annotations

from validation.disclosure.counts import (
    disclose_count,
    disclose_percent,
    disclose_share,
    percent_in_words,
    percent_step,
)
from validation.disclosure.figure import Count, Disclosed, Figure, Kind, Shown, ShownCount, disclose
from validation.disclosure.flow import FlowStep, disclose_flow
from validation.disclosure.profile import CMS_THRESHOLD, Profile, profile_of
from validation.disclosure.reasons import Withheld
from validation.disclosure.tables import disclose_categories, disclose_table

__all__ = [
    "CMS_THRESHOLD",
    "Count",
    "Disclosed",
    "Figure",
    "FlowStep",
    "Kind",
    "Profile",
    "Shown",
    "ShownCount",
    "Withheld",
    "disclose",
    "disclose_categories",
    "disclose_count",
    "disclose_flow",
    "disclose_percent",
    "disclose_share",
    "disclose_table",
    "percent_in_words",
    "percent_step",
    "profile_of",
]
