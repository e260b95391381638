"""Synthetic extracts with a known truth.

`simulate` and `simulate_chunks` give the tables of an extract and, beside them, both potential outcomes of every
candidate occasion; `true_effect` averages those over the occasions a design kept.
"""

from causal.simulation.extract import Simulated, SimulatedChunk, simulate, simulate_chunks
from causal.simulation.parameters import AS_OF, CHUNK_PATIENTS, SimulationParameters
from causal.simulation.switches import parameters_with
from causal.simulation.truth import TrueEffect, true_effect

__all__ = [
    "AS_OF",
    "CHUNK_PATIENTS",
    "Simulated",
    "SimulatedChunk",
    "SimulationParameters",
    "TrueEffect",
    "parameters_with",
    "simulate",
    "simulate_chunks",
    "true_effect",
]
