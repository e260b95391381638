"""Effects from two models at once, of treatment and of outcome: right in large samples when either of them is."""
