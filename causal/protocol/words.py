"""The nouns of one study: what its pages call the cases, the groups, the treatment, the people and the outcome."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from causal.protocol.base import Name, Part, PlacedError, Says

Phrase = Annotated[str, StringConstraints(min_length=1, max_length=60), Says(verbatim=True)]
"""A few words that fit into a sentence, in lower case: "a home visit", "visited"."""

SEVERAL = "several"
"""The value of the version `recipient` where more than one action was taken."""
TOGETHER = (
    ("unit", "units", "units_in_full"),
    ("treated", "untreated"),
    ("event", "no_event", "earlier_event"),
    ("person", "a_person", "persons"),
    ("outcome", "their_outcome", "rating", "ratings"),
)
"""Words that stand side by side in sentences: a study declares all of a row or none of it."""


class Words(Part):
    """What a study's pages call things. No number depends on it; what is not declared is said in neutral words."""

    unit: Phrase = "occasion"
    """One eligible decision point. For example: assessment."""
    units: Phrase = "occasions"
    """Several decision points. For example: assessments."""
    units_in_full: Phrase = "occasions"
    """All decision points that the extract holds. For example: structured assessments of need."""
    clinician: Phrase = "this clinician"
    """With whom the relationship is. For example: the assessing clinician."""
    treated: Phrase = "treated"
    """What is said of the treated, before a noun. For example: visited."""
    untreated: Phrase = "untreated"
    """What is said of the comparison, before a noun. For example: unvisited."""
    event: Phrase = "the treatment"
    """What the treated had, with its article. For example: a home visit."""
    no_event: Phrase = "no treatment"
    """What the comparison had instead. For example: no home visit."""
    earlier_event: Phrase = "earlier treatment of this person"
    """What the rule `no_prior_exposure` rules out. For example: earlier home visit to this person."""
    person: Phrase = "patient"
    """One of the people studied."""
    a_person: Phrase = "a patient"
    """One of the people studied, with the article."""
    persons: Phrase = "patients"
    """Several of the people studied."""
    outcome: Phrase = "the outcome"
    """What is rated. For example: confidence."""
    their_outcome: Phrase = "the outcome"
    """What is rated, as those who rate it have it. For example: their confidence."""
    rating: Phrase = "rating"
    """One rating. For example: confidence rating."""
    ratings: Phrase = "ratings"
    """Several ratings. For example: confidence ratings."""
    actions: Annotated[dict[Name, Phrase], Says(empty="by their codes")] = Field(default_factory=dict)
    """What the actions of the treated strategy, and `several` of them, are called where its versions are told.

    One without a word is called by its code, underscores as blanks."""
    versions: Annotated[dict[Name, Phrase], Says(empty="by their names")] = Field(default_factory=dict)
    """What the versions of the exposure are called, by their names. For example: who was told, for `recipient`."""

    @model_validator(mode="after")
    def _together(self) -> Self:
        """Words that stand side by side are declared together."""
        for row in TOGETHER:
            said = [key for key in row if key in self.model_fields_set]
            if said and (missing := [key for key in row if key not in self.model_fields_set]):
                raise PlacedError(f"{' and '.join(missing)} must be said where {said[0]} is", said[0])
        return self

    def __hash__(self) -> int:
        """Of what is said: pydantic's own fails on dictionaries."""
        return hash(self.model_dump_json())

    def action(self, code: str) -> str:
        """What an action on record is called.

        >>> Words(actions={"family_contact": "the family"}).action("family_contact"), Words().action("family_contact")
        ('the family', 'family contact')
        """
        return self.actions.get(code, "several actions" if code == SEVERAL else code.replace("_", " "))

    def version(self, name: str) -> str:
        """What a version of the exposure is called.

        >>> Words().version("recipient"), Words().version("patient_informed")
        ('Action taken', 'When the patient was told')
        """
        neutral = {"recipient": "Action taken", "patient_informed": f"When the {self.person} was told"}
        return self.versions.get(name, neutral.get(name, name.replace("_", " ")))


NEUTRAL = Words()
"""The words of a study that declares none."""
