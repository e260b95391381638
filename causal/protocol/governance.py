"""On what basis the data are used, and what the report must say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from causal.protocol.base import Name, Part, Sentence


class SmallCells(Part):
    """Counts from 1 to `threshold` - 1 never leave."""

    threshold: int = Field(default=11, ge=2, le=100)


class Governance(Part):
    """Filled in by people, printed as written, never inferred."""

    basis: Sentence
    data_class: Literal["safe_harbor", "expert_determination", "limited_data_set", "synthetic", "public"]
    agreement: Sentence
    certificate_of_confidentiality: Sentence
    small_cells: SmallCells = SmallCells()
    forbidden_columns: tuple[Name, ...] = ("note_text", "session_note")
    """Columns that must not be in the extract at all."""


class Report(Part):
    """What the board is told beside the numbers."""

    audience: Literal["ethics_board"]
    limitations: tuple[Sentence, ...] = Field(min_length=1)
    cannot_say: tuple[Sentence, ...] = Field(min_length=1)
