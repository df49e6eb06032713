"""Chord pads in a real headless browser: chords are heard, written, moved, transposed, undone; by mouse and keyboard.

Screenshots: out/ui-pads-*.png.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import REPOSITORY, find_chromium, missing, served

WAIT_MS = 60_000
SIZES = {"wide": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}

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
        page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
        page.goto(address)
        page.locator("#chords-words .mt-chip").first.wait_for()
        yield page
        browser.close()


def write(page: Any, text: str) -> None:
    """Type a progression, and wait until the board has read it."""
    page.locator("#chords textarea").fill(text)
    reads(page, text)


def reads(page: Any, text: str, board: str = "chords") -> None:
    """Wait until field and board say this text."""
    page.wait_for_function(
        "([board, text]) => document.querySelector(`#${board} textarea`).value === text"
        " && document.querySelector(`#${board}-words .mt-words`).dataset.text === text",
        arg=[board, text],
    )


def pad(page: Any, numeral: str) -> Any:
    return page.locator(f'#chords-pads .mt-pad[data-numeral="{numeral}"] >> visible=true')


def chip(page: Any, index: int) -> Any:
    return page.locator("#chords-words .mt-chip").nth(index)


def tool(page: Any, name: str, board: str = "chords") -> Any:
    return page.locator(f"#{board}-tools [data-tool={name}]")


def test_pads_write_in_the_texts_own_notation_and_sound_at_once(page: Any) -> None:
    write(page, "I V")
    page.evaluate(
        "() => { const context = window.mtSynth.wake(); window.ear = new AnalyserNode(context);"
        " window.mtSynth.output.connect(window.ear); }"
    )
    pad(page, "V7/ii").click()
    page.wait_for_function(
        "() => { const wave = new Float32Array(2048); window.ear.getFloatTimeDomainData(wave);"
        " return Math.max(...wave) > 0.05 }"
    )
    reads(page, "I V V7/ii")
    pad(page, "iv").click()
    pad(page, "bVII").click()  # as fast as one likes: no click is lost
    reads(page, "I V V7/ii iv bVII")
    write(page, "| C | G/B Am7 |")
    pad(page, "iv").click()
    reads(page, "| C | G/B Am7 | Fm |")
    chip(page, 1).click()
    pad(page, "V7/V").click()
    reads(page, "| C | G/B D7 Am7 | Fm |")
    assert page.locator('#chords-words .mt-chip[aria-pressed="true"]').inner_text().startswith("D7")
    page.locator("#reading .musetune-chart", has_text="D7").wait_for()
    tool(page, "sevenths").click()
    pad(page, "ii7").click()
    reads(page, "| C | G/B D7 Dm7 Am7 | Fm |")
    tool(page, "sevenths").click()


def test_chords_are_moved_by_mouse_and_keyboard_and_bars_stay(page: Any) -> None:
    write(page, "| C | F . G | Am |")
    start, end = chip(page, 0).bounding_box(), chip(page, 2).bounding_box()
    page.mouse.move(start["x"] + 8, start["y"] + 8)
    page.mouse.down()
    page.mouse.move(end["x"] + 12, end["y"] + 10, steps=4)
    page.mouse.up()
    reads(page, "| F | G . C | Am |")
    chip(page, 1).focus()
    page.keyboard.press("Alt+ArrowLeft")
    reads(page, "| G | F . C | Am |")
    page.wait_for_function(
        "() => document.activeElement.matches('.mt-chip') && document.activeElement.innerText[0] === 'G'"
    )
    assert "chord 1 of 4" in page.locator("#chords-tools .mt-say").inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Delete")
    reads(page, "| G | C | Am |")
    page.locator("#chords-tools [data-tool=undo]").click()
    reads(page, "| G | F . C | Am |")


def test_transposition_bars_and_undo_go_both_ways(page: Any) -> None:
    write(page, "I ii7 V")
    tool(page, "bar").click()
    reads(page, "| I | ii7 | V |")
    chip(page, 0).click()
    tool(page, "bar").click()
    reads(page, "| I ii7 | V |")
    write(page, "C Dm7 V")
    tool(page, "raise").click()
    reads(page, "Db Ebm7 V")
    page.wait_for_function("() => document.querySelector('#key select').value === 'Db major'")
    page.locator('#chords-pads .mt-pads[aria-label$="Db major"]').wait_for()
    page.wait_for_function("() => document.querySelector('#chords-words .mt-words').dataset.key === 'Db major'")
    page.wait_for_timeout(400)  # the history takes what stays
    page.locator("#chords textarea").press("Control+z")
    reads(page, "C Dm7 V")
    page.wait_for_function("() => document.querySelector('#key select').value === 'C major'")
    page.locator("#chords textarea").press("Control+Shift+Z")
    reads(page, "Db Ebm7 V")
    page.wait_for_function("() => document.querySelector('#key select').value === 'Db major'")
    tool(page, "lower").click()
    reads(page, "C Dm7 V")


def test_tapping_sets_the_tempo(page: Any) -> None:
    page.evaluate(
        "() => { const clock = performance.now.bind(performance); let taps = 0;"  # taps that come exactly in time
        " const button = document.querySelector('#chords-tools [data-tool=tap]'); const start = clock();"
        " performance.now = () => start + 500 * taps; for (; taps < 5; taps++) button.click();"
        " performance.now = clock; }"
    )
    page.wait_for_function("() => document.querySelector('#bpm input').value === '120'")
    assert "120 beats" in page.locator("#chords-tools .mt-say").inner_text()
    page.wait_for_function("() => document.querySelector('#chords-words .mt-words').dataset.bpm === '120'")


def test_the_song_tab_has_pads_too(page: Any) -> None:
    page.get_by_role("tab", name="Song").click()
    page.locator("#song-chart textarea").fill("[A] | C | G |")
    reads(page, "[A] | C | G |", "song-chart")
    page.locator('#song-chart-pads .mt-pad[data-numeral="vi"]').click()
    reads(page, "[A] | C | G | Am |", "song-chart")
    tool(page, "lower", "song-chart").click()
    reads(page, "[A] | B | F# | G#m |", "song-chart")
    page.locator("#song-reading", has_text="B major").wait_for()
    page.get_by_role("tab", name="Generate").click()


@pytest.mark.parametrize("size", SIZES)
def test_pads_fit_the_window_in_light_and_dark(page: Any, size: str) -> None:
    pictures = REPOSITORY / "out"
    pictures.mkdir(exist_ok=True)
    write(page, "| C | G/B Am7 | F . G | Hx |")
    page.set_viewport_size(SIZES[size])
    for theme in ("light", "dark"):
        page.evaluate(f"() => document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
        page.wait_for_timeout(400)
        assert page.evaluate("() => document.documentElement.scrollWidth") <= SIZES[size]["width"]
        for part in page.locator("#chords-board .mt-pad >> visible=true").all():
            box = part.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= SIZES[size]["width"]
            assert min(box["width"], box["height"]) >= (38 if size == "wide" else 44)
        page.screenshot(path=pictures / f"ui-pads-{theme}-{size}.png")
    page.evaluate("() => document.body.classList.remove('dark')")
    page.set_viewport_size(SIZES["wide"])


def test_every_pad_is_reached_by_the_keyboard_and_no_script_failed(page: Any) -> None:
    pads = page.locator("#chords-pads .mt-pad >> visible=true")
    assert page.locator('#chords-pads .mt-pad[tabindex="0"]').count() == 1
    pads.first.focus()
    for _ in range(pads.count() - 1):
        page.keyboard.press("ArrowRight")
    assert page.evaluate("() => document.activeElement.innerText").startswith("N.C.")
    write(page, "C")
    page.locator("#chords-pads .mt-pad[data-numeral='N.C.']").focus()
    page.keyboard.press("Enter")
    reads(page, "C N.C.")
    assert re.fullmatch(r"\S+ is chord \d+\.", page.locator("#chords-tools .mt-say").inner_text())
    assert not page.faults
