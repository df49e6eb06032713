"""The Edit tab in a real headless browser: bars of a take are clicked and made anew, and compared with what was.

Screenshots: out/ui-edit-*.png.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import REPOSITORY, fill, find_chromium, missing, served

from musetune import LeadSheet
from musetune.audio import save_audio, synthesize
from musetune.planning.rules.orchestrate import orchestrate

WAIT_MS = 120_000
SIZES = {"wide": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def page(full_base: Path) -> Iterator[Any]:
    """The page after four bars were generated, and Edit was pressed beside the take."""
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
        fill(page, "chords", "| C | Am | F | G |")
        fill(page, "bpm", "160")
        page.get_by_text("Seed and steps").click()
        fill(page, "steps", "2")
        page.locator("#generate").click()
        page.get_by_role("button", name="Edit: ").click()
        page.locator("#edit-piece .mt-pick").first.wait_for()
        yield page
        browser.close()


def pick(page: Any, bar: int) -> Any:
    return page.locator(f'#edit-piece .mt-pick[data-bar="{bar}"]')


def picked(page: Any) -> list[str]:
    return page.locator('#edit-piece .mt-pick[aria-pressed="true"] i').all_inner_texts()


def test_bars_are_clicked_or_written(page: Any) -> None:
    stretch = page.locator("#edit-stretch textarea, #edit-stretch input")
    pick(page, 2).click()
    assert stretch.input_value() == "2"
    pick(page, 4).click(modifiers=["Shift"])
    assert stretch.input_value() == "2-4"
    pick(page, 3).click()
    assert (stretch.input_value(), picked(page)) == ("2, 4", ["2", "4"])
    stretch.fill("1-2")
    page.locator('#edit-piece .mt-pick[data-bar="1"][aria-pressed="true"]').wait_for()
    assert picked(page) == ["1", "2"]


def test_bars_are_made_anew_and_compared_with_what_was(page: Any) -> None:
    fill(page, "edit-stretch", "3")
    page.locator("#edit-chords textarea, #edit-chords input").fill("Dm7")
    page.locator('#edit-chords-pads .mt-pad[data-numeral="V"]').click()
    chords = "document.querySelector('#edit-chords textarea, #edit-chords input').value"
    page.wait_for_function(f"() => {chords} === 'Dm7 G'")
    for tool, moved in (("raise", "Ebm7 Ab"), ("lower", "Dm7 G")):  # the chords alone: key and tempo are the piece's
        page.locator(f"#edit-chords-tools [data-tool={tool}]").click()
        page.wait_for_function(f"() => {chords} === '{moved}'")
    assert page.locator("#edit-chords-tools [data-tool=tap]").count() == 0
    page.locator("#edit-start").click()
    page.locator("#edit-result .mt-side").first.wait_for()
    after = page.locator('#edit-result [data-side="A"] .mt-chart .mt-chord b')
    assert after.all_inner_texts() == ["C", "Am", "Dm7", "G", "G"]
    page.locator("#edit-result .mt-side", has_text="Before").click()
    assert page.locator("#edit-result audio >> visible=true").count() == 1
    before = page.locator('#edit-result [data-side="B"] .mt-chart .mt-chord b')
    assert before.all_inner_texts() == ["C", "Am", "F", "G"]
    page.locator("#edit-on").click()
    page.locator("#edit-piece h2", has_text=", edited").wait_for()
    assert pick(page, 3).locator("b").inner_text() == "Dm7 G"


def test_the_piece_becomes_longer_and_the_takes_are_in_the_list(page: Any) -> None:
    page.get_by_label("Longer", exact=True).check()
    fill(page, "edit-after", "1")
    page.locator("#edit-start").click()
    page.locator("#edit-result .mt-side", has_text="longer: 1 bar after").wait_for()
    assert page.locator('#edit-result [data-side="A"] .mt-measure').count() == 5
    page.get_by_role("tab", name="Generate").click()
    assert page.locator("#takes li").count() == 3
    page.get_by_role("tab", name="Edit").click()


def test_another_take_and_a_loop_of_it(page: Any) -> None:
    page.get_by_label("Another take", exact=True).check()
    page.locator("#edit-start").click()
    page.locator("#edit-result .mt-side", has_text="varied by 0.4").wait_for()
    page.get_by_label("Loops", exact=True).check()
    fill(page, "edit-stretch", "1-2")
    page.locator("#edit-start").click()
    page.locator("#edit-result .mt-side", has_text="loop: bars 1-2").wait_for()
    assert page.locator("#edit-result audio[loop]").count() == 1


def test_a_song_is_covered_and_it_is_said_what_was_kept(page: Any, tmp_path: Path) -> None:
    sheet = LeadSheet.parse("| C | Am | F | G |", bpm=120, genre="pop")
    notes = orchestrate(sheet, seed=3).arrangement.to_pretty_midi()
    song = save_audio(tmp_path / "my song.wav", synthesize(notes, 16000, duration_s=sheet.duration_s), 16000)
    page.locator("#edit-file input[type=file]").set_input_files(song)
    page.locator("#edit-piece h2", has_text="my song").wait_for()
    page.locator("#edit-sheet-part > button").click()
    own = LeadSheet.parse("| C | Am7 | F | G7 |", key="C major", bpm=120).save(tmp_path / "own.json")
    page.locator("#edit-sheet input[type=file]").set_input_files(own)
    page.locator('#edit-piece .mt-pick[data-bar="4"] b', has_text="G7").wait_for()
    page.get_by_label("Cover", exact=True).check()
    page.locator("#edit-genre select").select_option("jazz")
    page.locator("#edit-more > button").click()
    fill(page, "edit-steps", "1")
    fill(page, "edit-seed", "5")
    page.locator("#edit-start").click()
    page.locator("#edit-status", has_text="kept: chords").wait_for()
    kept = page.locator("#edit-status").inner_text()
    assert all(word in kept for word in ("beats", "melody", "loudness"))
    page.locator("#edit-result .mt-side", has_text="cover, jazz").wait_for()
    sound = "document.querySelector('#edit-result [data-side=\"A\"] audio')"
    assert page.evaluate(f"() => {sound}.play().then(() => true)")
    page.wait_for_function(f"() => {sound}.currentTime > 0.3")
    assert page.evaluate(f"() => {sound}.duration") == pytest.approx(8.0, abs=0.3)
    page.evaluate(f"() => {sound}.pause()")


def test_what_is_wrong_is_said(page: Any) -> None:
    page.get_by_label("Bars anew", exact=True).check()
    fill(page, "edit-stretch", "9")
    page.locator("#edit-start").click()
    page.locator("#edit-status .mt-wrong", has_text="within 1–4").wait_for()


@pytest.mark.parametrize("size", SIZES)
def test_the_tab_fits_and_has_no_barriers(page: Any, size: str) -> None:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-core looks for barriers: pip install -e '.[dev]'")
    pictures = REPOSITORY / "out"
    pictures.mkdir(exist_ok=True)
    page.set_viewport_size(SIZES[size])
    for theme in ("light", "dark"):
        page.evaluate(f"() => document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
        page.wait_for_timeout(600)
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("() => document.documentElement.scrollWidth") <= SIZES[size]["width"]
        page.screenshot(path=pictures / f"ui-edit-{theme}-{size}.png", full_page=True)
    page.evaluate("() => document.body.classList.remove('dark')")
    page.set_viewport_size(SIZES["wide"])


def test_no_script_failed(page: Any) -> None:
    assert not page.faults
