"""What counts as the outcome, and what is done about each event that can come between.

Time zero is 10 March 2020, noon. Day 90 is 8 June; its window holds the calendar days from 18 May to 29 June. Endings
are counted to the instant, ratings by calendar days.
"""

from __future__ import annotations

from datetime import datetime

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
from ascii_tables import expect, instruments, occasions, parse, study, world
from asking import rows_of
from ibis.expr import types as ir

from causal.effect.estimate import primary_estimand
from causal.effect.outcomes import apply_estimand, facts_after, later_after, primary_window
from causal.protocol.outcome import Rating, Window

SEVEN_PEOPLE = """
    person_id
    ann
    bob
    cas
    dee
    eve
    fay
    guy
"""


def members(text: str) -> ir.Table:
    """Matched occasions: one per person, all with dr_a and one time zero."""
    rows = [
        row | {"clinician_id": "dr_a", "time_zero": datetime.fromisoformat("2020-03-10 12:00")} for row in parse(text)
    ]
    return ibis.memtable(pa.Table.from_pylist(rows))


def facts(text: str, tables: dict[str, ir.Table]) -> pd.DataFrame:
    """What happened after time zero to the matched occasions, under the flagship study, in their order."""
    found = rows_of(facts_after(members(text), tables, study(), instruments()["wai_sr"])).to_pandas()
    return found.set_index("ta_id").loc[[row["ta_id"] for row in parse(text)]].reset_index()


def outcomes(text: str, tables: dict[str, ir.Table]) -> pd.DataFrame:
    """Their outcomes under the primary estimand."""
    assert isinstance(study().outcome, Rating)
    found = facts(text, tables)
    under = apply_estimand(found, primary_estimand(study()), primary_window(study().outcome))
    return found[["ta_id"]].assign(ended=under.ended, score=under.score, excluded=under.excluded)


def test_rating_nearest_to_the_day() -> None:
    """The rating nearest to day 90, in calendar days, within 21 days either side; of two equally near, the earlier."""
    matched = """
        ta_id    | person_id
        nearest  | ann
        tie      | bob
        one_day  | cas
        edges    | dee
        outside  | eve
        hours    | fay
    """
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": SEVEN_PEOPLE,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-05-30 12:00 | 2
                ann       | 2020-06-09 12:00 | 3
                ann       | 2020-06-11 12:00 | 4
                bob       | 2020-06-10 09:00 | 5
                bob       | 2020-06-06 09:00 | 2
                cas       | 2020-06-08 17:00 | 5
                cas       | 2020-06-08 09:00 | 2
                dee       | 2020-05-18 00:00 | 2
                dee       | 2020-06-29 23:59 | 4
                eve       | 2020-05-17 23:59 | 2
                eve       | 2020-06-30 00:00 | 4
                fay       | 2020-06-07 09:00 | 2
                fay       | 2020-06-08 23:59 | 5
            """,
        }
    )
    expect(
        facts(matched, tables),
        """
            ta_id    | window_score | last_score
            nearest  | 3            | 4
            tie      | 2            | 5
            one_day  | 2            | 5
            edges    | 2            | 4
            outside  | -            | 2
            hours    | 5            | 5
        """,
    )


def test_never_before_time_zero() -> None:
    """A rating at or before time zero is no outcome; one within 72 hours is no last value; nor is a colleague's."""
    matched = """
        ta_id     | person_id
        before    | ann
        at_zero   | bob
        in_grace  | cas
        colleague | dee
        past      | eve
    """
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "clinicians": """
                clinician_id
                dr_a
                dr_b
            """,
            "episodes": SEVEN_PEOPLE,
            "measures": """
                person_id | clinician_id | admin_ts         | items
                ann       | dr_a         | 2020-03-10 11:59 | 2
                bob       | dr_a         | 2020-03-10 12:00 | 3
                cas       | dr_a         | 2020-03-10 12:01 | 4
                dee       | dr_b         | 2020-06-08 12:00 | 5
                eve       | dr_a         | 2020-03-13 12:01 | 4
            """,
        }
    )
    expect(
        facts(matched, tables),
        """
            ta_id     | window_score | last_score
            before    | -            | -
            at_zero   | -            | -
            in_grace  | -            | -
            colleague | -            | -
            past      | -            | 4
        """,
    )


