"""A flat table's CSV: cells are text unless declared numbers, and a file that is not what it seems is refused."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from causal.errors import ExtractError
from causal.protocol.flat_table import FileData
from flows.connectors.flat_cells import Role
from flows.connectors.flat_csv import read_flat_csv

ROLES = {"told": Role.NUMBER, "score": Role.NUMBER, "age": Role.NUMBER, "site": Role.TEXT, "id": Role.TEXT}
HEADER = "told,score,age,site,id"
GOOD = "0,1.5,40,N,001"


def read(folder: Path, text: str | bytes, roles: dict[str, Role] | None = None, **data: Any) -> pd.DataFrame:
    """The table a file of these bytes holds."""
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    declared = FileData.model_validate({"kind": "file", "path": "t.csv"} | data)
    return read_flat_csv(path, declared, ROLES if roles is None else roles)


def lines(*rows: str, header: str = HEADER, end: str = "\n") -> str:
    """A file of a header and rows, every line ended."""
    return "".join(f"{line}{end}" for line in (header, *rows))


SEMICOLONS = lines("0;1,5;40;N;001", header=HEADER.replace(",", ";"))
TABS = lines("0\t1.5\t40\tN\t001", header=HEADER.replace(",", "\t"))

SLIPS: dict[str, tuple[str | bytes, str, str]] = {
    # what went wrong: the file, the code, and what the message says of where
    "nothing in it": ("", "extract.no_header", "t.csv is empty"),
    "Latin-1": (lines("0,1.5,40,Zürich,001").encode("latin-1"), "extract.encoding", "from line 2, it is likely Lat"),
    "Windows-1252": (lines(GOOD, "0,1,4,\x91N\x92,2").encode("latin-1"), "extract.encoding", "from line 3"),
    "UTF-16": (lines(GOOD).encode("utf-16"), "extract.encoding", "it is likely UTF-16"),
    "a NUL byte": (lines(GOOD, "0,1.5,40,N\x00,001"), "extract.control_character", "first on line 3"),
    "an escape character": (lines("0,1.5,40,N\x1b,001"), "extract.control_character", "first on line 2"),
    "a tab in a value": (lines("0,1.5,40,N\tS,001"), "extract.control_character", "first on line 2"),
    "carriage returns alone": (lines(GOOD, end="\r"), "extract.line_ends", "CR alone"),
    "two kinds of line ends": (lines(GOOD) + "0,1,4,N,2\r\n", "extract.line_ends", "1 of 3 lines end in CR LF"),
    "a blank line between rows": (lines(GOOD, "", GOOD), "extract.blank_line", "1 blank lines, first line 3"),
    "a blank line at the end": (lines(GOOD, ""), "extract.blank_line", "first line 3"),
    "a line break in quotes": (lines('0,1.5,40,"N\nS",001'), "extract.unterminated_quote", "on line 2"),
    "a quote left open": (lines(GOOD, '0,1.5,40,"N,001'), "extract.unterminated_quote", "on line 3"),
    "a quote inside a value": (lines('0,1.5,40,N"S"N,001'), "extract.csv", "on line 2"),
    "a document as a value": (lines(f"0,1.5,40,{'N' * 200_000},001"), "flat.unreadable", "line 2 of t.csv"),
    "a line without an end": (lines(GOOD, "0,1.5,41,N,00").encode()[:-1], "flat.cut", "does not end in a line break"),
    "semicolons": (SEMICOLONS, "flat.delimiter", "separated by semicolon, expected comma"),
    "tabs": (TABS, "flat.delimiter", "separated by tab, expected comma"),
    "vertical bars": (TABS.replace("\t", "|"), "flat.delimiter", "separated by vertical bar"),
    "a short line": (lines(GOOD, "0,1.5,40,N"), "flat.ragged", "1 of 2 lines have another number of va"),
    "a long line": (lines("0,1.5,40,N,001,9", GOOD), "flat.ragged", "first line 2 with 6"),
    "a comma in a name": (lines("0,1.5,40,Bern, CH,001"), "flat.ragged", "names 5 columns, and 1 of 1 lines"),
    "a comma after every row": (lines(f"{GOOD},", f"{GOOD},"), "flat.ragged", "2 of 2 lines"),
    "names of rows without a name": (lines(f"1,{GOOD}", f"2,{GOOD}"), "flat.ragged", "names 5 columns, and 2 of 2"),
    "a decimal comma among commas": (lines("0,1,5,40,N,001"), "flat.ragged", "first line 2 with 6"),
    "two columns of one name": (
        lines(f"{GOOD},50", header=f"{HEADER},age"),
        "flat.duplicate_column",
        "columns 3 and 6 of t.csv have the same name 'age'",
    ),
    "two columns but for blanks": (
        lines(f"{GOOD},50", header=f"{HEADER}, age "),
        "flat.duplicate_column",
        "columns 3 and 6 of t.csv have the same name 'age'",
    ),
    "two undeclared columns of one name": (
        lines(f"{GOOD},5,6", header=f"{HEADER},secret,secret"),
        "flat.duplicate_column",
        "columns 6 and 7 of t.csv have the same name",
    ),
    "a column nobody named": (lines(f"{GOOD},5", header=f"{HEADER},"), "flat.unnamed_column", "have no name: 6"),
    "no header": (lines(GOOD, GOOD, header="1,2.5,41,S,002"), "flat.no_column", "'told', 'score', 'age', 'site', 'id'"),
    "another name": (lines(GOOD, header=HEADER.replace("age", "years")), "flat.no_column", "no column 'age'"),
    "capitals in the header": (lines(GOOD, header=HEADER.replace("age", "Age")), "flat.no_column", "3 for 'age'"),
    "text among numbers": (lines(GOOD, "0,1.5,forty,N,002"), "flat.not_numeric", "has 1 of 2 cells (first line 3)"),
    "a unit": (lines("0,1.5,40 y,N,001"), "flat.not_numeric", "'age' of t.csv is declared a number and has 1 of 1"),
    "a thousand with a mark": (lines('0,"1,500.5",40,N,001'), "flat.not_numeric", "'score'"),
    "underscores": (lines("0,1_500,40,N,001"), "flat.not_numeric", "'score'"),
    "hexadecimal": (lines("0,0x1F,40,N,001"), "flat.not_numeric", "'score'"),
    "infinity": (lines("0,inf,40,N,001"), "flat.not_numeric", "'score'"),
    "digits of another script": (lines("0,١٢,40,N,001"), "flat.not_numeric", "'score'"),
    "a percentage": (lines("0,15%,40,N,001"), "flat.not_numeric", "'score'"),
    "a date": (lines("0,2024-01-02,40,N,001"), "flat.not_numeric", "'score'"),
    "true among numbers": (lines("TRUE,1.5,40,N,001", GOOD), "flat.not_numeric", "has 1 of 2 cells (first line 2)"),
    "yes and no undeclared": (lines("yes,1.5,40,N,001", "no,1,41,N,002"), "flat.not_numeric", "'told'"),
    "a decimal comma in quotes": (lines('0,"1,5",40,N,001', GOOD), "flat.decimal_comma", "1 of 2 cells (first line 2)"),
    "NA": (lines(GOOD, "0,NA,40,N,002"), "flat.missing_mark", "has 1 of 2 cells (first line 3)"),
    "None, NULL and a full stop": (lines("0,None,40,N,1", "0,NULL,41,N,2", "0,.,42,N,3"), "flat.missing_mark", "3 of"),
    "Excel's error": (lines("0,#N/A,40,N,001"), "flat.missing_mark", "'score'"),
    "a number no computer should square": (lines(GOOD, "0,1e308,40,N,2"), "flat.too_large", "(first line 3)"),
    "a number no computer holds": (lines("0,1e999,40,N,001"), "flat.too_large", "'score'"),
}  # fmt: skip


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_is_told_with_its_place_and_no_value(tmp_path: Path, slip: str) -> None:
    """Each file that is not what it seems: one code, one line that says where, a fix, and nothing out of a cell."""
    text, code, place = SLIPS[slip]
    with pytest.raises(ExtractError) as refusal:
        read(tmp_path, text)
    said = str(refusal.value)
    assert (refusal.value.code, "\n" in said) == (code, False)
    assert place in said
    assert "Fix: " in said
    assert not re.search(r"Bern|Zürich|forty|secret|1\.5|001|yes|2024", said)


def test_more_than_forty_slips_are_tried() -> None:
    """The table of slips is long, and each of its codes is met."""
    assert len(SLIPS) >= 45
    assert len({code for _, code, _ in SLIPS.values()}) == 18


@pytest.mark.parametrize(
    "text",
    [
        lines(GOOD),
        "\ufeff" + lines(GOOD),
        lines(GOOD, end="\r\n"),
        lines(f"7,{GOOD}", header=f",{HEADER}"),  # R and pandas leave the first name empty
        lines(f"{GOOD},", header=f"{HEADER},"),  # every line ends in a comma, the header too
        lines(" 0 , 1.5 ,\u00a040, N , 001 ", header=HEADER.replace(",", " , ")),
        lines('"0","1.5","40","N","001"', header='"told","score","age","site","id"'),
        lines('0,+1.5e0,40.,N,001,"Bern, CH"', header=f"{HEADER},note"),
        lines("0,1.5,40,N,001,1e999", header=f"{HEADER},undeclared"),
        lines("FALSE,1.5,40,N,001"),
        lines("001,40,N,1.5,0", header="id,age,site,score,told"),
    ],
)
def test_a_right_file_survives(tmp_path: Path, text: str) -> None:
    """A byte order mark, CR LF, quotes, blanks, names of rows, columns in any order: the same table each time."""
    found = read(tmp_path, text)
    assert list(found.columns) == list(ROLES)
    assert found.iloc[0].tolist() == [0.0, 1.5, 40.0, "N", "001"]


def test_declared_delimiters_and_decimals(tmp_path: Path) -> None:
    """Semicolons with decimal commas, and tabs, once they are declared; and the wrong declaration is told."""
    wanted = [0.0, 1.5, 40.0, "N", "001"]
    assert read(tmp_path, SEMICOLONS, delimiter="semicolon", decimal="comma").iloc[0].tolist() == wanted
    assert read(tmp_path, TABS, delimiter="tab").iloc[0].tolist() == wanted
    assert read(tmp_path, TABS.replace("\t", "|"), delimiter="vertical_bar").iloc[0].tolist() == wanted
    for text, said, code in (
        (lines(GOOD), {"delimiter": "semicolon"}, "flat.delimiter"),
        (SEMICOLONS, {"delimiter": "semicolon"}, "flat.decimal_comma"),
        (lines(GOOD), {"decimal": "comma"}, "flat.decimal_comma"),
        (lines('0,"1.500,5",40,N,001'), {"decimal": "comma"}, "flat.not_numeric"),
    ):
        with pytest.raises(ExtractError) as refusal:
            read(tmp_path, text, **said)
        assert refusal.value.code == code


def test_text_stays_as_it_stands(tmp_path: Path) -> None:
    """07, 7, 7.0, NA, None and NULL are six categories, wherever they stand; only an empty cell is missing."""
    levels = ["07", "7", "7.0", "NA", "None", "NULL", "07"]
    found = read(tmp_path, lines(*levels, header="site"), {"site": Role.TEXT})
    assert found["site"].tolist() == levels
    assert read(tmp_path, 'site,x\n"",1\n', {"site": Role.TEXT})["site"].isna().all()


def test_ids_keep_zeros_however_long_the_file(tmp_path: Path) -> None:
    """A late id with a letter does not make two types of the early ones."""
    ids = [f"{k:08d}" for k in range(20_000)] + ["A1"]
    assert read(tmp_path, lines(*ids, header="id"), {"id": Role.TEXT})["id"].tolist() == ids


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    """Decimals are those nearest to what is written; an empty cell is missing; true and false are 1 and 0."""
    text = "a,b,c\n0.1,1,TRUE\n1e-3, 2 ,FALSE\n123456.789012345,,TRUE\n"
    found = read(tmp_path, text, dict.fromkeys("abc", Role.NUMBER))
    assert found["a"].tolist() == [0.1, 1e-3, 123456.789012345]
    assert found["b"].isna().tolist() == [False, False, True]
    assert found["c"].tolist() == [1.0, 0.0, 1.0]


def test_what_means_missing_is_declared(tmp_path: Path) -> None:
    """Declared marks are missing in numbers and in text alike; what is not declared stays."""
    found = read(tmp_path, lines("0,NA,-99.0,NA,None", "1,2,3,S,x"), missing=("NA", -99))
    assert found.isna().iloc[0].tolist() == [False, True, True, True, False]
    assert found["id"].tolist() == ["None", "x"]


def test_a_header_alone_is_a_table_without_rows(tmp_path: Path) -> None:
    """The analysis refuses it by name; the reader says what columns there are."""
    found = read(tmp_path, lines())
    assert (len(found), list(found.columns)) == (0, list(ROLES))
