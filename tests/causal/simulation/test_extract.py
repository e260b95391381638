"""An extract as a whole: the same every time, in order, and with the rates it promises."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pandas as pd
import pytest

from causal import tables
from causal.errors import StudyFileError
from causal.simulation import CHUNK_PATIENTS, Simulated, SimulationParameters, simulate, simulate_chunks


def client_forms(simulated: Simulated) -> pd.DataFrame:
    """Patients' WAI-SR forms about their index clinician."""
    measures = simulated.tables["measures"]
    index = simulated.tables["episodes"][["person_id", "clinician_id"]]
    forms = measures[(measures["instrument"] == "wai_sr") & (measures["rater"] == "patient")]
    return forms.merge(index, on=["person_id", "clinician_id"])


def test_same_seed_same_extract() -> None:
    """The same parameters, size and seed give the same tables and truth, value for value."""
    first, second = (simulate(SimulationParameters(), 300, seed=5) for _ in range(2))
    for name in tables.TABLES:
        pd.testing.assert_frame_equal(first.tables[name], second.tables[name])
    pd.testing.assert_frame_equal(first.truth, second.truth)


@pytest.mark.parametrize(
    ("parameters", "seed", "expected"),
    [
        (SimulationParameters(), 7, "93bc1404f6373accb49153e7882102bc0cd5228ce6b072e293d2c7206b5f78e4"),
        (
            SimulationParameters(
                null=True, immortal=0.75, dirt=0.02, kappa=0.2, hidden_u=(0.7, 0.2), mnar=-0.6, meas_error=0.5
            ),
            8,
            "003cb663e0be6bbed7ee132622ebbc9ea71c7d6711aa77117adcfc110d1470ba",
        ),
    ],
)
def test_extracts_stay_what_they_were(parameters: SimulationParameters, seed: int, expected: str) -> None:
    """New switches at their defaults leave every byte of the tables as it was before them (digests of b2c0038)."""
    frames = simulate(parameters, 900, seed=seed).tables
    text = "".join(f"{name}\n{frames[name].to_csv(index=False)}" for name in sorted(frames))
    assert hashlib.sha256(text.encode()).hexdigest() == expected


def test_another_seed_another_extract() -> None:
    """Another seed changes people's ids and their forms."""
    first, second = (simulate(SimulationParameters(), 300, seed=seed) for seed in (5, 6))
    assert not set(first.tables["patients"]["person_id"]) & set(second.tables["patients"]["person_id"])
    assert len(first.tables["measures"]) != len(second.tables["measures"])


def test_ordinary_random_state_is_neither_read_nor_moved() -> None:
    """Global randomness plays no part."""
    np.random.seed(1)  # noqa: NPY002  (the point of the test)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = simulate(SimulationParameters(), 100, seed=5).truth
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    pd.testing.assert_frame_equal(first, simulate(SimulationParameters(), 100, seed=5).truth)


def test_clean_extract_breaks_no_declaration(base: Simulated, violations: object) -> None:
    """Every table has exactly the declared columns, and no row violates a declaration."""
    assert violations(base.tables) == Counter()  # type: ignore[operator]


def test_one_person_is_enough(violations: object) -> None:
    """The smallest extracts are whole as well."""
    for patients in (1, 2, 35):
        assert violations(simulate(SimulationParameters(), patients, seed=3).tables) == Counter()  # type: ignore[operator]


def test_chunks_join_without_collision() -> None:
    """A second chunk adds people of its own, ids never meet, and only the first chunk carries the small tables."""
    chunks = list(simulate_chunks(SimulationParameters(), CHUNK_PATIENTS + 500, seed=2))
    assert [len(chunk.tables["patients"]) for chunk in chunks] == [CHUNK_PATIENTS, 500]
    assert "clinics" in chunks[0].tables
    assert "clinics" not in chunks[1].tables
    for name, key in (("patients", "person_id"), ("encounters", "enc_id"), ("protective_actions", "action_id")):
        ids = pd.concat([chunk.tables[name][key] for chunk in chunks])
        assert ids.is_unique
    known = set(chunks[0].tables["clinicians"]["clinician_id"])
    assert set(chunks[1].tables["episodes"]["clinician_id"]) <= known


