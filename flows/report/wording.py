"""The words of the report: a dossier becomes titled sections, the same for HTML and PDF.

House rules, held by tests: no p-values in the summary; a range that takes in zero is never called an absence of anything;
nothing is called safe; when a gate failed, the page speaks of what went together, never of what one thing did to another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from flows.report.document import (
    Block,
    Bullets,
    Callout,
    Column,
    Display,
    Document,
    Figure,
    Paragraph,
    Section,
    Subheading,
    Table,
    numbered,
    printable,
)
from flows.report.dossier import (
    BalanceLine,
    Decomposition,
    Dossier,
    EffectLine,
    QualityLine,
    Results,
    TruthLine,
    VerdictLine,
)
from flows.report.numbers import (
    capitalised,
    compact,
    count,
    counted,
    fixed,
    hundreds,
    percent,
    points,
    signed,
)

POWER_IN_WORDS = "four times out of five"
SCALE = (1, 5)
_FORBIDDEN = re.compile(
    r"\bsafe(?! harbou?r)\b|\bsafely\b|\bno effect\b|\bprove[sdn]?\b|\bsignifican\w*|\bp\s*[<=]\s*0?\.\d|\bp-value\w*",
    re.I,
)


def forbidden(text: str) -> tuple[str, ...]:
    """Phrases in `text` that no report may contain.

    >>> forbidden("The result was significant: warning is safe and has no effect.")
    ('significant', 'safe', 'no effect')
    >>> forbidden("Safe Harbor data")
    ()
    """
    return tuple(match.group().lower() for match in _FORBIDDEN.finditer(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """How the two groups are named inside a sentence, and at the head of a column."""

    treated: str
    comparison: str

    @property
    def treated_head(self) -> str:
        return capitalised(self.treated)

    @property
    def comparison_head(self) -> str:
        return capitalised(self.comparison)


def groups_of(dossier: Dossier) -> Groups:
    """The study's short names, or "with the first choice" and "with the second choice"."""
    return Groups(
        treated=dossier.treated_short or "with the first choice",
        comparison=dossier.comparison_short or "with the second choice",
    )


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
        *([_found(dossier, results)] if results else []),
        *([_truth(dossier.truth, results)] if results and dossier.truth else []),
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


def banner(dossier: Dossier) -> str:
    """What every page says when the records or the board are not real; empty when both are."""
    synthetic = dossier.provenance.synthetic
    rehearsal = dossier.approval is not None and dossier.approval.simulated
    if not (dossier.simulated or synthetic or rehearsal):
        return ""
    real = "No real patient is described" if synthetic else "The records may be real"
    board = "and no ethics board has decided anything"
    what = [*(["SYNTHETIC RECORDS"] if synthetic else []), *(["SIMULATED BOARD"] if rehearsal else [])] or [
        "SIMULATION"
    ]
    return f"{', '.join(what)}: made to test the method. {real}, {board}."


# 1. In short


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
        *([Paragraph(lead="Checks that failed.", text=_sentences(failing))] if failing else []),
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
            *([f"Failed: {_sentences(failing)}"] if failing else []),
        ),
    )


def _sentences(verdicts: list[VerdictLine]) -> str:
    return " ".join(f"{capitalised(v.sentence).rstrip('.')}{_against(v)}." for v in verdicts)


def _against(verdict: VerdictLine) -> str:
    if verdict.measured is None or verdict.limit is None:
        return ""
    return f" (measured {compact(verdict.measured)}, limit {compact(verdict.limit)})"


def _choices(dossier: Dossier) -> Paragraph:
    groups = groups_of(dossier)
    text = f"{groups.treated_head}: {_stop(dossier.treated_label)} {groups.comparison_head}: {_stop(dossier.comparison_label)}"
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


def ended_sentence(results: Results, groups: Groups) -> str:
    """How many of 100 ended treatment in each group, the difference and its range, in plain words."""
    effect = results.termination
    first, second, *_ = hundreds(effect.mean_treated, effect.mean_comparison, effect.value)
    of_whom = "Of 100 patients like these" if results.causal_wording else "In these records, of 100 patients"
    return (
        f"{of_whom}, about {first} ended treatment within {results.day} days {groups.treated}, and about {second} "
        f"{groups.comparison}. {difference_sentence(effect)}"
    )


