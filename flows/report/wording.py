"""The words of the report: a dossier becomes titled sections, the same for HTML and PDF.

House rules, held by tests: no p-values in the summary; a range that takes in zero is never called an absence of anything;
nothing is called safe; when a gate failed, the page speaks of what went together, never of what one thing did to another.
"""

from __future__ import annotations

def document(dossier: Dossier) -> Document:
    """The whole report, in the order a board reads it; a dossier without results has no section of findings."""
    dossier = printable(dossier)
    results = dossier.results
    sections = [
        _summary(dossier),
        _question(dossier),
        _who(dossier),
        _alike(dossier),
        _versions(dossier),
        *([found_section(dossier, results)] if results else []),
        *([truth_section(dossier.truth, results)] if results and dossier.truth else []),
        _wrong(dossier),
        Section(anchor="cannot-say", title="What this cannot say", blocks=(Bullets(items=dossier.cannot_say),)),
        _judgements(dossier),
        Section(anchor="diagram", title="The causal diagram in words", blocks=(Bullets(items=dossier.identification),)),
        _data(dossier),
        _provenance(dossier),
    ]
    return Document(
        title=dossier.title,
        subtitle=dossier.question,
        banner=banner(dossier),
        footer=f"{dossier.study_id} · protocol {dossier.provenance.protocol_digest[:12]}",
        contents=True,
        sections=numbered(sections),
    )


def _summary(dossier: Dossier) -> Section:
    blocks = _summary_with_results(dossier, dossier.results) if dossier.results else _summary_before(dossier)
    return Section(anchor="in-short", title="In short", blocks=blocks)


def _summary_before(dossier: Dossier) -> tuple[Block, ...]:
    failing = [v for v in dossier.verdicts if v.status == "FAIL"]
    missing = [v for v in dossier.verdicts if v.status == "NOT EVALUATED"]
    passed = len(dossier.verdicts) - len(failing) - len(missing)
    checks = f"Of {len(dossier.verdicts)} checks set in advance, {passed} passed, {len(failing)} failed and {len(missing)} could not be run."
    return (
        Callout(
            tone="answer",
            paragraphs=(
                "Outcomes have not been opened. This dossier shows who would be compared with whom, and how alike they are. "
                "Nobody has yet looked at whether trust changed, or at how many patients left.",
            ),
        ),
        _choices(dossier),
        Paragraph(lead="The comparison.", text=f"{_comparison(dossier)} {checks}"),
        *([Paragraph(lead="Checks that failed.", text=verdict_sentences(failing))] if failing else []),
        Paragraph(
            lead="What is asked of the board.",
            text="Decide whether this comparison is good enough for the outcomes to be opened. Nothing is opened without that decision.",
        ),
    )


def _summary_with_results(dossier: Dossier, results: Results) -> tuple[Block, ...]:
    groups = groups_of(dossier)
    answer = f"{ended_sentence(results, groups)} {trust_sentence(results, groups)}"
    return (
        *([] if results.causal_wording else [_association_warning(dossier)]),
        Callout(tone="answer", paragraphs=(answer,)),
        _icons(results, groups),
        _choices(dossier),
        Paragraph(lead="The comparison.", text=_comparison(dossier)),
        Paragraph(lead="How to read this.", text=_reading(results)),
    )


def _association_warning(dossier: Dossier) -> Callout:
    failing = [v for v in dossier.verdicts if v.status == "FAIL"]
    return Callout(
        tone="warning",
        paragraphs=(
            "Not every check set in advance was passed. The numbers below say only what went together in the records. "
            "They do not say what either choice does to patients.",
            *([f"Failed: {verdict_sentences(failing)}"] if failing else []),
        ),
    )


def _choices(dossier: Dossier) -> Paragraph:
    groups = groups_of(dossier)
    text = f"{groups.treated_head}: {stop(dossier.treated_label)} {groups.comparison_head}: {stop(dossier.comparison_label)}"
    return Paragraph(lead="The two choices.", text=text)


def _comparison(dossier: Dossier) -> str:
    groups = groups_of(dossier)
    return (
        f"We compared {count(dossier.n_treated)} cases {groups.treated} with {count(dossier.n_comparison)} like them "
        f"{groups.comparison}, in {counted(dossier.n_sets, 'matched set', 'matched sets')}. Nobody was assigned by lot."
    )


def _reading(results: Results) -> str:
    if not results.causal_wording:
        return "The two groups may differ in ways that were not recorded, or not balanced. Take the numbers as a description."
    return (
        "The groups were made alike in what the records show. The differences come from the choice only if nothing else, "
        "left out of the records, led both to the choice and to the outcome. Records alone cannot settle that."
    )


def _icons(results: Results, groups: Groups) -> Figure:
    effect = results.termination
    first, second = (f"{100 * mean:.0f}" for mean in (effect.mean_treated, effect.mean_comparison))
    return Figure(
        name="termination",
        caption=f"Each mark is one patient of 100. A filled mark ended treatment within {results.day} days.",
        alt=f"Two groups of 100 marks. {groups.treated_head}, {first} are filled; {groups.comparison}, {second} are filled. "
        f"A filled mark is a patient who ended treatment within {results.day} days.",
    )


def _question(dossier: Dossier) -> Section:
    rows = tuple((line.element, line.ideal, line.emulated) for line in dossier.emulation)
    return Section(
        anchor="question",
        title="The question, and why there is no trial",
        blocks=(
            Paragraph(text=dossier.question),
            Paragraph(lead="Why no trial.", text=dossier.why_no_trial),
            Paragraph(lead="What is estimated.", text=dossier.estimand_sentence),
            Table(
                caption="The trial one would have wanted, and how the records stand in for it",
                columns=(
                    Column(title="Element", width=0.7),
                    Column(title="The ideal trial", width=1.6),
                    Column(title="In these records", width=2),
                ),
                rows=rows,
            ),
            Paragraph(lead="Registration.", text=stop(capitalised(dossier.registered))),
        ),
    )


