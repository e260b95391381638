"""Whether the covariates adjusted for identify the effect, if the diagram is right.

DoWhy names a back-door set of the diagram (Pearl, Causality, section 3.3). What decides is stricter: whether the set
*actually used* blocks every back-door path and holds nothing that comes after the treatment, by d-separation in the
diagram without the treatment's outgoing arrows. Covariates that the diagram does not show are taken to be measured
before time zero, which the cohort guarantees, and are listed.

DoWhy's search is exponential when the largest candidate set is not valid, so it is given only the observed ancestors
of treatment and outcome that do not come after the treatment: if any set is valid, this one is (van der Zander,
Liśkiewicz and Textor, UAI 2014), and DoWhy's first candidate is it.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from causal.design.fates import HELD, CovariateFate, Fate
from causal.errors import DesignError
from causal.protocol.design import Dag
from causal.protocol.diagram import (
    Graph,
    cycle,
    diagram,
    open_backdoor_paths,
    path_after_treatment,
    with_indicators,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """What adjusting for `used` achieves if the diagram is right. All tuples are in alphabetical order.

    Attributes
    ----------
    adjustment_set_dowhy
        Back-door set that DoWhy identifies in the diagram.
    used
        Covariates the study adjusts for.
    not_held
        Those of them that the comparison does not hold fixed (name, what became of it): never recorded, not delivered,
        too rare.
    same_for_all
        Those in which nobody differs: they block what stands on them, if that is how people are and not how records
        are kept.
    sufficient
        Whether what is held fixed of `used` blocks every back-door path.
    open_paths
        Paths that stay open, in words, one through each direct cause of the treatment; empty when `sufficient`.
    extras
        Covariates of `used` that are in the diagram and not in DoWhy's set.
    extras_harmless
        Whether `used` still blocks every back-door path with them.
    not_in_diagram
        Covariates of `used` that the diagram does not show: assumed measured before time zero.
    unobserved
        Nodes of the diagram that nobody measured.
    sentence
        All of this in one or two sentences.
    """

    adjustment_set_dowhy: tuple[str, ...]
    used: tuple[str, ...]
    not_held: tuple[tuple[str, str], ...]
    same_for_all: tuple[str, ...]
    sufficient: bool
    open_paths: tuple[str, ...]
    extras: tuple[str, ...]
    extras_harmless: bool
    not_in_diagram: tuple[str, ...]
    unobserved: tuple[str, ...]
    sentence: str


def identify(
    dag: Dag,
    adjustment: Sequence[str],
    fates: Sequence[CovariateFate] = (),
    indicators: Mapping[str, Sequence[str]] | None = None,
) -> Identification:
    """Judge the covariates `adjustment` against the diagram `dag`.

    Parameters
    ----------
    fates
        What became of them in the comparison made; one without a fate counts as adjusted for. A covariate that others
        determine is held fixed with them; one that nobody recorded, or that is in no model, is not, and the paths it
        was to block stay open.
    indicators
        By variable of the diagram, the covariates that together say all of it.

    Raises
    ------
    DesignError
        ``identification.same_node`` when treatment and outcome are one node; ``identification.cycle`` naming the cycle;
        ``identification.no_path`` when no arrow leads from treatment to outcome; ``identification.descendant`` when a
        covariate comes after the treatment; ``identification.open_path`` when no set of observed nodes would do.

    >>> found = identify(Dag(treatment="w", outcome="y", edges=("x -> w", "x -> y", "w -> y")), ["x", "age"])
    >>> found.sufficient, found.adjustment_set_dowhy, found.not_in_diagram
    (True, ('x',), ('age',))
    """
    graph = _usable(dag)
    used = tuple(sorted(set(adjustment)))
    _refuse_descendants(graph, dag, used)
    candidates = _observed_ancestors(graph, dag)
    best = open_backdoor_paths(graph, dag, candidates)
    if best:
        raise DesignError(
            "identification.open_path",
            f"nothing that was measured can separate the effect of {dag.treatment} on {dag.outcome} from what caused "
            f"{dag.treatment}: this path stays open: {best[0]}",
            fix="measure something on that path, or correct the diagram",
        )
    named = _dowhy_backdoor_set(graph, dag, candidates)
    fate = {one.name: one.fate for one in fates if one.name in used}
    not_held = tuple((name, str(fate[name])) for name in used if fate.get(name, Fate.ADJUSTED) not in HELD)
    same = tuple(name for name in used if fate.get(name) is Fate.CONSTANT)
    held = [name for name in used if name not in dict(not_held)]
    open_paths = open_backdoor_paths(graph, dag, with_indicators(held, indicators or {}))
    in_diagram = frozenset(held) & graph.effects.keys()
    extras = tuple(sorted(in_diagram - frozenset(named)))
    outside = tuple(name for name in held if name not in graph.effects)
    unobserved = tuple(sorted(set(dag.unobserved)))
    return Identification(
        adjustment_set_dowhy=named,
        used=used,
        not_held=not_held,
        same_for_all=same,
        sufficient=not open_paths,
        open_paths=open_paths,
        extras=extras,
        extras_harmless=not open_paths,
        not_in_diagram=outside,
        unobserved=unobserved,
        sentence=_sentence(dag, open_paths, not_held, same, outside, unobserved),
    )


def _usable(dag: Dag) -> Graph:
    """Draw the graph of a diagram that can be asked about."""
    if dag.treatment == dag.outcome:
        raise DesignError("identification.same_node", f"treatment and outcome are the same node, {dag.treatment}")
    graph = diagram(dag)
    loop = cycle(graph)
    if loop:
        raise DesignError(
            "identification.cycle",
            f"the diagram goes round in a circle: {' -> '.join(loop)}",
            fix="nothing causes itself; remove one of these arrows, or name earlier and later values apart",
        )
    if not graph.path(dag.treatment, dag.outcome):
        raise DesignError(
            "identification.no_path",
            f"no arrow leads from {dag.treatment} to {dag.outcome}, so the diagram says there is no effect to estimate",
            fix=f"draw {dag.treatment} -> {dag.outcome}",
        )
    return graph


def _refuse_descendants(graph: Graph, dag: Dag, used: Sequence[str]) -> None:
    """Refuse covariates that the treatment may have changed."""
    late = [path for name in used if (path := path_after_treatment(graph, dag, name))]
    if dag.treatment in used or late:
        path = late[0] if late else dag.treatment
        raise DesignError(
            "identification.descendant",
            f"{len(late) or 1} of the covariates adjusted for comes after the treatment: {path}",
            fix="take it out of the confounders; if the path through it is the question, declare a mediator",
        )


def _observed_ancestors(graph: Graph, dag: Dag) -> frozenset[str]:
    """Observed nodes that lead to treatment or outcome and do not come after the treatment."""
    above = graph.ancestors(dag.treatment) | graph.ancestors(dag.outcome)
    after = graph.descendants(dag.treatment) | {dag.treatment}
    return frozenset(above - after - set(dag.unobserved))


def _dowhy_backdoor_set(graph: Graph, dag: Dag, candidates: Collection[str]) -> tuple[str, ...]:
    """Ask DoWhy for a back-door set when only `candidates` are observed."""
    import networkx as nx

    drawn: nx.DiGraph[str] = nx.DiGraph()
    drawn.add_nodes_from(graph.effects)
    drawn.add_edges_from(graph.edges)
    with _quiet():
        from dowhy.causal_identifier.auto_identifier import BackdoorAdjustment, EstimandType, identify_effect_auto

        estimand = identify_effect_auto(
            drawn,
            [dag.treatment],
            [dag.outcome],
            sorted({dag.treatment, dag.outcome, *candidates}),
            EstimandType.NONPARAMETRIC_ATE,
            backdoor_adjustment=BackdoorAdjustment.BACKDOOR_MAX,
        )
    return tuple(sorted(estimand.get_backdoor_variables()))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep DoWhy's warnings and log to itself, and undo what importing it does to interactive printing."""
    logger = logging.getLogger("dowhy")
    level, displayhook = logger.level, sys.displayhook
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
        sys.displayhook = displayhook


def _sentence(
    dag: Dag,
    open_paths: Sequence[str],
    not_held: Sequence[tuple[str, str]],
    same: Sequence[str],
    outside: Sequence[str],
    unobserved: Sequence[str],
) -> str:
    if open_paths:
        verdict = f"If the diagram is right, these paths stay open: {'; '.join(open_paths)}"
    else:
        verdict = f"If the diagram is right, the covariates used block every back-door path from {dag.treatment}"
        verdict += f" to {dag.outcome}"
    parts = [verdict]
    if not_held:
        parts.append(f"Declared and not adjusted for: {', '.join(f'{name} ({fate})' for name, fate in not_held)}")
    if same:
        parts.append(
            "The same for everyone eligible, which blocks what stands on it only if people are so and not merely the "
            f"records: {', '.join(same)}"
        )
    if outside:
        parts.append(f"Not in the diagram, assumed measured before time zero: {', '.join(outside)}")
    if unobserved:
        parts.append(f"In the diagram and never measured: {', '.join(unobserved)}")
    return ". ".join(parts) + "."
