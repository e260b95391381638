"""The answer: effects, their standard errors, and what they are made of."""
