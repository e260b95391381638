"""Reading a causal diagram: cycles, descendants, and back-door paths in words.

A path is *open* given a set of covariates when no covariate of the set stands on it as anything but a collider, and
every collider on it is in the set or leads to one of the set (Pearl, Causality, 2nd ed., definition 1.2.3). A
back-door path enters the treatment by an arrow into it (ibid., definition 3.3.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from itertools import pairwise
from typing import TYPE_CHECKING

from causal.protocol.design import Dag

if TYPE_CHECKING:
    import networkx as nx

INDICATORS = {"regime": ("regime_mandatory", "regime_permissive")}
"""Variables of which the catalogue holds indicators: adjusting for all indicators is adjusting for the variable."""


def diagram(dag: Dag) -> nx.DiGraph[str]:
    """Draw the graph of `dag`: every node of an edge, the treatment, the outcome and the unobserved; names in order."""
    import networkx as nx

    edges = sorted(edge_ends(edge) for edge in dag.edges)
    names = {dag.treatment, dag.outcome, *dag.unobserved, *(name for edge in edges for name in edge)}
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(sorted(names))
    graph.add_edges_from(edges)
    return graph


def edge_ends(edge: str) -> tuple[str, str]:
    """Cause and effect of one arrow.

    >>> edge_ends("severity -> warning")
    ('severity', 'warning')
    """
    cause, _, effect = edge.partition(" -> ")
    return cause, effect


def cycle(graph: nx.DiGraph[str]) -> tuple[str, ...]:
    """Nodes of one directed cycle, the first repeated at the end; empty when there is none."""
    import networkx as nx

    try:
        edges = nx.find_cycle(graph)
    except nx.NetworkXNoCycle:
        return ()
    return (*(edge[0] for edge in edges), edges[0][0])


def path_after_treatment(graph: nx.DiGraph[str], dag: Dag, name: str) -> str:
    """How `name` comes after the treatment, in words, on to the outcome where it leads there; "" when it does not.

    >>> dag = Dag(treatment="w", outcome="y", edges=("w -> m", "m -> y"))
    >>> path_after_treatment(diagram(dag), dag, "m")
    'w -> m -> y'
    """
    import networkx as nx

    if name == dag.treatment or name not in graph or not nx.has_path(graph, dag.treatment, name):
        return ""
    path = nx.shortest_path(graph, dag.treatment, name)
    if nx.has_path(graph, name, dag.outcome):
        path = [*path, *nx.shortest_path(graph, name, dag.outcome)[1:]]
    return " -> ".join(path)


def with_indicators(names: Iterable[str]) -> frozenset[str]:
    """Complete `names`: a variable all of whose indicators are there, and the indicators of a variable that is there.

    >>> sorted(with_indicators(["regime_mandatory", "regime_permissive"]))
    ['regime', 'regime_mandatory', 'regime_permissive']
    """
    found = set(names)
    for variable, indicators in INDICATORS.items():
        if variable in found:
            found.update(indicators)
        elif found.issuperset(indicators):
            found.add(variable)
    return frozenset(found)


def open_backdoor_paths(graph: nx.DiGraph[str], dag: Dag, adjusted: Collection[str]) -> tuple[str, ...]:
    """For each direct cause of the treatment, the shortest open back-door path through it, in words.

    `adjusted` may hold names that are not in the graph. Empty when every back-door path is blocked. The search is
    breadth-first over (node, arrived against or along an arrow), so its cost grows with the number of arrows only.

    >>> dag = Dag(treatment="w", outcome="y", edges=("w -> y", "u -> w", "u -> y"), unobserved=("u",))
    >>> open_backdoor_paths(diagram(dag), dag, ())
    ('w <- u -> y',)
    """
    given = frozenset(adjusted) & frozenset(graph)
    surgery = graph.copy()
    surgery.remove_edges_from(list(graph.out_edges(dag.treatment)))
    paths = (_open_path(surgery, dag, cause, given) for cause in sorted(surgery.predecessors(dag.treatment)))
    return tuple(_in_words(surgery, path, given) for path in paths if path)


def _open_path(graph: nx.DiGraph[str], dag: Dag, cause: str, given: frozenset[str]) -> list[str]:
    """Find the shortest open path treatment <- cause ... outcome; empty when there is none.

    The shortest open walk repeats no node: a detour back to a node could always be cut out and leave the walk open.
    """
    import networkx as nx

    leads_to_given = given.union(*(nx.ancestors(graph, name) for name in given))
    first = (cause, False)  # False: reached against the arrow, so `cause` is no collider
    before: dict[tuple[str, bool], tuple[str, bool] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        node, along = state
        if node == dag.outcome:
            return [dag.treatment, *_trail(before, state)]
        steps: list[tuple[str, bool]] = []
        if node not in given:  # no collider here: go on down, or up if we did not come down
            steps += [(effect, True) for effect in sorted(graph.successors(node))]
            steps += [] if along else [(above, False) for above in sorted(graph.predecessors(node))]
        if along and node in leads_to_given:  # a collider that adjustment opens: go up
            steps += [(above, False) for above in sorted(graph.predecessors(node))]
        for step in steps:
            if step not in before and step[0] != dag.treatment:
                before[step] = state
                waiting.append(step)
    return []


def _trail(before: dict[tuple[str, bool], tuple[str, bool] | None], last: tuple[str, bool]) -> list[str]:
    nodes: list[str] = []
    state: tuple[str, bool] | None = last
    while state is not None:
        nodes.append(state[0])
        state = before[state]
    return nodes[::-1]


def _in_words(graph: nx.DiGraph[str], path: list[str], given: frozenset[str]) -> str:
    words = path[0]
    for left, right in pairwise(path):
        words += f" -> {right}" if graph.has_edge(left, right) else f" <- {right}"
    colliders = [
        middle
        for left, middle, right in zip(path, path[1:], path[2:], strict=False)
        if graph.has_edge(left, middle) and graph.has_edge(right, middle)
    ]
    if colliders:
        opened = ", ".join(colliders)
        how = "adjusting for it" if set(colliders) <= given else "adjusting for what it leads to"
        words += f" (open at {opened} only because of {how})"
    return words
