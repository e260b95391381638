"""Where things stand on the drawings: every mark at what it shows, and no text out of its place or over another."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from dossiers import DOSSIER, RESULTS
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from flows.report.dossier import BalanceLine, Dossier
from flows.report.figures import COMPARISON, TREATED, _style, effects, flow_diagram, icon_array, love_plot, overlap
from flows.report.numbers import count
from flows.report.sentences import groups_of

INCH, HALF = 72.0, 0.5
"""Dots of a drawing in an inch, and the inches between things that are said to be near."""
HIDDEN = dataclasses.replace(DOSSIER.balance[4], smd_before=None, smd_after=None)
NO_COLUMN = dataclasses.replace(DOSSIER.balance[5], within_limit=None, smd_before=None, smd_after=None)
PARTLY = dataclasses.replace(DOSSIER, balance=(*DOSSIER.balance[:4], HIDDEN, NO_COLUMN, *DOSSIER.balance[6:]))
DRAWINGS: dict[str, Callable[[], Figure]] = {
    "flow": lambda: flow_diagram(DOSSIER),
    "love_plot": lambda: love_plot(PARTLY),
    "overlap": lambda: overlap(DOSSIER),
    "effects": lambda: effects(RESULTS, groups_of(DOSSIER)),
    "termination": lambda: icon_array(RESULTS, groups_of(DOSSIER)),
}
on_every_drawing = pytest.mark.parametrize("name", DRAWINGS)


@cache
def drawn(name: str) -> Figure:
    """A drawing, laid out once."""
    with _style():
        figure = DRAWINGS[name]()
        figure.set_dpi(INCH)  # as the renderer of SVG has it
        figure.draw_without_rendering()
    return figure


def texts_on(figure: Figure) -> dict[Text, Bbox]:
    """Every text that is seen, and the dots it takes up."""
    ticks = [(axes, tick) for axes in figure.axes for tick in axes.xaxis.get_major_ticks()]
    outside = [
        tick.label1 for axes, tick in ticks if not min(axes.get_xlim()) <= tick.get_loc() <= max(axes.get_xlim())
    ]
    found = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in outside]
    with _style():
        return {text: Text.get_window_extent(text) for text in found}


def placed(figure: Figure) -> dict[str, list[Bbox]]:
    """Where each text stands, in inches from the upper left corner; `y1` is its lower edge."""
    height = figure.bbox.height
    found: dict[str, list[Bbox]] = {}
    for text, box in texts_on(figure).items():
        inches = Bbox([[box.x0 / INCH, (height - box.y1) / INCH], [box.x1 / INCH, (height - box.y0) / INCH]])
        found.setdefault(text.get_text(), []).append(inches)
    return found


@on_every_drawing
def test_every_text_is_on_the_page_and_none_over_another(name: str) -> None:
    """Whole, to a dot or two, and apart."""
    figure = drawn(name)
    page = figure.bbox.padded(2)
    seen = texts_on(figure)
    assert len(seen) >= 4
    assert [t.get_text() for t, box in seen.items() if not (page.contains(*box.min) and page.contains(*box.max))] == []
    pairs = itertools.combinations(seen.items(), 2)
    shrunk = ((one, other, a.padded(-1), b.padded(-1)) for (one, a), (other, b) in pairs)
    assert [(one.get_text(), other.get_text()) for one, other, a, b in shrunk if a.overlaps(b)] == []


@on_every_drawing
def test_no_drawing_is_mostly_empty(name: str) -> None:
    """What is drawn reaches near all four edges of the page."""
    figure = drawn(name)
    everything = Bbox.union([*texts_on(figure).values(), *(axes.get_tightbbox() for axes in figure.axes)])
    margins = np.abs(np.array([everything.min - figure.bbox.min, figure.bbox.max - everything.max])) / INCH
    assert margins.max() < HALF
    assert figure.get_size_inches()[0] == 6.4


# The flow


def boxes(figure: Figure) -> list[Bbox]:
    """The boxes of the flow, in inches from the top."""
    found = [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]
    return [Bbox.from_bounds(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in found]


def test_a_rule_stands_in_its_box_with_its_counts_on_one_line() -> None:
    """Each box as high as its words ask for, across the page, with persons and occasions beside the rule."""
    figure, words = drawn("flow"), placed(drawn("flow"))
    assert len(boxes(figure)) == len(DOSSIER.flow)
    for box, step, persons, occasions in zip(
        boxes(figure), DOSSIER.flow, words["persons"], words["occasions"], strict=True
    ):
        (rule,) = [places[0] for text, places in words.items() if text.replace("\n", " ") == step.rule]
        assert box.y0 < rule.y0 < rule.y1 < box.y1
        assert box.height - rule.height < 0.25
        middle = (box.y0 + box.y1) / 2
        for label, n in ((persons, step.persons), (occasions, step.occasions)):
            told = min(words[count(n)], key=lambda place: abs(place.y0 - label.y0) + abs(place.x1 - label.x0))
            assert 0 < label.x0 - told.x1 < 0.1
            assert abs((told.y0 + told.y1) / 2 - middle) < 0.06
            assert abs((label.y0 + label.y1) / 2 - middle) < 0.06
        assert box.x0 < rule.x0 < 0.3
        assert 0 < figure.bbox.width / INCH - box.x1 < 0.1
        assert persons.x1 < occasions.x0 < box.x1


def test_what_a_rule_left_out_stands_between_its_box_and_the_next() -> None:
    """Arrows point down from box to box, and beside each is the loss of the rule below; the groups come last."""
    figure, words = drawn("flow"), placed(drawn("flow"))
    arrows = [a for a in figure.axes[0].texts if isinstance(a, Annotation)]
    lost = [before.occasions - after.occasions for before, after in itertools.pairwise(DOSSIER.flow)]
    places = itertools.pairwise(boxes(figure))
    for (above, below), arrow, n in zip(places, arrows, lost, strict=True):
        (start, end) = (arrow.xyann, arrow.xy)
        assert start[0] == end[0]
        assert (start[1], end[1]) == pytest.approx((above.y1, below.y0))
        assert 0 < below.y0 - above.y1 < HALF
        (said,) = [p for p in words[f"{count(n)} occasions left out"] if above.y1 < p.y0 < p.y1 < below.y0]
        assert 0 < said.x0 - end[0] < 0.3
        assert isinstance(arrow.arrow_patch, FancyArrowPatch)
    (groups,) = [p for text, (p, *_) in words.items() if text.startswith("151 after a warning")]
    assert 0 < groups.y0 - boxes(figure)[-1].y1 < 0.3
    assert (groups.x0 + groups.x1) / 2 == pytest.approx(3.2, abs=0.02)


@pytest.mark.parametrize(("occasions", "said"), [(431, "none left out"), (432, "1 occasion left out"), (None, "")])
def test_a_loss_is_said_in_words(occasions: int | None, said: str) -> None:
    """Nobody, one, or nothing where a count is withheld."""
    before = dataclasses.replace(DOSSIER.flow[-2], occasions=occasions)
    dossier = dataclasses.replace(DOSSIER, flow=(before, DOSSIER.flow[-1]))
    with _style():
        words = [text.get_text() for text in flow_diagram(dossier).findobj(Text)]
    assert [text for text in words if text.endswith("left out")] == ([said] if said else [])


def test_groups_that_are_withheld_are_not_drawn() -> None:
    """Neither below the flow where one of the two is not told."""
    for hidden in ({"treated": None}, {"comparison": None}):
        last = dataclasses.replace(DOSSIER.flow[-1], **hidden)
        with _style():
            figure = flow_diagram(dataclasses.replace(DOSSIER, flow=(*DOSSIER.flow[:-1], last)))
        assert not [t for t in figure.findobj(Text) if groups_of(DOSSIER).treated in t.get_text()]
        assert figure.get_size_inches()[1] < drawn("flow").get_size_inches()[1]


# The love plot


def facts_at(figure: Figure) -> dict[str, float]:
    """Where each fact stands."""
    axes = figure.axes[0]
    return dict(zip([t.get_text() for t in axes.get_yticklabels()], axes.get_yticks(), strict=True))


def shown() -> list[BalanceLine]:
    """The facts with marks."""
    return [line for line in PARTLY.balance if line.smd_after is not None]


def test_marks_stand_at_their_fact_and_their_size() -> None:
    """An open circle before and a filled diamond after, joined by a line; nothing for a fact without a column."""
    figure = drawn("love_plot")
    at = facts_at(figure)
    assert set(at) == {line.label for line in PARTLY.balance if line.within_limit is not None}
    joined, before, after = figure.axes[0].collections[:3]
    for marks, sizes in ((before, "smd_before"), (after, "smd_after")):
        expected = {(abs(getattr(line, sizes)), at[line.label]) for line in shown()}
        assert {tuple(map(float, place)) for place in marks.get_offsets()} == expected
        assert not marks.get_clip_on()  # a mark at the edge is whole
    assert isinstance(joined, LineCollection)
    ends = {tuple(map(float, (*segment[:, 0], segment[0, 1]))) for segment in joined.get_segments()}
    assert ends == {(abs(line.smd_before or 0), abs(line.smd_after or 0), at[line.label]) for line in shown()}
    assert [to_hex(face) for face in before.get_facecolor()] == ["#ffffff"]
    assert to_hex(after.get_facecolor()[0]) != "#ffffff"
    assert len(before.get_paths()[0].vertices) > len(after.get_paths()[0].vertices)
    legend = figure.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["before matching", "after matching"]


def test_a_limit_runs_along_the_facts_of_its_tier() -> None:
    """Above the first to below the last of them, and along no other; its words begin where it does."""
    figure = drawn("love_plot")
    at, axes = facts_at(figure), figure.axes[0]
    limits = {0.1: 1, 0.2: 2}
    assert [line.get_xdata()[0] for line in axes.lines] == list(limits)
    for line, (limit, tier) in zip(axes.lines, limits.items(), strict=True):
        assert list(line.get_xdata()) == [limit, limit]
        top, bottom = line.get_ydata()
        inside = [y for y in at.values() if top < y < bottom]
        assert sorted(inside) == sorted(at[f.label] for f in PARTLY.balance if f.tier == tier and f.label in at)
        (words,) = [text for text in axes.texts if text.get_text() == f" limit: at most {limit:.2f}"]
        assert words.get_position() == (limit, pytest.approx(top, abs=0.1))


def test_the_axis_begins_at_nothing_and_holds_every_mark() -> None:
    """Rows from the top, a heading above each tier at the facts' side, zero at the left."""
    axes = drawn("love_plot").axes[0]
    at = facts_at(drawn("love_plot"))
    left, right = axes.get_xlim()
    assert left == 0
    assert 1.12 < right < 1.3
    bottom, top = axes.get_ylim()
    assert top < 0 < max(at.values()) < bottom
    assert bottom - top == pytest.approx(len(at) + 2, abs=1)
    headings = {text.get_text(): text for text in axes.texts if text.get_text().startswith("TIER")}
    assert headings["TIER 1"].get_position()[1] == 0
    assert headings["TIER 2"].get_position()[1] == min(y for y in range(len(at) + 2) if y and y not in at.values())
    assert all(text.get_window_extent().x1 < axes.bbox.x0 for text in headings.values())
    assert [tick.get_text() for tick in axes.get_xticklabels()][:2] == ["0", "0.2"]


