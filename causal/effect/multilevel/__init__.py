"""Outcomes measured repeatedly or inside clusters: mixed models, partially nested models, estimating equations."""
