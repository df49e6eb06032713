"""What chords do: functions, cadences, patterns, voice leading, key areas, complexity.

And the vocabulary that adapters learned from.
"""

from musetune.theory.harmony.cadence import CADENCES, Cadence, cadences
from musetune.theory.harmony.function import FUNCTIONS, functions

__all__ = ["CADENCES", "FUNCTIONS", "Cadence", "cadences", "functions"]
