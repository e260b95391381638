"""The sentences that carry a number, and how the groups are named in them.

House rules, held by tests: no p-values; a range that takes in zero is never called an absence of anything; nothing is
called safe; where a gate failed, the words speak of what went together, never of what one thing did to another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from causal.protocol.words import NEUTRAL, Words
from flows.report.dossier import BalanceLine, Dossier, EffectLine, LaterCheck, Results, UnansweredLine, VerdictLine
from flows.report.numbers import WITHHELD, capitalised, compact, count, fixed, hundreds, points, signed
from validation.disclosure import Withheld
from validation.verdict import Verdict

POWER_IN_WORDS = "four times out of five"
MOST_FACTS = 3
"""Facts of one size that are named; more are counted."""
_FORBIDDEN = re.compile(
    r"\bsafe(?! harbou?r)\b|\bsafely\b|\bno effect\b|\bprove[sdn]?\b|\bsignifican\w*"
    r"|\bp\s*[<=]\s*0?\.\d|\bp-value\w*",
    re.IGNORECASE,
)


def forbidden(text: str) -> tuple[str, ...]:
    """Phrases in `text` that no report may contain.

    >>> forbidden("The result was significant: treatment is safe and has no effect.")
    ('significant', 'safe', 'no effect')
    >>> forbidden("Safe Harbor data")
    ()
    """
    return tuple(match.group().lower() for match in _FORBIDDEN.finditer(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """How the two groups are named inside a sentence, and at the head of a column; with the study's other words."""

    treated: str
    comparison: str
    words: Words = NEUTRAL

    @property
    def treated_head(self) -> str:
        """Head of the treated column."""
        return capitalised(self.treated)

    @property
    def comparison_head(self) -> str:
        """Head of the comparison column."""
        return capitalised(self.comparison)


def groups_of(dossier: Dossier) -> Groups:
    """The study's words and short names, or "with the first choice" and "with the second choice"."""
    return Groups(
        treated=dossier.treated_short or "with the first choice",
        comparison=dossier.comparison_short or "with the second choice",
        words=dossier.words,
    )


def banner(dossier: Dossier) -> str:
    """What every page says when the records or the board are not real; empty when both are."""
    synthetic = dossier.provenance.synthetic
    rehearsal = dossier.approval is not None and dossier.approval.simulated
    if not (dossier.simulated or synthetic or rehearsal):
        return ""
    what = [words for words, holds in (("SYNTHETIC RECORDS", synthetic), ("SIMULATED BOARD", rehearsal)) if holds]
    meaning = "no real patient, no real decision" if synthetic else "no real board has decided"
    return f"{', '.join(what) or 'SIMULATION'}: made to test the method; {meaning}."


def ended_sentence(results: Results, groups: Groups) -> str:
    """How many of 100 ended treatment in each group, the difference and its range, in plain words."""
    effect = results.termination
    if isinstance(effect, UnansweredLine):
        return _endings_unanswered(effect, groups)
    if effect.mean_treated is None or effect.mean_comparison is None:
        return (
            f"How many ended treatment within {results.day} days is withheld for each group"
            f"{because(effect.means_withheld)}. {difference_sentence(effect)}"
        )
    first, second = hundreds(effect.mean_treated, effect.mean_comparison)
    persons = groups.words.persons
    of_whom = f"Of 100 {persons} like these" if results.causal_wording else f"In these records, of 100 {persons}"
    return (
        f"{of_whom}, about {first} ended treatment within {results.day} days {groups.treated}, and about {second} "
        f"{groups.comparison}. {difference_sentence(effect)}"
    )


def _endings_unanswered(effect: UnansweredLine, groups: Groups) -> str:
    """Why there is no difference in endings, with the shares that may be shown."""
    shares = (effect.mean_treated, effect.mean_comparison)
    if None in shares or not {0.0, 1.0} & set(shares):
        return f"NOT EVALUATED: {stop(effect.not_evaluated)}"
    if shares[0] == shares[1]:
        told = f"{'Everybody' if shares[0] else 'Nobody'} ended treatment, in either group."
    else:
        first, second = hundreds(*(share or 0.0 for share in shares))
        persons = groups.words.persons
        told = f"Of 100 {persons}, about {first} ended treatment {groups.treated}, about {second} {groups.comparison}."
    return f"NOT EVALUATED. {told} {ALIKE}"


