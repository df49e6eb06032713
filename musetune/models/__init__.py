"""Networks with their shipped weights."""
