"""The language of definitions, worked by hand: what each way of taking gives, and what it does at the edges.

Time zero is 10 March 2020, noon.
"""

from __future__ import annotations

from typing import Any

import pytest
from ascii_tables import expect, known, study, world

from causal.cohort.catalogue import catalogue_of, typed_definitions
from causal.cohort.eligibility import eligible, sentence
from causal.cohort.language.sources import DefinitionError
from causal.cohort.language.words import said
from causal.protocol import OccasionStudy
from causal.protocol.definitions import CodeList, Definition
from causal.protocol.target_trial import Holds

PEOPLE = """
    person_id | race_eth
    ann       | asian
    bob       | -
    cas       | white
"""
ONE_EACH = """
    ta_id | person_id | severity
    a     | ann       | 3
    b     | bob       | 5
    c     | cas       | 8
"""
BOTH = ("person", "clinician")


def declaring(**definitions: Any) -> OccasionStudy:
    """The flagship with these definitions as all it makes people alike in."""
    made = {name: Definition.model_validate(words, strict=False) for name, words in definitions.items()}
    few = study().confounders.model_copy(update={"tier1": tuple(made), "tier2": ()})
    adjusted = study().estimator.model_copy(update={"adjust_for": ()})
    lists = {**study().codelists, "mood": CodeList(codes=("F32", "F33.1"), source="made up")}
    kept = {name: one for name, one in study().definitions.items() if name == "regime"}
    changes = {"confounders": few, "definitions": {**kept, **made}, "estimator": adjusted, "codelists": lists}
    return study().model_copy(update={**changes, "prior_ratings": ()})


def found(tables: dict[str, str], **definitions: Any) -> Any:
    """What definitions give in a world of three people, one assessment each."""
    return known(world({"patients": PEOPLE, "threat_assessments": ONE_EACH} | tables), declaring(**definitions))


VISITS = """
    person_id | clinician_id | start_ts         | status    | modality
    ann       | dr_a         | 2020-03-10 12:00 | completed | video
    ann       | dr_a         | 2020-03-10 11:59 | completed | video
    ann       | dr_a         | 2020-02-09 12:00 | completed | phone
    ann       | dr_b         | 2020-03-01 12:00 | no_show   | video
    ann       | dr_a         | 2019-03-01 12:00 | completed | in_person
    bob       | dr_a         | 2020-02-09 11:59 | completed | video
"""
TWO_CLINICIANS = """
    clinician_id
    dr_a
    dr_b
"""


def test_rows_are_counted_over_a_window_and_by_their_level() -> None:
    """The far edge counts and time zero does not; rows of the person, of the pair, and of the clinician."""
    rows = found(
        {"encounters": VISITS, "clinicians": TWO_CLINICIANS},
        month={"take": "count", "of": "encounters", "before": "30 days"},
        pair={"take": "count", "of": "encounters", "same": BOTH, "before": "30 days"},
        colleague={"take": "count", "of": "encounters", "same": ("clinician",), "before": "40 days"},
        earlier={"take": "count", "of": "encounters", "before": "400 to 30 days"},
        ways={"take": "count_distinct", "of": "encounters.modality", "before": "ever"},
        kept={"take": "count", "of": "encounters", "except_where": {"status": "no_show"}, "before": "ever"},
        last_way={"take": "last", "of": "encounters.modality", "before": "ever", "is": "video"},
    )
    expect(
        rows,
        """
            ta_id | month | pair | colleague | earlier | ways | kept | last_way
            a     | 3     | 2    | 3         | 1       | 3    | 3    | 1
            b     | 0     | 0    | 3         | 1       | 1    | 1    | 1
            c     | 0     | 0    | 3         | 0       | 0    | 0    | -
        """,
    )


