"""What counts as before and as after: dates, hours that a clock shows twice or never, and clinics with another clock.

Time zero is 10 March 2020, noon, at a clinic in California, wherever a test does not say otherwise. Clocks there were
put forward on 8 March 2020 at 02:00 and back on 1 November 2020 at 02:00.
"""

from __future__ import annotations

from ascii_tables import expect, instruments, kept, known, occasions, study, world

from causal.effect.outcomes import facts_after, later_after
from causal.protocol.outcome import Window

PEOPLE = """
    person_id
    ann
    bob
    cas
    dee
    eve
"""


def test_a_rating_of_the_day_is_not_before_it() -> None:
    """A form dated to the day may have been filled in after noon; the day thirty days back is all in the window."""
    tables = world(
        {
            "patients": PEOPLE,
            "threat_assessments": """
                ta_id    | person_id
                the_day  | ann
                before   | bob
                far_edge | cas
                beyond   | dee
                symptoms | eve
            """,
            "measures": """
                person_id | admin_ts         | instrument | version | items
                ann       | 2020-03-10 00:00 | wai_sr     | client  | 1
                bob       | 2020-03-09 00:00 | wai_sr     | client  | 2
                cas       | 2020-02-09 00:00 | wai_sr     | client  | 3
                dee       | 2020-02-08 00:00 | wai_sr     | client  | 4
                eve       | 2020-03-10 00:00 | phq9       | std     | 3
            """,
            "encounters": """
                person_id | start_ts
                ann       | 2020-03-10 00:00
                bob       | 2020-03-09 00:00
                cas       | 2019-12-11 00:00
                dee       | 2019-12-10 00:00
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id    | alliance_lag1 | alliance_lag2 | phq9 | rule_ratings | visits_90d
            the_day  | -             | -             | -    | 0         | 0
            before   | 2             | -             | -    | 1         | 1
            far_edge | 3             | -             | -    | 1         | 1
            beyond   | -             | 4             | -    | 1         | 0
            symptoms | -             | -             | -    | 0         | 0
        """,
    )


def test_an_assessment_dated_to_the_day_knows_the_days_before_only() -> None:
    """Whatever carries a time of that day is neither before it nor after it; what the day brought answers it."""
    tables = world(
        {
            "patients": PEOPLE,
            "threat_assessments": """
                ta_id  | person_id | ts
                first  | ann       | 2020-03-10 00:00
                second | ann       | 2020-03-10 00:00
                warned | bob       | 2020-03-10 00:00
                third  | cas       | 2020-03-10 00:00
                late   | dee       | 2020-03-10 00:00
            """,
            "measures": """
                person_id | admin_ts         | items
                bob       | 2020-03-09 23:59 | 2
                bob       | 2020-03-10 09:00 | 5
            """,
            "protective_actions": """
                person_id | ta_id  | ts
                bob       | warned | 2020-03-10 00:00
                cas       | third  | 2020-03-13 00:00
                dee       | late   | 2020-03-14 00:00
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id  | prior_assessments | alliance_lag1 | treated | prior_exposure | exposure_unclear
            first  | 0                 | -             | no      | no             | no
            second | 0                 | -             | no      | no             | no
            warned | 0                 | 2             | yes     | no             | no
            third  | 0                 | -             | yes     | no             | no
            late   | 0                 | -             | no      | no             | no
        """,
    )


def test_one_action_that_may_answer_two_assessments_is_unclear() -> None:
    """Both on the day of an unlinked action: which it answers is not known, whatever the ids; a link settles it."""
    tables = world(
        {
            "patients": PEOPLE,
            "threat_assessments": """
                ta_id   | person_id | ts
                morning | ann       | 2020-03-10 10:00
                evening | ann       | 2020-03-10 18:00
                linked  | bob       | 2020-03-10 10:00
                other   | bob       | 2020-06-10 10:00
            """,
            "protective_actions": """
                person_id | ta_id  | ts
                ann       | -      | 2020-03-10 00:00
                bob       | linked | 2020-03-10 00:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id   | treated | exposure_unclear | prior_exposure
            morning | yes     | yes              | no
            evening | yes     | yes              | no
            linked  | yes     | no               | no
            other   | no      | no               | yes
        """,
    )


def test_72_hours_are_elapsed_hours() -> None:
    """Over a clock put forward they end at 13:00 three days later, over one put back at 11:00."""
    tables = world(
        {
            "patients": PEOPLE,
            "threat_assessments": """
                ta_id     | person_id | ts
                in_spring | ann       | 2020-03-06 12:00
                too_late  | bob       | 2020-03-06 12:00
                in_autumn | cas       | 2020-10-30 12:00
                past      | dee       | 2020-10-30 12:00
                ordinary  | eve       | 2020-06-01 12:00
            """,
            "protective_actions": """
                person_id | ta_id     | ts
                ann       | in_spring | 2020-03-09 13:00
                bob       | too_late  | 2020-03-09 13:01
                cas       | in_autumn | 2020-11-02 11:00
                dee       | past      | 2020-11-02 11:01
                eve       | ordinary  | 2020-06-04 12:00
            """,
        }
    )
    expect(
        occasions(tables),
        """
            ta_id     | treated
            in_spring | yes
            too_late  | no
            in_autumn | yes
            past      | no
            ordinary  | yes
        """,
    )
    members = kept(occasions(tables).select("ta_id", "person_id", "clinician_id", "time_zero"))
    later = later_after(members, tables, study(), Window(day=90, half_width=21))
    expect(
        kept(later.mutate(later=later.treated_later_after_days.notnull())),
        """
            ta_id     | later
            in_spring | no
            too_late  | yes
            in_autumn | no
            past      | yes
            ordinary  | no
        """,
    )


def test_an_hour_shown_twice_has_no_order() -> None:
    """Of two times in it nobody knows which came first, so neither is before and neither is after."""
    tables = world(
        {
            "patients": PEOPLE,
            "threat_assessments": """
                ta_id  | person_id | ts
                inside | ann       | 2020-11-01 01:30
                sooner | bob       | 2020-11-01 01:30
                later  | cas       | 2020-11-01 02:00
            """,
            "episodes": "person_id\nann\nbob\ncas",
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-11-01 01:10 | 3
                ann       | 2020-11-01 01:50 | 3
                bob       | 2020-11-01 00:59 | 2
                cas       | 2020-11-01 01:59 | 4
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id  | alliance_lag1
            inside | -
            sooner | 2
            later  | 4
        """,
    )
    members = kept(occasions(tables).select("ta_id", "person_id", "clinician_id", "time_zero"))
    after = facts_after(members, tables, study(), instruments()["wai_sr"], Window(day=0, half_width=0))
    expect(
        kept(after),
        """
            ta_id  | window_score
            inside | -
            sooner | -
            later  | -
        """,
    )


def test_another_clinic_keeps_another_clock() -> None:
    """A form or an earlier assessment at a clinic in New York is read on the clock of the assessing one."""
    tables = world(
        {
            "patients": PEOPLE,
            "clinics": """
                clinic_id | tz
                north     | America/Los_Angeles
                east      | America/New_York
            """,
            "clinicians": """
                clinician_id | clinic_id
                dr_a         | north
                dr_e         | east
            """,
            "threat_assessments": """
                ta_id  | person_id | clinician_id | ts
                west   | ann       | dr_a         | 2020-03-10 12:00
                east   | bob       | dr_e         | 2020-03-10 12:00
                second | cas       | dr_a         | 2020-03-10 12:00
                first  | cas       | dr_e         | 2020-03-10 14:30
                dated  | dee       | dr_e         | 2020-03-10 12:00
            """,
            "episodes": """
                person_id | clinician_id
                ann       | dr_a
                bob       | dr_e
            """,
            "measures": """
                person_id | clinician_id | admin_ts         | instrument | version | items
                ann       | dr_e         | 2020-03-10 14:30 | phq9       | std     | 1
                bob       | dr_a         | 2020-03-10 11:30 | phq9       | std     | 2
                dee       | dr_a         | 2020-03-09 00:00 | phq9       | std     | 3
            """,
            "protective_actions": """
                person_id | ta_id | ts
                cas       | first | 2020-03-10 14:45
            """,
        }
    )
    expect(
        known(tables),
        """
            ta_id  | phq9 | prior_assessments | treated | prior_exposure
            west   | 9    | 0                 | no      | no
            east   | -    | 0                 | no      | no
            second | -    | 1                 | no      | yes
            first  | -    | 0                 | yes     | no
            dated  | 27   | 0                 | no      | no
        """,
    )


def test_death_ends_the_arm() -> None:
    """A warning recorded after a recorded death is no strategy of the dead, though nobody closed the episode."""
    tables = world(
        {
            "patients": """
                person_id | death_date
                ann       | 2020-03-11
                bob       | 2020-03-12
                cas       | -
                dee       | 2020-03-14
                eve       | 2020-03-20
            """,
            "threat_assessments": """
                ta_id      | person_id
                after      | ann
                on_the_day | bob
                alive      | cas
                too_late   | dee
                lives_on   | eve
            """,
            "protective_actions": """
                person_id | ta_id      | ts
                ann       | after      | 2020-03-12 09:00
                bob       | on_the_day | 2020-03-12 09:00
                cas       | alive      | 2020-03-12 09:00
                eve       | lives_on   | 2020-03-12 09:00
            """,
            "episodes": "person_id\nann\nbob\ncas\ndee\neve",
        }
    )
    expect(
        occasions(tables),
        """
            ta_id      | treated | ended_in_grace
            after      | no      | yes
            on_the_day | yes     | yes
            alive      | yes     | no
            too_late   | no      | no
            lives_on   | yes     | no
        """,
    )


def test_follow_up_is_after_the_day_and_before_death() -> None:
    """A rating of the day of time zero follows nothing; one after a death is nobody's; the day of the end is within."""
    tables = world(
        {
            "patients": """
                person_id | death_date
                ann       | -
                bob       | 2020-03-15
                cas       | -
            """,
            "threat_assessments": "ta_id | person_id\nann | ann\nbob | bob\ncas | cas",
            "episodes": """
                person_id | end              | end_reason
                ann       | -                | -
                bob       | -                | -
                cas       | 2020-03-20 00:00 | transfer
            """,
            "measures": """
                person_id | admin_ts         | items
                ann       | 2020-03-10 00:00 | 1
                bob       | 2020-03-15 09:00 | 2
                bob       | 2020-03-16 09:00 | 3
                cas       | 2020-03-20 09:00 | 4
                cas       | 2020-03-21 00:00 | 5
            """,
        }
    )
    members = kept(occasions(tables).select("ta_id", "person_id", "clinician_id", "time_zero"))
    after = facts_after(members, tables, study(), instruments()["wai_sr"], Window(day=6, half_width=6))
    expect(
        kept(after),
        """
            ta_id | window_score | last_score | ended_after_days
            ann   | -            | -          | -
            bob   | 2            | 2          | -
            cas   | 4            | 4          | 9.5
        """,
    )
