"""The drawings, as SVG: the same dossier gives the same bytes, offline, with every letter drawn as a path.

Colours are Okabe and Ito's, and never the only difference: groups also differ in mark, fill or side. Text drawn from a
study file is never read as mathematics or markup. Each function takes a dossier that has been through
`document.printable`.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from flows.report.dossier import BalanceLine, Dossier, EffectLine, Results
from flows.report.numbers import MINUS, WITHHELD, capitalised, count, counted, fixed, hundreds, percent
from flows.report.sentences import Groups, groups_of, is_share
from flows.report.tables import by_tier
from validation.disclosure import FlowStep

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TREATED, COMPARISON, PALE = "#D55E00", "#0072B2", "#cfe3f1"
BEFORE, AFTER = "#B35900", "#0072B2"
INK, QUIET, FRAME, FAINT, WASH = "#1f2328", "#57606a", "#9aa3ab", "#d5d9dd", "#f5f7f9"
WIDTH = 6.4
"""Width of every drawing, inches."""
DASH = "\N{EN DASH}"
MISSING = "\N{WHITE SQUARE}"


def draw(dossier: Dossier, alts: Mapping[str, str]) -> dict[str, bytes]:
    """Every figure named in `alts` as a standalone SVG that carries its alternative text.

    Names are flow, love_plot, overlap and, once outcomes were opened, effects and termination.
    """
    groups, results = groups_of(dossier), dossier.results
    drawings: dict[str, bytes] = {}
    with _style():
        for name, alt in alts.items():
            if name == "flow":
                figure = flow_diagram(dossier)
            elif name == "love_plot":
                figure = love_plot(dossier)
            elif name == "overlap":
                figure = overlap(dossier)
            elif name == "effects" and results is not None:
                figure = effects(results, groups)
            elif name == "termination" and results is not None:
                figure = icon_array(results, groups)
            else:
                raise ValueError(f"no figure {name!r} can be drawn from this dossier")
            drawings[name] = _svg(figure, name, alt)
    return drawings


# Flow of persons and occasions


def flow_diagram(dossier: Dossier) -> Figure:
    """A box per rule with who remains; between boxes, how many occasions were left out."""
    rules = [_lines(step.rule, width=58, most=4) for step in dossier.flow]
    heights = [0.16 + 0.16 * (rule.count("\n") + 1) for rule in rules]
    gap, foot = 0.27, 0.36 if _assigned(dossier.flow[-1]) else 0.05
    figure, axes = _page(height=sum(heights) + gap * (len(heights) - 1) + foot + 0.05)
    top = 0.03
    for place, (step, rule, height) in enumerate(zip(dossier.flow, rules, heights, strict=True)):
        _flow_box(axes, step, rule, top, height)
        if place + 1 < len(heights):
            _flow_arrow(axes, top + height, gap, _left_out(step, dossier.flow[place + 1]))
        top += height + gap
    if _assigned(dossier.flow[-1]):
        _flow_groups(axes, dossier.flow[-1], groups_of(dossier), top - gap)
    return figure


def _flow_box(axes: Axes, step: FlowStep, rule: str, top: float, height: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.04"
    axes.add_patch(
        FancyBboxPatch(
            (0.02, top), WIDTH - 0.04, height, boxstyle=style, facecolor=WASH, edgecolor=FRAME, linewidth=0.8
        )
    )
    middle = top + height / 2
    axes.text(0.15, middle, rule, va="center", ha="left", fontsize=8.2, linespacing=1.25)
    for x, label, n in ((4.78, "persons", step.persons), (5.68, "occasions", step.occasions)):
        axes.text(x, middle, count(n), va="center_baseline", ha="right", fontsize=8.8, weight="bold")
        axes.text(x + 0.05, middle, label, va="center_baseline", ha="left", fontsize=7.2, color=QUIET)


def _flow_arrow(axes: Axes, top: float, gap: float, left_out: int | None) -> None:
    arrow = {"arrowstyle": "-|>", "color": QUIET, "lw": 0.9, "shrinkA": 1, "shrinkB": 1}
    axes.annotate("", xy=(0.4, top + gap), xytext=(0.4, top), arrowprops=arrow)
    if left_out is not None:
        text = f"{counted(left_out, 'occasion', 'occasions')} left out" if left_out else "none left out"
        axes.text(0.55, top + gap / 2, text, va="center", ha="left", fontsize=7.5, color=QUIET)


def _flow_groups(axes: Axes, step: FlowStep, groups: Groups, top: float) -> None:
    text = f"{count(step.treated)} {groups.treated}   ·   {count(step.comparison)} {groups.comparison}"
    axes.text(WIDTH / 2, top + 0.2, _lines(text, width=78, most=2), va="center", ha="center", fontsize=9, weight="bold")


def _assigned(step: FlowStep) -> bool:
    return step.treated is not None and step.comparison is not None


def _left_out(step: FlowStep, following: FlowStep) -> int | None:
    if step.occasions is None or following.occasions is None:
        return None
    return step.occasions - following.occasions


# Love plot


def love_plot(dossier: Dossier) -> Figure:
    """|SMD| before (open circle) and after (filled diamond) adjustment; tier 1 first, a line at each tier's limit."""
    lines = by_tier(tuple(line for line in dossier.balance if line.within_limit is not None))
    rows = _love_rows(lines)
    marked = [(y, row) for y, row in rows if isinstance(row, BalanceLine)]
    labels = [_lines(line.label, width=42, most=1) for _, line in marked]
    left = 0.4 + 0.058 * max(len(label) for label in labels)
    figure, axes = _plot(height=0.19 * len(rows) + 0.95, left=left, right=0.12, top=0.3, bottom=0.48)
    _love_marks(axes, marked, dossier.adjustment)
    axes.set_yticks([y for y, _ in marked], labels, fontsize=7.5)
    for y, heading in rows:
        if isinstance(heading, str):
            across = axes.get_yaxis_transform()
            axes.text(
                -0.015, y, heading, transform=across, ha="right", va="center", fontsize=7.2, weight="bold", color=QUIET
            )
    for tier in sorted({line.tier for line in lines}):
        _love_limit(axes, [(y, line) for y, line in marked if line.tier == tier])
    _plain_axis(axes)
    axes.set_ylim(len(rows) - 0.3, -0.6)
    axes.set_xlim(left=0)
    axes.set_xlabel("Standardised difference, without its sign", fontsize=8)
    axes.legend(
        loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, fontsize=8, handletextpad=0.3, borderaxespad=0
    )
    return figure


