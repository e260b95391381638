"""May the answer from a flat table be trusted? Each limit is declared, or that of studies of occasions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import hypot
from statistics import NormalDist

from causal.effect.flat_diagnostics import FlatDiagnostics
from causal.effect.flat_extremes import Farthest
from causal.effect.flat_placebo import PlaceboEffect
from causal.effect.flat_table import FlatResult
from causal.protocol.flat_gates import FlatGates, KnownEffect
from validation.verdict import Verdict, at_least, at_most, not_evaluated


def judge_flat_result(
    result: FlatResult,
    placebos: Sequence[PlaceboEffect],
    *,
    gates: FlatGates,
    known: KnownEffect | None,
    far: Farthest | None = None,
) -> tuple[Verdict, ...]:
    """One verdict per limit, in the order a reader asks: alike, like whom, enough, heard, and against what is known."""
    return (
        *judge_flat_design(result.diagnostics, result.estimand, gates),
        *_outcome_model(result, gates),
        *_response(result, gates),
        *((_extreme(far, gates),) if far is not None else ()),
        *map(_placebo, placebos),
        *((_known(result, known),) if known is not None else ()),
    )


def judge_flat_design(found: FlatDiagnostics, estimand: str, gates: FlatGates) -> tuple[Verdict, ...]:
    """What can be judged before outcomes are opened, from what an answer about `estimand` will rest on."""
    return (
        _balance(found, gates),
        *_overlap(found, estimand, gates),
        *_weights(found, gates),
        *_clusters(found, gates),
    )


def _balance(found: FlatDiagnostics, gates: FlatGates) -> Verdict:
    if found.after is None:
        column, smd = found.before
        sentence = f"largest standardised difference that the model of the outcome alone has to bridge ({column})"
        return at_most("flat.balance", smd, gates.smd_model_only, sentence)
    column, smd = found.after
    sentence = f"largest standardised difference of a covariate after adjustment ({column})"
    return at_most("flat.balance", smd, gates.smd, sentence)


def _overlap(found: FlatDiagnostics, estimand: str, gates: FlatGates) -> Iterator[Verdict]:
    whom = {"ATT": "the treated", "ATC": "the comparisons"}.get(estimand[:3], "all the effect is about")
    if found.after is not None:
        sentence = f"share of {whom} that is not in the comparison"
        yield at_most("flat.unmatched", found.left_out, gates.maximum_unmatched, sentence)
    if found.without_counterpart is None:
        yield not_evaluated("flat.overlap", "whether both groups occur alike: no probability of treatment is estimated")
        return
    yield at_most(
        "flat.overlap",
        found.without_counterpart,
        gates.maximum_without_counterpart,
        f"share of {whom} whose probability of treatment lies beyond that of everybody in the other group",
    )


def _weights(diagnostics: FlatDiagnostics, gates: FlatGates) -> Iterator[Verdict]:
    arms = {"treated": diagnostics.treated, "comparison": diagnostics.comparison}
    for arm, found in arms.items():
        sentence = f"effective number of {arm} rows, of {found.rows} with weight"
        yield at_least(f"flat.effective.{arm}", found.effective, gates.minimum_effective, sentence)
    for arm, found in arms.items():
        sentence = f"largest share of the weight of {arm} rows that one of them holds"
        yield at_most(f"flat.weight_share.{arm}", found.largest, gates.maximum_weight_share, sentence)


def _clusters(found: FlatDiagnostics, gates: FlatGates) -> Iterator[Verdict]:
    spread = found.clusters
    if spread is not None:
        sentence = f"smallest number of clusters behind a group, of {spread.total} in all"
        yield at_least("flat.clusters", spread.fewest, gates.minimum_clusters_per_arm, sentence)


def _outcome_model(result: FlatResult, gates: FlatGates) -> Iterator[Verdict]:
    found = result.diagnostics.outpredicted
    if found is None:
        return
    if found.share is None:
        question = f"whether trees would tell the outcome clearly better than its {found.kind} model"
        yield not_evaluated("flat.outcome_model", f"{question}: {found.reason}")
        return
    sentence = f"share of the squared error of the {found.kind} model of the outcome, out of fold, that a few boosted "
    sentence += "trees save beyond doubt (then the answer leans on the model of treatment: boosting and average bend)"
    yield at_most("flat.outcome_model", found.share, gates.maximum_outpredicted, sentence)


def _response(result: FlatResult, gates: FlatGates) -> Iterator[Verdict]:
    treated, comparison = result.diagnostics.response
    sentence = f"share of rows whose outcome is known, in the group with fewer (treated {treated:.0%}, comparison "
    sentence += f"{comparison:.0%})"
    yield at_least("flat.response", min(treated, comparison), gates.minimum_response, sentence)
    yield at_most(
        "flat.response_difference",
        abs(treated - comparison),
        gates.maximum_response_difference,
        "how far the groups differ in the share of rows whose outcome is known",
    )


def _extreme(far: Farthest, gates: FlatGates) -> Verdict:
    rows = "1 row" if far.rows == 1 else f"{far.rows} rows"
    sentence = "how far the farthest number of a column stands from the next, in ranges of all others "
    sentence += f"({far.column}, in {rows}, {far.place}; if it stands for a missing value, name it under data.missing)"
    return at_most("flat.extreme", far.gap, gates.maximum_gap, sentence)


def _placebo(found: PlaceboEffect) -> Verdict:
    code = f"flat.placebo.{found.column}"
    if found.effect is None:
        return not_evaluated(code, f"whether an effect is found where there can be none: {found.reason}")
    effect = found.effect
    return at_least(
        code,
        effect.p_value,
        1 - effect.level,
        f"chance of a difference in '{found.column}', which the treatment cannot have changed, as large as the one "
        f"found: {effect.value:.4g} [{effect.lower:.4g}, {effect.upper:.4g}]",
    )


def _known(result: FlatResult, known: KnownEffect) -> Verdict:
    """By the declared tolerance, or in standard errors of the difference."""
    apart = abs(result.effect.value - known.value)
    sentence = f"the estimate, {result.effect.value:.4g}, is away from the known effect, {known.value:.4g}, of "
    sentence += known.source
    if known.tolerance is not None:
        return at_most("flat.known_effect", apart, known.tolerance, f"how far {sentence}")
    limit = NormalDist().inv_cdf((1 + result.effect.level) / 2)
    error = hypot(result.effect.std_error, known.std_error)
    return at_most("flat.known_effect", apart / error, limit, f"standard errors by which {sentence}")
