"""An extract replaced while it is read: nothing that rests on other bytes than those that were hashed is published."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from causal.errors import DesignError, ExtractError
from causal.protocol import OccasionStudy
from causal.simulation import SimulationParameters
from flows.design_files import read_design, write_design
from flows.design_study import design_study
from flows.estimate_effect import estimate_effect
from flows.runner import direct
from flows.settings import Site
from flows.simulate_extract import simulate_extract
from flows.simulate_study import approve_as_simulated_board
from flows.store import SYNTHETIC, Store, write_manifest
from flows.study_file.load import load_instruments, load_study
from flows.workspace import Workspace

# Ibis 12 still asks pandas for an option that it deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:The 'future.infer_string' option")

CONFIGS = Path(__file__).parents[2] / "configs"
PATIENTS, SEED = 4_000, 7
Swap = Callable[[], None]


def workspace(results: Path, extract: Path) -> Workspace:
    """The flagship on an extract, quietly."""
    loaded = load_study(CONFIGS / "studies" / "duty_to_warn.yaml")
    assert isinstance(loaded.study, OccasionStudy)
    return Workspace(
        study=loaded.study,
        protocol_digest=loaded.digest,
        instruments=load_instruments(CONFIGS / "instruments"),
        site=Site(results=results),
        store=Store(results, loaded.study.study.id),
        extract=extract,
        say=lambda *_: None,
    )


def read(path: Path) -> pa.Table:
    """A file of ratings; the cells of CSV as text."""
    if path.suffix == ".parquet":
        return pq.read_table(path)
    names = path.read_text(encoding="utf-8").partition("\n")[0].split(",")
    as_text = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return pa.csv.read_csv(path, convert_options=as_text)


def written(table: pa.Table, path: Path) -> None:
    """Plainly, so that as many values take as many bytes."""
    if table.schema.field("itm_01").type == pa.string():
        pa.csv.write_csv(table, path, pa.csv.WriteOptions(quoting_style="none"))
    else:
        pq.write_table(table, path, compression="none", use_dictionary=False, write_statistics=False)


def turned_round(table: pa.Table) -> pa.Table:
    """Every 5 to the first item turned into a 1: other ratings in as many bytes."""
    place = table.schema.get_field_index("itm_01")
    answers = table["itm_01"]
    five, one = (pa.scalar(value).cast(answers.type) for value in ("5", "1"))
    return table.set_column(place, "itm_01", pc.if_else(pc.equal(answers, five), one, answers))


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """By file format: a store with the extract it simulated, and beside it other ratings; made when first asked for."""
    return cache(lambda file_format: simulated(tmp_path_factory.mktemp(file_format), file_format))


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory, delivered: Callable[[str], Path]) -> Callable[[str], Path]:
    """By file format: such a store with an approved design of its extract."""

    def made(file_format: str) -> Path:
        place = copied(delivered(file_format), tmp_path_factory.mktemp(f"{file_format}_approved"))
        approve_as_simulated_board(place.ws, design_study(place.ws, direct))
        return place.store

    return cache(made)


def simulated(folder: Path, file_format: str) -> Path:
    """A store with an extract, and beside it the ratings that are to be swapped in."""
    ws = workspace(folder / "results", Path())
    ws.store.prepare()
    out = ws.store.private / SYNTHETIC / "made"
    simulate_extract(SimulationParameters(), patients=PATIENTS, seed=SEED, out=out, file_format=file_format)
    (ratings,) = (out / "extract" / "measures").iterdir()
    table = read(ratings)
    written(table, ratings)
    written(turned_round(table), folder / "other")
    claim_again(out / "extract", ratings)
    assert (folder / "other").stat().st_size == ratings.stat().st_size
    assert (folder / "other").read_bytes() != ratings.read_bytes()
    return folder


def claim_again(extract: Path, ratings: Path) -> None:
    """Let the manifest describe the file of ratings as it is now."""
    path = extract / "manifest.json"
    manifest: dict[str, Any] = json.loads(path.read_text())
    (file,) = manifest["tables"]["measures"]["files"]
    file |= {"bytes": ratings.stat().st_size, "sha256": hashlib.sha256(ratings.read_bytes()).hexdigest()}
    path.write_text(json.dumps(manifest))


@dataclass(frozen=True)
class Place:
    """A copy of a store whose file of ratings can be swapped for another, and put back."""

    store: Path
    ws: Workspace
    ratings: Path
    other: Path

    def swap(self) -> None:
        """Another file in its place, of the same size and time of writing."""
        status = self.ratings.stat()
        self.ratings.rename(self.kept)
        shutil.copyfile(self.other, self.ratings)
        os.utime(self.ratings, ns=(status.st_atime_ns, status.st_mtime_ns))

    def put_back(self) -> None:
        """The delivered file, if it is away."""
        if self.kept.exists():
            self.kept.replace(self.ratings)

    @property
    def kept(self) -> Path:
        """Where the delivered file lies meanwhile."""
        return self.ws.store.root.parent.parent / "kept"


def copied(store: Path, to: Path) -> Place:
    """A place of its own."""
    shutil.copytree(store, to, dirs_exist_ok=True)
    ws = workspace(to / "results", Path())
    ws = dataclasses.replace(ws, extract=ws.store.private / SYNTHETIC / "made" / "extract")
    (ratings,) = (ws.extract / "measures").iterdir()
    return Place(store=to, ws=ws, ratings=ratings, other=to / "other")


def forget_after_validation(ws: Workspace) -> None:
    """Let the cohort and all that rests on it be made again."""
    for made in ("cohort", "design", "judge"):
        shutil.rmtree(ws.store.private / "stages" / made)
    shutil.rmtree(ws.store.root / "designs")
    ws.store.prepare()


def around(
    monkeypatch: pytest.MonkeyPatch, target: str, *, before: Swap | None = None, after: Swap | None = None
) -> None:
    """Let `before` and `after` happen around every call of `target`."""
    module, _, name = target.rpartition(".")
    real = getattr(importlib.import_module(module), name)

    def called(*given: Any, **named: Any) -> Any:
        if before:
            before()
        found = real(*given, **named)
        if after:
            after()
        return found

    monkeypatch.setattr(target, called)


@pytest.mark.parametrize(
    ("file_format", "stage", "back"),
    [
        ("parquet", "validate", False),
        ("parquet", "validate", True),
        ("parquet", "cohort", False),
        ("parquet", "cohort", True),
        ("csv", "validate", False),
    ],
)
def test_a_design_rests_on_what_was_hashed(
    delivered: Callable[[str], Path],
    approved: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file_format: str,
    stage: str,
    back: bool,
) -> None:
    """Swapped between hashing and reading, and perhaps put back after it: refused, and nothing of it is kept."""
    if stage == "validate":
        place = copied(delivered(file_format), tmp_path)
    else:
        place = copied(approved(file_format), tmp_path)
        forget_after_validation(place.ws)
    reading = {"validate": "validation.extract.judge_extract", "cohort": "causal.cohort.build.build_cohort"}[stage]
    around(
        monkeypatch,
        reading,
        before=place.swap,
        after=place.put_back if back else None,
    )
    with pytest.raises(ExtractError, match=r"\[extract\.changed\].*changed while it was read"):
        design_study(place.ws, direct)
    assert not list((place.ws.store.private / "stages" / stage).glob("[!.]*"))
    assert not list((place.ws.store.root / "designs").iterdir())


@pytest.mark.parametrize(("file_format", "back"), [("parquet", False), ("parquet", True), ("csv", False)])
def test_outcomes_rest_on_what_was_hashed(
    approved: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file_format: str,
    back: bool,
) -> None:
    """Swapped while outcomes are opened: no release, and the look is on record."""
    place = copied(approved(file_format), tmp_path)
    judged = design_study(place.ws, direct)
    around(monkeypatch, "flows.answer.attach", before=place.swap)
    if back:
        around(monkeypatch, "flows.answer.prospective_ratings", before=place.put_back)
    with pytest.raises(ExtractError, match=r"\[extract\.changed\].*changed while it was read"):
        estimate_effect(place.ws, judged, direct)
    assert not place.ws.store.releases()
    assert place.ws.store.entries()[-1]["event"] == "outcomes opened"


def test_outcomes_are_opened_for_the_design_that_was_judged(approved: Callable[[str], Path], tmp_path: Path) -> None:
    """Another design under a judged one's key, whole by its own account: refused before the first row is read."""
    place = copied(approved("parquet"), tmp_path)
    judged = design_study(place.ws, direct)
    other = read_design(judged.kept)
    other = dataclasses.replace(other, members=other.members[other.members["set_id"] != other.members["set_id"].min()])
    other = dataclasses.replace(other, covariates=other.covariates[: len(other.members)])
    (judged.kept / "manifest.json").unlink()
    write_design(other, judged.kept)
    write_manifest(judged.kept)
    looks = len(place.ws.store.entries())
    with pytest.raises(DesignError, match=r"\[design\.altered\]"):
        estimate_effect(place.ws, design_study(place.ws, direct), direct)
    assert not place.ws.store.releases()
    assert len(place.ws.store.entries()) == looks
