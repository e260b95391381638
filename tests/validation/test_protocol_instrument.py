"""What the protocol check says of an outcome whose instrument has no key, or whose key gives no total."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

import pytest

from causal.protocol import STUDY
from causal.tables import INSTRUMENTS
from flows.study_file import load_instruments, load_study
from validation.protocol import judge_protocol
from validation.verdict import Status

ROOT = Path(__file__).resolve().parents[2]
KEYS = load_instruments(ROOT / "configs/instruments")
FLAGSHIP = load_study(ROOT / "configs/studies/duty_to_warn.yaml").study


def said(instrument: str, *, without: Collection[str] = (), version: str = "client") -> str:
    """The failed sentence on the flagship with another instrument as its outcome."""
    study = json.loads(FLAGSHIP.model_dump_json())
    study["outcome"] |= {"instrument": instrument, "version": version, "subscales": []}
    kept = {name: key for name, key in KEYS.items() if name not in without}
    verdicts = judge_protocol(STUDY.validate_json(json.dumps(study)), kept)
    (found,) = [each for each in verdicts if each.code == "protocol.instrument"]
    assert found.status is Status.FAIL
    return found.sentence


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_no_other_instrument_is_suggested_for_a_known_one(name: str) -> None:
    """WAI-S is no misspelling of WAI-SR: a known name without a key is told so, and no other name is put beside it."""
    assert said(name, without={name}) == (
        f"there is no scoring key for {name}; it has to be supplied, for the key of another instrument scores another "
        "instrument"
    )


def test_a_misspelt_name_still_has_a_nearest_one() -> None:
    """A name that is nobody's is helped on; one that is near to none gets the list."""
    assert said("wai_ssr") == "there is no scoring key for wai_ssr (did you mean wai_sr?)"
    assert said("trust") == f"there is no scoring key for trust; there are keys for {', '.join(sorted(KEYS))}"


def test_without_any_key_that_is_said_first() -> None:
    """Where no folder of keys was found, the reason is that, whatever the name."""
    assert said("wai_sr", without=KEYS) == (
        "there is no scoring key for wai_sr, for no keys were read: keep the study below a folder that holds "
        "instruments/"
    )


def test_an_instrument_without_a_total_cannot_be_the_outcome() -> None:
    """The outcome is one score; an instrument of subscales alone has none, and the subscales are named."""
    key = KEYS["gcq_s"]
    assert key.total == "none"
    assert said("gcq_s", version=key.version) == (
        f"the outcome is one score, and gcq_s has none: its key gives a mean for each of "
        f"{', '.join(sorted(key.subscales))}, and no total"
    )
