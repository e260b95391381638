"""A known truth, recovered by every model of the probability of treatment that a study file can name.

    python tests/recovery/propensity_models.py --replicates 200 --jobs 2

In flat tables the truth is a line: 2,000 and 10,000 rows, an arm by a logistic model of four of six confounders, an
outcome linear in them, an effect of 1 for everyone. Each model serves a greedy match, plain and with a regression of
the matched, weights for the treated and weights for everyone, through the functions a study file reaches. In studies of
occasions the flagship runs with each model in a world of good overlap (that of `families.py`), with as many patients
as give about 2,000 and 10,000 occasions.

Demanded: |bias| <= max(10% of the naive bias, 2 MCSE), and coverage of at least .92 less two Monte Carlo errors; none
is refused. The plain difference of a match is judged by its bias alone: what is left inside a caliper is not in its
error, whatever the model, which is why matches are followed by a regression. Robust errors take estimated weights for
known ones and are then too wide, which is no fault here.

Replicates are kept in a folder as they are made (`--kept`, by default ``build/propensity_models``): a run that was
stopped goes on where it was, and `--only` makes some of the tables; one without replicates is left out of the page.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from families import OVERLAPPING, say, seeds
from in_memory import cohort_of
from performance import share_mcse
from replicate import ESTIMANDS, analyse, flagship, record
from scipy.special import expit

from causal.design.groups import build_groups
from causal.effect.flat_table import analyse_flat_table
from causal.errors import DesignError, EstimationError
from causal.protocol import STUDY, FlatTableStudy, OccasionStudy

ROWS = (2_000, 10_000)
PATIENTS = (10_000, 50_000)
SHARE, LEAST_COVERAGE = 0.10, 0.92
SELECTION = np.array([0.6, 0.45, -0.4, 0.3, 0.0, 0.0])
OUTCOME = np.array([1.0, 0.8, -0.5, 0.5, 0.3, 0.0])
CONFOUNDERS = tuple("abcdef")
CALIPER = {"scale": "logit", "sd": "pooled_within", "width": 0.2}

MODELS: dict[str, dict[str, Any]] = {
    "logistic": {},
    "logistic, 5 folds": {"cross_fit": 5},
    "splines": {"splines": ("first",)},
    "elastic net": {"model": "elastic_net"},
    "ridge": {"model": "ridge"},
    "boosting": {"model": "boosting", "seed": 1},
    "boosting, 5 folds": {"model": "boosting", "seed": 1, "cross_fit": 5},
    "average": {"model": "average", "seed": 1},
}
"""What each model changes in `propensity`; "first" is the first confounder of the study it stands in."""
GREEDY = {"method": "greedy", "ratio": 1, "caliper": CALIPER}
PLAIN = "greedy 1:1, plain"
DESIGNS: dict[str, dict[str, Any]] = {
    PLAIN: {"design": GREEDY},
    "greedy 1:1, line": {"design": GREEDY, "estimator": {"method": "g_computation"}},
    "weights, ATT": {"design": {"method": "propensity", "estimand": "ATT"}},
    "weights, ATE": {"design": {"method": "propensity", "estimand": "ATE"}},
}
"""What each way of comparing says under `analysis`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One estimate minus its truth, the same without any adjustment, and whether the interval holds the truth."""

    off: float
    naive: float
    holds: bool


Answers = dict[tuple[str, str], Answer | str]
"""By model and way of comparing: the answer, or the code of the refusal."""


def _declared(model: str, first: str) -> dict[str, Any]:
    changes = dict(MODELS[model])
    if "splines" in changes:
        changes["splines"] = (first,)
    return changes


def flat_study(model: str, design: str) -> FlatTableStudy:
    """A study of one flat table with this model and this design."""
    study = STUDY.validate_python(
        {
            "schema_version": "rapport-study/1",
            "kind": "flat_table",
            "study": {
                "id": "line",
                "title": "A line",
                "question": "Does it find what was put in?",
                "why_no_trial": "It is simulated.",
                "registered": "not registered",
            },
            "data": {"kind": "file", "path": "t.csv"},
            "columns": {"treatment": "w", "outcome": "y", "numeric": CONFOUNDERS},
            "analysis": {
                "propensity": _declared(model, CONFOUNDERS[0]),
                "standard_error": "robust",
            }
            | DESIGNS[design],
        }
    )
    assert isinstance(study, FlatTableStudy)
    return study


def flat_replicate(rows: int, seed: int) -> Answers:
    """Every model and design on one table."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, len(CONFOUNDERS)))
    w = rng.random(rows) < expit(-0.9 + x @ SELECTION)
    y = x @ OUTCOME + w + rng.normal(size=rows)
    frame = pd.DataFrame(x, columns=list(CONFOUNDERS)).assign(w=w.astype(int), y=y)
    naive = float(y[w].mean() - y[~w].mean()) - 1
    found: Answers = {}
    for model in MODELS:
        for design in DESIGNS:
            try:
                effect = analyse_flat_table(frame, flat_study(model, design)).effect
                holds = effect.lower <= 1 <= effect.upper
                found[model, design] = Answer(off=effect.value - 1, naive=naive, holds=holds)
            except (DesignError, EstimationError) as refusal:
                found[model, design] = refusal.code
    return found


