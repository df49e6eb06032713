"""The Live tab in a real headless browser: sound goes on, pads change it, one plays at a time, who leaves is missed.

Screenshots: out/ui-live-*.png.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from browser import REPOSITORY, find_chromium, missing, served

WAIT_MS = 120_000
SIZES = {"wide": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def context(full_base: Path) -> Iterator[Any]:
    """A browser at a served page's address."""
    pytest.importorskip("gradio", reason="the page is of the extra ui")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright drives the browser: pip install -e '.[dev]'")
    program, environment = find_chromium()
    with served("--base", str(full_base)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env=environment)
        yield browser.new_context(base_url=address, viewport=SIZES["wide"])
        browser.close()


def opened(context: Any) -> Any:
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
    page.goto("/")
    page.get_by_role("tab", name="Live").click()
    page.locator('[data-live="start"]').wait_for()
    return page


@pytest.fixture(scope="module")
def page(context: Any) -> Any:
    return opened(context)


def pad(page: Any, numeral: str) -> Any:
    return page.locator(f'.mt-live .mt-pad[data-numeral="{numeral}"]').first


def sounds(page: Any, name: str) -> None:
    """Wait until a chord sounds."""
    page.wait_for_function("name => document.querySelector('[data-live=now]').textContent === name", arg=name)


def test_it_plays_changes_at_pads_records_and_stops(page: Any) -> None:
    page.locator('.mt-live [data-setting="bpm"]').fill("200")
    pad(page, "vi").click()
    page.locator('[data-live="start"]').click()
    sounds(page, "Am")
    page.evaluate(
        "() => { const { context, output } = mtLive.session; window.ear = new AnalyserNode(context);"
        " output.connect(window.ear); }"
    )
    page.wait_for_function(
        "() => { const wave = new Float32Array(2048); window.ear.getFloatTimeDomainData(wave);"
        " return Math.max(...wave) > 1e-4 }"
    )
    page.locator('[data-live="record"]').click()
    pad(page, "IV").click()
    assert pad(page, "IV").get_attribute("aria-pressed") == "true"
    sounds(page, "F")
    page.locator('.mt-live [data-setting="key"]').select_option("D major")
    sounds(page, "G")  # IV of D
    page.locator('[data-live="pads"] .mt-pads[aria-label*="D major"]').wait_for()
    facts = page.locator('[data-live="facts"]').inner_text()
    assert "lie ready" in facts
    assert "gaps:" in facts
    page.locator('[data-live="start"]').click()
    assert page.locator('[data-live="start"]').inner_text() == "▶ Start"
    link = page.locator('[data-live="recording"]')
    link.wait_for()
    data = page.evaluate(
        "async () => [...new Uint8Array(await (await fetch(document.querySelector('[data-live=recording]').href))"
        ".arrayBuffer())]"
    )
    wave, rate = soundfile.read(io.BytesIO(bytes(data)), always_2d=True)
    assert rate == int(page.locator(".mt-live").get_attribute("data-rate"))
    assert len(wave) >= 4 * 60 / 200 * rate  # a bar at least
    assert not page.locator('[data-live="problem"]').inner_text()


def test_one_plays_at_a_time_and_who_leaves_is_missed(page: Any, context: Any) -> None:
    other = opened(context)
    other.locator('[data-live="start"]').click()
    other.wait_for_function("() => mtLive.session?.token")
    page.locator('[data-live="start"]').click()
    page.locator('[data-live="problem"]', has_text="somebody plays live").wait_for()
    assert page.locator('[data-live="start"]').inner_text() == "▶ Start"
    other.close()
    page.wait_for_function(  # within seconds the pipeline is free again
        "async () => { const answer = await fetch('musetune/live', {method: 'POST', body: '{\"bpm\": 240}'});"
        " const reader = answer.body.getReader(); await reader.read(); await reader.cancel(); return answer.ok; }",
        polling=1000,
        timeout=30_000,
    )


def test_a_wrong_progression_is_said_and_the_music_goes_on(page: Any) -> None:
    page.wait_for_function(  # the session of the test before may not have ended yet
        "() => { if (!mtLive.session) document.querySelector('[data-live=start]').click();"
        " return mtLive.session?.scheduled > 0 }",
        polling=1000,
    )
    page.locator('[data-live="progression"]').fill("I Hm")
    page.locator('[data-live="round"]').click()
    page.locator('[data-live="problem"]', has_text="'Hm'").wait_for()
    page.locator('[data-live="progression"]').fill("ii")
    page.locator('[data-live="round"]').click()
    sounds(page, "Em")  # ii of D
    assert not page.locator('[data-live="problem"]').inner_text()
    page.locator('[data-live="start"]').click()


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
        page.screenshot(path=pictures / f"ui-live-{theme}-{size}.png", full_page=True)
    page.evaluate("() => document.body.classList.remove('dark')")
    page.set_viewport_size(SIZES["wide"])
    refusals = ("409", "400")  # which the tests above asked for
    assert not [fault for fault in page.faults if not any(number in fault for number in refusals)]
