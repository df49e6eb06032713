"""Which genre a piece is nearest to, and why."""
