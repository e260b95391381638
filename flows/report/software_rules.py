"""What no study file says and the software fixes: enough for somebody with the records to find the same answer."""

from __future__ import annotations

from collections.abc import Iterator

from causal.design.propensity.fitted import BENDS_FROM, REFUSE_BELOW
from causal.effect.estimate import primary_estimand
from causal.protocol import OccasionStudy
from causal.protocol.in_words import Line
from causal.protocol.matching import Greedy, Optimal
from causal.protocol.outcome import WhileInRelationship

TITLE = "What the software fixes"
_SPREADS = {
    "whole": "that of everyone eligible taken together",
    "pooled_within": "the root of the mean of both groups' variances, over everyone eligible",
}


def software_rules(study: OccasionStudy) -> Iterator[Line]:
    """One line for each rule that decides who takes part, who is compared, or a digit of the main answer."""
    for name, value in _rules(study):
        yield Line(key=f"software.{name}", name=name, value=value, usual=False)


def _rules(study: OccasionStudy) -> Iterator[tuple[str, str]]:
    yield (
        "Clock",
        (
            "days are calendar days of the clinic, hours are elapsed ones; follow-up, days of rating, stays and "
            "diagnoses count by days, visits and calendar time to the moment; a time of 00:00 stands for its whole day"
        ),
    )
    words = study.words
    yield f"Actions that name no {words.unit}", f"belong to the same person's latest {words.unit} before them"
    if any(rule.covariate in study.prior_ratings for rule in study.missing.covariates):
        yield (
            "A rating before time zero that is missing",
            "that of the neighbouring window, the more recent of two first; the median where there is none",
        )
    if study.missing.covariates:
        yield "Median that stands in for a fact", "of all eligible, both groups together"
    yield "Exact keys", "no part of the model of the choice unless they are among its facts"
    if (caliper := getattr(study.matching, "caliper", None)) is not None:
        yield "Width of the caliper", f"its standard deviation is {_SPREADS[caliper.sd]}"
    if isinstance(study.matching, Greedy | Optimal):
        twice = "and, as declared, several times" if getattr(study.matching, "replacement", False) else "never twice"
        yield f"A person with several {words.units}", f"may stand in both groups, {twice} among the comparisons"
    if study.estimator.bends == "each_number":
        yield (
            "Bends of the main answer",
            "knots at the 10th, 50th and 90th percentile of what was recorded, compared only",
        )
    yield (
        "Robust errors",
        (
            "CR2 for rows taken to be independent with a variance inverse to their weight; Satterthwaite's degrees of "
            "freedom; weights taken for known"
        ),
    )
    yield from _ratings(study)


def _ratings(study: OccasionStudy) -> Iterator[tuple[str, str]]:
    if study.missing.outcome == "inverse_probability_of_response":
        yield (
            "Probability of a rating",
            (
                "logistic regression (Firth's) among those whose treatment goes on, on the group and the facts "
                f"adjusted for, without the weights of matching; with bends from {BENDS_FROM:g} answers and as many "
                f"missing for each column; the share of the group below {REFUSE_BELOW:g}"
            ),
        )
    if isinstance(primary_estimand(study).intercurrent_events.planned_completion, WhileInRelationship):
        yield (
            "A planned completion before the day",
            (
                "the rating nearest to the day, or else the last after the days in which the choice could be made; "
                "without either it counts as missing"
            ),
        )
    yield "Part of endings in the difference", "the difference in endings times the distance of their value from m"
