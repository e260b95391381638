"""Judge how groups are to be made comparable: whether the declared method holds together with the rest of the study."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from causal.protocol.design import PropensityModel
from causal.protocol.matching import (
    AnyMatching,
    Cardinality,
    CoarsenedExact,
    CovariateDistance,
    FineBalance,
    Greedy,
    Optimal,
    PairRules,
    named_keys,
)
from causal.protocol.weighting import AnyWeighting, EntropyBalancing, PropensityWeighting
from validation.verdict import Verdict, at_most
from validation.words import did_you_mean, holds, listed

MOST_COMPARISONS = 4
Method = AnyMatching | AnyWeighting


def estimand_of(method: Method) -> str:
    """Whose effect the method's weights stand for; matched pairs stand for the treated."""
    return getattr(method, "estimand", "ATT")


def judge_method(
    method: Method,
    propensity: PropensityModel,
    *,
    covariates: Collection[str],
    keys: Collection[str],
    exact: Collection[str] = (),
) -> Iterator[Verdict]:
    """Verdicts on one declared method.

    Parameters
    ----------
    covariates
        Names of the covariates the study adjusts for.
    keys
        Names of the keys that rules on pairs may use.
    exact
        Keys on which the study demands agreement.
    """
    problems = [*_names(method, propensity, covariates, keys), *_settings(method), *_model(propensity)]
    if propensity.sampling_fraction is not None and estimand_of(method) not in ("ATT", "ATC"):
        problems.append("with a sample of the untreated only the effect in one group can be weighted for")
    if exact and isinstance(method, AnyWeighting) and not isinstance(method, EntropyBalancing):
        problems.append(
            f"these weights do not make groups agree in the exact keys ({listed(exact)}): use entropy_balancing, which "
            "does, or drop the keys and name what they stand for as confounders"
        )
    yield holds("protocol.method", "; ".join(problems), "the way groups are made comparable holds together")
    if isinstance(method, Greedy | Optimal | FineBalance | Cardinality):
        sentence = "comparison occasions for each treated one; more would add bias faster than information"
        yield at_most("protocol.ratio", method.ratio, MOST_COMPARISONS, sentence)


def _names(
    method: Method, propensity: PropensityModel, covariates: Collection[str], keys: Collection[str]
) -> Iterator[str]:
    named_covariates = list(propensity.splines)
    if isinstance(method, PairRules):
        named_covariates += [limit.covariate for limit in method.calipers]
    if isinstance(distance := getattr(method, "distance", None), CovariateDistance):
        named_covariates += distance.covariates
    if isinstance(method, CoarsenedExact):
        named_covariates += [*method.covariates, *(bins.covariate for bins in method.bins)]
    for named, known, what in (
        (named_covariates, covariates, "confounder"),
        (named_keys(method), keys, "key to match on"),
    ):
        if unknown := sorted(set(named) - set(known)):
            near = listed(f"{name}{did_you_mean(name, known)}" for name in unknown)
            yield f"what the method names is no {what} of this study: {near}"


def _settings(method: Method) -> Iterator[str]:
    if isinstance(method, Greedy):
        if (method.order == "random") != (method.seed is not None):
            yield "a seed belongs to order: random, and order: random needs one"
        if method.most_uses is not None and not method.replacement:
            yield "most_uses says how often an occasion is reused, and replacement is false"
    if isinstance(method, PropensityWeighting):
        for name, pair in (("truncate", method.truncate), ("trim", method.trim)):
            if pair is not None and not pair.lower < pair.upper:
                yield f"the lower bound of {name} is not below the upper one"
        if method.stabilised and method.estimand in ("ATO", "ATM"):
            yield f"weights for {method.estimand} are bounded and are not stabilised"


def _model(propensity: PropensityModel) -> Iterator[str]:
    trees = propensity.model in ("boosting", "average")
    if trees != (propensity.seed is not None):
        yield (
            f"a seed belongs to trees, and model: {propensity.model} needs one"
            if trees
            else "a seed belongs to model: boosting or model: average"
        )
    if propensity.model == "boosting" and propensity.splines:
        yield "boosted trees bend by themselves: splines belong to the regressions"
    if trees and propensity.sampling_fraction is not None:
        yield "boosted trees cannot allow for a sample of the untreated: sampling_fraction belongs to the regressions"