def _love_rows(lines: Sequence[BalanceLine]) -> list[tuple[int, BalanceLine | str]]:
    """Facts and tier headings, with their place from the top."""
    rows: list[BalanceLine | str] = []
    for tier in sorted({line.tier for line in lines}):
        rows += [f"TIER {tier}", *(line for line in lines if line.tier == tier)]
    return list(enumerate(rows))


def _love_marks(axes: Axes, rows: Sequence[tuple[int, BalanceLine]], adjustment: str) -> None:
    both = [
        (place, abs(line.smd_before), abs(line.smd_after))
        for place, line in rows
        if line.smd_before is not None and line.smd_after is not None
    ]
    y, before, after = ([row[column] for row in both] for column in range(3))
    told = {place: abs(line.smd_after) for place, line in rows if line.smd_after is not None}
    for place in sorted({place for place, _ in rows} - told.keys()):
        blank = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.text(0, place, f" {WITHHELD}", fontsize=7, va="center", ha="left", color=QUIET, bbox=blank, zorder=3)
    axes.hlines(y, before, after, color=FAINT, lw=1.4, zorder=1)
    axes.scatter(before, y, s=26, fc="white", ec=BEFORE, lw=1.3, label=f"before {adjustment}", zorder=3, clip_on=False)
    axes.scatter(
        [*told.values()], [*told], s=26, marker="D", color=AFTER, label=f"after {adjustment}", zorder=4, clip_on=False
    )


def _love_limit(axes: Axes, rows: Sequence[tuple[int, BalanceLine]]) -> None:
    top, bottom = rows[0][0] - 0.6, rows[-1][0] + 0.45
    for limit in sorted({line.limit for _, line in rows}):
        axes.plot([limit, limit], [top, bottom], color=INK, lw=1, ls=(0, (4, 2)), zorder=2)
        axes.text(limit, top + 0.02, f" limit: at most {fixed(limit)}", fontsize=7, ha="left", va="bottom")


# Overlap


