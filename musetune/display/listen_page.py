"""A page to hear what an adapter changed: plain HTML beside its audio files, without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import quote

from musetune.display.charts import chart_html, facts
from musetune.display.output_html import heard_under

if TYPE_CHECKING:
    from musetune.symbols import LeadSheet
    from musetune.symbols.json_values import JsonObject

STYLE = """
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; border-top: 1px solid; padding-top: 1rem }
audio { width: 100% }
img { width: 100%; height: auto; background: #fff }
figure { margin: 1rem 0 }
pre { overflow-x: auto; padding: .8rem; border: 1px solid }
.sides { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem }
"""


def listen_page(
    title: str,
    takes: Sequence[tuple[LeadSheet, JsonObject, Mapping[str, str]]],
    figures: Sequence[str],
    commands: str,
) -> str:
    """Lay out takes side by side, under the figures and above the commands that come next.

    Args:
        title: Of the adapter.
        takes: Of each the lead sheet that was asked for; a record with `prompt`, `seed`, `file`, and reports as
            `Report.to_json` gives them under `before` and `after`; and names of files beside the page: `before` and
            `after`, `before_chart` and `after_chart`, `original`.
        figures: Sentences.
        commands: What to type next.

    Returns:
        A whole HTML document.
    """
    parts = [_take(number, *take) for number, take in enumerate(takes, 1)]
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in figures)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}: before and after</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>\n'
        f"<h1>{escape(title)}: before and after</h1>\n"
        "<p>Each lead sheet was played twice, with the same words, the same seed and the same settings: by the theory "
        "adapter alone, then with your adapter on it. Both times the chords are asked for; what differs is the sound. "
        "The sheets come from music that the adapter was not trained on.</p>\n"
        f"<ul>{items}</ul>\n{''.join(parts)}<h2>What next</h2>\n<pre>{escape(commands)}</pre>\n</body></html>\n"
    )


def _take(number: int, sheet: LeadSheet, record: JsonObject, files: Mapping[str, str]) -> str:
    sides = "".join(
        f"<section><h3>{heading}</h3>{_player(files[side], f'{heading}, sheet {number}')}"
        f"{chart_html(sheet, heard_under(record[side], len(sheet.chords)), heading=_summary(record[side]))}"
        f'<figure><img src="{quote(files[side + "_chart"])}" loading="lazy" '
        f'alt="Spectrogram of sheet {number}, {heading.lower()}, with the asked and the recognised chords"></figure>'
        "</section>"
        for side, heading in (("before", "Before"), ("after", "After"))
    )
    return (
        f"<h2>{number}. {escape(record['prompt'])}</h2>\n<p>{escape(facts(sheet))} · seed {record['seed']}</p>\n"
        f'<div class="sides">{sides}</div>\n'
        f"<p>The recording that the sheet was taken from, {escape(record['file'])}: "
        f"{_player(files['original'], f'Recording of sheet {number}')}</p>\n"
    )


def _player(file: str, label: str) -> str:
    return f'<audio controls preload="none" src="{quote(file)}" aria-label="{escape(label)}"></audio>'


def _summary(report: JsonObject) -> str:
    """The parts of a report in words."""
    parts = ", ".join(f"{name} {100 * value:.0f} %" for name, value in report["parts"].items())
    return f"{100 * report['overall']:.0f} % as asked: {parts}"
