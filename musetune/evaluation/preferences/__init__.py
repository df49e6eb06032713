"""Which of two takes is better: pairs to be compared, verdicts of people and recognisers, what verdicts amount to."""

from musetune.evaluation.preferences.batch import Pair, PairBatch, Side
from musetune.evaluation.preferences.import_table import import_pairs
from musetune.evaluation.preferences.schedule import Comparison, next_comparison
from musetune.evaluation.preferences.summary import summarise, summary_text
from musetune.evaluation.preferences.verdicts import REASONS, VERDICTS, Judge, Verdict, read_verdicts, retract

__all__ = [
    "REASONS",
    "VERDICTS",
    "Comparison",
    "Judge",
    "Pair",
    "PairBatch",
    "Side",
    "Verdict",
    "import_pairs",
    "next_comparison",
    "read_verdicts",
    "retract",
    "summarise",
    "summary_text",
]
