"""Plots over what is supposed: unread trials and simulated scenarios."""
