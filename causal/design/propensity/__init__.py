"""The probability of treatment given what was known before time zero."""
