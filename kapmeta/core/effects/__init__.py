"""Effect estimates and their variances, one a study."""
