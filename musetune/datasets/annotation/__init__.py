"""Annotation of a collection of songs: `musetune annotate`, on one machine or on many."""

from musetune.datasets.annotation.annotate import annotate

__all__ = ["annotate"]
