from __future__ import annotations

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest
from dossiers import DESIGN_ONLY, DOSSIER, GATE_FAILED, HOSTILE

from flows.report.document import figures_of, printable, texts
from flows.report.dossier import Dossier
from flows.report.figures import draw
from flows.report.pdf import render_pdf
from flows.report.sentences import forbidden
from flows.report.wording import document

DOSSIERS = {"plain": DOSSIER, "design only": DESIGN_ONLY, "gate failed": GATE_FAILED, "hostile": HOSTILE}


def pdf_of(dossier: Dossier) -> bytes:
    """The file."""
    pages = document(dossier)
    drawn = draw(printable(dossier), {name: figure.alt for name, figure in figures_of(pages).items()})
    return render_pdf(pages, drawn)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """Each file once."""
    return {name: pdf_of(dossier) for name, dossier in DOSSIERS.items()}


def unpacked(pdf: bytes) -> bytes:
    """The file with its compressed streams opened beside it."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, flags=re.DOTALL)
    opened = []
    for stream in streams:
        try:
            opened.append(zlib.decompress(stream))
        except zlib.error:
            opened.append(stream)
    return pdf + b"\n".join(opened)


def test_the_file_is_tagged_and_declares_itself_accessible(files: dict[str, bytes]) -> None:
    """PDF/UA-1: structure, language, title, and alternative text for each drawing."""
    for name, pdf in files.items():
        inside = unpacked(pdf)
        assert pdf.startswith(b"%PDF-1.7")
        assert b"/StructTreeRoot" in inside
        assert b"<pdfuaid:part>1</pdfuaid:part>" in inside
        assert re.search(rb"/Lang\s*\(en", inside)
        figures = len(figures_of(document(DOSSIERS[name])))
        assert len(re.findall(rb"/Alt\b", inside)) >= figures


def test_the_file_holds_no_date_no_address_and_no_script(files: dict[str, bytes]) -> None:
    """Nothing of the machine or the moment, nothing that runs or opens."""
    for pdf in files.values():
        inside = unpacked(pdf)
        for word in (
            b"/CreationDate",
            b"/ModDate",
            b"/JavaScript",
            b"/Launch",
            b"/EmbeddedFile",
            b"/URI",
            b"/tmp",
            b"/root",
        ):
            assert word not in inside, word
        assert not re.search(rb"xmp:(Create|Modify)Date", inside)


def test_fonts_come_from_the_installed_packages(files: dict[str, bytes]) -> None:
    """No font of the machine is used: the names are those of the compiler's wheel and the drawing library's."""
    for pdf in files.values():
        names = {name.decode() for name in re.findall(rb"/BaseFont\s*/[A-Z]{6}\+([A-Za-z]+)", unpacked(pdf))}
        assert names
        assert names <= {"LibertinusSerif", "DejaVuSans", "DejaVuSansMono", "LastResortHE"}


def test_the_same_document_gives_the_same_file() -> None:
    """Compiled twice, byte for byte."""
    assert pdf_of(DESIGN_ONLY) == pdf_of(DESIGN_ONLY)


def read(pdf: bytes, folder: Path) -> list[str]:
    """The text of each page, as poppler reads it."""
    (folder / "report.pdf").write_bytes(pdf)
    done = subprocess.run(
        ["pdftotext", "-raw", "-enc", "UTF-8", str(folder / "report.pdf"), "-"],  # noqa: S607 whichever poppler is installed
        capture_output=True,
        check=True,
    )
    return done.stdout.decode("utf-8").split("\f")[:-1]


needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="needs poppler's pdftotext to read PDFs")


@needs_poppler
def test_the_pdf_says_what_the_page_says(files: dict[str, bytes], tmp_path: Path) -> None:
    """Every word of the document is in the file, figures' words apart, which are alternative text."""
    for name in ("plain", "design only", "gate failed"):
        pages = document(DOSSIERS[name])
        alts = {figure.alt for figure in figures_of(pages).values()}
        seen = _bare("".join(read(files[name], tmp_path)))
        assert [text for text in texts(pages) if text not in alts and _bare(text) not in seen] == []


def _bare(text: str) -> str:
    """Text without spaces and without the marks where a line may break."""
    return re.sub(r"[\s\u200b\u2060\u00ad]+", "", text)


@needs_poppler
def test_the_banner_is_on_every_page(files: dict[str, bytes], tmp_path: Path) -> None:
    """However far a reader turns, the page says that it is not real."""
    for name, dossier in DOSSIERS.items():
        pages = read(files[name], tmp_path)
        assert len(pages) >= 5
        banner = _bare(document(dossier).banner)
        assert banner
        assert [number for number, page in enumerate(pages, start=1) if banner not in _bare(page)] == []


@needs_poppler
def test_the_file_holds_no_forbidden_phrase(files: dict[str, bytes], tmp_path: Path) -> None:
    """What a reader of the PDF sees."""
    for pdf in files.values():
        assert forbidden(" ".join(read(pdf, tmp_path))) == ()
