"""Nothing typed is lost: tabs that are open, closed or asleep while cells run and sessions end."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.platform import RunningPlatform

from .conftest import MakePerson
from .person import Person
from .relay import Relay, behind_relay

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

COUNT = "import time\nfor i in range(%d):\n    print('line', i, flush=True)\n    time.sleep(0.5)\nprint('the end')"
HOME = "user-alice"


@pytest.fixture
def alice(person: MakePerson, platform: RunningPlatform) -> Iterator[Person]:
    """Alice in JupyterLab; her session is stopped at the end."""
    made = person("alice", platform)
    made.log_in()
    made.start("python")
    yield made
    made.page = made.context.new_page()
    made.go("/hub/home")
    made.stop_by_api()


def begin(alice: Person, name: str, code: str) -> None:
    """A saved notebook in which a cell runs."""
    alice.new_notebook("Python")
    alice.run_cell(code)
    expect(alice.page.locator(".jp-OutputArea-output").first).to_contain_text("line 0", timeout=30_000)
    alice.save_as(name, settles=False)
    expect(alice.page.locator(".lm-TabBar-tab", has_text=name).first).to_be_visible()


def reopen(alice: Person, name: str) -> Page:
    """The notebook in a new tab."""
    page = alice.context.new_page()
    page.goto(f"{alice.platform.url}/user/alice/lab/workspaces/again/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=90_000)
    return page


def shown(page: Page) -> str:
    """The outputs on the page."""
    return "".join(page.locator(".jp-OutputArea-output").all_inner_texts())


def assert_once(text: str, lines: int) -> None:
    """Every line is there exactly once, in order."""
    assert re.findall(r"line \d+|the end", text) == [*(f"line {i}" for i in range(lines)), "the end"], text


def saved(platform: RunningPlatform, name: str) -> list[dict[str, Any]]:
    """The cells of a notebook of Alice's home; none while it is being written."""
    text = (platform.state.home(HOME) / name).read_text()
    cells: list[dict[str, Any]] = json.loads(text)["cells"] if text.endswith("}\n") else [{"outputs": []}]
    return cells


def text_of(cells: list[dict[str, Any]]) -> str:
    """What the first cell has put out, in the file."""
    return "".join("".join(output.get("text", [])) for output in cells[0]["outputs"])


def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.3)


def test_a_tab_that_is_closed_and_opened_again(alice: Person, platform: RunningPlatform) -> None:
    begin(alice, "closed.ipynb", COUNT % 16)
    alice.page.close()
    page = reopen(alice, "closed.ipynb")  # the cell goes on meanwhile, and then in front of us
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("the end", timeout=60_000)
    assert_once(shown(page), 16)
    expect(page.locator(".jp-InputPrompt").first).to_contain_text("[1]:")
    page.keyboard.press("Control+s")
    until(lambda: "the end" in text_of(saved(platform, "closed.ipynb")))
    assert page.locator(".jp-Dialog").count() == 0
    page.close()

    page = reopen(alice, "closed.ipynb")
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".jp-OutputArea-output").first).to_contain_text("line 0", timeout=30_000)
    page.keyboard.press("Control+s")
    page.wait_for_timeout(1500)
    page.close()  # for longer than it runs
    until(lambda: "the end" in text_of(saved(platform, "closed.ipynb")))
    assert_once(text_of(saved(platform, "closed.ipynb")), 16)
    page = reopen(alice, "closed.ipynb")
    assert_once(shown(page), 16)
    expect(page.locator(".jp-InputPrompt").first).to_contain_text("[2]:")


def test_a_session_that_is_stopped_while_a_cell_runs_and_no_tab_is_open(
    alice: Person, platform: RunningPlatform
) -> None:
    begin(alice, "stopped.ipynb", COUNT % 600)
    alice.page.close()
    time.sleep(3)
    alice.page = alice.context.new_page()
    alice.go("/hub/home")
    alice.stop_by_api()
    text = text_of(saved(platform, "stopped.ipynb"))
    assert text.startswith("line 0\nline 1\nline 2\n")
    assert "ended while this cell was running" in text


@contextlib.contextmanager
def far_away(person: MakePerson, platform: RunningPlatform) -> Iterator[tuple[Relay, Person]]:
    """Alice behind a relay; her session is stopped at the end, whatever happened."""
    with behind_relay(platform) as (relay, far):
        alice = person("alice", far)
        alice.log_in()
        alice.start("python")
        try:
            yield relay, alice
        finally:
            relay.wake()
            alice.errors.clear()
            alice.page = alice.context.new_page()
            alice.go("/hub/home")
            alice.stop_by_api()


