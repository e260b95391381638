"""Every slip of the pen, in every place of every file people write: one plain problem at its place, never our fault.

Slips are made in the plain values of a file, whatever its vocabulary: what a reader of unions, lists and tags could
stumble over is met by walking, not by listing. Positions are those of the walk; that positions in text are right is
tried on the lines of the flagship's file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from causal.errors import StudyFileError
from causal.protocol import STUDY
from flows.settings import SITE
from flows.study_file import load_instruments, load_study
from flows.study_file.load import INSTRUMENT, further_problems
from flows.study_file.plain_words import path_words, tags_in
from flows.study_file.plain_yaml import Document, Place, Plain, Problem, Where, plain_yaml
from flows.study_file.shared import Shared, shared_beside
from flows.study_file.typed_file import judged
from validation.protocol import judge_protocol

ROOT = Path(__file__).resolve().parents[3]
FLAGSHIP = ROOT / "configs/studies/duty_to_warn.yaml"
FILES = {
    path.stem: path
    for path in (
        *sorted((ROOT / "configs/studies").rglob("*.yaml")),
        ROOT / "configs/studies/s1_hypertension_adherence.yaml",
        ROOT / "configs/instruments/wai_sr.yaml",
        ROOT / "configs/sites/local.yaml",
    )
}
ANYTHING: tuple[Plain, ...] = (
    *("x", "", 7, -1, 0, 1.5, 10**30, 1e300, True, None, "2024-13-45", "0000-00-00", "y" * 300),
    *([], {}, [1], ["x"], {"a": 1}, [None], [[]], [{}], {"kind": "x"}),
)
TAGS = sorted(tags_in(STUDY.json_schema()))
JARGON = re.compile(r"pydantic|union|tuple|Input should|Traceback|KeyError|discriminator|NoneType", re.IGNORECASE)


@dataclass(frozen=True)
class Slip:
    """One change of a file: what kind of slip, where, and the values that came of it."""

    kind: str
    where: Where
    value: Plain


def adapter_of(path: Path) -> Any:
    """What the file at `path` must say."""
    return {"studies": STUDY, "instruments": INSTRUMENT, "sites": SITE}.get(path.parent.name, STUDY)


def refused(value: Plain, path: Path) -> tuple[Any, list[Problem]]:
    """The typed value and the problems of a file that says `value`, each place numbered along the walk."""
    document = Document(value=value)
    for number, (where, part) in enumerate(parts(value), start=1):
        document.places[where] = document.keys[where] = Place(line=number, column=1)
        if not isinstance(part, str | dict | list):
            document.unquoted[where] = json.dumps(part)
    adapter = adapter_of(path)
    return judged(document, adapter, named if adapter is STUDY else None)


@cache
def shared() -> Shared:
    """The definitions and code lists that ship."""
    return shared_beside(FLAGSHIP)


def named(document: Document) -> list[Problem]:
    """What the vocabulary alone does not see."""
    return further_problems(document, None, shared())


def parts(value: Plain, where: Where = ()) -> Iterator[tuple[Where, Plain]]:
    """Every value inside `value`, outermost first."""
    yield where, value
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield from parts(item, (*where, step))


def edited(value: Any, where: Where, change: Any) -> Plain:
    """`value` with `change` applied to the block or list that holds the place `where`."""
    if len(where) == 1:
        changed: Plain = change(value, where[0])
        return changed
    if isinstance(value, dict):
        return {key: edited(item, where[1:], change) if key == where[0] else item for key, item in value.items()}
    return [edited(item, where[1:], change) if at == where[0] else item for at, item in enumerate(value)]


def put(new: Plain) -> Any:
    """Write `new` at the place."""
    return lambda holder, step: (
        holder | {step: new} if isinstance(holder, dict) else [*holder[:step], new, *holder[step + 1 :]]
    )


def renamed(new: str) -> Any:
    """Write the key at the place as `new`."""
    return lambda holder, step: {new if key == step else key: item for key, item in holder.items()}


def dropped(holder: Any, step: Any) -> Plain:
    """Leave out what stands at the place."""
    return (
        {key: item for key, item in holder.items() if key != step}
        if isinstance(holder, dict)
        else [*holder[:step], *holder[step + 1 :]]
    )


def twice(holder: Any, step: Any) -> Plain:
    """Write the item at the place again."""
    return [*holder[: step + 1], holder[step], *holder[step + 1 :]]


def misspelt(word: str) -> str:
    """Two letters swapped, as fingers do.

    >>> misspelt("caliper")
    'calipre'
    """
    return word[:-2] + word[-1] + word[-2] if len(word) > 3 and word[-1] != word[-2] else f"{word}x"


def slips(value: Plain) -> Iterator[Slip]:
    """Every key left out, misspelt, and in turn in capitals or another word; every value a near one and another."""
    others, renamings = cycle(ANYTHING), cycle((("capitals", ""), ("strange", "zzz")))
    for where, part in places(value):
        yield Slip("left out", where, edited(value, where, dropped))
        if isinstance(where[-1], str):
            yield Slip("misspelt", where, edited(value, where, renamed(misspelt(where[-1]))))
            kind, name = next(renamings)
            yield Slip(kind, where, edited(value, where, renamed(name or where[-1].upper())))
        elif isinstance(part, str | dict):
            yield Slip("twice", where, edited(value, where, twice))
        if type(other := next(others)) is not type(part):
            yield Slip("another", where, edited(value, where, put(other)))
        if isinstance(part, str):
            yield Slip("near", where, edited(value, where, put(misspelt(part))))
        if isinstance(part, list):
            yield Slip("emptied", where, edited(value, where, put([])))


def places(value: Plain) -> Iterator[tuple[Where, Plain]]:
    """One place of each shape: of the items of a list, the first and the first of every other kind."""
    met: set[tuple[str, ...]] = set()
    for where, part in islice(parts(value), 1, None):
        shape, at = [], value
        for step in where:
            at = at[step]  # type: ignore[index, call-overload]
            kinds = [str(at[tag]) for tag in TAGS if tag in at] if isinstance(at, dict) else []
            shape.append(str(step) if isinstance(step, str) else f"[{','.join(kinds)}]")
        if tuple(shape) not in met:
            met.add(tuple(shape))
            yield where, part


NAMED_ELSEWHERE = ("estimands", "covariates")


def short(value: Plain) -> Plain:
    """`value` with two items of each kind in every list: the same shapes, walked sooner."""
    if isinstance(value, dict):
        return {key: item if key in NAMED_ELSEWHERE else short(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    kept: dict[str, list[Plain]] = {}
    for item in value:
        kind = ",".join(str(item[tag]) for tag in TAGS if tag in item) if isinstance(item, dict) else ""
        kept.setdefault(kind, []).append(short(item))
    return [item for items in kept.values() for item in items[:2]]


@cache
def tried(name: str) -> list[tuple[Slip, Any, list[Problem]]]:
    """Every slip of a file, with the typed value and the problems that came of it; the file itself has none."""
    plain = plain_yaml(FILES[name].read_text(encoding="utf-8")).value
    plain = short(plain) if adapter_of(FILES[name]) is STUDY else plain
    assert refused(plain, FILES[name])[1] == []
    return [(slip, *refused(slip.value, FILES[name])) for slip in slips(plain)]


FREE: tuple[tuple[str, ...], ...] = (("subscales",), ("exposure", "cut"))
"""Blocks whose keys are names of the author's own."""


