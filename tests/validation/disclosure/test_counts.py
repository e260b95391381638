"""Single counts and shares: what may be shown of them, and in which steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from validation.disclosure import (
    CMS_THRESHOLD,
    Profile,
    disclose_count,
    disclose_percent,
    disclose_share,
    percent_in_words,
    percent_step,
)


@pytest.mark.parametrize(("n", "shown"), [(0, 0), (1, None), (10, None), (11, 11), (5204, 5204)])
def test_a_count_is_withheld_from_one_to_ten(n: int, shown: int | None) -> None:
    """The CMS rule: 1 to 10 are withheld, zero and 11 or more are shown."""
    assert disclose_count(n, CMS_THRESHOLD) == shown


def test_nonsense_is_refused() -> None:
    """Negative counts, shares above one and thresholds that withhold nothing are errors of ours."""
    for call in (
        lambda: disclose_count(-1, 11),
        lambda: disclose_count(5, 1),
        lambda: disclose_share(5, 4, 11),
        lambda: disclose_share(-1, 4, 11),
    ):
        with pytest.raises(ValueError, match=r"."):
            call()


@given(st.integers(0, 400), st.integers(0, 400), st.integers(2, 30))
def test_a_shown_share_betrays_no_small_count(inside: int, outside: int, threshold: int) -> None:
    """Whoever knows the denominator gets from a share only counts that could be shown themselves."""
    share = disclose_share(inside, inside + outside, threshold)
    if share is None:
        small = any(0 < n < threshold for n in (inside, outside))
        assert small or inside + outside < threshold
    else:
        denominator = inside + outside
        for derived in (round(share * denominator), denominator - round(share * denominator), denominator):
            assert disclose_count(derived, threshold) is not None


@given(st.sampled_from([20, 40, 100, 200]) | st.integers(5, 3000), st.data())
def test_a_percentage_fits_several_counts(n: int, data: st.DataObject) -> None:
    """Whoever knows the size of the group to the last occasion still finds two counts for each percentage shown."""
    count = data.draw(st.integers(1, n))
    shown, step = disclose_percent(count / n, n), percent_step(n)
    assert shown == step or abs(shown - 100 * count / n) <= step / 2 + 1e-9
    near = [k for k in range(count - 2, min(n, count + 2) + 1) if k > 0 and disclose_percent(k / n, n) == shown]
    assert len(near) >= 2
    assert disclose_percent(0, n) == 0


@pytest.mark.parametrize(("n", "step"), [(201, 1), (200, 2), (101, 2), (100, 5), (40, 10), (20, 20), (10, 50), (4, 50)])
def test_the_smaller_the_group_the_coarser_its_percentages(n: int, step: int) -> None:
    """A step is more than 2 of the group; of a group of five or fewer no step is, and the coarsest is taken."""
    assert percent_step(n) == step


@given(st.integers(23, 800), st.data(), st.sampled_from([5, 11]))
def test_a_share_in_words_leaves_a_count_open_that_may_be_shown(n: int, data: st.DataObject, threshold: int) -> None:
    """Whoever knows the group finds among the counts that are told alike one that is none, all or not small."""
    count, profile = data.draw(st.integers(0, n)), Profile(threshold=threshold)
    said = percent_in_words(count / n, n, profile)
    alike = [k for k in range(n + 1) if percent_in_words(k / n, n, profile) == said]
    for counts in (alike, [n - k for k in alike]):
        assert not all(0 < k < threshold for k in counts)
    assert (said == "none") is (count == 0)
    assert (said == "all") is (count == n)
