"""The report in words: a dossier becomes titled sections, the same for HTML and PDF, in a board's order."""

from __future__ import annotations

from causal.protocol.words import Words
from flows.report.counted import counted_blocks, looked, unopened, unrun_table
from flows.report.decided import decided_section
from flows.report.document import (
    Block,
    Bullets,
    Callout,
    Column,
    Document,
    Figure,
    Paragraph,
    Section,
    Table,
    numbered,
    printable,
)
from flows.report.dossier import Dossier, Results
from flows.report.findings import (
    answer,
    association_caution,
    found_section,
    icons,
    others_section,
    response_caution,
    truth_section,
    worked_out,
)
from flows.report.numbers import capitalised, count, counted
from flows.report.sentences import (
    balance_sentence,
    banner,
    groups_of,
    stop,
    verdict_sentences,
)
from flows.report.tables import (
    balance_table,
    estimand_table,
    flow_table,
    later_table,
    looked_at_table,
    pairs_table,
    planned_table,
    quality_table,
    verdict_table,
    version_table,
)


def document(dossier: Dossier) -> Document:
    """The whole report; a dossier without results has no section of findings."""
    dossier = printable(dossier)
    results = dossier.results
    found = (found_section(dossier, results),) if results else ()
    others = (others_section(dossier),) if dossier.findings else ()
    truth = (truth_section(dossier, results),) if results and dossier.truth else ()
    return Document(
        title=dossier.title,
        subtitle=dossier.question,
        banner=banner(dossier),
        footer=f"{dossier.study_id} · protocol {dossier.provenance.protocol_digest[:12]}",
        contents=True,
        sections=numbered(
            (
                _summary(dossier),
                _question(dossier),
                _who(dossier),
                _alike(dossier),
                _versions(dossier),
                *found,
                *others,
                *truth,
                _wrong(dossier),
                _cannot_say(dossier),
                _judgements(dossier),
                _diagram(dossier),
                *([decided_section(dossier)] if dossier.decided else []),
                _data(dossier),
                _provenance(dossier),
            )
        ),
    )


def _summary(dossier: Dossier) -> Section:
    if dossier.results:
        blocks = _summary_with_results(dossier, dossier.results)
    else:
        blocks = _summary_unanswered(dossier) if dossier.unanswered else _summary_before(dossier)
    return Section(anchor="in-short", title="In short", blocks=blocks)


def _summary_with_results(dossier: Dossier, results: Results) -> tuple[Block, ...]:
    groups = groups_of(dossier)
    return (
        *([] if results.causal_wording else [association_caution(dossier)]),
        *response_caution(dossier),
        answer(dossier, results),
        *icons(results, groups),
        _choices(dossier),
        Paragraph(lead="The comparison.", text=_comparison(dossier)),
        *counted_blocks(dossier),
        Paragraph(lead="How to read this.", text=_reading(results, dossier.words)),
    )


def _summary_unanswered(dossier: Dossier) -> tuple[Block, ...]:
    """Outcomes were opened, and the main question has no number: why, and what stands all the same."""
    why = stop(capitalised(dossier.unanswered))
    reading = (
        "That is a finding about these records, not about the choice: nothing can be concluded either way. The "
        "comparison below, and what could be worked out beside the main question, stand."
    )
    return (
        Callout(
            tone="caution",
            paragraphs=(Paragraph(lead="The main question was NOT EVALUATED.", text=why), Paragraph(text=reading)),
        ),
        *response_caution(dossier),
        _choices(dossier),
        Paragraph(lead="The comparison.", text=_comparison(dossier)),
        *counted_blocks(dossier),
    )


def _summary_before(dossier: Dossier) -> tuple[Block, ...]:
    """Before approval: what stands ready, and what is asked."""
    shows = "This dossier shows who would be compared with whom, and how alike they are."
    asked = (
        "Decide whether this comparison is good enough for the outcomes to be opened. Nothing is opened without that "
        "decision."
    )
    failing = verdict_sentences(v for v in dossier.verdicts if v.status == "FAIL")
    return (
        Callout(
            tone="answer",
            paragraphs=(Paragraph(lead="Outcomes have not been opened.", text=f"{shows} {unopened(dossier)}"),),
        ),
        _choices(dossier),
        Paragraph(lead="The comparison.", text=_comparison(dossier)),
        *counted_blocks(dossier),
        *([Callout(tone="caution", paragraphs=(Paragraph(lead="Failed:", text=failing),))] if failing else []),
        Paragraph(lead="What is asked of the board.", text=asked),
    )


