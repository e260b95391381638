"""Candidate occasions: every assessment, with its time zero, its strategy and the regime in force.

Relational expressions only. A row is one assessment; `treated` is the strategy observed by the end of the grace window,
of the relationship or of life, whichever comes first. Nobody is removed here for what happens after time zero: a
patient who leaves or dies within the grace window stays, as an outcome.
"""

from __future__ import annotations

import ibis
import ibis.expr.types as ir

from causal.cohort.clock import before, elapsed, last_moment, on_the_clock_of, placed, zones
from causal.protocol import OccasionStudy
from causal.tables import ACTIONS, SET_ASIDE

HOLDS = ("hold_vol", "hold_invol")
PLACED = ("time_zero", "day_zero", "zero_first", "zero_last", "zone")
"""Time zero and the columns of `placed`."""


def assessments(tables: dict[str, ir.Table]) -> ir.Table:
    """One row per assessment with its dyad, clinic, person and regime at the date of time zero.

    Columns: ta_id, person_id, clinician_id, clinic_id, time_zero and what `placed` adds to it, the assessment's
    content, birth_year, sex, death_date, on_record (person, clinician and clinic are all in the extract), died_before
    (a death recorded before the day of time zero), n_regimes (regimes in force: 1 unless the table has a gap or an
    overlap) and regime (null unless there is exactly one).
    """
    ta = tables["threat_assessments"]
    people = tables["patients"].select("person_id", "birth_year", "sex", "death_date")
    clinicians = tables["clinicians"].select("clinician_id", "clinic_id", "profession")
    clinics = tables["clinics"].select("clinic_id", "state")
    base = (
        placed(ta.rename(time_zero="ts"), tables)
        .left_join(people, "person_id")
        .drop("person_id_right")
        .left_join(clinicians, "clinician_id")
        .drop("clinician_id_right")
        .left_join(clinics, "clinic_id")
        .drop("clinic_id_right")
    )
    base = base.mutate(
        on_record=base.birth_year.notnull() & base.state.notnull(),
        died_before=base.death_date.notnull() & (base.death_date < base.day_zero),
    )
    return base.left_join(_regime_at(base, tables["jurisdiction_regime"]), "ta_id").drop("ta_id_right")


def _regime_at(base: ir.Table, regimes: ir.Table) -> ir.Table:
    """The regime in force on the day of time zero; a row for the profession goes before one for any profession."""
    r = regimes.select("state", "valid_from", "valid_to", "regime", regime_profession=regimes.profession)
    in_force = base.join(
        r,
        [
            base.state == r.state,
            (r.regime_profession == base.profession) | (r.regime_profession == "any"),
            r.valid_from <= base.day_zero,
            r.valid_to.isnull() | (r.valid_to >= base.day_zero),
        ],
    ).select("ta_id", "regime", specific=(r.regime_profession == base.profession).cast("int8"))
    ranked = in_force.mutate(best=in_force.specific.max().over(ibis.window(group_by="ta_id")))
    chosen = ranked.filter(ranked.specific == ranked.best)
    return chosen.group_by("ta_id").aggregate(
        n_regimes=chosen.count().cast("int64"),
        regime=ibis.ifelse(chosen.count() == 1, chosen.regime.max(), None),
    )


def linked_actions(tables: dict[str, ir.Table], base: ir.Table) -> ir.Table:
    """Protective actions with the assessment they answer, not certainly before its time zero.

    An action that names no assessment belongs to the person's latest assessment at or before it; where dates leave
    open which that is, to each it may be.
    Columns: action_id, ta_id, the columns of `placed`, action, action_ts, patient_informed, named.
    """
    actions = tables["protective_actions"].select(
        "action_id", "person_id", "action", "patient_informed", action_ts="ts", named_ta="ta_id"
    )
    in_turn = ibis.window(group_by="person_id", order_by=["time_zero", "ta_id"])
    times = base.select("ta_id", "person_id", *PLACED).mutate(next_zero=lambda t: t.zero_last.lead().over(in_turn))
    joined = times.inner_join(actions, "person_id")
    belongs = (joined.named_ta == joined.ta_id) | (
        joined.named_ta.isnull() & (joined.next_zero.isnull() | (joined.action_ts < joined.next_zero))
    )
    return joined.filter(belongs & ~before(joined.action_ts, joined)).select(
        "action_id", "ta_id", *PLACED, "action", "action_ts", "patient_informed", named=joined.named_ta.notnull()
    )


