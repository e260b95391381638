"""How the property tests draw their examples."""

from __future__ import annotations

import os

from hypothesis import settings

# The same commit passes or fails everywhere (a part of the suite may draw other examples, for Hypothesis tries the
# constants of every module that is loaded); `HYPOTHESIS_PROFILE=explore pytest` looks where nobody has looked yet.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
