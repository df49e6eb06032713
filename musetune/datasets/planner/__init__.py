"""Songs, captions and examples for the structure transformer."""
