"""When a record can have happened, beside an occasion's time zero.

A time is what the clock on the wall of a clinic showed. Three things keep a row from being before or after time zero
for certain, and each is settled here:

- Midnight is a date. A row at 00:00 may have happened at any moment of its day, so on the day of time zero it is
  neither before nor after. (`validation.grain` makes every time of a column midnight where most of them are.)
- An hour that the clock shows twice, when it is put back, is not known to be the first or the second.
- Another clinic has another clock: its times are read on that of the assessing clinic.

Days are calendar days of the assessing clinic; hours are elapsed hours, so that 72 of them over a change of the clock
are 71 or 73 on the wall.
"""

from __future__ import annotations

import datetime

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

_WHOLE_DAY = datetime.timedelta(days=1) - datetime.timedelta(microseconds=1)
_WHOLE_HOUR = datetime.timedelta(hours=1) - datetime.timedelta(microseconds=1)
_UTC = dt.Timestamp(timezone="UTC")


def _timezone(zone: str, at: datetime.datetime) -> datetime.datetime:  # type: ignore[empty-body]
    """The engine's own function, of which only the name and the types are said here."""


# DuckDB and PostgreSQL have one function for both ways: from what the clock of a zone shows to the instant, and from
# an instant to what the clock shows. Of an hour shown twice they take the second; a time that the clock skipped is
# read as if it had not been put forward.
_instant = ibis.udf.scalar.builtin(_timezone, name="timezone", signature=((dt.string, dt.timestamp), _UTC))
_clock = ibis.udf.scalar.builtin(_timezone, name="timezone", signature=((dt.string, _UTC), dt.timestamp))


def zones(tables: dict[str, ir.Table]) -> ir.Table:
    """The IANA zone in which each clinician's times are written: clinician_id, zone."""
    clinics = tables["clinics"].select("clinic_id", zone="tz")
    return tables["clinicians"].select("clinician_id", "clinic_id").inner_join(clinics, "clinic_id").drop("clinic_id")


def placed(occasions: ir.Table, tables: dict[str, ir.Table]) -> ir.Table:
    """Occasions (clinician_id, time_zero, …) with what time zero is compared with.

    Adds zone (null where the clinic is not on record), day_zero (its calendar day), and zero_first and zero_last: the
    first and the last moment at which time zero can have been. They are one but for a midnight, whose day they span,
    and for an hour shown twice.
    """
    known = occasions.left_join(zones(tables), "clinician_id").drop("clinician_id_right")
    at = known.time_zero
    an_hour_earlier = _clock(known.zone, _instant(known.zone, at) - ibis.interval(hours=1))
    day, hour = at.truncate("D"), at.truncate("h")
    twice = (an_hour_earlier == at).fill_null(False)
    first = ibis.cases((is_midnight(at), day), (twice, hour), else_=at)
    last = ibis.cases(
        (is_midnight(at), day + ibis.interval(_WHOLE_DAY)), (twice, hour + ibis.interval(_WHOLE_HOUR)), else_=at
    )
    return known.mutate(day_zero=at.date(), zero_first=first, zero_last=last)


def is_midnight(at: ir.TimestampValue) -> ir.BooleanValue:
    """Whether a time is a date: at 00:00 to the last digit."""
    return at == at.truncate("D")


def last_moment(at: ir.TimestampValue) -> ir.TimestampValue:
    """The last moment at which it can have been: the end of the day for a midnight."""
    return ibis.ifelse(is_midnight(at), at + ibis.interval(_WHOLE_DAY), at)


def skipped(at: ir.TimestampValue, zone: ir.StringValue) -> ir.BooleanValue:
    """Whether the clock of the zone never showed `at`, because it was put forward past it; a date is no such time."""
    return (_clock(zone, _instant(zone, at)) != at) & ~is_midnight(at)


def before(at: ir.TimestampValue, occasion: ir.Table) -> ir.BooleanValue:
    """Whether `at` is before time zero for certain; `occasion` has the columns of `placed`."""
    return (at < occasion.zero_first) & (at != occasion.day_zero.cast("timestamp"))


def after(at: ir.TimestampValue, occasion: ir.Table) -> ir.BooleanValue:
    """Whether `at` is after time zero for certain."""
    return at > occasion.zero_last


def since(at: ir.TimestampValue, occasion: ir.Table, days: int) -> ir.BooleanValue:
    """Whether `at` is at most so many calendar days before time zero, the far end included; midnight is all its day."""
    reach = ibis.interval(days=days)
    return (at >= occasion.zero_first - reach) | (at == occasion.day_zero.cast("timestamp") - reach)


def reach(at: ir.TimestampValue, occasion: ir.Table) -> ir.IntegerValue:
    """The fewest days `since` which a time before time zero is: ``since(at, o, n)`` is ``reach(at, o) <= n``.

    One number a row, where many windows ask.
    """
    day = 24 * 60 * 60 * 10**6
    gone = occasion.zero_first.delta(at, unit="microsecond")
    days = (gone + (day - 1)) // day
    return ibis.ifelse(is_midnight(at), occasion.day_zero.delta(at.date(), unit="day"), days).cast("int32")


def elapsed(occasion: ir.Table, hours: int) -> ir.TimestampValue:
    """What the assessing clinic's clock shows so many hours after the last moment of time zero."""
    wait = ibis.interval(hours=hours)
    shown: ir.TimestampValue = _clock(occasion.zone, _instant(occasion.zone, occasion.zero_last) + wait)
    return ibis.coalesce(shown, occasion.zero_last + wait)  # a clinic not on record has no zone


def on_the_clock_of(at: ir.TimestampValue, zone: ir.StringValue, there: ir.StringValue) -> ir.TimestampValue:
    """A time on the clock of `zone` as the clock of `there` shows it; a date stays the date it is.

    Where one of the zones is not known it stays as it is.
    """
    same = (zone == there) | zone.isnull() | there.isnull() | is_midnight(at)
    return ibis.ifelse(same, at, _clock(there, _instant(zone, at)))
