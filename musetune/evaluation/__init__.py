"""How well audio follows a lead sheet: recognisers of others, mir_eval's measures, reports and charts."""

from __future__ import annotations

from musetune.display.evaluation_charts import draw_chart, draw_scatter, draw_table
from musetune.evaluation.adherence import MEASURES, adherence
from musetune.evaluation.bootstrap import Mean, bootstrap_mean, reachable_share
from musetune.evaluation.judges import judge, missing_judges
from musetune.evaluation.reports import Report, report
from musetune.evaluation.testset import TestSheet, load_test_sheets

__all__ = [
    "MEASURES",
    "Mean",
    "Report",
    "TestSheet",
    "adherence",
    "bootstrap_mean",
    "draw_chart",
    "draw_scatter",
    "draw_table",
    "judge",
    "load_test_sheets",
    "missing_judges",
    "reachable_share",
    "report",
]
