"""The drawings, as SVG: the same dossier gives the same bytes, offline, with every letter drawn as a path.

Colours are Okabe and Ito's, and never the only difference: groups also differ in mark, fill or side. Text drawn from a
study file is never read as mathematics or markup. Each function takes a dossier that `document.printable` has been over.
"""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from flows.report.dossier import BalanceLine, Count, Dossier, EffectLine, FlowStep, Results
from flows.report.numbers import MINUS, count, counted, fixed, percent
from flows.report.sentences import Groups, groups_of, is_share
from flows.report.tables import by_tier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TREATED, COMPARISON = "#D55E00", "#0072B2"
BEFORE, AFTER = "#B35900", "#0072B2"
INK, QUIET, FAINT = "#1f2328", "#5b6168", "#d5d9dd"
WIDTH = 6.4
"""Width of every drawing, inches."""
MISSING = "\N{WHITE SQUARE}"


def draw(dossier: Dossier, alts: Mapping[str, str]) -> dict[str, bytes]:
    """Every figure named in `alts`, as a standalone SVG carrying its alternative text as title."""
    figures: dict[str, Figure] = {}
    with _style():
        figures["flow"] = flow_diagram(dossier)
        figures["love_plot"] = love_plot(dossier)
        figures["overlap"] = overlap(dossier)
        if dossier.results is not None:
            figures["effects"] = effects(dossier.results, groups_of(dossier))
            figures["termination"] = icon_array(dossier.results, groups_of(dossier))
        return {name: _svg(figures[name], name, alt) for name, alt in alts.items()}


# Flow of persons and occasions


def flow_diagram(dossier: Dossier) -> Figure:
    """A box per rule with who remains; between boxes, how many occasions were left out."""
    rules = [_wrap(step.rule, width=40, lines=4) for step in dossier.flow]
    heights = [0.2 + 0.165 * max(2, rule.count("\n") + 1) for rule in rules]
    gap = 0.3
    total = sum(heights) + gap * (len(heights) - 1) + (0.42 if _assigned(dossier.flow[-1]) else 0.05)
    figure, axes = _canvas(height=total + 0.1)
    top = 0.05
    for place, (step, rule, height) in enumerate(zip(dossier.flow, rules, heights, strict=True)):
        _flow_box(axes, step, rule, top, height)
        if place + 1 < len(heights):
            _flow_arrow(axes, top + height, gap, _left_out(step, dossier.flow[place + 1]))
        top += height + gap
    if _assigned(dossier.flow[-1]):
        _flow_groups(axes, dossier.flow[-1], groups_of(dossier), top - gap)
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(total + 0.1, 0)
    return figure


