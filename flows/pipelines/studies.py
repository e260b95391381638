"""The flows of Rapport as Prefect serves, deploys and shows them.

Each takes a study's id, a site's name and a delivery's name, and finds the rest in the configs folder (`names`). The
command runs the same flows with what it was told on the command line already due. Stages and their order stand in
`flows.design_study`, `flows.estimate_effect` and `flows.simulate_study`.
"""

from collections.abc import Callable
from functools import partial

from prefect import Flow, State, flow

from causal.simulation import SimulationParameters
from flows import design_study as designed
from flows import estimate_effect as estimated
from flows import simulate_study as simulated
from flows.pipelines.names import StudyId, Word, size_of, workspace_named
from flows.pipelines.recorded import run_here
from flows.runner import Runner
from flows.workspace import Workspace

Study = Callable[[StudyId, Word, Word], State | None]
StudyFlow = Flow[[StudyId, Word, Word], State | None]


def _study_flow(name: str) -> Callable[[Study], StudyFlow]:
    return flow(
        name=name,
        flow_run_name="{study}-{delivery}",
        retries=0,
        persist_result=False,
        log_prints=False,
        validate_parameters=True,
    )


@_study_flow("design-study")
def design_study(study: StudyId, site: Word, delivery: Word) -> State | None:
    """From a delivery to a design that a board can judge. No outcome is opened."""
    return run_here(designed.design_study, partial(workspace_named, study, site, delivery))


@_study_flow("estimate-effect")
def estimate_effect(study: StudyId, site: Word, delivery: Word) -> State | None:
    """From a delivery to a release. Stops with approval.none until a board has signed the design."""
    return run_here(estimated.design_and_estimate, partial(workspace_named, study, site, delivery))


@_study_flow("simulate-study")
def simulate_study(study: StudyId, site: Word, delivery: Word) -> State | None:
    """From invented records (synthetic-PATIENTS-SEED) to a release with its truth; a simulated board approves."""

    def pipeline(ws: Workspace, run: Runner) -> None:
        patients, seed = size_of(delivery)
        simulated.simulate_study(ws, run, parameters=SimulationParameters(), patients=patients, seed=seed)

    return run_here(pipeline, partial(workspace_named, study, site, None))


FLOWS = {one.name: one for one in (design_study, estimate_effect, simulate_study)}
"""By their names."""