def test_events_between_time_zero_and_the_rating() -> None:
    """Leaving counts as failure, completion keeps the last value, transfer is missing data, death stands apart."""
    matched = """
        ta_id     | person_id
        left      | ann
        lost      | bob
        completed | cas
        transfer  | dee
        died      | eve
        stays     | fay
        silent    | guy
    """
    tables = world(
        {
            "patients": """
                person_id | death_date
                ann       | -
                bob       | -
                cas       | -
                dee       | -
                eve       | 2020-05-01
                fay       | -
                guy       | -
            """,
            "episodes": """
                person_id | end              | end_reason
                ann       | 2020-05-01 12:00 | pt_initiated
                bob       | 2020-05-01 12:00 | lost
                cas       | 2020-05-01 12:00 | completed
                dee       | 2020-05-01 12:00 | transfer
                eve       | 2020-05-01 12:00 | death
                fay       | -                | -
                guy       | -                | -
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-04-01 12:00 | 4
                bob       | 2020-04-01 12:00 | 4
                cas       | 2020-04-01 12:00 | 4
                dee       | 2020-04-01 12:00 | 4
                eve       | 2020-04-01 12:00 | 4
                fay       | 2020-06-01 12:00 | 4
                guy       | 2020-04-01 12:00 | 4
            """,
        }
    )
    expect(
        outcomes(matched, tables),
        """
            ta_id     | ended | score | excluded
            left      | yes   | -     | no
            lost      | yes   | -     | no
            completed | no    | 4     | no
            transfer  | no    | -     | no
            died      | no    | -     | yes
            stays     | no    | 4     | no
            silent    | no    | -     | no
        """,
    )


def test_events_after_the_day_do_not_count() -> None:
    """An end up to day 90 counts, that instant included; later it is no event of this outcome, nor is a later death."""
    matched = """
        ta_id     | person_id
        day_90    | ann
        day_90_on | bob
        died_late | cas
        completes | dee
    """
    tables = world(
        {
            "patients": """
                person_id | death_date
                ann       | -
                bob       | -
                cas       | 2020-06-09
                dee       | -
            """,
            "episodes": """
                person_id | end              | end_reason
                ann       | 2020-06-08 12:00 | pt_initiated
                bob       | 2020-06-08 12:01 | pt_initiated
                cas       | 2020-06-09 12:00 | death
                dee       | 2020-06-09 12:00 | completed
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-06-01 12:00 | 3
                bob       | 2020-06-01 12:00 | 3
                cas       | 2020-06-01 12:00 | 3
                dee       | 2020-04-01 12:00 | 3
            """,
        }
    )
    expect(
        outcomes(matched, tables),
        """
            ta_id     | ended | score | excluded
            day_90    | yes   | -     | no
            day_90_on | no    | 3     | no
            died_late | no    | 3     | no
            completes | no    | -     | no
        """,
    )


