"""Each switch does what it says, and nothing else is accepted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from causal.errors import StudyFileError
from causal.simulation import SimulationParameters, parameters_with, simulate
from causal.simulation.course import Course, plan_course
from causal.simulation.draws import draw
from causal.simulation.extract import factual_paths
from causal.simulation.mechanisms import COMPLETED, LEFT, LOST, response_probability, warning_probability
from causal.simulation.world import World, build_world

BASE = SimulationParameters()


def setting(parameters: SimulationParameters) -> tuple[World, Course]:
    """Make a world and the course of 3,000 people in it, on the same draws whatever the parameters."""
    world = build_world(parameters, 3_000, np.random.default_rng(1))
    return world, plan_course(parameters, world, np.arange(3_000), draw(3_000, np.random.default_rng(2)))


@pytest.mark.parametrize(
    "doses",
    [
        {"dirt": 0.9},
        {"dirt": -0.1},
        {"mnar": float("nan")},
        {"positivity": float("inf")},
        {"positivity": "high"},
        {"clinician_confounding": -1.5},
        {"meas_error": 2},
        {"null": 1},
        {"hidden_u": (0.7,)},
        {"hidden_u": [0.7, 0.2]},
        {"hidden_u": (0.7, float("nan"))},
        {"effect": (-0.4, -0.3)},
        {"regime_change": "2019-13-01"},
        {"regime_change": "2017-01-01"},
        {"regime_change": 2019},
        {"clinicians_per_clinic": 0},
        {"warning_clinicians": -1},
        {"clinician_drift": -0.1},
        {"clinicians_per_clinic": 2.5},
        {"patient_sd": -0.1},
    ],
)
def test_impossible_doses_are_refused(doses: dict[str, object]) -> None:
    """A dose of the wrong kind or outside its range is refused by name."""
    with pytest.raises(StudyFileError, match=rf"simulation\.dose\] '{next(iter(doses))}'"):
        SimulationParameters(**doses)  # type: ignore[arg-type]


def test_switches_from_text() -> None:
    """Numbers, pairs, truth values, dates and none are read in the kind of their parameter."""
    parameters = parameters_with(
        ["hidden_u=0.7,0.2", "null=true", "regime_change=2020-03-01", "clinicians_per_clinic=2", "dip=0"]
    )
    expected = replace(
        BASE, hidden_u=(0.7, 0.2), null=True, regime_change="2020-03-01", clinicians_per_clinic=2, dip=0.0
    )
    assert parameters == expected
    assert parameters_with(["regime_change=none"]).regime_change is None
    assert parameters_with([]) == BASE


@pytest.mark.parametrize(
    ("switch", "says"),
    [
        (["mnr=-1.2"], "did you mean 'mnar'"),
        (["zzz=1"], "no simulation parameter is called 'zzz'"),
        (["mnar"], "no dose"),
        (["mnar=much"], "write a number"),
        (["null=yes"], "write true or false"),
        (["mnar=-1", "mnar=-2"], "given twice"),
        (["dirt=0.5"], "expected a number from 0.0 to 0.2"),
        (["hidden_u=1"], "two numbers"),
    ],
)
def test_unknown_switches_are_refused(switch: list[str], says: str) -> None:
    """A switch that cannot be read is refused with what was meant."""
    with pytest.raises(StudyFileError, match=says):
        parameters_with(switch)


def test_dip_lowers_ratings_before_an_assessment() -> None:
    """The dip is taken off the rating of the period of an assessment, and off no other."""
    _, plain = setting(replace(BASE, dip=0.0))
    _, dipped = setting(replace(BASE, dip=-0.5))
    difference = dipped.untreated - plain.untreated
    np.testing.assert_allclose(difference[plain.assessed], -0.5)
    np.testing.assert_allclose(difference[~plain.assessed], 0.0)
    np.testing.assert_array_equal(dipped.stable, plain.stable)


def test_hidden_u_moves_warnings_and_later_alliance() -> None:
    """U adds gamma to the logit of a warning, and takes theta off the alliance only after the first assessment."""
    _, plain = setting(BASE)
    _, hidden = setting(replace(BASE, hidden_u=(0.7, 0.2)))
    u = plain.draws.person.hidden[:, None]
    np.testing.assert_allclose((hidden.warning - plain.warning), 0.7 * u * plain.assessed, atol=1e-6)
    before = np.cumsum(plain.assessed, axis=1) - plain.assessed == 0
    np.testing.assert_allclose(plain.stable - hidden.stable, 0.2 * u * ~before, atol=1e-6)


def test_positivity_steepens_severity() -> None:
    """A steeper slope pushes warning probabilities to 0 and 1."""

    def extreme(slope: float) -> float:
        parameters = replace(BASE, positivity=slope)
        _, course = setting(parameters)
        cell = np.flatnonzero(course.assessed)
        p = warning_probability(parameters, course, cell, np.full(len(cell), 3.5))
        return float(np.mean((p < 0.001) | (p > 0.9)))

    assert extreme(0.85) < 0.1
    # At 4 logits a point, .001 to .9 spans 2.3 points of a score whose SD is 1.6: about half lie outside.
    assert extreme(4.0) > 0.4


def test_mnar_silences_the_dissatisfied() -> None:
    """At -1.2 a point, the log-odds of answering differ by 1.2 between alliances of 2.5 and 3.5; 88% answer at 3.5."""
    low, middle = response_probability(replace(BASE, mnar=-1.2), np.array([2.5, 3.5]), np.array([1.0, 5.0]))
    assert middle == pytest.approx(0.88)
    assert np.log(middle / (1 - middle)) - np.log(low / (1 - low)) == pytest.approx(1.2)


def test_mar_silences_those_who_rated_low_before() -> None:
    """At -1.2 a point of the rating before the last assessment; present alliance then says nothing of its own."""
    parameters = replace(BASE, mar=-1.2)
    low, middle = response_probability(parameters, np.array([5.0, 1.0]), np.array([2.5, 3.5]))
    assert middle == pytest.approx(0.88)
    assert np.log(middle / (1 - middle)) - np.log(low / (1 - low)) == pytest.approx(1.2)
    parameters = replace(parameters, assessment_rate=0.5)
    _, course = setting(parameters)
    factual = factual_paths(parameters, course)
    scores = factual.observed_scores()
    for person in range(40):
        before, latest = 3.5, np.full(3, np.nan)
        for step in range(int(factual.present[person].sum())):
            assert factual.before[person, step] == before
            latest = np.append(latest[1:], scores[person, step])
            if course.assessed[person, step]:
                known = latest[~np.isnan(latest)]
                before = known[-1] if known.size else 3.5


def test_a_large_caseload_makes_clinicians_few() -> None:
    """7,500 patients at 313 a clinician, four clinicians to a clinic: 24 clinicians in six clinics."""
    tables = simulate(replace(BASE, caseload=313, clinicians_per_clinic=4), 7_500, seed=1).tables
    assert (len(tables["clinicians"]), len(tables["clinics"])) == (24, 6)
    assert tables["episodes"].groupby("clinician_id").size().between(220, 400).all()


def test_patients_of_one_clinician_drift_together() -> None:
    """After the first assessment every alliance with a clinician is shifted alike, and nothing else moves."""
    world, plain = setting(BASE)
    drifting, drifted = setting(replace(BASE, clinician_drift=0.5))
    before = np.cumsum(plain.assessed, axis=1) - plain.assessed == 0
    shift = drifting.clinician_drift[drifted.clinician][:, None]
    np.testing.assert_allclose(drifted.stable - plain.stable, shift * ~before, atol=1e-12)
    np.testing.assert_array_equal(drifted.warning, plain.warning)
    np.testing.assert_array_equal(drifting.clinician_level, world.clinician_level)
    assert not world.clinician_drift.any()
    many = build_world(replace(BASE, clinician_drift=0.5), 100_000, np.random.default_rng(1))
    assert many.clinician_drift.std() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("warning", [1, 3])
def test_only_the_first_clinicians_warn(warning: int) -> None:
    """So many clinicians ever warn, whatever the assessment; 0 leaves it to all."""

    def who(clinicians: int) -> int:
        parameters = replace(BASE, warning_clinicians=clinicians, caseload=300, warning_intercept=-3.0)
        tables = simulate(parameters, 3_000, seed=1).tables
        warned = tables["protective_actions"].query("action in ('warn_victim', 'warn_police')")
        episodes = tables["episodes"].set_index("person_id")
        return int(episodes.loc[warned["person_id"].unique(), "clinician_id"].nunique())

    assert who(warning) == warning
    assert who(0) == 10


def test_immortal_brings_assessments_late() -> None:
    """Assessments move to later months of care."""

    def mean_month(dose: float) -> float:
        _, course = setting(replace(BASE, immortal=dose))
        return float(np.nonzero(course.assessed)[1].mean())

    assert mean_month(1.5) > mean_month(0.0) + 2


def test_clinician_confounding_ties_practice_to_level() -> None:
    """Clinicians' readiness to warn correlates with the alliance they reach as asked."""
    parameters = replace(BASE, clinician_confounding=-0.4, clinicians_per_clinic=2)
    world = build_world(parameters, 100_000, np.random.default_rng(1))
    assert np.corrcoef(world.clinician_level, world.clinician_practice)[0, 1] == pytest.approx(-0.4, abs=0.05)
    assert np.bincount(world.clinician_clinic).max() == 2


