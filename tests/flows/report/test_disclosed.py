from __future__ import annotations

import dataclasses
import json
from typing import Any, get_args

import numpy as np
import pytest
from worlds import PROFILE, SETS, THRESHOLD, World, after, before, design_of, study, workspace

from causal.design.weighting.weights import WeightEstimand
from causal.errors import DesignError
from flows.report.disclosed import DIVISORS, _instrument_note
from flows.report.disclosed_checks import extract_verdicts, quality_lines
from flows.report.dossier import Dossier, to_json
from flows.report.printed import printed
from validation.disclosure.facts import withheld_facts
from validation.verdict import at_least, at_most


def floats(value: Any, path: str = "") -> dict[str, float]:
    """Every number with a decimal point in a piece of JSON, by where it stands."""
    if isinstance(value, float):
        return {path: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {where: x for key, item in pairs for where, x in floats(item, f"{path}.{key}").items()}


def measured(dossier: Dossier) -> dict[str, float | None]:
    """Figure of each verdict."""
    return {line.code: line.measured for line in dossier.verdicts}


DECIMALS = {
    "balance": dict.fromkeys(
        ("mean_treated", "mean_comparison_before", "mean_comparison_after", "smd_before", "smd_after"), 2
    ),
    "verdicts": {"measured": 3},
    "overlap": {"low": 2, "high": 2},
    "versions": {"percent": 0},
    "results": {
        "value": 3,
        "lower": 3,
        "upper": 3,
        "std_error": 3,
        "detectable": 3,
        "df": 1,
        "mean_treated": 2,
        "mean_comparison": 2,
        "total": 3,
        "termination_part": 3,
        "level_part": 3,
        "treated": 2,
        "comparison": 2,
    },
}
SETTINGS = {"limit", "level", "floor"}
"""Numbers the study file declares."""


def test_the_numbers_file_has_no_digit_that_no_page_prints() -> None:
    """Each number of a release, by what it is, to so many decimals; none that this test does not know."""
    found = floats(json.loads(to_json(after(World(lost_by_bin=(20, 20, 20, 20, 20))))))
    assert {where.split(".")[1] for where in found} == set(DECIMALS)
    for where, x in found.items():
        part, name = where.split(".")[1], where.split(".")[-1]
        if name not in SETTINGS:
            assert round(x, DECIMALS[part][name]) == x, where
            assert str(x) != "-0.0", where


def test_rounding_twice_changes_nothing() -> None:
    """What was printed once is printed the same again."""
    dossier = after(World())
    assert printed(dossier) == dossier


def test_the_parts_add_up_to_the_printed_precision() -> None:
    """Rounded each by itself, the two parts miss the total by less than two thousandths."""
    results = after(World(ended=(61, 83, 20))).results
    assert results is not None
    split = results.decomposition
    assert split.total == results.composite.value
    assert split.termination_part + split.level_part == pytest.approx(split.total, abs=0.0021)


@pytest.mark.parametrize("sets", [9, 10])
def test_a_comparison_too_small_to_show_has_no_dossier(sets: int) -> None:
    """The number of sets stands on every page: a small one is refused."""
    with pytest.raises(DesignError, match=r"^\[design\.too_small_to_show\]"):
        before(World(sets=sets, flagged=(0, 0, 0, 0)))
    assert before(World(sets=11, flagged=(0, 0, 0, 0))).n_sets == THRESHOLD


def test_the_share_without_a_match_is_told_only_with_the_number_eligible() -> None:
    """With the number of sets it gives the eligible: told where the flow tells them, withheld where it does not."""
    assert measured(before(World(lost_by_bin=(10, 10, 10, 10, 10))))["design.unmatched"] == round(50 / (SETS + 50), 3)
    # 46 found no match and 5 had no support: 252 eligible less 247 supported would leave 5.
    hidden = before(World(lost_by_bin=(11, 10, 10, 10, 10), unsupported=5))
    assert 252 not in {step.treated for step in hidden.flow}
    assert measured(hidden)["design.unmatched"] is None


def test_overlap_is_in_percent_of_each_group() -> None:
    """Whole percent of 211 treated and of 3735 others; coarser where whole percent would tell counts."""
    bins = before(World()).overlap
    assert [b.treated_percent for b in bins] == [round(100 * n / 211) for n in (73, 47, 37, 32, 22)]
    assert [b.comparison_percent for b in bins] == [round(100 * n / 3735) for n in (3200, 330, 120, 55, 30)]
    few = before(World(sets=60, lost_by_bin=(1, 1, 1, 0, 0))).overlap
    assert all(b.treated_percent % 5 == 0 for b in few)


def test_a_trait_that_is_not_rare_is_told() -> None:
    """Nothing is withheld for its own sake."""
    (line,) = before(World()).balance
    assert (line.mean_treated, line.mean_comparison_before) == (0.27, 0.24)
    assert line.within_limit is False
    assert measured(before(World()))["design.balance_tier2"] == 0.441


def test_the_scale_is_the_instruments() -> None:
    """Lowest and highest answer of the scoring key."""
    assert before(World()).scale == (1, 5)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("primary_source", "Scoring key checked against the primary source"),
        ("secondary_source", "Scoring key checked against a secondary source only"),
        ("recall", "Caution: scoring key not verified against the primary source"),
    ],
)
def test_the_note_on_the_instrument_says_how_far_its_key_was_checked(status: str, said: str) -> None:
    """A key from memory is said to be one; by its hash a site finds the key that scored the ratings."""
    ws = workspace()
    key = ws.instruments["wai_sr"]
    verified = key.verified.model_copy(update={"status": status, "source": "a manual"})
    ws.instruments["wai_sr"] = key.model_copy(update={"verified": verified})
    assert _instrument_note(ws) == (
        f"Trust is the mean of the 12 items of WAI-SR as the patient answered them, from 1 to 5. {said} (a manual). "
        f"Scoring-key hash: {key.digest[:12]}."
    )


