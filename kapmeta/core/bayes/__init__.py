"""Priors of the between-study variance, and posteriors of the random-effects models."""
