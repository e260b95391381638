"""Reading a causal diagram: cycles, descendants, and back-door paths in words.

A path is *open* given a set of covariates when no covariate of the set stands on it as anything but a collider, and
every collider on it is in the set or leads to one of the set (Pearl, Causality, 2nd ed., definition 1.2.3). A
back-door path enters the treatment by an arrow into it (ibid., definition 3.3.1).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TypeVar

from causal.protocol.design import Dag

Step = TypeVar("Step")


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """Names in order, and for each its direct effects and its direct causes in order.

    A graph library would take longer to load than all that is asked of a study file.
    """

    effects: Mapping[str, tuple[str, ...]]
    causes: Mapping[str, tuple[str, ...]]

    @property
    def edges(self) -> tuple[tuple[str, str], ...]:
        """Every arrow as (cause, effect), in order."""
        return tuple((cause, effect) for cause, effects in self.effects.items() for effect in effects)

    def has_edge(self, cause: str, effect: str) -> bool:
        """Whether there is such an arrow."""
        return effect in self.effects[cause]

    def path(self, first: str, last: str) -> list[str]:
        """The names on a shortest way along arrows, both ends included; empty where there is none."""
        before: dict[str, str | None] = {first: None}
        waiting = deque([first])
        while waiting:
            node = waiting.popleft()
            if node == last:
                return _trail(before, node)
            for effect in self.effects[node]:
                if effect not in before:
                    before[effect] = node
                    waiting.append(effect)
        return []

    def descendants(self, name: str) -> frozenset[str]:
        """Whatever arrows lead to from `name`, itself only where they lead back."""
        return _reached(self.effects, name)

    def ancestors(self, name: str) -> frozenset[str]:
        """Whatever arrows lead to `name` from, itself only where they lead back."""
        return _reached(self.causes, name)


def _reached(steps: Mapping[str, tuple[str, ...]], name: str) -> frozenset[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        fresh = set(steps[waiting.pop()]) - found
        found |= fresh
        waiting += fresh
    return frozenset(found)


def diagram(dag: Dag) -> Graph:
    """Draw the graph of `dag`: every node of an edge, the treatment, the outcome and the unobserved; names in order."""
    edges = [edge_ends(edge) for edge in dag.edges]
    return graph_of(edges, (dag.treatment, dag.outcome, *dag.unobserved))


def graph_of(edges: Iterable[tuple[str, str]], names: Iterable[str] = ()) -> Graph:
    """The graph of these arrows, each once, and of these names, whether an arrow touches them or not.

    >>> graph_of([("a", "b")], ["c"]).effects
    {'a': ('b',), 'b': (), 'c': ()}
    """
    arrows = sorted(set(edges))
    nodes = sorted({*names, *(name for arrow in arrows for name in arrow)})
    effects = {node: tuple(effect for cause, effect in arrows if cause == node) for node in nodes}
    causes = {node: tuple(cause for cause, effect in arrows if effect == node) for node in nodes}
    return Graph(effects=effects, causes=causes)


def edge_ends(edge: str) -> tuple[str, str]:
    """Cause and effect of one arrow.

    >>> edge_ends("severity -> treated")
    ('severity', 'treated')
    """
    cause, _, effect = edge.partition(" -> ")
    return cause, effect


def cycle(graph: Graph) -> tuple[str, ...]:
    """Nodes of one directed cycle, the first repeated at the end; empty when there is none."""
    try:
        TopologicalSorter(graph.causes).prepare()
    except CycleError as found:
        loop: list[str] = found.args[1][1:]  # along the arrows; the first is the last again
        at = loop.index(min(loop))
        return (*loop[at:], *loop[: at + 1])
    return ()


def path_after_treatment(graph: Graph, dag: Dag, name: str) -> str:
    """How `name` comes after the treatment, in words, on to the outcome where it leads there; "" when it does not.

    >>> dag = Dag(treatment="w", outcome="y", edges=("w -> m", "m -> y"))
    >>> path_after_treatment(diagram(dag), dag, "m")
    'w -> m -> y'
    """
    if name == dag.treatment or name not in graph.effects:
        return ""
    path = graph.path(dag.treatment, name)
    return " -> ".join([*path, *graph.path(name, dag.outcome)[1:]] if path else [])


def with_indicators(names: Iterable[str], indicators: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Complete `names`: a variable all of whose indicators are there, and the indicators of a variable that is there.

    `indicators` are, by variable, the names that together say all of it: to adjust for all is to adjust for it.

    >>> sorted(with_indicators(["law_a", "law_b"], {"law": ("law_a", "law_b")}))
    ['law', 'law_a', 'law_b']
    """
    found = set(names)
    for variable, parts in indicators.items():
        if variable in found:
            found.update(parts)
        elif found.issuperset(parts):
            found.add(variable)
    return frozenset(found)


def open_backdoor_paths(graph: Graph, dag: Dag, adjusted: Collection[str]) -> tuple[str, ...]:
    """For each direct cause of the treatment, the shortest open back-door path through it, in words.

    `adjusted` may hold names that are not in the graph. Empty when every back-door path is blocked. The search is
    breadth-first over (node, arrived against or along an arrow), so its cost grows with the number of arrows only.

    >>> dag = Dag(treatment="w", outcome="y", edges=("w -> y", "u -> w", "u -> y"), unobserved=("u",))
    >>> open_backdoor_paths(diagram(dag), dag, ())
    ('w <- u -> y',)
    """
    given = frozenset(adjusted) & graph.effects.keys()
    surgery = graph_of([arrow for arrow in graph.edges if arrow[0] != dag.treatment], graph.effects)
    paths = (_open_path(surgery, dag, cause, given) for cause in surgery.causes[dag.treatment])
    return tuple(_in_words(surgery, path, given) for path in paths if path)


def _open_path(graph: Graph, dag: Dag, cause: str, given: frozenset[str]) -> list[str]:
    """Find the shortest open path treatment <- cause ... outcome; empty when there is none.

    The shortest open walk repeats no node: a detour back to a node could always be cut out and leave the walk open.
    """
    leads_to_given = given.union(*(graph.ancestors(name) for name in given))
    first = (cause, False)  # False: reached against the arrow, so `cause` is no collider
    before: dict[tuple[str, bool], tuple[str, bool] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        node, along = state
        if node == dag.outcome:
            return [dag.treatment, *(name for name, _ in _trail(before, state))]
        steps: list[tuple[str, bool]] = []
        if node not in given:  # no collider here: go on down, or up if we did not come down
            steps += [(effect, True) for effect in graph.effects[node]]
            steps += [] if along else [(above, False) for above in graph.causes[node]]
        if along and node in leads_to_given:  # a collider that adjustment opens: go up
            steps += [(above, False) for above in graph.causes[node]]
        for step in steps:
            if step not in before and step[0] != dag.treatment:
                before[step] = state
                waiting.append(step)
    return []


def _trail(before: Mapping[Step, Step | None], last: Step) -> list[Step]:
    """From the first step to the last, each known by the one before it."""
    steps: list[Step] = []
    step: Step | None = last
    while step is not None:
        steps.append(step)
        step = before[step]
    return steps[::-1]


def _in_words(graph: Graph, path: list[str], given: frozenset[str]) -> str:
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
