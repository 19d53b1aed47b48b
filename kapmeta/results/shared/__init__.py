"""What the result classes share: columns, rows, outcomes, views and sentences of methods."""
