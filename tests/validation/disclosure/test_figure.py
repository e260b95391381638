"""A number with the counts it rests on: shown where they allow it, withheld where they do not or are not known."""

from __future__ import annotations

from typing import Any

import pytest

from validation.disclosure import Figure, Kind, Profile, Withheld, disclose

PROFILE = Profile(threshold=11)
SHARE = {"kind": Kind.SHARE, "counts": (30,), "complements": (70,)}


def figure(**given: Any) -> Figure:
    """A figure of 0.3."""
    return Figure(value=0.3, unit="risk", **given)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (SHARE, None),
        (SHARE | {"counts": (10,)}, Withheld.FIGURE),
        (SHARE | {"complements": (10,)}, Withheld.FIGURE),
        (SHARE | {"counts": (0,), "complements": (100,)}, None),
        (SHARE | {"counts": (0,), "complements": (10,)}, Withheld.FIGURE),
        (SHARE | {"counts": (0,), "complements": (0,)}, Withheld.FIGURE),
        (SHARE | {"counts": (30, 10), "complements": (70, 90)}, Withheld.FIGURE),
        ({"kind": Kind.COUNT, "counts": (11,), "complements": ()}, None),
        ({"kind": Kind.COUNT, "counts": (0,), "complements": ()}, None),
        ({"kind": Kind.COUNT, "counts": (10,), "complements": ()}, Withheld.FIGURE),
        ({"kind": Kind.COUNT, "counts": (11,), "complements": (10,)}, Withheld.FIGURE),
        ({"kind": Kind.ESTIMATE, "counts": (11, 11)}, None),
        ({"kind": Kind.ESTIMATE, "counts": (300, 10)}, Withheld.FEW_OCCASIONS),
        ({"kind": Kind.ESTIMATE, "counts": (300, 0)}, Withheld.FEW_OCCASIONS),
        ({"kind": Kind.COARSE, "counts": (8, 12), "complements": (50, 60)}, None),
        ({"kind": Kind.COARSE, "counts": (0, 9), "complements": (50, 60)}, None),
        ({"kind": Kind.COARSE, "counts": (1, 10), "complements": (50, 60)}, Withheld.FIGURE),
        ({"kind": Kind.COARSE, "counts": (50, 60), "complements": (3, 7)}, Withheld.FIGURE),
        ({"kind": Kind.TALLY}, None),
    ],
)
def test_the_counts_decide(given: dict[str, Any], why: Withheld | None) -> None:
    """By kind: those counted, those not counted, the group they are of, or those of each group it rests on."""
    shown = disclose(figure(**given), PROFILE)
    assert shown.why is why
    assert shown.value == (0.3 if why is None else None)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kind": None}, Withheld.UNKNOWN_KIND),
        ({"kind": None, "counts": (500,), "complements": (500,)}, Withheld.UNKNOWN_KIND),
        *(({"kind": kind}, Withheld.UNCOUNTED) for kind in Kind if kind is not Kind.TALLY),
        *(({"kind": kind, "counts": ()}, Withheld.UNCOUNTED) for kind in Kind if kind is not Kind.TALLY),
        ({"kind": Kind.SHARE, "counts": (500,)}, Withheld.UNCOUNTED),
        ({"kind": Kind.COUNT, "counts": (500,)}, Withheld.UNCOUNTED),
    ],
)
def test_a_number_nobody_declared_or_counted_is_withheld_and_says_so(given: dict[str, Any], why: Withheld) -> None:
    """It fails closed: no kind, no counts, or no complements of what has them."""
    shown = disclose(figure(**given), PROFILE)
    assert (shown.value, shown.why) == (None, why)
    assert "11" not in why.sentence(6)


def test_a_figure_judged_with_others_is_withheld_for_their_reason() -> None:
    """Whatever its own counts would allow."""
    assert disclose(figure(**SHARE), PROFILE, Withheld.FACT).why is Withheld.FACT


def test_the_threshold_is_the_studys() -> None:
    """Of another study, 10 may be shown."""
    ten = figure(kind=Kind.COUNT, counts=(10,), complements=())
    assert disclose(ten, Profile(threshold=10)).value == 0.3
    with pytest.raises(ValueError, match="withholds nothing"):
        Profile(threshold=1)
