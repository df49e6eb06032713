"""Lead sheets into notes: how six genres are played, and arrangements by rule."""
