"""Models of the counts themselves: exact, conditional and mixed."""
