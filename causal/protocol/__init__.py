"""The study protocol as typed values: what people decide, before any data are read."""

from causal.protocol.flat_table import FlatTableStudy
from causal.protocol.instrument import Instrument
from causal.protocol.long_table import LongTableStudy
from causal.protocol.study import STUDY, CohortStudy, MetaStudy, OccasionStudy

AnyStudy = OccasionStudy | CohortStudy | FlatTableStudy | LongTableStudy | MetaStudy
"""A study of any kind."""

__all__ = [
    "STUDY",
    "AnyStudy",
    "CohortStudy",
    "FlatTableStudy",
    "Instrument",
    "LongTableStudy",
    "MetaStudy",
    "OccasionStudy",
]
