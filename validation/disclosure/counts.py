"""Single counts and shares of one group, and the steps in which percentages are told."""

from __future__ import annotations

from validation.disclosure.figure import Count, Shown, ShownCount
from validation.disclosure.profile import Profile, is_small

PERCENT_STEPS = (1, 2, 5, 10, 20, 50)
"""Steps in which percentages may be shown; 100 is a multiple of each."""


def disclose_count(n: int, threshold: int) -> Count:
    """`n`, or None when it is 1 to `threshold` - 1.

    >>> [disclose_count(n, 11) for n in (0, 1, 10, 11)]
    [0, None, None, 11]

    Raises
    ------
    ValueError
        If `n` is negative or `threshold` is below 2.
    """
    return None if is_small(n, threshold) else ShownCount(n)


def disclose_share(numerator: int, denominator: int, threshold: int) -> Shown | None:
    """`numerator` / `denominator`, or None when the share would betray a small count.

    Withheld when the denominator is below `threshold`, or when those counted or those not counted are 1 to
    `threshold` - 1.

    >>> disclose_share(30, 100, 11), disclose_share(5, 100, 11), disclose_share(95, 100, 11), disclose_share(0, 100, 11)
    (0.3, None, None, 0.0)

    Raises
    ------
    ValueError
        If not 0 <= `numerator` <= `denominator`.
    """
    if not 0 <= numerator <= denominator:
        raise ValueError("a share needs 0 <= numerator <= denominator")
    few = denominator < threshold or is_small(numerator, threshold) or is_small(denominator - numerator, threshold)
    return None if few else Shown(numerator / denominator)


def percent_step(n: int) -> int:
    """The finest step, in percent, each of which is more than 2 of `n`: a percentage so rounded fits several counts.

    >>> [percent_step(n) for n in (4000, 201, 200, 60, 11)]
    [1, 1, 2, 5, 20]
    """
    return next((step for step in PERCENT_STEPS if step * n > 200), PERCENT_STEPS[-1])


def disclose_percent(share: float, n: int) -> ShownCount:
    """`share` in percent, in steps that depend on `n` only: the size of the group, or one near it that is shown.

    Nobody is 0; anybody is at least one step.

    >>> disclose_percent(0.137, 4000), disclose_percent(0.137, 60), disclose_percent(0.003, 4000)
    (14, 15, 1)
    """
    step = percent_step(n)
    return ShownCount(max(step, step * round(100 * share / step)) if share > 0 else 0)


def percent_in_words(share: float, n: int, profile: Profile, *, of: int | None = None) -> str:
    """A share in steps; near none and near all only a bound on it, under which a count falls that may be shown.

    Parameters
    ----------
    n
        Decides the steps, as in `disclose_percent`.
    of
        How many the share was taken of, where that is another number.

    >>> cms = Profile(threshold=11)
    >>> [percent_in_words(share, 291, cms) for share in (0.0, 0.01, 0.16, 0.98, 1.0)]
    ['none', 'under 4%', 'about 16%', 'over 96%', 'all']
    """
    if share in (0, 1):
        return "all" if share else "none"
    size, step = n if of is None else of, percent_step(n)
    bound = next((b for b in range(step, 50, step) if b * size > 100 * profile.threshold), 50)
    if 100 * share < bound:
        return f"under {bound}%"
    if 100 * share > 100 - bound:
        return f"over {100 - bound}%"
    return f"about {step * round(100 * share / step)}%"
