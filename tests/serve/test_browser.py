"""The page in a real headless browser: what a user types, hears, sees and takes home.

Screenshots: out/ui.png, out/ui-narrow.png.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from browser import REPOSITORY, find_chromium, missing, served

from musetune import LeadSheet
from musetune.audio import save_audio, synthesize
from musetune.formats.chart_text import chart_text
from musetune.planning.rules.orchestrate import orchestrate

CHORDS = "| Cmaj7 | G/B Am7 | F V7 |"
WAIT_MS = 240_000  # for work on a busy machine
STEPS = 50  # the most that the field takes: a fast machine is still at it when the page first asks how far it is

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def address(full_base: Path) -> Iterator[str]:
    pytest.importorskip("gradio", reason="the page is of the extra ui")
    with served("--base", str(full_base)) as address:
        yield address


@pytest.fixture(scope="module")
def page(address: str) -> Iterator[Any]:
    """The page, opened once, and in ``page.asked`` the addresses of all requests."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright drives the browser: pip install -e '.[dev]'")
    program, environment = find_chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env=environment)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(WAIT_MS)
        page.asked, page.errors = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(address)
        page.locator("#generate").wait_for()
        yield page
        browser.close()


def fill(page: Any, field: str, value: str) -> None:
    """Type a value until it stays.

    A field just unfolded is still being set to its default, over what was typed at once.
    """
    place = page.locator(f"#{field} textarea, #{field} input[type=number]").first
    for _ in range(20):
        place.fill(value)
        place.press("Tab")
        page.wait_for_timeout(300)
        if place.input_value() == value:
            return
    pytest.fail(f"#{field} does not keep {value!r} but shows {place.input_value()!r}")


@pytest.fixture(scope="module")
def played(page: Any) -> Any:
    """The page after three bars at 90 bpm were generated."""
    fill(page, "chords", CHORDS)
    fill(page, "bpm", "90")
    fill(page, "seconds", "8")
    page.get_by_text("Seed and steps").click()
    fill(page, "steps", str(STEPS))
    fill(page, "seed", "5")
    page.evaluate(
        "() => { const take = document.querySelector('#take'); window.takes = []; new MutationObserver(() => "
        "window.takes.push(take.innerText))"
        ".observe(take, {subtree: true, childList: true, characterData: true}); }"
    )
    page.locator("#generate").click()
    page.locator("#take audio").wait_for(state="attached")
    return page


def test_wrong_chord_shows_its_message_beside_the_field(page: Any) -> None:
    page.locator("#chords textarea").fill("I V Hm7")
    wrong = page.locator("#reading .mt-wrong")
    wrong.wait_for()
    assert "'Hm7' is not a chord" in wrong.inner_text()
    field, message = page.locator("#chords").bounding_box(), wrong.bounding_box()
    assert 0 <= message["y"] - (field["y"] + field["height"]) < 60
    assert abs(message["x"] - field["x"]) < 40
    page.locator("#chords textarea").fill("I V vi")
    page.locator("#reading .musetune-chart").wait_for()
    assert wrong.count() == 0
    assert re.sub(r"\s+", " ", page.locator("#reading .musetune-chart").inner_text()).endswith("C I G V Am vi")


def test_steps_are_counted_while_it_generates(played: Any) -> None:
    lines = [text.split("\n")[0] for text in played.evaluate("() => window.takes")]
    assert [line for line in lines if re.search(rf"\d/{STEPS} steps", line)], lines


def test_player_and_chart_move_with_time(played: Any) -> None:
    page = played
    assert page.locator("#take .mt-row").first.locator(".mt-cell b").all_inner_texts() == [
        "Cmaj7",
        "G/B",
        "Am7",
        "F",
        "G7",
    ]
    assert (
        page.locator("#take .mt-row").nth(1).locator(".mt-hit, .mt-miss").count() == 5
    )  # what was recognised beside it
    seen = (
        "() => [document.querySelector('#take audio').currentTime, document.querySelector('#take "
        ".mt-strip').getBoundingClientRect().x]"
    )
    start, left = page.evaluate(seen)
    page.evaluate("() => { document.querySelector('#take audio').play() }")
    page.wait_for_function("() => document.querySelector('#take audio').currentTime > 0.8")
    page.evaluate("() => { document.querySelector('#take audio').pause() }")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    now, moved = page.evaluate(seen)
    assert now > start
    assert moved < left - 50
    expected = page.evaluate(
        "() => parseFloat(getComputedStyle(document.querySelector('#take .mt-player')).getPropertyValue('--mt-second'))"
    )
    assert left - moved == pytest.approx((now - start) * expected, abs=2)


