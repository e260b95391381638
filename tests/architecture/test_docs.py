"""The words people enter by stay true: generated pages, commands, links, the map, and what must not stand in a text."""

from __future__ import annotations

import ast
import csv
import datetime
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from causal.simulation.parameters import SimulationParameters
from causal.simulation.world import regime_spans
from flows.cli import app

ROOT = Path(__file__).resolve().parents[2]
PRODUCTS = {"results", "extracts", "build", "dist"}
PACKAGES = ("causal", "validation", "flows")


def name_of(path: Path) -> str:
    """A path as the repository writes it."""
    return path.relative_to(ROOT).as_posix()


PAGES = sorted(
    name_of(page)
    for pattern in ("*.md", "docs/**/*.md", "configs/**/*.md", "benchmarks/*.md")
    for page in ROOT.glob(pattern)
)


@cache
def generator() -> ModuleType:
    """`docs/generate.py`, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def commands() -> dict[str, Any]:
    """Every command of `rapport`, by name."""
    group: Any = typer.main.get_command(app)
    found: dict[str, Any] = group.commands
    return found


# The reference


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs" / "reference").glob("*.md")))
def test_reference_is_current(page: str) -> None:
    """Each page of the reference is what the generator writes from today's code."""
    written = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert written == generator().PAGES[page](), (
        f"docs/reference/{page} is stale: run .venv/bin/python docs/generate.py"
    )


def test_every_reference_page_is_written() -> None:
    """The generator's pages and the folder's pages are the same."""
    assert {path.name for path in (ROOT / "docs" / "reference").iterdir()} == set(generator().PAGES)


