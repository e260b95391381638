"""What is told of ratings planned before the choice: a coarse share, that it is withheld, or why there is none."""

from __future__ import annotations

import pytest
from worlds import SETS, World, after

from causal.measures.administration import ProspectiveRatings
from causal.measures.detectors import Finding


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (SETS // 3, "About 33% of the ratings that count were planned before the choice."),
        (5, "The share is withheld: "),
        (SETS - 5, "The share is withheld: "),
        (0, "About 0% of the ratings that count were planned before the choice."),
    ],
)
def test_the_share_that_was_planned_tells_no_small_count(count: int, said: str) -> None:
    """Under the study's threshold, of those planned or of the others, the share is withheld."""
    planned = ProspectiveRatings(code="outcome.prospective.90", sentence="", found=Finding(count=count, of=SETS))
    line = after(World(), planned=planned).findings[-1]
    assert line.analysis == "prospective_ratings"
    assert line.not_evaluated == ()
    (note,) = line.notes
    assert note.startswith(said)


def test_why_nothing_is_known_of_plans_is_said() -> None:
    """Without dates of planning the reason stands, and no share."""
    planned = ProspectiveRatings(
        code="outcome.prospective.90", sentence="no rating says when it was planned", found=None
    )
    line = after(World(), planned=planned).findings[-1]
    assert line.not_evaluated == ("no rating says when it was planned",)
    assert line.notes == ()
