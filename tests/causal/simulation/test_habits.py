"""Habits of source systems: what is true stays true, and every habit shows where it should."""

from __future__ import annotations

import pandas as pd

from causal.simulation import SimulationParameters, simulate

USUAL = SimulationParameters()


def test_forms_dated_to_the_day_change_nothing_else() -> None:
    """Every form is at midnight of its day; answers, other tables and the truth are the same."""
    plain, dated = simulate(USUAL, 500, seed=6), simulate(SimulationParameters(date_forms=True), 500, seed=6)
    forms = dated.tables["measures"]
    assert (forms["admin_ts"] == plain.tables["measures"]["admin_ts"].dt.floor("D")).all()
    answers = [column for column in forms if not column.endswith("_ts")]
    pd.testing.assert_frame_equal(forms[answers], plain.tables["measures"][answers])
    for name in set(plain.tables) - {"measures"}:
        pd.testing.assert_frame_equal(dated.tables[name], plain.tables[name])
    pd.testing.assert_frame_equal(dated.truth, plain.truth)


def test_codes_are_the_same_but_for_blanks_and_letters() -> None:
    """About the asked share of them is written another way, and every one says what it said."""
    plain, respelt = simulate(USUAL, 500, seed=6), simulate(SimulationParameters(code_spelling=0.4), 500, seed=6)
    for table, column in (("clinicians", "profession"), ("diagnoses", "icd10"), ("measures", "instrument")):
        before, after = (each.tables[table][column].astype("str") for each in (plain, respelt))
        assert (before.str.upper() == after.str.strip().str.upper()).all()
    assert 0.3 < (before != after).mean() < 0.5
    pd.testing.assert_frame_equal(respelt.truth, plain.truth)


def test_a_share_of_people_cannot_have_lived() -> None:
    """Half of them are born in 1901, half are dead before their last contact, and nobody else is."""
    made = simulate(SimulationParameters(impossible_dates=0.2), 2_000, seed=6).tables
    last = made["patients"]["person_id"].map(made["encounters"].groupby("person_id")["start_ts"].max())
    dead = (made["patients"]["death_date"] < last.dt.floor("D")).mean()
    assert abs((made["patients"]["birth_year"] == 1901).mean() - 0.1) < 0.02
    assert abs(dead - 0.1) < 0.02
