"""How source systems write things down changes no number, or stops the run."""

from __future__ import annotations

import pandas as pd
import pytest
from small_study import PATIENTS, SEED, bench, simulated

from causal.cohort.build import build_cohort
from causal.simulation import AS_OF, SimulationParameters, simulate
from validation.extract import ExtractJudgement, judge_extract
from validation.verdict import Status

pytestmark = pytest.mark.filterwarnings("ignore:fetch_arrow_table:DeprecationWarning")


def test_blanks_and_case_of_codes_change_no_cohort() -> None:
    """A third of all codes written another way: judged as declared, the cohort is the same to the bit."""
    written = simulate(SimulationParameters(code_spelling=0.3), PATIENTS, SEED)
    with bench() as opened:
        plain = opened.load(dict(simulated().tables))
        usual = build_cohort(plain, opened.study, opened.instruments, opened.keep, as_of=AS_OF).occasions
    with bench() as opened:
        tables = opened.load(dict(written.tables))
        judgement = judge_extract(tables, opened.instruments, as_of=AS_OF, quarantined_share=0.0)
        assert judgement.counts == {}
        assert Status.FAIL not in {verdict.status for verdict in judgement.verdicts}
        kept = {name: opened.keep(f"{name}_clean", rows) for name, rows in judgement.clean.items()}
        found = build_cohort(tables | kept, opened.study, opened.instruments, opened.keep, as_of=AS_OF).occasions
    pd.testing.assert_frame_equal(found, usual, check_exact=True)


def judged(parameters: SimulationParameters) -> ExtractJudgement:
    """The judgement of a simulated extract."""
    with bench() as opened:
        tables = opened.load(dict(simulate(parameters, 1_000, SEED).tables))
        return judge_extract(tables, opened.instruments, as_of=AS_OF, quarantined_share=0.25)


def test_dates_nobody_could_have_stop_the_run() -> None:
    """A tenth born in 1901 and a tenth dead before their last contact, however much may be set aside."""
    judgement = judged(SimulationParameters(impossible_dates=0.2))
    failing = {verdict.code for verdict in judgement.verdicts if verdict.status is Status.FAIL}
    assert failing == {"extract.after_death", "extract.birth_year_spike"}
    assert 80 < judgement.counts["patients.birth_year:out_of_range"] < 120


def test_forms_dated_to_the_day_are_found() -> None:
    """Their column holds dates, no other does, and nothing else is said of them."""
    verdicts = judged(SimulationParameters(date_forms=True)).verdicts
    dates = {verdict.code for verdict in verdicts if "holds dates" in verdict.sentence}
    assert dates == {"extract.grain.measures.admin_ts", "extract.grain.measures.scheduled_ts"}
    assert Status.FAIL not in {verdict.status for verdict in verdicts}