def open_episode(tables: dict[str, ir.Table], base: ir.Table) -> ir.Table:
    """The relationship of the assessing dyad open at time zero, latest start first: at most one row per occasion.

    Columns: ta_id, episode_start, episode_end. Why it ended belongs to outcomes and is not read here.
    """
    episodes = tables["episodes"].select("person_id", "clinician_id", episode_start="start", episode_end="end")
    dyads = base.select("ta_id", "person_id", "clinician_id", *PLACED)
    joined = dyads.inner_join(episodes, ["person_id", "clinician_id"])
    open_now = joined.filter(
        before(joined.episode_start, joined) & (joined.episode_end.isnull() | ~before(joined.episode_end, joined))
    )
    latest = open_now.mutate(
        rank=ibis.row_number().over(
            ibis.window(group_by="ta_id", order_by=[ibis.desc("episode_start"), ibis.desc("episode_end")])
        )
    )
    return latest.filter(latest.rank == 0).select("ta_id", "episode_start", "episode_end")


def candidate_occasions(base: ir.Table, tables: dict[str, ir.Table], study: OccasionStudy) -> ir.Table:
    """Every assessment with its strategy; the grain and the row set are those of `base`, the table of `assessments`.

    Many parts build on `base`: keep it on the engine first, or each of them derives it anew.

    Adds to `assessments`: treated, recipient, patient_informed (versions of the exposure, null when untreated),
    exposure_unclear (see `unclear_exposure`),
    same_day_hold, prior_exposure (an action of the treated strategy dated before time zero), episode_start,
    in_relationship, ended_in_grace (the relationship ended, or the person died, inside the grace window; a censoring
    fact, kept).
    """
    treated_actions = study.target_trial.strategies.treated.actions
    grace_hours = study.target_trial.strategies.treated.grace_hours
    episode = open_episode(tables, base)
    actions = linked_actions(tables, base)
    taken = _observed(actions.filter(actions.action.isin(treated_actions)), base, episode, grace_hours)
    strategy = taken.group_by("ta_id").aggregate(
        n_recipients=taken.action.nunique(),
        first_action=taken.action.min(),
        patient_informed=taken.patient_informed.min(),
    )
    held = actions.filter(actions.action.isin(HOLDS) & (actions.action_ts.date() == actions.day_zero))
    holds = held.group_by("ta_id").aggregate(n_holds=held.count())
    earlier = _earlier_exposure(tables, base, treated_actions)
    unclear = unclear_exposure(tables, base, treated_actions, grace_hours)
    joined = base
    for part in (strategy, unclear, holds, earlier, episode):
        joined = joined.left_join(part, "ta_id").drop("ta_id_right")
    closes = elapsed(joined, grace_hours)
    ended = joined.episode_end.notnull() & (joined.episode_end <= closes)
    died = joined.death_date.notnull() & (joined.death_date >= joined.day_zero) & (joined.death_date < closes.date())
    return joined.mutate(
        treated=joined.first_action.notnull(),
        recipient=ibis.ifelse(joined.n_recipients > 1, "several", joined.first_action),
        same_day_hold=joined.n_holds.notnull(),
        prior_exposure=joined.n_earlier.notnull(),
        exposure_unclear=joined.n_unclear.notnull(),
        in_relationship=joined.episode_start.notnull(),
        ended_in_grace=ended | died,
    ).drop(
        *("n_recipients", "first_action", "n_holds", "n_earlier", "n_unclear", "episode_end", "death_date"),
        *("profession", "state"),
    )


def _observed(actions: ir.Table, base: ir.Table, episode: ir.Table, grace_hours: int) -> ir.Table:
    """Linked actions by the end of the grace window, of the relationship and of life, whichever comes first.

    What carries a date only counts to the end of that day.
    """
    lasting = base.select("ta_id", "death_date").left_join(episode.select("ta_id", "episode_end"), "ta_id")
    known = actions.left_join(lasting.drop("ta_id_right"), "ta_id").drop("ta_id_right")
    return known.filter(
        (known.action_ts <= elapsed(known, grace_hours))
        & (known.episode_end.isnull() | (known.action_ts <= last_moment(known.episode_end)))
        & (known.death_date.isnull() | (known.action_ts.date() <= known.death_date))
    )