def _flow_box(axes: Axes, step: FlowStep, rule: str, top: float, height: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    style = "round,pad=0,rounding_size=0.05"
    axes.add_patch(FancyBboxPatch((0.05, top), WIDTH - 0.1, height, boxstyle=style, fc="#f5f7f9", ec="#9aa3ab", lw=0.8))
    middle = top + height / 2
    axes.text(0.2, middle, _drawn(rule), va="center", ha="left", fontsize=8.5, color=INK, linespacing=1.25)
    for x, label, n in ((4.95, "persons", step.persons), (6.15, "occasions", step.occasions)):
        axes.text(x, middle + 0.02, count(n), va="bottom", ha="right", fontsize=9.5, weight="bold", color=INK)
        axes.text(x, middle + 0.04, label, va="top", ha="right", fontsize=7, color=QUIET)


def _flow_arrow(axes: Axes, top: float, gap: float, left_out: int | None) -> None:
    arrow = {"arrowstyle": "-|>", "color": QUIET, "lw": 0.9, "shrinkA": 1, "shrinkB": 1}
    axes.annotate("", xy=(0.5, top + gap), xytext=(0.5, top), arrowprops=arrow)
    if left_out:
        text = f"{counted(left_out, 'occasion', 'occasions')} left out"
        axes.text(0.68, top + gap / 2, text, va="center", ha="left", fontsize=7.5, color=QUIET)


def _flow_groups(axes: Axes, step: FlowStep, groups: Groups, top: float) -> None:
    text = f"{count(step.treated)} {groups.treated}   ·   {count(step.comparison)} {groups.comparison}"
    axes.text(
        WIDTH / 2,
        top + 0.23,
        _drawn(_wrap(text, width=80, lines=2)),
        va="center",
        ha="center",
        fontsize=9,
        weight="bold",
    )


def _assigned(step: FlowStep) -> bool:
    return step.treated is not None and step.comparison is not None


def _left_out(step: FlowStep, following: FlowStep) -> Count:
    if step.occasions is None or following.occasions is None:
        return None
    return step.occasions - following.occasions


# Love plot


def love_plot(dossier: Dossier) -> Figure:
    """|SMD| before (open circle) and after (filled diamond) matching; tier 1 first, a line at each tier's limit."""
    lines = by_tier(dossier.balance)
    tiers = sorted({line.tier for line in lines})
    rows = _love_rows(lines, tiers)
    height = 0.2 * (len(rows) + 1) + 1.0
    figure, axes = _canvas(height=height, left=2.55, right=0.15, top=0.42, bottom=0.5)
    _love_marks(axes, [(y, line) for y, line in rows if isinstance(line, BalanceLine)])
    for y, line in rows:
        if not isinstance(line, BalanceLine):
            axes.text(
                -0.02,
                y,
                line,
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                fontsize=7.5,
                weight="bold",
            )
    for tier in tiers:
        _love_limit(axes, [(y, line) for y, line in rows if isinstance(line, BalanceLine) and line.tier == tier])
    _plain_axis(axes)
    axes.set_ylim(len(rows) - 0.3, -0.7)
    axes.set_xlim(left=0)
    axes.set_xlabel("Standardised difference, without its sign", fontsize=8)
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1.0),
        ncols=2,
        frameon=False,
        fontsize=8,
        handletextpad=0.3,
        borderaxespad=0.2,
    )
    return figure


def _love_rows(lines: Sequence[BalanceLine], tiers: Sequence[int]) -> list[tuple[int, BalanceLine | str]]:
    rows: list[BalanceLine | str] = []
    for tier in tiers:
        rows += [f"TIER {tier}", *(line for line in lines if line.tier == tier)]
    return list(enumerate(rows))


def _love_marks(axes: Axes, rows: Sequence[tuple[int, BalanceLine]]) -> None:
    y = [place for place, _ in rows]
    before = [abs(line.smd_before) for _, line in rows]
    after = [abs(line.smd_after) for _, line in rows]
    axes.hlines(y, before, after, color=FAINT, lw=1.4, zorder=1)
    axes.scatter(
        before, y, s=26, facecolors="white", edgecolors=BEFORE, linewidths=1.3, label="before matching", zorder=3
    )
    axes.scatter(after, y, s=26, marker="D", color=AFTER, label="after matching", zorder=4)
    axes.set_yticks(y, [_drawn(_wrap(line.label, width=34, lines=1)) for _, line in rows], fontsize=7.5)


def _love_limit(axes: Axes, rows: Sequence[tuple[int, BalanceLine]]) -> None:
    top, bottom = rows[0][0] - 0.6, rows[-1][0] + 0.45
    for limit in sorted({line.limit for _, line in rows}):
        axes.plot([limit, limit], [top, bottom], color=INK, lw=1, ls=(0, (4, 2)), zorder=2)
        axes.text(limit, top + 0.02, f" limit {fixed(limit)}", fontsize=7, color=INK, ha="left", va="bottom")


# Overlap


