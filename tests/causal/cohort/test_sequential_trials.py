"""Sequential trials: who enters which, with what was known then, and when they leave their strategy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from causal.cohort.sequential_trials import SequentialTrials, expand_trials
from causal.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class Records:
    """Person-period rows as `expand_trials` takes them."""

    person: np.ndarray
    period: np.ndarray
    treated: np.ndarray
    eligible: np.ndarray
    covariates: np.ndarray
    clusters: np.ndarray

    def rows(self, index: np.ndarray) -> Records:
        """The rows `index`."""
        return Records(**{f.name: getattr(self, f.name)[index] for f in fields(self)})


def expand(r: Records, follow_up: int | None = None) -> SequentialTrials:
    """Expand the records."""
    return expand_trials(
        r.person, r.period, r.treated, r.eligible, r.covariates, clusters=r.clusters, follow_up=follow_up
    )


THREE = Records(  # 1 starts in period 2 and stops in 3; 2 never starts and is seen late; 3 starts at once
    person=np.array([1, 1, 1, 1, 2, 2, 2, 3, 3]),
    period=np.array([0, 1, 2, 3, 1, 2, 4, 0, 1]),
    treated=np.array([0, 0, 1, 0, 0, 0, 0, 1, 1], dtype=bool),
    eligible=np.array([1, 0, 1, 1, 1, 1, 1, 1, 1], dtype=bool),
    covariates=np.array([10.0, 11, 12, 13, 21, 22, 24, 30, 31])[:, None],
    clusters=np.array([7, 7, 8, 8, 7, 7, 7, 9, 9]),
)


def test_three_persons_by_hand() -> None:
    """Entries, arms, covariates and clinicians of three persons are those worked out on paper."""
    trials = expand(THREE)
    assert trials.period.tolist() == [0, 0, 1, 2, 2, 4]
    assert trials.trial.tolist() == [0, 0, 1, 2, 2, 3]
    assert trials.person.tolist() == [1, 3, 2, 1, 2, 2]
    assert trials.treated.tolist() == [False, True, False, True, False, False]
    assert trials.covariates[:, 0].tolist() == [10, 30, 21, 12, 22, 24]
    assert trials.cluster.tolist() == [7, 9, 7, 8, 7, 7]
    assert trials.row.tolist() == [0, 7, 4, 2, 5, 6]
    assert (trials.n_trials, trials.n_treated_before) == (4, 2)
    assert trials.follow_up is None


def test_follow_up_by_hand() -> None:
    """Two periods of follow-up, with the period in which each leaves the strategy entered with."""
    follow = expand(THREE, follow_up=2).follow_up
    assert follow is not None
    by_entry = [
        [(int(o), bool(d)) for o, d in zip(follow.offset[at], follow.off_protocol[at], strict=True)]
        for at in (follow.entry == e for e in range(6))
    ]
    assert by_entry == [
        [(0, False), (1, False), (2, True)],  # 1 in trial 0: starts two periods later
        [(0, False), (1, False)],  # 3 in trial 0: stays treated while seen
        [(0, False), (1, False)],  # 2 in trial 1: no row in period 3
        [(0, False), (1, True)],  # 1 in trial 2: stops in the next period
        [(0, False), (2, False)],  # 2 in trial 2
        [(0, False)],  # 2 in trial 4
    ]
    assert follow.deviation.tolist() == [2, -1, -1, 1, -1, -1]
    assert follow.row.tolist() == [0, 1, 2, 7, 8, 4, 5, 2, 3, 5, 6, 6]


@st.composite
def records(draw: st.DrawFn) -> Records:
    """Draw up to eight persons with gaps, starts and stops, rows in any order, both arms present in some trial."""
    persons = draw(st.integers(2, 8))
    cells = [(i, k) for i in range(persons) for k in range(-1, 5)]
    seen = draw(st.lists(st.sampled_from(cells), min_size=4, unique=True))
    n = len(seen)
    flags = lambda: np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))  # noqa: E731
    person, period = np.array(seen).T
    return Records(
        person=person * 5 - 9,
        period=period,
        treated=flags(),
        eligible=flags(),
        covariates=np.arange(2.0 * n).reshape(n, 2),
        clusters=np.arange(n) % 3,
    )


def reference(r: Records) -> list[tuple[int, int, int, bool]]:
    """Entries (period, person, row, treated) as one would tell them."""
    entries = []
    for i in range(r.person.size):
        past = (r.person == r.person[i]) & (r.period < r.period[i])
        if r.eligible[i] and not r.treated[past].any():
            entries.append((int(r.period[i]), int(r.person[i]), i, bool(r.treated[i])))
    return sorted(entries)


def entries(trials: SequentialTrials) -> list[tuple[int, int, int, bool]]:
    """Entries of the trials in the form of `reference`."""
    columns = (trials.period, trials.person, trials.row, trials.treated)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def both_arms(r: Records) -> bool:
    """Whether somebody starts and somebody does not."""
    return len({treated for *_, treated in reference(r)}) == 2


@settings(max_examples=300, deadline=None)
@given(records())
def test_entries_are_those_of_the_rule(r: Records) -> None:
    """Whoever is eligible and untreated so far enters; a person is treated once at most, and in no trial after."""
    if not both_arms(r):
        return
    trials = expand(r)
    assert entries(trials) == reference(r)
    assert (np.diff(trials.trial) == (np.diff(trials.period) != 0)).all()
    assert trials.trial[0] == 0
    np.testing.assert_array_equal(trials.covariates, r.covariates[trials.row])
    np.testing.assert_array_equal(trials.cluster, r.clusters[trials.row])
    for person in np.unique(trials.person):
        mine = trials.person == person
        assert not trials.treated[mine][:-1].any()
        assert np.unique(trials.trial[mine]).size == mine.sum()


@settings(max_examples=200, deadline=None)
@given(records(), st.integers(0, 7))
def test_follow_up_is_that_of_the_rule(r: Records, follow_up: int) -> None:
    """Every later row within reach follows its entry once, and is off protocol from the first that disagrees on."""
    if not both_arms(r):
        return
    trials = expand(r, follow_up)
    follow = trials.follow_up
    assert follow is not None
    told = []
    for e, i in enumerate(trials.row):
        since = r.period - r.period[i]
        later = np.flatnonzero((r.person == r.person[i]) & (since >= 0) & (since <= follow_up))
        off, first = False, -1
        for j in later[np.argsort(r.period[later])]:
            first = int(since[j]) if not off and r.treated[j] != r.treated[i] else first
            off = off or bool(r.treated[j] != r.treated[i])
            told.append((e, int(j), int(since[j]), off))
        assert follow.deviation[e] == first
    columns = (follow.entry, follow.row, follow.offset, follow.off_protocol)
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == told


@settings(max_examples=150, deadline=None)
@given(records(), st.integers(-1, 4), st.randoms(use_true_random=False))
def test_nothing_later_is_looked_at(r: Records, k: int, random: object) -> None:
    """Scrambling, or deleting, every row after period k leaves the entries of the trials up to k as they were."""
    later = r.period > k
    rng = np.random.default_rng(random.randrange(2**32))  # type: ignore[attr-defined]
    scrambled = replace(
        r,
        treated=np.where(later, rng.random(later.size) < 0.5, r.treated),
        eligible=np.where(later, rng.random(later.size) < 0.5, r.eligible),
        covariates=np.where(later[:, None], np.nan, r.covariates),
        clusters=np.where(later, 99, r.clusters),
    )
    known = np.flatnonzero(~later)
    if not (both_arms(r) and both_arms(scrambled) and both_arms(r.rows(known))):
        return
    one = expand(r)
    upto = one.period <= k
    for other, rows in ((expand(scrambled), np.arange(later.size)), (expand(r.rows(known)), known)):
        until = other.period <= k
        np.testing.assert_array_equal(rows[other.row[until]], one.row[upto])
        for name in ("trial", "period", "person", "cluster", "treated", "covariates"):
            np.testing.assert_array_equal(getattr(other, name)[until], getattr(one, name)[upto])


@settings(max_examples=100, deadline=None)
@given(records(), st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter(r: Records, seed: int) -> None:
    """Shuffled rows give the same trials, entries and follow-up."""
    if not both_arms(r):
        return
    order = np.random.default_rng(seed).permutation(r.person.size)
    one, other = expand(r, 3), expand(r.rows(order), 3)
    np.testing.assert_array_equal(order[other.row], one.row)
    for name in ("trial", "period", "person", "cluster", "treated", "covariates", "n_treated_before"):
        np.testing.assert_array_equal(getattr(other, name), getattr(one, name))
    assert one.follow_up is not None
    assert other.follow_up is not None
    np.testing.assert_array_equal(order[other.follow_up.row], one.follow_up.row)
    for name in ("entry", "offset", "off_protocol", "deviation"):
        np.testing.assert_array_equal(getattr(other.follow_up, name), getattr(one.follow_up, name))


def test_refusals() -> None:
    """Doubled periods, missing arms, a negative follow-up and too large an expansion are refused."""
    with pytest.raises(DesignError, match=r"cohort\.duplicate_period"):
        expand(replace(THREE, period=np.array([0, 1, 1, 3, 1, 2, 4, 0, 1])))
    with pytest.raises(DesignError, match=r"cohort\.no_treated"):
        expand(replace(THREE, treated=np.zeros(9, dtype=bool)))
    with pytest.raises(DesignError, match=r"cohort\.no_treated"):
        expand(replace(THREE, eligible=np.zeros(9, dtype=bool)))
    with pytest.raises(DesignError, match=r"cohort\.no_comparison"):
        expand(replace(THREE, treated=np.ones(9, dtype=bool)))
    with pytest.raises(DesignError, match=r"cohort\.follow_up"):
        expand(THREE, follow_up=-1)
    with pytest.raises(DesignError, match=r"design\.memory.*6 entries of trials with 12 periods"):
        expand_trials(
            THREE.person, THREE.period, THREE.treated, THREE.eligible, THREE.covariates,
            clusters=THREE.clusters, follow_up=2, memory=1e-7,
        )  # fmt: skip
