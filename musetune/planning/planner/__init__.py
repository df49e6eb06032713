"""A sentence to a song plan: grammar, language, structure transformer."""
