"""A lead sheet to the notes of five players: language, grammar, stem transformer."""
