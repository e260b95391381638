"""Judge a study of one flat table before the table is read."""

from __future__ import annotations

from collections.abc import Iterator

from causal.protocol import FlatTableStudy
from causal.protocol.flat_table import FlatAnalysis
from causal.protocol.governance import outcomes_closed
from causal.protocol.matching import (
    AnyMatching,
    Cardinality,
    CoarsenedExact,
    FineBalance,
    Greedy,
    Optimal,
    PairRules,
    keeps_once,
    named_keys,
)
from causal.protocol.weighting import EntropyBalancing, PropensityWeighting
from validation.method import judge_method
from validation.verdict import Verdict
from validation.words import did_you_mean, holds, listed


def judge_flat_table(study: FlatTableStudy) -> Iterator[Verdict]:
    """Whether columns, method and standard error of a flat table go together."""
    columns = study.columns
    yield _columns(study)
    yield _placebos(study)
    yield _standard_error(study)
    if study.governance is not None:
        yield _blind(study)
    yield from judge_method(
        study.analysis.design,
        study.analysis.propensity,
        covariates=(*columns.numeric, *columns.categorical),
        keys=(*columns.numeric, *columns.categorical, *columns.keys),
        exact=study.analysis.exact,
    )


def _blind(study: FlatTableStudy) -> Verdict:
    """A design that a board approves before outcomes are opened may not depend on them, nor on who has one."""
    problems = []
    if outcomes_closed(study.governance):
        if study.columns.key is None:
            problems.append("columns.key must name the rows: lots are drawn by what rows hold, outcomes included")
        if study.analysis.missing_outcome == "leave_out":
            problems.append("missing_outcome: leave_out would compare those who have an outcome")
    sentence = "; ".join(problems) and f"outcomes are opened only after approval: {'; '.join(problems)}"
    return holds("protocol.blind", sentence, "the design needs no outcome")


def _measured(analysis: FlatAnalysis) -> set[str]:
    """Columns the analysis bends, cuts or measures distances on one by one."""
    design = analysis.design
    names = set(analysis.propensity.splines)
    if isinstance(design, PairRules):
        names |= {limit.covariate for limit in design.calipers}
    if isinstance(design, CoarsenedExact):
        names |= {bins.covariate for bins in design.bins}
    return names


def _standard_error(study: FlatTableStudy) -> Verdict:
    design, propensity = study.analysis.design, study.analysis.propensity
    problem = ""
    match study.analysis.standard_error:
        case "paired":
            reuses = isinstance(design, Greedy) and design.replacement
            pairs = isinstance(design, Greedy | Optimal | FineBalance | Cardinality) and design.ratio == 1
            if not pairs or reuses:
                problem = "a paired standard error needs pairs: one comparison for each treated, none used twice"
        case "estimated_weights":
            if isinstance(design, AnyMatching):
                problem = "matched sets are not weights with a model: set standard_error to robust"
            elif isinstance(design, EntropyBalancing) and design.estimand == "ATO":
                problem = "how overlap weights by entropy balancing were estimated is not known: use robust"
            elif isinstance(design, PropensityWeighting) and (
                propensity.model != "logistic"
                or propensity.cross_fit is not None
                or propensity.sampling_fraction not in (None, 1)
            ):
                problem = (
                    "how weights were estimated is known for a logistic model of all rows, neither cross-fitted nor of "
                    "a sample of the untreated: use robust"
                )
        case "abadie_imbens":
            if not (isinstance(design, Greedy) and design.replacement):
                problem = (
                    "an Abadie-Imbens standard error is for greedy matching with replacement: use paired or robust, or "
                    "set replacement to true"
                )
        case "robust":
            pass
    return holds("protocol.standard_error", problem, "the standard error goes with the way groups are made comparable")


def _placebos(study: FlatTableStudy) -> Verdict:
    """A placebo outcome may be a numeric covariate, which its own analysis does without; nothing else may name it."""
    columns, analysis = study.columns, study.analysis
    placebos = [placebo.column for placebo in study.placebo_outcomes]
    distance = getattr(analysis.design, "distance", None)
    listed_by = {
        *(columns.treatment, columns.outcome, *columns.categorical, *columns.keys, *analysis.exact),
        *(columns.key or "", analysis.cluster or "", analysis.person or ""),
        *(*_measured(analysis), *named_keys(analysis.design)),
        *getattr(distance, "covariates", ()),
        *getattr(analysis.design, "covariates", ()),
        *(getattr(analysis.estimator, "interactions", None) or ()),
    }
    problems = []
    if twice := sorted({name for name in placebos if placebos.count(name) > 1}):
        problems.append(f"a placebo outcome is named twice: {listed(twice)}")
    if busy := sorted(set(placebos) & listed_by):
        problems.append(
            f"a placebo outcome has another part to play, without which its analysis would not be the same: "
            f"{listed(busy)}"
        )
    if placebos and {*columns.numeric, *columns.categorical} <= set(placebos):
        problems.append("without the placebo outcomes no covariate is left to adjust for")
    return holds("protocol.placebo_outcomes", "; ".join(problems), "every placebo outcome is that and nothing else")


def _columns(study: FlatTableStudy) -> Verdict:
    columns, analysis = study.columns, study.analysis
    named = [columns.treatment, columns.outcome, *columns.numeric, *columns.categorical, *columns.keys]
    twice = sorted({name for name in named if named.count(name) > 1})
    stray = [name for name in columns.squared if name not in columns.numeric]
    problems = []
    if twice:
        problems.append(f"a column is named twice: {listed(twice)}")
    if stray:
        problems.append(f"a squared column must be among the numeric ones: {listed(stray)}")
    if not columns.numeric and not columns.categorical:
        problems.append("no covariate is named, so nothing makes the groups comparable")
    single = [name for name in (analysis.cluster, analysis.person) if name]
    keys = {*analysis.exact, *single, *named_keys(analysis.design)}
    if roles := sorted(keys & {columns.treatment, columns.outcome}):
        problems.append(f"the treatment or the outcome cannot also serve as a key: {listed(roles)}")
    if unknown := sorted(keys - set(named)):
        near = listed(f"{name}{did_you_mean(name, named)}" for name in unknown)
        problems.append(f"a key is not among the columns of the study: {near}")
    if no_numbers := sorted(_measured(analysis) & set(columns.categorical)):
        problems.append(f"calipers, bins and splines need numbers, and this holds categories: {listed(no_numbers)}")
    if analysis.person and not keeps_once(analysis.design):
        problems.append("person is for greedy, optimal and cardinality matching: no other design keeps people apart")
    if analysis.propensity.cluster_means and analysis.cluster is None:
        problems.append("cluster means need a cluster column")
    return holds("protocol.columns", "; ".join(problems), "every column has one part to play")
