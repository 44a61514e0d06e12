"""The session panel in a real browser: live figures, another profile without losing a tab, the end on request."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, expect

from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .person import Person

pytestmark = pytest.mark.slow
BURN = "import time\nend = time.time() + 25\nwhile time.time() < end: pass"
TABS = ".lm-DockPanel-tabBar .lm-TabBar-tabLabel"


@pytest.fixture
def alice(person: MakePerson, platform: RunningPlatform) -> Person:
    alice = person("alice", platform)
    alice.log_in()
    return alice


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
    if os.environ.get("AIINFN_UPDATE_IMAGES"):
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
    alice.start("python")
    alice.new_notebook("Python")
    alice.run_cell("x = 1; print('first', x)")
    alice.save_as("kept.ipynb")
    panel = open_panel(alice)
    expect(panel).to_contain_text(re.compile("left"))
    alice.run_cell(BURN)
    busy = busiest(alice, panel, 20)
    assert busy > 0.05, busy
    picture(alice, results, "session-panel")
    expect(panel).to_contain_text("0 kernels computing", timeout=40_000)
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
    page.wait_for_url(re.compile("/hub/spawn/alice"), timeout=60_000)
    expect(alice.card("quantum")).to_be_checked()
    assert parse_qs(urlsplit(page.url).query)["next"][0].startswith("/user/alice/lab")
    assert not alice.is_running(), "nothing starts before the person presses Start"
    alice.press_start()
    alice.in_lab(400)
    expect(page.locator(TABS, has_text="kept.ipynb")).to_be_visible(timeout=30_000)
    assert page.locator(TABS).all_inner_texts() == tabs
    expect(page.locator(".jp-Toolbar-kernelName").first).to_contain_text("Quantum", timeout=60_000)
    expect(page.locator("#jp-aiinfn-session-status")).to_contain_text("Quantum")
    alice.stop_by_api()