def test_rows_per_person(base: Simulated) -> None:
    """All tables together hold 20 to 30 rows a person, and 0.25 to 0.35 assessments."""
    rows = sum(len(frame) for frame in base.tables.values())
    assert 20 <= rows / 20_000 <= 30
    assert 0.25 <= len(base.tables["threat_assessments"]) / 20_000 <= 0.35


def test_rates(base: Simulated) -> None:
    """4-6% of candidate occasions are warned; patients end 20-25% of the others within 90 days."""
    truth = base.truth
    assert 0.04 <= truth["treated"].mean() <= 0.06
    assert 0.20 <= truth.loc[~truth["treated"], "terminated_0"].mean() <= 0.25


def test_wai_sr_measures_like_the_real_one(base: Simulated) -> None:
    """Item means have SD .6-.8, alpha is .88-.94, and 15-25% of answers are at the maximum."""
    items = client_forms(base)[list(tables.ITEM_COLUMNS[:12])].to_numpy(dtype=float)
    covariance = np.cov(items.T)
    alpha = 12 / 11 * (1 - np.trace(covariance) / covariance.sum())
    assert 0.6 <= items.mean(axis=1).std() <= 0.8
    assert 0.88 <= alpha <= 0.94
    assert 0.15 <= (items == 5).mean() <= 0.25


def test_phq9_totals(base: Simulated) -> None:
    """PHQ-9 totals in the first month centre on 13 with an SD of about 5 (later the more burdened have left)."""
    forms = base.tables["measures"].query("instrument == 'phq9'")
    start = forms["person_id"].map(base.tables["episodes"].set_index("person_id")["start"])
    early = forms[forms["admin_ts"] < start + pd.Timedelta(days=29)]
    totals = early[list(tables.ITEM_COLUMNS[:9])].astype(float).sum(axis=1)
    assert totals.mean() == pytest.approx(13, abs=0.3)
    assert 4.3 <= totals.std() <= 5.5


def test_caseloads(base: Simulated) -> None:
    """Clinicians have 25 to 41 patients, and clinics ten clinicians except perhaps the last."""
    assert base.tables["episodes"].groupby("clinician_id").size().between(24, 42).all()
    sizes = base.tables["clinicians"].groupby("clinic_id").size()
    assert (sizes == 10).sum() >= len(sizes) - 1


def test_each_form_comes_with_a_completed_contact(base: Simulated) -> None:
    """Every form has a completed contact of the same pair on its day."""
    contacts = base.tables["encounters"].query("status == 'completed'")
    seen = set(zip(contacts["person_id"], contacts["clinician_id"], contacts["start_ts"].dt.normalize(), strict=True))
    forms = base.tables["measures"]
    days = zip(forms["person_id"], forms["clinician_id"], forms["admin_ts"].dt.normalize(), strict=True)
    assert set(days) <= seen


def test_nothing_follows_death(base: Simulated) -> None:
    """People who died have no later contact, form, assessment or action."""
    died = base.tables["patients"].dropna(subset="death_date").set_index("person_id")["death_date"]
    assert len(died) > 0
    for name, time in (("encounters", "start_ts"), ("measures", "admin_ts"), ("threat_assessments", "ts")):
        rows = base.tables[name]
        rows = rows[rows["person_id"].isin(died.index)]
        assert (rows[time].dt.normalize() <= rows["person_id"].map(died)).all()


def test_ids_carry_no_order(base: Simulated) -> None:
    """Sorting people by id says nothing about when they came."""
    rank = base.tables["episodes"].sort_values("person_id")["start"].rank().to_numpy()
    clinician = base.tables["clinicians"]["clinician_id"].rank().to_numpy()
    assert abs(np.corrcoef(rank, np.arange(len(rank)))[0, 1]) < 0.03
    assert abs(np.corrcoef(clinician, np.arange(len(clinician)))[0, 1]) < 0.12


@pytest.mark.parametrize(("patients", "seed"), [(0, 1), (-5, 1), (10, -1), (10**9, 1)])
def test_impossible_sizes_are_refused(patients: int, seed: int) -> None:
    """No patients, too many, or a negative seed are refused before anything is drawn."""
    with pytest.raises(StudyFileError, match=r"simulation\.(patients|seed)"):
        next(simulate_chunks(SimulationParameters(), patients, seed))
