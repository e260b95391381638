"""Comparable groups: propensity scores, matching, weighting, diagnostics. No outcome is seen here.

`match`, `weight` and `balance` are the engine by itself, for people with a table and no study file:

>>> from causal.design import balance, match, weight
"""

from causal.design.api import Designed, balance, match, weight

__all__ = ["Designed", "balance", "match", "weight"]
