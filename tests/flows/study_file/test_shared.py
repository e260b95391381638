"""Definitions and code lists that studies share, and those that a study adds in its own file."""

from __future__ import annotations

from pathlib import Path

import pytest

from causal.cohort.catalogue import catalogue_of, code_lists_of
from causal.cohort.language.types import typed
from causal.errors import StudyFileError
from causal.protocol import OccasionStudy
from flows.study_file import load_instruments, load_study
from flows.study_file.shared import load_code_lists, load_definitions, shared_beside, with_needs
from validation.protocol import judge_protocol
from validation.verdict import failed

CONFIGS = Path(__file__).parents[3] / "configs"
FLAGSHIP = CONFIGS / "studies" / "duty_to_warn.yaml"
MORE = """
definitions:
  emergencies: {take: count, of: hospitalizations, where: {type: medical}, before: 365 days}
  eating: {take: exists, of: {codes: eating_disorders}, before: ever}
codelists:
  eating_disorders: {codes: [F50], source: "ICD-10, 2019: block F50; the analyst's own"}
"""


def written(folder: Path, *changes: tuple[str, str], more: str = "") -> Path:
    """The flagship's file with changes and more at its end, in a folder that has no definitions of its own."""
    text = FLAGSHIP.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / "study.yaml"
    path.write_text(text + more, encoding="utf-8")
    return path


def loaded(path: Path) -> OccasionStudy:
    """The study of occasions in a file."""
    study = load_study(path).study
    assert isinstance(study, OccasionStudy)
    return study


def test_a_study_holds_what_it_names_and_what_that_is_built_of() -> None:
    """The flagship's twenty facts and the category behind two of them; nothing that it does not name."""
    study = loaded(FLAGSHIP)
    assert set(study.definitions) == {*catalogue_of(study).covariates, "regime"}
    assert set(study.codelists) == {"substance_use", "psychosis"}


def test_two_lines_add_facts_without_code(tmp_path: Path) -> None:
    """An anxiety score, ethnicity and insurance by name; a count and a code list of the analyst's own."""
    path = written(
        tmp_path,
        ("    - sud\n", "    - sud\n    - gad7\n    - ethnicity\n    - insurance\n    - emergencies\n    - eating\n"),
        ("fill: median}\n", "fill: median}\n    - {covariate: gad7, fill: median}\n"),
        more=MORE,
    )
    study = loaded(path)
    facts = catalogue_of(study)
    assert {one.name for one in facts.categories} == {"regime", "ethnicity", "insurance"}
    assert facts.columns["ethnicity"] == tuple(
        f"ethnicity_{value}" for value in ("asian", "black", "hispanic", "other", "not_recorded")
    )
    assert code_lists_of(study)["eating_disorders"] == ("eating",)
    assert {"gad7", "emergencies", "eating"} <= set(facts.covariates)
    assert load_study(path).digest != load_study(FLAGSHIP).digest


def test_a_definition_of_its_own_goes_before_the_shared_one(tmp_path: Path) -> None:
    """And makes another study: what a fact is belongs to what a board signs."""
    own = "definitions:\n  visits_90d: {take: count, of: encounters, before: 90 days}\n"
    path = written(tmp_path, more=own)
    assert loaded(path).definitions["visits_90d"].where == {}
    assert loaded(FLAGSHIP).definitions["visits_90d"].where == {"status": "completed"}
    assert load_study(path).digest != load_study(FLAGSHIP).digest


SLIPS = {
    "of: encountres": "nothing is called 'encountres' (did you mean encounters?)",
    "of: encounters, where: {status: complete}": "status has no value 'complete'",
    "of: {codes: substance_abuse}": "no code list is called 'substance_abuse'; did you mean 'substance_use'?",
    "of: encounters, same: [persons]": "same",
    "of: encounters, whre: {status: completed}": "whre",
    "of: encounters, before: 3 weeks": "ever, or whole days up to 9999",
}


