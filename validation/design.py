"""Are the groups comparable enough? Each limit is set in the study file before any outcome is seen."""

from __future__ import annotations

from causal.cohort.catalogue import Catalogue
from causal.design.covariates import MISSING_SUFFIX
from causal.design.diagnostics.clusters import ClusterSpread
from causal.design.fates import CovariateFate, Fate
from causal.design.propensity.curvature import Curvature
from causal.effect.identification import Identification
from causal.protocol.design import Gates
from causal.protocol.words import Words
from causal.records import Design
from validation.verdict import Verdict, at_least, at_most, not_evaluated
from validation.words import holds


def judge_design(design: Design, gates: Gates, words: Words, facts: Catalogue) -> tuple[Verdict, ...]:
    """One verdict per gate, in the order a reader asks: enough, whom, alike, honest; `facts` are the study's."""
    size = design.n_sets if design.grouping == "matched set" else design.n_treated
    return (
        at_least("design.sets", size, gates.minimum_sets, _counted(design.grouping, words)),
        at_most(
            "design.unmatched",
            design.lost_share,
            gates.maximum_unmatched,
            f"share of {_whom(design.estimand, words)} that is not in the comparison",
        ),
        *_clusters(design.diagnostics.clusters, gates),
        _varies(design.fates, facts),
        _balance("design.balance_tier1", design, 1, gates.smd_tier1, facts),
        _balance("design.balance_tier2", design, 2, gates.smd_tier2, facts),
        at_most(
            "design.separation",
            len(design.separated),
            0,
            "covariates that alone decide the choice" + _named(design.separated, facts),
        ),
        curvature_verdict(design.curvature, gates.curvature, facts),
        at_most(
            "design.ended_in_grace",
            design.ended_in_grace_share,
            gates.ended_in_grace,
            "share of eligible occasions whose relationship ended, or whose person died, inside the grace window",
        ),
        _pretrend(design, gates.pretrend_smd, words),
    )


def judge_adjustment(found: Identification) -> Verdict:
    """Whether what the comparison really holds fixed blocks every path the diagram shows."""
    paths = "; ".join(found.open_paths)
    lost = ", ".join(f"{name} ({fate})" for name, fate in found.not_held)
    return holds(
        "design.open_path",
        f"not every declared fact could be adjusted for ({lost}), and something other than the treatment still links "
        f"it to the outcome: {paths}"
        if found.open_paths
        else "",
        "if the diagram is right, what is adjusted for blocks every path from causes of the treatment to the outcome",
    )


def _whom(estimand: str, words: Words) -> str:
    """The population an effect is about."""
    return {
        "ATT": f"eligible {words.treated} occasions",
        "ATC": f"eligible occasions without {words.event}",
        "ATE": "all eligible occasions",
        "ATO": "the overlap population",
        "ATM": "those a one-to-one match would keep",
    }[estimand]


def _counted(grouping: str, words: Words) -> str:
    """What the comparison must have enough of."""
    return {
        "matched set": "matched sets",
        "stratum": f"{words.treated} occasions in strata with both groups",
        "weight": f"{words.treated} occasions with weight",
    }[grouping]


def _clusters(spreads: tuple[ClusterSpread, ...], gates: Gates) -> tuple[Verdict, ...]:
    """How many clusters are behind each group, how much one of them holds, and what else holds all of a group."""
    own = next(spread for spread in spreads if spread.declared)
    confining = [spread.level for spread in spreads if spread.confines and not spread.declared]
    named = f": {', '.join(confining)}" if confining else ""
    return (
        at_least(
            "design.clusters",
            own.fewest,
            gates.minimum_clusters_per_arm,
            f"smallest number of {own.level}s behind a group",
        ),
        at_most(
            "design.cluster_share",
            own.largest,
            gates.maximum_cluster_share,
            f"largest share of a group that one {own.level} holds",
        ),
        at_most(
            "design.confined",
            len(confining),
            0,
            f"what holds all of a group in one, though the comparison spans several{named}",
        ),
    )


def _varies(fates: tuple[CovariateFate, ...], facts: Catalogue) -> Verdict:
    """Tier-1 facts in which nobody differs: nothing was adjusted, and absent records look just like this."""
    told = {one.name: one.fate for one in fates}
    parts = {level: category.levels for category in facts.categories for level in category.levels}
    missing = [
        one
        for one in fates
        if one.tier == 1
        and one.fate not in (Fate.ADJUSTED, Fate.COLLINEAR)
        and all(told.get(level, one.fate) is one.fate for level in parts.get(one.name, ()))  # one level may be empty
    ]
    named = ", ".join(f"{_label(one.name, facts)} ({one.fate})" for one in missing)
    sentence = "tier-1 facts that nothing was adjusted for" + (f": {named}" if named else "")
    return at_most("design.facts_tier1", len(missing), 0, sentence)


def _balance(code: str, design: Design, tier: int, limit: float, facts: Catalogue) -> Verdict:
    rows = [row for row in design.balance if row.tier == tier]
    if not rows:
        return not_evaluated(code, f"no covariate of tier {tier} varies")
    worst = max(rows, key=lambda row: abs(row.smd_after))
    made = "weighting" if design.grouping == "weight" else "matching"
    sentence = f"largest standardised difference of a tier-{tier} covariate after {made} ({_label(worst.name, facts)})"
    return at_most(code, abs(worst.smd_after), limit, sentence)


def curvature_verdict(found: Curvature, limit: float, facts: Catalogue) -> Verdict:
    """Whether curves are left in the propensity, by the joint test in the model that was used."""
    code = "design.curvature"
    if found.remaining is None:
        why = found.untested or "no square of a tier-1 number is left to test beside its bends"
        return not_evaluated(code, f"curves in the model of the probability were not tested: {why}")
    sentence = (
        "chance that a model of the probability without curves would show as much curve in tier-1 numbers as this one "
        "(joint test of their squares)"
    )
    if found.bends:
        sentence += f", after it was given a bend in {_listed(found.bends, facts)}"
    if found.unbent:
        sentence += f"; too few events per parameter for a bend in {_listed(found.unbent, facts)}"
    return at_least(code, found.remaining.p_value, limit, sentence)


def _listed(covariates: tuple[str, ...], facts: Catalogue) -> str:
    return ", ".join(_label(name, facts) for name in covariates)


def _pretrend(design: Design, limit: float, words: Words) -> Verdict:
    code = "design.pretrend"
    if design.pretrend_smd is None:
        return not_evaluated(code, "too few compared occasions have two ratings before time zero")
    sentence = (
        f"standardised difference in how {words.outcome} moved before time zero (a negative control; matching on its "
        "two ratings makes it small by design, so it can alarm but hardly reassure)"
    )
    return at_most(code, abs(design.pretrend_smd), limit, sentence)


def _named(covariates: tuple[str, ...], facts: Catalogue) -> str:
    return f": {_listed(covariates, facts)}" if covariates else ""


def _label(name: str, facts: Catalogue) -> str:
    base = facts.described[name.removesuffix(MISSING_SUFFIX)].label
    return base if name in facts.described else f"{base}: not recorded"
