"""Simulation of methods: scenarios, chunks of work, performance, and the choice of headlines."""
