"""Write docs/reference from the code: what a command, a key, a column or a check is, is said once, where it is made.

Run `.venv/bin/python docs/generate.py` after changing any of these; `tests/architecture/test_docs.py` fails while a
page is stale.
"""
# ruff: noqa: INP001  a folder of documents is not a package

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

import typer

from causal import errors
from causal.cohort.catalogue import EXACT_KEYS
from causal.cohort.language.types import typed
from causal.cohort.language.words import TAKES, said
from causal.protocol import Instrument
from causal.protocol.design import Gates
from causal.protocol.flat_gates import FlatGates
from causal.simulation import SimulationParameters
from causal.tables import EARLIEST_DATE, ITEM_COLUMNS, TABLES, Column, Rule, Table
from flows.cli import app
from flows.study_file import load_instruments, study_json_schema
from flows.study_file.plain_words import expected
from flows.study_file.shared import shared_beside

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"

Schema = dict[str, Any]


def page(title: str, made_from: str, *parts: str) -> str:
    """Put together a page: its title, a note on where it comes from, and its parts."""
    note = f"Generated from {made_from} by `docs/generate.py`; change it there."
    return "\n\n".join([f"# {title}", note, *(part.strip("\n") for part in parts)]) + "\n"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Write a Markdown table; bars inside cells are escaped and line breaks removed."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def sentence(text: str | None) -> str:
    """Take the first paragraph of a docstring on one line, double backquotes made single."""
    paragraph = inspect.cleandoc(text or "").split("\n\n")[0]
    return " ".join(paragraph.replace("``", "`").split())


# Commands


def command_page() -> str:
    """List every command of `rapport` with its arguments and options."""
    commands = list(_commands())
    listing = table(("Command", "What it does"), ((f"[`{c.name}`](#{c.name})", sentence(c.help)) for c in commands))
    codes = (
        "Exit codes: 0 done, 1 refused with one plain message, 2 our fault. Progress goes to standard error, the "
        "answer to standard output."
    )
    return page("The command", "`flows/cli.py`", codes, listing, *(_command_part(c) for c in commands))


def _commands() -> Iterator[Any]:
    group: Any = typer.main.get_command(app)
    yield from group.commands.values()


def _command_part(command: Any) -> str:
    hints = inspect.get_annotations(command.callback, eval_str=True)
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(
        ["rapport", command.name, *(p.name.upper() for p in arguments), *(["[OPTIONS]"] if options else [])]
    )
    rows = [(f"`{p.name.upper()}`", "", sentence(p.help)) for p in arguments]
    rows += [
        (f"`{', '.join(p.opts)}{_placeholder(hints.get(p.name))}`", _default(p), sentence(p.help)) for p in options
    ]
    return "\n\n".join(
        [f"## {command.name}", sentence(command.help), f"```\n{usage}\n```", table(("", "Default", "Meaning"), rows)]
    )


def _placeholder(hint: Any) -> str:
    words = {bool: "", int: " NUMBER", Path: " PATH", str: " TEXT"}
    while hint not in words:
        hint = next(part for part in get_args(hint) if part is not type(None))
    return words[hint]


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    return "" if parameter.default in (None, False, "", []) else f"`{parameter.default}`"


# Simulation parameters


def simulation_page() -> str:
    """List every number of the simulator that `--switch` can set."""
    meanings = _attribute_docstrings(SimulationParameters)
    rows = [
        (f"`{f.name}`", f"`{_dose(f.default)}`", sentence(meanings.get(f.name))) for f in fields(SimulationParameters)
    ]
    how = (
        "Set with `--switch NAME=DOSE` of `rapport simulate` or `rapport run --synthetic`. Points are points of the "
        "1-5 scale of the alliance; a logit is log-odds. A name without a meaning belongs with the ones above it."
    )
    return page(
        "Simulation parameters", "`causal/simulation/parameters.py`", how, table(("Name", "Default", "Meaning"), rows)
    )


