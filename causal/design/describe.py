"""What a design did and of whom its effect speaks, in sentences a board can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from causal.cohort.catalogue import EXACT_KEYS
from causal.design.compare import Comparison
from causal.protocol.design import PropensityModel
from causal.protocol.matching import (
    AnyMatching,
    Caliper,
    Cardinality,
    CoarsenedExact,
    CovariateDistance,
    Distance,
    FineBalance,
    Full,
    GeneralisedFull,
    Greedy,
    Optimal,
    PairRules,
    Subclassification,
)
from causal.protocol.target_trial import Assignment
from causal.protocol.weighting import AnyWeighting, CovariateBalancing, EntropyBalancing, PropensityWeighting
from causal.protocol.words import Words

SD_WORDS = {"pooled_within": "pooled within-group SD", "whole": "whole-sample SD"}
WHOM = {
    "ATT": "the eligible {units} that led to {event}",
    "ATC": "the eligible {units} that led to {no_event}",
    "ATE": "all eligible {units}",
    "ATO": "the eligible {units} on which either decision was open, the more so the more open (overlap weights)",
    "ATM": "the eligible {units} a one-to-one match would keep (matching weights)",
}
"""Of whom the effect speaks, by estimand, with the study's words to be put in."""
ORDERS = {
    "highest": "highest estimated probability first",
    "lowest": "lowest estimated probability first",
    "closest": "closest pair first",
    "earliest": "earliest first",
    "random": "in an order drawn by lot",
}


def estimand_label(compared: Comparison, *, left_out: bool) -> str:
    """Letters for tables: the estimand, and what became of it: trimming, truncation, somebody left out."""
    letters = compared.weights.estimand if compared.weights is not None else compared.estimand
    if not left_out or "trimmed" in letters:
        return letters
    return f"{letters} in the {'weighted' if compared.grouping == 'weight' else 'matched'}"


def estimand_sentence(compared: Comparison, words: Words, *, left_out: bool) -> str:
    """Of whom the effect speaks. Whoever is left out, trimming and truncation change that, and it is said."""
    whom = WHOM[compared.estimand].format(units=words.units, event=words.event, no_event=words.no_event)
    effect = f"the average effect among {whom}"
    note = f". {compared.note}" if compared.note else ""
    if not left_out:
        return f"{effect} ({compared.estimand}){note}"
    zone = f"{compared.estimand} in the {'weighted' if compared.grouping == 'weight' else 'matched'} zone"
    if compared.estimand in ("ATT", "ATC"):
        return (
            f"{effect} and for which a comparable {words.unit} with the other decision exists ({zone}); the others are "
            f"not represented{note}"
        )
    return (
        f"{effect} ({zone}); those for which no comparable {words.unit} with the other decision exists are not "
        f"represented{note}"
    )


def propensity_sentence(model: PropensityModel, fitted: str, words: Words, *, bends: Sequence[str] = ()) -> str:
    """How the probability was modelled, by which likelihood it was fitted, and the labels of what has a bend."""
    how = {
        "maximum likelihood": "logistic regression (maximum likelihood)",
        "Firth": "logistic regression (Firth's, for few events)",
        "elastic net": "logistic regression with an elastic-net penalty",
        "boosting": "logistic regression and boosted trees, weighed by how well they tell cases they never saw",
        "average": (
            "logistic regression, ridge regression and boosted trees, averaged by how well they tell cases they never "
            "saw"
        ),
    }[fitted]
    if model.model == "ridge":
        how = "logistic regression with a ridge penalty"
    parts = (
        f"splines in {', '.join(model.splines)}" if model.splines else "",
        f"one bend in {', '.join(bends)}" if bends else "",
        f"the {model.cluster_means}'s mean of every fact" if model.cluster_means else "",
    )
    terms = " and ".join(part for part in parts if part)
    sentence = f"The probability was estimated by {how}"
    if terms:
        sentence += f" with {terms}"
    if model.cross_fit:
        sentence += f", each occasion scored by a model that never saw its cluster ({model.cross_fit} folds)"
    if model.sampling_fraction:
        sentence += f"; {model.sampling_fraction:.0%} of the {words.untreated} were drawn, which the model allows for"
    return f"{sentence}."


