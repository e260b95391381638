from __future__ import annotations

import dataclasses
import re

import pytest
from dossiers import COMPOSITE, DESIGN_ONLY, DOSSIER, TERMINATION, THRESHOLD, with_results

from flows.report.document import REPLACEMENT, Document, Table, figures_of, printable, texts
from flows.report.dossier import Dossier, FindingLine, FindingRow, FlowStep, QualityLine, VersionLine
from flows.report.numbers import MINUS
from flows.report.sentences import forbidden
from flows.report.wording import document
from validation.disclosure import Withheld, disclose_categories, disclose_flow

ORDER = [
    "in-short",
    "question",
    "who",
    "alike",
    "versions",
    "found",
    "truth",
    "wrong",
    "cannot-say",
    "judgements",
    "diagram",
    "decided",
    "data",
    "provenance",
]


def tables_of(pages: Document) -> list[Table]:
    """Every table, in order."""
    return [b for s in pages.sections for b in s.blocks if isinstance(b, Table)]


def test_sections_come_in_the_order_a_board_reads_them() -> None:
    """Answer first, provenance last, numbered without gaps."""
    sections = document(DOSSIER).sections
    assert [s.anchor for s in sections] == ORDER
    assert [s.title.split(".")[0] for s in sections] == [str(n) for n in range(1, len(ORDER) + 1)]


def test_a_design_dossier_has_no_findings() -> None:
    """Before approval there is no result on the page, and it says so first."""
    pages = document(DESIGN_ONLY)
    assert [s.anchor for s in pages.sections] == [a for a in ORDER if a not in ("found", "truth")]
    assert set(figures_of(pages)) == {"flow", "love_plot", "overlap"}
    words = " ".join(texts(pages))
    assert "Outcomes have not been opened." in words
    assert "had never been opened" in words
    assert "ended treatment within 90 days after" not in words
    assert "95%" not in words


def test_real_records_have_no_truth_section() -> None:
    """The truth is known of synthetic records only."""
    pages = document(dataclasses.replace(DOSSIER, truth=()))
    assert "truth" not in [s.anchor for s in pages.sections]


def test_every_part_the_board_must_see_is_there() -> None:
    """Limits, planned but missing analyses, verdicts, governance, looks and digests all reach the page."""
    words = " ".join(texts(document(DOSSIER)))
    parts = [
        DOSSIER.why_no_trial,
        DOSSIER.estimand_sentence,
        DOSSIER.method_sentence,
        DOSSIER.worked_out,
        *(text for group in DOSSIER.decided for line in group.lines for text in (line.name, line.value)),
        DOSSIER.instrument_note,
        DOSSIER.regime_note,
        *DOSSIER.limitations,
        *DOSSIER.cannot_say,
        *DOSSIER.identification,
        *(text for line in DOSSIER.emulation for text in (line.element, line.ideal, line.emulated)),
        *(line.reason for line in DOSSIER.plan),
        *(text for pair in DOSSIER.governance for text in pair),
        *(verdict.code for verdict in DOSSIER.verdicts),
        DOSSIER.provenance.protocol_digest,
        DOSSIER.provenance.extract_digest,
        DOSSIER.provenance.design_digest,
        "outcomes of one design of this study have been opened",
        "a1b2 c3d4 e5f6 0718",
    ]
    assert [part for part in parts if part not in words] == []


def test_balance_is_ordered_by_tier_then_by_how_unlike_the_groups_were() -> None:
    """Tier 1 stands first, the worst of it on top."""
    (table,) = [t for t in tables_of(document(DOSSIER)) if t.caption.startswith("Means of each fact")]
    tiers = [int(row[1]) for row in table.rows]
    before = [abs(float(row[5].replace(MINUS, "-"))) for row in table.rows]
    assert tiers == sorted(tiers)
    for tier in (1, 2):
        inside = [size for size, t in zip(before, tiers, strict=True) if t == tier]
        assert inside == sorted(inside, reverse=True)


def test_a_fact_beyond_its_limit_is_marked_in_words() -> None:
    """NO in capitals, not a colour."""
    worse = dataclasses.replace(DOSSIER.balance[0], smd_after=-0.13, within_limit=False)
    pages = document(dataclasses.replace(DOSSIER, balance=(worse, *DOSSIER.balance[1:])))
    (table,) = [t for t in tables_of(pages) if t.caption.startswith("Means of each fact")]
    assert [row[8] for row in table.rows].count("NO") == 1
    assert "19 of 20 facts are within their limit" in " ".join(texts(pages))