def save(page: Page) -> None:
    """Save; where JupyterLab asks which of the two to keep, the tab has both."""
    page.keyboard.press("Control+s")
    page.wait_for_timeout(3000)
    asked = page.locator(".jp-Dialog").get_by_role("button", name="Overwrite")
    if asked.count():
        asked.click()


def test_a_laptop_that_sleeps_while_a_cell_runs(person: MakePerson, platform: RunningPlatform) -> None:
    with far_away(person, platform) as (relay, alice):
        begin(alice, "asleep.ipynb", COUNT % 30)
        alice.page.wait_for_timeout(3000)  # the tab looks at what it saved and renamed
        alice.page.locator(".jp-Notebook .jp-Cell .cm-content").last.click()
        alice.page.keyboard.insert_text("# typed before the laptop was closed")
        relay.sleep()
        until(lambda: "the end" in text_of(saved(platform, "asleep.ipynb")))
        assert_once(text_of(saved(platform, "asleep.ipynb")), 30)
        assert "typed before" not in json.dumps(saved(platform, "asleep.ipynb"))
        relay.wake()
        expect(alice.page.locator(".jp-OutputArea-output").first).to_contain_text("the end", timeout=60_000)
        assert_once(shown(alice.page), 30)
        expect(alice.page.locator(".jp-Cell .cm-content").last).to_contain_text("typed before the laptop was closed")
        expect(alice.page.locator(".jp-InputPrompt").first).to_contain_text("[1]:")
        save(alice.page)
        until(lambda: "typed before" in json.dumps(saved(platform, "asleep.ipynb")))
        assert_once(text_of(saved(platform, "asleep.ipynb")), 30)


def test_a_short_sleep_shows_everything_once(person: MakePerson, platform: RunningPlatform) -> None:
    with far_away(person, platform) as (relay, alice):
        begin(alice, "short.ipynb", COUNT % 24)
        relay.sleep()
        time.sleep(3)
        relay.wake()
        expect(alice.page.locator(".jp-OutputArea-output").first).to_contain_text("the end", timeout=60_000)
        assert_once(shown(alice.page), 24)


def test_two_tabs_with_one_notebook(alice: Person, platform: RunningPlatform) -> None:
    begin(alice, "two.ipynb", COUNT % 16)
    other = reopen(alice, "two.ipynb")
    alice.page.close()
    expect(other.locator(".jp-OutputArea-output").first).to_contain_text("the end", timeout=60_000)
    assert_once(shown(other), 16)


def test_stop_on_the_hubs_page_saves_what_is_open(alice: Person, platform: RunningPlatform, results: Path) -> None:
    alice.new_notebook("Python")
    alice.run_cell("# typed just before")
    lab, alice.page = alice.page, alice.context.new_page()
    alice.stop()
    until(lambda: "typed just before" in json.dumps(saved(platform, "Untitled.ipynb")), 5)
    expect(lab.locator(".Toastify__toast", has_text="Everything that was open is saved")).to_be_visible()
    lab.screenshot(path=str(results / "lab-stopped-by-hub.png"))


def test_what_cannot_be_saved_is_kept_in_the_browser_and_recovered(
    alice: Person, platform: RunningPlatform, results: Path
) -> None:
    home = platform.state.home(HOME)
    for left in home.glob("Untitled*.ipynb"):
        left.unlink()
    alice.go("/user/alice/lab?reset")  # what was open in the last session is open again, and there is no launcher
    alice.in_lab()
    alice.new_notebook("Python")
    alice.run_cell("# typed, and the folder takes nothing")
    file, mode = home / "Untitled.ipynb", home.stat().st_mode
    file.chmod(0o444)
    home.chmod(0o555)
    lab, alice.page = alice.page, alice.context.new_page()
    try:
        alice.stop()
        expect(lab.locator(".Toastify__toast", has_text="This browser keeps what is not saved")).to_be_visible()
        lab.screenshot(path=str(results / "lab-not-saved.png"))
        assert "takes nothing" not in file.read_text()
    finally:
        home.chmod(mode)
        file.chmod(0o644)
    lab.close()
    # The notebook was never saved, so JupyterLab does not know its kernel, and asks at a moment of its own.
    asked = alice.page.locator(".jp-Dialog").get_by_role("button", name="No Kernel")
    alice.page.add_locator_handler(asked, lambda button: button.click())
    alice.start("python")
    offer = alice.page.locator(".Toastify__toast", has_text="Not saved when your last session ended")
    expect(offer).to_be_visible(timeout=30_000)
    alice.page.screenshot(path=str(results / "lab-recover.png"))
    offer.get_by_role("button", name="Recover").click()
    until(lambda: any("takes nothing" in one.read_text() for one in home.glob("Untitled (unsaved *).ipynb")))
    alice.page.reload()
    alice.in_lab()
    alice.page.wait_for_timeout(2000)
    expect(offer).to_have_count(0)
