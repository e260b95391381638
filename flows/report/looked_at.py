"""What else was looked at before outcomes were opened: one question and one sentence each, from disclosed values.

Differences are told to one decimal, shares in steps that fit several counts, and nothing is said of a fact whose
balance is withheld: each of these figures rests on the same people as the tables beside it.
"""

from __future__ import annotations

from math import ceil

from causal.cohort.catalogue import Catalogue
from causal.design.covariates import MISSING_SUFFIX
from causal.design.diagnose import Diagnostics
from causal.design.diagnostics.positivity import SupportRule
from causal.design.diagnostics.power import DetectableEffect
from causal.protocol.words import Words
from causal.records import Design
from flows.report.dossier import LookedAt
from flows.report.numbers import capitalised, hundreds, percent
from validation.disclosure import Profile, Withheld, percent_in_words

RATING_UNIT = "points"
SMALLEST = 0.05
"""The least size that one decimal does not round to nothing."""
NEAR_ONE = (0.99, 0.95)
EXACT = 1e-9
GROUP = {"ATT": "first", "ATC": "second"}
"""The group an effect is about, where it is about one."""


def looked_at(
    design: Design, withheld: frozenset[str], words: Words, facts: Catalogue, profile: Profile
) -> tuple[LookedAt, ...]:
    """All of them, in the order a reader asks; `withheld` names those of the `facts` nothing may be said about."""
    found = design.diagnostics
    answers = {
        "How many equally weighted cases is the comparison worth?": _worth(design, found),
        "Behind how many clinicians, clinics and months does each group lie?": _clusters(design, found, profile),
        "Do squares and products of the most important facts agree too?": _terms(found, withheld, facts),
        "How unlike would a lottery have left the groups?": _lottery(design, found),
        f"Do the groups agree in the {words.outcome.removeprefix('the ')} expected of them?": _prognostic(found),
        "Are they alike inside clinics?": _within(found, withheld, facts),
        "How well does what is recorded tell the two choices apart?": _separation(found),
        "How often was either choice open?": _equipoise(design, found, profile),
        "Which cases of the first group have no counterpart?": _outside(design, found, withheld, facts, profile),
        "Is there a combination of exact keys with one choice only?": _positivity(design, found, profile),
        f"How well do the compared stand for all eligible cases{_of_group(design)}?": _kept(found, withheld, facts),
        "How small an effect is planned to be found, four times in five?": _detectable(found.detectable),
    }
    return tuple(LookedAt(question=question, answer=answer) for question, answer in answers.items() if answer)


def _of_group(design: Design) -> str:
    group = GROUP.get(design.estimand)
    return f" of the {group} group" if group else ""


def _worth(design: Design, found: Diagnostics) -> str:
    if design.grouping == "matched set":
        return ""
    first, second = _coarse(found.size.ess_treated), _coarse(found.size.ess_comparison)
    return f"About {first} in the first group and {second} in the second"


def _clusters(design: Design, found: Diagnostics, profile: Profile) -> str:
    """Clusters by group, which are counts of nobody's patients, and shares in steps that fit several counts."""
    told = []
    for spread in found.clusters:
        first = _held(spread.largest_treated, spread.treated, design.n_treated, profile)
        second = _held(spread.largest_comparison, spread.comparison, design.n_comparison, profile)
        counts = f"{spread.treated} in the first group and {spread.comparison} in the second"
        told.append(
            f"{capitalised(_plural(spread.level))}: {counts}; the largest holds {first} of the first and {second} of "
            "the second"
        )
    return ". ".join(told)


def _held(largest: float, clusters: int, n: int, profile: Profile) -> str:
    """The largest share, coarse; all is said only where it is all."""
    return "all" if clusters == 1 else percent_in_words(largest, n, profile)


def _plural(level: str) -> str:
    """The level's clusters, in words.

    >>> _plural("clinician"), _plural("version of the form")
    ('clinicians', 'versions of the form')
    """
    first, _, rest = level.partition(" ")
    return f"{first}s {rest}".rstrip()


def _terms(found: Diagnostics, withheld: frozenset[str], facts: Catalogue) -> str:
    shown = [row for row in found.terms if not any(name in row.name for name in withheld)]
    if not shown:
        return ""
    largest, name = abs(shown[0].smd_after), _words(shown[0].name, facts)
    shown_of = "" if len(shown) == len(found.terms) else " shown"
    return f"The largest standardised difference{shown_of} is {_about(largest)} ({name})"


def _lottery(design: Design, found: Diagnostics) -> str:
    test = found.lottery
    if test is None:
        shared = design.grouping == "matched set" and design.unit_of_inference != "matched set"
        return (
            "Not evaluated: comparisons are used with replacement, and no lottery within sets makes sets that share one"
            if shared
            else ""
        )
    return (
        "Had a lottery decided within each set, the largest difference would have stayed below "
        f"{_below(test.max_smd_by_chance)} in 95 of 100 draws; {hundreds(test.p_max_smd)[0]} of 100 draws leave the "
        "groups at least as unlike as they are. This excuses no failed limit"
    )


def _prognostic(found: Diagnostics) -> str:
    score = found.prognostic
    if score is None:
        return (
            "Not evaluated: the last rating is not among the facts, or too few occasions are outside the comparison to "
            "learn an expectation from"
        )
    return (
        "The last rating before time zero, predicted from the other facts by occasions outside the comparison, differs "
        f"by {_about(score.row.smd_after)} standard deviations; the prediction explains {percent(max(score.r2, 0))} of "
        "the ratings"
    )


