"""What chords do: functions, cadences, patterns, voice leading, key areas, complexity."""

from musetune.theory.harmony.functions import CADENCES, FUNCTIONS, Cadence, cadences, function_of

__all__ = ["CADENCES", "FUNCTIONS", "Cadence", "cadences", "function_of"]
