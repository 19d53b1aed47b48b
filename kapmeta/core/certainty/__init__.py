"""Absolute risks, information size and judgements of risk of bias."""
