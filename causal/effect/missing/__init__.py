"""What is missing: imputation, weights for dropout, and how far the answer depends on what cannot be known."""
