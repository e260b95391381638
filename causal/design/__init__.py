"""Comparable groups: propensity scores, matching, weighting, balance, overlap, power. No outcome is seen here."""
