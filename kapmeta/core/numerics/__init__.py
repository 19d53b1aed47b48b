"""Arrays, masks, roots, maxima, weights and distributions for the other rooms of the core."""
