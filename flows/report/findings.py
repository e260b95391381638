"""What was found: the sections that exist only once outcomes were opened."""

from __future__ import annotations

from causal.protocol.words import Words
from flows.report.document import Block, Bullets, Callout, Display, Figure, Paragraph, Section, Subheading
from flows.report.dossier import Decomposition, Dossier, EffectLine, FindingLine, Results, UnansweredLine
from flows.report.numbers import capitalised, compact, count, fixed, percent
from flows.report.sentences import (
    Groups,
    because,
    detectable_sentence,
    ended_sentence,
    excludes_zero,
    groups_of,
    in_brackets,
    level_of,
    rated_sentence,
    stop,
    verdict_sentences,
)
from flows.report.tables import finding_table, interval_table, truth_table

ENDED = "Ended treatment within {day} days"
RATED = "{outcome} at day {day}, an ending counted as the lowest rating"


def answer(dossier: Dossier, results: Results) -> Callout:
    """The two headline differences in plain words."""
    groups, ended, rated = groups_of(dossier), results.termination, results.composite
    return Callout(
        tone="answer",
        paragraphs=(
            Paragraph(lead=ended.question, text=ended_sentence(results, groups)),
            Paragraph(lead=rated.question, text=rated_sentence(results, groups, dossier.scale)),
        ),
    )


def icons(results: Results, groups: Groups) -> tuple[Figure, ...]:
    """A hundred cases in each group; nothing where the shares are withheld."""
    ended = results.termination
    if ended.mean_treated is None or ended.mean_comparison is None:
        return ()
    first, second = (f"{100 * mean:.0f}" for mean in (ended.mean_treated, ended.mean_comparison))
    figure = Figure(
        name="termination",
        caption=f"Each mark is one case of 100. A filled mark ended treatment within {results.day} days.",
        alt=f"Two groups of 100 marks. {groups.treated_head}, {first} are filled; {groups.comparison}, {second}. "
        f"A filled mark is a case in which the {groups.words.person} ended treatment within {results.day} days.",
    )
    return (figure,)


def association_caution(dossier: Dossier) -> Callout:
    """Stands before every number when a check set in advance was not passed."""
    failing = verdict_sentences(
        v for v in dossier.verdicts if v.status == "FAIL" and not v.code.startswith("estimate.")
    )
    opening = (
        "The numbers below say only what went together in the records. They do not say what either choice does to "
        f"{dossier.words.persons}."
    )
    return Callout(
        tone="caution",
        paragraphs=(
            Paragraph(lead="Not every check set in advance was passed.", text=opening),
            *([Paragraph(lead="Failed:", text=failing)] if failing else []),
        ),
    )


def response_caution(dossier: Dossier) -> tuple[Callout, ...]:
    """Stands before every rating where too few answered, or the groups too unlike."""
    failing = [v for v in dossier.verdicts if v.status == "FAIL" and v.code.startswith("estimate.response")]
    if not failing:
        return ()
    outcome = dossier.words.outcome
    opening = (
        "Ratings stand in here for too many that were never given, or were given by one group far more than by the "
        f"other. What follows about {outcome} at these days tells what those who answered said. It does not say what "
        f"either choice does to {outcome}. Endings do not rest on ratings."
    )
    results = dossier.results
    given = () if results is None else (Paragraph(lead="Who answered.", text=_given(results, groups_of(dossier))),)
    return (
        Callout(
            tone="caution",
            paragraphs=(
                Paragraph(lead=f"Too few ratings to speak of what the choice does to {outcome}.", text=opening),
                *given,
                Paragraph(lead="Failed:", text=verdict_sentences(failing)),
            ),
        ),
    )