def _within(found: Diagnostics, withheld: frozenset[str], facts: Catalogue) -> str:
    clinics = found.within_clinics
    if clinics.worst is None:
        return "Not evaluated: no clinic alone has enough cases in both groups"
    if clinics.worst_name in withheld:
        return f"Withheld: {Withheld.FACT.value}"
    return (
        f"In {clinics.n_evaluated} of {clinics.n_groups} clinics there are enough cases to tell; the largest "
        f"difference there is {_about(clinics.worst)} ({_words(clinics.worst_name, facts)})"
    )


def _separation(found: Diagnostics) -> str:
    fit = found.calibration
    thin = ". That is high: many eligible cases could hardly have had the other choice" if fit.caution else ""
    return (
        f"A case of the first group has the higher estimated probability {percent(fit.c_statistic)} of the time (c "
        f"statistic){thin}"
    )


def _equipoise(design: Design, found: Diagnostics, profile: Profile) -> str:
    fit = found.calibration
    first = percent_in_words(fit.equipoise_treated, design.n_treated, profile)
    second = percent_in_words(fit.equipoise_comparison, design.n_comparison, profile)
    return (
        f"{capitalised(first)} of the eligible of the first group, and {second.removeprefix('about ')} of the second, "
        "have a preference score between .3 and .7"
    )


def _outside(design: Design, found: Diagnostics, withheld: frozenset[str], facts: Catalogue, profile: Profile) -> str:
    rules = [rule for rule in found.outside if rule.n_outside > 0]
    hidden = {_label(name, facts) for name in withheld}
    if any(label in condition for rule in rules for condition in rule.conditions for label in hidden):
        return f"Withheld: {Withheld.FACT.value}"
    return "; ".join(_rule(rule, design.n_treated, profile) for rule in rules)


def _rule(rule: SupportRule, n: int, profile: Profile) -> str:
    who = " and ".join(rule.conditions) or "all of them together"
    return f"{who}: of these, {percent_in_words(rule.n_outside / rule.n, min(rule.n, n), profile, of=rule.n)} have none"


def _positivity(design: Design, found: Diagnostics, profile: Profile) -> str:
    strata = found.positivity
    if not strata.n_one_armed:
        return "None"
    everyone = design.attrition[-3].occasions
    share = percent_in_words(strata.share_one_armed, min(everyone, design.n_comparison), profile, of=everyone)
    return f"{strata.n_one_armed} of {strata.n_strata} combinations, with {share} of the eligible occasions"


def _kept(found: Diagnostics, withheld: frozenset[str], facts: Catalogue) -> str:
    if found.kept is None:
        return ""
    rows = [row for row in found.kept.rows if row.name not in withheld]
    worst = max(rows, key=lambda row: abs(row.smd), default=None)
    if worst is None:
        return ""
    shown = "" if len(rows) == len(found.kept.rows) else " shown"
    return (
        f"The largest difference{shown} is {_about(worst.smd)} standard deviations ({_words(worst.name, facts)}). "
        "Tipton's index of generalisability compares one thing only, how the estimated probability of the first choice "
        f"is spread among the compared and among all eligible: it is {_index(found.kept.index)}, 1 being the same "
        "spread. Single facts can differ all the same"
    )


def _about(x: float) -> str:
    """A size to one decimal, in which what is small is never told as nothing.

    >>> _about(-0.23), _about(0.04)
    ('about 0.2', 'less than 0.05')
    """
    return f"about {abs(x):.1f}" if abs(x) >= SMALLEST else f"less than {SMALLEST}"


def _below(x: float) -> str:
    """A bound to one decimal, rounded up so that it stays one.

    >>> _below(0.04), _below(0.12)
    ('0.1', '0.2')
    """
    return f"{max(ceil(round(10 * x, 9)), 1) / 10:.1f}"


def _index(x: float) -> str:
    """An index from 0 to 1 to one decimal; near 1 it says how near, and 1 only where it is 1.

    >>> [_index(x) for x in (0.83, 0.949, 0.96, 0.998, 1.0)]
    ['about 0.8', 'about 0.9', 'over 0.95', 'over 0.99', '1']
    """
    if x >= 1 - EXACT:
        return "1"
    near = next((mark for mark in NEAR_ONE if x > mark), None)
    return f"over {near}" if near else f"about {min(x, 0.94):.1f}"


def _detectable(effects: tuple[DetectableEffect, ...]) -> str:
    told = [_size(effect) for effect in effects]
    planned = "Planned before outcomes were opened, from the size of this comparison and what the study file assumes"
    return f"{planned}: {'; '.join(told)}. What the outcomes made of it stands with the results" if told else ""


def _size(effect: DetectableEffect) -> str:
    if effect.in_units is None:
        return f"none at all ({effect.name})"
    if effect.name == "termination":
        return f"{hundreds(effect.in_units)[0]} in 100 more who end treatment"
    return f"{effect.in_units:.2f} {RATING_UNIT} ({effect.name})"


def _coarse(n: float) -> int:
    """Two significant digits."""
    step = 10 ** max(len(str(round(n))) - 2, 0)
    return int(step * round(n / step))


def _words(name: str, facts: Catalogue) -> str:
    """A column, a square or a product in words."""
    parts = name.split(" x ")
    return " and ".join(_label(part.removesuffix(" squared"), facts) for part in parts) + (
        ", squared" if name.endswith(" squared") else ""
    )


def _label(name: str, facts: Catalogue) -> str:
    label = facts.described[name.removesuffix(MISSING_SUFFIX)].label.lower()
    return label if name in facts.described else f"{label} not recorded"
