"""The figures of verdicts: what each check measured, and the counts that figure rests on.

A check that stands in none of these lists is withheld until somebody says what it measures.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from causal.records import Design
from validation.disclosure.counts import disclose_count
from validation.disclosure.figure import NOTHING, Count, Disclosed, Figure, Kind, disclose
from validation.disclosure.flow import AttritionStep
from validation.disclosure.left_out import ELIGIBLE
from validation.disclosure.profile import CMS_THRESHOLD, Profile
from validation.disclosure.reasons import Withheld
from validation.disclosure.tables import disclose_categories
from validation.verdict import Status, Verdict

DESIGN_TALLIES = frozenset({"clusters", "confined", "facts_tier1", "separation"})
"""Of clinicians, or of facts."""
DESIGN_ESTIMATES = frozenset({"curvature", "pretrend"})
"""Rest on everyone compared, or on more."""
EXTRACT_TALLIES = frozenset(
    {
        *("as_of_future", "record_end"),  # days
        *("time_zones", "regime_states", "regime_clinicians", "regimes_overlap", "regime_professions"),  # no patients
        *("unreversed", "top_unused", "other_form", "code_list"),  # items, answers, keys, lists
        "alpha",  # of so many whole forms, or not evaluated
    }
)
JUDGED_SHARES = frozenset(
    {
        *("after_death", "before_birth", "birth_year_spike", "skipped_times", "grain", "one_clock_time"),
        *("unmatched", "respelt", "diagnosis_codes", "other_version", "end_reasons", "above_range", "below_range"),
        *("namesake", "unsigned", "other_rater", "other_code", "straight_lining", "ceiling", "same_day"),
        *("away_from_session", "too_fast"),
    }
)
"""Shares whose judge knows the counts, and withholds the figure itself (`validation.shares`)."""
SET_ASIDE, EXACT = "set_aside", 1e-9
SHARE_OF = {"end_reasons": "episodes"} | dict.fromkeys(
    (
        *("above_range", "below_range", "namesake", "unsigned", "other_rater", "other_code"),
        *("straight_lining", "ceiling", "same_day", "away_from_session", "too_fast"),
    ),
    "measures",
)
"""Table whose rows bound what a share on the extract was taken of."""


def disclose_measured(verdict: Verdict, figure: Figure, profile: Profile, why: Withheld | None = None) -> Disclosed:
    """A verdict's figure as it may be shown: one that was judged and is not there was withheld by the judge."""
    if verdict.measured is None:
        judged = verdict.limit is not None and verdict.status is not Status.NOT_EVALUATED
        return Disclosed(value=None, why=Withheld.FIGURE) if judged else NOTHING
    return disclose(figure, profile, why)


def unknown(verdict: Verdict) -> Figure:
    """The figure of a check that nobody declared."""
    return _figure(verdict, None)


def _figure(
    verdict: Verdict,
    kind: Kind | None,
    counts: tuple[int, ...] | None = None,
    complements: tuple[int, ...] | None = None,
) -> Figure:
    value = 0.0 if verdict.measured is None else verdict.measured
    return Figure(value=value, unit=verdict.sentence, kind=kind, counts=counts, complements=complements)


# A design


def design_measured(
    verdict: Verdict, design: Design, flow: Sequence[AttritionStep], withheld: Collection[str], profile: Profile
) -> Disclosed:
    """The figure of a check of a design whose `flow` is shown; `withheld` are facts whose balance is not."""
    figure = _of_design(verdict, design)
    why = None
    name = verdict.code.removeprefix("design.")
    if name.startswith("balance_tier") and _worst(int(name[-1]), design) in withheld:
        why = Withheld.FACT
    if name == "unmatched" and not _eligible_are_told(design, flow):
        why = Withheld.FIGURE
    return disclose_measured(verdict, figure, profile, why)


def _of_design(verdict: Verdict, design: Design) -> Figure:
    name, groups = verdict.code.removeprefix("design."), (design.n_treated, design.n_comparison)
    if name in DESIGN_TALLIES:
        return _figure(verdict, Kind.TALLY)
    if name in DESIGN_ESTIMATES or name in ("balance_tier1", "balance_tier2"):
        return _figure(verdict, Kind.ESTIMATE, groups)
    if name == "sets":
        return _figure(verdict, Kind.COUNT, (round(verdict.measured or 0),), ())
    if name == "unmatched":
        if design.estimand != "ATT":
            return _figure(verdict, Kind.COUNT, groups, ())
        return _figure(verdict, Kind.SHARE, (design.n_eligible_treated - design.n_treated,), (design.n_treated,))
    if name == "ended_in_grace":
        occasions = design.attrition[ELIGIBLE].occasions
        ended = round(design.ended_in_grace_share * occasions)
        return _figure(verdict, Kind.SHARE, (ended,), (occasions - ended,))
    if name == "cluster_share":
        held, others = zip(*_largest(design), strict=True)
        return _figure(verdict, Kind.SHARE, held, others)
    return unknown(verdict)


