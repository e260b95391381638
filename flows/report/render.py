"""A dossier becomes files: bytes from values, no clock, no network."""

from __future__ import annotations

from flows.report import figures, wording
from flows.report.document import figures_of, printable
from flows.report.dossier import Dossier, to_json
from flows.report.html import render_html
from flows.report.pdf import render_pdf


def render(dossier: Dossier) -> dict[str, bytes]:
    """The files of a release, by name: ``report.html``, ``report.pdf``, ``results.json`` and an ``.svg`` per figure.

    The same dossier gives the same bytes in any process, time zone or folder. The JSON holds the dossier as it is;
    pages and figures hold it with invisible characters made visible.
    """
    document = wording.document(dossier)
    drawn = figures.draw(printable(dossier), {name: figure.alt for name, figure in figures_of(document).items()})
    return {
        "report.html": render_html(document, drawn),
        "report.pdf": render_pdf(document, drawn),
        # A lone surrogate has no UTF-8 form; its escape is what JSON would write.
        "results.json": to_json(dossier).encode("utf-8", "backslashreplace"),
        **{f"{name}.svg": svg for name, svg in drawn.items()},
    }
