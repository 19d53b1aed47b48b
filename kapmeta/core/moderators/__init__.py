"""Meta-regression, several effects a study, robust variances."""