def test_the_reference_leaves_no_cell_for_words_empty() -> None:
    """Every key, check and refusal in the reference has words of its own."""
    empty = [
        f"{page}: {line}"
        for page in ("study-file.md", "verdicts.md", "command.md")
        for line in (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8").splitlines()
        if line.startswith("| `") and (line.endswith("|  |") or re.search(r"^\| `[a-z_.…]+` \|  \|", line))
    ]
    assert not empty


def test_the_flat_table_page_has_every_code() -> None:
    """A row for each refusal that the code can make of a flat table, none for another, and every check of an answer."""
    page = (ROOT / "docs" / "how-to" / "analyse-one-flat-table.md").read_text(encoding="utf-8")
    checks, _, refusals = page.partition("## What is refused")
    made, known = {code for code in generator()._refusals() if code.startswith("flat.")}, generator()._checks()
    made |= written_codes() - known.keys()
    assert sorted(re.findall(r"^\| `(flat\.\w+)` \|", refusals, re.MULTILINE)) == sorted(made)
    told = set(re.findall(r"`(flat\.[\w.…]+)`", checks))
    assert {code for code in known if code.startswith("flat.")} <= told


def written_codes() -> set[str]:
    """Every code of a flat table that stands whole in the code, given to a refusal at once or by a name."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in files)
    words = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {word for word in words if isinstance(word, str) and re.fullmatch(r"flat\.[a-z_]+", word)}


def test_every_command_and_option_says_what_it_is() -> None:
    """A command without help, or an option without one, is undocumented."""
    silent = [name for name, command in commands().items() if not command.help]
    silent += [
        f"{name} {parameter.opts[0]}"
        for name, command in commands().items()
        for parameter in command.params
        if not parameter.help
    ]
    assert not silent


# Commands and links in texts


def shell_lines(page: Path) -> Iterator[str]:
    """Lines of the shell blocks of a page, without comments."""
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = re.split(r"\s#\s", line)[0].strip()
            if words:
                yield words


def invocations(page: Path) -> Iterator[list[str]]:
    """Every `rapport ...` of a page, split into words: in shell blocks, and in backquotes where words follow."""
    text = page.read_text(encoding="utf-8")
    inline = re.findall(r"`(?:[A-Z_]+=\S+ )?(rapport [^`]+)`", text)
    for line in (*shell_lines(page), *inline):
        words = shlex.split(line)
        while words and "=" in words[0]:
            words = words[1:]
        if words and words[0].endswith("rapport"):
            yield words[1:]


@pytest.mark.parametrize("page", [*PAGES, "Makefile"])
def test_commands_in_texts_exist(page: str) -> None:
    """Every `rapport` command and option a text shows is one the command has."""
    shown = (
        (words for words in invocations(ROOT / page))
        if page != "Makefile"
        else (line.split()[1:] for line in (ROOT / page).read_text().splitlines() if "/rapport " in line)
    )
    for words in shown:
        if words[0].startswith("-"):
            assert words == ["--help"]
            continue
        assert words[0] in commands(), f"{page}: there is no command {words[0]!r}"
        options = {option for parameter in commands()[words[0]].params for option in parameter.opts} | {"--help"}
        unknown = [word for word in words[1:] if word.startswith("--") and word.split("=")[0] not in options]
        assert not unknown, f"{page}: 'rapport {words[0]}' has no {', '.join(unknown)}"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_in_texts_exist(page: str) -> None:
    """Every `make` target a text shows is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = {line.split()[1] for line in shell_lines(ROOT / page) if line.startswith("make ")}
    shown |= set(re.findall(r"`make ([a-z-]+)`", text))
    assert shown <= targets


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_commands_exist(page: str) -> None:
    """Study and site files that a command of a text names are in the repository, unless the text has them made."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = {word for line in shell_lines(ROOT / page) for word in line.split() if word.startswith("configs/")}
    made = set(re.findall(r"^ *cp \S+ (\S+)$", text, re.MULTILINE))
    missing = sorted(word for word in named - made if not (ROOT / word).exists())
    assert not missing


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_resolve(page: str) -> None:
    """Every link to a file of the repository leads to it, and to a heading that is there."""
    source = ROOT / page
    for target in re.findall(r"\]\(([^)\s]+)\)", source.read_text(encoding="utf-8")):
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        place = (source.parent / path).resolve() if path else source
        assert place.exists(), f"{page}: {target} leads nowhere"
        assert not anchor or anchor in anchors(place), f"{page}: {target} names no heading"


@pytest.mark.parametrize("page", PAGES)
def test_paths_in_backquotes_exist(page: str) -> None:
    """A file of ours that a text names in backquotes is there."""
    named = re.findall(
        r"`((?:causal|validation|flows|configs|docs|tests|benchmarks|requirements)/[\w./-]*)`",
        (ROOT / page).read_text(),
    )
    made = {"configs/studies/my_study.yaml"}
    assert not sorted(path for path in set(named) - made if not (ROOT / path).exists())


def test_every_page_is_reachable() -> None:
    """Every page under docs is linked from docs/index.md."""
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", index.read_text())}
    assert {page.resolve() for page in (ROOT / "docs").glob("*/*.md")} <= linked


@pytest.mark.slow
def test_the_tutorial_runs_as_written(tmp_path: Path) -> None:
    """Every command of the tutorial, in order: all succeed but the one that is to be refused, and the truth is told."""
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    page = "docs/tutorial/first-study.md"
    site, outputs, refused = tmp_path / "extracts" / "site.yaml", [], []
    for line in shell_lines(ROOT / page):
        if line.startswith("cp "):
            shutil.copy(*(tmp_path / word for word in line.split()[1:]))
            key = re.search(r"public_key: (\S+=)}", outputs[-1])
            assert key is not None
            listed = f"approvers:\n  - {{name: Dr A. Example, role: ethics_board, public_key: {key[1]}}}"
            site.write_text(site.read_text().replace("approvers: []", listed))
        elif line.startswith("rapport "):
            digests = [path.name for path in tmp_path.glob("results/duty_to_warn/designs/*")]
            words = [digests[0] if word == "DIGEST" else word for word in shlex.split(line)[1:]]
            done = rapport(words, tmp_path)
            outputs.append(done.stdout)
            refused += [(words[0], done.returncode, done.stderr)] if done.returncode else []
    assert [(command, code) for command, code, _ in refused] == [("estimate", 1)]
    assert "refused: [approval.none] nobody has approved design" in refused[0][2]
    assert [word in outputs[-3] for word in ("published", "termination", "composite", "truth")] == [True] * 4
    assert outputs[-2].startswith("unchanged: ")
    assert "outcomes opened for 1 design(s)" in outputs[-1]


def rapport(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in `folder` as somebody would."""
    program = "from flows.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


# The map


def folders() -> set[str]:
    """Folders people look for: at the top, every package, and one level down in configs."""
    top = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in PRODUCTS]
    packages = [path.parent for name in PACKAGES for path in (ROOT / name).rglob("__init__.py")]
    configs = [path for path in (ROOT / "configs").iterdir() if path.is_dir()]
    return {
        f"{name_of(path)}/"
        for path in (*top, *packages, *configs)
        if not path.name.startswith((".", "__")) and not path.name.endswith(".egg-info") and any(path.rglob("*.*"))
    }


