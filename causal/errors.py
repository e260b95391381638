"""Every refusal Rapport can make, in one tree.

```
RapportError                 exit 1: one plain message, no traceback
├── StudyFileError           the study, site or instrument file says something we cannot accept
├── ExtractError             the extract cannot be read, or is not fit to use
├── DesignError              no comparison can be built from this cohort
├── ApprovalError            outcomes may not be opened
└── EstimationError          the design is fine, but this number cannot be computed
```
Anything else that escapes is our fault (exit 2). A message names the place, what was got, what was expected and how to
mend it. It carries counts and names of columns, never a patient's value.
"""

from __future__ import annotations


class RapportError(Exception):
    """A refusal a user can act on.

    Parameters
    ----------
    code
        Short stable name of the refusal (``"extract.truncated"``); tests, logs and the ledger use it.
    message
        One line: what is wrong, where, what was expected.
    fix
        One line: what to do about it. May be empty.

    >>> print(ExtractError("extract.empty", "table 'measures' has 0 rows", fix="deliver the table again"))
    [extract.empty] table 'measures' has 0 rows. Fix: deliver the table again
    """

    def __init__(self, code: str, message: str, *, fix: str = "") -> None:
        self.code = code
        self.message = message
        self.fix = fix
        super().__init__(f"[{code}] {message}" + (f". Fix: {fix}" if fix else ""))


class StudyFileError(RapportError):
    """A file that people write (study, site, instrument) cannot be accepted."""


class ExtractError(RapportError):
    """The delivered extract cannot be read, or is not fit to use."""


class DesignError(RapportError):
    """No comparison can be built: no treated, no comparison, separation, nothing inside the caliper."""


class ApprovalError(RapportError):
    """Outcomes may not be opened: no approval, or one that does not cover this design."""


class EstimationError(RapportError):
    """The design stands, but this estimate cannot be computed from it."""
