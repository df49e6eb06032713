"""Lead sheets into songs: plans from words, notes for players, arrangements by rule."""
