"""Weights that make groups comparable, each with the estimand it stands for."""