# Overlap


def bars(colour: str) -> Iterator[Rectangle]:
    """The bars of a group, by the colour of their face or edge."""
    for bar in drawn("overlap").axes[0].patches:
        if isinstance(bar, Rectangle) and colour.lower() in (to_hex(bar.get_facecolor()), to_hex(bar.get_edgecolor())):
            yield bar


def test_bars_start_at_the_probabilities_and_end_at_their_percentage() -> None:
    """The first choice runs to the left, the other to the right, each beside its bin's words."""
    axes = drawn("overlap").axes[0]
    text_at = {text.get_text().strip(): text.get_position() for text in axes.texts if "%" not in text.get_text()}
    for group, colour, side in (("treated", TREATED, -1), ("comparison", COMPARISON, 1)):
        kept = [b for b in DOSSIER.overlap if getattr(b, f"{group}_percent")]
        percents = {text.get_position(): text.get_text().strip() for text in axes.texts if "%" in text.get_text()}
        starts = set()
        for b, bar in zip(kept, bars(colour), strict=True):
            low, high = sorted((bar.get_x(), bar.get_x() + bar.get_width()))
            start, end = (low, high) if side == 1 else (high, low)
            starts.add(round(start, 9))
            y = bar.get_y() + bar.get_height() / 2
            assert y == pytest.approx(text_at[f"{b.low:.2f}\N{EN DASH}{b.high:.2f}"][1])
            said = [word for (x, at), word in percents.items() if (x, at) == pytest.approx((end, y))]
            assert said == [f"{getattr(b, f'{group}_percent')}%"]
            assert 0.5 < bar.get_height() < 1
        (start,) = starts
        assert 0.05 < start * side < 0.2  # room for the words in the middle
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < -0.21 < 0.63 < right < 1.2
    assert bottom < -0.5
    assert len(DOSSIER.overlap) - 0.5 < top < len(DOSSIER.overlap) + 0.5


