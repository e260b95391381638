"""Judge a study of one long table before the table is read."""

from __future__ import annotations

from collections.abc import Iterator

from causal.protocol.long_analyses import OF_VISITS, Hazards, MarginalModel, MixedModel, RepeatedMeasures
from causal.protocol.long_table import LongTableStudy, Visits, plain
from validation.verdict import Verdict
from validation.words import did_you_mean, holds, listed


def judge_long_table(study: LongTableStudy) -> Iterator[Verdict]:
    """Whether rows, columns and analyses go together."""
    yield _columns(study)
    yield _analyses(study)
    yield _visits(study)
    yield _errors(study)
    yield _published(study)


def _columns(study: LongTableStudy) -> Verdict:
    columns = study.columns
    own = (
        (columns.visit, columns.outcome)
        if isinstance(columns, Visits)
        else (columns.start, columns.stop, columns.event)
    )
    cluster = () if columns.cluster is None else (columns.cluster,)
    named = [columns.treatment, *own, *columns.numeric, *columns.categorical]
    keys = {*columns.named_by, *cluster}  # a clinic may name its people, and be a covariate as well
    problems = []
    if twice := sorted({name for name in named if named.count(name) > 1}):
        problems.append(f"a column is named twice: {listed(twice)}")
    if busy := sorted(keys & {columns.treatment, *own}):
        problems.append(f"a name of people or clusters is also something else: {listed(busy)}")
    baseline = isinstance(columns, Visits) and columns.baseline is not None
    if columns.cluster is not None and columns.cluster in columns.named_by:
        problems.append("columns.cluster names people themselves: leave it out, errors are by person without it")
    if study.assigned == "by_choice" and not (columns.numeric or columns.categorical or baseline):
        problems.append(
            "people were not treated by lot and no covariate is named, so nothing makes the groups comparable"
        )
    return holds("protocol.columns", "; ".join(problems), "every column has one part to play")


def _analyses(study: LongTableStudy) -> Verdict:
    names = [one.name for one in study.analyses]
    problems = []
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"two analyses have the same name: {listed(twice)}")
    for one in study.analyses:
        of_visits = isinstance(one, OF_VISITS)
        if of_visits is not isinstance(study.columns, Visits):
            rows = "visits" if of_visits else "spells"
            problems.append(f"{one.name}: {one.analysis} is for rows: {rows}")
        if isinstance(one, MixedModel) and isinstance(study.columns, Visits) and not study.columns.when:
            problems.append(f"{one.name}: a straight course needs to know when visits are: columns.times")
        if isinstance(one, MarginalModel) and one.working != "independence" and study.columns.cluster is not None:
            problems.append(
                f"{one.name}: {one.working} would make all visits of a cluster alike, of whomever they are: with "
                "columns.cluster, working: independence (its errors know of clusters)"
            )
    return holds("protocol.analyses", "; ".join(problems), "every analysis goes with the rows of the table")


def _visits(study: LongTableStudy) -> Verdict:
    problems = []
    if isinstance(study.columns, Visits):
        known = {plain(visit): visit for visit in study.columns.visits}
        asked = [(one.name, one.at) for one in study.analyses if not isinstance(one, MarginalModel | Hazards)]
        for name, at in asked:
            if at is not None and plain(at) not in known:
                problems.append(f"{name}: visit {at} is not among columns.visits{did_you_mean(plain(at), known)}")
    return holds("protocol.visits", "; ".join(problems), "every visit that is asked for is compared")


def _errors(study: LongTableStudy) -> Verdict:
    """Standard errors that the table's clusters, or the likelihood, rule out."""
    problems = []
    for one in study.analyses:
        if not isinstance(one, RepeatedMeasures | MixedModel):
            continue
        if one.likelihood == "ML" and one.degrees_of_freedom == "kenward_roger":
            problems.append(f"{one.name}: Kenward and Roger's errors are for likelihood: REML")
        robust = one.degrees_of_freedom == "cluster_robust"
        if isinstance(one, RepeatedMeasures) and study.columns.cluster is not None and not robust:
            problems.append(f"{one.name}: with clusters, degrees_of_freedom: cluster_robust")
    return holds("protocol.standard_error", "; ".join(problems), "standard errors know who may resemble whom")


def _published(study: LongTableStudy) -> Verdict:
    problems = []
    names = {one.name for one in study.analyses}
    labels = {plain(visit) for visit in study.columns.visits} if isinstance(study.columns, Visits) else set()
    for one in study.published:
        if one.analysis not in names:
            problems.append(f"no analysis is called {one.analysis}{did_you_mean(one.analysis, names)}")
        elif one.at is not None and plain(one.at) not in labels:
            problems.append(f"visit {one.at} is not among columns.visits{did_you_mean(plain(one.at), labels)}")
    return holds("protocol.published", "; ".join(problems), "every published number has an analysis beside it")