ALIKE = (
    "Where all of a group fared alike, these records do not show how far that was chance, and no range can be given "
    "for the difference. That does not mean that the choice makes none."
)


def rated_sentence(results: Results, groups: Groups, lowest_and_highest: tuple[int, int]) -> str:
    """Mean outcome of each group with leaving counted as the floor of the scale, the difference and its range."""
    effect = results.composite
    lowest, highest = lowest_and_highest
    words = groups.words
    scale = f"{capitalised(words.persons)} rate {words.their_outcome} from {lowest} (lowest) to {highest} (highest)."
    if results.decomposition is not None:
        floor = compact(results.decomposition.floor)
        scale += (
            f" {capitalised(words.a_person)} who ended treatment, or stopped coming without a word, counts as {floor}."
        )
    if isinstance(effect, UnansweredLine):
        return f"{scale} NOT EVALUATED: {stop(effect.not_evaluated)}"
    if effect.mean_treated is None or effect.mean_comparison is None:
        withheld = f"The mean of each group is withheld{because(effect.means_withheld)}."
        return f"{scale} {withheld} {difference_sentence(effect)}"
    counted = "Counted this way" if results.rated_causal_wording else "Counted this way, among those who answered"
    return (
        f"{scale} {counted}, {words.outcome} was {fixed(effect.mean_treated)} {groups.treated} and "
        f"{fixed(effect.mean_comparison)} {groups.comparison}. {difference_sentence(effect)}{_parts(results)}"
    )


def _parts(results: Results) -> str:
    """How much of the difference is endings counted as the floor, and how much how the others rated."""
    split = results.decomposition
    if split is None:
        return ""
    return (
        f" Of the difference, {signed(split.termination_part)} comes from endings counted that way and "
        f"{signed(split.level_part)} from how the others rated."
    )


def difference_sentence(effect: EffectLine) -> str:
    """The difference with its range; if the range takes in zero, what is not ruled out and what could be missed."""
    value, low, high = _sizes(effect)
    opening = f"{_difference_opening(effect)} {_amount(effect, effect.value, value)}"
    if excludes_zero(effect):
        near, far = (low, high) if effect.lower > 0 else (high, low)
        return f"{opening}; it could be as small as {near} or as large as {far} ({level_of(effect)} interval)."
    ends = f"{_amount(effect, effect.lower, low)}, nor {_amount(effect, effect.upper, high)}"
    return (
        f"{opening}, but the records do not settle which way it goes. They do not rule out {ends} "
        f"({level_of(effect)} interval). {detectable_sentence(effect)}"
    )


def excludes_zero(effect: EffectLine) -> bool:
    """Whether the main interval lies on one side of zero."""
    return effect.lower > 0 or effect.upper < 0


def detectable_sentence(effect: EffectLine) -> str:
    """What a comparison can find now that the outcomes are known, and so what it can miss."""
    if effect.detectable is None:
        return "How small a difference this comparison could find was not worked out."
    (size,) = hundreds(effect.detectable) if is_share(effect) else (points(effect.detectable),)
    size = f"{size} in 100" if is_share(effect) else f"{size} points"
    return (
        f"As the outcomes turned out, this comparison finds a true difference of {size} {POWER_IN_WORDS}; smaller ones "
        "are often missed."
    )


def _difference_opening(effect: EffectLine) -> str:
    """Says where the printed difference need not be the printed means subtracted: adjusted, or rounded."""
    if effect.mean_treated is None or effect.mean_comparison is None:
        return "The difference is"
    unit, decimals = (100, 0) if is_share(effect) else (1, 2)
    treated, comparison, value = (
        round(unit * x, decimals) for x in (effect.mean_treated, effect.mean_comparison, effect.value)
    )
    if effect.adjusted:
        return "After allowing for what still differed, the difference is"
    return "The difference is" if abs(treated - comparison - value) < 1e-9 else "Before rounding, the difference is"


def is_share(effect: EffectLine | UnansweredLine) -> bool:
    """Whether the effect is a difference of proportions."""
    return effect.scale == "risk difference"