def trust_sentence(results: Results, groups: Groups) -> str:
    """Mean trust in each group with leaving counted as the lowest rating, the difference and its range."""
    effect = results.composite
    floor = compact(results.decomposition.floor)
    return (
        f"Patients rate their trust from {SCALE[0]} (lowest) to {SCALE[1]} (highest). A patient who ended treatment counts as {floor}. "
        f"Counted this way, trust was {fixed(effect.mean_treated)} {groups.treated} and {fixed(effect.mean_comparison)} "
        f"{groups.comparison}. {difference_sentence(effect)}"
    )


def difference_sentence(effect: EffectLine) -> str:
    """The difference with its range; if the range takes in zero, what is not ruled out and what could be missed."""
    value, low, high = _sizes(effect)
    opening = f"{_difference_opening(effect)} {_amount(effect, effect.value, value)}"
    if effect.lower > 0 or effect.upper < 0:
        near, far = (low, high) if effect.lower > 0 else (high, low)
        return f"{opening}; it could be as small as {near} or as large as {far}."
    return (
        f"{opening}, but the records do not settle which way it goes. They do not rule out "
        f"{_amount(effect, effect.lower, low)}, nor {_amount(effect, effect.upper, high)}. {detectable_sentence(effect)}"
    )


def detectable_sentence(effect: EffectLine) -> str:
    """What a comparison of this size can find, and so what it can miss."""
    if effect.detectable is None:
        return "How small a difference this comparison could find was not worked out."
    (size,) = hundreds(effect.detectable) if _is_share(effect) else (points(effect.detectable),)
    size = f"{size} in 100" if _is_share(effect) else f"{size} points"
    return (
        f"A comparison of this size finds a true difference of {size} {POWER_IN_WORDS}; smaller ones are often missed."
    )


def _difference_opening(effect: EffectLine) -> str:
    """Says when the printed difference is not the printed means subtracted: adjusted, or rounded."""
    crude = effect.mean_treated - effect.mean_comparison
    if abs(crude - effect.value) > 1e-6:
        return "After adjustment, the difference is"
    unit, decimals = (100, 0) if _is_share(effect) else (1, 2)
    printed = round(unit * effect.mean_treated, decimals) - round(unit * effect.mean_comparison, decimals)
    return (
        "The difference is"
        if abs(printed - round(unit * crude, decimals)) < 1e-9
        else "Before rounding, the difference is"
    )


def _is_share(effect: EffectLine) -> bool:
    return effect.scale == "risk difference"


def _sizes(effect: EffectLine) -> tuple[str, str, str]:
    numbers = (effect.value, effect.lower, effect.upper)
    value, low, high = hundreds(*numbers) if _is_share(effect) else tuple(points(x) for x in numbers)
    return value, low, high


def _amount(effect: EffectLine, signed_value: float, size: str) -> str:
    if signed_value == 0:
        return "0 in 100" if _is_share(effect) else "0.00 points"
    if _is_share(effect):
        return f"{size} {'more' if signed_value > 0 else 'fewer'} in 100"
    return f"{size} points {'higher' if signed_value > 0 else 'lower'}"


def _icons(results: Results, groups: Groups) -> Figure:
    effect = results.termination
    first, second = (f"{100 * mean:.0f}" for mean in (effect.mean_treated, effect.mean_comparison))
    return Figure(
        name="termination",
        caption=f"Each mark is one patient of 100. A filled mark ended treatment within {results.day} days.",
        alt=f"Two groups of 100 marks. {groups.treated_head}, {first} are filled; {groups.comparison}, {second} are filled. "
        f"A filled mark is a patient who ended treatment within {results.day} days.",
    )


# 2. The question


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
            Paragraph(lead="Registration.", text=_stop(capitalised(dossier.registered))),
        ),
    )


# 3. Who


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
            _flow_table(dossier),
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


def _flow_table(dossier: Dossier) -> Table:
    groups = groups_of(dossier)
    columns = (
        Column(title="Rule", width=3),
        Column(title="Persons", role="number"),
        Column(title="Occasions", role="number"),
        Column(title=groups.treated_head, role="number"),
        Column(title=groups.comparison_head, role="number"),
    )
    rows = tuple(
        (
            step.rule,
            count(step.persons),
            count(step.occasions),
            *(
                ("–", "–")
                if step.treated is None and step.comparison is None
                else (count(step.treated), count(step.comparison))
            ),
        )
        for step in dossier.flow
    )
    return Table(
        caption="Persons and occasions that remain after each rule",
        columns=columns,
        rows=rows,
        note=f"{withheld_note(dossier.threshold)} A dash: not known at that step, or withheld.",
    )