SCORES = """
    person_id | instrument | version | rater   | admin_ts         | items
    ann       | gad7       | std     | patient | 2020-03-01 12:00 | 1
    ann       | gad7       | std     | patient | 2020-03-01 12:00 | 3
    ann       | gad7       | std     | patient | 2020-02-01 12:00 | 2
    ann       | gad7       | std     | patient | 2020-03-11 12:00 | 0
    ann       | phq9       | std     | patient | 2020-03-02 12:00 | 2
    bob       | gad7       | std     | patient | 2019-01-01 12:00 | 2
"""


def test_scores_of_several_questionnaires_in_one_pass() -> None:
    """GAD-7 has seven items, so that answers of 1, 2 and 3 make 7, 14 and 21; ties go where the definition says."""
    gad7: dict[str, Any] = {"of": {"score": "gad7", "rater": "patient"}}
    rows = found(
        {"measures": SCORES},
        gad=gad7 | {"take": "last", "before": "180 days"},
        low=gad7 | {"take": "last", "before": "180 days", "ties": "lowest"},
        first=gad7 | {"take": "first", "before": "180 days"},
        mean=gad7 | {"take": "mean", "before": "180 days"},
        middle=gad7 | {"take": "median", "before": "180 days"},
        worst=gad7 | {"take": "maximum", "before": "ever"},
        spread=gad7 | {"take": "sd", "before": "ever", "minimum_rows": 2},
        severe=gad7 | {"take": "last", "before": "180 days", "at_least": 15},
        mood={"of": {"score": "phq9", "rater": "patient"}, "take": "last", "before": "180 days"},
    )
    expect(
        rows,
        """
            ta_id | gad | low | first | mean | middle | worst | spread | severe | mood
            a     | 21  | 7   | 14    | 14   | 14     | 21    | 7      | 1      | 18
            b     | -   | -   | -     | -    | -      | 14    | -      | -      | -
            c     | -   | -   | -     | -    | -      | -     | -      | -      | -
        """,
    )


def test_codes_hold_what_is_below_them() -> None:
    """F32 holds F32.1; F33.1 holds F33.11 and not F33.2; blanks, dots and case say nothing; today says nothing yet."""
    rows = found(
        {
            "diagnoses": """
                person_id | icd10   | onset
                ann       |  f32.1  | 2020-03-09
                ann       | F33.11  | 2020-01-01
                bob       | F33.2   | 2020-01-01
                cas       | F32     | 2020-03-10
            """
        },
        mood={"take": "exists", "of": {"codes": "mood"}, "before": "ever"},
        told={"take": "count", "of": {"codes": "mood"}, "before": "ever"},
    )
    expect(
        rows,
        """
            ta_id | mood | told
            a     | 1    | 2
            b     | 0    | 0
            c     | 0    | 0
        """,
    )


def test_what_is_not_yet_known_reads_as_not_recorded() -> None:
    """A relationship carries its end and why it ended; before it ended nobody knew, and a reader is not told."""
    rows = found(
        {
            "episodes": """
                person_id | start            | end              | end_reason
                ann       | 2019-01-01 12:00 | 2020-03-09 12:00 | lost
                bob       | 2019-01-01 12:00 | 2020-03-11 12:00 | lost
                cas       | 2020-03-08 12:00 | -                | -
            """,
            "hospitalizations": """
                person_id | admit      | discharge
                ann       | 2020-03-09 | 2020-03-12
                bob       | 2020-01-01 | 2020-01-05
                cas       | 2020-03-10 | -
            """,
        },
        lost={"take": "count", "of": "episodes", "where": {"end_reason": "lost"}, "before": "ever"},
        open_now={"take": "exists", "of": "episodes", "same": BOTH, "at": "time_zero"},
        days={"take": "time_since", "of": "episodes.start", "same": BOTH, "at": "time_zero"},
        inside={"take": "exists", "of": "hospitalizations", "at": "time_zero"},
        stay={"take": "time_since", "of": "hospitalizations.admit", "before": "ever", "scale": "months of 30 days"},
    )
    expect(
        rows,
        """
            ta_id | lost | open_now | days | inside | stay
            a     | 1    | 0        | -    | 1      | 0.0333333
            b     | 0    | 1        | 434  | 0      | 2.3
            c     | 0    | 1        | 2    | 0      | -
        """,
    )