CIRCLES = {
    "  aa: {of: bb}\n  bb: {of: aa}\n": "it is built of itself",
    "  aa: {not: bb}\n  bb: {not: cc}\n  cc: {not: aa}\n": "it is built of itself",
    "  aa: {difference: [age, agee]}\n": "aa.difference: no definition is called 'agee'; did you mean 'age'?",
    "  aa: {difference: [age, male, sud]}\n": "expected a list of 2 ",
    "  aa: {take: value, of: person.age, before: 30 days}\n": "definitions.aa.before: `before` is asked of rows",
    "  aa: {take: count, of: encounters, where: {mode: x}, before: ever}\n": "definitions.aa.where.mode: table",
    "  aa: {take: count, of: encounters, where: {status: []}, before: ever}\n": "where.status",
    "  aa: {take: value, of: unit.severity, at_least: 9, at_most: 5}\n": "nothing is at least 9 and at most 5",
    "  aa: {take: last, of: {score: phq9, rater: nurse}, before: ever}\n": "of.rater: got 'nurse', expected one",
    "  aa: {take: last, of: {scor: phq9}, before: ever}\n": "of.scor: unknown key 'scor'; did you mean 'score'?",
    "  aa: {take: last, of: 5, before: ever}\n": "aa.of: got 5, expected",
    "  aa: {take: count, of: encounters, where: {status: {at_leest: 2}}, before: ever}\n": "did you mean 'at_least'?",
    "  aa: {take: exists, of: encounters, before: ever, minimum_rows: 2}\n": "leave minimum_rows out",
    "  aa: {take: count, of: encounters, before: 30 to 30 days}\n": "the window is empty or ends before it begins",
}


@pytest.mark.parametrize("written_down", CIRCLES)
def test_what_leads_nowhere_is_told_once_at_its_place(tmp_path: Path, written_down: str) -> None:
    """Circles of any length, parts that do not exist, keys that say nothing, limits with nothing between them."""
    path = written(tmp_path, more=f"definitions:\n{written_down}")
    with pytest.raises(StudyFileError) as refused:
        load_study(path)
    (told,) = refused.value.message.splitlines()[1:]
    assert CIRCLES[written_down] in told
    line = int(told.split("study.yaml:")[1].split(":")[0])
    assert line > len(FLAGSHIP.read_text(encoding="utf-8").splitlines())


def test_codes_are_single_codes(tmp_path: Path) -> None:
    """A range, a word or small letters would match nothing."""
    for code in ("F40-F41", "anxiety", "f40"):
        lists = f"codelists:\n  mine: {{codes: [{code}], source: mine}}\n"
        with pytest.raises(StudyFileError, match="expected one code in capital letters"):
            load_study(written(tmp_path, more=lists))


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_has_one_line_at_its_place(tmp_path: Path, slip: str) -> None:
    """What is wrong in a definition is told with the line it stands on."""
    before = "" if "before" in slip else ", before: ever"
    path = written(tmp_path, more=f"definitions:\n  odd: {{take: count, {slip}{before}}}\n")
    line = len(path.read_text(encoding="utf-8").splitlines())
    with pytest.raises(StudyFileError) as refused:
        load_study(path)
    (told,) = refused.value.message.splitlines()[1:]
    assert f"study.yaml:{line}:" in told
    assert SLIPS[slip] in told


def test_a_rule_names_a_definition(tmp_path: Path) -> None:
    """A shared one or one of the study's own; a misspelt one is told at its place, one that is a number is judged."""
    rule = "    - {rule: alive}\n    - {rule: holds, of: sud, says: With a substance use disorder}\n"
    path = written(tmp_path, ("    - {rule: alive}\n", rule))
    keys = load_instruments(CONFIGS / "instruments")
    assert not failed(judge_protocol(loaded(path), keys))
    path = written(tmp_path, ("    - {rule: alive}\n", rule.replace("of: sud", "of: age")))
    (bad,) = failed(judge_protocol(loaded(path), keys))
    assert (bad.code, "age is not yes or no" in bad.sentence) == ("protocol.rules", True)
    path = written(tmp_path, ("    - {rule: alive}\n", rule.replace("of: sud", "of: sude")))
    with pytest.raises(StudyFileError, match=r"study\.yaml:\d+:\d+: .*'sude'; did you mean 'sud'"):
        load_study(path)


