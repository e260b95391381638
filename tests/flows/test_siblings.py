"""Siblings of the flagship: the same records, another action and other words. Nothing of the first study's is said."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from command import forked

from causal.cohort.catalogue import EXACT_KEYS, catalogue_of
from flows.study_file import load_study

CONFIGS = Path(__file__).parents[2] / "configs"
FLAGSHIP: Any = load_study(CONFIGS / "studies" / "duty_to_warn.yaml").study
FACTS = catalogue_of(FLAGSHIP).described.values()
FIRST_STUDY = re.compile(r"\w*(?:warn|police|disclos|third part|victim|\btrust|assess|\bthreat)\w*", re.IGNORECASE)
"""Words of the flagship."""
OF_THE_RECORDS = (
    *(
        text
        for one in catalogue_of(FLAGSHIP).described.values()
        for text in (one.name, one.label, one.meaning, one.unit)
    ),
    *EXACT_KEYS.values(),
    "a completed contact, a form, an assessment or an action",
    "share of assessments at a time that the clock",
    "threat_assessments",
)
"""What facts and tables of the records are called, whichever study reads them."""
OWN = {
    "unit": "review",
    "units": "reviews",
    "units_in_full": "structured reviews of risk",
    "clinician": "the reviewing clinician",
    "treated": "intensified",
    "untreated": "usual",
    "event": "intensified contact",
    "no_event": "usual contact",
    "earlier_event": "earlier intensified contact with this client",
    "person": "client",
    "a_person": "a client",
    "persons": "clients",
    "outcome": "confidence",
    "their_outcome": "their confidence",
    "rating": "confidence rating",
    "ratings": "confidence ratings",
    "actions": {"intensify": "more frequent visits"},
    "versions": {"recipient": "What was intensified"},
}


def sibling(words: dict[str, Any] | None) -> dict[str, Any]:
    """The flagship asked of another action, with sentences of its own, and `words` or none."""
    made = load_study(CONFIGS / "studies" / "duty_to_warn.yaml").study.model_dump(mode="json")
    made["study"] |= {"id": "closer_contact", "title": "Closer contact", "question": "Does it help?"}
    made["study"] |= {"why_no_trial": "Nobody may decide this by lot."}
    made["words"] = words
    if words is None:
        del made["words"]
    trial = made["target_trial"]
    trial["strategies"]["treated"] |= {"label": "see the person more often", "short": "seen more often"}
    trial["strategies"]["treated"]["actions"] = ["intensify"]
    trial["strategies"]["comparison"] |= {"label": "go on as before", "short": "seen as before"}
    trial["emulation"] = []
    made["estimands"] = [one | {"label": f"Question {one['id']}"} for one in made["estimands"]]
    made["dag"] |= {"treatment": "closer"}
    made["dag"]["edges"] = [edge.replace("warning", "closer") for edge in made["dag"]["edges"]]
    made["negative_controls"] = {"outcomes": [{"name": "pretrend", "because": "What is to come changes nothing"}]}
    made["report"] |= {"limitations": ["Something nobody wrote down."], "cannot_say": ["Whether it is worth it."]}
    return made


@pytest.mark.parametrize(
    ("words", "version", "expected"),
    [
        (
            OWN,
            ("What was intensified", "more frequent visits"),
            (
                "Structured reviews of risk in the extract",
                "No earlier intensified contact with this client",
                "each intensified occasion took the nearest usual occasion",
                "the eligible reviews that led to intensified contact",
                "Clients rate their confidence from 1 (lowest) to 5 (highest).",
                "Parts of the confidence rating",
                "confidence at day 180, an ending counted",
            ),
        ),
        (
            None,
            ("Action taken", "intensify"),
            (
                "Occasions in the extract",
                "No earlier treatment of this person",
                "each treated occasion took the nearest untreated occasion",
                "the eligible occasions that led to the treatment",
                "Patients rate the outcome from 1 (lowest) to 5 (highest).",
                "Parts of the rating",
                "the outcome at day 180, an ending counted",
            ),
        ),
    ],
    ids=["own_words", "neutral_words"],
)
def test_a_sibling_runs_to_a_report_in_its_own_words(
    tmp_path: Path, words: dict[str, Any] | None, version: tuple[str, str], expected: tuple[str, ...]
) -> None:
    """Dossier, report and results say the study's nouns and none of the flagship's; no truth of another action."""
    shutil.copytree(CONFIGS / "instruments", tmp_path / "configs" / "instruments")
    file = tmp_path / "configs" / "closer_contact.yaml"
    file.write_text(json.dumps(sibling(words), indent=1), encoding="utf-8")
    ran = forked("run", str(file), "--synthetic", "8000", "--seed", "7", "--direct", "--results", str(tmp_path))
    assert ran.code == 0, ran.err
    pages = [page for kind in ("designs", "releases") for page in (tmp_path / "closer_contact" / kind).glob("*/*")]
    texts = {page: page.read_text(encoding="utf-8") for page in pages if page.suffix in {".html", ".json", ".svg"}}
    assert {page.name for page in texts} >= {"report.html", "results.json", "flow.svg", "quality.html"}
    for page, text in texts.items():
        assert sorted(set(FIRST_STUDY.findall(_without(text, OF_THE_RECORDS)))) == [], page
    report, results = (
        next(tmp_path.glob(f"closer_contact/releases/*/{name}")) for name in ("report.html", "results.json")
    )
    facts = json.loads(texts[results])
    assert (facts["versions"][0]["version"], facts["versions"][0]["value"]) == version
    assert [sentence for sentence in expected if sentence.lower() not in texts[report].lower()] == []
    assert facts["truth"] == []
    told = "no truth beside the answer: the simulator knows the effect of other actions than those of this study"
    assert ran.err.count(told) == 1


def _without(text: str, phrases: tuple[str, ...]) -> str:
    """Text from which phrases are gone, the longest first."""
    known = "|".join(re.escape(phrase) for phrase in sorted(set(phrases), key=len, reverse=True) if phrase)
    return re.sub(known, "", text.replace("<wbr>", ""), flags=re.IGNORECASE)