def test_standing_facts_and_categories() -> None:
    """A category has an indicator of every value but the one that models leave out; not recorded is a value."""
    under = declaring(
        ethnicity={"take": "value", "of": "person.race_eth", "reference": "white"},
        kind={"take": "value", "of": "clinic.type", "is": ("community", "hospital")},
        trained={"take": "value", "of": "clinician.profession", "is": "psychologist"},
        age={"take": "value", "of": "person.age"},
    )
    expect(
        known(world({"patients": PEOPLE, "threat_assessments": ONE_EACH}), under),
        """
            ta_id | ethnicity_asian | ethnicity_black | ethnicity_other | ethnicity_not_recorded | kind | trained | age
            a     | 1               | 0               | 0               | 0                      | 1    | 1       | 39
            b     | 0               | 0               | 0               | 1                      | 1    | 1       | 39
            c     | 0               | 0               | 0               | 0                      | 1    | 1       | 39
        """,
    )
    facts = catalogue_of(under)
    (ethnicity,) = (one for one in facts.categories if one.name == "ethnicity")
    assert ethnicity.last.name == "ethnicity_white"
    assert facts.columns["ethnicity"] == ethnicity.levels
    assert len(ethnicity.levels) == 5  # six levels with white: five groups and not recorded
    assert facts.spread(("age", "ethnicity"))[:2] == ("age", "ethnicity_asian")


def test_definitions_are_built_of_others() -> None:
    """Differences, opposites, limits, the least and the greatest of those recorded, and means of all."""
    rows = found(
        {"measures": SCORES},
        gad={"of": {"score": "gad7", "rater": "patient"}, "take": "last", "before": "180 days"},
        mood={"of": {"score": "phq9", "rater": "patient"}, "take": "last", "before": "180 days"},
        high={"take": "value", "of": "unit.severity", "at_least": 5},
        low={"not": "high"},
        gap={"difference": ("gad", "mood")},
        least={"minimum_of": ("gad", "mood")},
        most={"maximum_of": ("gad", "mood")},
        mean={"mean_of": ("gad", "mood")},
        middling={"of": "mood", "at_least": 10, "at_most": 18},
    )
    expect(
        rows,
        """
            ta_id | high | low | gap | least | most | mean | middling
            a     | 0    | 1   | 3   | 18    | 21   | 19.5 | 1
            b     | 1    | 0   | -   | -     | -    | -    | -
            c     | 1    | 0   | -   | -     | -    | -    | -
        """,
    )


def test_none_is_a_number_before_limits_are_asked_of_it() -> None:
    """No contact is at most none; where the absence of a row says nothing, it says nothing of limits either."""
    rows = found(
        {"encounters": VISITS, "clinicians": TWO_CLINICIANS, "measures": SCORES},
        none={"take": "count", "of": "encounters", "before": "30 days", "at_most": 0},
        few={"take": "count", "of": "encounters", "before": "30 days", "at_least": 1, "at_most": 3},
        low={"take": "last", "of": {"score": "phq9"}, "before": "ever", "at_most": 5},
        never={"take": "count", "of": {"codes": "mood"}, "before": "ever", "is": 0},
        unknown={"take": "count", "of": "encounters", "before": "30 days", "at_most": 0, "if_none": "not_recorded"},
    )
    expect(
        rows,
        """
            ta_id | none | few | low | never | unknown
            a     | 0    | 1   | 0   | 1     | 0
            b     | 1    | 0   | -   | 1     | -
            c     | 1    | 0   | -   | 1     | -
        """,
    )