def overlap(dossier: Dossier) -> Figure:
    """Back-to-back bars: the share of each group in each bin of estimated probability; bins may differ in width."""
    groups = groups_of(dossier)
    left = [b.treated_percent / 100 for b in dossier.overlap]
    right = [b.comparison_percent / 100 for b in dossier.overlap]
    reach_left, reach_right = max(0.01, *left), max(0.01, *right)
    # The middle holds the probabilities; as much again at each end holds the percentages.
    middle = 0.1 * (reach_left + reach_right)
    figure, axes = _plot(height=0.25 * len(left) + 0.62, left=0.05, right=0.05, top=0.28, bottom=0.3)
    for y, (b, share_left, share_right) in enumerate(zip(dossier.overlap, left, right, strict=True)):
        axes.text(0, y, f"{b.low:.2f}{DASH}{b.high:.2f}", ha="center", va="center", fontsize=8)
        if share_left:
            axes.barh(y, -share_left, left=-middle, height=0.74, color=TREATED, lw=0)
        if share_right:
            axes.barh(y, share_right, left=middle, height=0.74, color=PALE, edgecolor=COMPARISON, hatch="////", lw=0.8)
        axes.text(-middle - share_left, y, f"{percent(share_left)} ", ha="right", va="center", fontsize=8)
        axes.text(middle + share_right, y, f" {percent(share_right)}", ha="left", va="center", fontsize=8)
    axes.set_xlim(-reach_left - 2 * middle, reach_right + 2 * middle)
    axes.set_ylim(-0.6, len(left) - 0.4)
    axes.set_axis_off()
    for x, ha, name in ((-middle, "right", groups.treated_head), (middle, "left", groups.comparison_head)):
        axes.text(x, len(left) - 0.35, _lines(name, width=32, most=1), ha=ha, va="bottom", fontsize=9, weight="bold")
    axes.text(0, -0.7, "estimated probability of the first choice", ha="center", va="top", fontsize=8, color=QUIET)
    return figure


# The two headline differences


def effects(results: Results, groups: Groups) -> Figure:
    """Each headline difference that has a number, with every interval; the main one is large, zero is marked."""
    titled = (
        (results.termination, f"Ended treatment within {results.day} days: more or fewer in 100"),
        (
            results.composite,
            f"{capitalised(groups.words.outcome)} at day {results.day}, leaving counted as lowest: points",
        ),
    )
    drawn = [(line, title) for line, title in titled if isinstance(line, EffectLine)]
    lines, titles = zip(*drawn, strict=True)
    heights = [0.26 * max(1, len(line.intervals)) + 1.05 for line in lines]
    figure = _figure(sum(heights))
    top = 0.0
    for line, title, height in zip(lines, titles, heights, strict=True):
        below = sum(heights) - top - height
        axes = _axes(figure, left=1.6, right=0.15, top=top + 0.42, bottom=below + 0.62)
        figure.text(0.012, 1 - (top + 0.06) / sum(heights), title, fontsize=9, weight="bold", va="top")
        _effect_panel(axes, line, groups)
        top += height
    return figure


def _effect_panel(axes: Axes, effect: EffectLine, groups: Groups) -> None:
    unit = 100.0 if is_share(effect) else 1.0
    intervals = sorted(effect.intervals, key=lambda line: not line.primary)
    for y, line in enumerate(intervals):
        colour, width = (TREATED, 2.6) if line.primary else (QUIET, 1.2)
        ends = [unit * line.lower, unit * line.upper]
        axes.plot(ends, [y, y], color=colour, lw=width, solid_capstyle="butt", zorder=2)
        axes.plot([unit * effect.value], [y], marker="s" if line.primary else "|", ms=7, color=colour, zorder=3)
    names = [f"by {line.clustered_by}{' (main)' if line.primary else ''}" for line in intervals]
    axes.set_yticks(range(len(names)), [_lines(name, width=24, most=1) for name in names], fontsize=8)
    bounds = [effect.lower, effect.upper, *(x for line in intervals for x in (line.lower, line.upper))]
    reach = 1.15 * unit * max(1e-3, *(abs(x) for x in bounds))
    axes.set_xlim(-reach, reach)
    axes.set_ylim(max(1, len(names)) - 0.5, -0.6)
    axes.axvline(0, color=INK, lw=1)
    _plain_axis(axes)
    _effect_words(axes, effect, groups)


def _effect_words(axes: Axes, effect: EffectLine, groups: Groups) -> None:
    """What zero means, and what lies to either side of it."""
    axes.text(0, 1.03, "no difference", transform=axes.get_xaxis_transform(), ha="center", va="bottom", fontsize=7.2)
    low, high = ("fewer", "more") if is_share(effect) else ("lower", "higher")
    _annotate_below(axes, 0, "left", f"◀ {low} {groups.treated}")
    _annotate_below(axes, 1, "right", f"{high} {groups.treated} ▶")


