"""The Compare tab in a real headless browser: blind pairs, keys and clicks, further pairs, and kill -9 of the page.

Screenshots: out/ui-compare-*.png.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import REPOSITORY, fill, find_chromium, missing, served

from musetune import LeadSheet
from musetune.audio import save_audio
from musetune.evaluation.preferences import PairBatch, Side, Verdict, read_verdicts

WAIT_MS = 240_000  # for work on a busy machine
SIZES = {"wide": {"width": 1400, "height": 900}, "phone": {"width": 390, "height": 844}}
CHARTS = ("[A] | Cmaj7 | G/B Am7 | F | V7 |\n[B] | Dm7 | G7 | C | C |", "[A] | C | F | G7 | C |")

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> PairBatch:
    """Six pairs with charts, of two origins."""
    folder = tmp_path_factory.mktemp("pairs")
    batch = PairBatch(folder / "batch")
    for number in range(6):
        sides = []
        for origin, chart in zip(("planner", "song"), CHARTS, strict=True):
            sheet = LeadSheet.parse(chart, key="C major", bpm=120 + number)
            seconds = np.arange(round(16000 * sheet.duration_s)) / 16000
            tone = 0.2 * np.sin(2 * np.pi * (220 + 40 * number + 10 * len(sides)) * seconds)
            sound = save_audio(folder / f"{number}-{origin}.wav", tone, 16000)
            sides.append(Side(sound, {"name": origin}, chart=sheet.save(folder / f"{number}-{origin}.json")))
        batch.add(f"p{number}", sides[0], sides[1], {"prompt": "bossa nova"}, question="Which song plan is better?")
    return batch


@pytest.fixture(scope="module")
def page(full_base: Path, batch: PairBatch) -> Iterator[Any]:
    pytest.importorskip("gradio", reason="the page is of the extra ui")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright drives the browser: pip install -e '.[dev]'")
    program, environment = find_chromium()
    with served("--base", str(full_base), "--compare", str(batch.folder)) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, env=environment)
        page = browser.new_page(viewport=SIZES["wide"])
        page.set_default_timeout(WAIT_MS)
        page.faults = []
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on("response", lambda answer: page.faults.append(answer.url) if answer.status >= 400 else None)
        page.goto(address)
        page.get_by_role("tab", name="Compare").click()
        page.locator(".mt-pair").wait_for()
        yield page
        browser.close()


def token(page: Any) -> str:
    return page.locator(".mt-pair").get_attribute("data-token")


def after_verdict(page: Any, before: str, batch: PairBatch) -> Verdict:
    """The verdict that was written last, when the next pair is shown."""
    page.wait_for_function("old => document.querySelector('.mt-pair')?.dataset.token !== old", arg=before)
    return read_verdicts(batch.preferences)[-1]


def test_the_page_does_not_tell_the_origin(page: Any, batch: PairBatch) -> None:
    html = page.locator("#compare").inner_html()
    assert "planner" not in html
    assert "song.wav" not in html
    sources = [audio.get_attribute("src") for audio in page.locator("#compare audio").all()]
    assert [source.rsplit("/", 1)[-1] for source in sources] == ["A.wav", "B.wav"]
    assert page.locator("#compare .mt-chart").count() == 2


def test_keys_play_choose_reasons_and_judge(page: Any, batch: PairBatch) -> None:
    before = token(page)
    page.locator("body").press("a")
    page.wait_for_function("() => document.querySelector('[data-side=A] audio').currentTime > 0.5")
    page.locator("body").press("b")
    page.wait_for_function("() => !document.querySelector('[data-side=B] audio').paused")
    assert page.evaluate("() => document.querySelector('[data-side=A] audio').paused")
    assert page.evaluate("() => document.querySelector('[data-side=B] audio').currentTime") > 0.4  # it plays on there
    page.locator("body").press("b")
    page.wait_for_function("() => document.querySelector('[data-side=B] audio').paused")
    for key in "ccs":
        page.locator("body").press(key)
    page.locator("body").press("2")
    verdict = after_verdict(page, before, batch)
    assert (verdict.verdict, verdict.reasons, verdict.id) == ("B", ("sound",), before)
    assert verdict.judge.name == "listener"
    assert verdict.heard_s is not None
    assert verdict.heard_s[0] > 0.3
    page.get_by_text("1 of 6 judged").wait_for()
    assert page.evaluate("() => document.activeElement.tagName") == "H2"  # a reader goes on at the next pair


def test_a_verdict_is_taken_back_by_a_key_and_given_by_a_click(page: Any, batch: PairBatch) -> None:
    before = token(page)
    page.locator("body").press("u")
    page.locator("#compare-problem", has_text="Taken back.").wait_for()
    page.get_by_text("0 of 6 judged").wait_for()
    assert not read_verdicts(batch.preferences)
    before = token(page)
    page.get_by_role("checkbox", name="chords").check()
    page.get_by_role("button", name="Both bad").click()
    verdict = after_verdict(page, before, batch)
    assert (verdict.verdict, verdict.reasons) == ("both bad", ("chords",))


def test_typing_a_name_gives_no_verdict_and_keys_can_be_switched_off(page: Any, batch: PairBatch) -> None:
    fill(page, "compare-name", "abc 123")
    page.get_by_text("0 of 6 judged").wait_for()
    assert len(read_verdicts(batch.preferences)) == 1
    before = token(page)
    page.locator("#compare-keys input").uncheck()
    page.locator("body").press("1")
    page.locator("#compare-keys input").check()
    page.locator(".mt-pair h2").focus()
    page.locator("body").press("3")
    verdict = after_verdict(page, before, batch)
    assert (verdict.verdict, verdict.judge.name) == ("equal", "abc 123")
    assert len(read_verdicts(batch.preferences)) == 2


def test_results_are_shown_on_demand(page: Any) -> None:
    assert "planner" not in page.content()
    page.locator("#compare-results").get_by_text("Results", exact=True).click()
    page.get_by_role("button", name="Show results").click()
    page.locator(".mt-results", has_text="planner").wait_for()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(page: Any, theme: str, size: str) -> None:
    try:
        from axe_playwright_python.sync_playwright import Axe
    except ImportError:
        missing("axe-core looks for barriers: pip install -e '.[dev]'")
    page.set_viewport_size(SIZES[size])
    page.evaluate(f"() => document.body.classList.toggle('dark', {str(theme == 'dark').lower()})")
    page.mouse.move(0, 0)
    page.wait_for_timeout(800)
    (REPOSITORY / "out").mkdir(exist_ok=True)
    page.screenshot(path=REPOSITORY / "out" / f"ui-compare-{theme}-{size}.png", full_page=True)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= SIZES[size]["width"]
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_pairs_are_made_while_one_judges_and_cancel_keeps_whole_ones(page: Any, batch: PairBatch) -> None:
    page.set_viewport_size(SIZES["wide"])
    page.get_by_role("tab", name="Generate").click()
    fill(page, "chords", "I V")
    fill(page, "length", "2")
    page.get_by_text("Seed and steps").first.click()
    fill(page, "steps", "50")
    page.get_by_role("tab", name="Compare").click()
    page.locator("#compare-make").get_by_text("Make further pairs").click()
    fill(page, "compare-count", "20")
    page.locator("#compare-start").click()
    page.locator("#compare-status", has_text="pair 2 of 20").wait_for()
    before = token(page)
    page.locator(".mt-pair h2").focus()
    page.locator("body").press("4")
    after_verdict(page, before, batch)
    page.locator("#compare-cancel").click()
    page.locator("#compare-status", has_text="Cancelled").wait_for()
    made = [pair for pair in batch.pairs().values() if not pair.id.startswith("p")]
    assert 1 <= len(made) < 20
    assert all(side.audio.is_file() for pair in made for side in pair.sides)
    assert made[0].sides[0].origin["base"]


def test_programs_can_judge_through_the_api(page: Any, batch: PairBatch) -> None:
    from gradio_client import Client

    client = Client(page.url, verbose=False)
    dealt = client.predict("robot", api_name="/compare_next")
    assert set(dealt) == {"token", "a", "b", "request"}
    said = client.predict(dealt["token"], "A", ["rhythm"], api_name="/compare_verdict")
    verdict = read_verdicts(batch.preferences)[-1]
    assert (verdict.id, verdict.judge.name, verdict.reasons) == (said["id"], "robot", ("rhythm",))
    assert "planner" not in str(dealt) + str(said)


def test_no_script_and_no_request_failed(page: Any) -> None:
    assert not page.faults


def test_no_verdict_is_lost_when_the_page_is_killed(full_base: Path, batch: PairBatch) -> None:
    """A program judges as fast as it can and the server is killed: all that was confirmed is there."""
    from gradio_client import Client

    said = []
    with served("--base", str(full_base), "--compare", str(batch.folder)) as address:
        client = Client(address, verbose=False)
        for _ in range(3):
            dealt = client.predict("fast", api_name="/compare_next")
            said.append(client.predict(dealt["token"], "B", [], api_name="/compare_verdict")["id"])
        os.kill(served_process(address), signal.SIGKILL)
    own = [verdict for verdict in read_verdicts(batch.preferences) if verdict.judge.name == "fast"]
    assert [verdict.id for verdict in own] == said


def served_process(address: str) -> int:
    """The process that listens at an address."""
    import psutil

    port = int(address.rstrip("/").rsplit(":", 1)[1])
    return next(
        process.pid
        for process in psutil.Process().children(recursive=True)
        for connection in process.net_connections()
        if connection.laddr and connection.laddr.port == port and connection.status == psutil.CONN_LISTEN
    )
