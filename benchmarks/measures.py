"""Speed of what is read off measures: days covered by medicine, and the detectors of wrong forms.

    OPENBLAS_NUM_THREADS=1 python benchmarks/measures.py

Processor seconds, best of three, beside a named peer on the same numbers in the same run. A ratio below 1 is faster
than the peer.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from timing import best

from causal.measures.adherence import Fills, Stays, days_covered
from causal.measures.administration import choose_administrations
from causal.measures.detectors import answers_given, away_from_session, same_day, too_fast, whole_forms
from causal.measures.scoring import score_items
from causal.protocol.outcome import Window
from flows.study_file import load_instruments

PERSONS, FILLS, FORMS = 200_000, 2_000_000, 1_000_000
KEY = load_instruments(Path(__file__).resolve().parents[1] / "configs" / "instruments")["wai_sr"]


def line(name: str, ours: float, peer: str, theirs: float) -> None:
    """Seconds, and how many times the peer's."""
    print(f"{name:<52}{ours:8.3f} s {ours / theirs:7.1f} x  {peer} ({theirs:.3f} s)")


def union_in_pandas(person: NDArray[np.int64], day: NDArray[np.int64], supply: NDArray[np.int64]) -> pd.Series:
    """Days covered by person without shifting or windows: the usual idiom of sorted spans and a running maximum."""
    spans = pd.DataFrame({"person": person, "first": day, "last": day + supply - 1}).sort_values(["person", "first"])
    reached = spans.groupby("person")["last"].cummax().groupby(spans["person"]).shift(fill_value=-1)
    fresh = (spans["last"] - np.maximum(spans["first"] - 1, reached)).clip(lower=0)
    return fresh.groupby(spans["person"]).sum()


def adherence(rng: np.random.Generator) -> None:
    """A year of refills of three drugs, ten per person on average, with and without stays in hospital."""
    person, drug = rng.integers(0, PERSONS, FILLS), rng.integers(0, 3, FILLS)
    day, supply = rng.integers(0, 365, FILLS), rng.choice([30, 60, 90], FILLS)
    fills = Fills(person=person, drug=drug, day=day, supply=supply)
    begin, end = np.zeros(PERSONS, dtype=np.int64), np.full(PERSONS, 364)
    admit = rng.integers(0, 360, PERSONS // 10)
    stays = Stays(
        person=rng.integers(0, PERSONS, len(admit)), admit=admit, discharge=admit + rng.integers(0, 20, len(admit))
    )
    theirs = best(lambda: union_in_pandas(person, day, supply))
    peer = "pandas, sorted spans and cummax"
    ours = best(lambda: days_covered(fills, begin, end, carry_in=True))
    line(f"days covered, {FILLS:,} fills", ours, peer, theirs)
    ours = best(lambda: days_covered(fills, begin, end, carry_in=True, stays=stays))
    line(f"the same, {len(admit):,} stays removed", ours, peer, theirs)


def forms(rng: np.random.Generator) -> None:
    """Answers of twelve items, one in fifty missing, as the detectors and the scoring see them."""
    trait = rng.normal(size=(FORMS, 1))
    items = np.clip(np.round(3.5 + 0.7 * trait + 0.8 * rng.normal(size=(FORMS, KEY.n_items))), KEY.low, KEY.high)
    items[rng.random(items.shape) < 0.02] = 99.0
    cells = f"{FORMS:,} forms of {KEY.n_items} items"
    covariance = best(lambda: np.cov(items, rowvar=False))
    line(f"scores, {cells}", best(lambda: score_items(items, KEY)), "np.cov", covariance)
    line("answers out of range", best(lambda: answers_given(items, KEY)), "np.cov", covariance)
    line("whole forms: alpha, ceiling, straight lines", best(lambda: whole_forms(items, KEY)), "np.cov", covariance)
    person, clinician = rng.integers(0, PERSONS, FORMS), rng.integers(0, 500, FORMS)
    day, rater = rng.integers(0, 1500, FORMS), rng.integers(0, 2, FORMS)
    rows = pd.DataFrame({"person": person, "clinician": clinician, "rater": rater, "day": day})
    theirs = best(lambda: rows.duplicated().sum())
    line("repeats of one day", best(lambda: same_day(person, clinician, rater, day)), "pandas duplicated", theirs)
    seen = rows.drop(columns="rater").sample(FORMS // 2, random_state=1)
    columns = [seen[name].to_numpy() for name in ("person", "clinician", "day")]
    theirs = best(lambda: rows.merge(seen.drop_duplicates(), how="left", indicator=True))
    ours = best(lambda: away_from_session(person, clinician, day, *columns))
    line("away from a contact", ours, "pandas merge", theirs)
    seconds, answered = rng.exponential(90, FORMS), np.full(FORMS, KEY.n_items)
    theirs = best(lambda: np.sort(seconds))
    line("too fast", best(lambda: too_fast(seconds, answered)), "np.sort", theirs)


def choice(rng: np.random.Generator) -> None:
    """The rating of each of three days among ten ratings of each occasion."""
    occasions = FORMS // 10
    occasion = rng.integers(0, occasions, FORMS)
    zero = np.datetime64("2020-01-01T12:00", "s") + rng.integers(0, 10**7, occasions)
    completed = zero[occasion] + rng.integers(-(10**6), 2 * 10**7, FORMS)
    lasting = np.full(occasions, np.datetime64("NaT", "s"))
    windows = [Window(day=30, half_width=14), Window(day=90, half_width=21), Window(day=180, half_width=30)]
    theirs = best(lambda: np.lexsort((completed, occasion)))
    ours = best(lambda: choose_administrations(occasion, completed, None, zero, lasting, windows))
    line(f"ratings of three days, {FORMS:,} ratings", ours, "np.lexsort", theirs)


def main() -> None:
    """Everything, in the order of the tables."""
    rng = np.random.default_rng(1)
    adherence(rng)
    forms(rng)
    choice(rng)


if __name__ == "__main__":
    main()