def of_its_own(where: Where) -> bool:
    """Whether the key at `where` is a name of the author's."""
    return tuple(step for step in where[:-1] if isinstance(step, str)) in FREE


@pytest.mark.parametrize("name", FILES)
def test_every_slip_is_one_problem_at_its_place(name: str) -> None:
    """Whatever is misspelt, left out or of the wrong kind: no crash, a place, plain words, and nothing told twice."""
    found = 0
    for slip, value, problems in tried(name):
        told = [f"{path_words(problem.where)}: {problem.text}" for problem in problems]
        about = f"{slip.kind} at {path_words(slip.where)}: {told}"
        found += bool(problems)
        assert (value is None) or not problems or all("twice" in text or "unknown" in text for text in told), about
        for problem, text in zip(problems, told, strict=True):
            assert problem.place is not None, about
            assert text.isprintable(), about
            assert len(text) < 1500, about
            assert not JARGON.search(problem.text), about
        if slip.kind in ("misspelt", "capitals") and not of_its_own(slip.where):
            assert len(problems) == 1, about
            assert "did you mean" in told[0] or "is it spelt" in told[0], about
            assert str(slip.where[-1]) in told[0], about
        elif slip.kind == "strange" and not of_its_own(slip.where):
            assert 1 <= len(problems) <= 2 or slip.where == ("covariates",), about
        elif slip.kind == "left out" and isinstance(slip.where[-1], str) and problems:
            assert len(problems) == 1 or slip.where[0] in NAMED_ELSEWHERE, about
        elif slip.kind == "twice":
            assert any("stands in this list twice" in text for text in told) or name in ("wai_sr", "local"), about
        elif slip.kind in ("another", "near") and problems and not isinstance(value_at(slip), dict | list):
            assert len(problems) == 1 or declares(slip.where), about
    assert found > 10