def occasions_study(model: str) -> OccasionStudy:
    """The flagship with this model of the propensity."""
    plain = flagship().model_dump(mode="python")
    declared = plain["propensity"] | _declared(model, plain["confounders"]["tier1"][0])
    study = STUDY.validate_python(plain | {"propensity": declared})
    assert isinstance(study, OccasionStudy)
    return study


def occasions_replicate(patients: int, seed: int) -> Answers:
    """Every model in one simulated extract; naive is the eligible treated minus the eligible others, unadjusted."""
    made = record(OVERLAPPING, patients, seed)
    cohort = cohort_of(made, flagship())
    found: Answers = {}
    for model in MODELS:
        study = occasions_study(model)
        try:
            analysed = analyse(study, made, build_groups(cohort, study))
        except (DesignError, EstimationError) as refusal:
            found |= {(model, estimand): refusal.code for estimand in ESTIMANDS}
            continue
        for estimand, of in ESTIMANDS.items():
            answer = of(analysed)
            found[model, estimand] = Answer(
                off=answer.value - answer.truth, naive=np.nan, holds=answer.lower <= answer.truth <= answer.upper
            )
    return found


TABLES: dict[str, tuple[Any, int, str, float]] = {
    "flat_small": (flat_replicate, ROWS[0], "A flat table of {:,} rows", 0.0),
    "flat_large": (flat_replicate, ROWS[1], "A flat table of {:,} rows", 0.0),
    "occasions_small": (occasions_replicate, PATIENTS[0], "A study of occasions, {:,} patients", 0.02),
    "occasions_large": (occasions_replicate, PATIENTS[1], "A study of occasions, {:,} patients", 0.02),
}
"""Every table: what makes a replicate, its size, what it is, and the least bias that counts."""
KEPT = Path(__file__).resolve().parents[2] / "build" / "propensity_models"
FEWEST = 5
"""Replicates below which a table says nothing."""

HEADER = ("model", "compared by", "runs", "refused", "naive bias", "bias", "MCSE", "coverage", "missed")
WIDTHS = (19, 18, 5, 8, 11, 9, 8, 9, 0)


