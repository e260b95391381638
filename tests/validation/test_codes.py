"""Codes: blanks and case never matter, and what still matches nothing is counted and held to a limit."""

from __future__ import annotations

import ibis.expr.types as ir
import pytest

from causal.tables import TABLES, Rule
from tests.flows.connectors.small_extract import Rows, patient, regime, small_extract
from tests.validation.judging import KEYS, judged, loaded, some, verdict
from validation.codes import judge_diagnosis_codes, judge_regime_codes, judge_versions, judge_zones
from validation.rules import code
from validation.spelling import respelt
from validation.verdict import Status, Verdict

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


def test_blanks_and_case_tell_no_two_codes_apart() -> None:
    """Every coded column comes out as declared, in every table, and how much was respelt is told."""
    tables = small_extract()
    tables["patients"] = [row | {"sex": f" {row['sex'].lower()}"} for row in tables["patients"]]
    tables["clinics"][0] |= {"state": "ca ", "tz": "america/los_angeles", "type": "Community"}
    tables["clinicians"][0]["profession"] = " Psychologist"
    tables["jurisdiction_regime"] = [regime("2000-01-01", "", "Mandatory") | {"profession": "PSYCHOLOGIST "}]
    tables["protective_actions"][0]["action"] = "Warn_Police"
    tables["measures"] = [row | {"instrument": row["instrument"].upper()} for row in tables["measures"]]
    tables["diagnoses"][0]["icd10"] = "\u00a0f32.1"
    judgement = judged(tables)
    assert judgement.counts == {}
    clean = {name: rows.to_pyarrow().to_pylist() for name, rows in judgement.clean.items()}
    assert {row["sex"] for row in clean["patients"]} == {"F", "M"}
    (clinic,), (clinician,) = clean["clinics"], clean["clinicians"]
    assert (clinic["state"], clinic["tz"], clinic["type"]) == ("CA", "America/Los_Angeles", "community")
    assert clinician["profession"] == clean["jurisdiction_regime"][0]["profession"] == "psychologist"
    assert clean["protective_actions"][0]["action"] == "warn_police"
    assert {row["instrument"] for row in clean["measures"]} == {"wai_sr", "phq9"}
    assert clean["diagnoses"][0]["icd10"] == "F32.1"
    assert "episodes" not in clean
    respelt = verdict(judgement, "extract.respelt.clinics")
    assert respelt.status is Status.PASS
    assert "state, type, tz" in respelt.sentence


def professions(*lines: str) -> Rows:
    """Regimes of one state for these professions, and one psychologist."""
    tables = some(small_extract(), "clinics", "clinicians", "jurisdiction_regime")
    tables["jurisdiction_regime"] = [regime("2000-01-01", "", "none") | {"profession": line} for line in lines]
    return tables


def as_declared(tables: Rows) -> dict[str, ir.Table]:
    """The tables with their codes as declared."""
    return {name: respelt(table, TABLES[name])[0] for name, table in loaded(tables).items()}


def regimes(tables: Rows) -> tuple[Verdict, ...]:
    """What is said of states and professions."""
    return tuple(judge_regime_codes(as_declared(tables), 0.02))


def test_a_profession_that_nobody_can_have_is_named() -> None:
    """A line of the law that no clinician can ever meet moves people to another law in silence."""
    found = verdict(regimes(professions("psycologist", "any")), "extract.regime_professions")
    assert found.status is Status.FAIL
    assert "psycologist" in found.sentence
    assert verdict(regimes(professions("Psychologist", "any")), "extract.regime_professions").status is Status.PASS


def test_clinicians_and_clinics_without_any_law_are_counted() -> None:
    """The state has laws, but none for the profession; or the state has none at all."""
    lost = regimes(professions("psychiatrist"))
    assert verdict(lost, "extract.regime_clinicians").measured == 1
    assert verdict(lost, "extract.regime_clinicians").status is Status.FAIL
    assert verdict(regimes(professions("psychiatrist", "any")), "extract.regime_clinicians").status is Status.PASS
    tables = professions("any")
    tables["clinics"][0]["state"] = "California"
    assert verdict(regimes(tables), "extract.regime_states").status is Status.FAIL
    assert verdict(regimes(professions("any")), "extract.regime_states").status is Status.PASS


def test_an_unknown_time_zone_is_refused() -> None:
    """Its hours cannot be counted."""
    tables = some(small_extract(), "clinics")
    tables["clinics"] = [tables["clinics"][0] | {"tz": tz} for tz in ("Mars/Olympus", "mars/olympus", "UTC", "utc ")]
    found = judge_zones(as_declared(tables)["clinics"])
    assert (found.status, found.measured) == (Status.FAIL, 2)


