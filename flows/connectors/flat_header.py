"""Which column of a flat table is which, by the names in its header; names nobody declared are never told."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from causal.errors import ExtractError
from causal.spelling import nearest


def places_of(header: Sequence[str], declared: Collection[str], table: str) -> Mapping[str, int]:
    """The place of every declared column in the header, from 0. Blanks around a name do not count.

    A file without a header has values in its first line, so only declared names are ever repeated; the others go by
    their number.

    Raises
    ------
    ExtractError
        ``flat.duplicate_column`` (any two columns of one name), ``flat.no_column``.

    >>> places_of(["id", " age ", "sex"], ("sex", "age"), "t.csv")
    {'sex': 2, 'age': 1}
    """
    names = [name.strip() for name in header]
    _refuse_twice(names, declared, table)
    known = {name: place for place, name in enumerate(names)}
    if absent := [name for name in declared if name not in known]:
        raise _no_column(names, absent, declared, table)
    return {name: known[name] for name in declared}


def unnamed(header: Sequence[str]) -> list[int]:
    """Columns without a name but the first, which some programs leave to the names of rows."""
    return [place for place, name in enumerate(header) if not name.strip() and place > 0]


def _refuse_twice(names: Sequence[str], declared: Collection[str], table: str) -> None:
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names, start=1):
        if name:
            places.setdefault(name, []).append(place)
    for name, held in places.items():
        if len(held) > 1:
            which = f" '{name}'" if name in declared else ""
            raise ExtractError(
                "flat.duplicate_column",
                f"columns {', '.join(map(str, held[:-1]))} and {held[-1]} of {table} have the same name{which}",
                fix="give every column its own name",
            )


def _no_column(names: Sequence[str], absent: list[str], declared: Collection[str], table: str) -> ExtractError:
    named = ", ".join(map(repr, absent))
    like = {_plain(name): place for place, name in enumerate(names, start=1)}
    near = [f"column {like[_plain(name)]} for '{name}'" for name in absent if _plain(name) in like]
    if near:
        fix = f"names are as the file writes them, and these differ by capitals or marks only: {', '.join(near)}"
    elif alike := _alike(names, absent, declared):
        fix = f"correct the name under columns; the file has a name much like it: {', '.join(alike)}"
    elif len(absent) == len(declared):
        fix = "the first line holds the names of the columns: add it, or correct the names under columns"
    else:
        fix = "correct the name under columns, or deliver the column"
    return ExtractError("flat.no_column", f"{table} has no column {named}", fix=fix)


def _alike(names: Sequence[str], absent: Collection[str], declared: Collection[str]) -> list[str]:
    """Which column each absent name was probably meant to be, by its place: a first line may hold values."""
    places = {name: place for place, name in enumerate(names, start=1) if name and name not in declared}
    near = {name: nearest(name, places) for name in absent}
    return [f"column {places[other]} for '{name}'" for name, other in near.items() if other is not None]


def _plain(name: str) -> str:
    """A name without capitals, blanks and marks, to find one that was meant."""
    return "".join(filter(str.isalnum, name)).casefold()