def test_measurement_error_hides_what_clinicians_know() -> None:
    """At dose 1 the decision rests on the true alliance, and observed ratings no longer matter."""
    parameters = replace(BASE, meas_error=1.0)
    _, course = setting(parameters)
    cell = np.flatnonzero(course.assessed)
    low, high = (np.full(len(cell), score) for score in (2.0, 5.0))
    np.testing.assert_array_equal(
        warning_probability(parameters, course, cell, low), warning_probability(parameters, course, cell, high)
    )
    assert (warning_probability(BASE, course, cell, low) > warning_probability(BASE, course, cell, high)).all()


def test_regime_change_is_dated() -> None:
    """Florida has two spans that meet at the change, or one without it; warnings follow the regime of the day."""
    regimes = simulate(BASE, 50, seed=1).tables["jurisdiction_regime"].query("state == 'FL'")
    assert regimes["regime"].tolist() == ["permissive", "mandatory"]
    assert regimes["valid_to"].dt.strftime("%Y-%m-%d").tolist()[0] == "2019-06-30"
    assert regimes["valid_from"].dt.strftime("%Y-%m-%d").tolist()[1] == "2019-07-01"
    unchanged = simulate(replace(BASE, regime_change=None), 50, seed=1).tables["jurisdiction_regime"]
    assert unchanged.query("state == 'FL'")["regime"].tolist() == ["permissive"]
    _, before = setting(replace(BASE, regime_change=None))
    _, after = setting(BASE)
    assert set(np.unique((after.warning - before.warning).round(6))) == {0.0, 0.9}


