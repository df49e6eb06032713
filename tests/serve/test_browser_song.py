"""The Song and Listen tabs in a real headless browser: from a sentence to a mix, from a song to its files and on.

Screenshots: out/ui-song-*.png, out/ui-listen-*.png.
"""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from browser import REPOSITORY, fill, find_chromium, missing, served

from musetune import LeadSheet
from musetune.audio import save_audio, synthesize
from musetune.formats.songs import load_arrangement
from musetune.planning.rules.orchestrate import orchestrate

WAIT_MS = 120_000  # for work on a busy machine
SIZES = {"wide": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}
PLAYERS = ["drums", "bass", "guitar", "keys", "lead"]

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def page(full_base: Path) -> Iterator[Any]:
    pytest.importorskip("gradio", reason="the page is of the extra ui")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright drives the browser: pip install -e '.[dev]'")
    program, environment = find_chromium()
    with served("--base", str(full_base)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env=environment)
        page = browser.new_page(viewport=SIZES["wide"])
        page.set_default_timeout(WAIT_MS)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("response", lambda answer: page.faults.append(answer.url) if answer.status >= 400 else None)
        page.goto(address)
        page.get_by_role("tab", name="Song").click()
        page.locator("#song-plan").wait_for()
        yield page
        browser.close()


@pytest.fixture(scope="module")
def written(page: Any) -> Any:
    """The page after a chart was typed and its notes were written."""
    fill(page, "song-chart", "[A] | C | N.C. |\n[B] | Fsus4 G/B |")
    page.locator("#song-reading", has_text="3 bars").wait_for()
    page.locator("#song-notes").click()
    page.locator("#song-cast .mt-cast-roll svg").first.wait_for()
    return page