def _worst(tier: int, design: Design) -> str | None:
    """The fact of a tier whose difference after matching is the largest."""
    rows = (row for row in design.balance if row.tier == tier)
    worst = max(rows, key=lambda row: abs(row.smd_after), default=None)
    return None if worst is None else worst.name


def _eligible_are_told(design: Design, flow: Sequence[AttritionStep]) -> bool:
    """With the number of sets the share without a match tells how many were eligible: where the flow does so too.

    Of a group an effect is not about, only that nobody is left out is told.
    """
    if design.estimand != "ATT":
        return design.lost_share == 0
    return design.n_eligible_treated in {step.treated for step in flow}


def _largest(design: Design) -> list[tuple[int, int]]:
    """Occasions of the cluster that holds the largest share, and the others of its group; of both where both do."""
    own = next(spread for spread in design.diagnostics.clusters if spread.declared)
    arms = ((own.largest_treated, design.n_treated), (own.largest_comparison, design.n_comparison))
    counts = ((round(share * n), n) for share, n in arms if share == own.largest)
    return [(held, n - held) for held, n in counts]


# An extract


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsShown:
    """Rows of one table as they may be shown: delivered, set aside, and set aside by reason code."""

    rows: Count
    set_aside: Count
    reasons: dict[str, Count]


def disclose_rows(rows: Mapping[str, int], set_aside: Mapping[str, int], profile: Profile) -> dict[str, RowsShown]:
    """Rows delivered and set aside by table; `set_aside` counts by reason code ``<table>.<column>:<rule>``.

    Where the rows set aside are withheld the rows delivered are too: the flow begins with what was left of one table.
    """
    shown = {}
    for table in sorted(rows):
        reasons = {code: n for code, n in sorted(set_aside.items()) if code.split(".")[0] == table and n > 0}
        told = disclose_categories(reasons, profile.threshold)
        whole = all(n is not None for n in told.values())
        aside = disclose_count(sum(reasons.values()), profile.threshold) if whole else None
        delivered = None if aside is None else disclose_count(rows[table], profile.threshold)
        shown[table] = RowsShown(rows=delivered, set_aside=aside, reasons=told)
    return shown


def extract_measured(
    verdict: Verdict,
    rows: Mapping[str, int],
    set_aside: Mapping[str, int],
    shown: Mapping[str, RowsShown],
    profile: Profile,
) -> Disclosed:
    """The figure of a check of an extract, of which `shown` is told."""
    kind, _, table = verdict.code.removeprefix("extract.").partition(".")
    why = Withheld.FIGURE if kind == "rows" and shown[table].rows is None else None
    return disclose_measured(verdict, _of_extract(verdict, kind, table, rows, set_aside, profile), profile, why)


def _of_extract(
    verdict: Verdict, kind: str, table: str, rows: Mapping[str, int], set_aside: Mapping[str, int], profile: Profile
) -> Figure:
    measured = verdict.measured or 0.0
    if kind in EXTRACT_TALLIES:
        return _figure(verdict, Kind.TALLY)
    if kind in ("rows", "lost_actions"):
        return _figure(verdict, Kind.COUNT, (round(measured),), ())
    if not measured and kind in (SET_ASIDE, *JUDGED_SHARES):
        return _figure(verdict, Kind.COUNT, (0,), ())
    if kind == SET_ASIDE:
        out = sum(n for code, n in set_aside.items() if code.split(".")[0] == table)
        return _figure(verdict, Kind.SHARE, (out,), (rows[table] - out,))
    if kind in JUDGED_SHARES:
        return _figure(verdict, Kind.COUNT, _at_most(kind, measured, rows, profile), ())
    return unknown(verdict)


def _at_most(kind: str, measured: float, rows: Mapping[str, int], profile: Profile) -> tuple[int, ...] | None:
    """How many may stand behind a share that its judge let pass under the CMS rule; None where it asks too little."""
    if kind in SHARE_OF:
        return (max(1, int(measured * rows[SHARE_OF[kind]] + EXACT)),)
    return (CMS_THRESHOLD,) if profile.threshold <= CMS_THRESHOLD else None
