"""The page of a forest plot: its contents and their places."""
