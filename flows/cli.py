"""The `rapport` command. Exit codes: 0 done, 1 refused with one plain message, 2 our fault.

Nothing heavy is imported before a command needs it: `rapport --help` must answer at once.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from causal.errors import RapportError, StudyFileError
from flows.console import Console, told
from flows.release_lines import release_lines
from flows.shown import shown_path

if TYPE_CHECKING:
    from flows.runner import Runner
    from flows.workspace import Workspace

T = TypeVar("T")
INTERRUPTED = 130
"""What Typer makes of Ctrl-C, where it should be said."""

app = typer.Typer(
    name="rapport",
    help="Learn from health records about an effect that may not be randomised.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

WAITING = "it makes sense, and waits: this version cannot run it (protocol.not_yet_estimable says which part)"
Study = Annotated[Path, typer.Argument(help="The study file, for example configs/studies/duty_to_warn.yaml.")]
Extract = Annotated[Path | None, typer.Option(help="Folder of the delivered extract (with manifest.json).")]
SiteFile = Annotated[Path | None, typer.Option("--site", help="Site file. Default: configs/sites/local.yaml.")]
Results = Annotated[Path | None, typer.Option(help="Folder for results; overrides the site file.")]
Direct = Annotated[bool, typer.Option("--direct", help="Run the same stages without Prefect (no server start).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, nothing else.")]


def _needs_extract(extract: Path | None) -> None:
    if extract is None:
        raise RapportError("command.extract", "this command needs an extract", fix="add --extract FOLDER")


def _run(
    pipeline: Callable[[Workspace, Runner], T],
    flow: str,
    ws: Workspace,
    console: Console,
    *,
    without_prefect: bool,
    delivery: str = "",
) -> T:
    """What `pipeline` gives, under the study's lock: directly, or as the Prefect flow of that name."""
    from flows.quiet import hush
    from flows.runner import direct

    hush(ws.store.root.parent / ".prefect")
    with ws.store.begun():
        if without_prefect:
            return pipeline(ws, direct)
        from flows.pipelines.recorded import through_prefect
        from flows.pipelines.studies import FLOWS

        return through_prefect(FLOWS[flow], pipeline, ws, delivery=delivery, tell=console.tell)


def _kind(study: Path) -> str:
    """The kind of study a file holds."""
    from flows.study_file import load_study
    from flows.workspace import instruments_beside

    return load_study(study, instruments=instruments_beside(study) or None).study.kind


TABLES = ("flat_table", "long_table")
"""Kinds of studies of one table, which have no extract."""


def _refuse_extract(extract: Path | None) -> None:
    if extract is not None:
        raise RapportError(
            "command.extract", "a study of one table reads no extract", fix="leave --extract out: data names the table"
        )


