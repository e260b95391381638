"""Reading a diagram: against networkx's d-separation, and against the definition over all paths."""

from __future__ import annotations

from itertools import combinations, pairwise

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.protocol.design import Dag
from causal.protocol.diagram import (
    cycle,
    diagram,
    edge_ends,
    graph_of,
    open_backdoor_paths,
    path_after_treatment,
    with_indicators,
)

NAMES = ("a", "b", "c", "d", "e", "w", "y")
PAIRS = tuple(combinations(range(len(NAMES)), 2))


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    """A diagram of seven nodes in a drawn order, w before y; w leads to y, and each other arrow may be there."""
    order = list(draw(st.permutations(NAMES)))
    w, y = sorted((order.index("w"), order.index("y")))
    order[w], order[y] = "w", "y"
    present = draw(st.lists(st.booleans(), min_size=len(PAIRS), max_size=len(PAIRS)))
    edges = {f"{order[i]} -> {order[j]}" for (i, j), drawn in zip(PAIRS, present, strict=True) if drawn}
    return Dag(treatment="w", outcome="y", edges=tuple(sorted(edges | {"w -> y"})))


def is_open(graph: nx.DiGraph[str], path: list[str], given_: set[str]) -> bool:
    """Pearl's definition, word for word, for one path."""
    for left, middle, right in zip(path, path[1:], path[2:], strict=False):
        collider = graph.has_edge(left, middle) and graph.has_edge(right, middle)
        if collider and not given_ & {middle, *nx.descendants(graph, middle)}:
            return False
        if not collider and middle in given_:
            return False
    return True


def all_open_paths(graph: nx.DiGraph[str], given_: set[str]) -> list[list[str]]:
    """Every open back-door path from w to y, by listing all paths."""
    surgery = graph.copy()
    surgery.remove_edges_from(list(graph.out_edges("w")))
    paths = nx.all_simple_paths(surgery.to_undirected(), "w", "y")
    return [path for path in paths if is_open(surgery, path, given_)]


@settings(max_examples=150, deadline=None)
@given(dag=dags(), adjusted=st.sets(st.sampled_from(("a", "b", "c", "d", "e"))))
def test_open_paths_are_those_of_the_definition(dag: Dag, adjusted: set[str]) -> None:
    """There is an open path exactly when nodes are not d-separated, and each path told is the shortest of its kind."""
    graph: nx.DiGraph[str] = nx.DiGraph([edge_ends(edge) for edge in dag.edges])
    assert cycle(diagram(dag)) == ()
    adjusted &= set(graph)
    told = open_backdoor_paths(diagram(dag), dag, adjusted)
    every = all_open_paths(graph, adjusted)
    surgery = graph.copy()
    surgery.remove_edges_from(list(graph.out_edges("w")))
    assert bool(told) == (not nx.is_d_separator(surgery, {"w"}, {"y"}, adjusted)) == bool(every)
    assert {words.split()[2] for words in told} == {path[1] for path in every}
    for words in told:
        path = words.split(" (open at ")[0].replace("<-", "->").split(" -> ")
        assert path in every
        assert len(path) == min(len(other) for other in every if other[1] == path[1])
        for (left, right), arrow in zip(pairwise(path), words.split()[1::2], strict=False):
            assert graph.has_edge(left, right) if arrow == "->" else graph.has_edge(right, left)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), min_size=1))
def test_ways_and_circles_are_those_of_networkx(edges: list[tuple[str, str]]) -> None:
    """Of any arrows, circles and all: who leads to whom, how many steps away, and whether there is a circle."""
    graph, theirs = graph_of(edges, "abcde"), nx.DiGraph(edges)
    theirs.add_nodes_from("abcde")
    away = dict(nx.all_pairs_shortest_path_length(theirs))
    for one in "abcde":
        assert {other: len(path) - 1 for other in "abcde" if (path := graph.path(one, other))} == away[one]
        assert graph.descendants(one) - {one} == nx.descendants(theirs, one)
        assert graph.ancestors(one) - {one} == nx.ancestors(theirs, one)
    loop = cycle(graph)
    assert bool(loop) is not nx.is_directed_acyclic_graph(theirs)
    assert all(theirs.has_edge(*arrow) for arrow in pairwise(loop))
    assert loop[:1] == loop[-1:] == tuple(sorted(loop)[:1])


def test_a_path_in_words() -> None:
    """The classic M: closed by nothing, opened by its middle, or by what its middle leads to."""
    edges = ("u -> w", "u -> m", "v -> m", "v -> y", "w -> y", "m -> n")
    dag = Dag(treatment="w", outcome="y", edges=edges, unobserved=("u", "v"))
    graph = diagram(dag)
    assert open_backdoor_paths(graph, dag, ()) == ()
    assert open_backdoor_paths(graph, dag, ["m"]) == (
        "w <- u -> m <- v -> y (open at m only because of adjusting for it)",
    )
    assert open_backdoor_paths(graph, dag, ["n"]) == (
        "w <- u -> m <- v -> y (open at m only because of adjusting for what it leads to)",
    )


def test_one_path_for_each_cause() -> None:
    """Every direct cause of the treatment that leaves a path open is told."""
    dag = Dag(treatment="w", outcome="y", edges=("a -> w", "b -> w", "c -> w", "a -> y", "b -> y", "w -> y"))
    assert open_backdoor_paths(diagram(dag), dag, ["b"]) == ("w <- a -> y",)
    assert open_backdoor_paths(diagram(dag), dag, ["not_drawn"]) == ("w <- a -> y", "w <- b -> y")


def test_a_cycle_is_named() -> None:
    """The nodes of the circle, in order; nothing for a diagram without one."""
    dag = Dag(treatment="w", outcome="y", edges=("w -> y", "y -> z", "z -> w", "a -> w"))
    assert cycle(diagram(dag)) == ("w", "y", "z", "w")
    assert cycle(diagram(Dag(treatment="w", outcome="y", edges=("w -> y",)))) == ()
    assert cycle(diagram(Dag(treatment="w", outcome="y", edges=("w -> w",)))) == ("w", "w")


def test_a_descendant_is_told_with_its_way() -> None:
    """Through the node and on to the outcome; a dead end stops there; what comes before has no way."""
    dag = Dag(treatment="w", outcome="y", edges=("a -> w", "w -> m", "m -> y", "m -> dead"))
    graph = diagram(dag)
    assert path_after_treatment(graph, dag, "m") == "w -> m -> y"
    assert path_after_treatment(graph, dag, "dead") == "w -> m -> dead"
    assert path_after_treatment(graph, dag, "a") == ""
    assert path_after_treatment(graph, dag, "not_drawn") == ""


@pytest.mark.parametrize(
    ("names", "completed"),
    [
        (["regime"], {"regime", "regime_mandatory", "regime_permissive"}),
        (["regime_mandatory", "regime_permissive"], {"regime", "regime_mandatory", "regime_permissive"}),
        (["regime_mandatory"], {"regime_mandatory"}),
    ],
)
def test_two_indicators_are_one_variable(names: list[str], completed: set[str]) -> None:
    """Both indicators of the legal regime are the regime; one of them is not."""
    assert with_indicators(names, {"regime": ("regime_mandatory", "regime_permissive")}) == completed