def withheld_note(threshold: int) -> str:
    """What "withheld" means in every table of counts."""
    return f"“Withheld”: a count of 1 to {threshold - 1}, or one from which such a count could be worked out."


# 4. Alike


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
        Paragraph(text=_balance_sentence(dossier.balance)),
        Figure(
            name="love_plot",
            caption=f"Standardised difference of each fact before and after matching, without its sign. {_stop(capitalised(dossier.balance_denominator))}",
            alt=f"Dot plot of {len(dossier.balance)} facts, before and after matching, with the limit of each tier as a line. {_balance_sentence(dossier.balance)}",
        ),
        _balance_table(dossier.balance, groups),
    )


def _balance_sentence(balance: tuple[BalanceLine, ...]) -> str:
    before = max(balance, key=lambda line: abs(line.smd_before))
    after = max(balance, key=lambda line: abs(line.smd_after))
    within = sum(abs(line.smd_after) <= line.limit for line in balance)
    return (
        f"Before matching, the largest standardised difference was {fixed(abs(before.smd_before))} ({before.label}). After matching it is "
        f"{fixed(abs(after.smd_after))} ({after.label}); {within} of {len(balance)} facts are within their limit."
    )


def by_tier(balance: tuple[BalanceLine, ...]) -> tuple[BalanceLine, ...]:
    """Tier 1 first; within a tier the most unlike before matching first."""
    return tuple(sorted(balance, key=lambda line: (line.tier, -abs(line.smd_before), line.name)))


def _balance_table(balance: tuple[BalanceLine, ...], groups: Groups) -> Table:
    columns = (
        Column(title="Fact", width=2.6),
        Column(title="Tier", role="number", width=0.6),
        Column(title=groups.treated_head, role="number", width=1.1),
        Column(title=f"{groups.comparison_head}, before", role="number", width=1.2),
        Column(title=f"{groups.comparison_head}, after", role="number", width=1.2),
        Column(title="Difference before", role="number", width=1.2),
        Column(title="Difference after", role="number", width=1.2),
        Column(title="Limit", role="number", width=0.7),
        Column(title="Variance ratio", role="number", width=0.9),
        Column(title="Within limit", width=0.8),
    )
    return Table(
        caption="Means of each fact in both groups, before and after matching",
        columns=columns,
        rows=tuple(_balance_row(line) for line in by_tier(balance)),
        note="Differences are standardised: 0.10 is one tenth of the spread among the treated. Variance ratios near 1 mean a like spread.",
    )


