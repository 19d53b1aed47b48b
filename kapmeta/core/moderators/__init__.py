"""Meta-regression, several effects per study, robust variances."""