def overlap(dossier: Dossier) -> Figure:
    """Back-to-back bars: the share of each group in each bin of estimated probability; bins may differ in width."""
    groups = groups_of(dossier)
    treated = [b.treated for b in dossier.overlap]
    comparison = [b.comparison for b in dossier.overlap]
    left = [n / (sum(treated) or 1) for n in treated]
    right = [n / (sum(comparison) or 1) for n in comparison]
    figure, axes = _canvas(height=0.27 * len(left) + 0.95, left=0.2, right=0.2, top=0.45, bottom=0.4)
    middle, reach = 0.22 * max([*left, *right, 0.01]), 1.5 * max([*left, *right, 0.01])
    for y, (b, share_left, share_right) in enumerate(zip(dossier.overlap, left, right, strict=True)):
        axes.barh(y, -share_left, left=-middle, height=0.74, color=TREATED)
        axes.barh(y, share_right, left=middle, height=0.74, color="#cfe3f1", edgecolor=COMPARISON, hatch="////", lw=0.8)
        axes.text(0, y, f"{b.low:.2f}–{b.high:.2f}", ha="center", va="center", fontsize=8, color=INK)
        axes.text(-middle - share_left, y, f"{percent(share_left)} ", ha="right", va="center", fontsize=8, color=INK)
        axes.text(middle + share_right, y, f" {percent(share_right)}", ha="left", va="center", fontsize=8, color=INK)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-0.6, len(left) - 0.4)
    axes.set_axis_off()
    for x, ha, name in ((-middle, "right", groups.treated_head), (middle, "left", groups.comparison_head)):
        axes.text(
            x, len(left) - 0.35, _drawn(_wrap(name, width=34, lines=1)), ha=ha, va="bottom", fontsize=9, weight="bold"
        )
    axes.text(0, -0.75, "estimated probability of the first choice", ha="center", va="top", fontsize=8, color=QUIET)
    return figure


# The two headline differences


def effects(results: Results, groups: Groups) -> Figure:
    """Each headline difference with every interval; the main one is large, zero is marked."""
    lines = (results.termination, results.composite)
    rows = [max(1, len(line.intervals)) for line in lines]
    heights = [0.28 * n + 1.05 for n in rows]
    total = sum(heights)
    figure = _figure(total)
    top = 0.0
    for line, height in zip(lines, heights, strict=True):
        axes = _axes(figure, left=1.75, right=0.3, top=top + 0.5, bottom=total - top - height + 0.55)
        _effect_panel(axes, line, results.day, groups)
        top += height
    return figure


def _effect_panel(axes: Axes, effect: EffectLine, day: int, groups: Groups) -> None:
    share = effect.scale == "risk difference"
    unit = 100.0 if share else 1.0
    intervals = sorted(effect.intervals, key=lambda line: not line.primary)
    for y, line in enumerate(intervals):
        colour, width = (TREATED, 2.6) if line.primary else (QUIET, 1.2)
        axes.plot(
            [unit * line.lower, unit * line.upper], [y, y], color=colour, lw=width, solid_capstyle="butt", zorder=2
        )
        axes.plot([unit * effect.value], [y], marker="s" if line.primary else "|", ms=7, color=colour, zorder=3)
    names = [f"by {line.clustered_by}{' (main)' if line.primary else ''}" for line in intervals]
    axes.set_yticks(range(len(names)), [_drawn(_wrap(name, width=24, lines=1)) for name in names], fontsize=8)
    axes.axvline(0, color=INK, lw=1)
    reach = 1.15 * max(abs(unit * x) for line in intervals for x in (line.lower, line.upper, 1e-9))
    axes.set_xlim(-reach, reach)
    axes.set_ylim(len(names) - 0.5, -0.6)
    _plain_axis(axes)
    title = (
        f"Ended treatment within {day} days: more or fewer in 100"
        if share
        else f"Trust at day {day}, leaving counted as lowest: points"
    )
    axes.set_title(_drawn(title), loc="left", fontsize=9, weight="bold", pad=14, x=-0.36)
    axes.text(0, -0.66, "no difference", ha="center", va="bottom", fontsize=7.5, color=INK)
    low, high = ("fewer", "more") if share else ("lower", "higher")
    axes.set_xlabel(_drawn(_wrap(f"◀ {low}  {groups.treated}  {high} ▶", width=60, lines=1)), fontsize=8, color=QUIET)


# Natural frequencies


