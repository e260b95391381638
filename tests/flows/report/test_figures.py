from __future__ import annotations

import dataclasses
import re
from xml.etree import ElementTree

import pytest
from dossiers import DESIGN_ONLY, DOSSIER, HOSTILE, INCLUDES_ZERO, with_results

from flows.report.document import figures_of, printable
from flows.report.dossier import Dossier
from flows.report.figures import _lines, _love_rows, _style, draw, effects, flow_diagram, icon_array, love_plot, overlap
from flows.report.sentences import groups_of
from flows.report.wording import document

SVG = "{http://www.w3.org/2000/svg}"


def drawings(dossier: Dossier) -> dict[str, bytes]:
    """Every figure the dossier's pages call for."""
    alts = {name: figure.alt for name, figure in figures_of(document(dossier)).items()}
    return draw(printable(dossier), alts)


def words_on(figure: object) -> list[str]:
    """Every text drawn on a figure."""
    from matplotlib.text import Text

    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]  # type: ignore[attr-defined]


@pytest.mark.parametrize("dossier", [DOSSIER, HOSTILE], ids=["plain", "hostile"])
def test_each_drawing_stands_alone_and_carries_its_words(dossier: Dossier) -> None:
    """Well-formed SVG with alternative text, every letter a path, nothing fetched, nothing run, nothing left over."""
    figures = figures_of(document(dossier))
    for name, svg in drawings(dossier).items():
        root = ElementTree.fromstring(svg)  # noqa: S314 drawn by us
        assert root.get("role") == "img"
        assert root.get("aria-label") == figures[name].alt
        assert root.findtext(f"{SVG}title") == figures[name].alt
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= {"svg", "title", "g", "path", "use", "defs", "clipPath", "rect", "pattern"}, tags
        attributes = [(key, value) for element in root.iter() for key, value in element.attrib.items()]
        assert not [key for key, _ in attributes if key.lower().startswith("on")]
        links = [value for key, value in attributes if key.endswith("href")]
        assert all(link.startswith(f"#{name}-") for link in links)
        assert b"<!--" not in svg
        assert b"<style" not in svg


def test_names_inside_drawings_do_not_clash_on_one_page() -> None:
    """Every id is unique over all drawings, and every reference has its target."""
    texts = [svg.decode() for svg in drawings(DOSSIER).values()]
    ids = [name for text in texts for name in re.findall(r' id="([^"]+)"', text)]
    assert len(ids) == len(set(ids))
    used = {name for text in texts for name in re.findall(r"""(?:url\(|href=")#([^")]+)""", text)}
    assert used == set(ids)


def test_the_same_dossier_gives_the_same_drawing() -> None:
    """Drawn twice in one process, byte for byte; fresh processes are compared where whole releases are."""
    assert drawings(INCLUDES_ZERO) == drawings(INCLUDES_ZERO)


def test_a_design_dossier_cannot_show_effects() -> None:
    """Asking for a result figure without results is an error of ours, not an empty picture."""
    with pytest.raises(ValueError, match="effects"):
        draw(DESIGN_ONLY, {"effects": "x"})


def test_the_flow_names_every_rule_and_what_it_left_out() -> None:
    """Persons, occasions and losses by step."""
    with _style():
        words = words_on(flow_diagram(DOSSIER))
    assert "Structured threat assessments in the extract" in words
    assert "143 occasions left out" in words
    assert words.count("persons") == words.count("occasions") == len(DOSSIER.flow)
    assert words[-1].startswith("151 after a warning")


def test_every_fact_stands_under_the_heading_of_its_tier() -> None:
    """Each tier once, the first on top, with its own facts and all of them."""
    rows = [row for _, row in _love_rows(DOSSIER.balance)]
    headings = [f"TIER {tier}" for tier in sorted({line.tier for line in DOSSIER.balance})]
    assert [row for row in rows if isinstance(row, str)] == headings
    under = ""
    for row in rows:
        under = row if isinstance(row, str) else under
        assert isinstance(row, str) or under == f"TIER {row.tier}"
    assert sum(not isinstance(row, str) for row in rows) == len(DOSSIER.balance)


