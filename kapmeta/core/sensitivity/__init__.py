"""Deletion, subsets, missing outcomes, fragility and simulation."""