def test_the_note_on_the_instrument_is_the_keys() -> None:
    """A sum has the range of a sum, somebody else's answers are theirs, and another key has another hash."""
    ws = workspace()
    key = ws.instruments["wai_sr"]
    ws.instruments["wai_sr"] = key.model_copy(update={"total": "sum", "reverse": (2,)})
    ws.study = study().model_copy(update={"outcome": study().outcome.model_copy(update={"rater": "clinician"})})
    note = _instrument_note(ws)
    assert "the sum of the 12 items of WAI-SR as the clinician answered them, from 12 to 60." in note
    assert key.digest[:12] not in note
    assert f"Scoring-key hash: {ws.instruments['wai_sr'].digest[:12]}." in note


def test_shares_who_answered_are_coarse() -> None:
    """Steps of 5%, or coarser where one step would fit a single number of ratings."""
    results = after(World(sets=30, lost_by_bin=(0, 0, 0, 0, 0), flagged=(0, 0, 0, 0), ended=(12, 13, 5))).results
    assert results is not None
    assert results.response.treated == 1.0
    assert results.response.handling == "none were missing"


# The extract


ROWS = {"threat_assessments": 4125, "episodes": 900, "measures": 5000, "protective_actions": 400}


@pytest.mark.parametrize(
    ("code", "figure", "shown"),
    [
        ("extract.lost_actions", 3.0, None),
        ("extract.lost_actions", 0.0, 0.0),
        ("extract.lost_actions", 14.0, 14.0),
        ("extract.end_reasons", 4 / 700, None),
        ("extract.end_reasons", 0.0, 0.0),
        ("extract.end_reasons", 0.25, 0.25),
        ("extract.above_range.phq9", 5 / 4000, None),
        ("extract.above_range.phq9", 0.3, 0.3),
        ("extract.alpha.phq9", 0.78, 0.78),
    ],
)
def test_figures_on_the_extract_tell_no_small_count(code: str, figure: float, shown: float | None) -> None:
    """A count is withheld like any other, and a share when at most a few can be behind it; the judgement stays."""
    verdict = at_most(code, figure, 0.001, "what was judged")
    (line,) = extract_verdicts((verdict,), ROWS, {}, PROFILE)
    assert line.measured == shown
    assert line.status == verdict.status


def test_rows_go_with_the_rows_set_aside() -> None:
    """Withheld together, on the page and in the verdict; told together when nothing is small."""
    rows = at_least("extract.rows.threat_assessments", 4125, 1, "rows delivered")
    for aside, told in ((5, None), (0, 4125), (40, 4125)):
        reasons = {"threat_assessments.created:range": aside}
        line = next(q for q in quality_lines(ROWS, reasons, PROFILE) if q.table == "threat_assessments")
        (verdict,) = extract_verdicts((rows,), ROWS, reasons, PROFILE)
        assert line.rows == verdict.measured == told
        assert line.set_aside == (None if told is None else aside)


def test_the_divisor_is_said_for_every_estimand() -> None:
    """Standardised differences are divided by something else under each estimand, and the page says by what."""
    assert set(DIVISORS) == set(get_args(WeightEstimand))
    assert before(World()).balance_denominator == DIVISORS["ATT"].format(treated="warned")


@pytest.mark.parametrize(
    ("permissive", "hidden"), [(60, ()), (4, ("regime_mandatory", "regime_permissive", "regime_none"))]
)
def test_levels_of_a_category_are_withheld_together(permissive: int, hidden: tuple[str, ...]) -> None:
    """A rare level hides the others, which would give it away by subtraction; where none is rare all are told."""
    design = design_of(World())
    place = np.tile(np.arange(SETS), 2)
    levels = {
        "regime_mandatory": place >= 100,
        "regime_permissive": place < permissive,
        "regime_none": (place >= permissive) & (place < 100),
        "hospitalised_365d": place % 2 == 0,
    }
    (row,) = design.balance
    rows = tuple(dataclasses.replace(row, name=name, mean_treated=0.3, mean_comparison_before=0.3) for name in levels)
    columns = np.column_stack([*levels.values()]).astype(float)
    changed = dataclasses.replace(design, balance=rows, covariates=columns)
    assert withheld_facts(changed, study(), (), PROFILE).wholly == set(hidden)
