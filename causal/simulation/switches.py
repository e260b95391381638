"""Parameters from text: the hard-mode switches of a command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from causal.errors import StudyFileError
from causal.simulation.parameters import SimulationParameters
from causal.spelling import nearest


def parameters_with(switches: Sequence[str]) -> SimulationParameters:
    """Take the defaults, with some parameters set from ``NAME=DOSE``.

    A dose is a number, ``true`` or ``false``, numbers with commas between them, an ISO date, or ``none``, as the
    parameter's own kind asks.

    Raises
    ------
    StudyFileError
        No ``=``, a name that is no parameter or comes twice, or a dose that is refused.

    >>> parameters_with(["positivity=2", "hidden_u=0.7,0.2", "null=true"]).hidden_u
    (0.7, 0.2)
    >>> parameters_with(["mnr=-1.2"])
    Traceback (most recent call last):
    causal.errors.StudyFileError: [simulation.switch] no simulation parameter is called 'mnr'. Fix: did you mean 'mnar'?
    """
    defaults = {field.name: field.default for field in fields(SimulationParameters)}
    doses: dict[str, object] = {}
    for switch in switches:
        name, equals, dose = switch.partition("=")
        if not equals:
            raise _refused(f"{switch!r} has no dose", "write NAME=DOSE")
        if name not in defaults:
            near = nearest(name, defaults)
            fix = f"did you mean {near!r}?" if near else "use a name of SimulationParameters"
            raise _refused(f"no simulation parameter is called {name!r}", fix)
        if name in doses:
            raise _refused(f"{name!r} is given twice", "give it once")
        doses[name] = _dose(name, dose, defaults[name])
    return SimulationParameters(**doses)  # type: ignore[arg-type]  # every dose is checked there


def _dose(name: str, text: str, default: object) -> object:
    """Read the dose in the kind of the parameter's default; text that is not of that kind is refused."""
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise _refused(f"{name!r} is {text!r}", "write true or false")
        return text == "true"
    if name == "regime_change":
        return None if text == "none" else text
    try:
        if isinstance(default, tuple):
            return tuple(float(part) for part in text.split(","))
        return int(text) if isinstance(default, int) else float(text)
    except ValueError:
        raise _refused(f"{name!r} is {text!r}", "write a number, or numbers with commas between them") from None


def _refused(message: str, fix: str) -> StudyFileError:
    return StudyFileError("simulation.switch", message, fix=fix)