def test_null_shares_its_luck_with_base() -> None:
    """Until a first warning, the same people have the same history with and without an effect."""
    base, null = simulate(BASE, 500, seed=8), simulate(replace(BASE, null=True), 500, seed=8)
    warned = set(base.tables["protective_actions"].query("action.str.startswith('warn')")["person_id"])
    for name in ("threat_assessments", "episodes"):
        first, second = (
            s.tables[name][~s.tables[name]["person_id"].isin(warned)].drop(columns="ta_id", errors="ignore")
            for s in (base, null)
        )
        assert first.reset_index(drop=True).equals(second.reset_index(drop=True))


@pytest.mark.parametrize("which", ["severity", "phq9"])
def test_a_curve_moves_warnings_and_what_follows(which: str) -> None:
    """Gamma (z^2 - 1) on the logit of a warning; theta (z^2 - 1) off the alliance from the next period to the next."""
    _, plain = setting(BASE)
    _, curved = setting(replace(BASE, **{f"curved_{which}": (0.4, 0.2)}))  # type: ignore[arg-type]
    if which == "severity":
        z = (plain.severity - 4.5) / 1.6
    else:
        totals = np.where(plain.phq9_answered, plain.phq9_items.sum(axis=-1), np.nan)
        z = np.full(totals.shape, np.nan)
        for period in range(totals.shape[1]):
            for back in range(min(6, period + 1)):
                z[:, period] = np.where(np.isnan(z[:, period]), totals[:, period - back], z[:, period])
        z = (np.where(np.isnan(z), 13.0, z) - 13.0) / 4.7
    np.testing.assert_allclose(curved.warning - plain.warning, 0.4 * (z**2 - 1) * plain.assessed, atol=1e-6)
    expected = np.zeros(z.shape)
    last = np.zeros(len(z))
    for period in range(z.shape[1]):
        expected[:, period] = last
        last = np.where(plain.assessed[:, period], 0.2 * (z[:, period] ** 2 - 1), last)
    np.testing.assert_allclose(plain.stable - curved.stable, expected, atol=1e-6)
    assert (expected[:, 1:] != 0).any()


def test_a_curve_in_the_alliance_depends_on_the_rating() -> None:
    """The logit bends in the rating a warning depends on; the course bends in the level behind it."""
    _, plain = setting(BASE)
    parameters = replace(BASE, curved_alliance=(0.5, 0.2))
    _, curved = setting(parameters)
    cell = np.flatnonzero(plain.assessed)

    def logit(made: SimulationParameters, rating: float) -> np.ndarray:
        p = warning_probability(made, plain, cell, np.full(len(cell), rating))
        return np.log(p / (1 - p))

    np.testing.assert_allclose(logit(parameters, 4.9) - logit(BASE, 4.9), 0.5 * 3.0)
    np.testing.assert_allclose(logit(parameters, 3.5) - logit(BASE, 3.5), -0.5)
    shift, after = plain.stable - curved.stable, plain.assessed[:, 0]
    level = (plain.stable[after, 0] - 3.5) / 0.7
    np.testing.assert_allclose(shift[after, 1], 0.2 * (level**2 - 1), atol=1e-6)
    np.testing.assert_array_equal(curved.warning, plain.warning)


def test_the_warned_may_fall_silent() -> None:
    """At -3.58 one in ten of the warned answer where eight in ten of the others do; by itself it moves nobody else."""
    parameters = replace(BASE, response_rate=0.8, warning_on_answering=-3.58)
    mean = np.full(2, 3.5)
    warned, other = response_probability(parameters, mean, mean, np.array([True, False]))
    assert (warned, other) == pytest.approx((0.1, 0.8), abs=0.001)


def test_nobody_leaves() -> None:
    """At a logit of -100 no relationship is ended by a patient, whatever else weighs on it."""
    parameters = replace(BASE, leaving_intercept=-100.0, assessment_rate=0.5)
    _, course = setting(parameters)
    ended = factual_paths(parameters, course).end
    assert not np.isin(ended, (LEFT, LOST)).any()
    assert (ended == COMPLETED).any()
