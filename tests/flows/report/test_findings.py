"""The sections on what was found: which blocks stand in which state, and what their sentences count."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from dossiers import DOSSIER, GATE_FAILED, INCLUDES_ZERO, RESULTS, TERMINATION, VERDICTS, with_results

from flows.report.document import Block, Bullets, Callout, Display, Figure, Paragraph, Section, Subheading, Table, texts
from flows.report.dossier import Dossier, FindingLine, FindingRow, Results, UnansweredLine
from flows.report.findings import association_caution, found_section, icons, others_section, response_caution
from flows.report.sentences import groups_of

MINUS = "\N{MINUS SIGN}"
UNLIKE = dataclasses.replace(
    VERDICTS[0], code="estimate.response.day_90", status="FAIL", sentence="share who answered", measured=0.1, limit=0.5
)
MISSING = UnansweredLine(
    name="x",
    question="Did more end?",
    scale="risk difference",
    not_evaluated="why",
    mean_treated=0.0,
    mean_comparison=0.0,
)


def found(dossier: Dossier = DOSSIER, **changes: Any) -> Section:
    """The section with some of the results changed."""
    results: Results = dataclasses.replace(dossier.results or RESULTS, **changes)
    return found_section(dataclasses.replace(dossier, results=results), results)


def below(section: Section, heading: str) -> tuple[Block, ...]:
    """What stands under a heading, up to the next."""
    places = [k for k, block in enumerate(section.blocks) if isinstance(block, Subheading)]
    (start,) = [k for k in places if section.blocks[k] == Subheading(text=heading)]
    end = min((k for k in places if k > start), default=len(section.blocks))
    return section.blocks[start + 1 : end]


def words(blocks: tuple[Block, ...]) -> str:
    """All that they say."""
    return " ".join(text for text in texts(blocks) if text)


ENDED, TRUST = "Ended treatment within 90 days", "Trust at day 90, an ending counted as the lowest rating"


def test_each_difference_has_its_sentence_its_table_and_what_could_be_found() -> None:
    """Under its own heading; the smallest difference stands where zero is not ruled out, or is."""
    for dossier in (DOSSIER, INCLUDES_ZERO):
        for heading, effect in ((ENDED, dossier.results.termination), (TRUST, dossier.results.composite)):  # type: ignore[union-attr]
            first, table, *power = below(found(dossier), heading)
            assert isinstance(first, Paragraph)
            assert first.lead == effect.question
            assert isinstance(table, Table)
            assert len(table.rows) == len(effect.intervals)
            assert [getattr(block, "lead", "") for block in power] in ([], ["What could be found."])
    leads = [len(below(found(dossier), ENDED)) for dossier in (DOSSIER, INCLUDES_ZERO)]
    assert sorted(leads) == [2, 3]


def test_a_difference_that_could_not_be_had_has_a_sentence_alone() -> None:
    """Its question, and no table; the other is drawn alone."""
    section = found(termination=MISSING)
    (only,) = below(section, ENDED)
    assert isinstance(only, Paragraph)
    assert only.lead == "Did more end?"
    (figure,) = [block for block in section.blocks if isinstance(block, Figure)]
    assert figure.caption.startswith(
        "The difference: trust at day 90, an ending counted as the lowest rating (after a "
    )
    assert figure.caption.endswith("and its 95% interval")
    assert figure.alt.startswith(f"A plot of an estimate with its interval. {TRUST}: {MINUS}0.46 points, 95% interval")
    (figure,) = [block for block in found().blocks if isinstance(block, Figure)]
    assert figure.name == "effects"
    assert figure.caption == "The two differences (after a warning, less without a warning) and their 95% intervals"
    assert figure.alt.startswith(f"Two plots of an estimate with its interval. {ENDED}: +9.0 percentage points, 95%")


def test_the_split_is_told_as_arithmetic() -> None:
    """A part below zero in brackets; that the parts do not add up, or are of a plain difference, is owned up to."""
    heading = "Where the difference in trust comes from"
    parts, equation, reading = below(found(), heading)
    assert isinstance(equation, Display)
    assert equation.text == f"{MINUS}0.46 = {MINUS}0.30 + ({MINUS}0.16)"
    assert f"The difference of {MINUS}0.46 points has two parts." in texts(parts)[1]
    assert f"each counted as 1: {MINUS}0.30 points" in texts(parts)[1]
    assert "those who stayed rated their trust: " in texts(parts)[1]
    assert "after adjustment" not in words((parts,))
    assert "unrounded they add up" not in words((reading,))
    split = RESULTS.decomposition
    assert split is not None
    off = dataclasses.replace(split, level_part=-0.146)
    assert words(below(found(decomposition=off), heading)).endswith(
        "Each number is rounded by itself; unrounded they add up."
    )
    up = dataclasses.replace(split, total=0.1, termination_part=-0.1, level_part=0.2)
    *_, equation, _ = below(found(decomposition=up), heading)
    assert texts(equation) == [f"0.10 = {MINUS}0.10 + 0.20"]
    plain = below(found(decomposition=up), heading)[0]
    assert words((plain,)).endswith(
        f"The split is of the plain difference in means; after adjustment it is {MINUS}0.46."
    )
    assert heading not in words(found(decomposition=None).blocks)


def test_who_answered_is_said_of_each_group() -> None:
    """Coarse shares, or why they are withheld, or that nobody was left; and how missing ratings were handled."""
    heading = "Who answered"
    said = words(below(found(), heading))
    assert (
        "about 78% after a warning and about 84% without a warning gave a rating that counts for day 90 (up to 21"
        in said
    )
    assert said.endswith("How missing ratings were handled: Non-response was handled by weighting those who answered.")
    for gone in ("treated", "comparison"):
        hidden = dataclasses.replace(RESULTS.response, **{gone: None}, withheld="of a rule")
        assert "either side) is withheld, because of a rule." in words(below(found(response=hidden), heading))
        nobody = dataclasses.replace(hidden, withheld="")
        assert words(below(found(response=nobody), heading)).startswith(
            "In one of the groups nobody was left to give a "
        )


@pytest.mark.parametrize(
    ("deaths", "said"),
    [
        (0, "No occasion left this comparison because a patient died."),
        (12, "12 occasions left this comparison because a patient died before day 90:"),
        (
            None,
            "A number of occasions (how many is withheld) left this comparison because a patient died before day 90:",
        ),
    ],
)
def test_deaths_are_counted_or_withheld(deaths: int | None, said: str) -> None:
    """Never left unsaid."""
    assert words(below(found(excluded=deaths), "Deaths")).startswith(said)


def test_facts_left_out_of_the_adjustment_are_named() -> None:
    """Under a heading of their own where there are any."""
    heading = "What was not adjusted for, or not twice"
    assert words(below(found(aliased=("Age", "Male")), heading)).endswith("tell them: Age, Male.")
    assert heading not in words(found().blocks)


def test_icons_count_a_hundred_of_each_group_unless_withheld() -> None:
    """In words for who cannot see them."""
    (figure,) = icons(RESULTS, groups_of(DOSSIER))
    assert figure.name == "termination"
    assert "After a warning, 31 are filled; without a warning, 22." in figure.alt
    assert "within 90 days" in figure.caption
    for gone in ("mean_treated", "mean_comparison"):
        hidden = dataclasses.replace(RESULTS, termination=dataclasses.replace(TERMINATION, **{gone: None}))
        assert icons(hidden, groups_of(DOSSIER)) == ()


def test_a_warning_names_the_checks_of_the_design_that_failed() -> None:
    """Not those on who answered, which have their own; without any there is nothing to name."""
    both = dataclasses.replace(GATE_FAILED, verdicts=(*GATE_FAILED.verdicts, UNLIKE))
    warning = association_caution(both)
    assert warning.tone == "caution"
    assert [one.lead for one in warning.paragraphs] == ["Not every check set in advance was passed.", "Failed:"]
    assert warning.paragraphs[1].text.count("measured") == 1
    assert "0.17" in warning.paragraphs[1].text
    assert len(association_caution(DOSSIER).paragraphs) == 1
    assert isinstance(found(both).blocks[0], Callout)
    assert not isinstance(found().blocks[0], Callout)


def test_a_warning_on_ratings_says_who_answered() -> None:
    """Where a check on response failed; without results there is nobody to count."""
    unlike = dataclasses.replace(DOSSIER, verdicts=(*VERDICTS, UNLIKE))
    (warning,) = response_caution(unlike)
    assert warning.tone == "caution"
    leads = ["Too few ratings to speak of what the choice does to trust.", "Who answered.", "Failed:"]
    assert [one.lead for one in warning.paragraphs] == leads
    assert "about 78% after a warning" in warning.paragraphs[1].text
    assert warning.paragraphs[2].text == "Share who answered (measured 0.1, limit at least 0.5)."
    (early,) = response_caution(dataclasses.replace(unlike, results=None))
    assert [one.lead for one in early.paragraphs] == [leads[0], leads[2]]
    assert response_caution(GATE_FAILED) == ()
    passed = dataclasses.replace(UNLIKE, status="PASS")
    assert response_caution(dataclasses.replace(DOSSIER, verdicts=(passed,))) == ()


def finding(**changes: Any) -> FindingLine:
    """An analysis with one number."""
    row = FindingRow(label="x", scale="points", value=0.1, lower=0.0, upper=0.2, level=0.95, clustered_by="")
    made = FindingLine(analysis="a", title="Other days", method="As declared.", rows=(row,), not_evaluated=(), notes=())
    return dataclasses.replace(made, **changes)


def test_an_analysis_tells_its_method_its_numbers_its_notes_and_what_is_missing() -> None:
    """Each only where there is any, in that order; wholly missing is said otherwise than in part."""
    dossier = dataclasses.replace(DOSSIER, findings=(finding(notes=("A note.",), not_evaluated=("day 30: nobody",)),))
    heading, method, table, notes, why = others_section(dossier).blocks[1:]
    assert (heading, method) == (Subheading(text="Other days"), Paragraph(text="As declared."))
    assert isinstance(table, Table)
    assert notes == Bullets(items=("A note.",))
    assert why == Paragraph(lead="Of this, NOT EVALUATED:", text="Day 30: nobody.")
    dossier = dataclasses.replace(DOSSIER, findings=(finding(method="", rows=(), not_evaluated=("nobody",)),))
    assert others_section(dossier).blocks[2:] == (Paragraph(lead="NOT EVALUATED.", text="Nobody."),)
    assert len(others_section(dataclasses.replace(DOSSIER, findings=(finding(),))).blocks) == 4


def test_other_analyses_carry_the_warnings_of_the_main_one() -> None:
    """Also where the main question has no number and a check of the design failed; one on ratings does not count."""

    def warned(dossier: Dossier) -> list[str]:
        blocks = others_section(dataclasses.replace(dossier, findings=(finding(),))).blocks
        return [block.paragraphs[0].lead[:7] for block in blocks if isinstance(block, Callout)]

    unlike = dataclasses.replace(DOSSIER, verdicts=(*VERDICTS, UNLIKE))
    assert warned(DOSSIER) == []
    assert warned(GATE_FAILED) == ["Not eve"]
    assert warned(unlike) == ["Too few"]
    assert warned(dataclasses.replace(DOSSIER, results=None)) == []
    assert warned(dataclasses.replace(GATE_FAILED, results=None)) == ["Not eve"]
    assert warned(dataclasses.replace(unlike, results=None)) == ["Too few"]
    assert warned(with_results(DOSSIER, causal_wording=False)) == ["Not eve"]
