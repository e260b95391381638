"""Everything an analysis beside the primary one may look at, once outcomes are open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from causal.effect.outcomes import OpenedFacts, apply_estimand, primary_window
from causal.effect.sample import Sample, sample_of
from causal.errors import EstimationError
from causal.measures.administration import ProspectiveRatings
from causal.protocol import OccasionStudy
from causal.protocol.outcome import Estimand, Rating, Window
from causal.records import Cohort, Design, Outcomes

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """One study's design with what happened afterwards.

    `score_range` is the lowest and highest score of the outcome; `planned` says how many of the ratings that count had
    been planned before time zero; `cohort` is there only where an analysis needs every
    eligible occasion.
    """

    design: Design
    study: OccasionStudy
    follow_up: OpenedFacts
    score_range: tuple[float, float]
    planned: ProspectiveRatings | None = None
    cohort: Cohort | None = None

    @property
    def rating(self) -> Rating:
        """The study's outcome."""
        assert isinstance(self.study.outcome, Rating)
        return self.study.outcome

    @property
    def window(self) -> Window:
        """The window of the primary day."""
        return primary_window(self.rating)

    @property
    def primary(self) -> Estimand:
        """The primary estimand."""
        return next(estimand for estimand in self.study.estimands if estimand.primary)

    @property
    def treated(self) -> BoolArray:
        """(n,) arm of each row of the design."""
        return self.design.members["treated"].to_numpy(dtype=np.bool_)

    def estimand(self, name: str) -> Estimand:
        """The estimand with this id; raises `EstimationError` where the study has none."""
        found = next((estimand for estimand in self.study.estimands if estimand.id == name), None)
        if found is None:
            raise EstimationError("estimation.no_estimand", f"the study has no estimand {name}")
        return found

    def outcomes(self, estimand: Estimand, window: Window | None = None) -> Outcomes:
        """Outcomes under an estimand by a day, the primary one unless another is given."""
        chosen = window or self.window
        return apply_estimand(self.follow_up.facts[chosen.day], estimand, chosen, self.treated)

    def sample(self, excluded: BoolArray | None = None) -> Sample:
        """The rows without those `excluded` (n,); without the primary estimand's exclusions unless given."""
        gone = self.outcomes(self.primary).excluded if excluded is None else excluded
        return sample_of(self.design, gone, self.study)

    def scores(self, estimand: Estimand, sample: Sample) -> FloatArray:
        """(n_kept, T) scores at every day of the outcome under an estimand, NaN where there is none."""
        days = [self.outcomes(estimand, window).score[sample.kept] for window in self.windows]
        return np.column_stack(days)

    def require_distinct_sets(self) -> None:
        """Refuse a design without matched sets, or in which somebody stands in two."""
        if self.design.grouping != "matched set" or self.design.unit_of_inference != "matched set":
            raise EstimationError(
                "estimation.no_sets",
                "this needs matched sets in which nobody stands twice",
                fix="match in sets without replacement",
            )

    def last_score(self, outcomes: Outcomes) -> FloatArray:
        """(n,) the last rating given while the relationship lasted, for everyone who stays in the estimand."""
        last = self.follow_up.facts[self.window.day]["last_score"].to_numpy(dtype=np.float64)
        return np.where(np.isnan(last), outcomes.score, last)

    def followed_too_briefly(self, window: Window) -> BoolArray:
        """(n,) rows whose record ends before the window does: not followed, they would count as staying.

        A record ends on a day set before anything happened, so leaving them out leaves nobody out for what they did.
        """
        days = self.follow_up.followed_days
        if days is None:
            return np.zeros(len(self.design.members), dtype=np.bool_)
        return np.asarray(days < window.day + window.half_width, dtype=np.bool_)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The outcome's windows in order of their days."""
        return tuple(sorted(self.rating.windows, key=lambda window: window.day))

    def rng(self, analysis: str) -> np.random.Generator:
        """The analysis's own stream of random numbers: adding another analysis changes nothing here."""
        return np.random.default_rng(np.random.SeedSequence([self.study.seed, *analysis.encode()]))


def counts_of(sample: Sample, rows: BoolArray | None = None) -> tuple[int, int]:
    """Treated and comparison occasions with weight, of those in `rows` (n_kept,); one that stands twice counts once."""
    chosen = (sample.weights > 0) if rows is None else rows & (sample.weights > 0)
    one, zero = (np.unique(sample.occasions[chosen & arm]).size for arm in (sample.treated, ~sample.treated))
    return int(one), int(zero)