def test_the_last_of_a_window_lies_in_it() -> None:
    """A form of 9 February at 05:00 is 31 days back, the one of its midnight (a date) 30: the window holds the date."""
    tables = {
        "measures": """
            person_id | instrument | version | rater   | admin_ts         | items
            ann       | phq9       | std     | patient | 2020-02-09 00:00 | 1
            ann       | phq9       | std     | patient | 2020-02-09 05:00 | 3
        """
    }
    phq9: dict[str, Any] = {"take": "last", "of": {"score": "phq9"}}
    rows = found(tables, month=phq9 | {"before": "30 days"}, longer=phq9 | {"before": "60 days"})
    expect(rows, "ta_id | month | longer\na | 9 | 27\nb | - | -\nc | - | -")


def test_rows_of_two_dates_of_one_table_are_told_apart() -> None:
    """When a clinician was hired, and when one left; who has not left yet reads as there."""
    tables = {"clinicians": "clinician_id | hire_date | end_date\ndr_a | 2020-03-01 | 2020-03-12"}
    clinician = ("clinician",)
    rows = found(
        tables,
        hired={"take": "time_since", "of": "clinicians.hire_date", "same": clinician, "before": "ever"},
        left={"take": "exists", "of": "clinicians.end_date", "same": clinician, "before": "ever"},
        late={"take": "exists", "of": "clinicians.hire_date", "same": clinician, "before": "5 days"},
    )
    expect(rows, "ta_id | hired | left | late\na | 9 | 0 | 0\nb | 9 | 0 | 0\nc | 9 | 0 | 0")


def test_values_that_a_definition_does_not_name_are_a_value_of_their_own() -> None:
    """A state without a name in the definition is none of those named, and not the one that models leave out."""
    tables = {
        "clinics": "clinic_id | state\nnorth | CA\nsouth | NY\nwest | TX",
        "clinicians": "clinician_id | clinic_id\ndr_a | north\ndr_b | south\ndr_c | west",
        "threat_assessments": "ta_id | person_id | clinician_id\na | ann | dr_a\nb | bob | dr_b\nc | cas | dr_c",
    }
    state = {"take": "value", "of": "clinic.state", "levels": {"CA": "California", "NY": "New York"}}
    expect(
        found(tables, state=state),
        "ta_id | state_ca | state_any_other\na | 1 | 0\nb | 0 | 0\nc | 0 | 1",
    )
    ways = found(
        {"encounters": VISITS, "clinicians": TWO_CLINICIANS},
        ways={"take": "count_distinct", "of": "encounters.modality", "before": "ever", "levels": {"video": "by video"}},
    )
    expect(ways, "ta_id | ways\na | 3\nb | 1\nc | 0")


def test_two_facts_of_one_name_are_refused() -> None:
    """A category and an indicator of it, or values that only signs tell apart, would stand in one column."""
    ethnicity = {"take": "value", "of": "person.race_eth", "reference": "white"}
    both = declaring(ethnicity=ethnicity, ethnicity_asian={"take": "value", "of": "person.race_eth", "is": "asian"})
    signs = declaring(state={"take": "value", "of": "clinic.state", "levels": {"A+": "one", "A-": "other"}})
    for under in (both, signs):
        with pytest.raises(DefinitionError, match="rename one"):
            catalogue_of(under)


def test_a_definition_may_be_called_as_a_column_is() -> None:
    """What a study calls severity is what it says, and no column of the table of that name."""
    under = declaring(severity={"take": "count", "of": "threat_assessments", "before": "ever"})
    tables = world({"patients": PEOPLE, "threat_assessments": ONE_EACH})
    expect(known(tables, under), "ta_id | severity\na | 0\nb | 0\nc | 0")


@pytest.mark.parametrize("name", ["treated", "clinician_id", "set_id", "rule_age", "phq9_missing"])
def test_a_name_that_stands_for_something_is_refused(name: str) -> None:
    """It would be put in the place of what everything else reads."""
    phq9 = {"take": "last", "of": {"score": "phq9"}, "before": "ever"}
    with pytest.raises(DefinitionError, match="call it something else"):
        typed_definitions(declaring(**{"phq9": phq9, name: {"take": "value", "of": "person.age"}}))


