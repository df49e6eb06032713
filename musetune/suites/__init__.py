"""Evaluation suites that generate with a pipeline and judge what they hear."""
