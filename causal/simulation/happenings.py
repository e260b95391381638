"""What is recorded of one chunk of people, as arrays: drawn here, in this order, and laid out as tables elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

from causal.simulation.scene import Scene
from causal.simulation.tables_contacts import Contacts, Forms, all_forms, contacts, second_provider
from causal.simulation.tables_people import Diagnoses, Registrations, Stays, diagnoses, registrations, stays
from causal.simulation.tables_threat import Actions, Assessments, actions, assessments


@dataclass(frozen=True, slots=True, kw_only=True)
class Happenings:
    """All that is drawn for the record of one chunk besides its course."""

    registrations: Registrations
    contacts: Contacts
    assessments: Assessments
    actions: Actions
    forms: tuple[Forms, ...]
    diagnoses: Diagnoses
    stays: Stays


def happenings(scene: Scene) -> Happenings:
    """Draw what is recorded; the order of the draws is part of the process, so that a seed keeps its extract."""
    second = second_provider(scene)
    registered, met, assessed = registrations(scene), contacts(scene, second), assessments(scene)
    return Happenings(
        registrations=registered,
        contacts=met,
        assessments=assessed,
        actions=actions(scene, assessed),
        forms=all_forms(scene, second),
        diagnoses=diagnoses(scene),
        stays=stays(scene),
    )
