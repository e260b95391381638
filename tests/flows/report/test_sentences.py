from __future__ import annotations

import dataclasses
import re

import pytest
from dossiers import COMPOSITE, DESIGN_ONLY, DOSSIER, GATE_FAILED, INCLUDES_ZERO, RESULTS, TERMINATION, with_results
from hypothesis import given
from hypothesis import strategies as st

from flows.report.document import Callout, Document, Paragraph, texts
from flows.report.dossier import Dossier, EffectLine
from flows.report.numbers import MINUS
from flows.report.sentences import (
    Groups,
    balance_sentence,
    banner,
    detectable_sentence,
    difference_sentence,
    ended_sentence,
    forbidden,
    groups_of,
    rated_sentence,
)
from flows.report.wording import document

GROUPS = Groups(treated="after a warning", comparison="without a warning", words=DOSSIER.words)
HIGHEST_GRADE = 9.0
ALL = {"found": DOSSIER, "includes zero": INCLUDES_ZERO, "gate failed": GATE_FAILED, "design only": DESIGN_ONLY}


def effect(value: float, lower: float, upper: float, *, of: EffectLine = TERMINATION) -> EffectLine:
    """An effect whose means differ by exactly `value`."""
    return dataclasses.replace(of, value=value, lower=lower, upper=upper, mean_treated=of.mean_comparison + value)


def test_natural_frequencies_and_their_range() -> None:
    """The headline reads as a person would say it."""
    assert ended_sentence(RESULTS, GROUPS) == (
        "Of 100 patients like these, about 31 ended treatment within 90 days after a warning, and about 22 without a "
        "warning. The difference is 9 more in 100; it could be as small as 2 or as large as 16 (95% interval)."
    )
    assert rated_sentence(RESULTS, GROUPS, (1, 5)) == (
        "Patients rate their trust from 1 (lowest) to 5 (highest). A patient who ended treatment, or stopped coming "
        "without a word, counts as 1. Counted this way, trust was 2.66 after a warning and 3.12 without a warning. The "
        "difference is 0.46 points lower; it could be as small as 0.22 or as large as 0.70 (95% interval). Of the "
        f"difference, {MINUS}0.30 comes from endings counted that way and {MINUS}0.16 from how the others rated."
    )


def test_the_scale_is_that_of_the_instrument() -> None:
    """Another scale is said as it is, on the summary and in the findings."""
    assert rated_sentence(RESULTS, GROUPS, (0, 10)).startswith("Patients rate their trust from 0 (lowest) to 10 (highe")
    words = " ".join(texts(document(dataclasses.replace(DOSSIER, scale=(1, 7)))))
    assert words.count("from 1 (lowest) to 7 (highest)") == 2
    assert "to 5 (highest)" not in words


def test_fewer_endings_are_said_as_fewer() -> None:
    """A negative difference has its range the right way round."""
    assert difference_sentence(effect(-0.09, -0.16, -0.02)) == (
        "The difference is 9 fewer in 100; it could be as small as 2 or as large as 16 (95% interval)."
    )


def test_a_range_with_zero_says_what_is_not_ruled_out_both_ways() -> None:
    """Neither direction is ruled out, and what could be missed is said."""
    assert difference_sentence(effect(0.03, -0.04, 0.10)) == (
        "The difference is 3 more in 100, but the records do not settle which way it goes. They do not rule out 4 "
        "fewer in 100, nor 10 more in 100 (95% interval). As the outcomes turned out, this comparison finds a true "
        "difference of 11 in 100 four times out of five; smaller ones are often missed."
    )


def test_an_unknown_smallest_difference_is_owned_up_to() -> None:
    """Without a power figure, the page says that there is none."""
    assert "was not worked out" in detectable_sentence(dataclasses.replace(TERMINATION, detectable=None))


def test_a_bound_close_to_zero_keeps_its_side() -> None:
    """A range that excludes zero is never printed as starting at 0."""
    assert "as small as 0.2 or as large as 12.0" in difference_sentence(effect(0.06, 0.002, 0.12))
    assert "as small as less than 0.1" in difference_sentence(effect(0.06, 0.0002, 0.12))
    sentence = difference_sentence(effect(-0.3, -0.6, -0.001, of=COMPOSITE))
    assert "as small as less than 0.01 or as large as 0.60" in sentence


