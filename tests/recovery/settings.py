"""Worlds in which recovery is studied. What is estimated in them is another matter (`replicate.ESTIMANDS`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from causal.simulation import SimulationParameters

PATIENTS = 7_500
"""Enough for about 80 matched sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One world and the size of its extracts.

    `title` is what a table calls it; `promised` says whether the study promises to be right there. `few_facts`: the
    study matches on the six facts that matter most in this world, so that few cases can carry its model.
    `few_clinicians`: fewer than the study's minimum, so that the main interval is the wider of two and may cover more
    often than it says. `propensity`: what the study says of its propensity model instead; `worlds`: the setting whose
    very worlds (seeds) it is tried in, so that chance does not part them. `refused`: the code with which each of its
    replicates must be refused; empty where none must.
    """

    title: str
    parameters: SimulationParameters
    patients: int = PATIENTS
    promised: bool = True
    few_facts: bool = False
    few_clinicians: bool = False
    propensity: Mapping[str, str | int] = field(default_factory=dict)
    worlds: str = ""
    refused: str = ""

    @property
    def switches(self) -> tuple[str, ...]:
        """What differs from the simulator's defaults, as ``NAME=DOSE``."""
        default = SimulationParameters()
        doses = {one.name: getattr(self.parameters, one.name) for one in fields(default)}
        return tuple(
            f"{name}={str(dose).lower() if isinstance(dose, bool) else dose}"
            for name, dose in doses.items()
            if dose != getattr(default, name)
        )


FEW_CLINICIANS = {"clinician_sd": 0.35, "caseload": 313, "clinicians_per_clinic": 4}
"""7,500 patients with 24 clinicians in six clinics."""

CLINICIANS = {5: (1500, 5), 8: (938, 4), 12: (625, 4), 24: (313, 4)}
"""Of 7,500 patients: how many clinicians, from how many patients each has and how many share a clinic."""
DRIFTS = {0: 0.0, 20: 0.2, 50: 0.5}
"""SD of clinicians' drift after the first assessment, in hundredths of a point and in points."""


def drifting() -> dict[str, Setting]:
    """Few clinicians, each of whose patients drift together, where a warning has no effect.

    They differ in readiness to warn (logit SD 1.5), so that both groups lie unlike over them and the drift does not
    cancel: the interval by matched set covers 75% with 5 of them and a drift of .5.
    """
    return {
        f"clinicians_{count}_drift_{hundredths}": Setting(
            title=f"{count} clinicians, drift SD {drift:g}, no effect",
            parameters=SimulationParameters(
                null=True,
                practice_sd=1.5,
                caseload=caseload,
                clinicians_per_clinic=per_clinic,
                clinician_drift=drift,
            ),
            few_clinicians=True,
        )
        for count, (caseload, per_clinic) in CLINICIANS.items()
        for hundredths, drift in DRIFTS.items()
    }


ONE_WARNS = {"caseload": 1000, "clinicians_per_clinic": 12, "warning_clinicians": 1, "clinician_drift": 0.5}
"""Twelve clinicians of one clinic and 1,000 patients each, of whom one warns."""

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
    "clinicians_24": Setting(
        title="24 unlike clinicians", parameters=SimulationParameters(**FEW_CLINICIANS), few_clinicians=True
    ),
    "clinicians_24_null": Setting(
        title="24 unlike clinicians, no effect",
        parameters=SimulationParameters(null=True, **FEW_CLINICIANS),
        few_clinicians=True,
    ),
    **drifting(),
    "one_warns": Setting(
        title="One of 12 clinicians warns, no effect",
        parameters=SimulationParameters(null=True, warning_intercept=-3.0, **ONE_WARNS),  # type: ignore[arg-type]
        patients=12_000,
        refused="estimation.arm_in_one_cluster",
    ),
    "boosting": Setting(
        title="Base, boosted propensities",
        parameters=SimulationParameters(),
        propensity={"model": "boosting", "seed": 1},
        worlds="base",
    ),
    "boosting_curved": Setting(
        title="Curved in severity, boosted propensities",
        parameters=SimulationParameters(positivity=0.4, curved_severity=(0.5, 0.4)),
        propensity={"model": "boosting", "seed": 1},
        worlds="curved_severity",
    ),
    "elastic_net": Setting(
        title="Base, elastic net",
        parameters=SimulationParameters(),
        propensity={"model": "elastic_net"},
        worlds="base",
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
    "curved_severity": Setting(
        title="Curved in severity", parameters=SimulationParameters(positivity=0.4, curved_severity=(0.5, 0.4))
    ),
    "curved_phq9": Setting(title="Curved in PHQ-9", parameters=SimulationParameters(curved_phq9=(0.5, 0.2))),
    "curved_alliance": Setting(
        title="Curved in the alliance", parameters=SimulationParameters(curved_alliance=(0.6, 0.4))
    ),
    "curved_half": Setting(
        title="Half as curved, in all three",
        parameters=SimulationParameters(
            curved_severity=(0.25, 0.2), curved_phq9=(0.25, 0.1), curved_alliance=(0.3, 0.2)
        ),
    ),
    "meas_error": Setting(title="Trust judged by eye", parameters=SimulationParameters(meas_error=0.5), promised=False),
    "no_endings": Setting(title="Nobody leaves", parameters=SimulationParameters(leaving_intercept=-100.0)),
    "unequal_response": Setting(
        title="One in ten of the warned answer, eight in ten of the others",
        parameters=SimulationParameters(response_rate=0.8, warning_on_answering=-3.58),
        promised=False,
    ),
    "regime": Setting(title="Duty changes in 2021", parameters=SimulationParameters(regime_change="2021-01-01")),
}
