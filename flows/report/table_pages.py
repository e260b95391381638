"""The pages of a study of one table: the same words in HTML and PDF, drawn from its dossier and from nothing else."""

from __future__ import annotations

from causal.protocol.words import NEUTRAL
from flows.report.decided import decided_table
from flows.report.document import (
    Block,
    Bullets,
    Callout,
    Column,
    Document,
    Paragraph,
    Section,
    Subheading,
    Table,
    numbered,
    printable,
)
from flows.report.dossier import FindingLine, FindingRow
from flows.report.html import render_html
from flows.report.numbers import capitalised, count, fixed
from flows.report.pdf import render_pdf
from flows.report.sentences import stop
from flows.report.table_dossier import TableDossier, to_json
from flows.report.tables import finding_table, pairs_table, verdict_table

NONE = "none"
SYNTHETIC = "SYNTHETIC RECORDS: made to test the method; no real person."


def render_table(dossier: TableDossier) -> dict[str, bytes]:
    """The files of a dossier or release, by name: ``report.html``, ``report.pdf`` and ``results.json``."""
    page = document(dossier)
    return {
        "report.html": render_html(page, {}),
        "report.pdf": render_pdf(page, {}),
        "results.json": to_json(dossier).encode("utf-8", "backslashreplace"),
    }


def document(dossier: TableDossier) -> Document:
    """The whole report; one without findings is what a board reads before it approves."""
    dossier = printable(dossier)
    found = (_found(dossier),) if dossier.findings else ()
    return Document(
        title=dossier.title,
        subtitle=dossier.question,
        banner=SYNTHETIC if dossier.synthetic else "",
        footer=f"{dossier.study_id} · protocol {dossier.provenance.protocol_digest[:12]}",
        contents=True,
        sections=numbered(
            (
                _in_short(dossier),
                _who(dossier),
                *found,
                *(() if found else (_planned(dossier),)),
                _alike(dossier),
                _judgements(dossier),
                Section(anchor="wrong", title="What could be wrong", blocks=(Bullets(items=dossier.limitations),)),
                Section(
                    anchor="cannot-say",
                    title="What this cannot say",
                    blocks=(Paragraph(text="These pages do not say:"), Bullets(items=dossier.cannot_say)),
                ),
                Section(
                    anchor="decided",
                    title="What was decided in advance",
                    blocks=tuple(decided_table(group) for group in dossier.decided),
                ),
                Section(
                    anchor="data",
                    title="The data and their protection",
                    blocks=(pairs_table("On what basis the table is used", dossier.governance),),
                ),
                _provenance(dossier),
            )
        ),
    )


def _failed(dossier: TableDossier) -> list[str]:
    return [line.code for line in dossier.verdicts if line.status == "FAIL"]


def _in_short(dossier: TableDossier) -> Section:
    failed = _failed(dossier)
    passed = sum(line.status == "PASS" for line in dossier.verdicts)
    unrun = len(dossier.verdicts) - passed - len(failed)
    checks = (
        f"Checks: {len(dossier.verdicts)}, of which {passed} passed, {len(failed)} failed and {unrun} could not be run."
    )
    blocks: list[Block] = []
    if failed:
        text = f"{checks} Failed: {', '.join(failed)}. What is estimated here is not to be trusted as an effect."
        blocks.append(Callout(tone="caution", paragraphs=(Paragraph(lead="Not every check was passed.", text=text),)))
    if dossier.findings:
        main = dossier.findings[0]
        paragraphs = (Paragraph(lead="The main answer.", text=_main(main, dossier.main)),)
        blocks.append(Callout(tone="caution" if failed else "answer", paragraphs=paragraphs))
    else:
        opened = (
            "No outcome has been opened. They are opened once a board approves this design."
            if dossier.opens_after_approval
            else "The table is public: outcomes need no approval."
        )
        blocks.append(Callout(tone="answer", paragraphs=(Paragraph(lead="What is asked of you.", text=opened),)))
    if not failed:
        blocks.append(Paragraph(lead="Checks.", text=checks))
    blocks.append(Paragraph(lead="Why there is no trial.", text=stop(dossier.why_no_trial)))
    registered = (
        "This study was not registered."
        if dossier.registered == "not registered"
        else f"This study was registered on {dossier.registered}."
    )
    blocks.append(Paragraph(lead="Registered.", text=registered))
    return Section(anchor="in-short", title="In short", blocks=tuple(blocks))


def _main(finding: FindingLine, place: int) -> str:
    """The main number of the main analysis, or why there is none."""
    if not finding.rows:
        return f"NOT EVALUATED: {stop(capitalised('; '.join(finding.not_evaluated)))}"
    row = finding.rows[place]
    return f"{finding.title}. {capitalised(row.label)}: {_number(row)}"