def lines(found: Sequence[Answers], *, least_bias: float = 0.0) -> list[tuple[str, ...]]:
    """One line per model and way of comparing, in the order of `HEADER`; "none" last where every demand is met."""
    told = []
    for model, way in found[0]:
        answers = [one[model, way] for one in found]
        given = [answer for answer in answers if isinstance(answer, Answer)]
        codes = sorted({answer for answer in answers if isinstance(answer, str)})
        missed = [f"refused: {', '.join(codes)}"] * bool(codes)
        if len(given) < 2:
            told.append((model, way, str(len(given)), str(len(answers) - len(given)), "", "", "", "", *missed))
            continue
        off = np.array([answer.off for answer in given])
        naive, coverage = np.mean([answer.naive for answer in given]), np.mean([answer.holds for answer in given])
        mcse = off.std(ddof=1) / np.sqrt(off.size)
        if abs(off.mean()) > max(least_bias, 0 if np.isnan(naive) else SHARE * abs(naive), 2 * mcse):
            missed.append("bias")
        if way != PLAIN and coverage < LEAST_COVERAGE - 2 * share_mcse(0.95, off.size):
            missed.append("coverage")
        figures = ("" if np.isnan(naive) else f"{naive:+.3f}", f"{off.mean():+.4f}", f"{mcse:.4f}", f"{coverage:.3f}")
        counts = (str(off.size), str(len(answers) - len(given)))
        told.append((model, way, *counts, *figures, "; ".join(missed) or "none"))
    return told


def page(tables: Sequence[tuple[str, Sequence[tuple[str, ...]]]]) -> str:
    """Markdown of all tables."""
    assert __doc__ is not None
    parts = ["# Recovery by every model of the propensity\n", __doc__.split("\n", 2)[2]]
    for title, told in tables:
        rows = [HEADER, ("---",) * len(HEADER), *told]
        parts.append(f"## {title}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows))
    return "\n".join(parts)


def replicated(run: Any, replicates: int, jobs: int, kept: Path) -> list[Answers]:
    """The first `replicates`, in processes; those in the file `kept` are read, new ones added to it."""
    found = read(kept)[:replicates]
    kept.parent.mkdir(parents=True, exist_ok=True)
    todo = seeds(replicates)[len(found) :]
    if todo:
        with (
            kept.open("a", encoding="utf-8") as lines,
            ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool,
        ):
            for answers in pool.map(run, todo):
                found.append(answers)
                told = [[*way, asdict(one) if isinstance(one, Answer) else one] for way, one in answers.items()]
                lines.write(json.dumps(told) + "\n")
                lines.flush()
    return found


def read(kept: Path) -> list[Answers]:
    """The replicates kept in a file; none where there is none. A last line cut short is taken off the file."""
    if not kept.exists():
        return []
    whole = [line for line in kept.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]
    kept.write_text("".join(whole), encoding="utf-8")
    return [
        {(model, way): one if isinstance(one, str) else Answer(**one) for model, way, one in json.loads(line)}
        for line in whole
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, and say by the exit code whether every demand is met."""
    parser = argparse.ArgumentParser(description="Recovery of a simulated truth by every model of the propensity.")
    parser.add_argument("--replicates", type=int, default=200)
    parser.add_argument("--large", type=int, default=40, help="replicates of the larger size")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--kept", type=Path, default=KEPT, help="folder of the replicates made so far")
    parser.add_argument("--only", nargs="*", choices=list(TABLES), default=list(TABLES), help="tables to make")
    parser.add_argument("--markdown", type=Path, help="write the tables here as a page too")
    options = parser.parse_args(arguments)
    tables = []
    for name, (run, size, words, least) in TABLES.items():
        replicates = options.large if name.endswith("_large") else options.replicates
        start, kept = time.perf_counter(), options.kept / f"{name}.jsonl"
        made = replicated(partial(run, size), replicates, options.jobs, kept) if name in options.only else read(kept)
        if len(made) < FEWEST:
            continue
        told = lines(made, least_bias=least)
        tables.append((f"{words.format(size)}, {len(made)} replicates", told))
        say(f"\n{tables[-1][0]} in {time.perf_counter() - start:.0f} s\n")
        for row in (HEADER, *told):
            say(" ".join(f"{cell:<{width}}" for cell, width in zip(row, WIDTHS, strict=True)) + "\n")
    if options.markdown:
        options.markdown.write_text(page(tables), encoding="utf-8")
    return 0 if all(row[-1] == "none" for _, told in tables for row in told) else 1


if __name__ == "__main__":
    sys.exit(main())
