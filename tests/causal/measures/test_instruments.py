"""Scoring keys: what ships, what a site may supply, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from causal.errors import StudyFileError
from causal.measures.scoring import score_items
from causal.protocol.instrument import Instrument
from causal.tables import MEASURES
from flows.study_file.load import load_instruments

ROOT = Path(__file__).resolve().parents[3]
KEYS = load_instruments(ROOT / "configs/instruments")

SUPPLIED = """\
id: calpas_p
version: client
rater: patient
recall_period: the session just held
n_items: 6
low: 1
high: 7
reverse: [2, 5]
missing_codes: [99]
subscales:
  capacity: {items: [1, 2, 3], minimum_answered: 2}
  commitment: {items: [4, 5, 6], minimum_answered: 2}
minimum_answered: 5
total: mean
licence: {holder: the authors, permission_required: true, url: "https://example.org/permission"}
verified:
  status: primary_source
  source: the licensed manual, page 3
  by: two members of staff, independently
  checked_on: 2024-02-29
"""
"""A made-up key in the form in which a site writes its own."""


def test_what_ships() -> None:
    """Keys known well enough, each with its status; none of those whose keying was not found or may not be used."""
    assert {name: key.verified.status for name, key in KEYS.items()} == {
        "arm_5": "secondary_source",
        "gad7": "secondary_source",
        "gcq_s": "secondary_source",
        "haq_ii": "secondary_source",
        "miti": "secondary_source",
        "phq9": "secondary_source",
        "wai_36": "recall",
        "wai_s": "recall",
        "wai_sr": "secondary_source",
    }
    assert not any("mmas" in path.read_text(encoding="utf-8").lower() for path in (ROOT / "configs").rglob("*.yaml"))


def test_every_shipped_key_says_who_answers_and_can_be_delivered() -> None:
    """Its name and version are allowed in table measures."""
    for name, key in KEYS.items():
        assert key.rater is not None
        assert name in MEASURES.column("instrument").values
        assert key.version in MEASURES.column("version").values


def test_subscales_part_the_form() -> None:
    """In every shipped key with subscales each item belongs to exactly one."""
    for key in KEYS.values():
        if key.subscales:
            items = sorted(item for part in key.subscales.values() for item in part.items)
            assert items == list(range(1, key.n_items + 1))


def test_a_key_supplied_by_a_site_loads_and_scores(tmp_path: Path) -> None:
    """A file of its own beside the others; its date and its checker are kept."""
    (tmp_path / "calpas_p.yaml").write_text(SUPPLIED, encoding="utf-8")
    key = load_instruments(tmp_path)["calpas_p"]
    assert score_items([[7, 1, 7, 7, 99, 7]], key).total.tolist() == [7]
    assert str(key.verified.checked_on) == "2024-02-29"
    assert key.id in MEASURES.column("instrument").values


def test_a_key_with_wording_is_refused(tmp_path: Path) -> None:
    """There is no place for the text of items."""
    (tmp_path / "calpas_p.yaml").write_text(SUPPLIED + "items: [I feel understood]\n", encoding="utf-8")
    with pytest.raises(StudyFileError) as refusal:
        load_instruments(tmp_path)
    assert refusal.value.code == "instrument.invalid"


def changed(**changes: object) -> Instrument:
    """WAI-SR's key with changes, checked afresh."""
    return Instrument.model_validate(KEYS["wai_sr"].model_dump() | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"total": "none", "subscales": {}}, "there are no subscales"),
        ({"reverse": (4, 4)}, r"named twice in \['reverse'\]"),
        ({"subscales": {"bond": {"items": (3, 3), "minimum_answered": 1}}}, r"named twice in \['bond'\]"),
        ({"namesake": {"name": "another", "low": 0, "high": 5}}, "namesake's highest response must be below 5"),
        ({"namesake": {"name": "another", "low": 3, "high": 3}}, "namesake's highest response must be below 5"),
        ({"loinc": ("WAI",)}, "loinc"),
        ({"low": 5}, "low must be below high"),
        ({"missing_codes": (5,)}, "are also responses"),
        ({"minimum_answered": 13}, "the form has 12 items"),
    ],
)
def test_impossible_keys_are_refused(changes: dict[str, object], message: str) -> None:
    """What no form can have, or would leave nothing to score."""
    with pytest.raises(ValidationError, match=message):
        changed(**changes)


def test_the_digest_is_of_what_decides_a_score() -> None:
    """Another reversal is another digest; another source, licence or code is not."""
    plain = KEYS["wai_sr"].digest
    assert len(plain) == 64
    assert changed(reverse=(4,)).digest != plain
    assert changed(minimum_answered=11).digest != plain
    assert changed(loinc=("12345-6",), verified={"status": "recall", "source": "nowhere"}).digest == plain


def test_scales_and_their_ranges() -> None:
    """The whole form where there is a total, else its subscales; sums count items, means do not."""
    assert list(KEYS["wai_sr"].scales) == ["total"]
    assert KEYS["gcq_s"].scales["avoiding"] == (3, 5, 9)
    assert KEYS["wai_36"].score_range(36) == (36, 252)
    assert KEYS["wai_36"].score_range(12) == (12, 84)
    assert KEYS["haq_ii"].score_range(19) == (19, 114)
    assert KEYS["wai_sr"].score_range(12) == (1, 5)
    assert KEYS["gcq_s"].score_range(3) == (0, 6)
