"""From what a source delivers to the tables of `causal.tables`."""