def _balance_row(line: BalanceLine) -> tuple[str, ...]:
    means = (line.mean_treated, line.mean_comparison_before, line.mean_comparison_after)
    label = f"{line.label} ({line.unit})" if line.unit and not line.binary else line.label
    return (
        label,
        str(line.tier),
        *(percent(mean) if line.binary else fixed(mean) for mean in means),
        signed(line.smd_before),
        signed(line.smd_after),
        fixed(line.limit),
        "–" if line.variance_ratio is None else fixed(line.variance_ratio),
        "yes" if abs(line.smd_after) <= line.limit else "NO",
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


# 5. Versions


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
    text = f"{capitalised(groups_of(dossier).treated)}: {_stop(dossier.treated_label)} The answer is an average over every version of it."
    return Section(
        anchor="versions", title=meant, blocks=(Paragraph(text=text), *([table] if dossier.versions else []))
    )


# 6. Found


def _found(dossier: Dossier, results: Results) -> Section:
    groups = groups_of(dossier)
    return Section(
        anchor="found",
        title="What was found, in detail",
        blocks=(
            *([] if results.causal_wording else [_association_warning(dossier)]),
            Figure(
                name="effects",
                caption=f"Differences with their {_level(results.termination)} intervals: {groups.treated} less {groups.comparison}",
                alt=f"Two plots of an estimate with its interval. {results.termination.name}: {_in_brackets(results.termination)}. "
                f"{results.composite.name}: {_in_brackets(results.composite)}. A line marks no difference.",
            ),
            *_effect_blocks(results.termination, ended_sentence(results, groups)),
            *_effect_blocks(results.composite, trust_sentence(results, groups)),
            *_decomposition_blocks(results.decomposition, results.composite, groups),
            *_response_blocks(results, groups),
        ),
    )


def _effect_blocks(effect: EffectLine, sentence: str) -> tuple[Block, ...]:
    excludes_zero = effect.lower > 0 or effect.upper < 0
    power = (Paragraph(lead="What could be found.", text=detectable_sentence(effect)),) if excludes_zero else ()
    return (
        Subheading(text=effect.name),
        Paragraph(lead=effect.question, text=sentence),
        _interval_table(effect),
        *power,
    )


def _interval_table(effect: EffectLine) -> Table:
    unit = "percentage points" if _is_share(effect) else "points"
    rows = tuple(
        (
            f"{line.clustered_by}{' (main)' if line.primary else ''}",
            count(line.clusters),
            _scaled(effect, effect.value),
            f"{_scaled(effect, line.lower)} to {_scaled(effect, line.upper)}",
            _scaled(effect, line.std_error).removeprefix("+"),
            fixed(line.df, 1),
        )
        for line in effect.intervals
    )
    return Table(
        caption=f"{effect.name}: difference in {unit}, with every interval",
        columns=(
            Column(title="Clustered by", width=1.8),
            Column(title="Clusters", role="number"),
            Column(title="Difference", role="number"),
            Column(title=f"{_level(effect)} interval", role="number", width=1.6),
            Column(title="Standard error", role="number"),
            Column(title="Degrees of freedom", role="number"),
        ),
        rows=rows,
        note=f"Intervals built this way take in the true value in about {effect.level:.0%} of studies, if what they assume holds.".replace(
            "%", " of 100"
        ),
    )


def _scaled(effect: EffectLine, x: float) -> str:
    return signed(100 * x, 1) if _is_share(effect) else signed(x)


def _level(effect: EffectLine) -> str:
    return f"{100 * effect.level:g}%"


def _in_brackets(effect: EffectLine) -> str:
    unit = "percentage points" if _is_share(effect) else "points"
    return f"{_scaled(effect, effect.value)} {unit}, from {_scaled(effect, effect.lower)} to {_scaled(effect, effect.upper)}"


def _decomposition_blocks(split: Decomposition, composite: EffectLine, groups: Groups) -> tuple[Block, ...]:
    total, ended, level = (fixed(x) for x in (split.total, split.termination_part, split.level_part))
    adds_up = abs(round(split.total, 2) - round(split.termination_part, 2) - round(split.level_part, 2)) < 1e-9
    rounding = (
        ""
        if adds_up
        else " Each number is rounded by itself, so the printed ones differ by 0.01; unrounded they add up."
    )
    plain = (
        ""
        if abs(split.total - composite.value) < 0.005
        else (
            f" The split is of the plain difference in means, {total}; the adjusted difference is {fixed(composite.value)}."
        )
    )
    return (
        Subheading(text="Where the difference in trust comes from"),
        Paragraph(
            text=f"The difference has two parts. One is how many ended treatment, each counted as {compact(split.floor)}: {ended} points. "
            f"The other is how those who stayed rated their trust: {level} points.{plain}"
        ),
        Display(text=f"{total} = {ended} + {_bracketed(level)}"),
        Paragraph(
            text=f"Who stayed was settled after the choice, so those who stayed {groups.treated} and {groups.comparison} need not be alike. "
            f"Read the split as arithmetic.{rounding}"
        ),
    )


def _bracketed(number: str) -> str:
    return number if number[0].isdigit() else f"({number})"


def _response_blocks(results: Results, groups: Groups) -> tuple[Block, ...]:
    response = results.response
    text = (
        f"Of those still in the relationship, {percent(response.treated)} {groups.treated} and {percent(response.comparison)} {groups.comparison} "
        f"gave a rating that counts for day {results.day} (up to {results.half_width} days either side). {_stop(capitalised(response.handling))}"
    )
    return (Subheading(text="Who answered"), Paragraph(text=text))


# 7. Truth


def _truth(lines: tuple[TruthLine, ...], results: Results) -> Section:
    table = Table(
        caption="The truth built into the synthetic records, beside what was estimated",
        columns=(
            Column(title="Quantity", width=2.4),
            Column(title="Truth", role="number"),
            Column(title="Estimate", role="number"),
            Column(title="Interval", role="number", width=1.6),
            Column(title="Truth inside the interval", width=1.2),
        ),
        rows=tuple(_truth_row(line, results) for line in lines),
    )
    text = (
        "These records were made by a program, so the true difference is known. One run shows whether the method can come "
        "close; how often it does takes many runs."
    )
    return Section(anchor="truth", title="The known truth beside the estimate", blocks=(Paragraph(text=text), table))


def _truth_row(line: TruthLine, results: Results) -> tuple[str, ...]:
    share = line.name == results.termination.name
    unit, decimals = (100.0, 1) if share else (1.0, 2)
    truth, estimate, lower, upper = (
        signed(unit * x, decimals) for x in (line.truth, line.estimate, line.lower, line.upper)
    )
    name = f"{line.name} (percentage points)" if share else line.name
    return name, truth, estimate, f"{lower} to {upper}", "yes" if line.covered else "NO"


# 8. What could be wrong


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


# 10. Judgements


def _judgements(dossier: Dossier) -> Section:
    return Section(
        anchor="judgements",
        title="The checks set in advance, and how they came out",
        blocks=(verdict_table(dossier.verdicts), *_approval_blocks(dossier)),
    )


def verdict_table(verdicts: tuple[VerdictLine, ...]) -> Table:
    """Every judgement with its figure and its limit."""
    return Table(
        caption="PASS, FAIL, or NOT EVALUATED when a check could not be run",
        columns=(
            Column(title="Check", role="code", width=1.7),
            Column(title="Verdict", role="status", width=1.3),
            Column(title="What was judged", width=2.8),
            Column(title="Measured", role="number", width=0.8),
            Column(title="Limit", role="number", width=0.7),
        ),
        rows=tuple(
            (v.code, v.status, capitalised(v.sentence), compact(v.measured), compact(v.limit)) for v in verdicts
        ),
    )


def _approval_blocks(dossier: Dossier) -> tuple[Block, ...]:
    approval = dossier.approval
    if approval is None:
        return (Paragraph(lead="Approval.", text="None has been given; outcomes stay closed."),)
    accepted = ", ".join(approval.accepted_failures) or "none"
    who = f"{approval.approver}, {approval.role}{' (simulated)' if approval.simulated else ''}"
    text = f"Outcomes were opened with the approval of {who}. Failed checks accepted in it: {accepted}. Key {approval.key_fingerprint}."
    return (Paragraph(lead="Approval.", text=text),)


# 12. Data


def _data(dossier: Dossier) -> Section:
    return Section(
        anchor="data",
        title="The data and their protection",
        blocks=(
            *([quality_table(dossier.quality, dossier.threshold)] if dossier.quality else []),
            *([_pairs("On what basis the data are used", dossier.governance)] if dossier.governance else []),
            *([Paragraph(lead="The instrument.", text=dossier.instrument_note)] if dossier.instrument_note else []),
            *([Paragraph(lead="The legal regimes.", text=dossier.regime_note)] if dossier.regime_note else []),
        ),
    )


def quality_table(lines: tuple[QualityLine, ...], threshold: int) -> Table:
    """Rows delivered and set aside, with the reasons."""
    return Table(
        caption="Rows delivered, and rows set aside",
        columns=(
            Column(title="Table", width=1.4),
            Column(title="Rows", role="number"),
            Column(title="Set aside", role="number"),
            Column(title="Why", width=2.6),
        ),
        rows=tuple(
            (
                line.table,
                count(line.rows),
                count(line.set_aside),
                "; ".join(f"{why}: {count(n)}" for why, n in line.reasons) or "–",
            )
            for line in lines
        ),
        note=withheld_note(threshold),
    )


def _pairs(caption: str, pairs: tuple[tuple[str, str], ...], role: str = "text") -> Table:
    value = (
        Column(title="What is stated", width=2.6) if role == "text" else Column(title="Value", role="code", width=2.6)
    )
    return Table(caption=caption, columns=(Column(title="Item"), value), rows=pairs)


# 13. Provenance


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
            _pairs("What the numbers were made from, and with", rows, role="code"),
        ),
    )


def _looks(looks: int) -> str:
    if looks == 0:
        return "The outcomes of this study have never been opened."
    times = "once" if looks == 1 else f"{looks} times"
    return f"The outcomes of this study have been opened {times}, this time included."


def _stop(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