@pytest.mark.parametrize(("odd", "limit", "status"), [(3, 0.03, Status.PASS), (4, 0.03, Status.FAIL)])
def test_undeclared_codes_have_a_limit_of_their_own(odd: int, limit: float, status: Status) -> None:
    """By column, whatever the share of rows that may be set aside; the column is named and no value is."""
    tables = some(small_extract(), "patients")
    tables["patients"] = [patient(f"p{k}", insurance="secret" if k < odd else "private") for k in range(100)]
    judgement = judged(tables, quarantined_share=0.5, unmatched_codes=limit)
    found = verdict(judgement, "extract.unmatched.patients")
    assert found.status is status
    assert "insurance" in found.sentence
    assert "secret" not in found.sentence
    assert judgement.counts == {code("patients", "insurance", Rule.NOT_ALLOWED): odd}


LISTS = {"substance_use": [f"F{n}" for n in range(10, 20)], "psychosis": [f"F{n}" for n in range(20, 30)]}


def diagnosed(*codes: str) -> tuple[Verdict, ...]:
    """What is said of diagnoses with these codes."""
    tables = {"diagnoses": [small_extract()["diagnoses"][0] | {"icd10": each} for each in codes]}
    return tuple(judge_diagnosis_codes(as_declared(tables)["diagnoses"], LISTS, 0.02))


def test_an_old_code_set_is_refused() -> None:
    """ICD-9 among ICD-10 halves every diagnosis; the limit itself passes."""
    old = diagnosed(*["F10.20"] * 88, *["303.90"] * 12)
    found = verdict(old, "extract.diagnosis_codes")
    assert (found.status, found.measured) == (Status.FAIL, 0.12)
    assert "ICD-9" in found.sentence
    new = diagnosed("F10.20", "f1220", " F20.9", "F43.10", "U07.1", "Z00", "O9A.211", "C7A.00")
    assert verdict(new, "extract.diagnosis_codes").measured == 0


def test_a_code_list_that_matches_nothing_is_refused() -> None:
    """Among a thousand diagnoses; among fewer it may be rare."""
    many = diagnosed(*["F10.20"] * 1000)
    assert verdict(many, "extract.code_list.substance_use").status is Status.PASS
    assert verdict(many, "extract.code_list.psychosis").status is Status.FAIL
    assert verdict(diagnosed(*["F10.20"] * 999), "extract.code_list.psychosis").status is Status.NOT_EVALUATED


def test_forms_under_another_version_are_counted() -> None:
    """The patient's own WAI-SR recorded as "patient" and not as "client" would be read by no analysis."""
    tables = {"measures": small_extract()["measures"]}
    tables["measures"][1]["version"] = "patient"
    found = tuple(judge_versions(as_declared(tables)["measures"], KEYS, 0.02))
    assert verdict(found, "extract.other_version.wai_sr").status is Status.FAIL
    assert verdict(found, "extract.other_version.phq9").status is Status.PASS


def test_a_share_of_clinics_and_clinicians_may_be_without_a_law() -> None:
    """One clinic of fifty, and one clinician of fifty, are at the limit; two are past it."""
    for lost, status in ((1, Status.PASS), (2, Status.FAIL)):
        tables = professions("psychologist")
        clinic, clinician = tables["clinics"][0], tables["clinicians"][0]
        tables["clinics"] = [clinic | {"clinic_id": f"k{k}", "state": "NY" if k < lost else "CA"} for k in range(50)]
        tables["clinicians"] = [
            clinician
            | {
                "clinician_id": f"c{k}",
                "clinic_id": "k49",
                "profession": "psychiatrist" if k < lost else "psychologist",
            }
            for k in range(50)
        ]
        for label in ("extract.regime_states", "extract.regime_clinicians"):
            found = verdict(regimes(tables), label)
            assert (found.status, found.measured, found.limit) == (status, lost / 50, 0.02)


def test_no_clinic_and_no_clinician_lack_no_law() -> None:
    """Empty tables are judged elsewhere; here nobody is without a law."""
    tables = professions("any") | {"clinics": [], "clinicians": []}
    for label in ("extract.regime_states", "extract.regime_clinicians"):
        assert (verdict(regimes(tables), label).status, verdict(regimes(tables), label).measured) == (Status.PASS, 0)


def test_forms_of_other_raters_have_versions_of_their_own() -> None:
    """A clinician's version is no version of the patient's form; one of fifty under another name is at the limit."""
    form = small_extract()["measures"][0]
    for other, status in ((1, Status.PASS), (2, Status.FAIL)):
        rows = [form | {"version": "patient" if k < other else "client"} for k in range(50)]
        rows += [form | {"version": "therapist", "rater": "clinician"} for _ in range(50)]
        found = verdict(
            tuple(judge_versions(as_declared({"measures": rows})["measures"], KEYS, 0.02)),
            "extract.other_version.wai_sr",
        )
        assert (found.status, found.limit) == (status, 0.02)
