"""Flow 1: from an extract to a design a board can judge. It ends there; no outcome is opened."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from causal.cohort.catalogue import catalogue_of, code_lists_of, indicators_of
from causal.cohort.needs import tables_needed
from causal.errors import DesignError, ExtractError
from causal.tables import PROTECTIVE_ACTIONS, SET_ASIDE
from flows.code_version import code_version
from flows.connectors.extract import ExtractFiles, read_extract
from flows.connectors.manifest import changed
from flows.engine import attach, engine, keep
from flows.published_designs import IDENTITY, identity_json
from flows.runner import Runner
from flows.set_aside import unfit
from flows.stage import Found, Kept, Stage
from flows.store import SHORT, SYNTHETIC, digest_of, file_sha256, intact, looks_before
from flows.study_file.places import refuse_failed
from flows.workspace import Workspace, tables_digest
from validation.approval import DesignIdentity
from validation.delivery import judge_as_of
from validation.protocol import judge_protocol
from validation.verdict import Verdict, failed, read_verdict

if TYPE_CHECKING:
    from causal.records import Design

QUALITY_PAGE = "quality.html"
JUDGEMENT_FILE = "judgement.json"
ACTIONS = PROTECTIVE_ACTIONS.name


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanExtract:
    """An extract found fit to use: typed Parquet files without the rows set aside, and what was found."""

    key: str
    as_of: datetime.date
    synthetic: bool
    digest: str
    files: dict[str, tuple[Path, ...]]
    rows: dict[str, int]
    set_aside: dict[str, int]
    """Counts by reason code ``<table>.<column>:<rule>``."""
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]
    quality: Path
    """The data-quality page."""
    delivered: ExtractFiles
    cleaned: Path
    """Folder of the tables that are not read as delivered."""

    def refuse_changed(self) -> None:
        """Raise ``extract.changed`` unless every file under `files` still holds the bytes that were judged."""
        self.delivered.refuse_changed()
        if not intact(self.cleaned):
            raise changed("a cleaned table of the extract")


@dataclass(frozen=True, kw_only=True)
class JudgedDesign:
    """A published design: what the approval is asked for.

    Attributes
    ----------
    kept
        Private folder of the design's rows, read when something asks for them.
    built
        Digest of that design, as it was judged.
    identified
        What adjusting achieves if the diagram is right, in a sentence or two.
    """

    kept: Path
    built: str
    extract: CleanExtract
    verdicts: tuple[Verdict, ...]
    identified: str
    digest: str
    folder: Path
    report_sha256: str

    @cached_property
    def design(self) -> Design:
        """The design itself; raises `DesignError` ``design.altered`` when it is not the one that was judged."""
        from flows.design_files import read_design

        return read_design(self.kept, self.built)

    def identity(self, ws: Workspace) -> DesignIdentity:
        """What an approval of this design must name."""
        return DesignIdentity(
            study_id=ws.study.study.id,
            design_digest=self.digest,
            protocol_digest=ws.protocol_digest,
            tables_digest=tables_digest(),
            small_cell_threshold=ws.study.governance.small_cells.threshold,
            report_sha256=self.report_sha256,
            rehearsal=self.rehearsal(ws),
        )

    def rehearsal(self, ws: Workspace) -> bool:
        """Whether the records were simulated by this store itself, for a study that says its data are synthetic."""
        made_here = (ws.store.private / SYNTHETIC).resolve() in ws.extract.resolve().parents
        return self.extract.synthetic and ws.study.governance.data_class == "synthetic" and made_here


def design_study(ws: Workspace, run: Runner) -> JudgedDesign:
    """Check, read, validate, build the cohort, design, judge, publish."""
    protocol = run(CHECK_PROTOCOL, ws)
    delivered = run(READ_EXTRACT, ws)
    extract = run(VALIDATE_EXTRACT, ws, delivered)
    cohort = run(BUILD_COHORT, ws, extract)
    design = run(BUILD_DESIGN, ws, cohort)
    return run(JUDGE_DESIGN, ws, extract, design, protocol)


def check_protocol(ws: Workspace) -> tuple[Verdict, ...]:
    """Refuse a protocol that contradicts itself, naming everything that is wrong with it at once."""
    verdicts = judge_protocol(ws.study, ws.instruments)
    refuse_failed(ws.study_file, verdicts)
    return verdicts


CHECK_PROTOCOL = Stage(name="check protocol", run=check_protocol)


def read(ws: Workspace) -> ExtractFiles:
    """Hash and type every file of the extract."""
    delivered = read_extract(
        ws.extract,
        cache=ws.store.private / "extracts",
        forbidden=ws.study.governance.forbidden_columns,
    )
    ws.say(f"as of {delivered.as_of.isoformat()}, digest {delivered.digest[:SHORT]}")
    return delivered


READ_EXTRACT = Stage(name="read extract", run=read)


def _judge_and_clean(ws: Workspace, staging: Path, delivered: ExtractFiles) -> None:
    """Judge the extract, set bad rows aside with their reasons, draw the data-quality page."""
    from flows.report.disclosed_checks import quality_page
    from validation.extract import judge_extract

    with engine(ws.store.private / "scratch", memory_gb=ws.site.memory_gb, threads=ws.site.threads) as connection:
        tables = attach(connection, delivered.files)
        judgement = judge_extract(
            tables,
            ws.instruments,
            as_of=delivered.as_of,
            quarantined_share=ws.study.gates.quarantined_share,
            needed=tables_needed(ws.study),
            codelists={name: ws.study.codelists[name].codes for name in code_lists_of(ws.study)},
            unmatched_codes=ws.study.gates.unmatched_codes,
            impossible_dates=ws.study.gates.impossible_dates,
            record_lag_days=ws.study.gates.record_lag_days,
            unreadable=delivered.unreadable,
            words=ws.study.words,
        )
        for name, rows in judgement.clean.items():
            connection.to_parquet(rows, staging / f"{name}.parquet")
        if judgement.lost_actions is not None:  # whoever they concern cannot be called untreated
            connection.to_parquet(judgement.lost_actions, staging / f"{SET_ASIDE}.parquet")
    delivered.refuse_changed()  # or what was judged under this digest were other rows
    threshold = ws.study.governance.small_cells.threshold
    facts = {
        "cleaned": sorted(judgement.clean),
        "rows": judgement.rows,
        "set_aside": judgement.counts,
        "verdicts": [dataclasses.asdict(verdict) for verdict in judgement.verdicts],
    }
    (staging / JUDGEMENT_FILE).write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    about = f"extract of {delivered.as_of.isoformat()}, digest {delivered.digest[:SHORT]}"
    page = quality_page(judgement.verdicts, judgement.rows, judgement.counts, threshold, about)
    (staging / QUALITY_PAGE).write_bytes(page)


def _clean(ws: Workspace, found: Found, delivered: ExtractFiles) -> CleanExtract:
    """The extract as it was judged; refuses one that is not fit to use, with where to read why."""
    folder = found.folder
    facts = json.loads((folder / JUDGEMENT_FILE).read_text(encoding="utf-8"))
    judged = (read_verdict(verdict) for verdict in facts["verdicts"])
    clean = CleanExtract(
        key=found.key,
        as_of=delivered.as_of,
        synthetic=delivered.synthetic,
        digest=delivered.digest,
        files={
            name: (folder / f"{name}.parquet",) if name in facts["cleaned"] else paths
            for name, paths in delivered.files.items()
        }
        | ({SET_ASIDE: (folder / f"{SET_ASIDE}.parquet",)} if ACTIONS in facts["cleaned"] else {}),
        rows=facts["rows"],
        set_aside=facts["set_aside"],
        verdicts=(judge_as_of(delivered.as_of, datetime.datetime.now(datetime.UTC).date()), *judged),
        notes=delivered.notes,
        quality=folder / QUALITY_PAGE,
        delivered=delivered,
        cleaned=folder,
    )
    problems = failed(clean.verdicts)
    if problems:
        raise ExtractError(
            problems[0].code,
            "the extract is not fit to use: "
            + unfit(problems, clean.set_aside, clean.rows, ws.study.governance.small_cells.threshold),
            fix=f"see the data-quality page in {clean.quality}",
        )
    return clean


VALIDATE_EXTRACT = Stage(
    name="validate extract",
    run=Kept(
        place="validate",
        inputs=lambda delivered: ("validate", delivered.digest),
        make=_judge_and_clean,
        read=_clean,
    ),
)


def _make_cohort(ws: Workspace, staging: Path, extract: CleanExtract) -> None:
    from causal.cohort.build import build_cohort
    from flows.design_files import write_cohort

    with engine(ws.store.private / "scratch", memory_gb=ws.site.memory_gb, threads=ws.site.threads) as connection:
        tables = attach(connection, extract.files)
        built = build_cohort(
            tables,
            ws.study,
            ws.instruments,
            lambda name, rows: keep(connection, name, rows),
            as_of=extract.as_of,
        )
    extract.refuse_changed()
    write_cohort(built, staging)


def _left_there(_ws: Workspace, found: Found, _made_of: object) -> Found:
    """Where it lies: rows are read by those who need them."""
    return found


KEPT_COHORT = Kept(place="cohort", inputs=lambda extract: ("cohort", extract.key), make=_make_cohort, read=_left_there)
BUILD_COHORT = Stage(name="build cohort", run=KEPT_COHORT)


def _make_design(ws: Workspace, staging: Path, cohort: Found) -> None:
    from causal.design.build import build_design
    from flows.design_files import read_cohort, write_design

    write_design(build_design(read_cohort(cohort.folder), ws.study), staging)


BUILD_DESIGN = Stage(
    name="build design",
    run=Kept(place="design", inputs=lambda cohort: ("design", cohort.key), make=_make_design, read=_left_there),
)


def publish_design(ws: Workspace, extract: CleanExtract, design: Found, protocol: tuple[Verdict, ...]) -> JudgedDesign:
    """Judge the design against the study's gates and publish the dossier the board reads before approving."""
    judged = JUDGEMENT(ws, extract, design, (*protocol, *extract.verdicts))
    problems = [verdict.code for verdict in failed(judged.verdicts)]
    if intact(judged.folder):
        ws.store.record("design", design=judged.digest, extract=extract.digest, failed=problems)
        ws.say(f"design {judged.digest[:SHORT]}")
        return dataclasses.replace(judged, report_sha256=file_sha256(judged.folder / "report.html"))
    from flows.report.disclosed import design_dossier
    from flows.report.render import render

    pages = render(design_dossier(ws, judged, looks=looks_before(ws.store, judged.digest)))
    judged = dataclasses.replace(judged, report_sha256=hashlib.sha256(pages["report.html"]).hexdigest())
    with ws.store.publishing(judged.folder) as staging:
        for name, content in pages.items():
            (staging / name).write_bytes(content)
        (staging / QUALITY_PAGE).write_bytes(extract.quality.read_bytes())
        (staging / IDENTITY).write_bytes(identity_json(judged.identity(ws), problems))
    ws.store.append("design", design=judged.digest, extract=extract.digest, failed=problems)
    ws.say(f"design {judged.digest[:SHORT]}: {len(problems)} failed checks")
    return judged


