"""Why a figure is withheld: every rule of disclosure with its one sentence.

A figure that is withheld carries the reason of the rule that fired, so that no page can print another one. A table says
once what its withheld cells have in common.
"""

from __future__ import annotations

from enum import Enum

from validation.disclosure.profile import LEAST_DF


class Withheld(Enum):
    """Each rule for which something is not shown; its value is the sentence, with the threshold still open."""

    COUNT = "a count of {few}, or one from which such a count could be worked out"
    FIGURE = "it would tell a count of {few}"
    UNKNOWN_KIND = "nobody has declared what kind of number it is, so nobody can say what it would tell"
    UNCOUNTED = "it is not known how many occasions stand behind it"
    FACT = "it would speak of a fact whose balance is withheld"
    FEW_OCCASIONS = "fewer than {threshold} occasions of a group stand behind it"
    FEW_FREEDOM = "it leaves fewer than {freedom} degrees of freedom, so it would tell of single occasions"
    FEW_ENDINGS = "in one of the groups {few} ended treatment, or all but {few} did"
    FEW_APART = "set against another difference shown here, it would tell of {few} endings of a group"
    FEW_RATED = "in one of the groups {few} gave a rating that counts"
    FEW_SILENT = "with the shares who ended treatment, it would tell that {few} of a group did not answer, or did"
    WITH_ENDINGS = "it would tell how many ended treatment, which is not shown"
    FEW_DEATHS = "it would tell of {few} occasions or sets that deaths took out"
    PATIENTS = "with the occasions, the number of patients would tell how many were counted again"

    def sentence(self, threshold: int) -> str:
        """The reason in words, for a study that shows no count from 1 to `threshold` - 1.

        >>> Withheld.FEW_ENDINGS.sentence(11)
        'in one of the groups 1 to 10 ended treatment, or all but 1 to 10 did'
        """
        return self.value.format(few=f"1 to {threshold - 1}", threshold=threshold, freedom=LEAST_DF)