def test_a_rule_may_ask_any_definition_that_is_yes_or_no() -> None:
    """Who is left is told by the rule's own words; where it was not recorded it does not hold."""
    holds = Holds(rule="holds", of="tired", says="PHQ-9 of 10 or more")
    tables = world({"patients": PEOPLE, "threat_assessments": ONE_EACH, "measures": SCORES})
    plain = declaring(age={"take": "value", "of": "person.age"})
    tired = {"take": "last", "of": {"score": "phq9"}, "before": "180 days", "at_least": 10}
    rules = plain.target_trial.model_copy(update={"eligibility": (holds,)})
    defined = {**plain.definitions, "tired": Definition.model_validate(tired)}
    under = plain.model_copy(update={"target_trial": rules, "definitions": defined})
    assert sentence(holds) == "PHQ-9 of 10 or more"
    rows = known(tables, under)
    expect(rows.mutate(stays=eligible((holds,), rows)), "ta_id | stays\na | yes\nb | no\nc | no")


SENSELESS: dict[str, tuple[dict[str, Any], str]] = {
    "table": ({"take": "count", "of": "encountres", "before": "ever"}, "did you mean encounters"),
    "column": ({"take": "last", "of": "encounters.statsu", "before": "ever"}, "did you mean status"),
    "no window": ({"take": "count", "of": "encounters"}, "say over which time"),
    "no take": ({"of": "encounters", "before": "ever"}, "say what is taken"),
    "several": ({"take": "value", "of": "encounters.modality", "before": "ever"}, "several rows may be there"),
    "mean of words": ({"take": "mean", "of": "encounters.modality", "before": "ever"}, "a category has no mean"),
    "count of dates": ({"take": "mean", "of": "diagnoses", "before": "ever"}, "rows are counted"),
    "open contact": ({"take": "exists", "of": "encounters", "at": "time_zero"}, "have no end"),
    "level": ({"take": "count", "of": "diagnoses", "same": ("clinician",), "before": "ever"}, "do not name a clinic"),
    "value": (
        {"take": "count", "of": "encounters", "where": {"status": "complete"}, "before": "ever"},
        "no value 'complete'",
    ),
    "later": ({"take": "value", "of": "person.death_date"}, "becomes known later"),
    "is": ({"take": "value", "of": "person.sex", "is": "male"}, "none of its values"),
    "reference": ({"take": "value", "of": "person.sex", "reference": "Q"}, "no value 'Q'"),
    "open values": ({"take": "value", "of": "clinic.state"}, "declared nowhere"),
    "itself": ({"of": "odd"}, "built of itself"),
    "alias of a category": ({"of": "regime"}, "say which value"),
    "zero of a category": ({"take": "value", "of": "person.race_eth", "if_none": "zero"}, "has no zero"),
    "last of what has no values": ({"take": "last", "of": "diagnoses.icd10", "before": "ever"}, "neither goes first"),
    "unknown part": ({"not": "nothing_like_it"}, "no definition is called"),
    "not a number": ({"difference": ("regime", "regime")}, "only numbers"),
    "dated": ({"take": "last", "of": "measures.scheduled_ts", "before": "ever"}, "are dated by admin_ts"),
}


@pytest.mark.parametrize("slip", SENSELESS)
def test_what_makes_no_sense_is_refused_in_words(slip: str) -> None:
    """Each says what is wrong, and begins at the definition."""
    words, says = SENSELESS[slip]
    with pytest.raises(DefinitionError, match=says) as refused:
        typed_definitions(declaring(odd=words))
    assert refused.value.where[0] == "odd"


def test_every_shared_definition_says_what_it_is() -> None:
    """In a clause, out of the definition itself, where nobody wrote one."""
    for name, one in typed_definitions(study()).items():
        clause = said(one)
        assert clause == clause.strip(), name
        assert not clause.endswith("."), name
    phq9 = typed_definitions(study())["phq9"]
    assert said(phq9) == "latest PHQ9 score by the patient, of the person, in the 180 days before time zero"