def _annotate_below(axes: Axes, x: float, ha: str, words: str) -> None:
    axes.annotate(
        _lines(words, width=34, most=1),
        xy=(x, 0),
        xytext=(0, -20),
        xycoords="axes fraction",
        textcoords="offset points",
        ha=ha,
        va="top",
        fontsize=8,
        color=QUIET,
    )


# Natural frequencies


def icon_array(results: Results, groups: Groups) -> Figure:
    """A hundred cases in each group; a filled mark ended treatment."""
    means = (results.termination.mean_treated or 0.0, results.termination.mean_comparison or 0.0)
    heads, numbers = (groups.treated_head, groups.comparison_head), hundreds(*means)
    figure, axes = _page(height=2.65)
    for left, mean, head, number, colour in zip((0.12, 3.4), means, heads, numbers, (TREATED, COMPARISON), strict=True):
        axes.text(left - 0.1, 0.12, _lines(head, width=32, most=1), fontsize=9.5, weight="bold", va="center")
        text = capitalised(f"about {number} of 100 ended treatment")
        axes.text(left - 0.1, 0.36, text, fontsize=8.5, va="center")
        _hundred(axes, left, round(100 * mean), colour)
    return figure


def _hundred(axes: Axes, left: float, ended: int, colour: str) -> None:
    x = [left + 0.235 * (place % 10) for place in range(100)]
    y = [0.66 + 0.205 * (place // 10) for place in range(100)]
    axes.scatter(x[:ended], y[:ended], s=62, marker="o", color=colour, lw=0)
    axes.scatter(x[ended:], y[ended:], s=44, marker="o", fc="white", ec=FRAME, lw=0.9)


# Canvas, text and bytes


def _figure(height: float) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasSVG(figure)
    return figure


def _axes(figure: Figure, *, left: float, right: float, top: float, bottom: float) -> Axes:
    """Axes with margins in inches."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def _plot(*, height: float, left: float, right: float, top: float, bottom: float) -> tuple[Figure, Axes]:
    figure = _figure(height)
    return figure, _axes(figure, left=left, right=right, top=top, bottom=bottom)


def _page(*, height: float) -> tuple[Figure, Axes]:
    """Axes over the whole drawing, measured in inches from the upper left corner."""
    figure, axes = _plot(height=height, left=0, right=0, top=0, bottom=0)
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    return figure, axes


def _plain_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter

    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(FRAME)
    axes.tick_params(axis="y", length=0, pad=7)
    axes.tick_params(axis="x", labelsize=8, color=FRAME)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", MINUS)))
    axes.grid(axis="x", color="#eceff1", lw=0.8)
    axes.set_axisbelow(True)


def _style() -> Any:
    """The library's own defaults, whatever the machine's are, with ours on top."""
    from matplotlib import style

    ours = {
        "svg.fonttype": "path",
        "svg.hashsalt": "report",
        "text.parse_math": False,
        "text.color": INK,
        "font.family": "DejaVu Sans",
        "hatch.linewidth": 0.6,
    }
    return style.context(["default", ours])


@cache
def _glyphs() -> frozenset[int]:
    """Characters the drawing font has."""
    from matplotlib import font_manager, ft2font

    return frozenset(ft2font.FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())


def _lines(text: str, *, width: int, most: int) -> str:
    """Text in at most `most` lines of `width` characters, cut with "…"; what the font lacks becomes a square."""
    drawn = "".join(character if ord(character) in _glyphs() else MISSING for character in text)
    lines = textwrap.wrap(drawn.strip(), width=width)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1][: width - 2].rstrip()} …"]
    return "\n".join(lines) or " "


def _svg(figure: Figure, name: str, alt: str) -> bytes:
    """Bytes without a date, comments, style sheet or stray names; what is referred to is named after the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue().decode("utf-8")
    text = re.sub(r"<!--.*?-->|<!DOCTYPE[^>]*>|<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)
    used = set(re.findall(r"""(?:url\(|href=")#([^")]+)""", text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r"""(url\(|href=")#""", rf"\1#{name}-", text)
    head, body = text.split("<svg ", 1)
    tag, rest = body.split(">", 1)
    label = escape(alt, {'"': "&quot;"})
    opening = f'<svg role="img" aria-label="{label}" stroke-linejoin="round" stroke-linecap="butt" {tag}>'
    # `escape` leaves no bare angle bracket in the title, so only the space between elements goes.
    return (head.strip() + "\n" + re.sub(r">\s+<", "><", f"{opening}<title>{escape(alt)}</title>{rest}")).encode()
