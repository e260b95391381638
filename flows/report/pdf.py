"""A document as a PDF/UA-1 file: tagged, with alternative text, fonts from the installed packages only.

Everything a person wrote reaches Typst as data (JSON), never as source; the compiler's root is an empty private folder.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from importlib.resources import files

from flows.report.document import Document


def render_pdf(document: Document, figures: Mapping[str, bytes]) -> bytes:
    """The PDF. The same document gives the same bytes: no date, no clock, no system fonts."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    import matplotlib
    import typst

    source = (files("flows.report") / "templates" / "page.typ").read_bytes()
    fonts = typst.Fonts(
        include_system_fonts=False,
        include_embedded_fonts=True,
        font_paths=[str(Path(matplotlib.get_data_path(), "fonts", "ttf"))],
    )
    inputs = {"document": json.dumps(dataclasses.asdict(document)), "figures": json.dumps(_drawings(figures))}
    with TemporaryDirectory(prefix="report-") as root:
        compiler = typst.Compiler(source, root=root, font_paths=fonts, ignore_system_fonts=True, sys_inputs=inputs)
        compiled = compiler.compile(format="pdf", pdf_standards="ua-1", timestamp=0)
    if not isinstance(compiled, bytes):
        raise TypeError(f"one PDF expected, got {type(compiled).__name__}")
    return compiled


def _drawings(figures: Mapping[str, bytes]) -> dict[str, dict[str, str | float]]:
    """Each SVG with its height over its width, so that a tall one can be fitted to the page."""
    return {name: {"svg": svg.decode("utf-8"), "aspect": _aspect(svg)} for name, svg in figures.items()}


def _aspect(svg: bytes) -> float:
    box = re.search(rb'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if box is None:
        raise ValueError("a drawing without a viewBox")
    return float(box[2]) / float(box[1])
