"""The study protocol as typed values: what people decide, before any data are read."""

from causal.protocol.instrument import Instrument
from causal.protocol.study import STUDY, FlatTableStudy, MetaStudy, OccasionStudy

__all__ = ["STUDY", "FlatTableStudy", "Instrument", "MetaStudy", "OccasionStudy"]
