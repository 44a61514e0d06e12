"""The session panel in a real browser: live figures, another profile without losing a tab, the end on request."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from playwright.sync_api import Locator, expect

from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .person import Person

pytestmark = pytest.mark.slow
BURN = "import time\nend = time.time() + 25\nwhile time.time() < end: pass"
ON_THE_PAGE = ("session-panel", "change-profile", "session-warning")
TABS = ".lm-DockPanel-tabBar .lm-TabBar-tabLabel"


@pytest.fixture
def alice(person: MakePerson, platform: RunningPlatform) -> Iterator[Person]:
    """A person who is logged in; what a test left running is stopped."""
    alice = person("alice", platform)
    alice.log_in()
    yield alice
    alice.stop_by_api()


def start_afresh(person: Person, profile: str) -> None:
    """A session whose tabs are not those of the test before."""
    person.start(profile)
    person.go(f"/user/{person.name}/lab?reset")
    person.in_lab()
    expect(person.page.locator("#jp-aiinfn-session-status button")).to_be_visible(timeout=60_000)


def open_panel(person: Person) -> Locator:
    person.page.locator("#jp-aiinfn-session-status button").click()
    panel = person.page.locator("#jp-aiinfn-session-panel")
    expect(panel).to_be_visible()
    return panel


def violations(person: Person, selector: str) -> list[str]:
    """What axe finds within our own nodes; the rest of JupyterLab is not ours."""
    found = person.violations()
    inside = person.page.locator(selector).evaluate_all("nodes => nodes.map(node => node.outerHTML).join('')")
    return [line for line in found if line.partition(": ")[2][:60] in inside]


def picture(person: Person, results: Path, name: str) -> None:
    data = person.page.screenshot()
    (results / f"{name}.png").write_bytes(data)
    if os.environ.get("AIINFN_UPDATE_IMAGES") and name in ON_THE_PAGE:
        (ROOT / "docs" / "images" / f"{name}.png").write_bytes(data)


def cores_used(panel: Locator) -> float:
    text = panel.locator(".jp-aiinfn-meter", has_text="Cores").locator(".jp-aiinfn-meter-text").inner_text()
    found = re.match(r"([\d.]+) of", text)
    return float(found[1]) if found else 0.0


def busiest(person: Person, panel: Locator, seconds: int) -> float:
    """The most cores that the panel shows within that time: how many a busy machine gives is not ours to say."""
    found = 0.0
    for _ in range(seconds * 2):
        found = max(found, cores_used(panel))
        person.page.wait_for_timeout(500)
    return found


@pytest.mark.timeout(400)
def test_the_panel_shows_what_the_session_uses_and_changes_to_another_profile(alice: Person, results: Path) -> None:
    start_afresh(alice, "python")
    alice.new_notebook("Python")
    alice.run_cell("x = 1; print('first', x)")
    alice.save_as("kept.ipynb")
    panel = open_panel(alice)
    expect(panel).to_contain_text(re.compile("left"))
    alice.run_cell(BURN)
    busy = busiest(alice, panel, 20)
    assert busy > 0.05, busy
    picture(alice, results, "session-panel")
    expect(panel).to_contain_text("0 kernels are running cells", timeout=40_000)
    alice.page.wait_for_timeout(11_000)
    assert cores_used(panel) < busy / 2
    assert violations(alice, "#jp-aiinfn-session-panel, #jp-aiinfn-session-status") == []
    change_to_quantum(alice, panel, results)


def change_to_quantum(alice: Person, panel: Locator, results: Path) -> None:
    page = alice.page
    tabs = page.locator(TABS).all_inner_texts()
    assert "kept.ipynb" in tabs
    panel.get_by_role("button", name="Change profile…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Quantum", exact=True).check()
    expect(dialog).to_contain_text("Variables in memory are lost")
    picture(alice, results, "change-profile")
    assert violations(alice, ".jp-aiinfn-change") == []
    dialog.get_by_role("button", name="Save, stop and go on").click()
    page.wait_for_url(re.compile("/hub/spawn/alice"), timeout=90_000)
    expect(alice.card("quantum")).to_be_checked()
    assert parse_qs(urlsplit(page.url).query)["next"][0].startswith("/user/alice/lab")
    assert not alice.is_running(), "nothing starts before the person presses Start"
    alice.press_start()
    alice.in_lab(400)
    expect(page.locator(TABS, has_text="kept.ipynb")).to_be_visible(timeout=30_000)
    assert page.locator(TABS).all_inner_texts() == tabs
    expect(page.locator(".jp-Toolbar-kernelName").first).to_contain_text("Quantum", timeout=60_000)
    expect(page.locator("#jp-aiinfn-session-status")).to_contain_text("Quantum")


@pytest.mark.timeout(300)
def test_a_session_is_stopped_from_the_panel_with_the_keyboard_alone(alice: Person, results: Path) -> None:
    start_afresh(alice, "python")
    page = alice.page
    home = alice.platform.state.home("user-alice")
    alice.new_notebook("Python")
    alice.run_cell("# typed and not saved")
    alice.save_as("stopped.ipynb")
    alice.run_cell("# typed at the last moment")
    page.keyboard.press("Alt+Shift+S")
    panel = page.locator("#jp-aiinfn-session-panel")
    change = panel.get_by_role("button", name="Change profile…")
    expect(change).to_be_focused()
    page.keyboard.press("Tab")
    expect(panel.get_by_role("button", name="Stop…")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("Variables in memory are lost")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/hub/home"), timeout=90_000)
    expect(page.locator("#aiinfn-last-end")).to_contain_text("stopped on request", timeout=60_000)
    picture(alice, results, "after-stop")
    alice.has_ended()
    found = (home / "stopped.ipynb").read_text()
    assert "last moment" in found, found


@pytest.mark.timeout(300)
def test_the_panel_is_readable_in_the_dark_and_in_a_narrow_window(alice: Person, results: Path) -> None:
    start_afresh(alice, "quantum")
    page = alice.page
    panel = open_panel(alice)
    page.keyboard.press("Control+Shift+C")
    expect(page.locator(".lm-CommandPalette-input")).to_be_focused()
    page.keyboard.type("JupyterLab Dark")
    # not a click: the list is drawn anew while it is looked at
    expect(page.locator(".lm-CommandPalette-item.lm-mod-active")).to_contain_text("JupyterLab Dark")
    page.keyboard.press("Enter")
    expect(page.locator("body[data-jp-theme-light=false]")).to_be_attached()
    expect(panel).to_contain_text(re.compile(r"[\d.]+ of 1"), timeout=30_000)
    picture(alice, results, "session-panel-dark")
    assert violations(alice, "#jp-aiinfn-session-panel, #jp-aiinfn-session-status") == []
    page.set_viewport_size({"width": 480, "height": 700})
    page.keyboard.press("Control+b")  # the file browser goes: JupyterLab gives a narrow window to one side
    expect(panel.get_by_role("button", name="Stop…")).to_be_in_viewport()
    picture(alice, results, "session-panel-narrow")
    wide = panel.evaluate("node => node.scrollWidth - node.clientWidth")
    assert wide <= 0, "nothing is cut off"


@pytest.mark.timeout(400)
def test_a_person_is_warned_extends_once_and_reads_why_not_twice(
    built: None, person: MakePerson, results: Path
) -> None:
    values = yaml.safe_load((ROOT / "config" / "local.yaml").read_text())
    values["profiles"]["python"] |= {"max": "2m", "warn": "1m", "extend": {"by": "1h", "times": 1}, "keep": "30m"}
    with RunningPlatform.start(values=yaml.safe_dump(values)) as platform:
        announce(person("admin", platform), "The cooling is repaired at noon")
        alice = person("alice", platform)
        alice.log_in()
        alice.start("python")
        toast = alice.page.locator(".Toastify__toast", has_text="The cooling is repaired at noon")
        expect(toast).to_be_visible(timeout=60_000)
        toast.get_by_role("button").first.click()
        expect(toast).to_be_hidden()
        warning = alice.page.locator(".Toastify__toast", has_text="Ends in")
        expect(warning).to_be_visible(timeout=120_000)
        expect(warning).to_contain_text("variables in memory will be lost")
        picture(alice, results, "session-warning")
        warning.get_by_role("button", name="Extend by 1 h").click()
        expect(warning).to_be_hidden(timeout=20_000)
        panel = open_panel(alice)
        expect(panel).to_contain_text(re.compile(r"1 h( 0\d min)? left|59 min left"))
        expect(panel.get_by_role("button", name="Extend by 1 h")).to_be_disabled()
        expect(panel.locator(".jp-aiinfn-extend")).to_contain_text("extended 1 time already")
        expect(panel).to_contain_text("The cooling is repaired at noon")
        picture(alice, results, "session-extended")
        alice.page.reload()
        alice.in_lab()
        expect(panel).to_be_attached(timeout=30_000)
        alice.page.wait_for_timeout(3000)
        expect(toast).to_be_hidden()


def announce(admin: Person, message: str) -> None:
    admin.log_in()
    admin.go("/services/aiinfn/administration")
    admin.page.get_by_label("Announce", exact=True).fill(message)
    admin.page.get_by_role("button", name="Announce").click()
    expect(admin.page.locator(".announcements")).to_contain_text(message)
