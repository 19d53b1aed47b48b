"""The page of a forest plot: what stands on it and where."""