def test_a_category_needs_no_rule_for_what_is_missing(tmp_path: Path) -> None:
    """Not recorded is one of its values; a rule beside it would say something that nothing does."""
    path = written(
        tmp_path,
        ("    - sud\n", "    - sud\n    - insurance\n"),
        ("fill: median}\n", "fill: median}\n    - {covariate: insurance, fill: median}\n"),
    )
    (bad,) = failed(judge_protocol(loaded(path), load_instruments(CONFIGS / "instruments")))
    assert bad.code == "protocol.missing_covariates"
    assert "that insurance was not recorded is a value of the category itself" in bad.sentence


def test_shared_definitions_that_a_study_spoils_are_told(tmp_path: Path) -> None:
    """A study's own meaning of a name goes before the shared one; what is built of it must still make sense."""
    path = written(tmp_path, more="definitions:\n  regime: {take: value, of: person.age}\n")
    with pytest.raises(StudyFileError) as refused:
        load_study(path)
    assert refused.value.code == "study.invalid"
    assert "regime" in refused.value.message


def test_every_shared_definition_makes_sense_and_says_what_it_is() -> None:
    """Also those that no study names yet; none has the label of another."""
    shared = shared_beside(FLAGSHIP)
    known = typed(shared.definitions, None)
    assert list(with_needs(known, shared.definitions))
    labels = [one.definition.label for one in known.values()]
    assert all(labels)
    assert len(set(labels)) == len(labels)


def test_a_study_far_from_its_definitions_is_told_so_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, not one for every fact it names."""
    path = written(tmp_path)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StudyFileError) as refused:
        load_study(path)
    (told,) = refused.value.message.splitlines()[1:]
    assert "no folder of definitions was found" in told


def test_two_files_do_not_define_one_name(tmp_path: Path) -> None:
    """Whichever was read last would be meant."""
    for name in ("one", "two"):
        (tmp_path / f"{name}.yaml").write_text("age: {take: value, of: person.age}\n", encoding="utf-8")
    with pytest.raises(StudyFileError, match=r"\[definitions\.invalid\].*'age' is defined in .*one\.yaml too"):
        load_definitions(tmp_path)
    assert load_definitions(tmp_path / "nowhere") == {}


LISTS = {
    "columns": ("code,source\nF50,mine\n", r"\.csv:1: expected the columns code, system"),
    "fields": ("code,system,version,source,meaning\nF50,ICD-10,2019\n", r"\.csv:2: expected 5 fields.*; got 3"),
    "no code": ("code,system,version,source,meaning\n ,ICD-10,2019,mine,eating\n", r"\.csv:2: expected 5 fields"),
    "twice": ("code,system,version,source,meaning\nF50,I,1,s,m\nf50,I,1,s,m\n", "a code stands twice"),
    "empty": ("code,system,version,source,meaning\n", "holds no code"),
}


@pytest.mark.parametrize("fault", LISTS)
def test_a_code_list_that_cannot_be_used_is_refused(tmp_path: Path, fault: str) -> None:
    """With the file, the line, and what was expected."""
    text, says = LISTS[fault]
    (tmp_path / "mine.csv").write_text(text, encoding="utf-8")
    with pytest.raises(StudyFileError, match=rf"\[codelist\.invalid\].*mine{says}" if says[0] == "\\" else says):
        load_code_lists(tmp_path)


def test_code_lists_are_read_as_written(tmp_path: Path) -> None:
    """Codes in capital letters without blanks, and where they come from."""
    (tmp_path / "mine.csv").write_text("code,system,version,source,meaning\n f50.1 ,I,1,s,m\nF51,I,1,s,m\n", "utf-8")
    (mine,) = load_code_lists(tmp_path).values()
    assert (mine.codes, mine.source) == (("F50.1", "F51"), "I, 1: s")
    assert load_code_lists(tmp_path / "nowhere") == {}