def _sizes(effect: EffectLine) -> tuple[str, str, str]:
    numbers = (effect.value, effect.lower, effect.upper)
    value, low, high = hundreds(*numbers) if is_share(effect) else tuple(points(x) for x in numbers)
    return value, low, high


def _amount(effect: EffectLine, signed_value: float, size: str) -> str:
    if signed_value == 0:
        return "0 in 100" if is_share(effect) else "0.00 points"
    if is_share(effect):
        return f"{size} {'more' if signed_value > 0 else 'fewer'} in 100"
    return f"{size} points {'higher' if signed_value > 0 else 'lower'}"


def scaled(effect: EffectLine, x: float) -> str:
    """A signed number in percentage points or points."""
    return signed(100 * x, 1) if is_share(effect) else signed(x)


def level_of(effect: EffectLine) -> str:
    """The interval's level: "95%"."""
    return f"{100 * effect.level:g}%"


def in_brackets(effect: EffectLine) -> str:
    """Estimate and interval in one phrase."""
    unit = "percentage points" if is_share(effect) else "points"
    ends = f"{scaled(effect, effect.lower)} to {scaled(effect, effect.upper)}"
    return f"{scaled(effect, effect.value)} {unit}, {level_of(effect)} interval from {ends}"


def balance_sentence(balance: tuple[BalanceLine, ...], adjustment: str) -> str:
    """How unlike the groups were, and are."""
    balance = tuple(line for line in balance if line.within_limit is not None)
    if not balance:
        return "Nobody eligible differs in any fact: there is nothing to make alike."
    before = [(abs(line.smd_before), line.label) for line in balance if line.smd_before is not None]
    after = [(abs(line.smd_after), line.label) for line in balance if line.smd_after is not None]
    inside = f"{sum(bool(line.within_limit) for line in balance)} of {len(balance)} facts are within their limit."
    if not before or not after:
        return f"Every standardised difference is withheld; {inside}"
    (most_before, fact_before), (most_after, fact_after) = (_largest(sizes) for sizes in (before, after))
    hidden = len(balance) - len(after)
    shown = " shown" if len(balance) > min(len(before), len(after)) else ""
    inside = inside.removesuffix(".") + (f", {count(hidden)} of which withheld." if hidden else ".")
    return (
        f"Before {adjustment}, the largest standardised difference{shown} was {fixed(most_before)} ({fact_before}). "
        f"After {adjustment} it is {fixed(most_after)} ({fact_after}); {inside}"
    )


def _largest(sizes: Sequence[tuple[float, str]]) -> tuple[float, str]:
    """The largest size as it is printed, and every fact that has it: two that print alike cannot be told apart."""
    largest = max(size for size, _ in sizes)
    facts = [fact for size, fact in sizes if fixed(size) == fixed(largest)]
    return largest, ", ".join(facts) if len(facts) <= MOST_FACTS else f"{count(len(facts))} facts"


def verdict_sentences(verdicts: Iterable[VerdictLine]) -> str:
    """Each verdict as a sentence with its figure and limit."""
    return " ".join(f"{capitalised(v.sentence).rstrip('.')}{_against(v)}." for v in verdicts)


def _against(verdict: VerdictLine) -> str:
    if verdict.limit is None:
        return ""
    measured = WITHHELD if verdict.measured is None else compact(verdict.measured)
    return f" (measured {measured}, limit {limit_of(verdict)})"


def limit_of(line: VerdictLine | Verdict | LaterCheck) -> str:
    """A limit with the side of it that is good; empty where there is none.

    >>> from validation.verdict import at_least
    >>> limit_of(at_least("design.sets", 291, 20, "matched sets"))
    'at least 20'
    """
    return "" if line.limit is None else f"{line.side} {compact(line.limit)}"


def because(reason: str) -> str:
    """A reason, as the end of a sentence."""
    return f", because {reason}" if reason else ""


def withheld_note(threshold: int) -> str:
    """What "withheld" means in every table of counts."""
    return f"“Withheld”: {Withheld.COUNT.sentence(threshold)}."


def stop(text: str) -> str:
    """The text with a full stop, unless it ends a sentence already."""
    text = text.rstrip()
    return text if text.endswith((".", "?", "!")) else f"{text}."