def value_at(slip: Slip) -> Plain:
    """What the slip wrote."""
    part: Any = slip.value
    for step in slip.where:
        part = part[step]
    return part


def declares(where: Where) -> bool:
    """Whether other parts of a study name what stands at `where`."""
    return (where[0], where[-1]) in {("covariates", "name"), ("estimands", "id"), ("columns", "numeric")}


def test_a_misspelt_name_has_the_one_that_was_meant() -> None:
    """One letter wrong in a word of the vocabulary, an analysis, covariate, action or estimand is understood."""
    understood = 0
    for slip, _, problems in tried("duty_to_warn"):
        if (
            slip.kind == "near"
            and problems
            and "one of" in problems[0].text + "one of" * ("unknown" in problems[0].text)
        ):
            (problem,) = problems
            assert "did you mean" in problem.text, (slip.where, problem.text)
            understood += 1
    assert understood > 60


def test_what_is_accepted_is_judged_without_a_crash() -> None:
    """A study whose slip the vocabulary cannot see goes on to its verdicts, which never crash either."""
    instruments = load_instruments(ROOT / "configs/instruments")
    studies = [study for _, study, problems in tried("duty_to_warn") if not problems]
    assert len(studies) > 100
    for study in studies[:: len(studies) // 12]:
        assert judge_protocol(study, instruments)


def lines_with_a_key() -> list[tuple[int, str]]:
    """Some lines of the flagship's file that begin with a key, spread over it."""
    lines = FLAGSHIP.read_text(encoding="utf-8").splitlines()
    keyed = [(number, line) for number, line in enumerate(lines) if re.match(r" *(- )?[a-z_0-9]{4,}:", line)]
    return keyed[3 :: len(keyed) // 9]


@pytest.mark.parametrize(("number", "line"), lines_with_a_key(), ids=lambda value: str(value).strip()[:20])
def test_a_slip_in_the_text_has_its_line_and_column(tmp_path: Path, number: int, line: str) -> None:
    """In the file itself: a misspelt key is told at its own line and column; a broken line somewhere on or below it."""
    lines = FLAGSHIP.read_text(encoding="utf-8").splitlines()
    key = re.match(r" *(?:- )?([a-z_0-9]+):", line)
    assert key is not None
    path = tmp_path / "study.yaml"
    said: dict[str, str] = {}
    for kind, new in {
        "misspelt": line.replace(key[1], misspelt(key[1]), 1),
        "indented": f" {line}",
        "a tab": f"\t{line}",
        "an anchor": line.replace(f"{key[1]}:", f"{key[1]}: &a", 1),
        "twice": f"{line}\n{line}",
    }.items():
        path.write_text("\n".join([*lines[:number], new, *lines[number + 1 :]]), encoding="utf-8")
        try:
            load_study(path)
        except StudyFileError as refusal:
            said[kind] = refusal.message
    head, *told = said["misspelt"].splitlines()
    assert head == f"{path} cannot be used: 1 problem"
    assert told[0].startswith(f"{path}:{number + 1}:{key.start(1) + 1}: "), told
    assert repr(misspelt(key[1])) in told[0]
    assert {"indented", "a tab", "an anchor", "twice"} >= set(said) - {"misspelt"}
    assert f"{path}:{number + 1}:1: the line holds a tab; use spaces" in said["a tab"]
    for message in said.values():
        assert min(int(at) for at in re.findall(r"\.yaml:(\d+):", message)) >= 1
        assert not JARGON.search(message)


def test_dates_no_calendar_has() -> None:
    """The day of registration is a day."""
    plain: Any = plain_yaml(FLAGSHIP.read_text(encoding="utf-8")).value
    for text in ("2024-13-45", "2023-02-29", "0000-00-00"):
        _, problems = refused(edited(plain, ("study", "registered"), put(text)), FLAGSHIP)
        assert [problem.text for problem in problems] == [
            f"got {text!r}, which is no day of the calendar; write it as 2026-01-31, or: not registered"
        ]
    assert refused(edited(plain, ("study", "registered"), put("2024-02-29")), FLAGSHIP)[1] == []
