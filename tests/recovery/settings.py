"""Worlds in which recovery is studied. What is estimated in them is another matter (`replicate.ESTIMANDS`)."""

from __future__ import annotations

from dataclasses import dataclass, fields

from causal.simulation import SimulationParameters

PATIENTS = 7_500
"""Enough for about 80 matched sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One world and the size of its extracts.

    `title` is what a table calls it; `promised` says whether the study promises to be right there. `few_facts`: the
    study matches on the six facts that matter most in this world, so that few cases can carry its model.
    """

    title: str
    parameters: SimulationParameters
    patients: int = PATIENTS
    promised: bool = True
    few_facts: bool = False

    @property
    def switches(self) -> tuple[str, ...]:
        """What differs from the simulator's defaults, as ``NAME=DOSE``."""
        default = SimulationParameters()
        doses = {field.name: getattr(self.parameters, field.name) for field in fields(default)}
        return tuple(
            f"{name}={str(dose).lower() if isinstance(dose, bool) else dose}"
            for name, dose in doses.items()
            if dose != getattr(default, name)
        )


FEW_CLINICIANS = {"clinician_sd": 0.35, "caseload": 313, "clinicians_per_clinic": 4}
"""7,500 patients with 24 clinicians in six clinics."""

SETTINGS: dict[str, Setting] = {
    "base": Setting(title="Base", parameters=SimulationParameters()),
    "null": Setting(title="No effect", parameters=SimulationParameters(null=True)),
    "immortal": Setting(title="No effect, immortal time", parameters=SimulationParameters(null=True, immortal=0.75)),
    "sets_21": Setting(title="21 warned", parameters=SimulationParameters(), patients=2_000, promised=False),
    "sets_21_few_facts": Setting(
        title="21 warned, few facts", parameters=SimulationParameters(), patients=2_200, promised=False, few_facts=True
    ),
    "sets_21_few_facts_null": Setting(
        title="21 warned, few facts, no effect",
        parameters=SimulationParameters(null=True),
        patients=2_200,
        promised=False,
        few_facts=True,
    ),
    "sets_61": Setting(title="61 warned", parameters=SimulationParameters(), patients=5_450),
    "sets_162": Setting(title="162 warned", parameters=SimulationParameters(), patients=12_000),
    "sets_61_null": Setting(title="61 warned, no effect", parameters=SimulationParameters(null=True), patients=5_450),
    "sets_162_null": Setting(
        title="162 warned, no effect", parameters=SimulationParameters(null=True), patients=12_000
    ),
    "clinicians_24": Setting(title="24 unlike clinicians", parameters=SimulationParameters(**FEW_CLINICIANS)),
    "clinicians_24_null": Setting(
        title="24 unlike clinicians, no effect", parameters=SimulationParameters(null=True, **FEW_CLINICIANS)
    ),
    "mar": Setting(title="Silence by the last rating", parameters=SimulationParameters(mar=-1.2)),
    "mnar_06": Setting(
        title="Silence by present trust, -.6", parameters=SimulationParameters(mnar=-0.6), promised=False
    ),
    "mnar_12": Setting(
        title="Silence by present trust, -1.2", parameters=SimulationParameters(mnar=-1.2), promised=False
    ),
    "dip_0": Setting(title="No dip", parameters=SimulationParameters(dip=0.0)),
    "dip_50": Setting(title="Dip of -.5", parameters=SimulationParameters(dip=-0.5), promised=False),
    "meas_error": Setting(title="Trust judged by eye", parameters=SimulationParameters(meas_error=0.5), promised=False),
    "regime": Setting(title="Duty changes in 2021", parameters=SimulationParameters(regime_change="2021-01-01")),
}