def method_sentence(
    method: AnyMatching | AnyWeighting, assignment: Assignment, words: Words, keys: Mapping[str, str]
) -> str:
    """How the groups were made comparable, with every standard deviation named; `keys` are exact ones in words."""
    if isinstance(method, AnyMatching):
        return f"{_matching(method, words)} {_held_fixed(method, assignment, keys)}".strip()
    return f"{_weighting(method, words)} {_within(method, assignment, keys)}".strip()


def _within(method: AnyWeighting, assignment: Assignment, keys: Mapping[str, str]) -> str:
    if not assignment.exact or not isinstance(method, EntropyBalancing):
        return ""
    exact = ", ".join(keys[key] for key in assignment.exact)
    return f"Both groups weigh the same in every combination of: {exact}. Calendar time is balanced as a fact."


def _held_fixed(method: AnyMatching, assignment: Assignment, keys: Mapping[str, str]) -> str:
    exact = ", ".join(keys[key] for key in assignment.exact) or "nothing"
    if isinstance(method, GeneralisedFull | Cardinality | CoarsenedExact | Subclassification):
        several = "" if isinstance(method, Cardinality) else " A person can stand among them more than once."
        return f"They are of the same period of {assignment.calendar_days} days and the same in: {exact}.{several}"
    return f"Compared occasions are at most {assignment.calendar_days} days apart and the same in: {exact}."


def _matching(method: AnyMatching, words: Words) -> str:
    how = _on(getattr(method, "distance", None), getattr(method, "caliper", None), words)
    near = _near(getattr(method, "caliper", None), words)
    rules = _rules(method) if isinstance(method, PairRules) else ""
    match method:
        case Greedy():
            free = "" if method.replacement else " still free"
            reuse = _uses(method.most_uses) if method.replacement else "no person used twice as a comparison"
            return (
                f"One after the other, {ORDERS[method.order]}, each {words.treated} occasion took the nearest "
                f"{words.untreated} occasion of another person{free} {how}, {near}{_rounds(method.ratio)}; {reuse}. "
                f"Those for which there was none are not compared.{rules}"
            )
        case Optimal():
            return (
                f"{_capital(words.treated)} occasions were given up to {method.ratio} {words.untreated} occasions of "
                "other people each, no person used twice as a comparison: as many pairs as possible, and among these "
                f"those whose total distance {how} is the smallest, {near}.{rules}"
            )
        case FineBalance():
            keys = ", ".join(EXACT_KEYS.get(key, key) for key in method.balance)
            return (
                f"{_capital(words.treated)} occasions were given up to {method.ratio} {words.untreated} occasions of "
                f"other people each, none used twice, so that first the groups' distributions of {keys} agree as "
                "closely as possible and then the "
                f"total distance {how} is the smallest possible, {near}.{rules}"
            )
        case Full():
            return f"{_stars(method, words)}, so that the total distance {how} is the smallest possible, {near}.{rules}"
        case GeneralisedFull():
            return (
                "Occasions were gathered into sets with both groups in each and no one far from the others on the "
                f"logit of the estimated probability, {near}."
            )
        case Cardinality():
            return (
                "The largest sample was taken in which no fact differs between the groups by more than "
                f"{method.tolerance:g} standard deviations (of the {words.treated} before matching), then paired 1:"
                f"{method.ratio} at the smallest total distance; nobody is in it twice."
            )
        case CoarsenedExact():
            return (
                f"Occasions alike in {', '.join(method.covariates) or 'all tier-1 facts'}, numbers coarsened into "
                "equally wide bins, form a stratum; strata without both groups left."
            )
        case Subclassification():
            return (
                f"Occasions were divided into {method.subclasses} strata of the estimated probability, and these by "
                "the keys named below; parts without both groups left."
            )


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _rounds(ratio: int) -> str:
    """What follows the first comparison of every case."""
    if ratio == 1:
        return ""
    return f", and once each had had its turn those with one took another, up to {ratio} in all"


