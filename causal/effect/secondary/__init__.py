"""The analyses set in advance beside the primary one: each to one finding, or to why there is none."""
