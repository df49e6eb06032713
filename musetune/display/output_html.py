"""What a notebook shows of generated audio.

A player each, the chart with what was recognised under each chord, the piano roll of what was asked.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from musetune.display.charts import Under, chart_html, facts, roll_svg
from musetune.formats.chart_text import pop_name
from musetune.symbols.chord import Chord
from musetune.symbols.json_values import JsonObject

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet

GOOD, BAD = "#3a9e5c", "#c8553d"


def output_html(audios: np.ndarray, sampling_rate: int, sheet: LeadSheet, reports: Sequence[Any] | None) -> str:
    """``audios`` (n, samples) or (n, 2, samples) at ``sampling_rate`` Hz that were to follow ``sheet``; ``reports``:
    one each, or None.
    """
    tracks = []
    for index, audio in enumerate(audios):
        player = (
            f'<audio controls preload="metadata" src="{flac_uri(audio, sampling_rate)}" style="width:min(100%,40em)">'
            f"</audio>"
        )
        if reports is None:
            tracks.append(player)
            continue
        record = reports[index].to_json()
        heading = f"{facts(reports[index].sheet)} · {reports[index].summary}"
        tracks.append(
            player
            + chart_html(reports[index].sheet, heard_under(record, len(reports[index].sheet.chords)), heading=heading)
        )
    return "".join(tracks) + ("" if reports is not None else chart_html(sheet)) + roll_svg(sheet)


def heard_under(record: JsonObject, chords: int) -> list[Under]:
    """Under each chord of a report's JSON what was recognised: ✓, or ✗ and its name."""
    marks = [
        Under("✓", GOOD) if row["match"] else Under(f"✗ {pop_name(Chord.parse(row['heard']))}", BAD)
        for row in record["chords"]
    ]
    return [Under("")] * (chords - len(marks)) + marks  # a report leaves out chords that end before time 0


def flac_uri(audio: np.ndarray, rate: int) -> str:
    """``audio`` (samples,) or (channels, samples) in −1…1 as a data URI that a browser plays."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(audio, -1, 1).T, rate, format="FLAC", subtype="PCM_16")
    return f"data:audio/flac;base64,{base64.b64encode(file.getvalue()).decode()}"
