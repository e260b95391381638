"""What a design is worth: balance, overlap, positivity, power."""