def test_an_empty_bin_has_its_percentage_at_the_middle() -> None:
    """Nobody: no bar, and 0% where it would begin."""
    axes = drawn("overlap").axes[0]
    zeros = [text.get_position() for text in axes.texts if text.get_text().strip() == "0%"]
    start = min(b.get_x() for b in bars(COMPARISON))
    assert len(zeros) == 2
    for x, y in zeros:
        b = DOSSIER.overlap[round(y)]
        assert x == pytest.approx(-start if b.treated_percent == 0 else start)
    heads = {text.get_text(): text.get_position()[0] for text in axes.texts}
    assert heads[groups_of(DOSSIER).treated_head] < 0 < heads[groups_of(DOSSIER).comparison_head]


# The two differences


def test_each_interval_is_drawn_to_its_ends_with_the_main_one_first() -> None:
    """In 100 for shares, in points for trust; the estimate on each, and zero marked and inside."""
    for axes, effect, unit in zip(
        drawn("effects").axes, (RESULTS.termination, RESULTS.composite), (100, 1), strict=True
    ):
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == ["by clinician (main)", "by matched set"]
        *drawn_lines, zero = axes.lines
        ends, values = drawn_lines[::2], drawn_lines[1::2]
        for y, (line, value, interval) in enumerate(zip(ends, values, effect.intervals, strict=True)):
            assert list(line.get_xdata()) == pytest.approx([unit * interval.lower, unit * interval.upper])
            assert list(line.get_ydata()) == [y, y]
            assert (list(value.get_xdata()), list(value.get_ydata())) == ([pytest.approx(unit * effect.value)], [y])
            assert to_hex(line.get_color()) == to_hex(value.get_color())
        assert ends[0].get_linewidth() > ends[1].get_linewidth()
        assert to_hex(ends[0].get_color()) != to_hex(ends[1].get_color())
        assert values[0].get_marker() != values[1].get_marker()
        assert list(zero.get_xdata()) == [0, 0]
        low, high = axes.get_xlim()
        assert low == -high
        furthest = unit * max(abs(effect.lower), abs(effect.upper))
        assert 1.1 * furthest < high < 1.2 * furthest
        bottom, top = axes.get_ylim()
        assert (top < 0, 1 < bottom < 2) == (True, True)


