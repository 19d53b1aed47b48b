"""Pooled effects with their confidence and prediction intervals."""
