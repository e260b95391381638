"""From recorded responses to measurements: scoring by key, reliable change."""
