"""From sound to features, and from features to chords, beats, bars, keys and sections."""
