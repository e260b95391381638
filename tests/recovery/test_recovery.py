"""Recovery in small, in every run; in full, as the command runs it, among the slow tests."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from page import page
from performance import Performance, criteria, refusal_criterion
from recover import judge, kept_file, read, recover, seeds
from replicate import ESTIMANDS, Replicate
from settings import CLINICIANS, DRIFTS, SETTINGS


@pytest.fixture(scope="module")
def few() -> list[Replicate]:
    """Six replicates under the null with immortal time."""
    return recover("immortal", replicates=6, jobs=1)


def test_a_few_replicates(few: list[Replicate]) -> None:
    """Six replicates of the whole pipeline: enough sets, a truth of zero, and errors a few standard errors wide."""
    for replicate in few:
        assert replicate.n_sets >= 40
        assert replicate.gates is not None
        for estimand in ESTIMANDS:
            answer = replicate.answers[estimand]
            assert answer.truth == 0
            assert answer.lower < answer.value < answer.upper
            assert abs(answer.value) < 5 * answer.std_error
    assert np.mean([replicate.naive for replicate in few]) < -0.2


def test_seeds_extend() -> None:
    """More replicates add to the list; settings share no seed."""
    assert seeds("base", 5) == seeds("base", 9)[:5]
    assert not set(seeds("base", 500)) & set(seeds("null", 500))
    assert len(set(seeds("base", 2000))) == 2000


def test_a_run_is_resumed(tmp_path: Path, few: list[Replicate]) -> None:
    """A run cut short in the middle of a line goes on from its last whole replicate and ends as one made at once."""
    file = kept_file(tmp_path, "immortal")
    assert recover("immortal", replicates=2, jobs=1, kept=tmp_path) == few[:2]
    with file.open("a", encoding="utf-8") as lines:
        lines.write('{"answers": {"termina')
    assert recover("immortal", replicates=4, jobs=1, kept=tmp_path) == few[:4]
    assert read(file) == few[:4]


def test_the_page_tells_every_figure(few: list[Replicate]) -> None:
    """Each answer has a row and each setting its gates; one always refused says so, one of few is left out."""
    many = (few * 40)[:200]
    always = [Replicate(answers={}, refused="design.too_few_events")] * 200
    found = {"immortal": many, "sets_21": always, "base": few}
    text = page(found, {name: judge(name, one) for name, one in found.items()})
    rows = [row for row in text.splitlines() if row.startswith("|")]
    assert [row.count("|") for row in rows if row.startswith("| No effect, immortal time | termination |")] == [12]
    p = judge("immortal", many)[1][0]
    assert any(f"| composite | {p.mean_sets:.0f} | +0.000 | {p.bias:+.4f} ({p.bias_mcse:.4f}) |" in row for row in rows)
    assert "| 21 warned | both | | | | | | | | 100.0% `design.too_few_events` | no answer |" in rows
    assert not any(row.startswith("| Base |") for row in rows)
    assert "| No effect, immortal time | `immortal` | 7,500 | `null=true`, `immortal=0.75` | 200 |" in rows


def test_a_refusal_is_counted() -> None:
    """Two thousand patients are too few for the flagship's model: every replicate says so, and none has an answer."""
    found = recover("sets_21", replicates=3, jobs=1)
    assert [(replicate.refused, replicate.answers) for replicate in found] == [("design.too_few_events", {})] * 3
    assert judge("sets_21", found) == []


def test_one_clinician_who_warns_is_refused() -> None:
    """All warned with one of twelve clinicians: never a number, always the same reason, and gates that say so."""
    found = recover("one_warns", replicates=3, jobs=1)
    code = SETTINGS["one_warns"].refused
    assert [replicate.refused for replicate in found] == [code] * 3
    for replicate in found:
        assert replicate.n_sets >= 60
        assert {"design.clusters", "design.cluster_share"} <= set(replicate.gates or ())
    assert refusal_criterion(code, found).met
    assert refusal_criterion(code, [*found, dataclasses.replace(found[0], refused="")]).missed
    assert refusal_criterion(code, [*found, dataclasses.replace(found[0], refused="design.too_few_events")]).met
    assert refusal_criterion(code, [*found, dataclasses.replace(found[0], refused="estimation.too_few_sets")]).missed


def test_few_clinicians_need_not_cover_too_often() -> None:
    """The wider of two intervals may cover more than it says, never less."""
    wide = dataclasses.replace(GOOD, coverage=0.995, model_se=0.09)
    assert all(demand.met for demand in criteria(wide, null=True, immortal=False, few_clinicians=True))
    narrow = dataclasses.replace(GOOD, coverage=0.90)
    assert [d.name for d in criteria(narrow, null=True, immortal=False, few_clinicians=True) if d.missed] == [
        "coverage"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("drift", DRIFTS)
@pytest.mark.parametrize("clinicians", CLINICIANS)
def test_few_clinicians_who_drift(clinicians: int, drift: int) -> None:
    """Coverage of 93% or more, and no more false findings than that, with 5 to 24 clinicians, however they drift."""
    name = f"clinicians_{clinicians}_drift_{drift}"
    found = recover(name, replicates=200, jobs=2)
    assert not [demand for _, demands in judge(name, found) for demand in demands if demand.missed]


GOOD = Performance(
    estimand="termination",
    replicates=400,
    truth=0.0,
    bias=0.001,
    bias_mcse=0.003,
    empirical_se=0.06,
    model_se=0.06,
    coverage=0.95,
    coverage_mcse=0.011,
    rejection=0.05,
    rejection_mcse=0.011,
    refused=0.0,
    refused_mcse=0.0,
    mean_sets=80.0,
    least_sets=60,
    naive=-0.28,
    naive_mcse=0.001,
)


@pytest.mark.parametrize(
    "flaw",
    [
        {"bias": -0.021},
        {"coverage": 0.90},
        {"coverage": 0.995},
        {"rejection": 0.09},
        {"model_se": 0.049},
        {"model_se": 0.075},
        {"naive": -0.2},
    ],
)
def test_each_demand_can_be_missed(flaw: dict[str, float]) -> None:
    """Good figures meet every demand, and each flaw misses exactly one, by more than chance."""
    assert all(demand.verdict == "met" for demand in criteria(GOOD, null=True, immortal=True))
    flawed = criteria(dataclasses.replace(GOOD, **flaw), null=True, immortal=True)  # type: ignore[arg-type]
    assert [demand.verdict for demand in flawed].count("missed") == 1


def test_chance_is_told_from_failure() -> None:
    """A coverage just outside its limits is neither called met nor missed; a type I error of few sets is not judged."""
    near = criteria(dataclasses.replace(GOOD, coverage=0.92), null=True, immortal=False)
    assert [demand.verdict for demand in near].count("met within Monte Carlo error") == 1
    small = criteria(dataclasses.replace(GOOD, mean_sets=21.0, rejection=0.2), null=True, immortal=False)
    assert all(demand.met for demand in small)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["base", "null", "immortal"])
def test_recovery(name: str) -> None:
    """A thousand replicates meet every demand: bias, coverage, standard error, type I error."""
    found = recover(name, replicates=1000, jobs=2)
    assert not [demand for _, demands in judge(name, found) for demand in demands if demand.missed]
