"""The page of the study of recovery, written from the replicates kept: figures computed, words fixed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from performance import (
    COVERAGE,
    FEWEST_SETS,
    LARGEST_BIAS,
    LARGEST_TYPE_I,
    RATIO,
    Criterion,
    Performance,
    refusal_criterion,
    share_mcse,
)
from replicate import Replicate
from settings import SETTINGS, Setting

FEWEST_REPLICATES = 200
Judged = Sequence[tuple[Performance, tuple[Criterion, ...]]]

INTRODUCTION = f"""\
# Recovery of a known truth

Does the study find what is there, and does its interval say honestly how far it may be off? Only where the truth is
known can that be asked. So the shipped study is run again and again on simulated records: each time a new world, its
cohort, its matched sets, its outcomes and its two answers, beside the true effect among the very occasions that were
matched. The simulator's world is ours; what is shown is that the code does what the method promises in worlds like it,
not that any real world is one of them.

Written by

```sh
.venv/bin/python tests/recovery/recover.py --replicates 1000 --settings base null
.venv/bin/python tests/recovery/recover.py --replicates 1000 --settings --markdown docs/explanation/recovery.md
```

The first line makes replicates and keeps them (`--kept FOLDER`, by default `build/recovery`): settings can be run in
parts, and a run that was stopped goes on where it was. The second writes this page of everything kept. Monte Carlo
errors are those of Morris, White and Crowther (2019, Stat Med 38:2074-2102).

## What is demanded

- bias at most {LARGEST_BIAS}, or two of its Monte Carlo errors where these are larger;
- the 95% interval holds the truth in {COVERAGE[0]:.0%} to {COVERAGE[1]:.0%} of replicates;
- with fewer than 30 clinicians, where the wider of two intervals is the main one, in {COVERAGE[0]:.0%} or more;
- the standard error the study gives is {RATIO[0]} to {RATIO[1]} times the one its answers have (with 30 clinicians or
  more);
- where all warned occasions lie with one clinician: a refusal in every replicate;
- where there is no effect and {FEWEST_SETS:.0f} or more warned occasions are matched, at most {LARGEST_TYPE_I:.1%} of
  intervals leave out zero.

A figure outside these limits by no more than two Monte Carlo errors is called *within chance*: as many replicates as
these cannot tell it from one inside. Anything further out is *missed*.
"""

REMAINDER = """\
## A known remainder

Who leaves within the 72 hours before a warning could be given counts as not warned, so up to 72 hours before each
warning are immortal. Without any effect that alone moves the difference in endings by about -.004 to -.007 and the
composite by about +.01 to +.015. Setting those people aside would delete the very harm that is asked about; the gate
`design.ended_in_grace` fails where they are many.
"""

UNPROMISED: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("sets_21", "sets_21_few_facts", "sets_21_few_facts_null"),
        """\
**Fewer than about 70 warned occasions.** The shipped study models the choice with some two dozen facts and refuses
(`design.too_few_events`) below three warned occasions for each: with records that would give 21 matched cases there is
no answer at all. A study that matches on fewer facts gets further; below 20 matched sets it refuses to estimate
(`estimation.too_few_sets`), and the gate `design.sets` fails before any outcome is opened. The replicates that do
answer are those with more cases than average.""",
    ),
    (
        ("mnar_06", "mnar_12"),
        """\
**Silence that depends on how a patient feels now** (`mnar`). The ratings of those who answered stand in for those of
patients like them in what was known *before*. Who is silent because of present trust is like nobody who answered. No
gate can see this. The report tells how many answered in each group and that those who answered stand in for the others,
and it prints the study's own limitation: a patient who is angry about a warning may also answer fewer forms. Endings
are known without a form. How far the composite is off depends on how many are silent, here about one form in eight.""",
    ),
    (
        ("mar",),
        """\
**Silence that depends on what was recorded** (`mar`) is what the weights for response are made for.""",
    ),
    (
        ("dip_0", "dip_50"),
        """\
**A dip before the assessment** (`dip`). A threat and a strained relationship come together, and ratings shortly before
an assessment are lower than the relationship is. Three earlier ratings are matched because of it. What is left would
show in the change before time zero, the negative control with a gate of its own (`design.pretrend`).""",
    ),
    (
        ("meas_error",),
        """\
**Trust judged by eye** (`meas_error`). A clinician who goes by a trust that no form recorded chooses by something the
study cannot match on. No gate sees it. The report says of every answer that the groups were made alike in what the
records show, and that the differences come from the choice only if nothing else led both to the choice and the
outcome.""",
    ),
)
"""Settings that belong together, and what is said of them; their figures are added."""


def _unpromised(names: Sequence[str], judged: Mapping[str, Judged]) -> str:
    """What the study does not promise, what the reader is told then, and how far off it was here."""
    told = []
    for settings, words in UNPROMISED:
        figures = [
            f"{SETTINGS[name].title}: bias of the {p.estimand} {p.bias:+.3f} ({p.bias_mcse:.3f}), "
            f"coverage {_share(p.coverage, p.coverage_mcse)}."
            for name in settings
            if name in names
            for p, _ in judged[name]
        ]
        told.append("\n".join([words, *figures]) + "\n")
    return "\n".join(told)


def page(found: Mapping[str, Sequence[Replicate]], judged: Mapping[str, Judged]) -> str:
    """Markdown of every setting with enough replicates, in the order of `SETTINGS`."""
    names = [name for name in SETTINGS if len(found.get(name, ())) >= FEWEST_REPLICATES]
    parts = [
        INTRODUCTION,
        "## What came of it\n",
        "".join(f"{line}\n" for line in _results(names, found, judged)),
        _missed(names, judged),
        GATES,
        "".join(f"{line}\n" for line in _gates(names, found)),
        "## Hard cases, and what the reader is then told\n",
        _unpromised(names, judged),
        REMAINDER,
        "## The settings\n",
        "".join(f"{line}\n" for line in _settings(names, found)),
    ]
    return "\n".join(parts)


GATES = """\
*Truth* is the mean effect among the matched. *Empirical SE* is the standard deviation of the answers over replicates,
*model SE* the mean of those the study gave. In brackets: Monte Carlo errors. *Leaves out 0* is the share of intervals
that do: the power of the study, and the type I error where there is no effect. *Refused* is the share of replicates
without an answer; the other figures are of the rest.