@pytest.mark.parametrize(
    ("excluded", "said"),
    [
        (0, "No occasion left this comparison because a patient died."),
        (14, "14 occasions left this comparison because a patient died before day 90"),
        (None, "A number of occasions (how many is withheld) left this comparison because a patient died"),
    ],
)
def test_deaths_are_reported(excluded: int | None, said: str) -> None:
    """How many left because of a death is in the findings: none, so many, or withheld."""
    (found,) = [s for s in document(with_results(DOSSIER, excluded=excluded)).sections if s.anchor == "found"]
    words = " ".join(texts(found))
    assert said in words
    assert ("A death is an outcome of its own" in words) == (excluded != 0)


def test_who_answered_is_of_those_who_had_not_ended_treatment() -> None:
    """The denominator takes in those whose treatment was completed or moved, and is said as it is."""
    words = " ".join(texts(document(DOSSIER)))
    assert "Of those who had not ended treatment, about 78% after a warning and about 84% without a warning" in words
    assert "still in the relationship" not in words


def test_the_summary_says_that_a_patient_can_be_counted_twice() -> None:
    """Before and after approval, next to the numbers of cases."""
    for dossier in (DOSSIER, DESIGN_ONLY):
        (summary,) = [s for s in document(dossier).sections if s.anchor == "in-short"]
        words = " ".join(texts(summary))
        assert words.count("a patient can be counted on more than one") == 1


FEW = Withheld.FEW_ENDINGS.sentence(THRESHOLD)


def withheld_figures() -> Dossier:
    """A release whose clusters, freedom, endings, mean trust, response and two rare facts are withheld."""
    intervals = tuple(dataclasses.replace(line, clusters=None, df=None) for line in TERMINATION.intervals)
    hidden = {"mean_treated": None, "mean_comparison": None, "intervals": intervals, "means_withheld": FEW}
    rare = dict.fromkeys(("mean_treated", "mean_comparison_before", "mean_comparison_after"))
    rare |= {"smd_before": None, "smd_after": None}
    assert DOSSIER.results is not None
    return with_results(
        dataclasses.replace(
            DOSSIER,
            balance=(
                dataclasses.replace(DOSSIER.balance[3], **rare),
                dataclasses.replace(DOSSIER.balance[7], **rare, within_limit=False),
                *(line for place, line in enumerate(DOSSIER.balance) if place not in (3, 7)),
            ),
        ),
        termination=dataclasses.replace(TERMINATION, **hidden),
        composite=dataclasses.replace(COMPOSITE, **hidden),
        response=dataclasses.replace(DOSSIER.results.response, treated=None, comparison=None, withheld=FEW),
    )


def test_what_is_withheld_is_said_to_be() -> None:
    """Every page still reads: the word stands in each cell, the judgement stays, no figure is left out silently."""
    pages = document(withheld_figures())
    words = " ".join(texts(pages))
    assert "None" not in words
    assert "How many of those who had not ended treatment gave a rating that counts for day 90" in words
    assert f"How many ended treatment within 90 days is withheld for each group, because {FEW}." in words
    assert f"The mean of each group is withheld, because {FEW}." in words
    assert f"is withheld, because {FEW}. How missing ratings were handled" in words
    assert "the largest standardised difference shown was 0.79 (Target identified)" in words
    assert "19 of 20 facts are within their limit" in words
    tables = tables_of(pages)
    (balance,) = [t for t in tables if t.caption.startswith("Means of each fact")]
    rows = {row[0]: row for row in balance.rows}
    assert rows["Severity of the threat (0 to 10)"][2:7] == ("withheld",) * 5
    assert rows["Severity of the threat (0 to 10)"][8] == "yes"
    assert rows["Access to means"][8] == "NO"
    for table in [t for t in tables if t.caption.startswith("Difference in")]:
        assert {(row[1], row[5]) for row in table.rows} == {("withheld", "withheld")}
    assert "termination" not in figures_of(pages)


def test_every_difference_may_be_withheld() -> None:
    """A study of rare facts only has no largest difference to name."""
    rare = tuple(dataclasses.replace(line, smd_before=None, smd_after=None) for line in DOSSIER.balance)
    words = " ".join(texts(document(dataclasses.replace(DOSSIER, balance=rare))))
    assert "Every standardised difference is withheld; 20 of 20 facts are within their limit." in words


def small_study() -> Dossier:
    """A study full of small counts, each passed through disclosure as the stages do."""
    raw = (
        FlowStep(rule="Assessed", persons=300, occasions=409, treated=None, comparison=None),
        FlowStep(rule="Adult", persons=296, occasions=402, treated=None, comparison=None),
        FlowStep(rule="Rated", persons=200, occasions=240, treated=60, comparison=180),
        FlowStep(rule="Known", persons=193, occasions=232, treated=57, comparison=175),
        FlowStep(rule="Matched", persons=118, occasions=124, treated=9, comparison=115),
    )
    reasons = disclose_categories({"duplicate": 3, "date": 2, "range": 40}, THRESHOLD)
    versions = disclose_categories({"victim": 60, "police": 30, "both": 4}, THRESHOLD)
    return dataclasses.replace(
        DOSSIER,
        flow=disclose_flow(raw, THRESHOLD),
        quality=(QualityLine(table="measures", rows=4000, set_aside=None, reasons=tuple(reasons.items())),),
        versions=tuple(
            VersionLine(version="Who was told", value=name, percent=None if n is None else 100 * n / 94)
            for name, n in versions.items()
        ),
    )


