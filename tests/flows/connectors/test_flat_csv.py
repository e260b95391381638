"""A flat table's CSV: cells are text unless declared numbers, and a file that is not what it seems is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from causal.errors import ExtractError
from flows.connectors.flat_csv import read_flat_csv


def written(folder: Path, text: str) -> Path:
    """A file that holds the text."""
    path = folder / "t.csv"
    path.write_bytes(text.encode())
    return path


def test_text_stays_as_it_stands(tmp_path: Path) -> None:
    """07, 7, 7.0, NA and None are five categories, wherever they stand; only an empty cell is missing."""
    found = read_flat_csv(written(tmp_path, "site\n07\n7\n7.0\nNA\nNone\n07\n"), numbers=())
    assert found["site"].tolist() == ["07", "7", "7.0", "NA", "None", "07"]
    assert read_flat_csv(written(tmp_path, 'site,x\n"",1\n'), numbers=())["site"].isna().all()


def test_numbers_are_read_exactly(tmp_path: Path) -> None:
    """Decimals are those nearest to what is written; NA is missing; true and false are 1 and 0."""
    text = "a,b,c\n0.1,1,TRUE\n1e-3, 2 ,FALSE\n123456.789012345,NA,TRUE\n"
    found = read_flat_csv(written(tmp_path, text), numbers=("a", "b", "c"))
    assert found["a"].tolist() == [0.1, 1e-3, 123456.789012345]
    assert found["b"].isna().tolist() == [False, False, True]
    assert found["c"].tolist() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("cells", ["1\nx\n", "1\n0x1F\n", "1\n1_000\n", "1\ninf\n", "1\nTRUE\n", '1\n"1,5"\n'])
def test_a_cell_that_is_no_number_leaves_the_column_text(tmp_path: Path, cells: str) -> None:
    """No cell is guessed at: the column stays text, and the analysis refuses it by name."""
    found = read_flat_csv(written(tmp_path, "a\n" + cells), numbers=("a",))
    assert found["a"].dtype == "str"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a,b\n1,2,\n3,4,\n", "flat.unreadable"),  # every row ends in a comma
        ("a,b\n1,2\n3\n", "flat.unreadable"),  # the last row is short
        ("a,b\n1,2\n3,4,5\n", "flat.unreadable"),
        ('a,b\n1,"2\n', "flat.unreadable"),
        ("", "flat.unreadable"),
        ("a,b\n1,2\n3,41", "flat.cut"),
        ("a,b,a\n1,2,3\n", "flat.duplicate_column"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, code: str) -> None:
    """Rows of other lengths than the header, a quote left open, a file cut short, one name twice."""
    with pytest.raises(ExtractError) as refusal:
        read_flat_csv(written(tmp_path, text), numbers=("a",))
    assert refusal.value.code == code
    assert "41" not in str(refusal.value)