def test_the_main_interval_is_on_top_wherever_it_stands_in_the_list() -> None:
    """The order of the numbers' file does not decide which is drawn large."""
    turned = dataclasses.replace(RESULTS.termination, intervals=RESULTS.termination.intervals[::-1])
    with _style():
        figure = effects(dataclasses.replace(RESULTS, termination=turned), groups_of(DOSSIER))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["by clinician (main)", "by matched set"]


def test_each_panel_has_its_title_above_and_its_sides_below() -> None:
    """What more and fewer mean stands under the axis, at its ends, and "no difference" over zero."""
    figure, words = drawn("effects"), placed(drawn("effects"))
    titles = (
        "Ended treatment within 90 days: more or fewer in 100",
        "Trust at day 90, leaving counted as lowest: points",
    )
    sides = (
        ("◀ fewer after a warning", "more after a warning ▶"),
        ("◀ lower after a warning", "higher after a warning ▶"),
    )
    height = figure.bbox.height / INCH
    for axes, title, (low, high), zero in zip(figure.axes, titles, sides, words["no difference"], strict=True):
        frame = axes.bbox
        top, bottom = height - frame.y1 / INCH, height - frame.y0 / INCH
        (head,), (left,), (right,) = words[title], words[low], words[high]
        assert 0 < top - head.y1 < HALF
        assert head.x0 < 0.2
        assert 0 < left.y0 - bottom < HALF
        assert left.y0 == pytest.approx(right.y0, abs=0.02)
        assert (left.x0, right.x1) == pytest.approx((frame.x0 / INCH, frame.x1 / INCH), abs=0.03)
        assert 0 <= top - zero.y1 < 0.1
        assert (zero.x0 + zero.x1) / 2 == pytest.approx((frame.x0 + frame.x1) / 2 / INCH, abs=0.02)
        assert bottom - top > 0.4


