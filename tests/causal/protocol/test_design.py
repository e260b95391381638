"""Limits that contradict each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from causal.protocol.design import Gates


def test_what_is_to_be_balanced_strictly_has_no_wider_limit() -> None:
    """Swapped limits are refused with both; equal ones may stand."""
    assert Gates(smd_tier1=0.2, smd_tier2=0.2).smd_tier1 == 0.2
    with pytest.raises(ValidationError, match=r"smd_tier1 is 0\.2 and smd_tier2 0\.1: tier 1 .* strictly"):
        Gates(smd_tier1=0.2, smd_tier2=0.1)
