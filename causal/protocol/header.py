"""What is asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from causal.protocol.base import DAY_PATTERN, STUDY_ID_PATTERN, Part, Says, Sentence, is_day

NOT_REGISTERED = "not registered"


def _registered(text: str) -> str:
    """Refuse a day that no calendar has."""
    if text != NOT_REGISTERED and not is_day(text):
        raise ValueError(f"got {text!r}, which is no day of the calendar; write it as 2026-01-31, or: {NOT_REGISTERED}")
    return text


class StudyHeader(Part):
    """What is asked, and why it cannot be asked of a trial."""

    id: Annotated[str, Field(pattern=STUDY_ID_PATTERN), Says(verbatim=True)]
    """Short name of the study; names its folder of results."""
    title: Sentence
    """Title of the report."""
    question: Sentence
    """The question, as the board would ask it."""
    why_no_trial: Sentence
    """Why nobody may, or could, decide this by lot."""
    registered: Annotated[str, Field(pattern=f"^({DAY_PATTERN}|{NOT_REGISTERED})$"), AfterValidator(_registered)]
    """Date on which this file was registered, or `not registered`."""
