"""What somebody who holds a release, the study file and the methods knows of the counts behind it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any

from causal.cohort.catalogue import catalogue_of, typed_definitions
from causal.cohort.language.types import Category as Values
from tests.validation.attacker import Attacker, Sum

COLUMNS = ("persons", "occasions", "treated", "comparison")
TREATED, COMPARISON = "matched treated", "matched comparison"
ALL_TREATED, ALL_COMPARISON = "eligible treated", "eligible comparison"
PERCENT_STEPS = (1, 2, 5, 10, 20, 50)
Facts = Mapping[str, Any]


class Reader:
    """Reads a release, as `results.json` holds it, into an attacker's knowledge; `cells` are what must stay unknown.

    A count is of occasions; where sets hold one or two comparisons, each weighs one over their number.
    """

    def __init__(self, facts: Facts, study: Any) -> None:
        self.facts, self.study = facts, study
        self.attacker = Attacker()
        self.cells: dict[str, Sum] = {}
        self.plain: dict[str, tuple[float, float]] = {}
        """Cells solved without a programme, with their bounds."""
        self._flow()
        self._sizes()
        self._balance()
        self._overlap()
        self._versions()
        self._quality()
        self._verdicts()
        if facts["results"]:
            self._results()

    def finds(self) -> dict[str, tuple[float, float]]:
        """Every cell that must be small."""
        threshold = self.facts["threshold"]
        plain = {name: ends for name, ends in self.plain.items() if ends[0] > 0 and ends[1] < threshold}
        return plain | self.attacker.finds(self.cells, threshold)

    # The flow

    def _flow(self) -> None:
        """Nobody joins; everybody is of one group; persons lost are occasions lost."""
        steps = self.facts["flow"]
        rules = [rule for step in steps for rule in step["rule"].split("; ")]
        self.rules = len(rules)
        shown = {}
        at = -1
        for step in steps:
            at += len(step["rule"].split("; "))
            shown[at] = step
        knows, a = self.attacker.knows, self.attacker
        for k in range(len(rules)):
            here = {c: f"{c} at rule {k}" for c in COLUMNS}
            for c in COLUMNS:
                a.count(here[c])
                a.learns({here[c]: 1}, shown[k][c] if k in shown else None)
            knows({here["persons"]: 1, here["occasions"]: -1}, high=0)
            knows({here["treated"]: 1, here["comparison"]: 1, here["occasions"]: -1}, 0, 0)
            if k:
                before = {c: f"{c} at rule {k - 1}" for c in COLUMNS}
                for c in COLUMNS:
                    knows({before[c]: 1, here[c]: -1}, low=0)
                knows({before["occasions"]: 1, here["occasions"]: -1, before["persons"]: -1, here["persons"]: 1}, low=0)
        for k in sorted(shown):
            for c in COLUMNS:
                self.cells[f"{c} at rule {k}"] = {f"{c} at rule {k}": 1}
            self.cells[f"repeats at rule {k}"] = {f"occasions at rule {k}": 1, f"persons at rule {k}": -1}
        for first, second in zip(sorted(shown), sorted(shown)[1:], strict=False):
            for c in COLUMNS:
                self.cells[f"{c} lost to rules {first + 1} to {second}"] = {
                    f"{c} at rule {first}": 1,
                    f"{c} at rule {second}": -1,
                }

    def _sizes(self) -> None:
        a, last = self.attacker, self.rules - 1
        a.learns({f"treated at rule {last}": 1}, self.facts["n_treated"])
        a.learns({f"comparison at rule {last}": 1}, self.facts["n_comparison"])
        self.size = {
            TREATED: f"treated at rule {last}",
            COMPARISON: f"comparison at rule {last}",
            ALL_TREATED: f"treated at rule {last - 2}",
            ALL_COMPARISON: f"comparison at rule {last - 2}",
        }
        sets, n = self.facts["n_sets"], self.facts["n_comparison"]
        self.weights = {1: 2 * sets - n, 2: 2 * (n - sets)} if sets and sets <= n <= 2 * sets else {}
        """Comparison occasions by how many stand in their set, where sets hold one or two."""

    # The facts

    def _balance(self) -> None:
        lines = {line["name"]: line for line in self.facts["balance"]}
        for name, line in lines.items():
            if line["binary"]:
                self._trait(name, line)
        for family, levels in self._families().items():
            present = [level for level in levels if level in lines]
            if not present:
                continue
            exact = family in self.study.target_trial.assignment.exact
            for level in levels:
                if level not in lines:
                    self._trait(level, {})
            for group in (TREATED, COMPARISON, ALL_TREATED, ALL_COMPARISON):
                everyone = {f"{group} with {level}": 1.0 for level in levels}
                self.attacker.knows({**everyone, self.size[group]: -1}, 0, 0)
            if exact and self.weights:
                for level in levels:
                    self._alike(level)

    def _families(self) -> dict[str, tuple[str, ...]]:
        """Indicators of which everybody has exactly one: of each value of a category, or of what is none of them."""
        known = catalogue_of(self.study)
        found = {c.name: (*c.levels, c.last.name) for c in known.categories}
        typed = typed_definitions(self.study)
        for name, one in typed.items():
            if name in found or not isinstance(one.type, Values):
                continue
            single = [
                other.name for other in typed.values() if other.needs == (name,) and other.name in known.covariates
            ]
            if single:
                found[name] = (*single, f"{name}: any other")
        return found

    def _trait(self, name: str, line: Facts) -> None:
        """Who has a yes-or-no fact, by group; those compared are among the eligible."""
        a = self.attacker
        for group, share in (
            (TREATED, line.get("mean_treated")),
            (COMPARISON, None),
            (ALL_COMPARISON, line.get("mean_comparison_before")),
            (ALL_TREATED, None),
        ):
            who = a.count(f"{group} with {name}")
            a.knows({who: 1, self.size[group]: -1}, high=0)
            self._share({who: 1}, self.size[group], share)
            self.cells[who] = {who: 1}
            self.cells[f"{group} without {name}"] = {self.size[group]: 1, who: -1}
        for matched, everyone in ((TREATED, ALL_TREATED), (COMPARISON, ALL_COMPARISON)):
            has, had = f"{matched} with {name}", f"{everyone} with {name}"
            lost = {self.size[everyone]: 1.0, self.size[matched]: -1.0}
            a.knows({had: 1, has: -1}, low=0)
            a.knows({**lost, had: -1, has: 1}, low=0)
            self.cells[f"{everyone} not matched, with {name}"] = {had: 1, has: -1}
            self.cells[f"{everyone} not matched, without {name}"] = {**lost, had: -1, has: 1}
        if self.weights:
            self._weighted(name, line.get("mean_comparison_after"))
        self._differences(name, line)

    def _weighted(self, name: str, share: float | None) -> None:
        """A mean over sets: the only comparison of a set weighs one, one of two weighs a half."""
        parts = {k: self.attacker.count(f"{COMPARISON} with {name}, of {k}", 0, n) for k, n in self.weights.items()}
        self.attacker.knows({parts[1]: 1, parts[2]: 1, f"{COMPARISON} with {name}": -1}, 0, 0)
        if share is not None:
            low, high = _rounded(share)
            sets = self.facts["n_sets"]
            self.attacker.knows({parts[1]: 1, parts[2]: 0.5}, low * sets, high * sets)

    def _alike(self, name: str) -> None:
        """A key on which sets agree: as many sets as treated cases have it, all of whose comparisons do."""
        one, two = (f"{COMPARISON} with {name}, of {k}" for k in (1, 2))
        self.attacker.knows({one: 1, two: 0.5, f"{TREATED} with {name}": -1}, 0, 0)

    def _differences(self, name: str, line: Facts) -> None:
        """A standardised difference before matching, solved for the share among the eligible treated."""
        before, share = line.get("smd_before"), line.get("mean_comparison_before")
        if before is None or share is None or line["mean_treated"] in (0, 1):  # then another spread may stand in
            return
        (low, high), step = _rounded(share), 0.005
        ends = (_solved(low, before - step), _solved(high, before + step))
        who, everyone = f"{ALL_TREATED} with {name}", self.size[ALL_TREATED]
        self.attacker.knows({who: 1, everyone: -ends[0]}, low=-1e-9)
        self.attacker.knows({who: 1, everyone: -ends[1]}, high=1e-9)
        after = line.get("smd_after")
        if after is not None and self.weights:
            spreads = [(p * (1 - p)) ** 0.5 for p in ends] + ([0.5] if ends[0] < 0.5 < ends[1] else [])
            gaps = [d * s for d in (after - step, after + step) for s in (min(spreads), max(spreads))]
            sets, n = self.facts["n_sets"], self.facts["n_treated"]
            parts = {f"{COMPARISON} with {name}, of {k}": -1 / k / sets for k in (1, 2)}
            self.attacker.knows({f"{TREATED} with {name}": 1 / n, **parts}, min(gaps) - 1e-9, max(gaps) + 1e-9)

    # Everything else

    def _overlap(self) -> None:
        for group, key, size in (
            (ALL_TREATED, "treated_percent", self.facts["n_treated"]),
            (ALL_COMPARISON, "comparison_percent", self.facts["n_comparison"]),
        ):
            step = next((s for s in PERCENT_STEPS if s * size > 200), 50)
            bins = [f"{group} in bin {k}" for k in range(len(self.facts["overlap"]))]
            if not bins:
                continue
            for name, one in zip(bins, self.facts["overlap"], strict=True):
                self._percent(name, self.size[group], one[key], step)
                self.cells[name] = {name: 1}
            self.attacker.knows({**dict.fromkeys(bins, 1.0), self.size[group]: -1}, 0, 0)

    def _percent(self, name: str, of: str, shown: int, step: int) -> None:
        low, high = ((shown - step / 2) / 100, (shown + step / 2) / 100)
        self.attacker.count(name, 0 if shown == 0 else 1)
        if shown == 0:
            self.attacker.count(name, 0, 0)
            return
        self.attacker.knows({name: 1, of: -high}, high=1e-9)
        if shown > step:
            self.attacker.knows({name: 1, of: -low}, low=-1e-9)

    def _versions(self) -> None:
        for version in {line["version"] for line in self.facts["versions"]}:
            names = []
            for line in self.facts["versions"]:
                if line["version"] == version:
                    name = f"{version}: {line['value']}"
                    self.attacker.count(name)
                    self._share({name: 1}, self.size[TREATED], line["percent"] and line["percent"] / 100)
                    names.append(name)
                    self.cells[name] = {name: 1}
            self.attacker.knows({**dict.fromkeys(names, 1.0), self.size[TREATED]: -1}, 0, 0)

    def _quality(self) -> None:
        a = self.attacker
        for line in self.facts["quality"]:
            table = line["table"]
            rows, aside = a.count(f"rows of {table}"), a.count(f"rows of {table} set aside")
            a.learns({rows: 1}, line["rows"])
            a.learns({aside: 1}, line["set_aside"])
            reasons = [a.count(f"set aside for {code}") for code, _ in line["reasons"]]
            for name, (_, n) in zip(reasons, line["reasons"], strict=True):
                a.learns({name: 1}, n)
            if reasons:
                a.knows({**dict.fromkeys(reasons, 1.0), aside: -1}, 0, 0)
            a.knows({aside: 1, rows: -1}, high=0)
            if table == "threat_assessments":
                a.knows({rows: 1, aside: -1, "occasions at rule 0": -1}, 0, 0)
            self.cells |= {name: {name: 1} for name in (aside, *reasons)}

    def _verdicts(self) -> None:
        shown = {v["code"]: v["measured"] for v in self.facts["verdicts"] if v["measured"] is not None}
        a, everyone, matched = self.attacker, self.size[ALL_TREATED], self.size[TREATED]
        if (lost := shown.get("design.unmatched")) is not None:
            a.knows({everyone: 1 - lost - 0.0005, matched: -1}, high=1e-9)
            a.knows({everyone: 1 - lost + 0.0005, matched: -1}, low=-1e-9)
        if (grace := shown.get("design.ended_in_grace")) is not None:
            of = f"occasions at rule {self.rules - 3}"
            a.knows({a.count("ended in grace"): 1, of: -(grace + 0.0005)}, high=1e-9)
            a.knows({"ended in grace": 1, of: -(grace - 0.0005)}, low=-1e-9)
            self.cells["ended in grace"] = {"ended in grace": 1}
        if share := shown.get("design.cluster_share"):
            ends = [(share - 0.0005) * n for n in (self.facts["n_treated"], self.facts["n_comparison"])]
            self.plain["largest cluster"] = (min(ends), max(ends) + 0.001 * self.facts["n_comparison"])
        for line in self.facts["quality"]:
            aside = shown.get(f"extract.set_aside.{line['table']}")
            if aside is not None:
                names = (f"rows of {line['table']} set aside", f"rows of {line['table']}")
                a.knows({names[0]: 1, names[1]: -(aside + 0.0005)}, high=1e-9)
                a.knows({names[0]: 1, names[1]: -(aside - 0.0005)}, low=-1e-9)

    def _results(self) -> None:
        """Who ended, who was rated of those who did not, and who died; means over sets weigh as the facts' do."""
        found, a = self.facts["results"], self.attacker
        ended = found["termination"]
        for group, share, response in (
            (TREATED, ended["mean_treated"], found["response"]["treated"]),
            (COMPARISON, ended["mean_comparison"], found["response"]["comparison"]),
        ):
            parts = {1: self.facts["n_treated"]} if group == TREATED else self.weights
            names = {what: f"{group} {what}" for what in ("ended", "rated")}
            total = sum(n / k for k, n in parts.items())
            for name in names.values():
                a.knows({**{f"{name}, of {k}": 1.0 for k in parts}, name: -1}, 0, 0)
                self.cells[name] = {name: 1}
                a.count(name)
            self.cells[f"{group} that went on"] = {self.size[group]: 1, names["ended"]: -1}
            self.cells[f"{group} not rated"] = {self.size[group]: 1, names["ended"]: -1, names["rated"]: -1}
            for k, n in parts.items():
                a.knows({f"{names['rated']}, of {k}": 1, f"{names['ended']}, of {k}": 1}, high=n)
            weighted = {what: {f"{name}, of {k}": 1 / k for k in parts} for what, name in names.items()}
            if share is not None:
                low, high = _rounded(share)
                a.knows(weighted["ended"], low * total - 1e-9, high * total + 1e-9)
            if response is not None and share is not None:
                asked = round(self.facts["n_treated" if group == TREATED else "n_comparison"] * (1 - share))
                half = max(5, next((s for s in PERCENT_STEPS if s * asked > 200), 50)) / 200
                for sign in (-1, 1):
                    end = response + sign * half
                    terms = weighted["rated"] | {name: end * w for name, w in weighted["ended"].items()}
                    a.knows(terms, **({"low": end * total - 1e-9} if sign < 0 else {"high": end * total + 1e-9}))
        if ended["value"] is not None and not ended.get("adjusted", True):
            step = 0.0005 if ended["mean_treated"] is not None else 0.005
            total = sum(n / k for k, n in self.weights.items())
            terms = {f"{TREATED} ended, of 1": 1 / self.facts["n_treated"]}
            terms |= {f"{COMPARISON} ended, of {k}": -1 / k / total for k in self.weights}
            a.knows(terms, ended["value"] - step - 1e-9, ended["value"] + step + 1e-9)
        a.learns({a.count("deaths"): 1}, found["excluded"])
        self.cells["deaths"] = {"deaths": 1}

    def _share(self, who: Sum, of: str, share: float | None) -> None:
        """A printed share of a group, whose size may itself be unknown."""
        if share is None:
            return
        low, high = _rounded(share)
        self.attacker.knows({**who, of: -low}, low=-1e-9)
        self.attacker.knows({**who, of: -high}, high=1e-9)


def _rounded(share: float) -> tuple[float, float]:
    """Between which values a share was before it was printed: nobody and everybody are told apart from nearly so."""
    if share in (0, 1):
        return (share, share)
    decimals = next((d for d in (2, 3, 4) if isclose(round(share, d), share, abs_tol=1e-12)), 4)
    half = 0.5 * 10.0**-decimals
    return max(share - half, 0.0), min(share + half, 1.0)


def _solved(other: float, difference: float) -> float:
    """The share p of which p - `other` is so many of its own standard deviations."""
    low, high = 1e-12, 1 - 1e-12
    for _ in range(60):
        p = (low + high) / 2
        low, high = (p, high) if p - other < difference * (p * (1 - p)) ** 0.5 else (low, p)
    return (low + high) / 2
