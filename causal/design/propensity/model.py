"""What a study may say about how the probability of treatment is modelled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from causal.errors import DesignError


@dataclass(frozen=True, slots=True, kw_only=True)
class PropensityModel:
    """How the probability of treatment is modelled, given what was known before time zero.

    Attributes
    ----------
    kind
        ``logistic``: maximum likelihood, or Firth's where events are few. ``elastic_net``: logistic with a penalty on
        the standardised slopes. ``boosting``: the logistic model and gradient-boosted trees together, each row's trees
        grown without its cluster; where trees do not help out of fold, the logistic model alone. ``average``: logistic,
        ridge and trees, weighed by the likelihood of rows outside the folds they were learned from.
    splines
        Covariates that enter as natural cubic splines, their linear term kept.
    bends
        Covariates that enter as a line with one bend: natural cubic, 3 knots.
    knots
        Knots of each spline, 3 to 7, at Harrell's quantiles: a spline has ``knots - 1`` parameters.
    interactions
        Pairs of covariates whose product enters.
    mundlak
        Add each covariate's mean in its cluster (Mundlak 1978).
    cluster_effects
        Add an intercept for every cluster but the first.
    cross_fit
        Folds of whole clusters; each row is scored by a model that never saw its cluster. None: one model for all.
    l1_ratio
        Elastic net: share of the penalty on absolute slopes (1 lasso, 0 ridge).
    penalty
        Elastic net: strength per row (glmnet's lambda); None lets cross-validation choose.
    trees, learning_rate, leaves
        Boosting: rounds, step and leaves per tree.

    Raises
    ------
    DesignError
        ``design.propensity_model``: a value out of range, or two that exclude each other.

    >>> PropensityModel(cluster_effects=True, cross_fit=5)
    Traceback (most recent call last):
        ...
    causal.errors.DesignError: [design.propensity_model] an unseen cluster has no effect of its own: cluster_effects \
cannot be cross-fitted. Fix: use mundlak
    """

    kind: Literal["logistic", "elastic_net", "boosting", "average"] = "logistic"
    splines: tuple[str, ...] = ()
    bends: tuple[str, ...] = ()
    knots: int = 4
    interactions: tuple[tuple[str, str], ...] = ()
    mundlak: bool = False
    cluster_effects: bool = False
    cross_fit: int | None = None
    l1_ratio: float = 0.5
    penalty: float | None = None
    trees: int = 200
    learning_rate: float = 0.05
    leaves: int = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        if not 3 <= self.knots <= 7:
            raise _refused(f"knots must be 3 to 7, got {self.knots}")
        if self.cross_fit is not None and self.cross_fit < 2:
            raise _refused(f"cross_fit needs 2 folds or more, got {self.cross_fit}")
        if not 0 <= self.l1_ratio <= 1:
            raise _refused(f"l1_ratio must lie in [0, 1], got {self.l1_ratio:g}")
        if self.penalty is not None and not 0 < self.penalty < float("inf"):
            raise _refused(f"penalty must be above 0, got {self.penalty:g}")
        if self.trees < 1 or self.leaves < 2 or not 0 < self.learning_rate <= 1:
            raise _refused("boosting needs trees >= 1, leaves >= 2 and a learning_rate in (0, 1]")
        if self.mundlak and self.cluster_effects:
            raise _refused("cluster_effects leave nothing for the cluster means to explain", fix="use one of them")
        if self.cluster_effects and self.cross_fit is not None:
            raise _refused(
                "an unseen cluster has no effect of its own: cluster_effects cannot be cross-fitted", fix="use mundlak"
            )
        if self.kind == "boosting" and (self.splines or self.interactions):
            raise _refused("trees find curves and interactions themselves", fix="remove splines and interactions")
        if twice := set(self.splines) & set(self.bends):
            raise _refused(f"a spline bends already: {', '.join(sorted(twice))}", fix="remove them from bends")

    @property
    def draws(self) -> bool:
        """Whether trees are grown, which needs a seed."""
        return self.kind in ("boosting", "average")

    @property
    def adds_terms(self) -> bool:
        """Whether columns beside the covariates themselves enter."""
        return bool(self.splines or self.bends or self.interactions or self.mundlak or self.cluster_effects)


def _refused(message: str, *, fix: str = "") -> DesignError:
    return DesignError("design.propensity_model", message, fix=fix)
