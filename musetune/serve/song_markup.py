"""The Song tab's own HTML: the players with their rolls, and the mix that one hears.

Made of words and numbers only, all escaped: song.css gives it a look, song.js mutes players and moves the line.
"""

from __future__ import annotations

import json
from html import escape

from musetune.display.charts import chart_html, facts
from musetune.display.player_roll import player_svg
from musetune.serve import markup
from musetune.serve.player import asked_cells, chart_that_follows, player_html, url
from musetune.serve.song_work import AUDIO_S, Song, SongAudio, clock
from musetune.symbols import LeadSheet


def plan_html(sheet: LeadSheet, note: str = "") -> str:
    """How a plan's chart is understood, with a note under it."""
    bars = len(sheet.downbeats())
    heading = f"{facts(sheet)} · {bars} bar{'s' if bars != 1 else ''}"
    below = f'<div class="mt-note">{escape(note)}</div>' if note else ""
    chart = chart_html(sheet, heading=heading)
    return f'<div class="mt-right" role="group" aria-label="Plan" tabindex="0">{chart}{below}</div>'


def cast_html(song: Song) -> str:
    """The players, each with notes, buttons and piano roll; and the song's files.

    Level, Pan, Mute and Solo act on the audio in the browser; New and, once there is audio, Sound press the buttons
    ``#anew-PLAYER`` and ``#resound-PLAYER``.
    """
    sheet, seconds = song.sheet, song.sheet.duration_s
    lines = [float(line) for line in sheet.downbeats_s]
    rows = "".join(
        f'<div class="mt-cast-row" data-player="{escape(name)}"><div class="mt-cast-name"><b>{escape(name)}</b>'
        f"<small>{len(stem.notes)} notes {escape(stem.credit)}</small></div>"
        f'<div class="mt-cast-buttons">{_fader("Level", name)}{_fader("Pan", name)}'
        f"{_toggle('Mute', name)}{_toggle('Solo', name)}"
        f'<button type="button" class="mt-cast-button" data-act="anew" aria-label="Write new notes for {escape(name)}">'
        f'New</button><button type="button" class="mt-cast-button" data-act="resound" '
        f'aria-label="Another sound for {escape(name)}" title="Another sound, once there is audio" disabled>'
        "Sound</button></div>"
        f'<div class="mt-cast-roll">{player_svg(stem, sheet.grid, seconds, lines, name=escape(name))}</div></div>'
        for name, stem in song.arrangement.stems.items()
    )
    return (
        f'<div class="mt-cast" data-seconds="{seconds:.3f}"><div class="mt-fact">{escape(facts(sheet))}</div>'
        f"{_form(sheet)}{rows}</div>{markup.downloads(song.files)}"
    )


def audio_html(audio: SongAudio, whole: LeadSheet) -> str:
    """Player, lane of chords and files of a song's audio; and which stretch of the song it is."""
    first, _, _ = audio.settings
    last = first + len(audio.sheet.downbeats()) - 1
    cut = audio.sheet.duration_s < whole.duration_s - 0.01
    part = (
        f"Bars {first}–{last}: {clock(audio.sheet.duration_s)} of {clock(whole.duration_s)}. The page makes up to "
        f"{AUDIO_S:g} s of audio at once; “From bar” chooses which."
        if cut
        else "The whole song."
    )
    mix = audio.mix
    stems = {name: {"file": url(file), "pan": mix.pans[name]} for name, file in mix.stems.items()}
    addresses = escape(json.dumps(stems), quote=True)
    whole_mix = mix.sounds["WAV"]
    request_cells, sheet = asked_cells(audio.sheet), audio.sheet
    player = player_html(whole_mix, sheet, {"asked": request_cells}, sheet.duration_s, title="Song")
    files = {**mix.sounds, "Stems (zip)": mix.archive}
    return (
        f'<div class="mt-mix mt-take" data-stems="{addresses}" data-whole="{escape(url(whole_mix))}" '
        f'data-mixed="{escape(mix.faders, quote=True)}" '
        f'data-from="{audio.from_s:.3f}">'
        f'{player}{chart_that_follows(sheet, request_cells)}<div class="mt-fact">{escape(part)} '
        '<span class="mt-heard" role="status"></span></div>'
        f"{markup.downloads(files)}</div>"
    )


def _form(sheet: LeadSheet) -> str:
    """The sections' names over the rolls, each at its place."""
    if not sheet.sections:
        return ""
    cells = "".join(
        f'<span style="flex:{float(part.beats):g} 1 0">{escape(part.label)}</span>' for part in sheet.sections
    )
    return f'<div class="mt-cast-row"><div class="mt-cast-form">{cells}</div></div>'


def _fader(word: str, player: str) -> str:
    """A slider: decibels for "Level", −1 (left) to 1 (right) for "Pan"; song.js puts it where the player stands."""
    low, high, step, unit = (-30, 12, 0.5, "dB") if word == "Level" else (-1, 1, 0.05, "left to right")
    return (
        f'<label class="mt-fader-field"><small aria-hidden="true">{word}</small>'
        f'<input type="range" class="mt-fader" data-act="{word.lower()}" min="{low}" max="{high}" step="{step}" '
        'value="0" '
        f'aria-label="{word} of {escape(player)}, {unit}" title="{word} of {escape(player)}, {unit}" disabled></label>'
    )


def _toggle(word: str, player: str) -> str:
    return (
        f'<button type="button" class="mt-cast-button" data-act="{word.lower()}" aria-pressed="false" '
        f'aria-label="{word} {escape(player)}">{word}</button>'
    )