def actions_of_person(tables: dict[str, ir.Table], base: ir.Table, treated_actions: tuple[str, ...]) -> ir.Table:
    """Every action of the treated strategy beside every assessment of its person, on the clock of that assessment.

    Columns: ta_id, the columns of `placed`, action_ts. An action that names no assessment has no clock of its own.
    """
    whose = tables["threat_assessments"].select(named_ta="ta_id", clinician_id="clinician_id")
    clocks = whose.inner_join(zones(tables), "clinician_id").select("named_ta", own_zone="zone")
    actions = tables["protective_actions"]
    taken = actions.filter(actions.action.isin(treated_actions)).select("person_id", action_ts="ts", named_ta="ta_id")
    taken = taken.left_join(clocks, "named_ta").drop("named_ta_right")
    joined = base.select("ta_id", "person_id", *PLACED).inner_join(taken, "person_id")
    shown = on_the_clock_of(joined.action_ts, joined.own_zone, joined.zone)
    return joined.mutate(action_ts=shown).drop("own_zone", "named_ta", "person_id")


def _earlier_exposure(tables: dict[str, ir.Table], base: ir.Table, treated_actions: tuple[str, ...]) -> ir.Table:
    taken = actions_of_person(tables, base, treated_actions)
    earlier = taken.filter(before(taken.action_ts, taken))
    return earlier.group_by("ta_id").aggregate(n_earlier=earlier.count())


def unclear_exposure(
    tables: dict[str, ir.Table], base: ir.Table, treated_actions: tuple[str, ...], grace_hours: int
) -> ir.Table:
    """Occasions of which the records do not say clearly whether the treated strategy followed: ta_id, n_unclear.

    The person received it within this occasion's grace window through another assessment, so that the occasion belongs
    to neither strategy; or one action may answer several assessments, because a date leaves their order open; or an
    action row about the person was set aside by validation, or names an assessment of somebody else, so that what
    happened is not known. Calling such an occasion untreated would put people with a disclosure among those without.
    """
    elsewhere = _exposed_through_another(tables, base, treated_actions, grace_hours)
    people = _people_with_doubtful_actions(tables, treated_actions)
    doubtful = base.semi_join(people, "person_id").select("ta_id")
    found = ibis.union(elsewhere, doubtful, distinct=True)
    return found.group_by("ta_id").aggregate(n_unclear=found.count())


def _exposed_through_another(
    tables: dict[str, ir.Table], base: ir.Table, treated_actions: tuple[str, ...], grace_hours: int
) -> ir.Table:
    taken = actions_of_person(tables, base, treated_actions)
    received = taken.filter(~before(taken.action_ts, taken) & (taken.action_ts <= elapsed(taken, grace_hours)))
    linked = linked_actions(tables, base)
    credited = linked.filter(linked.action.isin(treated_actions) & (linked.action_ts <= elapsed(linked, grace_hours)))
    answers = credited.mutate(n_answered=credited.count().over(ibis.window(group_by="action_id")))
    by_person = received.group_by("ta_id").aggregate(n_received=received.count())
    by_occasion = answers.group_by("ta_id").aggregate(
        n_credited=answers.count(), n_shared=(~answers.named & (answers.n_answered > 1)).sum()
    )
    both = by_person.left_join(by_occasion, "ta_id").drop("ta_id_right")
    unclear = (both.n_received > both.n_credited.fill_null(0)) | (both.n_shared.fill_null(0) > 0)
    return both.filter(unclear).select("ta_id")


def _people_with_doubtful_actions(tables: dict[str, ir.Table], treated_actions: tuple[str, ...]) -> ir.Table:
    """People with an action set aside that may have been the strategy, or one naming somebody else's assessment."""
    whose = tables["threat_assessments"].select("ta_id", assessed="person_id")
    actions = tables["protective_actions"].select("person_id", "ta_id", "action")
    named = actions.filter(actions.action.isin(treated_actions)).inner_join(whose, "ta_id")
    crossed = named.filter(named.person_id != named.assessed)
    found = ibis.union(crossed.select("person_id"), crossed.select(person_id="assessed"))
    if SET_ASIDE in tables:
        lost = tables[SET_ASIDE].select("person_id", "ta_id", "action")
        # A code that nobody declared says no more than none at all.
        lost = lost.filter(lost.action.isnull() | lost.action.isin(treated_actions) | lost.action.notin(ACTIONS))
        lost_named = lost.select("ta_id").inner_join(whose, "ta_id")
        found = ibis.union(found, lost.select("person_id"), lost_named.select(person_id="assessed"))
    return found.filter(found.person_id.notnull()).distinct()