# A hundred in each group


def test_a_hundred_marks_stand_in_ten_rows_of_ten_below_their_heading() -> None:
    """No mark on another, those who ended first, each group under its own words."""
    figure, words = drawn("termination"), placed(drawn("termination"))
    marks = [collection.get_offsets() for collection in figure.axes[0].collections]
    filled = [to_hex(c.get_facecolor()[0]) for c in figure.axes[0].collections]
    assert filled == [TREATED.lower(), "#ffffff", COMPARISON.lower(), "#ffffff"]
    groups, heads = (np.vstack(marks[:2]), np.vstack(marks[2:])), ("After a warning", "Without a warning")
    for places, head, number, ended in zip(groups, heads, (31, 22), (marks[0], marks[2]), strict=True):
        assert [len(np.unique(places[:, k].round(6))) for k in (0, 1)] == [10, 10]
        steps = [np.diff(np.unique(places[:, k].round(6))) for k in (0, 1)]
        assert all(0.15 < step.min() <= step.max() < 0.3 for step in steps)
        assert len(ended) == number
        assert [tuple(place) for place in ended] == sorted(map(tuple, places), key=lambda xy: xy[::-1])[:number]
        (title,), (said,) = words[head], words[f"About {number} of 100 ended treatment"]
        assert title.x0 < places[0, 0] < title.x0 + 0.2
        assert title.y1 < said.y0 < said.y1 < places[:, 1].min() < said.y1 + 0.3
        assert said.x0 == pytest.approx(title.x0, abs=0.02)
    width, height = figure.get_size_inches()
    assert groups[0][:, 0].max() + 0.5 < groups[1][:, 0].min()
    assert groups[1][:, 0].max() < width - 0.1
    assert height - 0.3 < groups[0][:, 1].max() < height - 0.05


# The canvas


@pytest.mark.parametrize("name", ["love_plot", "effects"])
def test_an_axis_has_a_foot_and_a_grid_below_its_marks(name: str) -> None:
    """No frame round it, a line for each number, and a minus that is one."""
    for axes in drawn(name).axes:
        assert [side for side, spine in axes.spines.items() if spine.get_visible()] == ["bottom"]
        assert axes.get_axisbelow() is True
        assert all(tick.gridline.get_visible() for tick in axes.xaxis.get_major_ticks())
        assert not any(tick.gridline.get_visible() for tick in axes.yaxis.get_major_ticks())
        assert not [label for label in axes.get_xticklabels() if "-" in label.get_text()]
    assert name != "effects" or "\N{MINUS SIGN}10" in [t.get_text() for t in drawn(name).axes[0].get_xticklabels()]


def test_drawings_do_not_take_after_the_machine(monkeypatch: Any) -> None:
    """Whatever is set elsewhere, a drawing uses its own style."""
    import matplotlib as mpl

    monkeypatch.setitem(mpl.rcParams, "text.color", "red")
    monkeypatch.setitem(mpl.rcParams, "axes.facecolor", "black")
    monkeypatch.setitem(mpl.rcParams, "font.family", ["serif"])
    with _style():
        figure = overlap(DOSSIER)
        assert mpl.rcParams["text.parse_math"] is False
    assert {t.get_color() for t in figure.axes[0].texts} == {"#1f2328", "#57606a"}
    assert {t.get_fontname() for t in figure.axes[0].texts} == {"DejaVu Sans"}
    assert to_hex(figure.axes[0].get_facecolor()) == "#ffffff"


def test_a_dossier_where_nobody_overlaps_is_drawn() -> None:
    """Every bin empty: percentages of nothing, and no bar."""
    empty: Dossier = dataclasses.replace(
        DOSSIER,
        overlap=tuple(dataclasses.replace(b, treated_percent=0, comparison_percent=0) for b in DOSSIER.overlap),
    )
    with _style():
        figure = overlap(empty)
    assert not figure.axes[0].patches
    assert [t.get_text().strip() for t in figure.axes[0].texts].count("0%") == 2 * len(empty.overlap)
