"""Songs with players, and examples for the stem transformer."""
