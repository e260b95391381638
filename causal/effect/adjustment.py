"""What the outcome regressions of a study adjust for: the facts it names, and one bend of each that has room to bend.

A straight line in a fact leaves behind what is curved in it, and matching leaves fewer but still some differences for
that to act on. One restricted cubic term on three knots is straight beyond the outer two: it takes up most of a curve
and costs little where there is none (Harrell 2015, Regression Modeling Strategies, section 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from causal.cohort.catalogue import catalogue_of
from causal.design.covariates import MISSING_SUFFIX, columns_of
from causal.design.propensity.splines import bend
from causal.protocol import OccasionStudy
from causal.records import ComparisonGroups

FloatArray = NDArray[np.float64]
BEND_SUFFIX = ", bend"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjustment:
    """Covariates of the outcome regressions over the m rows of a design's members.

    Attributes
    ----------
    values, names
        (m, q) finite, and q names: the facts and the indicators of what was not recorded, then the bends.
    n_facts
        How many of them come before the bends.
    straight
        Numbers that enter as lines although bends were asked for: their values are too few for a curve.
    bent
        Whether the study asked for bends.
    """

    values: FloatArray
    names: tuple[str, ...]
    n_facts: int
    straight: tuple[str, ...]
    bent: bool

    def beside(self, values: FloatArray, names: Sequence[str]) -> Adjustment:
        """The same after other facts (m, k), such as intercepts of clinics."""
        return replace(
            self,
            values=np.column_stack([values, self.values]),
            names=(*names, *self.names),
            n_facts=self.n_facts + len(names),
        )

    @property
    def n_bends(self) -> int:
        """How many of the covariates, the last, are bends."""
        return len(self.names) - self.n_facts

    @property
    def sentence(self) -> str:
        """How the facts enter, for a reader."""
        if not self.bent:
            return "Facts adjusted for enter as straight lines."
        if not self.n_bends:
            return "Facts adjusted for enter as straight lines: none has values enough for a bend."
        few = ", save those with too few values for one" if self.straight else ""
        return f"Every number adjusted for enters as a line with one bend (restricted cubic){few}."


def adjustment_of(groups: ComparisonGroups, study: OccasionStudy) -> Adjustment:
    """The study's `adjust_for`, with its bends, over the rows of the comparison; knots do not depend on outcomes."""
    bent = study.estimator.bends == "each_number"
    known = catalogue_of(study)
    named = known.spread(study.estimator.adjust_for)
    facts = [name for name in (*named, *(name + MISSING_SUFFIX for name in named)) if name in groups.covariate_names]
    bends = bends_of(groups.covariates, groups.covariate_names, study)
    numbers = [name for name in named if name in groups.covariate_names and not known.covariates[name].binary]
    return Adjustment(
        values=np.column_stack([columns_of(groups.covariates, groups.covariate_names, facts), *bends.values()]),
        names=(*facts, *(name + BEND_SUFFIX for name in bends)),
        n_facts=len(facts),
        straight=tuple(name for name in numbers if bent and name not in bends),
        bent=bent,
    )


def bends_of(covariates: FloatArray, names: Sequence[str], study: OccasionStudy) -> dict[str, FloatArray]:
    """The bend (m,) of each number among the study's `adjust_for` that has values enough; none where it asks for none.

    Knots are placed at the 10th, 50th and 90th percentile of what was recorded in these rows, never at a value filled
    in. `covariates` (m, p) are the columns `names`.
    """
    place = {name: k for k, name in enumerate(names)}
    found: dict[str, FloatArray] = {}
    known = catalogue_of(study)
    for name in known.spread(study.estimator.adjust_for) if study.estimator.bends == "each_number" else ():
        if name not in place or known.covariates[name].binary:
            continue
        values, absent = covariates[:, place[name]], place.get(name + MISSING_SUFFIX)
        recorded = np.ones(values.size, dtype=np.bool_) if absent is None else covariates[:, absent] == 0
        if (term := bend(values, recorded)) is not None:
            found[name] = term
    return found