@pytest.fixture(scope="module")
def rendered(written: Any) -> Any:
    """The page after the song became audio."""
    written.get_by_text("Seed and steps").last.click()
    fill(written, "song-steps", "2")
    written.locator("#song-audio").click()
    written.locator("#song-sound audio").wait_for(state="attached")
    return written


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds of sound with a bar of silence in it."""
    sheet = LeadSheet.parse("| F | N.C. | Bb Gm | C7 | F |", key="F major", bpm=110)
    notes = orchestrate(sheet, seed=2).arrangement.to_pretty_midi()
    place = tmp_path_factory.mktemp("song")
    return save_audio(place / "my song.wav", synthesize(notes, 16000, duration_s=sheet.duration_s), 16000)


def sound(page: Any) -> np.ndarray:
    """What the player of the Song tab plays now, (samples,)."""
    text = page.evaluate(
        "async () => { const reader = new FileReader();"
        " const done = new Promise((resolve) => { reader.onload = () => resolve(reader.result); });"
        " reader.readAsDataURL(await (await fetch(document.querySelector('#song-sound audio').src)).blob());"
        " return (await done).split(',')[1]; }"
    )
    return soundfile.read(io.BytesIO(base64.b64decode(text)))[0]


def saved(page: Any, place: str, name: str, folder: Path) -> Path:
    """The file that a download gives."""
    with page.expect_download() as waiting:
        page.locator(f"{place} .mt-download", has_text=re.compile(f"^{re.escape(name)}$")).click()
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def test_a_sentence_becomes_a_plan_that_follows_its_chart(page: Any) -> None:
    fill(page, "song-prompt", "bright pop")
    page.get_by_text("Pin what must be so").click()
    fill(page, "song-bars", "x")
    page.locator("#song-plan").click()
    page.locator("#song-status .mt-wrong", has_text="Bars: 'x' is no number").wait_for()
    fill(page, "song-bars", "4")
    fill(page, "song-form", "AB")
    page.locator("#song-plan").click()
    page.locator("#song-reading .musetune-chart").wait_for()
    text = page.locator("#song-chart textarea").input_value()
    assert text.startswith("[A] |")
    assert "\n[B] |" in text
    assert len(LeadSheet.parse(text).downbeats()) == 4
    page.locator("#song-chart textarea").fill(f"{text} Hm7 |")
    page.locator("#song-reading .mt-wrong", has_text="'Hm7' is not a chord").wait_for()
    page.locator("#song-notes:disabled, #song-notes [disabled]").wait_for()
    page.locator("#song-chart textarea").fill(f"{text} Am7 |")
    page.locator("#song-reading", has_text="5 bars").wait_for()


def test_players_have_rolls_and_one_is_written_anew(written: Any, tmp_path: Path) -> None:
    page = written
    assert page.locator(".mt-cast-row[data-player]").count() == len(PLAYERS)
    before = load_arrangement(saved(page, "#song-cast", "MIDI", tmp_path))
    midi = page.locator("#song-cast .mt-download").first
    address = midi.get_attribute("href")
    page.get_by_role("button", name="Write new notes for lead").click()
    page.wait_for_function(
        "address => document.querySelector('#song-cast .mt-download').getAttribute('href') !== address", arg=address
    )
    page.locator("#song-cancel").wait_for(state="hidden")
    after = load_arrangement(saved(page, "#song-cast", "MIDI", tmp_path))
    assert after.stems["lead"] != before.stems["lead"]
    assert {**after.stems, "lead": None} == {**before.stems, "lead": None}
    assert LeadSheet.load(saved(page, "#song-cast", "Plan (JSON)", tmp_path)).chord_labels[1] == "N"
    assert "<part " in saved(page, "#song-cast", "MusicXML", tmp_path).read_text()


def test_mute_and_solo_act_on_the_audio_without_generating(rendered: Any, tmp_path: Path) -> None:
    page = rendered
    whole = sound(page)
    with zipfile.ZipFile(saved(page, "#song-sound", "Stems (zip)", tmp_path)) as archive:
        stems = {
            Path(name).stem: soundfile.read(io.BytesIO(archive.read(name)))[0]
            for name in archive.namelist()
            if name.endswith(".wav")
        }
    assert np.abs(np.sum(list(stems.values()), axis=0) - whole).max() < 1e-3
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url) if "/queue/" in request.url else None)
    page.get_by_role("button", name="Mute drums").click()
    page.wait_for_function("() => document.querySelector('#song-sound audio').src.startsWith('blob:')")
    muted = np.sum([stem for name, stem in stems.items() if name != "drums"], axis=0)
    assert np.abs(sound(page) - muted / max(1.0, np.abs(muted).max())).max() < 2e-3
    assert page.get_by_role("button", name="Mute drums").get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Solo bass").click()
    page.locator(".mt-heard", has_text="Heard: bass.").wait_for()
    assert np.abs(sound(page) - stems["bass"]).max() < 2e-3
    heard, _ = soundfile.read(saved(page, "#song-sound", "WAV", tmp_path))
    assert np.abs(heard - stems["bass"]).max() < 2e-3
    page.get_by_role("button", name="Solo bass").click()
    page.get_by_role("button", name="Mute drums").click()
    page.wait_for_function("() => !document.querySelector('#song-sound audio').src.startsWith('blob:')")
    assert np.array_equal(sound(page), whole)
    assert not requests


def test_faders_are_heard_at_once_and_the_mix_is_written(rendered: Any, tmp_path: Path) -> None:
    page = rendered
    whole = sound(page)
    page.get_by_role("slider", name="Pan of bass, left to right").fill("1")
    page.get_by_role("slider", name="Level of bass, dB").fill("-12")
    page.get_by_role("button", name="Solo bass").click()
    page.locator(".mt-heard", has_text="“Write the mix” makes the other files of it").wait_for()
    page.wait_for_timeout(500)
    browser = sound(page)
    assert np.abs(browser[:, 0]).max() < 1e-3 < np.abs(browser[:, 1]).max()
    page.get_by_role("button", name="Write the mix").click()
    page.wait_for_function("() => !document.querySelector('#song-sound audio').src.startsWith('blob:')")
    page.locator("#song-cancel").wait_for(state="hidden")
    assert np.abs(sound(page) - browser).max() < 2e-3
    written, rate = soundfile.read(saved(page, "#song-sound", "FLAC", tmp_path))
    assert rate == 48000
    assert np.abs(written - browser).max() < 2e-3
    page.get_by_role("button", name="Solo bass").click()
    page.get_by_role("slider", name="Pan of bass, left to right").fill("0")
    page.get_by_role("slider", name="Level of bass, dB").fill("0")
    page.wait_for_function("() => document.querySelector('#song-sound audio').src.startsWith('blob:')")
    page.wait_for_timeout(500)
    assert np.abs(sound(page) - whole).max() < 2e-3


def test_cancel_ends_the_work_and_the_next_begins(rendered: Any) -> None:
    page = rendered
    fill(page, "song-steps", "50")
    page.locator("#song-audio").click()
    page.locator("#song-status", has_text="Step 3 of 3").wait_for()
    page.locator("#song-cancel").click()
    page.locator("#song-cancel").wait_for(state="hidden")
    page.locator("#song-status", has_text="Cancelled.").wait_for()
    address = page.locator("#song-sound .mt-download").first.get_attribute("href")
    fill(page, "song-steps", "1")
    page.locator("#song-audio").click()
    page.wait_for_function(
        "address => document.querySelector('#song-sound .mt-download').getAttribute('href') !== address", arg=address
    )
    page.locator("#song-cancel").wait_for(state="hidden")
    page.locator("#song-sound .mt-wave path[d]").wait_for(state="attached")  # the new one is drawn, and followed
    page.locator("#song-sound .mt-now-line b", has_text="C").wait_for()


def test_a_song_gives_files_and_hands_bars_over(rendered: Any, song: Path, tmp_path: Path) -> None:
    page = rendered
    page.get_by_role("tab", name="Listen").click()
    page.locator("#song input[type=file]").set_input_files(song)
    page.locator("#findings audio").wait_for(state="attached")
    page.wait_for_function("() => document.querySelector('#findings audio').duration > 8")
    for name, suffix in (("MIDI", ".mid"), ("MusicXML", ".musicxml"), ("JAMS", ".jams")):
        path = saved(page, "#findings", name, tmp_path)
        assert path.name == f"my song{suffix}"
        assert LeadSheet.load(path).chords
    with zipfile.ZipFile(saved(page, "#findings", "Labels (.lab)", tmp_path)) as archive:
        assert "my song.chords.lab" in archive.namelist()
    assert '"chords"' in saved(page, "#findings", "Record (JSON)", tmp_path).read_text()
    page.locator("#hand-chosen", has_text="The whole song is handed over").wait_for()
    fill(page, "hand-first", "99")
    page.locator("#hand-chosen .mt-wrong", has_text="From bar").wait_for()
    fill(page, "hand-first", "2")
    page.locator("#hand-chosen", has_text="Bars 2–").wait_for()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("tab", ["Song", "Listen"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(rendered: Any, tab: str, theme: str, size: str) -> None:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-core looks for barriers: pip install -e '.[dev]'")
    page = rendered
    page.set_viewport_size(SIZES[size])
    page.evaluate(f"() => document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
    page.get_by_role("tab", name=tab).click()
    page.mouse.move(0, 0)
    page.wait_for_timeout(800)
    (REPOSITORY / "out").mkdir(exist_ok=True)
    page.screenshot(path=REPOSITORY / "out" / f"ui-{tab.lower()}-{theme}-{size}.png", full_page=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= SIZES[size]["width"]
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_what_is_handed_over_stands_in_the_generate_tab(rendered: Any) -> None:
    page = rendered
    page.get_by_role("tab", name="Listen").click()
    page.locator("#hand").click()
    page.locator("#generate").wait_for()
    assert page.locator("#chords textarea").input_value().startswith("| ")
    page.get_by_text(re.compile("Bars 2–.* are handed over")).last.wait_for()


def test_no_script_and_no_request_failed(rendered: Any) -> None:
    assert not rendered.faults
