"""The Live tab: its HTML. Sound and settings do not go through gradio but through `live_routes`; live.js plays.

Where a service makes the page's sound there is no Live, and the tab says why and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import gradio as gr

from musetune.serve.generate_tab import KEYS
from musetune.serve.live_session import LOUDNESS_DB, MIX
from musetune.serve.pads_markup import pads_html, tools_html, words_html
from musetune.serve.remote_pipeline import RemotePipeline
from musetune.serve.studio import Studio
from musetune.serve.work import CHORDS, WORDS
from musetune.symbols import BPM_RANGE, Key
from musetune.symbols.meter import METERS

FIRST_KEY, FIRST_BPM, FIRST_CHORDS = "C major", 110, "I V vi IV"
BOARD = "live-progression"  # the id of the progression's field, by which its board finds it
HINT = (
    "Start, then press pads: the chord changes at the next bar line or, where you press too late for it, within that "
    "bar. Key, meter and tempo change there too; genres, loudness and words at the next chunk."
)


class LiveTab:
    """The Live tab, made inside the tab that is open.

    Args:
        studio: what all tabs share.
    """

    def __init__(self, studio: Studio) -> None:
        pipe = studio.pipe
        if isinstance(pipe, RemotePipeline):
            html = absent_html(pipe.queue.url)
        else:
            stereo = getattr(pipe, "upsampler", None) is not None
            html = live_html(studio.genres, 48000 if stereo else int(getattr(pipe, "_rate", 16000)))
        self.panel = gr.HTML(html, elem_id="live", apply_default_css=False, padding=False)


def absent_html(url: str) -> str:
    """Why there is no Live on a page whose sound a service makes, and how to get it.

    Args:
        url: where the service is.
    """
    return (
        '<section class="mt-live-absent" aria-label="Live"><h2>Live is not on this page</h2>'
        f"<p>The service at {escape(url)} makes the sound of this page, and it makes whole pieces. Live is one sound "
        "that goes on while you change its chords, so the models must run where the page does.</p><p>To play live, "
        "start the page without <code>--server</code>; two processor cores are enough for nano:</p>"
        "<pre><code>musetune ui</code></pre><p>Or play in the terminal, by letters or a MIDI keyboard:</p>"
        "<pre><code>musetune live</code></pre><p>Everything else on this page works with the service. The chord pads "
        "in Generate, Edit and Song sound here too.</p></section>"
    )


def live_html(genres: Sequence[str], rate: int) -> str:
    """Pads, faders and what is heard now.

    Args:
        genres: names of the genre adapters, each with a fader.
        rate: samples a second of what will be played.
    """
    faders = "".join(
        _fader(f"mix-{escape(name)}", f"{escape(name)}", *MIX, 0.05, 0, f'data-genre="{escape(name)}"')
        for name in genres
    )
    mix = f'<fieldset class="mt-live-mix"><legend>Genre mix: how much of each genre</legend>{faders}</fieldset>'
    mix = mix if genres else ""
    return (
        f'<div class="mt-live" data-rate="{rate}">'
        '<div class="mt-live-head"><button type="button" class="mt-live-start" data-live="start">▶ Start</button>'
        '<button type="button" class="mt-tool" data-live="record" aria-pressed="false" disabled>● Record</button>'
        '<a class="mt-download" data-live="recording" hidden download="musetune-live.wav">Recording (WAV)</a>'
        '<div class="mt-live-now" role="status"><b data-live="now">–</b> <span data-live="next"></span></div></div>'
        f'<div class="mt-live-facts" data-live="facts">{HINT}</div><div class="mt-live-problem" role="alert" '
        f'data-live="problem"></div><div data-live="pads">{pads_html(Key.parse(FIRST_KEY), "Live pads")}</div>'
        '<div class="mt-live-fields">'
        f"{_choice('key', 'Key', KEYS, FIRST_KEY)}{_choice('meter', 'Meter', METERS, '4/4')}"
        f"{_fader('bpm', 'Tempo', *BPM_RANGE, 1, FIRST_BPM)}"
        f"{_fader('loudness_db', 'Loudness, dB', *LOUDNESS_DB, 1, 0)}</div>{mix}"
        f'<label class="mt-live-field mt-live-wide">Words<input type="text" data-setting="prompt" maxlength="{WORDS}" '
        'value="bright pop with piano and drums"></label>'
        f"{_board_html()}</div>"
    )


def _board_html() -> str:
    """The progression that goes round: its text, its words, tools, and pads that write."""
    key = Key.parse(FIRST_KEY)
    return (
        f'<div class="mt-board"><div class="mt-live-round"><label class="mt-live-field mt-live-wide" id="{BOARD}">'
        f'Progression that goes round<input type="text" data-live="progression" maxlength="{CHORDS}" '
        f'value="{FIRST_CHORDS}"></label><button type="button" class="mt-tool" data-live="round">Play it</button></div>'
        f'<div data-live="words">{words_html(FIRST_CHORDS, key, bpm=FIRST_BPM)}</div>{tools_html(BOARD)}'
        f'<details><summary>Pads that write</summary><div data-live="board">{pads_html(key)}</div></details></div>'
    )


def _choice(name: str, label: str, choices: Sequence[str], value: str) -> str:
    options = "".join(f"<option{' selected' * (one == value)}>{escape(one)}</option>" for one in choices)
    return f'<label class="mt-live-field">{label}<select data-setting="{name}">{options}</select></label>'


def _fader(name: str, label: str, low: float, high: float, step: float, value: float, more: str = "") -> str:
    setting = more or f'data-setting="{name}"'
    return (
        f'<label class="mt-live-field"><span>{label} <output>{value:g}</output></span>'
        f'<input type="range" {setting} min="{low:g}" max="{high:g}" step="{step:g}" value="{value:g}"></label>'
    )
