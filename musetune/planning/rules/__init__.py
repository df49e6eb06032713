"""Arrangements by rule: how six genres are played."""