JUDGE_DESIGN = Stage(name="judge design", run=publish_design)


def _judge(ws: Workspace, staging: Path, extract: CleanExtract, design: Found, before: tuple[Verdict, ...]) -> None:
    """Verdicts on the design and its adjustment, what it identifies, and the digest that an approval signs."""
    from causal.effect.identification import identify
    from flows.design_files import read_design
    from validation.design import judge_adjustment, judge_design

    built = read_design(design.folder)
    known = catalogue_of(ws.study)
    adjustment = known.spread((*ws.study.confounders.tier1, *ws.study.confounders.tier2))
    found = identify(ws.study.dag, adjustment, built.fates, indicators_of(ws.study))
    if not found.sufficient and not found.not_held:
        raise DesignError("identification.open_path", found.sentence)
    verdicts = (*judge_design(built, ws.study.gates, ws.study.words, known), judge_adjustment(found))
    digest = digest_of(
        built.digest,
        extract.digest,
        ws.instruments_digest,
        code_version(),
        ws.protocol_digest,
        tables_digest(),
        ws.study.governance.small_cells.threshold,
        [(verdict.code, verdict.status, verdict.measured, verdict.limit) for verdict in (*before, *verdicts)],
    )
    facts = {
        "built": built.digest,
        "digest": digest,
        "identified": found.sentence,
        "verdicts": [dataclasses.asdict(verdict) for verdict in verdicts],
    }
    (staging / JUDGEMENT_FILE).write_text(json.dumps(facts, indent=1, sort_keys=True), encoding="utf-8")


def _judged(
    ws: Workspace, found: Found, extract: CleanExtract, design: Found, before: tuple[Verdict, ...]
) -> JudgedDesign:
    """The design with every verdict on it."""
    facts = json.loads((found.folder / JUDGEMENT_FILE).read_text(encoding="utf-8"))
    return JudgedDesign(
        kept=design.folder,
        built=facts["built"],
        extract=extract,
        verdicts=(*before, *(read_verdict(one) for one in facts["verdicts"])),
        identified=facts["identified"],
        digest=facts["digest"],
        folder=ws.store.root / "designs" / facts["digest"][:SHORT],
        report_sha256="",
    )


JUDGEMENT = Kept(
    place="judge",
    inputs=lambda _extract, design, before: (
        design.folder.name,
        digest_of([dataclasses.asdict(verdict) for verdict in before]),
    ),
    make=_judge,
    read=_judged,
)