def found_section(dossier: Dossier, results: Results) -> Section:
    """Both differences with every interval, the split of the second, and who answered; or why one has no number."""
    groups = groups_of(dossier)
    ended, rated = results.termination, results.composite
    endings = ENDED.format(day=results.day)
    rating = RATED.format(outcome=capitalised(dossier.words.outcome), day=results.day)
    return Section(
        anchor="found",
        title="What was found, in detail",
        blocks=(
            *([] if results.causal_wording else [association_caution(dossier)]),
            *response_caution(dossier),
            *worked_out(dossier),
            _effects_figure([(endings, ended), (rating, rated)], groups),
            *_effect_blocks(ended, endings, ended_sentence(results, groups)),
            *_effect_blocks(rated, rating, rated_sentence(results, groups, dossier.scale)),
            *(_decomposition_blocks(results.decomposition, rated, groups) if results.decomposition else ()),
            *_response_blocks(results, groups),
            *_aliased_blocks(results),
            *_death_blocks(results, groups.words),
        ),
    )


def worked_out(dossier: Dossier) -> tuple[Paragraph, ...]:
    """How the main answer comes about, for those who sign and for those who read it."""
    return (Paragraph(lead="How the answer is worked out.", text=dossier.worked_out),) if dossier.worked_out else ()


def _effects_figure(pair: list[tuple[str, EffectLine | UnansweredLine]], groups: Groups) -> Figure:
    """What can be drawn of the two differences."""
    drawn = [(heading, effect) for heading, effect in pair if isinstance(effect, EffectLine)]
    both = len(drawn) == len(pair)
    what = "The two differences" if both else f"The difference: {drawn[0][0][0].lower()}{drawn[0][0][1:]}"
    found = " ".join(f"{heading}: {in_brackets(effect)}." for heading, effect in drawn)
    return Figure(
        name="effects",
        caption=f"{what} ({groups.treated}, less {groups.comparison}) and {'their' if both else 'its'} "
        f"{level_of(drawn[0][1])} {'intervals' if both else 'interval'}",
        alt=f"{'Two plots' if both else 'A plot'} of an estimate with its interval. {found} A line marks where there "
        "is no difference.",
    )


def _effect_blocks(effect: EffectLine | UnansweredLine, heading: str, sentence: str) -> tuple[Block, ...]:
    if isinstance(effect, UnansweredLine):
        return Subheading(text=heading), Paragraph(lead=effect.question, text=sentence)
    power = (Paragraph(lead="What could be found.", text=detectable_sentence(effect)),) if excludes_zero(effect) else ()
    return Subheading(text=heading), Paragraph(lead=effect.question, text=sentence), interval_table(effect), *power


def _decomposition_blocks(
    split: Decomposition, rated: EffectLine | UnansweredLine, groups: Groups
) -> tuple[Block, ...]:
    words = groups.words
    total, ended, level = (fixed(x) for x in (split.total, split.termination_part, split.level_part))
    parts = (
        f"The difference of {total} points has two parts. One is how many ended treatment, each counted as "
        f"{compact(split.floor)}: {ended} points. The other is how those who stayed rated {words.their_outcome}: "
        f"{level} points."
    )
    reading = (
        f"Who stayed was settled after the choice, so those who stayed {groups.treated} and {groups.comparison} need "
        "not be alike. Read the split as arithmetic."
    )
    return (
        Subheading(text=f"Where the difference in {words.outcome} comes from"),
        Paragraph(text=f"{parts}{_plain_difference(split, rated)}"),
        Display(text=f"{total} = {ended} + {level if level[0].isdigit() else f'({level})'}"),
        Paragraph(text=f"{reading}{_rounding(split)}"),
    )


def _plain_difference(split: Decomposition, rated: EffectLine | UnansweredLine) -> str:
    if rated.value is None or fixed(split.total) == fixed(rated.value):
        return ""
    return f" The split is of the plain difference in means; after adjustment it is {fixed(rated.value)}."


def _rounding(split: Decomposition) -> str:
    """Owns up when the printed numbers do not add up because each was rounded by itself."""
    off = round(split.total, 2) - round(split.termination_part, 2) - round(split.level_part, 2)
    return "" if abs(off) < 1e-9 else " Each number is rounded by itself; unrounded they add up."


