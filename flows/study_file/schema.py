"""The JSON Schema of study files, from which editors complete and check while the analyst types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from causal.protocol import STUDY

DEFAULT_SCHEMA = Path("configs/schema/study.schema.json")


def study_json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a study file; every field carries its meaning as `description`.

    >>> study_json_schema()["title"]
    'Rapport study'
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rapport study",
        "description": "One study, from the question to the report: every scientific choice and nothing local.",
        **STUDY.json_schema(),
    }


def schema_text() -> str:
    """Write the schema as text: the same bytes each time."""
    return json.dumps(study_json_schema(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def write_schema(path: Path = DEFAULT_SCHEMA) -> Path:
    """Write the schema to `path`, by default where the study files' first lines point; returns `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(schema_text(), encoding="utf-8")
    return path
