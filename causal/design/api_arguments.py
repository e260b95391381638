"""The words `match`, `weight` and `balance` take: which methods there are, what each uses, and the refusal of the rest.

A word a method does not use is refused by name: whoever writes ``antiexact`` believes that it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from numbers import Real
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter, ValidationError

from causal.errors import DesignError
from causal.protocol.matching import AnyMatching, Matching
from causal.protocol.weighting import AnyWeighting, Weighting

if TYPE_CHECKING:
    from collections.abc import Callable

    from causal.design.api_units import Sample


class Method(NamedTuple):
    """A method: its name in a study file, the effects it can be about, and the arguments it uses."""

    engine: str
    estimands: tuple[str, ...]
    uses: frozenset[str]


SCORE = frozenset({"link", "caliper", "caliper_sd"})
PAIRS = SCORE | {"exact", "distance", "mahvars", "calipers", "std_caliper", "antiexact", "prefer"}
ONE_GROUP, ANYONE = ("ATT", "ATC"), ("ATT", "ATC", "ATE")
MATCHINGS = {
    "nearest": Method("greedy", ONE_GROUP, PAIRS | {"ratio", "replace", "reuse_max", "m_order", "seed", "person"}),
    "optimal": Method("optimal", ONE_GROUP, PAIRS | {"ratio", "person"}),
    "full": Method("full", ANYONE, PAIRS | {"max_controls"}),
    "quick": Method("generalised_full", ANYONE, SCORE | {"exact"}),
    "fine": Method("fine_balance", ONE_GROUP, PAIRS | {"ratio", "fine"}),
    "cardinality": Method("cardinality", ONE_GROUP, frozenset({"ratio", "tols", "exact", "person"})),
    "cem": Method("coarsened_exact", ANYONE, frozenset({"mahvars", "cutpoints", "exact"})),
    "subclass": Method("subclassification", ANYONE, frozenset({"subclass", "exact"})),
}
WEIGHTINGS = {
    "glm": Method("propensity", ("ATT", "ATC", "ATE", "ATO", "ATM"), frozenset({"stabilize", "trim", "truncate"})),
    "ebal": Method("entropy_balancing", ("ATT", "ATC", "ATE", "ATO"), frozenset({"moments", "interactions"})),
    "cbps": Method("covariate_balancing", ANYONE, frozenset()),
}
CHOICES = {
    "distance": ("glm", "mahalanobis", "robust_mahalanobis"),
    "link": ("linear.logit", "logit"),
    "m_order": ("largest", "smallest", "closest", "data", "random"),
    "caliper_sd": ("pooled_within", "whole"),
    "std_caliper": (True, False),
}
LISTS, MAPPINGS, BOUNDS = (
    ("mahvars", "exact", "antiexact", "fine"),
    ("calipers", "prefer", "cutpoints"),
    ("trim", "truncate"),
)
ORDERS = {"largest": "highest", "smallest": "lowest", "closest": "closest", "data": "earliest", "random": "random"}
DISTANCES = {"mahalanobis": "mahalanobis", "robust_mahalanobis": "rank_mahalanobis"}
OURS = {
    "order": "m_order", "replacement": "replace", "most_uses": "reuse_max", "most_comparisons": "max_controls",
    "tolerance": "tols", "subclasses": "subclass", "bins": "cutpoints", "stabilised": "stabilize",
}  # fmt: skip
"""What a reader of this module calls the parts of a declared method."""


def arguments(function: Callable[..., Any], values: Mapping[str, Any], methods: Mapping[str, Method]) -> dict[str, Any]:
    """The arguments the named method uses, as plain values; every other must be as `function` sets it by itself."""
    name = one_of("method", values["method"], methods)
    method = methods[name]
    if values["estimand"] not in method.estimands:
        raise DesignError("design.estimand", f"method '{name}' stands for one of {', '.join(method.estimands)}")
    given = {word: _plain(word, values[word]) for methods_ in methods.values() for word in methods_.uses}
    usual = {word: _plain(word, signature(function).parameters[word].default) for word in given}
    _refuse(name, [word for word in usual if word not in method.uses and given[word] != usual[word]])
    if name not in {"cem", *WEIGHTINGS}:
        _refuse(name, _idle(given, usual))
    return {word: given[word] for word in method.uses} | {"method": name, "estimand": values["estimand"]}


def one_of(word: str, value: Any, known: Mapping[str, Any] | Sequence[Any]) -> Any:
    """`value` where it is one of the known ones."""
    if not any(value is one or (isinstance(value, str) and value == one) for one in known):
        raise DesignError("design.argument", f"argument {word} must be one of {', '.join(map(str, known))}")
    return value


def names_of(word: str, value: Any) -> tuple[str, ...]:
    """Names of columns; one name by itself is no list of names."""
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise DesignError("design.argument", f"argument {word} must be a list of column names")
    names = tuple(value)
    if not all(isinstance(name, str | int) for name in names):
        raise DesignError("design.argument", f"argument {word} holds something that is no column name")
    return names


def matching(given: Mapping[str, Any], sample: Sample) -> AnyMatching:
    """The declared matching, its columns by their short names."""
    limits = [("calipers", given.get("calipers", {})), ("cutpoints", given.get("cutpoints", {}))]
    short = {name: sample.number(word, name) for word, named in limits for name in named}
    chosen = tuple(part for name in given.get("mahvars", ()) for part in sample.parts("mahvars", name))
    ratio = {"ratio": given.get("ratio")}
    lasting = {"estimand": given["estimand"]}
    caliper = {"caliper": _caliper(given)}
    rules = caliper | {
        "calipers": tuple(_limit(short[name], width, given) for name, width in given.get("calipers", {}).items()),
        "differ": tuple(sample.key(name) for name in given.get("antiexact", ())),
        "prefer": tuple({"key": sample.key(k), "penalty": cost} for k, cost in given.get("prefer", {}).items()),
        "distance": _distance(given, chosen),
    }
    match given["method"]:
        case "nearest":
            words = rules | ratio | {"order": ORDERS[given["m_order"]], "seed": given["seed"]}
            words |= {"replacement": given["replace"], "most_uses": given["reuse_max"]}
        case "optimal":
            words = rules | ratio
        case "full":
            words = rules | lasting | {"most_comparisons": given["max_controls"]}
        case "quick":
            words = lasting | caliper
        case "fine":
            if not given["fine"]:
                raise DesignError("design.argument", "method 'fine' needs argument fine, the columns to balance")
            words = rules | ratio | {"balance": tuple(sample.key(name) for name in given["fine"])}
        case "cardinality":
            words = ratio | {"tolerance": given["tols"]}
        case "cem":
            bins = tuple({"covariate": short[name], "number": n} for name, n in given["cutpoints"].items())
            if stray := [name for name in given["cutpoints"] if given["mahvars"] and name not in given["mahvars"]]:
                raise DesignError("design.argument", f"cutpoints of {', '.join(stray)}: not among mahvars")
            words = lasting | {"covariates": chosen, "bins": bins}
        case _:
            words = lasting | {"subclasses": given["subclass"]}
    declared: AnyMatching = _declared({"method": MATCHINGS[given["method"]].engine} | words, Matching)
    return declared


def weighting(given: Mapping[str, Any]) -> AnyWeighting:
    """The declared weighting."""
    words: dict[str, Any] = {"method": WEIGHTINGS[given["method"]].engine, "estimand": given["estimand"]}
    if given["method"] == "glm":
        words |= {"stabilised": given["stabilize"], "trim": given["trim"], "truncate": given["truncate"]}
    elif given["method"] == "ebal":
        words |= {"moments": given["moments"], "interactions": given["interactions"]}
    declared: AnyWeighting = _declared(words, Weighting)
    return declared


def _refuse(method: str, words: Sequence[str]) -> None:
    if words:
        raise DesignError("design.argument", f"method '{method}' does not use {', '.join(sorted(words))} as called")


def _idle(given: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """Arguments other than usual that do nothing beside the others."""
    on_score = given["distance"] == "glm" and not given["mahvars"]
    scored = given["distance"] == "glm" or given["caliper"] is not None
    used = {
        "link": on_score or given["caliper"] is not None,
        "caliper_sd": given["caliper"] is not None or (given["calipers"] and given["std_caliper"]),
        "std_caliper": bool(given["calipers"]),
        "m_order": scored or given["m_order"] != "smallest",
        "reuse_max": given["replace"] is not False,
    }
    if (given["m_order"] == "random") != (given["seed"] is not None):
        raise DesignError("design.seed", "a random order needs a seed, and no other order takes one", fix="give seed=1")
    return [word for word, does in used.items() if not does and given[word] != usual[word]]


def _plain(word: str, value: Any) -> Any:
    """The argument as Python's own values: names in a tuple, a mapping in a dict, numbers as numbers."""
    if word in CHOICES:
        return one_of(word, value, CHOICES[word])
    if word in LISTS:
        return names_of(word, value)
    if word in BOUNDS:
        return None if value is None else _bounds(word, value)
    if word not in MAPPINGS:
        if hasattr(value, "__len__") and not isinstance(value, str):
            raise DesignError("design.argument", f"argument {word} must be one value")
        return value.item() if isinstance(value, np.generic) else value
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise DesignError("design.argument", f"argument {word} must be a mapping of column to number")
    numbers = [number.item() if isinstance(number, np.generic) else number for number in value.values()]
    if not all(isinstance(number, Real) for number in numbers):
        raise DesignError("design.argument", f"argument {word} holds something that is no number")
    return dict(zip(names_of(word, value), numbers, strict=True))