def test_adjustment_and_rounding_are_owned_up_to() -> None:
    """When the printed means do not subtract to the printed difference, the sentence says why."""
    adjusted = dataclasses.replace(TERMINATION, value=0.07, adjusted=True)
    assert difference_sentence(adjusted).startswith("After allowing for what still differed, the difference is 7 more")
    rounded = dataclasses.replace(TERMINATION, mean_treated=0.306, mean_comparison=0.224, value=0.082)
    assert difference_sentence(rounded).startswith("Before rounding, the difference is 8 more in 100")


@given(st.floats(-0.6, 0.6), st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_direction_words_follow_the_numbers(value: float, below: float, above: float) -> None:
    """Whatever the estimate, the words more and fewer agree with the signs, and only a one-sided range is settled."""
    line = effect(value, value - below, value + above)
    sentence = difference_sentence(line)
    opening = sentence.split(";")[0].split(", but")[0]
    if value:
        assert ("more" in opening, "fewer" in opening) == (value > 0, value < 0)
    assert ("do not settle" in sentence) == (line.lower <= 0 <= line.upper)
    assert forbidden(sentence) == ()


def test_association_words_when_a_gate_failed() -> None:
    """The summary and the findings speak of what went together, in a warning that comes before any number."""
    pages = document(GATE_FAILED)
    for section in pages.sections:
        if section.anchor not in ("in-short", "found"):
            continue
        first = section.blocks[0]
        assert isinstance(first, Callout)
        assert first.tone == "caution"
        assert "went together" in " ".join(texts(first))
        assert "tier-1 covariate (severity) (measured 0.17, limit at most 0.1)" in " ".join(texts(first))
        words = " ".join(texts(section))
        assert "Of 100 patients like these" not in words
        assert not re.search(r"\b(effects?|causes?|caused|because of|due to|leads? to|results? in|impact)\b", words)


def test_no_warning_where_every_gate_was_passed() -> None:
    """The association box appears only when it applies."""
    assert not any(isinstance(b, Callout) and b.tone == "caution" for s in document(DOSSIER).sections for b in s.blocks)


@pytest.mark.parametrize("dossier", ALL.values(), ids=ALL.keys())
def test_no_forbidden_phrase_on_any_page(dossier: Dossier) -> None:
    """Not safe, not proven, not significant, no p-values, and never an absence of effect."""
    assert {phrase for text in texts(document(dossier)) for phrase in forbidden(text)} == set()


@pytest.mark.parametrize(
    "claim",
    [
        "It is safe to warn.",
        "There was no effect.",
        "This proves harm.",
        "It was statistically significant.",
        "p < 0.05",
    ],
)
def test_the_lint_sees_forbidden_claims(claim: str) -> None:
    """The lint would catch each claim it stands against."""
    assert forbidden(claim)


@pytest.mark.parametrize("dossier", ALL.values(), ids=ALL.keys())
def test_the_summary_reads_at_ninth_grade_or_below(dossier: Dossier) -> None:
    """Flesch-Kincaid grade (Kincaid and others, 1975) of the summary, apart from the study's own labels."""
    assert _grade(_summary_text(document(dossier))) <= HIGHEST_GRADE


def _summary_text(pages: Document) -> str:
    paragraphs = [b for b in pages.sections[0].blocks if isinstance(b, Paragraph)]
    paragraphs += [p for b in pages.sections[0].blocks if isinstance(b, Callout) for p in b.paragraphs]
    return " ".join(
        f"{p.lead} {p.text}" for p in paragraphs if p.lead not in ("The two choices.", "Failed:", "Not run:")
    )


def _grade(text: str) -> float:
    sentences = re.split(r"(?<=[.?!])\s+", text.strip())
    words = re.findall(r"[A-Za-z']+|\d+(?:\.\d+)?", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(_syllables(word) for word in words) / len(words) - 15.59


def _syllables(word: str) -> int:
    """Vowel groups, a silent final e left out; a number counts two."""
    if not word[0].isalpha():
        return 2
    groups = len(re.findall(r"[aeiouy]+", word.lower()))
    silent = word.lower().endswith("e") and not word.lower().endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)


def test_the_grade_formula_tells_plain_from_heavy() -> None:
    """A plain sentence and a heavy one come out where they should."""
    assert _grade("The cat sat on the mat. It was warm.") < 2
    assert _grade("Institutional heterogeneity necessitates considerable methodological sophistication.") > 15


def test_the_banner_names_what_is_not_real() -> None:
    """Synthetic records, a simulated board, both, or neither."""
    real = dataclasses.replace(DOSSIER.provenance, synthetic=False)
    board = dataclasses.replace(DOSSIER.approval, simulated=False)
    assert banner(DOSSIER).startswith("SYNTHETIC RECORDS, SIMULATED BOARD: ")
    assert banner(dataclasses.replace(DOSSIER, approval=board)).startswith("SYNTHETIC RECORDS: ")
    assert banner(dataclasses.replace(DOSSIER, provenance=real)).startswith("SIMULATED BOARD: ")
    nothing_feigned = dataclasses.replace(DOSSIER, provenance=real, approval=board, simulated=False)
    assert banner(nothing_feigned) == ""


def test_a_feigned_study_is_marked_even_if_the_flag_was_forgotten() -> None:
    """Synthetic records mark the page whatever `simulated` says."""
    assert banner(dataclasses.replace(DOSSIER, simulated=False)).startswith("SYNTHETIC RECORDS")


def test_a_study_without_short_names_still_reads() -> None:
    """The choices are then called the first and the second."""
    nameless = dataclasses.replace(DOSSIER, treated_short="", comparison_short="")
    assert groups_of(nameless) == Groups(
        treated="with the first choice", comparison="with the second choice", words=DOSSIER.words
    )
    words = " ".join(texts(document(nameless)))
    assert "First choice: warn a third party within 72 hours of the assessment." in words
    assert "about 31 ended treatment within 90 days with the first choice" in words


def test_parts_that_do_not_add_up_in_print_are_explained() -> None:
    """-0.45 = -0.30 + (-0.16) is printed with the reason; exact sums are printed without."""
    split = RESULTS.decomposition
    off = dataclasses.replace(split, total=-0.4544, termination_part=-0.2984, level_part=-0.156)
    uneven = with_results(DOSSIER, decomposition=off)
    assert "unrounded they add up" in " ".join(texts(document(uneven)))
    even = " ".join(texts(document(DOSSIER)))
    assert "-0.46 = -0.30 + (-0.16)" in even.replace(MINUS, "-")
    assert "unrounded they add up" not in even


def test_an_adjusted_difference_says_so_though_it_looks_like_a_plain_one() -> None:
    """Its interval is that of the adjusted one, whatever the rounded means subtract to."""
    adjusted = dataclasses.replace(effect(0.09, 0.02, 0.16), adjusted=True)
    assert difference_sentence(adjusted).startswith("After allowing for what still differed, the difference is 9 more")


def test_facts_that_print_alike_are_all_named() -> None:
    """0.071 and 0.074 are both 0.07: neither is called the largest alone; many are counted, and so are the withheld."""
    (line, *_) = DOSSIER.balance
    after = (0.071, 0.074, 0.01, None)
    rows = tuple(
        dataclasses.replace(line, label=label, smd_before=0.3, smd_after=size, within_limit=True)
        for label, size in zip("abcd", after, strict=True)
    )
    told = balance_sentence(rows, "matching")
    assert "the largest standardised difference shown was 0.30 (4 facts)" in told
    assert told.endswith("it is 0.07 (a, b); 4 of 4 facts are within their limit, 1 of which withheld.")
    plain = tuple(dataclasses.replace(row, smd_after=0.07) for row in rows)
    half = (dataclasses.replace(plain[0], smd_before=None), *plain[1:])
    assert "difference was 0.30" in balance_sentence(plain, "matching")
    assert "difference shown was 0.30" in balance_sentence(half, "matching")
