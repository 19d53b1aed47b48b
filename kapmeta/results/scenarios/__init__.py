"""Results of what might be: a method in simulated reviews, a trial that was not read."""