@app.command()
def simulate(
    study: Study,
    out: Annotated[Path, typer.Option(help="New folder for extract/, truth.parquet and dirt.json.")],
    patients: Annotated[int, typer.Option(help="How many patients.")] = 20_000,
    seed: Annotated[int, typer.Option(help="Same seed, same extract.")] = 1,
    file_format: Annotated[str, typer.Option("--format", help="parquet or csv.")] = "parquet",
    switch: Annotated[list[str] | None, typer.Option(help="Hard-mode switch, NAME=DOSE; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Write a synthetic extract whose true effect is known."""
    from causal.simulation import parameters_with
    from flows.simulate_extract import simulate_extract
    from flows.study_file import load_study

    console = Console(as_json=as_json)
    loaded = load_study(study)
    parameters = parameters_with(switch or [])
    if file_format not in ("parquet", "csv"):
        raise RapportError("command.format", f"format is '{file_format}', expected parquet or csv")
    started = time.perf_counter()
    summary = simulate_extract(
        parameters, patients=patients, seed=seed, out=out, file_format="csv" if file_format == "csv" else "parquet"
    )
    rows = sum(table["rows"] for table in summary["tables"].values())
    console.answer(
        f"{rows} rows for {patients} patients in {time.perf_counter() - started:.1f} s: {out / 'extract'}\n"
        f"check it with: rapport check {study} --extract {out / 'extract'}",
        {"study": loaded.study.study.id, "rows": rows, "extract": str(out / "extract")},
    )


@app.command()
def check(
    study: Study, extract: Extract = None, site: SiteFile = None, results: Results = None, as_json: Json = False
) -> None:
    """Check every part of a study, and the extract when one is given, before anything runs."""
    from causal.protocol import OccasionStudy
    from flows.study_file import load_study
    from flows.study_file.places import places_of
    from flows.workspace import instruments_beside, open_workspace
    from validation.estimable import waiting
    from validation.protocol import judge_protocol
    from validation.verdict import failed

    console = Console(as_json=as_json)
    instruments = instruments_beside(study)
    loaded = load_study(study, instruments=instruments or None)
    verdicts = judge_protocol(loaded.study, instruments)
    waits = waiting(verdicts)
    if site is not None:
        from flows.settings import load_site

        load_site(site)
    if extract is not None and not isinstance(loaded.study, OccasionStudy):
        raise StudyFileError("study.kind", f"{study.name} is a study of another kind, which reads no extract")
    if extract is not None and isinstance(loaded.study, OccasionStudy) and not (failed(verdicts) or waits):
        from flows.design_study import READ_EXTRACT, VALIDATE_EXTRACT

        ws = open_workspace(study, extract=extract, site=site, results=results, say=console.say)
        with ws.store.locked():
            clean = VALIDATE_EXTRACT(ws, READ_EXTRACT(ws))
        verdicts = (*verdicts, *clean.verdicts)
    bad = failed(verdicts)
    places = places_of(study, bad)
    lines = [
        f"{v.status:<13} {v.code:<34} {v.sentence}" + (f" ({places[v.code]})" if v.code in places else "")
        for v in verdicts
    ]
    console.answer(
        "\n".join([*lines, f"{len(bad)} of {len(verdicts)} checks failed", *(WAITING for _ in waits)]),
        {
            "study": loaded.study.study.id,
            "can_run": not (bad or waits),
            "verdicts": [
                {"code": v.code, "status": v.status, "sentence": v.sentence, "place": places.get(v.code)}
                for v in verdicts
            ],
        },
    )
    if bad:
        raise typer.Exit(1)


@app.command()
def design(
    study: Study,
    extract: Extract = None,
    site: SiteFile = None,
    results: Results = None,
    without_prefect: Direct = False,
    as_json: Json = False,
) -> None:
    """Build the comparison and the dossier a board reads; open no outcome."""
    from validation.verdict import failed

    console = Console(as_json=as_json)
    if _kind(study) in TABLES:
        from flows.one_table import design_table, open_table

        _refuse_extract(extract)
        work = open_table(study, site=site, results=results, say=console.say)
        assert work is not None
        with work.store.begun():
            table = design_table(work)
        _print_design(console, study, table.digest, table.folder, [one.code for one in failed(table.verdicts)])
        return
    from flows.design_study import design_study
    from flows.workspace import open_workspace

    ws = open_workspace(study, extract=extract, site=site, results=results, say=console.say)
    _needs_extract(extract)
    judged = _run(design_study, "design-study", ws, console, without_prefect=without_prefect)
    _print_design(console, study, judged.digest, judged.folder, [verdict.code for verdict in failed(judged.verdicts)])


def _print_design(console: Console, study: Path, digest: str, folder: Path, bad: list[str]) -> None:
    console.answer(
        f"design {digest[:16]}: read {folder / 'report.html'}\n"
        + (f"failed checks: {', '.join(bad)}" if bad else "every check that could be run passed")
        + f"\nthen: rapport approve {study} --design {digest[:16]} --key KEY --approver NAME --role ROLE "
        "--expires YYYY-MM-DD",
        {"design": digest, "folder": str(folder), "failed": bad},
    )


@app.command()
def approve(
    study: Study,
    design_digest: Annotated[
        str | None, typer.Option("--design", help="Digest of the design, or its beginning.")
    ] = None,
    key: Annotated[Path, typer.Option(help="The approver's private key.")] = Path("approver.key"),
    init: Annotated[bool, typer.Option("--init", help="Make the key and print what the site file needs.")] = False,
    approver: Annotated[str, typer.Option(help="Who approves.")] = "",
    role: Annotated[str, typer.Option(help="In what role.")] = "",
    expires: Annotated[str, typer.Option(help="Last day on which it holds, YYYY-MM-DD.")] = "",
    accept: Annotated[
        list[str] | None, typer.Option(help="Code of a failed check that is accepted; may be repeated.")
    ] = None,
    site: SiteFile = None,
    results: Results = None,
    as_json: Json = False,
) -> None:
    """Sign a design, so that its outcomes may be opened; or make the key to sign with (--init)."""
    from flows.approvals import create_key, decide, file_approval, fingerprint, read_key, sign
    from flows.published_designs import find_design
    from flows.workspace import store_of
    from validation.approval import check_can_sign

    console = Console(as_json=as_json)
    if init:
        public = create_key(key)
        console.answer(
            f"private key: {key} (keep it; it is not the analyst's)\nadd this to the site file:\n"
            f"approvers:\n  - {{name: NAME, role: ROLE, public_key: {public}}}",
            {"key": str(key), "public_key": public},
        )
        return
    missing = [
        name
        for name, value in (
            ("--design", design_digest),
            ("--approver", approver),
            ("--role", role),
            ("--expires", expires),
        )
        if not value
    ]
    if missing:
        raise RapportError("command.approve", f"an approval needs {', '.join(missing)}")
    _, store = store_of(study, site=site, results=results)
    identity, bad = find_design(store, design_digest or "")
    check_can_sign(
        approver=approver,
        role=role,
        expires=expires,
        accepted=accept or (),
        failures=bad,
        today=datetime.datetime.now(datetime.UTC).date().isoformat(),
    )
    decision = decide(
        identity, approver=approver, role=role, expires=expires, accepted_failures=tuple(accept or ()), simulated=False
    )
    approval = sign(decision, read_key(key))
    with store.locked():
        path = file_approval(store, approval)
    left = sorted(set(bad) - set(accept or ()))
    console.answer(
        f"approved design {identity.design_digest[:16]} with key {fingerprint(approval.public_key)}: {path}"
        + (f"\nnot accepted, so outcomes stay closed: {', '.join(left)}" if left else ""),
        {"approval": str(path), "design": identity.design_digest, "not_accepted": left},
    )


@app.command()
def estimate(
    study: Study,
    extract: Extract = None,
    truth: Annotated[Path | None, typer.Option(help="Truth file of a synthetic extract.")] = None,
    site: SiteFile = None,
    results: Results = None,
    without_prefect: Direct = False,
    as_json: Json = False,
) -> None:
    """Open the outcomes of an approved design, estimate, and publish a release."""
    console = Console(as_json=as_json)
    if _kind(study) in TABLES:
        _refuse_extract(extract)
        _table_released(study, site, results, console)
        return
    from flows.estimate_effect import design_and_estimate
    from flows.workspace import open_workspace

    ws = open_workspace(study, extract=extract, site=site, results=results, truth=truth, say=console.say)
    _needs_extract(extract)
    done = _run(design_and_estimate, "estimate-effect", ws, console, without_prefect=without_prefect)
    _print_release(console, done.folder, fresh=done.fresh)


def _table_released(study: Path, site: Path | None, results: Path | None, console: Console) -> list[str]:
    """Design and release a study of one table; gives the codes of failed checks."""
    from flows.one_table import design_table, estimate_table, open_table

    work = open_table(study, site=site, results=results, say=console.say)
    assert work is not None
    with work.store.begun():
        folder, fresh = estimate_table(work, design_table(work))
    facts = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    bad = [line["code"] for line in facts["verdicts"] if line["status"] == "FAIL"]
    told = f"failed checks: {', '.join(bad)}" if bad else "every check that could be run passed"
    console.answer(
        f"{'published' if fresh else 'unchanged'}: {folder / 'report.html'}\n{told}",
        {"release": str(folder), "fresh": fresh, "failed": bad, "findings": facts["findings"], "main": facts["main"]},
    )
    return bad


@app.command()
def run(
    study: Study,
    extract: Extract = None,
    truth: Annotated[Path | None, typer.Option(help="Truth file of a synthetic extract.")] = None,
    synthetic: Annotated[
        int | None, typer.Option(help="Simulate this many patients first; a simulated board approves.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of --synthetic.")] = 1,
    switch: Annotated[list[str] | None, typer.Option(help="Hard-mode switch of --synthetic, NAME=DOSE.")] = None,
    site: SiteFile = None,
    results: Results = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="One table: exit code 1 where a check of its answer failed.")
    ] = False,
    without_prefect: Direct = False,
    as_json: Json = False,
) -> None:
    """Run a study from its extract (or one table) to a release; outcomes open only if a board has approved."""
    from causal.protocol import FlatTableStudy, LongTableStudy
    from flows.study_file import load_study
    from flows.workspace import open_workspace

    console = Console(as_json=as_json)
    loaded = load_study(study)
    if isinstance(loaded.study, FlatTableStudy | LongTableStudy):
        _refuse_extract(extract)
        if loaded.study.governance is not None:
            if _table_released(study, site, results, console) and strict:
                raise typer.Exit(1)
            return
        if isinstance(loaded.study, LongTableStudy):
            from flows.long_table import analyse as analyse_long

            text, value = analyse_long(loaded.study, study)
        else:
            from flows.flat_table import analyse

            text, value = analyse(loaded.study, study)
        console.answer(text, value)
        if not all(line["agrees"] for line in value["published"]) or (strict and value["failed"]):
            raise typer.Exit(1)
        return
    if strict:
        raise RapportError(
            "command.strict", "--strict is for one table: checks of other studies stop them by themselves"
        )
    if synthetic is None:
        estimate(study, extract, truth, site, results, without_prefect, as_json)
        return
    from causal.simulation import parameters_with
    from flows.pipelines.names import synthetic_delivery
    from flows.simulate_study import simulate_study

    ws = open_workspace(study, site=site, results=results, say=console.say)
    parameters = parameters_with(switch or [])
    done = _run(
        partial(simulate_study, parameters=parameters, patients=synthetic, seed=seed),
        "simulate-study",
        ws,
        console,
        without_prefect=without_prefect,
        delivery="" if switch else synthetic_delivery(synthetic, seed),
    )
    _print_release(console, done.folder, fresh=done.fresh)


def _print_release(console: Console, folder: Path, *, fresh: bool) -> None:
    facts = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    lines = [f"{'published' if fresh else 'unchanged'}: {folder / 'report.html'}"]
    lines += release_lines(facts)
    console.answer(
        "\n".join(lines),
        {"release": str(folder), "fresh": fresh} | {key: facts[key] for key in ("results", "unanswered", "truth")},
    )


@app.command()
def status(study: Study, site: SiteFile = None, results: Results = None, as_json: Json = False) -> None:
    """What has been designed, approved and released for a study."""
    from flows.published_designs import list_designs
    from flows.store import looks
    from flows.workspace import store_of

    console = Console(as_json=as_json)
    study_id, store = store_of(study, site=site, results=results)
    entries = store.entries()
    designs = list_designs(store)
    releases = [path.name for path in store.releases()]
    opened = looks(entries)
    lines = [f"study {study_id} under {store.root}"]
    lines += [
        f"design {d.digest[:16]}: {'approved' if d.approved else 'not approved'}, "
        + ("damaged: its files are not those that were published" if d.damaged else "")
        + (f"failed checks: {', '.join(d.failed) or 'none'}" if not d.damaged else "")
        for d in designs
    ]
    lines += [f"release {name}" for name in releases]
    lines.append(f"outcomes opened for {opened} design(s); ledger: {len(entries)} entries, chain intact")
    console.answer(
        "\n".join(lines),
        {
            "study": study_id,
            "designs": [
                {"digest": d.digest, "approved": d.approved, "failed": list(d.failed), "damaged": d.damaged}
                for d in designs
            ],
            "releases": releases,
            "outcomes_opened": opened,
            "ledger_entries": len(entries),
        },
    )


@app.command()
def mend(study: Study, site: SiteFile = None, results: Results = None, as_json: Json = False) -> None:
    """Set a ledger's cut last line aside, as an interrupted write leaves it, so that the ledger can go on."""
    from flows.workspace import store_of

    console = Console(as_json=as_json)
    study_id, store = store_of(study, site=site, results=results)
    with store.locked():
        aside = store.mend_ledger()
        entries = store.entries()
    console.answer(
        f"the cut line is kept in {aside}\nledger: {len(entries)} entries, chain intact",
        {"study": study_id, "cut_line": str(aside), "ledger_entries": len(entries)},
    )


@app.command()
def schema(
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of standard output.")] = None,
) -> None:
    """The JSON Schema of study files, for editors."""
    from flows.machine import mend_of
    from flows.study_file import schema_text, write_schema

    if out is None:
        typer.echo(schema_text(), nl=False)
        return
    try:
        write_schema(out)
    except OSError as error:
        raise RapportError(
            "command.out",
            f"{shown_path(out)} cannot be written: {os.strerror(error.errno or 0).lower()}",
            fix=mend_of(error),
        ) from None


def main() -> None:
    """Run a command; turn every refusal into one message and an exit code."""
    from typer.exceptions import TyperException

    # One thread in the linear algebra: the same bytes on any number of cores, and faster on matrices of this size.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        code = app(standalone_mode=False)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        sys.stdout.flush()  # or a full disk, or a reader that left, would be met where nobody tells it
    except BrokenPipeError:  # nobody reads on, so nobody is told
        code = _quiet(1)
    except RapportError as refusal:
        typer.echo(f"refused: {refusal}", err=True)
        code = 1
    except TyperException as usage:
        typer.echo(f"refused: {usage.format_message()} Try 'rapport --help'.", err=True)
        code = 1
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("stopped", err=True)
        code = 1
    except Exception as error:
        if os.environ.get("RAPPORT_DEBUG") == "1":
            raise
        line, code = told(error)
        typer.echo(line, err=True)
        code = _quiet(code)
    sys.exit(code if isinstance(code, int) else 0)


def _quiet(code: int) -> int:
    """`code`, with what standard output could not take thrown away: Python would try it again on its way out."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    main()