def _who(dossier: Dossier) -> Section:
    return Section(
        anchor="who",
        title="Who is in, and who is not",
        blocks=(
            Paragraph(
                text="A person can be counted at more than one occasion. An occasion was kept only if every rule held:"
            ),
            Bullets(items=dossier.eligibility),
            _flow_figure(dossier),
            flow_table(dossier),
        ),
    )


def _flow_figure(dossier: Dossier) -> Figure:
    first, last = dossier.flow[0], dossier.flow[-1]
    return Figure(
        name="flow",
        caption="Who remains after each rule",
        alt=f"Flow diagram in {len(dossier.flow)} steps, from {counted(first.persons, 'person', 'persons')} and "
        f"{counted(first.occasions, 'occasion', 'occasions')} to {counted(last.persons, 'person', 'persons')} and "
        f"{counted(last.occasions, 'occasion', 'occasions')}. The table after it gives every step.",
    )


def _alike(dossier: Dossier) -> Section:
    return Section(
        anchor="alike",
        title="Were the groups alike?",
        blocks=(
            Paragraph(text=dossier.matching_sentence),
            *_balance_blocks(dossier),
            *_overlap_blocks(dossier),
        ),
    )


def _balance_blocks(dossier: Dossier) -> tuple[Block, ...]:
    if not dossier.balance:
        return ()
    groups = groups_of(dossier)
    return (
        Paragraph(text=balance_sentence(dossier.balance)),
        Figure(
            name="love_plot",
            caption=f"Standardised difference of each fact before and after matching, without its sign. {stop(capitalised(dossier.balance_denominator))}",
            alt=f"Dot plot of {len(dossier.balance)} facts, before and after matching, with the limit of each tier as a line. {balance_sentence(dossier.balance)}",
        ),
        balance_table(dossier.balance, groups),
    )


def _overlap_blocks(dossier: Dossier) -> tuple[Block, ...]:
    if not dossier.overlap:
        return ()
    groups = groups_of(dossier)
    bins = "; ".join(
        f"{low:.2f} to {high:.2f}: {first} and {second}" for low, high, first, second in overlap_shares(dossier)
    )
    return (
        Paragraph(
            lead="Could either choice have been made?",
            text="From what was known at the time, each occasion has an estimated probability of the first choice. A fair comparison needs "
            "both groups wherever there is one.",
        ),
        Figure(
            name="overlap",
            caption="Share of each group by estimated probability of the first choice",
            alt=f"Mirrored bars of two groups, {groups.treated} and {groups.comparison}, by estimated probability. {bins}.",
        ),
    )


def overlap_shares(dossier: Dossier) -> list[tuple[float, float, str, str]]:
    """Each bin as (low, high, share of the treated, share of the comparison), shares in percent."""
    treated = sum(b.treated for b in dossier.overlap) or 1
    comparison = sum(b.comparison for b in dossier.overlap) or 1
    return [(b.low, b.high, percent(b.treated / treated), percent(b.comparison / comparison)) for b in dossier.overlap]


def _versions(dossier: Dossier) -> Section:
    meant = (
        f"What “{dossier.treated_short}” meant here" if dossier.treated_short else "What the first choice meant here"
    )
    table = Table(
        caption="How the first choice was carried out, among the matched",
        columns=(
            Column(title="Version", width=2),
            Column(title="Value", width=2),
            Column(title="Share", role="number"),
        ),
        rows=tuple(
            (line.version, line.value, "withheld" if line.percent is None else f"{line.percent:.0f}%")
            for line in dossier.versions
        ),
        note=withheld_note(dossier.threshold),
    )
    text = f"{capitalised(groups_of(dossier).treated)}: {stop(dossier.treated_label)} The answer is an average over every version of it."
    return Section(
        anchor="versions", title=meant, blocks=(Paragraph(text=text), *([table] if dossier.versions else []))
    )


def _wrong(dossier: Dossier) -> Section:
    table = Table(
        caption="Planned analyses that were not run",
        columns=(Column(title="Analysis"), Column(title="Why not", width=2.5)),
        rows=dossier.not_evaluated,
    )
    return Section(
        anchor="wrong",
        title="What could be wrong",
        blocks=(Bullets(items=dossier.limitations), *([table] if dossier.not_evaluated else [])),
    )


def _judgements(dossier: Dossier) -> Section:
    return Section(
        anchor="judgements",
        title="The checks set in advance, and how they came out",
        blocks=(verdict_table(dossier.verdicts), *_approval_blocks(dossier)),
    )


def _approval_blocks(dossier: Dossier) -> tuple[Block, ...]:
    approval = dossier.approval
    if approval is None:
        return (Paragraph(lead="Approval.", text="None has been given; outcomes stay closed."),)
    accepted = ", ".join(approval.accepted_failures) or "none"
    who = f"{approval.approver}, {approval.role}{' (simulated)' if approval.simulated else ''}"
    text = f"Outcomes were opened with the approval of {who}. Failed checks accepted in it: {accepted}. Key {approval.key_fingerprint}."
    return (Paragraph(lead="Approval.", text=text),)


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
            Paragraph(lead="Looks at the outcomes.", text=_looks(made.looks)),
            pairs_table("What the numbers were made from, and with", rows, role="code"),
        ),
    )


def _looks(looks: int) -> str:
    if looks == 0:
        return "The outcomes of this study have never been opened."
    times = "once" if looks == 1 else f"{looks} times"
    return f"The outcomes of this study have been opened {times}, this time included."
