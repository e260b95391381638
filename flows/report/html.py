"""A document as one HTML page: no script, nothing fetched, readable on a phone and on paper."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files

from flows.report.document import Document


def render_html(document: Document, figures: Mapping[str, bytes]) -> bytes:
    """The page. Text is escaped by the template; only our own drawings go in as markup.

    `figures` maps the names the document calls for to SVG bytes.
    """
    from jinja2 import DictLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment
    from markupsafe import Markup

    templates = files("flows.report") / "templates"
    sources = {name: (templates / name).read_text(encoding="utf-8") for name in ("page.html.j2", "page.css")}
    environment = SandboxedEnvironment(
        loader=DictLoader(sources), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    # Drawn by us, every letter a path; words in them are escaped.
    drawings = {name: Markup(_inline(svg)) for name, svg in figures.items()}  # noqa: S704
    return environment.get_template("page.html.j2").render(document=document, figures=drawings).encode("utf-8")


def _inline(svg: bytes) -> str:
    """The drawing without its XML declaration."""
    text = svg.decode("utf-8")
    return text[text.index("<svg") :].strip()
