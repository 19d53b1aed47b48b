"""Effect estimates and their variances, one per study."""