def _bounds(word: str, pair: Any) -> dict[str, float]:
    ends = list(pair) if isinstance(pair, tuple | list | np.ndarray) else []
    if len(ends) != 2 or not all(isinstance(end, Real) for end in ends):
        raise DesignError("design.argument", f"argument {word} must be a pair of numbers, the lower first")
    return {"lower": float(ends[0]), "upper": float(ends[1])}


def _caliper(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """In standard deviations of the score as the engine gets it, log odds or probability (`link`)."""
    if given.get("caliper") is None:
        return None
    return {"scale": "logit", "sd": given["caliper_sd"], "width": given["caliper"]}


def _limit(covariate: str, width: float, given: Mapping[str, Any]) -> dict[str, Any]:
    sd = given["caliper_sd"] if given["std_caliper"] else None
    return {"covariate": covariate, "width": abs(width), "sd": sd, "side": "within" if width > 0 else "beyond"}


def _distance(given: Mapping[str, Any], chosen: tuple[str, ...]) -> dict[str, Any]:
    """Of the score; of covariates where they are named beside it, the score's caliper then limiting pairs (MatchIt)."""
    kind = DISTANCES.get(given.get("distance", "glm"), "mahalanobis" if chosen else None)
    return {"kind": "score"} if kind is None else {"kind": kind, "covariates": chosen}


def _declared(words: Mapping[str, Any], kind: Any) -> Any:
    """The declared method, refused in one line where an argument is out of range."""
    try:
        return TypeAdapter(kind).validate_python(words)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False, include_input=False)[0]
        word = str(first["loc"][1])
        word = "fine" if word == "balance" else OURS.get(word, word)
        raise DesignError("design.argument", f"argument {word}: {first['msg'].lower()}") from None