def test_the_map_names_every_folder() -> None:
    """The README's table of folders has a row for every folder, and none for a folder that is not there."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([\w/]+/)` \|", readme, re.MULTILINE))
    assert rows == folders()


def test_the_map_names_every_kind_of_test() -> None:
    """Folders of tests that mirror no package are named in README and CONTRIBUTING."""
    kinds = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("*.py"))}
    extra = {kind for kind in kinds if kind not in PACKAGES and not kind.startswith((".", "__"))}
    for page in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert not sorted(kind for kind in extra if kind not in text), page


def test_every_module_says_what_it_is() -> None:
    """Every module that holds code begins with a docstring."""
    silent = []
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if tree.body and ast.get_docstring(tree) is None:
            silent.append(name_of(path))
    assert not silent


def test_the_glossary_is_in_order_and_defines_each_word_once() -> None:
    """A word is found by the alphabet, and has one meaning."""
    words = re.findall(r"^\| \*\*(.+?)\*\* \|", (ROOT / "GLOSSARY.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert words == sorted(set(words), key=str.lower)


# What must not stand in any text

TEXTS = {".py", ".md", ".yaml", ".toml", ".lock", ".csv", ".json", ".j2", ".typ", ".css", ".R", ".txt", ""}
SOMEBODYS_MACHINE = re.compile(r"(?<![\w.])/(work|root|home|Users|tmp)/\w")
A_REGISTRY = re.compile(r"(pypi\.org|pythonhosted|/simple/|index-url\s*[=:]|npmjs|artifactory|nexus\.)", re.IGNORECASE)


def texts() -> Iterator[Path]:
    """Every text of the repository that people write, this file apart."""
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in (".ci", ".gitignore") for part in parts)
        if hidden or parts[0] in PRODUCTS or "__pycache__" in parts or path.suffix not in TEXTS or not path.is_file():
            continue
        if path != Path(__file__).resolve() and not any(part.endswith(".egg-info") for part in parts):
            yield path


@pytest.mark.parametrize("pattern", [SOMEBODYS_MACHINE, A_REGISTRY], ids=["machine", "registry"])
def test_no_text_names_a_machine_or_a_registry(pattern: re.Pattern[str]) -> None:
    """No path of somebody's machine and no address of a package registry stands in the repository."""
    found = [
        f"{name_of(path)}:{number}"
        for path in texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not found


# Lists that stand in two places


def test_illustrative_regimes_are_those_of_the_simulator() -> None:
    """The illustrative regime table holds the simulator's rows, each of them marked illustrative."""
    with (ROOT / "configs" / "jurisdictions" / "illustrative.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    change = SimulationParameters().regime_change
    assert change is not None
    spans = regime_spans(datetime.date.fromisoformat(change))
    expected = {
        (s.state, s.valid_from.isoformat(), s.valid_to.isoformat() if s.valid_to else "", s.regime) for s in spans
    }
    assert {(row["state"], row["valid_from"], row["valid_to"], row["regime"]) for row in rows} == expected
    assert {(row["profession"], row["source"]) for row in rows} == {("any", "illustrative")}