def _number(row: FindingRow) -> str:
    if row.withheld:
        return f"withheld, because {row.withheld}."
    assert row.lower is not None
    assert row.upper is not None
    share = row.scale == "risk difference"
    value, lower, upper = (
        "none" if x is None else fixed(100 * x if share else x, 1 if share else 2)
        for x in (row.value, row.lower, row.upper)
    )
    unit = {"points": "", "risk difference": " percentage points"}.get(row.scale, f" ({row.scale})")
    zero = 0 if row.scale in ("points", "risk difference") else 1
    open_ = row.lower <= zero <= row.upper
    said = " The interval takes in no difference." if open_ else " The interval takes in no value of no difference."
    return f"{value}{unit}, {100 * row.level:g}% interval {lower} to {upper}.{said}"


def _who(dossier: TableDossier) -> Section:
    sizes = (
        f"{capitalised(dossier.units)} in the table: treated {count(dossier.treated)}, comparison "
        f"{count(dossier.comparison)}."
    )
    return Section(
        anchor="who",
        title="Who stands in the table",
        blocks=(Paragraph(text=dossier.what), Paragraph(text=sizes), Paragraph(text=dossier.method)),
    )


def _planned(dossier: TableDossier) -> Section:
    rows = tuple((name, said) for name, said in dossier.planned)
    table = Table(
        caption="Analyses, the first the main one",
        columns=(Column(title="Name", width=1), Column(title="What it is", width=3)),
        rows=rows,
    )
    return Section(anchor="planned", title="What will be estimated", blocks=(table,))


def _found(dossier: TableDossier) -> Section:
    blocks: list[Block] = []
    for finding in dossier.findings:
        blocks.append(Subheading(text=finding.title))
        if finding.method:
            blocks.append(Paragraph(text=finding.method))
        if finding.rows:
            blocks.append(finding_table(finding, NEUTRAL))
        if finding.notes:
            blocks.append(Bullets(items=finding.notes))
        lead = "NOT EVALUATED." if not finding.rows else "Of this, NOT EVALUATED:"
        blocks += [Paragraph(lead=lead, text=stop(capitalised(why))) for why in finding.not_evaluated]
    return Section(anchor="found", title="What was found", blocks=tuple(blocks))


def _alike(dossier: TableDossier) -> Section:
    blocks: list[Block] = []
    if dossier.balance:
        withheld = [line for line in dossier.balance if line.withheld]
        reasons = "; ".join(dict.fromkeys(line.withheld for line in withheld))
        after = (Column(title="After", role="number"),) if dossier.adjusted else ()
        blocks.append(
            Table(
                caption="Standardised difference between the groups",
                columns=(Column(title="Covariate", width=2.4), Column(title="Before", role="number"), *after),
                rows=tuple(
                    (line.name, _smd(line.before), *((_smd(line.after),) if dossier.adjusted else ()))
                    for line in dossier.balance
                ),
                note=f"“Withheld”: {reasons}." if withheld else "",
            )
        )
    if dossier.fates:
        blocks.append(pairs_table("What became of every covariate", dossier.fates))
    if not blocks:
        blocks.append(Paragraph(text="No covariate is named: nothing is known of how alike the groups are."))
    if dossier.notes:
        blocks.append(Bullets(items=dossier.notes))
    return Section(anchor="alike", title="How alike the groups are", blocks=tuple(blocks))


def _smd(value: float | None) -> str:
    return "withheld" if value is None else fixed(value)


def _judgements(dossier: TableDossier) -> Section:
    approval = dossier.approval
    if approval is not None:
        accepted = ", ".join(approval.accepted_failures)
        said = f"Given by {approval.approver} ({approval.role}), key {approval.key_fingerprint}." + (
            f" Failed checks accepted: {accepted}." if accepted else ""
        )
    elif dossier.opens_after_approval:
        said = "None has been given; outcomes stay closed."
    else:
        said = "None is needed: the table is public."
    return Section(
        anchor="judgements",
        title="The checks set in advance, and how they came out",
        blocks=(verdict_table(dossier.verdicts), Paragraph(lead="Approval.", text=said)),
    )


def _provenance(dossier: TableDossier) -> Section:
    made = dossier.provenance
    rows = (
        ("Study", dossier.study_id),
        ("Protocol digest", made.protocol_digest),
        ("Table digest", made.table_digest),
        ("Design digest", made.design_digest),
        ("Code version", made.code_version),
        ("Packages", ", ".join(f"{name} {version}" for name, version in made.packages)),
    )
    looks = (
        f"Outcomes were opened for {dossier.looks} design{'s' if dossier.looks != 1 else ''} of this study"
        f"{', this one included' if dossier.findings else ' before this one'}."
    )
    return Section(
        anchor="provenance",
        title="Where these numbers come from",
        blocks=(
            Paragraph(lead="Looks at the outcomes.", text=looks),
            pairs_table("What the numbers were made from, and with", rows, role="code"),
        ),
    )
