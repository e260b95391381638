"""On what basis the data are used, and what the report must say."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from causal.protocol.base import Name, Part, Says, Sentence


class SmallCells(Part):
    """Counts from 1 to `threshold` - 1 never leave."""

    threshold: int = Field(default=11, ge=2, le=100)
    """Smallest count that may be printed."""


class Governance(Part):
    """Filled in by people, printed as written, never inferred."""

    basis: Sentence
    """The legal and ethical basis on which the records may be used."""
    data_class: Literal["safe_harbor", "expert_determination", "limited_data_set", "synthetic", "public"]
    """How far the records have been de-identified."""
    agreement: Sentence
    """The data use agreement."""
    certificate_of_confidentiality: Sentence
    """Whether one exists."""
    small_cells: SmallCells = SmallCells()
    """The rule for small counts."""
    forbidden_columns: Annotated[tuple[Name, ...], Says(verbatim=True)] = ("note_text", "session_note")
    """Columns that must not be in the extract at all."""


def outcomes_closed(governance: Governance | None) -> bool:
    """Whether outcomes of one table open only once a board has approved its design.

    They do not for public data, nor where nothing is declared: such a table counts as public, and is only printed.
    """
    return governance is not None and governance.data_class != "public"


class Report(Part):
    """What the board is told beside the numbers."""

    audience: Literal["ethics_board"]
    """For whom the report is written."""
    limitations: tuple[Sentence, ...] = Field(min_length=1)
    """What could be wrong, one sentence each."""
    cannot_say: tuple[Sentence, ...] = Field(min_length=1)
    """What this study cannot say, one sentence each; read after the words "This study cannot say"."""
