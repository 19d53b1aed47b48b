"""The panel of every other plot: its axes, marks, labels and frame."""