def test_the_love_plot_marks_each_tier_and_its_limit() -> None:
    """Tier 1 is above tier 2, each with its own line; every fact is named."""
    with _style():
        figure = love_plot(DOSSIER)
        words = words_on(figure)
    assert words.index("TIER 1") < words.index("TIER 2")
    assert {" limit: at most 0.10", " limit: at most 0.20"} <= set(words)
    assert {line.label for line in DOSSIER.balance} <= set(words)
    shown = [collection.get_offsets() for collection in figure.axes[0].collections if len(collection.get_offsets()) > 1]
    assert [len(points) for points in shown] == [20, 20]
    assert shown[0][:, 0].max() == pytest.approx(1.12)


def test_where_only_the_difference_before_is_withheld_the_one_after_keeps_its_mark() -> None:
    """A diamond without its circle, and no word in its place."""
    half = dataclasses.replace(DOSSIER.balance[4], smd_before=None)
    dossier = dataclasses.replace(DOSSIER, balance=(*DOSSIER.balance[:4], half, *DOSSIER.balance[5:]))
    with _style():
        figure = love_plot(dossier)
        assert " withheld" not in words_on(figure)
    shown = [collection.get_offsets() for collection in figure.axes[0].collections if len(collection.get_offsets()) > 1]
    assert [len(points) for points in shown] == [19, 20]


def test_a_withheld_difference_has_its_row_and_no_mark() -> None:
    """The fact is named, in its tier, and the word stands where its marks would be."""
    hidden = dataclasses.replace(DOSSIER.balance[4], smd_before=None, smd_after=None)
    dossier = dataclasses.replace(DOSSIER, balance=(*DOSSIER.balance[:4], hidden, *DOSSIER.balance[5:]))
    with _style():
        figure = love_plot(dossier)
        words = words_on(figure)
    assert {hidden.label, " withheld"} <= set(words)
    assert words.count(" withheld") == 1
    shown = [collection.get_offsets() for collection in figure.axes[0].collections if len(collection.get_offsets()) > 1]
    assert [len(points) for points in shown] == [19, 19]
    (place,) = [text for text in figure.axes[0].texts if text.get_text() == " withheld"]
    ticks = dict(
        zip([t.get_text() for t in figure.axes[0].get_yticklabels()], figure.axes[0].get_yticks(), strict=True)
    )
    assert place.get_position() == (0, ticks[hidden.label])


def test_overlap_shows_shares_of_each_group() -> None:
    """Bars are the percentages of each group, the first choice to the left; an empty bin has no bar."""
    with _style():
        figure = overlap(DOSSIER)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    left, right = [b.treated_percent for b in DOSSIER.overlap], [b.comparison_percent for b in DOSSIER.overlap]
    assert [-100 * w for w in widths if w < 0] == pytest.approx([percent for percent in left if percent])
    assert [100 * w for w in widths if w > 0] == pytest.approx([percent for percent in right if percent])
    assert "0.70\N{EN DASH}0.95" in words_on(figure)


def test_the_effects_plot_says_where_zero_is_and_which_way_is_which() -> None:
    """No difference is marked on both panels, and zero is always inside the frame."""
    assert DOSSIER.results is not None
    with _style():
        figure = effects(DOSSIER.results, groups_of(DOSSIER))
    words = words_on(figure)
    assert words.count("no difference") == 2
    assert "more after a warning ▶" in words
    assert "◀ lower after a warning" in words
    assert all(axes.get_xlim()[0] < 0 < axes.get_xlim()[1] for axes in figure.axes)


@pytest.mark.parametrize(("mean", "filled"), [(0.0, 0), (0.004, 0), (0.314, 31), (1.0, 100)])
def test_icons_are_a_hundred_in_each_group(mean: float, filled: int) -> None:
    """Filled marks are the endings, open ones the rest."""
    changed = dataclasses.replace(DOSSIER.results.termination, mean_treated=mean)  # type: ignore[union-attr]
    results = with_results(DOSSIER, termination=changed).results
    assert results is not None
    with _style():
        figure = icon_array(results, groups_of(DOSSIER))
    sizes = [len(collection.get_offsets()) for collection in figure.axes[0].collections]
    assert sizes == [filled, 100 - filled, 22, 78]


def test_long_labels_are_cut_and_strange_ones_squared() -> None:
    """A label never runs out of its place: it is wrapped, cut, and drawn with the font at hand."""
    assert _lines("x" * 500, width=20, most=1) == "x" * 18 + " …"
    assert _lines("one two three four", width=9, most=2) == "one two\nthree …"
    assert _lines("漢 $a$", width=20, most=1) == "□ $a$"
    assert _lines("", width=20, most=1) == " "