def test_no_count_from_one_to_ten_is_printed() -> None:
    """Where every raw count went through disclosure, no column of counts and no sentence shows one of 1 to 10."""
    pages = document(small_study())
    counts = {"Persons", "Occasions", "Rows", "Set aside", "After a warning", "Without a warning"}
    for table in tables_of(pages):
        if table.caption.startswith("Means"):
            continue
        for place, column in enumerate(table.columns):
            if column.title in counts:
                assert not {row[place] for row in table.rows} & {str(n) for n in range(1, THRESHOLD)}, column.title
    words = " ".join(texts(pages))
    assert re.findall(r"\b(?:[1-9]|10) (?:persons?|occasions?|rows?|cases?)\b", words) == []
    assert re.findall(r"\b(?:duplicate|date|range): (?:[1-9]|10)\b", words) == []
    assert "withheld" in words


def test_the_flow_diagram_leaves_no_small_loss() -> None:
    """The losses drawn between boxes are differences of shown counts: none is 1 to 10."""
    from matplotlib.text import Text

    from flows.report.figures import _style, flow_diagram

    with _style():
        drawn = [text.get_text() for text in flow_diagram(small_study()).findobj(Text)]
    losses = [int(words.split()[0]) for words in drawn if words.endswith("left out")]
    assert losses
    assert all(loss >= THRESHOLD for loss in losses)
    assert not {str(n) for n in range(1, THRESHOLD)} & set(drawn)
    assert "withheld" in drawn


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("a\tb\r\nc", "a b  c"),
        ("abc\u202edef", f"abc{REPLACEMENT}def"),
        ("a\x00\x1b[31m", f"a{REPLACEMENT}{REPLACEMENT}[31m"),
        ("lone \ud800 surrogate", f"lone {REPLACEMENT} surrogate"),
        ("Ünïcödé 漢字 אבג 😀", "Ünïcödé 漢字 אבג 😀"),
    ],
)
def test_what_cannot_be_seen_is_made_visible(raw: str, shown: str) -> None:
    """Control and direction characters cannot hide or turn text; letters of any script stay."""
    assert printable(raw) == shown
    assert printable((raw, 3, None)) == (shown, 3, None)


def unanswered() -> Dossier:
    """Outcomes were opened and the main question has no number."""
    return dataclasses.replace(DOSSIER, results=None, truth=(), unanswered="fewer than 20 matched sets are left")


def test_a_question_without_a_number_says_why_and_the_rest_stands() -> None:
    """NOT EVALUATED with its reason leads the page; who was compared, how alike they are and the rest are all there."""
    page = document(unanswered())
    anchors = [section.anchor for section in page.sections]
    assert "found" not in anchors
    assert {"in-short", "who", "alike", "judgements"} <= set(anchors)
    said = " ".join(texts(page.sections[0]))
    assert "The main question was NOT EVALUATED. Fewer than 20 matched sets are left." in said
    assert "Outcomes have not been opened" not in said
    assert forbidden(" ".join(text for section in page.sections for text in texts(section))) == ()


FINDINGS = (
    FindingLine(
        analysis="win_odds",
        title="Who fares better",
        method="Each against each.",
        rows=(
            FindingRow(
                label="odds", scale="win odds", value=0.63, lower=0.5, upper=0.8, level=0.95, clustered_by="clinician"
            ),
        ),
        not_evaluated=(),
        notes=("Ties are halved.",),
    ),
    FindingLine(analysis="subscales", title="Parts", method="", rows=(), not_evaluated=("nobody rated",), notes=()),
)


def test_every_other_analysis_has_its_numbers_or_its_reason() -> None:
    """A finding is told with its table; one without numbers is NOT EVALUATED, in words."""
    page = document(dataclasses.replace(DOSSIER, findings=FINDINGS))
    (others,) = [section for section in page.sections if section.anchor == "others"]
    said = texts(others)
    assert "Who fares better" in said
    assert "0.63" in said
    assert "0.50 to 0.80" in said
    assert said[said.index("Parts") + 1 :] == ["NOT EVALUATED.", "Nobody rated."]


def test_other_analyses_stand_where_the_main_question_has_no_number() -> None:
    """They do not depend on the main answer."""
    page = document(dataclasses.replace(unanswered(), findings=FINDINGS))
    assert "others" in [section.anchor for section in page.sections]
