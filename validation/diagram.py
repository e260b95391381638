"""Judge the causal diagram: whether it is one, speaks of this study, and fits the confounders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from causal.protocol.design import Dag
from causal.protocol.diagram import (
    Graph,
    cycle,
    diagram,
    open_backdoor_paths,
    path_after_treatment,
    with_indicators,
)
from validation.verdict import Status, Verdict, not_evaluated
from validation.words import did_you_mean, holds, listed


def judge_diagram(
    dag: Dag,
    *,
    covariates: Collection[str],
    mediators: Collection[str],
    used: Sequence[str],
    indicators: Mapping[str, Sequence[str]],
) -> tuple[Verdict, ...]:
    """Five verdicts on `dag`.

    Parameters
    ----------
    dag
        The diagram.
    covariates
        Names that are measured before time zero: the catalogue's and those the study declares.
    mediators
        Names that are measured after it.
    used
        The confounders: what the design adjusts for.
    indicators
        By variable, the covariates that together say all of it.
    """
    graph = diagram(dag)
    ends = _ends(graph, dag, covariates)
    loop = cycle(graph)
    acyclic = holds(
        "protocol.dag_acyclic",
        f"the diagram goes round in a circle: {' -> '.join(loop)}; nothing can cause itself" if loop else "",
        "the diagram has no circle",
    )
    nodes = _nodes(graph, dag, {*covariates, *indicators}, mediators, used)
    if ends.status is not Status.PASS or loop:
        reason = "not evaluated while the diagram has a circle, or its treatment or outcome is unclear"
        return (
            ends,
            acyclic,
            nodes,
            not_evaluated("protocol.dag_descendants", reason),
            not_evaluated("protocol.dag_open_path", reason),
        )
    return ends, acyclic, nodes, _descendants(graph, dag, used), _backdoor(graph, dag, used, indicators)


def _ends(graph: Graph, dag: Dag, covariates: Collection[str]) -> Verdict:
    drawn = {name for edge in graph.edges for name in edge}
    ends = (dag.treatment, dag.outcome)
    if dag.treatment == dag.outcome:
        problem = f"the diagram names {dag.treatment} as both treatment and outcome"
    elif missing := [name for name in ends if name not in drawn]:
        near = "".join(did_you_mean(name, drawn) for name in missing)
        problem = f"no arrow of the diagram touches its treatment or outcome: {listed(missing)}{near}"
    elif taken := [name for name in ends if name in covariates or name in dag.unobserved]:
        problem = f"treatment and outcome may be neither covariates nor unobserved: {listed(taken)}"
    elif not graph.path(dag.treatment, dag.outcome):
        problem = f"no arrow leads from {dag.treatment} to {dag.outcome}: the diagram says there is nothing to estimate"
    else:
        problem = ""
    return holds("protocol.dag_ends", problem, f"the diagram asks for the effect of {dag.treatment} on {dag.outcome}")


def _nodes(
    graph: Graph, dag: Dag, covariates: Collection[str], mediators: Collection[str], used: Sequence[str]
) -> Verdict:
    known = {*covariates, *mediators, dag.treatment, dag.outcome}
    unknown = [name for name in graph.effects if name not in known and name not in dag.unobserved]
    both = sorted(set(dag.unobserved) & set(used))
    problems = []
    if unknown:
        names = listed(f"{name}{did_you_mean(name, known)}" for name in unknown)
        problems.append(f"the diagram names what is neither a covariate nor declared unobserved: {names}")
    if both:
        problems.append(f"declared unobserved, and yet adjusted for: {listed(both)}")
    return holds(
        "protocol.dag_nodes", "; ".join(problems), "everything in the diagram is measured or declared unobserved"
    )


def _descendants(graph: Graph, dag: Dag, used: Sequence[str]) -> Verdict:
    paths = [path for name in used if (path := path_after_treatment(graph, dag, name))]
    return holds(
        "protocol.dag_descendants",
        f"a confounder comes after the treatment, so adjusting for it hides part of the effect: {listed(paths)}"
        if paths
        else "",
        "no confounder comes after the treatment",
    )


def _backdoor(graph: Graph, dag: Dag, used: Sequence[str], indicators: Mapping[str, Sequence[str]]) -> Verdict:
    late = {name for name in used if path_after_treatment(graph, dag, name)}
    paths = open_backdoor_paths(graph, dag, with_indicators(set(used) - late, indicators))
    return holds(
        "protocol.dag_open_path",
        f"with these confounders, something other than the treatment still links it to the outcome: {'; '.join(paths)}"
        if paths
        else "",
        "if the diagram is right, the confounders block every path from causes of the treatment to the outcome",
    )