## How often a gate fails

A failed gate stops nothing by itself: the board sees it, and if it approves all the same, the report says before its
numbers *Not every check set in advance was passed* and speaks only of what went together in the records. Chance alone
leaves small groups unlike: with some 90 sets, one of seven facts of tier 1 is further apart than .10 in most studies.
The answers above are those of all replicates, whether or not a gate failed; they are right without that selection.
"""


def _results(names: Sequence[str], found: Mapping[str, Sequence[Replicate]], judged: Mapping[str, Judged]) -> list[str]:
    lines = _head(
        "Setting | Answer | Matched | Truth | Bias | Empirical SE | Model SE | Coverage | Leaves out 0 | Refused | "
        "Demands"
    )
    for name in names:
        title = SETTINGS[name].title
        if not judged[name]:
            code = SETTINGS[name].refused
            verdict = refusal_criterion(code, found[name]).verdict if code else "no answer"
            lines.append(f"| {title} | both | | | | | | | | {_refused(found[name])} | {verdict} |")
        for p, demands in judged[name]:
            lines.append(
                f"| {title} | {p.estimand} | {p.mean_sets:.0f} | {p.truth:+.3f} | {p.bias:+.4f} ({p.bias_mcse:.4f}) | "
                f"{p.empirical_se:.3f} | {p.model_se:.3f} | {_share(p.coverage, p.coverage_mcse)} | "
                f"{_share(p.rejection, p.rejection_mcse)} | {_refused(found[name])} | {_verdict(demands)} |"
            )
    return lines


def _missed(names: Sequence[str], judged: Mapping[str, Judged]) -> str:
    """Every demand that is not met, in a sentence of its own."""
    told = [
        f"- {SETTINGS[name].title}, {p.estimand}: {demand.name} {demand.figure:+.4f}, demanded {demand.low:g} to "
        f"{demand.high:g}: {'missed' if demand.missed else 'within chance'}."
        for name in names
        for p, demands in judged[name]
        for demand in demands
        if not demand.met
    ]
    return "\n".join(["Not met:\n", *told, ""] if told else ["Every demand is met.", ""])


def _refused(replicates: Sequence[Replicate]) -> str:
    """Share of replicates without an answer, by code of refusal."""
    count = Counter(replicate.refused for replicate in replicates if replicate.refused)
    return ", ".join(f"{k / len(replicates):.1%} `{code}`" for code, k in count.most_common()) or "none"


def _share(share: float, error: float) -> str:
    return f"{share:.1%} ({error:.1%})"


def _verdict(demands: Sequence[Criterion]) -> str:
    """The demands that are not met, in a word each."""
    said = [f"{demand.name} {'missed' if demand.missed else 'within chance'}" for demand in demands if not demand.met]
    return "; ".join(said) or "met"


def _gates(names: Sequence[str], found: Mapping[str, Sequence[Replicate]]) -> list[str]:
    judged = {name: [one.gates for one in found[name] if one.gates is not None] for name in names}
    codes = sorted({code for gates in judged.values() for failed in gates for code in failed})
    lines = _head(" | ".join(["Setting", "Designs judged", "Any gate", *(f"`{code}`" for code in codes)]))
    for name, gates in judged.items():
        if not gates:
            continue
        count = Counter(code for failed in gates for code in failed)
        shares = [sum(bool(failed) for failed in gates), *(count[code] for code in codes)]
        told = " | ".join(_share(k / len(gates), share_mcse(k / len(gates), len(gates))) for k in shares)
        lines.append(f"| {SETTINGS[name].title} | {len(gates)} | {told} |")
    return lines


def _settings(names: Sequence[str], found: Mapping[str, Sequence[Replicate]]) -> list[str]:
    lines = _head("Setting | `--settings` | Patients | What differs from the defaults | Replicates")
    for name in names:
        setting = SETTINGS[name]
        lines.append(
            f"| {setting.title} | `{name}` | {setting.patients:,} | {_differs(setting)} | {len(found[name]):,} |"
        )
    return lines


def _differs(setting: Setting) -> str:
    facts = ["the study matches on five facts"] if setting.few_facts else []
    facts += [f"the study says `propensity: {{{key}: {value}}}`" for key, value in setting.propensity.items()]
    facts += [f"the same worlds as `{setting.worlds}`"] if setting.worlds else []
    return ", ".join([*(f"`{switch}`" for switch in setting.switches), *facts]) or "nothing"


def _head(columns: str) -> list[str]:
    return [f"| {columns} |", "|" + "---|" * (columns.count("|") + 1)]
