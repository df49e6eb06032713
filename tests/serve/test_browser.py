"""The page in a real headless browser: what a user types, hears, sees and takes home.

Screenshots of every tab, theme and size: out/ui-*.png.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import soundfile
from browser import REPOSITORY, fill, find_chromium, missing, served

from musetune import LeadSheet
from musetune.audio import save_audio, synthesize
from musetune.formats.chart_text import chart_text
from musetune.planning.rules.orchestrate import orchestrate

CHORDS = "| Cmaj7 | G/B Am7 | F V7 |"
WAIT_MS = 240_000  # for work on a busy machine
STEPS = 50  # the most that the field takes: a fast machine is still at it when the page first asks how far it is

SIZES = {"wide": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}

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
        page = browser.new_page(viewport=SIZES["wide"])
        page.set_default_timeout(WAIT_MS)
        page.asked, page.errors = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(address)
        page.locator("#generate").wait_for()
        yield page
        browser.close()


@pytest.fixture(scope="module")
def played(page: Any) -> Any:
    """The page after three bars at 90 bpm were generated."""
    fill(page, "chords", CHORDS)
    fill(page, "bpm", "90")
    fill(page, "length", "3")
    page.get_by_label("stops", exact=True).check()
    page.get_by_text("Seed and steps").click()
    fill(page, "steps", str(STEPS))
    fill(page, "seed", "5")
    page.evaluate(
        "() => { const bar = document.querySelector('#status'); window.told = []; new MutationObserver(() => "
        "window.told.push(bar.innerText))"
        ".observe(bar, {subtree: true, childList: true, characterData: true}); }"
    )
    page.locator("#chords textarea").press("Control+Enter")
    page.locator("#take audio").wait_for(state="attached")
    return page


def in_view(page: Any, *selectors: str) -> bool:
    """Whether all of these are inside the window as it is scrolled now."""
    size = page.viewport_size
    boxes = [page.locator(selector).first.bounding_box() for selector in selectors]
    return all(
        box
        and box["y"] >= 0
        and box["y"] + box["height"] <= size["height"]
        and box["x"] + box["width"] <= size["width"]
        for box in boxes
    )


def test_all_fields_and_buttons_stand_on_one_screen(page: Any) -> None:
    fields = ("#chords", "#reading", "#key", "#meter", "#bpm", "#length", "#unit", "#ending", "#genre", "#prompt")
    assert in_view(page, *fields, "#more", "#take", "#generate", "#cancel", "#status")
    bar = page.locator("#bar").bounding_box()["y"]
    assert all(page.locator(field).bounding_box()["y"] < bar for field in (*fields, "#more"))


def test_wrong_chord_shows_its_message_beside_the_field_and_nothing_can_be_generated(page: Any) -> None:
    page.locator("#chords textarea").fill("I V Hm7")
    wrong = page.locator("#reading .mt-wrong")
    wrong.wait_for()
    assert "'Hm7' is not a chord" in wrong.inner_text()
    field, message = page.locator("#chords").bounding_box(), wrong.bounding_box()
    assert 0 <= message["y"] - (field["y"] + field["height"]) < 60
    assert abs(message["x"] - field["x"]) < 40
    page.locator("#problem .mt-wrong", has_text="Hm7").wait_for()
    assert page.locator("#generate").is_disabled()
    page.locator("#chords textarea").press("Control+Enter")
    page.locator("#chords textarea").fill("I N.C. vi")
    page.locator("#reading .musetune-chart").wait_for()
    page.wait_for_function("() => !document.querySelector('#generate').disabled")
    assert wrong.count() == 0
    assert re.sub(r"\s+", " ", page.locator("#reading .musetune-chart").inner_text()).endswith("C I N.C. Am vi")
    assert page.locator("#take audio").count() == 0


def test_the_keyboard_chooses_from_a_list(page: Any) -> None:
    key = page.get_by_label("Key", exact=True)
    key.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("() => document.querySelector('#reading').innerText.startsWith('Db major')")
    assert page.evaluate("() => document.activeElement === document.querySelector('#key select')")
    page.keyboard.press("ArrowUp")
    page.wait_for_function("() => document.querySelector('#reading').innerText.startsWith('C major')")
    for field in ("Key", "Meter", "Tempo", "Length", "Genre", "Prompt: instruments, mood"):
        assert page.get_by_label(field, exact=True).count() == 1, field
    assert page.get_by_role("textbox", name=re.compile("^Chords")).count() == 1


def test_changes_one_after_the_other_are_answered_and_then_it_is_still(page: Any) -> None:
    key = page.get_by_label("Key", exact=True)
    key.focus()
    for press, tonic in (("ArrowDown", "Db"), ("ArrowUp", "C")) * 3:
        page.keyboard.press(press)
        page.wait_for_function(f"() => document.querySelector('#reading').innerText.startsWith('{tonic} major')")
    page.wait_for_timeout(3000)  # what was on its way is answered
    before = len(page.asked)
    page.wait_for_timeout(1000)
    assert page.asked[before:] == []


def test_cancel_stops_the_work_and_another_can_begin(page: Any) -> None:
    fill(page, "length", "60")
    page.get_by_label("seconds", exact=True).check()
    page.locator("#reading", has_text="plays 60 s").wait_for()
    page.locator("#generate").click()
    page.locator("#cancel:not([disabled])").wait_for()
    assert page.locator("#generate").is_disabled()
    page.locator("#cancel").click()
    page.locator("#status", has_text="Cancelled.").wait_for()
    page.wait_for_function("() => !document.querySelector('#generate').disabled")
    assert page.locator("#take audio").count() == 0
    page.get_by_label("bars", exact=True).check()


def test_steps_are_counted_while_it_generates(played: Any) -> None:
    lines = played.evaluate("() => window.told")
    assert [line for line in lines if re.search(rf"\d/{STEPS} steps", line)], lines
    assert "Take 1 is ready" in lines[-1]


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


def test_the_chord_of_now_is_readable_and_the_chart_follows(played: Any) -> None:
    said = "() => document.querySelector('#take .mt-now-line').innerText"
    for seconds, name in ((0.1, "Cmaj7"), (3.0, "G/B"), (7.9, "G7")):
        played.evaluate(f"() => {{ document.querySelector('#take audio').currentTime = {seconds} }}")
        played.wait_for_function(f"() => ({said})().startsWith('{name}')")
        assert played.locator("#take .mt-chord.mt-now b").inner_text() == name
    assert played.locator("#take .mt-wave path[d]").count() == 1
    played.locator("#take .mt-chord", has_text="Am7").click()
    played.wait_for_function("() => Math.abs(document.querySelector('#take audio').currentTime - 4) < 0.05")
    box = played.locator("#take .mt-wave").bounding_box()
    played.mouse.click(box["x"] + box["width"] / 4, box["y"] + 5)
    played.wait_for_function("() => Math.abs(document.querySelector('#take audio').currentTime - 2) < 0.1")


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


def test_takes_are_kept_compared_renamed_deleted_and_saved(played: Any, tmp_path: Path) -> None:
    page = played
    fill(page, "seed", "6")
    page.get_by_label("loops", exact=True).check()
    page.locator("#reading", has_text="loops 3 bars").wait_for()
    page.locator("#generate").click()
    page.wait_for_function("() => document.querySelectorAll('#takes li').length === 2")
    assert page.locator("#take audio[loop]").count() == 1
    page.get_by_role("button", name=re.compile("^Compare: ")).first.click()
    page.locator(".mt-side").nth(1).click()
    assert page.locator("#take audio >> visible=true").count() == 1
    assert page.locator(".mt-side").nth(1).get_attribute("aria-pressed") == "true"
    name = page.get_by_label("Name of take 1")
    name.fill("the {{first}} <one>")
    name.press("Enter")
    page.get_by_role("button", name="Delete: the {{first}} <one>").wait_for()
    with page.expect_download() as waiting:
        page.get_by_text("Download all (zip)").click()
    waiting.value.save_as(tmp_path / "all.zip")
    with ZipFile(tmp_path / "all.zip") as archive:
        kinds = {".flac", ".jams", ".json", ".mid", ".mp3", ".musicxml", ".ogg", ".wav"}
        assert {Path(name).suffix for name in archive.namelist()} == kinds
        assert len(archive.namelist()) == 2 * len(kinds)
    page.get_by_role("button", name=re.compile("^Delete: .* seed 6")).click()
    page.wait_for_function("() => document.querySelectorAll('#takes li').length === 1")
    page.locator("#take h2", has_text="the {{first}} <one>").wait_for()


def repaint(page: Any, theme: str, size: str) -> None:
    """Show the page in a theme and at a size, and wait until colours have changed."""
    page.set_viewport_size(SIZES[size])
    page.evaluate(f"() => document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
    page.wait_for_timeout(600)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_the_bar_is_in_view(played: Any, theme: str, size: str) -> None:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-core looks for barriers: pip install -e '.[dev]'")
    page, pictures = played, REPOSITORY / "out"
    pictures.mkdir(exist_ok=True)
    repaint(page, theme, size)
    for tab in page.get_by_role("tab").all_inner_texts():
        page.get_by_role("tab", name=tab).click()
        page.mouse.move(0, 0)
        page.wait_for_timeout(600)
        states = ("", "wrong") if tab == "Generate" else ("",)
        for state in states:
            if state == "wrong":
                page.locator("#chords textarea").fill("I V Hm7")
                page.locator("#problem .mt-wrong").wait_for()
                page.wait_for_timeout(400)
            found = Axe().run(page)
            assert found.violations_count == 0, f"{tab} {state}: {found.generate_report()}"
            assert page.evaluate("() => document.documentElement.scrollWidth") <= SIZES[size]["width"]
            page.screenshot(path=pictures / f"ui-{tab.lower()}{state}-{theme}-{size}.png")
    page.get_by_role("tab", name="Generate").click()
    for at in ("0", "document.body.scrollHeight"):
        page.evaluate(f"() => window.scrollTo(0, {at})")
        assert in_view(page, "#generate", "#cancel", "#problem")
    page.locator("#chords textarea").fill(CHORDS)
    page.locator("#reading .musetune-chart").wait_for()
    repaint(page, "light", "wide")


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
    assert page.locator("#length input").input_value() == "4"
    text = page.locator("#chords textarea").input_value()
    assert chart_text(LeadSheet.parse(text, key="F major")) == text
    assert abs(float(page.locator("#bpm input").input_value()) - 100) <= 2
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