def test_a_rating_given_before_leaving_does_not_save_it() -> None:
    """Who rates inside the window and leaves by day 90 has the floor; so has a leaver within the grace window.

    Who comes back to the same clinician by day 90 has not ended the relationship; who comes back later has.
    """
    matched = """
        ta_id    | person_id
        in_grace | ann
        rated    | bob
        returned | cas
        too_late | dee
    """
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": """
                person_id | start            | end              | end_reason
                ann       | 2019-09-10 12:00 | 2020-03-11 12:00 | pt_initiated
                bob       | 2019-09-10 12:00 | 2020-06-05 12:00 | pt_initiated
                cas       | 2019-09-10 12:00 | 2020-04-01 12:00 | pt_initiated
                cas       | 2020-05-01 12:00 | -                | -
                dee       | 2019-09-10 12:00 | 2020-04-01 12:00 | pt_initiated
                dee       | 2020-06-08 12:01 | -                | -
            """,
            "measures": """
                person_id | admin_ts         | items
                bob       | 2020-06-01 12:00 | 5
                cas       | 2020-06-01 12:00 | 5
                dee       | 2020-06-10 12:00 | 5
            """,
        }
    )
    expect(
        outcomes(matched, tables),
        """
            ta_id    | ended | score | excluded
            in_grace | yes   | -     | no
            rated    | yes   | -     | no
            returned | no    | 5     | no
            too_late | yes   | -     | no
        """,
    )


def test_ratings_after_the_end_do_not_count() -> None:
    """A transfer leaves the rating missing even if somebody rated later; so does an end without a recorded reason."""
    matched = """
        ta_id    | person_id
        transfer | ann
        unknown  | bob
        before   | cas
    """
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": """
                person_id | end              | end_reason
                ann       | 2020-03-30 12:00 | transfer
                bob       | 2020-03-30 12:00 | -
                cas       | 2020-06-05 12:00 | transfer
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-06-06 12:00 | 2
                bob       | 2020-06-06 12:00 | 2
                cas       | 2020-06-01 12:00 | 2
                cas       | 2020-06-06 12:00 | 5
            """,
        }
    )
    expect(
        outcomes(matched, tables),
        """
            ta_id    | ended | score | excluded
            transfer | no    | -     | no
            unknown  | no    | -     | no
            before   | no    | 2     | no
        """,
    )


def test_the_first_event_decides() -> None:
    """Who leaves and then dies has left; who dies while in treatment stands apart."""
    matched = """
        ta_id      | person_id
        left_first | ann
        died_in    | bob
        same_day   | cas
    """
    tables = world(
        {
            "patients": """
                person_id | death_date
                ann       | 2020-05-09
                bob       | 2020-05-09
                cas       | 2020-04-09
            """,
            "episodes": """
                person_id | end              | end_reason
                ann       | 2020-04-09 12:00 | pt_initiated
                bob       | -                | -
                cas       | 2020-04-09 12:00 | pt_initiated
            """,
        }
    )
    expect(
        outcomes(matched, tables),
        """
            ta_id      | ended | score | excluded
            left_first | yes   | -     | no
            died_in    | no    | -     | yes
            same_day   | no    | -     | yes
        """,
    )


def test_events_that_are_part_of_the_course() -> None:
    """A stay in hospital over the rating, or a warning about an unwarned person later on, changes no outcome."""
    matched = """
        ta_id     | person_id
        inpatient | ann
        warned    | bob
        neither   | cas
    """
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": SEVEN_PEOPLE,
            "threat_assessments": """
                ta_id     | person_id
                inpatient | ann
                warned    | bob
                neither   | cas
            """,
            "hospitalizations": """
                person_id | admit      | discharge
                ann       | 2020-06-01 | 2020-06-15
            """,
            "protective_actions": """
                ta_id  | person_id | ts
                warned | bob       | 2020-03-30 12:00
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-06-08 12:00 | 3
                bob       | 2020-06-08 12:00 | 3
                cas       | 2020-06-08 12:00 | 3
            """,
        }
    )
    expect(
        outcomes(matched, tables),
        """
            ta_id     | ended | score | excluded
            inpatient | no    | 3     | no
            warned    | no    | 3     | no
            neither   | no    | 3     | no
        """,
    )
    expect(
        occasions(tables),
        """
            ta_id     | treated
            inpatient | no
            warned    | no
            neither   | no
        """,
    )


def at_day(text: str, tables: dict[str, ir.Table], window: Window) -> pd.DataFrame:
    """Facts and later events by another day, in the order of the matched occasions."""
    after = facts_after(members(text), tables, study(), instruments()["wai_sr"], window, subscales=("bond",))
    later = later_after(members(text), tables, study(), window)
    found = rows_of(after.left_join(later, "ta_id").drop("ta_id_right")).to_pandas()
    return found.set_index("ta_id").loc[[row["ta_id"] for row in parse(text)]].reset_index()


def test_another_day_has_its_own_window_and_its_own_end() -> None:
    """By day 30 the rating nearest day 30 counts, and only an end by day 30 has happened; the subscale goes with it."""
    matched = """
        ta_id   | person_id
        rated   | ann
        left    | bob
        resumed | cas
    """
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": """
                person_id | start            | end              | end_reason
                ann       | 2019-09-10 12:00 | -                | -
                bob       | 2019-09-10 12:00 | 2020-04-20 12:00 | pt_initiated
                cas       | 2019-09-10 12:00 | 2020-03-30 12:00 | pt_initiated
                cas       | 2020-05-01 12:00 | -                | -
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-04-09 12:00 | 2
                ann       | 2020-06-08 12:00 | 4
                bob       | 2020-04-10 12:00 | 3
            """,
        }
    )
    early, late = (at_day(matched, tables, w) for w in (Window(day=30, half_width=14), Window(day=90, half_width=21)))
    expect(
        early[["ta_id", "window_score", "subscale_bond", "end_reason"]],
        """
            ta_id   | window_score | subscale_bond | end_reason
            rated   | 2            | 2             | -
            left    | 3            | 3             | pt_initiated
            resumed | -            | -             | pt_initiated
        """,
    )
    estimand, treated = primary_estimand(study()), np.ones(3, dtype=bool)
    by_30 = apply_estimand(early, estimand, Window(day=30, half_width=14), treated)
    by_90 = apply_estimand(late, estimand, Window(day=90, half_width=21), treated)
    assert by_30.ended.tolist() == [False, False, True]
    assert by_90.ended.tolist() == [False, True, False], "who is back by day 90 has not ended"


def test_what_comes_later() -> None:
    """A later warning counts from the end of the grace window on; a stay counts when it touches the window's days."""
    matched = """
        ta_id     | person_id
        warned    | ann
        in_grace  | bob
        other     | cas
        stay      | dee
        discharged| eve
        open_stay | fay
    """
    tables = world(
        {
            "patients": SEVEN_PEOPLE,
            "episodes": SEVEN_PEOPLE,
            "threat_assessments": """
                ta_id | person_id | ts
                t1    | ann       | 2020-03-10 12:00
            """,
            "protective_actions": """
                action_id | person_id | ta_id | ts               | action
                a1        | ann       | -     | 2020-04-09 12:00 | warn_police
                a2        | ann       | -     | 2020-05-09 12:00 | warn_police
                a3        | bob       | -     | 2020-03-13 12:00 | warn_police
                a4        | cas       | -     | 2020-04-09 12:00 | intensify
            """,
            "hospitalizations": """
                person_id | admit      | discharge
                dee       | 2020-05-01 | 2020-05-18
                eve       | 2020-05-01 | 2020-05-17
                fay       | 2020-06-29 | -
            """,
        }
    )
    found = at_day(matched, tables, Window(day=90, half_width=21))
    assert found["treated_later_after_days"].fillna(-1).tolist() == [30.0, -1, -1, -1, -1, -1]
    assert found["inpatient_in_window"].tolist() == [False, False, False, True, False, True]