def _response_blocks(results: Results, groups: Groups) -> tuple[Block, ...]:
    response = results.response
    text = f"{_given(results, groups)} How missing ratings were handled: {stop(response.handling)}"
    return Subheading(text="Who answered"), Paragraph(text=text)


def _given(results: Results, groups: Groups) -> str:
    """How many gave a rating that counts for the main day, in coarse shares."""
    response = results.response
    rating = f"a rating that counts for day {results.day} (up to {results.half_width} days either side)"
    if response.treated is None or response.comparison is None:
        if not response.withheld:
            return f"In one of the groups nobody was left to give {rating}."
        return f"How many of those who had not ended treatment gave {rating} is withheld{because(response.withheld)}."
    return (
        f"Of those who had not ended treatment, about {percent(response.treated)} {groups.treated} and about "
        f"{percent(response.comparison)} {groups.comparison} gave {rating}."
    )


def _aliased_blocks(results: Results) -> tuple[Block, ...]:
    """Facts that could not be adjusted for because nobody differs in them, or others say the same."""
    if not results.aliased:
        return ()
    names = ", ".join(results.aliased)
    text = (
        f"Left out of the adjustment, because nobody differs in them or, among the compared, others tell them: {names}."
    )
    return Subheading(text="What was not adjusted for, or not twice"), Paragraph(text=text)


def _death_blocks(results: Results, words: Words) -> tuple[Block, ...]:
    """Who left after matching. A set that loses its treated occasion, or all its others, leaves whole."""
    if results.excluded == 0:
        text = f"No occasion left this comparison because {words.a_person} died."
    else:
        number = "A number of" if results.excluded is None else count(results.excluded)
        withheld = " (how many is withheld)" if results.excluded is None else ""
        text = (
            f"{number} occasions{withheld} left this comparison because {words.a_person} died before day "
            f"{results.day}: the {words.person}'s own, and those that death left with nobody to stand beside. A death "
            "is an outcome of its own; it is counted neither as an ending nor as a rating."
        )
    return Subheading(text="Deaths"), Paragraph(text=text)


def others_section(dossier: Dossier) -> Section:
    """What the analyses set in advance beside the main one found, or why they have nothing to tell."""
    groups = groups_of(dossier)
    opening = (
        f"These were declared before outcomes were opened. Differences and ratios compare {groups.treated} with "
        f"{groups.comparison}. None of them replaces the main answer."
    )
    causal = (
        dossier.results.causal_wording
        if dossier.results
        else not any(v.status == "FAIL" for v in dossier.verdicts if not v.code.startswith("estimate."))
    )
    caution = [*([] if causal else [association_caution(dossier)]), *response_caution(dossier)]
    blocks = [block for finding in dossier.findings for block in _finding_blocks(finding, groups.words)]
    return Section(
        anchor="others", title="Other analyses set in advance", blocks=(*caution, Paragraph(text=opening), *blocks)
    )


def _finding_blocks(finding: FindingLine, words: Words) -> tuple[Block, ...]:
    why = tuple(
        Paragraph(
            lead="NOT EVALUATED." if not finding.rows else "Of this, NOT EVALUATED:", text=stop(capitalised(reason))
        )
        for reason in finding.not_evaluated
    )
    return (
        Subheading(text=finding.title),
        *([Paragraph(text=finding.method)] if finding.method else []),
        *([finding_table(finding, words)] if finding.rows else []),
        *([Bullets(items=finding.notes)] if finding.notes else []),
        *why,
    )


def truth_section(dossier: Dossier, results: Results) -> Section:
    """The truth built into synthetic records beside the estimate."""
    text = (
        "These records were made by a program, so the true difference is known. One run shows whether the method can "
        "come close; how often it does takes many runs."
    )
    table = truth_table(dossier.truth, results)
    return Section(anchor="truth", title="The known truth beside the estimate", blocks=(Paragraph(text=text), table))
