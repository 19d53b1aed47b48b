"""Timing of kapmeta against its peers: `python benchmarks/run.py`."""