def _stars(method: Full, words: Words) -> str:
    """Who is in a set with whom under full matching, with its bounds."""
    most, shared = method.most_comparisons, method.most_treated
    many = "one or more" if most is None else f"up to {most}"
    several = "several" if shared is None else f"up to {shared}"
    reverse = "" if shared == 1 else f", or of {several} {words.treated} and one {words.untreated}"
    free = most is None and shared is None
    who = "Every occasion with a possible partner is" if free else "As many occasions as the bounds allow are"
    return f"{who} in one set of one {words.treated} and {many} {words.untreated} occasions{reverse}"


def _uses(most: int | None) -> str:
    return "any of them as often as it is nearest" if most is None else f"nobody used more than {most} times"


def _on(distance: Distance | None, caliper: Caliper | None, words: Words) -> str:
    if not isinstance(distance, CovariateDistance):
        return f"on {_scale(caliper, words)}"
    of = ", ".join(distance.covariates) or "all tier-1 facts"
    ranks = "the ranks of " if distance.kind == "rank_mahalanobis" else ""
    return f"in Mahalanobis distance on {ranks}{of}"


def _near(caliper: Caliper | None, words: Words) -> str:
    if caliper is None:
        return "with no limit on the distance"
    return f"within {caliper.width:g} {SD_WORDS[caliper.sd]} of {_scale(caliper, words)}"


def _scale(caliper: Caliper | None, words: Words) -> str:
    of = f"the estimated probability of {words.event}"
    return of if caliper is not None and caliper.scale == "probability" else f"the logit of {of}"


def _rules(rules: PairRules) -> str:
    sentences = []
    for limit in rules.calipers:
        unit = f" {SD_WORDS[limit.sd]}" if limit.sd else " of its unit"
        bound = "at most" if limit.side == "within" else "at least"
        sentences.append(f" {limit.covariate} differs by {bound} {limit.width:g}{unit}.")
    if rules.differ:
        sentences.append(f" Compared occasions differ in: {', '.join(EXACT_KEYS.get(k, k) for k in rules.differ)}.")
    if rules.prefer:
        keys = ", ".join(f"{EXACT_KEYS.get(p.key, p.key)} (penalty {p.penalty:g})" for p in rules.prefer)
        sentences.append(f" Agreement was preferred in: {keys}.")
    return "".join(sentences)


def _weighting(method: AnyWeighting, words: Words) -> str:
    match method:
        case PropensityWeighting():
            kinds = {
                "ATT": f"{words.untreated} occasions weighted by the odds of {words.event}",
                "ATC": f"{words.treated} occasions weighted by the odds of {words.no_event}",
                "ATE": "every occasion weighted by the inverse of the probability of the decision taken",
                "ATO": "every occasion weighted by the probability of the decision not taken (overlap weights)",
                "ATM": "every occasion weighted as a one-to-one match would keep it (matching weights)",
            }
            extra = "".join(
                (
                    "; stabilised" if method.stabilised else "",
                    f"; truncated at quantiles {method.truncate.lower:g} and {method.truncate.upper:g}"
                    if method.truncate
                    else "",
                    f"; probabilities below {method.trim.lower:g} or above {method.trim.upper:g} left out"
                    if method.trim
                    else "",
                )
            )
            return f"Groups were made alike by weights: {kinds[method.estimand]}{extra}."
        case EntropyBalancing():
            moments = {1: "means", 2: "means and variances", 3: "means, variances and skewness"}[method.moments]
            return (
                "Groups were made alike by entropy balancing: the weights nearest to equal ones under which the "
                f"{moments} of all facts{' and the means of their products' if method.interactions else ''} agree "
                "exactly."
            )
        case CovariateBalancing():
            return (
                "Groups were made alike by weights from a model of the probability fitted so that the means of all "
                "facts agree exactly (covariate-balancing propensity score)."
            )
