"""How long relationships last: cumulative incidence, restricted means, hazards, and endings within matched sets."""
