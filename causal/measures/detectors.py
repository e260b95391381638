"""Signs that recorded answers are not those of the form their scoring key describes.

Counts and shares only, never an answer. Each function takes plain arrays and is the readable specification of an
aggregate that `validation.forms` runs on the engine; `validation.measures` says which figures are too large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from causal.measures.reliability import Moments, item_rest_of, moments
from causal.protocol.instrument import Instrument

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SECONDS_PER_ITEM = 1.0
"""Fewer seconds than this per answered item, and nobody read the items (Wood et al. 2017)."""

STRAY_SHARE = 0.01
"""Up to this share of answers, mistyped ones say nothing about the form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`count` out of `of`, in the units the detector names."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """`count` / `of`; 0 where there is nothing to count."""
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Answers given to the items of one instrument: all but gaps and missing codes.

    Attributes
    ----------
    above, below
        Answers above the key's highest response and below its lowest.
    highest, lowest
        Largest and smallest answer given; None where there is none.
    beyond_namesake
        Answers above the highest response of the namesake; None where the key has none.
    """

    above: Finding
    below: Finding
    highest: int | None
    lowest: int | None
    beyond_namesake: Finding | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeForms:
    """Forms with an answer in range to every item of the instrument.

    Attributes
    ----------
    straight
        Of them, those with one and the same answer to every item.
    at_top
        By scale: of them, those with its highest possible score.
    moments
        By scale: of the keyed items in the order of the key; None below two items or two forms.
    """

    straight: Finding
    at_top: Mapping[str, Finding]
    moments: Mapping[str, Moments | None]


def answers_given(items: ArrayLike, instrument: Instrument) -> Answers:
    """Answers against the key's range.

    Parameters
    ----------
    items
        (n, n_items) raw responses; NaN where there is none.

    >>> from causal.protocol.instrument import Licence, Verified
    >>> key = Instrument(id="two", version="std", n_items=2, low=1, high=5, missing_codes=(99,), minimum_answered=1,
    ...     total="sum", licence=Licence(holder="nobody", permission_required=False),
    ...     verified=Verified(status="recall", source="example"))
    >>> found = answers_given([[7, 2], [99, 0]], key)
    >>> found.above, found.below.count, found.highest
    (Finding(count=1, of=3), 1, 7)
    """
    raw = np.asarray(items, dtype=np.float64)
    given = raw[~np.isnan(raw) & ~np.isin(raw, instrument.missing_codes)]
    other = instrument.namesake
    return Answers(
        above=Finding(count=int((given > instrument.high).sum()), of=len(given)),
        below=Finding(count=int((given < instrument.low).sum()), of=len(given)),
        highest=int(given.max()) if len(given) else None,
        lowest=int(given.min()) if len(given) else None,
        beyond_namesake=None if other is None else Finding(count=int((given > other.high).sum()), of=len(given)),
    )


def whole_forms(items: ArrayLike, instrument: Instrument) -> WholeForms:
    """Straight-lining, ceiling and consistency of the forms without a gap; `items` as in `answers_given`."""
    raw = np.asarray(items, dtype=np.float64)
    whole = raw[((raw >= instrument.low) & (raw <= instrument.high)).all(axis=1)]
    keyed = whole.copy()
    for number in instrument.reverse:
        keyed[:, number - 1] = instrument.low + instrument.high - keyed[:, number - 1]
    scales = {name: keyed[:, np.array(numbers) - 1] for name, numbers in instrument.scales.items()}
    return WholeForms(
        straight=Finding(count=int((whole == whole[:, :1]).all(axis=1).sum()), of=len(whole)),
        at_top={
            name: Finding(count=int((part == instrument.high).all(axis=1).sum()), of=len(whole))
            for name, part in scales.items()
        },
        moments={name: moments(part) if len(part) > 1 and part.shape[1] > 1 else None for name, part in scales.items()},
    )


def against_the_rest(found: WholeForms, instrument: Instrument) -> dict[int, float]:
    """Item-rest correlation by item number, within its scale after reversal; without items that do not vary."""
    return {
        number: float(correlation)
        for name, numbers in instrument.scales.items()
        if (scale := found.moments[name]) is not None
        for number, correlation in zip(numbers, item_rest_of(scale), strict=True)
        if not np.isnan(correlation)
    }


def unreversed(found: WholeForms, instrument: Instrument) -> tuple[int, ...]:
    """Items that run against their scale: correlation with the rest below 0 by more than two standard errors.

    The standard error of a correlation near 0 over n forms is 1 / sqrt(n). Where the key reverses an item that the
    source had reversed already, or does not reverse one that it should, this is what shows.
    """
    n = found.straight.of
    limit = -2 / np.sqrt(n) if n else 0.0
    return tuple(sorted(number for number, r in against_the_rest(found, instrument).items() if r < limit))