def test_a_click_on_a_chord_goes_there(played: Any) -> None:
    cell = played.locator("#take .mt-row").first.locator(".mt-cell").nth(1)
    cell.click()
    played.wait_for_function("() => Math.abs(document.querySelector('#take audio').currentTime - 8 / 3) < 0.05")
    played.locator("#take .mt-row").first.locator(".mt-cell.mt-now", has_text="G/B").wait_for()


def test_four_downloads_are_what_was_asked_for(played: Any, tmp_path: Path) -> None:
    asked = LeadSheet.parse(CHORDS, bpm=90, duration_seconds=8)
    for name in ("WAV", "MIDI", "MusicXML", "JAMS"):
        with played.expect_download() as waiting:
            played.locator("#take .mt-download", has_text=re.compile(f"^{name}$")).click()
        path = tmp_path / waiting.value.suggested_filename
        waiting.value.save_as(path)
        if name == "WAV":
            assert soundfile.info(path).duration == pytest.approx(8, abs=0.01)
        else:
            assert LeadSheet.load(path) == asked


def test_it_fits_wide_and_narrow_and_pictures_are_kept(played: Any) -> None:
    (REPOSITORY / "out").mkdir(exist_ok=True)
    for width, name in ((1280, "ui.png"), (400, "ui-narrow.png")):
        played.set_viewport_size({"width": width, "height": 900})
        played.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert played.evaluate("() => document.documentElement.scrollWidth") <= width
        played.screenshot(path=REPOSITORY / "out" / name, full_page=True)
    played.set_viewport_size({"width": 1280, "height": 900})


def test_second_tab_hands_an_uploaded_song_over(played: Any, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| F | Bb Gm | C7 | F |", key="F major", bpm=100)
    arrangement = orchestrate(sheet, seed=2).arrangement.to_pretty_midi()
    song = save_audio(tmp_path / "song.wav", synthesize(arrangement, 16000, duration_s=sheet.duration_s), 16000)
    page = played
    page.get_by_role("tab", name="Listen").click()
    page.locator("#song input[type=file]").set_input_files(song)
    page.locator("#findings .mt-cell").first.wait_for()
    heard = page.locator("#findings .mt-cell b").all_inner_texts()
    assert heard[0] == "F"
    page.screenshot(path=REPOSITORY / "out" / "ui-listen.png", full_page=True)
    page.locator("#hand").click()
    page.wait_for_function("() => document.querySelector('#chords textarea').value.startsWith('| F |')")
    assert page.locator("#generate").is_visible()
    text = page.locator("#chords textarea").input_value()
    assert chart_text(LeadSheet.parse(text, key="F major")) == text
    assert abs(float(page.locator("#bpm input[type=number]").input_value()) - 100) <= 2
    page.wait_for_function("() => /F major/.test(document.querySelector('#reading').innerText)")


def test_what_is_no_song_says_so(played: Any, tmp_path: Path) -> None:
    page = played
    silence = save_audio(tmp_path / "silence.wav", [0.0] * 48000, 16000)
    page.get_by_role("tab", name="Listen").click()
    page.locator("#song button[aria-label='Clear'], #song button[aria-label='Remove this file']").first.click()
    page.locator("#song input[type=file]").set_input_files(silence)
    page.locator("#findings .mt-wrong", has_text="silence.wav is silent").wait_for()


def test_no_other_server_is_asked_and_no_script_failed(played: Any, address: str) -> None:
    assert played.asked
    assert not [url for url in played.asked if not url.startswith((address, "data:", "blob:"))]
    assert not played.errors