def _choices(dossier: Dossier) -> Paragraph:
    first = f" ({dossier.treated_short})" if dossier.treated_short else ""
    second = f" ({dossier.comparison_short})" if dossier.comparison_short else ""
    text = f"First choice{first}: {stop(dossier.treated_label)} Second choice{second}: {stop(dossier.comparison_label)}"
    return Paragraph(lead="The two choices.", text=text)


def _comparison(dossier: Dossier) -> str:
    groups = groups_of(dossier)
    together = "" if dossier.n_sets is None else f", in {counted(dossier.n_sets, 'matched set', 'matched sets')}"
    return (
        f"{count(dossier.n_treated)} cases {groups.treated} are set beside {count(dossier.n_comparison)} cases "
        f"{groups.comparison} that were {'made ' if dossier.n_sets is None else ''}like them{together}. "
        f"Each case is one occasion; {dossier.words.a_person} can be counted on more than one. Nobody was assigned by "
        "lot."
    )


def _reading(results: Results, words: Words) -> str:
    if not results.causal_wording:
        return (
            "The two groups may differ in ways that were not recorded, or not balanced. Take the numbers as a "
            "description."
        )
    reading = (
        "The groups were made alike in what the records show. The differences come from the choice only if nothing "
        "else, left out of the records, led both to the choice and to the outcome. Records alone cannot settle that."
    )
    if results.rated_causal_wording:
        return reading
    return f"{reading} For the ratings of {words.outcome} even that does not hold: they describe those who answered."


def _question(dossier: Dossier) -> Section:
    described = dossier.results is not None and not dossier.results.causal_wording
    table = Table(
        caption="The trial one would have wanted, and how the records stand in for it",
        columns=(
            Column(title="Element", width=1),
            Column(title="The ideal trial", width=1.6),
            Column(title="In these records", width=2),
        ),
        rows=tuple((line.element, line.ideal, line.emulated) for line in dossier.emulation),
    )
    return Section(
        anchor="question",
        title="The question, and why there is no trial",
        blocks=(
            Paragraph(text=dossier.question),
            Paragraph(lead="Why no trial.", text=dossier.why_no_trial),
            Paragraph(
                lead="What was to be estimated." if described else "What is estimated.",
                text=stop(capitalised(dossier.estimand_sentence)),
            ),
            *worked_out(dossier),
            *([table] if dossier.emulation else []),
            *([estimand_table(dossier.estimands)] if dossier.estimands else []),
            *([planned_table(dossier.planned)] if dossier.planned else []),
            Paragraph(lead="Whose outcomes.", text=f"An approval opens the outcomes of {stop(dossier.opened_for)}"),
            Paragraph(lead="Registration.", text=stop(capitalised(dossier.registered))),
        ),
    )


def _who(dossier: Dossier) -> Section:
    return Section(
        anchor="who",
        title="Who is in, and who is not",
        blocks=(
            Paragraph(
                text="A person can be counted on more than one occasion. An occasion was kept only if every rule held:"
            ),
            Bullets(items=tuple(capitalised(rule) for rule in dossier.eligibility)),
            _flow_figure(dossier),
            flow_table(dossier),
        ),
    )


def _flow_figure(dossier: Dossier) -> Figure:
    first, last = (
        f"{counted(step.persons, 'person', 'persons')} and {counted(step.occasions, 'occasion', 'occasions')}"
        for step in (dossier.flow[0], dossier.flow[-1])
    )
    return Figure(
        name="flow",
        caption="Who remains after each rule, and how many occasions each rule left out",
        alt=f"Flow diagram in {len(dossier.flow)} steps, from {first} to {last}. The table after it gives every step.",
    )


def _alike(dossier: Dossier) -> Section:
    return Section(
        anchor="alike",
        title="Were the groups alike?",
        blocks=(
            Paragraph(text=stop(capitalised(dossier.method_sentence))),
            *(_balance_blocks(dossier) if dossier.balance else ()),
            *(_overlap_blocks(dossier) if dossier.overlap else ()),
            *([looked_at_table(dossier.looked_at)] if dossier.looked_at else ()),
        ),
    )