def icon_array(results: Results, groups: Groups) -> Figure:
    """A hundred patients in each group; a filled mark ended treatment."""
    effect = results.termination
    figure, axes = _canvas(height=2.75)
    for start, mean, name, colour in (
        (0.35, effect.mean_treated, groups.treated_head, TREATED),
        (3.65, effect.mean_comparison, groups.comparison_head, COMPARISON),
    ):
        _hundred(axes, start, round(100 * mean), colour)
        axes.text(
            start - 0.08,
            0.14,
            _drawn(_wrap(name, width=32, lines=1)),
            fontsize=9.5,
            weight="bold",
            color=INK,
            va="center",
        )
        axes.text(
            start - 0.08, 0.4, f"about {100 * mean:.0f} of 100 ended treatment", fontsize=8.5, color=INK, va="center"
        )
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(2.75, 0)
    return figure


def _hundred(axes: Axes, left: float, ended: int, colour: str) -> None:
    step = 0.235
    x = [left + step * (place % 10) for place in range(100)]
    y = [0.68 + 0.205 * (place // 10) for place in range(100)]
    axes.scatter(x[:ended], y[:ended], s=62, marker="o", color=colour, linewidths=0)
    axes.scatter(x[ended:], y[ended:], s=44, marker="o", facecolors="white", edgecolors="#9aa3ab", linewidths=0.9)


# Canvas, text and bytes


def _figure(height: float) -> Figure:
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasSVG(figure)
    return figure


def _axes(figure: Figure, *, left: float = 0.0, right: float = 0.0, top: float = 0.0, bottom: float = 0.0) -> Axes:
    """Axes with margins in inches."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, bottom / height, 1 - (left + right) / width, 1 - (top + bottom) / height))


def _canvas(
    *, height: float, left: float = 0.0, right: float = 0.0, top: float = 0.0, bottom: float = 0.0
) -> tuple[Figure, Axes]:
    figure = _figure(height)
    axes = _axes(figure, left=left, right=right, top=top, bottom=bottom)
    if (left, right, top, bottom) == (0.0, 0.0, 0.0, 0.0):
        axes.set_axis_off()
    return figure, axes


def _plain_axis(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter

    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#9aa3ab")
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelsize=8, color="#9aa3ab")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}".replace("-", MINUS)))
    axes.grid(axis="x", color="#eceff1", lw=0.8)
    axes.set_axisbelow(True)


def _style() -> Any:
    import matplotlib
    from matplotlib import style

    settings = {
        "svg.fonttype": "path",
        "svg.hashsalt": "report",
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "axes.unicode_minus": True,
        "text.color": INK,
        "hatch.linewidth": 0.6,
        "hatch.color": COMPARISON,
    }
    del matplotlib
    return style.context(["default", settings])


@cache
def _glyphs() -> frozenset[int]:
    """Characters the drawing font has."""
    from matplotlib import font_manager, ft2font

    return frozenset(ft2font.FT2Font(font_manager.findfont("DejaVu Sans")).get_charmap())


def _drawn(text: str) -> str:
    """Characters the font lacks become a square, so that nothing depends on other fonts."""
    glyphs = _glyphs()
    return "".join(character if character == "\n" or ord(character) in glyphs else MISSING for character in text)


def _wrap(text: str, *, width: int, lines: int) -> str:
    return "\n".join(textwrap.wrap(text, width=width, max_lines=lines, placeholder=" …")) or " "


def _svg(figure: Figure, name: str, alt: str) -> bytes:
    """Bytes without a date, comments, style sheet or stray names; what is referred to is named after the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue().decode("utf-8")
    text = re.sub(r"<!--.*?-->|<!DOCTYPE[^>]*>|<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.S)
    used = set(re.findall(r"""(?:url\(|href=")#([^")]+)""", text))
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"""(url\(|href=")#""", rf"\1#{name}-", text)
    opening = f'<svg stroke-linejoin="round" stroke-linecap="butt" role="img" aria-label="{escape(alt, {chr(34): "&quot;"})}" '
    head, body = text.split("<svg ", 1)
    tag, rest = body.split(">", 1)
    squeezed = re.sub(r">\s+<", "><", f"{opening}{tag}><title>{escape(alt)}</title>{rest}")
    return f"{head.strip()}\n{squeezed}".encode()