def other_form(
    answers: Answers, found: WholeForms, instrument: Instrument, others: Mapping[str, Instrument]
) -> str | None:
    """The key in `others`, if any, of another instrument that fits better: as many items, another range or reversals.

    WAI-S and WAI-SR have 12 items each, so nothing in the shape of a table tells them apart. The other key fits when
    every answer is in its range and one of these holds. More than stray answers are above this key's highest response,
    and they reach the other's. Or the items that run against their scale are exactly those on whose reversal the two
    keys differ. Or they reverse alike, and the answers end where the other's end, below this key's highest response.
    Of several keys the one with the fewest responses.
    """
    wrong = set(unreversed(found, instrument))
    for name, other in sorted(others.items(), key=lambda each: (each[1].high - each[1].low, each[0])):
        if other.id == instrument.id or other.n_items != instrument.n_items:
            continue
        if answers.highest is None or answers.lowest is None:
            continue
        if not other.low <= answers.lowest <= answers.highest <= other.high:
            continue
        differing = set(instrument.reverse) ^ set(other.reverse)
        if answers.above.share > STRAY_SHARE:
            fits = answers.highest == other.high
        elif differing:
            fits = wrong == differing
        else:
            fits = answers.highest == other.high < instrument.high
        if fits:
            return name
    return None


def same_day(person: ArrayLike, clinician: ArrayLike, rater: ArrayLike, day: ArrayLike) -> Finding:
    """Forms of one instrument and version that another by the same rater on the same pair and day precedes.

    All (n,), as comparable codes; of forms.

    >>> same_day([1, 1, 2], [7, 7, 7], [0, 0, 0], [5, 5, 5])
    Finding(count=1, of=3)
    """
    rows = pd.DataFrame({"person": person, "clinician": clinician, "rater": rater, "day": day})
    return Finding(count=int(rows.duplicated().sum()), of=len(rows))


def away_from_session(
    person: ArrayLike,
    clinician: ArrayLike,
    day: ArrayLike,
    session_person: ArrayLike,
    session_clinician: ArrayLike,
    session_day: ArrayLike,
) -> Finding:
    """Forms completed on a day on which the pair had no completed contact.

    The first three (n,) of forms, the others (s,) of completed contacts; ids as integer codes, days as integers.

    >>> away_from_session([1, 1], [7, 7], [5, 6], [1], [7], [5])
    Finding(count=1, of=2)
    """
    forms = pd.DataFrame({"person": person, "clinician": clinician, "day": day})
    sessions = pd.DataFrame({"person": session_person, "clinician": session_clinician, "day": session_day})
    number = pd.concat([forms, sessions]).groupby(["person", "clinician", "day"]).ngroup().to_numpy()
    held = np.isin(number[: len(forms)], number[len(forms) :])
    return Finding(count=int((~held).sum()), of=len(forms))


def unsigned(rater: ArrayLike) -> Finding:
    """Forms (n,) of which nobody says who answered them: None or an empty text.

    >>> unsigned(["patient", "", None])
    Finding(count=2, of=3)
    """
    column = np.asarray(rater, dtype=object)
    return Finding(count=sum(not value for value in column.tolist()), of=len(column))


def other_rater(rater: ArrayLike, instrument: Instrument) -> Finding | None:
    """Forms (n,) of the key's version answered by somebody the form is not for; None where the key does not say whom.

    Forms nobody signed are left out: `unsigned` counts them.
    """
    if instrument.rater is None:
        return None
    signed = [value for value in np.asarray(rater, dtype=object).tolist() if value]
    return Finding(count=sum(value != instrument.rater for value in signed), of=len(signed))


def too_fast(seconds: ArrayLike, answered: ArrayLike) -> Finding:
    """Forms answered in less than a second per answered item; of those with a time and an answer.

    Parameters
    ----------
    seconds, answered
        (n,) seconds from first to last answer, NaN where unknown; items answered.

    >>> too_fast([8.0, 90.0, np.nan], [12, 12, 12])
    Finding(count=1, of=2)
    """
    taken, items = np.asarray(seconds, dtype=np.float64), np.asarray(answered, dtype=np.int64)
    timed = ~np.isnan(taken) & (items > 0)
    return Finding(count=int((taken < SECONDS_PER_ITEM * items)[timed].sum()), of=int(timed.sum()))


def other_code(loinc: ArrayLike, instrument: Instrument) -> Finding | None:
    """Forms (n,) recorded under a LOINC code the instrument does not have; of those with a code.

    None where the key does not say which codes it has.
    """
    if instrument.loinc is None:
        return None
    coded = [value for value in np.asarray(loinc, dtype=object).tolist() if value]
    return Finding(count=sum(value not in instrument.loinc for value in coded), of=len(coded))