def _balance_blocks(dossier: Dossier) -> tuple[Block, ...]:
    found = balance_sentence(dossier.balance, dossier.adjustment)
    caption = (
        f"How unlike the groups were before and after {dossier.adjustment}, fact by fact: standardised differences "
        f"without their sign. The divisor is {stop(dossier.balance_denominator)}"
    )
    alt = (
        f"Dot plot of {len(dossier.balance)} facts, before and after {dossier.adjustment}, with the limit of each tier "
        f"as a line. {found} The table after it gives every number."
    )
    differs = any(line.within_limit is not None for line in dossier.balance)
    return (
        Paragraph(text=found),
        *([Figure(name="love_plot", caption=caption, alt=alt)] if differs else []),
        balance_table(dossier, groups_of(dossier)),
    )


def _overlap_blocks(dossier: Dossier) -> tuple[Block, ...]:
    groups = groups_of(dossier)
    text = (
        "From what was known at the time, each occasion has an estimated probability of the first choice. Where one "
        "group has no occasions like the other's, no fair comparison can be made."
    )
    bins = "; ".join(
        f"{b.low:.2f} to {b.high:.2f}: {b.treated_percent}% and {b.comparison_percent}%" for b in dossier.overlap
    )
    return (
        Paragraph(lead="Could either choice have been made?", text=text),
        Figure(
            name="overlap",
            caption="Share of each group by estimated probability of the first choice, rounded: the parts need not "
            "add up to 100%. Only 0% means nobody",
            alt=f"Back-to-back bars: share of those {groups.treated} and of those {groups.comparison} by estimated "
            f"probability. {bins}.",
        ),
    )


def _versions(dossier: Dossier) -> Section:
    quoted = f"“{dossier.treated_short}”" if dossier.treated_short else "the first choice"
    what = f"{groups_of(dossier).treated_head}: {stop(dossier.treated_label)}"
    text = f"{what} The comparison is an average over every version of it."
    table = (version_table(dossier.versions, dossier.threshold),) if dossier.versions else ()
    return Section(anchor="versions", title=f"What {quoted} meant here", blocks=(Paragraph(text=text), *table))


def _wrong(dossier: Dossier) -> Section:
    unrun = unrun_table(dossier.plan)
    return Section(
        anchor="wrong",
        title="What could be wrong",
        blocks=(Bullets(items=dossier.limitations), *([unrun] if unrun else [])),
    )


def _cannot_say(dossier: Dossier) -> Section:
    opening = Paragraph(text="These pages do not say:")
    return Section(
        anchor="cannot-say", title="What this cannot say", blocks=(opening, Bullets(items=dossier.cannot_say))
    )


def _judgements(dossier: Dossier) -> Section:
    return Section(
        anchor="judgements",
        title="The checks set in advance, and how they came out",
        blocks=(
            verdict_table(dossier.verdicts),
            *([later_table(dossier.later)] if dossier.later else []),
            Paragraph(lead="Approval.", text=_approval(dossier)),
        ),
    )


def _approval(dossier: Dossier) -> str:
    approval = dossier.approval
    if approval is None:
        return "None has been given; outcomes stay closed."
    accepted = ", ".join(approval.accepted_failures) or "none"
    who = f"{approval.approver} ({approval.role}{', simulated' if approval.simulated else ''})"
    return (
        f"Outcomes were opened with the approval of {who}. Failed checks it accepted: {accepted}. "
        f"Key {approval.key_fingerprint}."
    )


def _diagram(dossier: Dossier) -> Section:
    return Section(
        anchor="diagram", title="The causal diagram in words", blocks=(Bullets(items=dossier.identification),)
    )


def _data(dossier: Dossier) -> Section:
    return Section(
        anchor="data",
        title="The data and their protection",
        blocks=(
            *([quality_table(dossier.quality, dossier.threshold)] if dossier.quality else []),
            *([pairs_table("On what basis the data are used", dossier.governance)] if dossier.governance else []),
            *([Paragraph(lead="The instrument.", text=dossier.instrument_note)] if dossier.instrument_note else []),
            *([Paragraph(lead="The legal regimes.", text=dossier.regime_note)] if dossier.regime_note else []),
        ),
    )


def _provenance(dossier: Dossier) -> Section:
    made = dossier.provenance
    rows = (
        ("Study", dossier.study_id),
        ("Protocol digest", made.protocol_digest),
        ("Extract digest", made.extract_digest),
        ("Design digest", made.design_digest),
        ("Extract as of", made.extract_as_of),
        ("Code version", made.code_version),
        ("Packages", ", ".join(f"{name} {version}" for name, version in made.packages)),
    )
    return Section(
        anchor="provenance",
        title="Where these numbers come from",
        blocks=(
            Paragraph(lead="Looks at the outcomes.", text=looked(dossier)),
            pairs_table("What the numbers were made from, and with", rows, role="code"),
        ),
    )
