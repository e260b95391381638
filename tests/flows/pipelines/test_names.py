"""Three words and where they lead: never out of the configs folder, and a plain refusal where they lead nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.deployments.runner import EntrypointType
from prefect.exceptions import ParameterTypeError
from prefect.flows import load_flow_from_entrypoint

from causal.errors import RapportError
from flows.pipelines.names import COMMANDED, size_of, synthetic_delivery, workspace_named
from flows.pipelines.studies import FLOWS

CONFIGS = Path(__file__).resolve().parents[3] / "configs"
Site = Callable[[str], None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Writes the file of the site `clinic` in a configs folder that RAPPORT_CONFIGS names."""
    folder = tmp_path / "configs"
    (folder / "sites").mkdir(parents=True)
    for name in ("studies", "instruments", "codelists", "definitions"):
        (folder / name).symlink_to(CONFIGS / name)
    (tmp_path / "deliveries" / "first").mkdir(parents=True)
    monkeypatch.setenv("RAPPORT_CONFIGS", str(folder))

    def write(text: str) -> None:
        (folder / "sites" / "clinic.yaml").write_text(text.replace("TMP", str(tmp_path)))

    return write


WHOLE = "results: TMP/results\ndeliveries: TMP/deliveries\n"


def quiet(_line: str) -> None:
    """Say nothing."""


def test_words_lead_to_places(site: Site, tmp_path: Path) -> None:
    """The study's file, the site's, and the delivery's folder below the one the site declares."""
    site(WHOLE)
    ws = workspace_named("duty_to_warn", "clinic", "first", quiet)
    assert (ws.study.study.id, ws.extract) == ("duty_to_warn", tmp_path / "deliveries" / "first")
    assert ws.store.root == tmp_path / "results" / "duty_to_warn"
    assert workspace_named("duty_to_warn", "clinic", None, quiet).extract == Path()


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        ("results: TMP/results\n", ("duty_to_warn", "clinic", "first"), "names.site"),
        ("results: results\ndeliveries: TMP/deliveries\n", ("duty_to_warn", "clinic", "first"), "names.site"),
        ("results: TMP/results\ndeliveries: deliveries\n", ("duty_to_warn", "clinic", "first"), "names.site"),
        (WHOLE, ("duty_to_warn", "clinic", "second"), "names.delivery"),
        (WHOLE, ("duty_to_warn", "elsewhere", "first"), "site.unreadable"),
        (WHOLE, ("no_such_study", "clinic", "first"), "study.unreadable"),
        (WHOLE, ("duty_to_warn", "clinic", COMMANDED), "names.command"),
        (WHOLE, ("s10_duty_to_warn_kept", "clinic", "first"), "names.study"),
    ],
)
def test_words_that_lead_nowhere_are_refused(site: Site, text: str, words: tuple[str, str, str], code: str) -> None:
    """Each with its code and a way out."""
    site(text)
    with pytest.raises(RapportError) as refusal:
        workspace_named(*words, quiet)
    assert refusal.value.code == code
    assert refusal.value.fix or code.endswith(".unreadable")


def test_no_configs_folder_is_a_plain_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where RAPPORT_CONFIGS says nothing, configs in the folder of the process is meant; it may not be there."""
    monkeypatch.delenv("RAPPORT_CONFIGS", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RapportError, match=r"names\.configs.*RAPPORT_CONFIGS"):
        workspace_named("duty_to_warn", "clinic", "first", quiet)


@pytest.mark.parametrize("word", ["../etc", "/srv/records", "a.csv", "A", "", "a b", "first\n", "é", "a" * 65, "-a"])
@pytest.mark.parametrize("name", ["study", "site", "delivery"])
def test_no_parameter_can_be_a_path_or_a_sentence(name: str, word: str) -> None:
    """Prefect refuses the run before it is made; the schema that it shows an operator says the same."""
    words = {"study": "duty_to_warn", "site": "clinic", "delivery": "first"} | {name: word}
    for flow in FLOWS.values():
        with pytest.raises(ParameterTypeError):
            flow.validate_parameters(words)
        shown = flow.parameters.model_dump()
        assert set(shown["properties"]) == set(shown["required"]) == {"study", "site", "delivery"}
        assert all(part["pattern"] for part in shown["properties"].values())


def test_a_synthetic_delivery_says_how_it_is_made() -> None:
    """Its name is enough to make it again, and another name is refused."""
    assert size_of(synthetic_delivery(20_000, 1)) == (20_000, 1)
    for name in ("synthetic-0-1", "synthetic-20000", "first", "synthetic-20000-1x"):
        with pytest.raises(RapportError, match=r"names\.delivery"):
            size_of(name)


def test_an_operator_finds_the_flows_by_module() -> None:
    """What `prefect deploy` and `serve` are given leads to the flows, and says nothing of where the code lies."""
    for name in ("design_study", "estimate_effect", "simulate_study"):
        flow = load_flow_from_entrypoint(f"flows.pipelines.studies:{name}")
        assert flow is FLOWS[name.replace("_", "-")]
        served = flow.to_deployment("clinic", entrypoint_type=EntrypointType.MODULE_PATH)
        assert served.entrypoint == f"flows.pipelines.studies.{name}"
        assert load_flow_from_entrypoint(served.entrypoint) is flow
