"""What is asked."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from causal.protocol.base import STUDY_ID_PATTERN, Part, Sentence


class StudyHeader(Part):
    """What is asked, and why it cannot be asked of a trial."""

    id: Annotated[str, Field(pattern=STUDY_ID_PATTERN)]
    """Short name of the study; names its folder of results."""
    title: Sentence
    """Title of the report."""
    question: Sentence
    """The question, as the board would ask it."""
    why_no_trial: Sentence
    """Why nobody may, or could, decide this by lot."""
    registered: Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}|not registered)$")]
    """Date on which this file was registered, or `not registered`."""
