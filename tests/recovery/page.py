"""The page of the study of recovery, written from the replicates kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replicate import Replicate


def page(found: Mapping[str, Sequence[Replicate]]) -> str:
    """Markdown of every setting with replicates."""
    return repr(sorted(found))