def _dose(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(f"{part:g}" for part in value)
    return {"True": "true", "False": "false", "None": "none"}.get(str(value), str(value))


def _attribute_docstrings(cls: type) -> dict[str, str]:
    """Find the string literal under each annotated attribute of a class."""
    body = ast.parse(inspect.getsource(cls)).body[0].body  # type: ignore[attr-defined]
    pairs = pairwise(body)
    return {
        field.target.id: text.value.value
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


# Study files


ESTIMATED = dict.fromkeys(("occasions", "flat_table", "long_table"), "checked, designed, estimated")
"""Kinds of study this version can answer."""


def study_file_page() -> str:
    """List every key of every kind of study: what is accepted, what stands when it is absent, what it means."""
    root = study_json_schema()
    named = {tag: ref.rsplit("/", 1)[-1] for tag, ref in root["discriminator"]["mapping"].items()}
    kinds = {tag: named[tag] for tag in (*ESTIMATED, *sorted(named.keys() - ESTIMATED.keys()))}
    inside = [name for name in root["$defs"] if name not in kinds.values() and "properties" in root["$defs"][name]]
    intro = (
        "The top of a study file says `schema_version: rapport-study/1` and its `kind`. Unknown keys are refused, "
        "nothing is converted, and every problem is named with its line."
    )
    listing = table(
        ("`kind`", "Study", "Can be"),
        (
            (
                f"[`{tag}`](#{_anchor(root['$defs'][name]['title'])})",
                sentence(root["$defs"][name]["description"]),
                ESTIMATED.get(tag, "checked; not yet estimated"),
            )
            for tag, name in kinds.items()
        ),
    )
    return page(
        "The study file",
        "`causal/protocol/`",
        intro,
        listing,
        *(_block(root["$defs"][name], root, "##") for name in kinds.values()),
        "## Blocks",
        *(_block(root["$defs"][name], root, "###") for name in sorted(inside)),
    )


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")


def _block(schema: Schema, root: Schema, level: str) -> str:
    required = schema.get("required", [])
    rows = (
        (
            f"`{key}`",
            _accepted(part, root),
            "required" if key in required else _otherwise(part.get("default")),
            sentence(part.get("description") or _target(part, root).get("description")),
        )
        for key, part in schema["properties"].items()
    )
    return "\n\n".join(
        [
            f"{level} {schema['title']}",
            sentence(schema.get("description")),
            table(("Key", "Accepted", "Default", "Meaning"), rows),
        ]
    )


def _accepted(part: Schema, root: Schema) -> str:
    """Say what a key accepts, with links to the blocks it may hold."""
    if "properties" in _target(part, root):
        return _link(_target(part, root))
    if "oneOf" in part:
        tag = part["discriminator"]["propertyName"]
        return f"by `{tag}`: " + ", ".join(
            _link(root["$defs"][ref.rsplit("/", 1)[-1]], shown)
            for shown, ref in part["discriminator"]["mapping"].items()
        )
    if "anyOf" in part:
        return " or ".join(_accepted(each, root) for each in part["anyOf"])
    if part.get("type") == "array" and isinstance(part.get("items"), dict):
        return f"a list of: {_accepted(part['items'], root)}"
    if part.get("type") == "object" and isinstance(part.get("additionalProperties"), dict):
        return f"names, each with: {_accepted(part['additionalProperties'], root)}"
    if part.get("type") == "null":
        return "null"
    if "const" in part:
        return f"`{_plain(part['const'])}`"
    return expected(part, root)


def _target(part: Schema, root: Schema) -> Schema:
    """Follow a reference to a block; empty when `part` is none."""
    found: Schema = root["$defs"][part["$ref"].rsplit("/", 1)[-1]] if "$ref" in part else {}
    return found


def _otherwise(default: object) -> str:
    return "as in the block" if isinstance(default, dict) and default else f"`{_plain(default)}`"


def _link(schema: Schema, shown: str | None = None) -> str:
    return f"[{shown or schema['title']}](#{_anchor(schema['title'])})"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


# Tables, covariates, instruments


def tables_page() -> str:
    """List every table and column of an extract, and why a row can be set aside."""
    intro = (
        "Ids are opaque text. Timestamps are clinic-local wall-clock times without a zone; dates are ISO and lie "
        f"between {EARLIEST_DATE} and the day of the extract. A row that breaks a rule is set aside under the reason "
        "code `<table>.<column>:<rule>` and counted; nothing is repaired. Required: `every value`, or `the column` "
        "(its values may be empty), or `nothing` (the column may be absent)."
    )
    comments = _comments_after(ROOT / "causal" / "tables.py")
    rules = table(("Rule", "A row is set aside when"), ((f"`{rule.value}`", comments[rule.name]) for rule in Rule))
    return page(
        "Tables of an extract", "`causal/tables.py`", intro, rules, *(_table_part(each) for each in TABLES.values())
    )


def _comments_after(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^    ([A-Z_]+) = \"[a-z_]+\"  # (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE))


def _table_part(declared: Table) -> str:
    facts = [f"One row is {declared.grain}."]
    facts += [f"Key: {', '.join(f'`{name}`' for name in declared.key)}."] if declared.key else ["Rows have no key."]
    facts += [f"`{key.column}` names a row of `{key.table}`." for key in declared.foreign_keys]
    facts += [
        f"`{order.later}` is not before `{f'{order.via.table}.' if order.via else ''}{order.earlier}`."
        for order in declared.orders
    ]
    facts += ["The whole table may be absent."] if declared.optional else []
    return "\n\n".join(
        [
            f"## {declared.name}",
            " ".join(facts),
            table(("Column", "Kind", "Allowed", "Required", "Meaning"), _column_rows(declared)),
        ]
    )


def _column_rows(declared: Table) -> Iterator[tuple[str, ...]]:
    for column in declared.columns:
        if column.name in ITEM_COLUMNS[1:]:
            continue
        items = column.name == ITEM_COLUMNS[0]
        name = f"`{column.name}` to `{ITEM_COLUMNS[-1]}`" if items else f"`{column.name}`"
        meaning = "responses to items 1 to 36, as far as the instrument has them" if items else column.meaning
        needed = "every value" if column.required else "nothing" if column.optional else "the column"
        yield name, column.kind.value, _allowed(column), needed, meaning


def _allowed(column: Column) -> str:
    unit = f" {column.unit}" if column.unit else ""
    if column.values:
        return ", ".join(f"`{value}`" for value in column.values)
    if column.low is not None and column.high is not None:
        return f"{column.low:g} to {column.high:g}{unit}"
    if column.low is not None:
        return f"{column.low:g} or more{unit}"
    return unit.strip()


EXAMPLES = """\
anxiety: {take: last, of: {score: gad7, rater: patient}, before: 180 days}
anxiety_severe: {of: anxiety, at_least: 15}
telephone_contacts: {take: count, of: encounters, where: {modality: phone, status: completed}, before: 90 days}
ways_of_meeting: {take: count_distinct, of: encounters.modality, before: ever}
colleague_load: {take: count, of: encounters, same: [clinician], before: 30 days}
long_stay: {take: exists, of: hospitalizations, where: {legal_status: involuntary}, before: 3650 to 30 days}
in_treatment: {take: time_since, of: episodes.start, same: [person, clinician], at: time_zero, scale: months of 30 days}
any_psychosis: {take: exists, of: {codes: psychosis}, before: ever}
ethnicity_group: {take: value, of: person.race_eth, reference: white}
trained_as: {take: value, of: clinician.profession, is: [psychologist, psychiatrist]}
worst_mood: {take: maximum, of: {score: phq9, rater: patient}, before: 365 days, minimum_rows: 2}
mood_gap: {difference: [worst_mood, anxiety]}
"""
"""Definitions that the page shows; a test reads and computes each of them."""


def definitions_page() -> str:
    """Explain the language of definitions, and list every definition, code list and exact key a study may name."""
    shared = shared_beside(ROOT / "configs" / "studies" / "duty_to_warn.yaml")
    known = typed(shared.definitions, None)
    schema = study_json_schema()
    keys = table(
        ("Key", "Expected", "What it says"),
        (
            (f"`{key}`", expected(field, schema), field.get("description", ""))
            for key, field in schema["$defs"]["Definition"]["properties"].items()
        ),
    )
    takes = table(("`take`", "Gives"), ((f"`{take}`", words) for take, words in TAKES.items()))
    rows = (
        (f"`{name}`", one.definition.label or "", one.definition.meaning or said(one)) for name, one in known.items()
    )
    lists = ((f"`{name}`", f"{one.codes[0]} to {one.codes[-1]}", one.source) for name, one in shared.codelists.items())
    intro = (
        "What a study takes from the records before time zero is said in definitions: under `definitions:` in its own "
        "file, or by the name of one in `configs/definitions`. Name it under `confounders`, `estimator.adjust_for` or "
        "`prior_ratings`. Rows count when they are dated strictly before time zero (rows with only a date: before its "
        "day). A column that becomes known later than its row (`known_at` in the tables), such as why a relationship "
        "ended, reads as not recorded until then. A category becomes an indicator of each of its values; models leave "
        "`reference` out, balance is judged at all. Where a number can be missing, `missing.covariates` says what "
        "stands in. `unit` is the occasion, with its regime in force as `unit.regime`."
    )
    return page(
        "Definitions",
        "`causal/protocol/definitions.py`, `configs/definitions` and `configs/codelists`",
        intro,
        "## Examples",
        f"```yaml\n{EXAMPLES}```",
        "## What is taken",
        takes,
        "## Keys",
        keys,
        "## Shared definitions",
        table(("Name", "Label", "Meaning"), rows),
        "## Code lists",
        table(("Name", "Codes", "Source"), lists),
        "## Exact keys",
        table(("Key", "Compared occasions agree in"), ((f"`{name}`", words) for name, words in EXACT_KEYS.items())),
    )


def instruments_page() -> str:
    """Lay out every scoring key that ships."""
    keys = load_instruments(ROOT / "configs" / "instruments")
    intro = (
        "Keys only: numbers of items, never their wording. Order of scoring: missing codes are mapped, reversed items "
        "turned, answered items counted, then averaged or summed (`causal/measures/scoring.py`)."
    )
    return page("Instruments", "`configs/instruments/`", intro, *(_instrument_part(key) for key in keys.values()))


def _instrument_part(key: Instrument) -> str:
    enough = f"at least {key.minimum_answered} of {key.n_items}"
    total = f"{key.total} of the items answered; {enough}"
    if key.total == "none":
        total = f"no total; each subscale is a mean; {enough} items answered"
    rows = [
        ("Form", f"`{key.version}`, {key.n_items} items, responses {key.low} to {key.high}"),
        ("Read as no answer", ", ".join(f"`{code}`" for code in key.missing_codes) or "nothing"),
        ("Reversed items", ", ".join(map(str, key.reverse)) or "none"),
        *(
            (f"Subscale {name}", f"items {', '.join(map(str, part.items))}; at least {part.minimum_answered} answered")
            for name, part in key.subscales.items()
        ),
        ("Total", total),
        ("Rights", key.licence.holder + ("; permission needed" if key.licence.permission_required else "")),
        ("Key checked against", f"{key.verified.status.replace('_', ' ')}: {key.verified.source}"),
    ]
    return f"## {key.id}\n\n{table(('', ''), rows)}"


# Verdicts and refusals

CODE = re.compile(r"(extract|protocol|design|approval|disclosure|flat)(\.[a-z0-9_…]+)+")
GATE_OF = {"design.balance_tier1": "smd_tier1", "design.balance_tier2": "smd_tier2"}
"""Checks whose sentence is made in a helper: the gate that says the same."""


def verdicts_page() -> str:
    """List every check and every refusal: its code, its words, and the file that gives it."""
    checks, refusals = _checks(), _refusals()
    intro = (
        "A check gives PASS, FAIL or NOT EVALUATED, with the figure, the limit and a sentence. A failed check of the "
        "protocol or the extract stops the run. A failed check of the design keeps outcomes closed unless the approval "
        "names its code (`rapport approve --accept CODE`). A failed check of a flat table's answer speaks in its first "
        "line. A refusal stops the command with exit code 1. `…` stands "
        "for what is filled in; where there are several wordings, the longest is shown."
    )
    return page(
        "Verdicts and refusals",
        "`validation/` and every `RapportError` in the code",
        intro,
        "## Checks",
        table(("Code", "Words", "Given in"), ((f"`{code}`", *rest) for code, rest in sorted(checks.items()))),
        "## Gates of a design",
        table(("Key of `gates`", "Default", "Limit"), _gate_rows(Gates)),
        "## Limits of a flat table",
        table(("Key of `gates`", "Default", "Limit"), _gate_rows(FlatGates)),
        "## Refusals",
        table(("Code", "Words", "Raised in"), ((f"`{code}`", *rest) for code, rest in sorted(refusals.items()))),
    )


def _gate_rows(gates: type[Gates | FlatGates]) -> Iterator[tuple[str, str, str]]:
    for name, field in gates.model_fields.items():
        yield f"`{name}`", f"`{field.default}`", sentence(field.description)


def _functions(*packages: str) -> Iterator[tuple[str, ast.FunctionDef]]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            place = f"`{path.relative_to(ROOT).as_posix()}`"
            yield from ((place, node) for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def _text(node: ast.expr | None, function: ast.FunctionDef | None) -> str:
    """Read a literal, a sum of literals, or what a name stands for in `function`; "…" for the rest."""
    match node:
        case ast.Constant(value=str() as words):
            return words
        case ast.JoinedStr(values=parts):
            return "".join(_text(part, None) for part in parts)
        case ast.BinOp(left=left, right=right):
            return _text(left, None) + _text(right, None)
        case ast.IfExp(body=body, orelse=orelse):
            return max(_text(body, None), _text(orelse, None), key=len)
        case ast.Name(id=name) if function is not None:
            given = [a for a in ast.walk(function) if isinstance(a, ast.Assign) and _named(a.targets[0], name)]
            before = [a for a in given if a.lineno <= node.lineno]
            return _text(max(before, key=lambda a: a.lineno).value, None) if before else "…"
        case _:
            return "…"


def _named(target: ast.expr, name: str) -> bool:
    return isinstance(target, ast.Name) and target.id == name


def _argument(call: ast.Call, position: int, keyword: str) -> ast.expr | None:
    named = [each.value for each in call.keywords if each.arg == keyword]
    return named[0] if named else call.args[position] if -len(call.args) <= position < len(call.args) else None


def _checks() -> dict[str, tuple[str, str]]:
    """Find words and place by code: codes stand first in a call or a tuple of `validation`, words stand last."""
    gates = {name: limit for name, _, limit in _gate_rows(Gates)}
    found: dict[str, tuple[str, str]] = {}
    for place, function in _functions("validation"):
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Name(id=name)) if name not in _refusal_kinds():
                    code = _text(_argument(node, 0, "code"), function)
                    words = _text(_argument(node, -1, "sentence"), function)
                case ast.Tuple(elts=[first, *_, last]):
                    code, words = _text(first, function), _text(last, function)
                case _:
                    continue
            words = gates[f"`{GATE_OF[code]}`"] if code in GATE_OF else words
            if CODE.fullmatch(code) and _better(words, found.get(code, ("", ""))[0]):
                found[code] = (words, place)
    return found


def _refusals() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for place, function in _functions("causal", "validation", "flows"):
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[code, message, *_]) if name in _refusal_kinds():
                    words = _text(message, function)
                    either = (code.body, code.orelse) if isinstance(code, ast.IfExp) else (code,)
                    for each in (said for one in either for said in _spelled_out(_text(one, function))):
                        if _better(words, found.get(each, ("", ""))[0]):
                            found[each] = (words, place)
                case _:
                    pass
    return found


def _better(words: str, known: str) -> bool:
    """Whether `words` say more: longer is better, and a check that could not be run comes last."""
    rank = [(bool(each) and not each.startswith("not evaluated"), len(each)) for each in (words, known)]
    return rank[0] > rank[1]


def _spelled_out(code: str) -> tuple[str, ...]:
    """Write out codes that begin with the kind of file; none where nothing is known of the code."""
    if code.startswith("….") and code != "….…":
        return tuple(f"{kind}{code[1:]}" for kind in ("study", "site", "instrument"))
    return () if code.startswith("…") else (code,)


def _refusal_kinds() -> frozenset[str]:
    return frozenset(name for name in vars(errors) if name.endswith("Error"))


PAGES: dict[str, Callable[[], str]] = {
    "command.md": command_page,
    "study-file.md": study_file_page,
    "tables.md": tables_page,
    "definitions.md": definitions_page,
    "instruments.md": instruments_page,
    "simulation.md": simulation_page,
    "verdicts.md": verdicts_page,
}


def main() -> None:
    """Write every page of the reference."""
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for name, made in PAGES.items():
        (REFERENCE / name).write_text(made(), encoding="utf-8")


if __name__ == "__main__":
    main()
