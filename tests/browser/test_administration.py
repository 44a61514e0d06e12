"""The administrators' page, and what people see of what is done there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .test_pages import tab_to

PAGE = "/services/aiinfn/administration"
MESSAGE = "Power is cut at six: <b>save</b> your work."


@pytest.mark.timeout(300)
def test_an_administrator_speaks_and_stops_by_keyboard(
    person: MakePerson, platform: RunningPlatform, results: Path
) -> None:
    alice, bob, admin = (person(name, platform) for name in ("alice", "bob", "admin"))
    for one in (alice, bob, admin):
        one.log_in()
    alice.start("python")
    alice.new_notebook("Python")
    alice.run_cell("# typed at the last moment")
    page = admin.page
    admin.go("/services/aiinfn/")
    page.get_by_role("link", name="Administration").click()
    row = page.get_by_role("row", name=re.compile("^alice"))
    expect(row).to_contain_text("Quantum laboratory")
    page.get_by_role("link", name=re.compile("^Idle for")).press("Enter")
    expect(page.get_by_role("columnheader", name="Idle for")).to_have_attribute("aria-sort", "ascending")

    tab_to(page, "#message")
    page.keyboard.type(MESSAGE)
    tab_to(page, 'form.stacked button[type="submit"]')
    page.keyboard.press("Enter")
    expect(page.get_by_text(MESSAGE).first).to_be_visible()
    bob.go("/hub/spawn")
    expect(bob.page.locator(".aiinfn-announcement")).to_contain_text(MESSAGE)  # no restart, and as plain text
    bob.page.screenshot(path=str(results / "announcement.png"))
    assert bob.violations() == []

    page.get_by_role("link", name="Stop the session of alice").press("Enter")
    tab_to(page, "#message")
    page.keyboard.type("The node is being repaired.")
    page.get_by_label("When").select_option("0")
    tab_to(page, 'button[type="submit"]')
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{PAGE}")
    for _ in range(60):
        if not alice.is_running():
            break
        page.wait_for_timeout(500)
    alice.go("/hub/home")
    said = "an administrator ended it: The node is being repaired.; your files are in your home"
    expect(alice.page.locator("#aiinfn-last-end")).to_contain_text(said)
    alice.go("/hub/spawn")
    expect(alice.page.locator("#aiinfn-last-end")).to_contain_text("The node is being repaired")
    notebooks = list(platform.state.home("user-alice").glob("Untitled*.ipynb"))
    assert any("last moment" in notebook.read_text() for notebook in notebooks)
    page.reload()
    expect(page.get_by_role("row", name=re.compile("admin stopped a session alice"))).to_be_visible()
    page.get_by_role("button", name=re.compile("^Take back")).click()
    expect(page.get_by_text("Nothing is announced.")).to_be_visible()
    bob.go("/hub/spawn")
    expect(bob.page.locator(".aiinfn-announcement")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_in_both_themes_and_narrow(
    theme: Any, person: MakePerson, platform: RunningPlatform, results: Path
) -> None:
    admin = person("admin", platform, color_scheme=theme)
    admin.log_in()
    admin.start("quantum")
    page = admin.page
    admin.go(PAGE)
    page.get_by_label("Announce", exact=True).fill("GPUs are being replaced on Friday from 8:00 to 10:00.")
    page.get_by_role("button", name="Announce", exact=True).click()
    page.wait_for_url(re.compile("#announcements"))
    for _ in range(20):
        admin.go(PAGE)
        if "not known" not in page.locator("table").first.inner_text():
            break
        page.wait_for_timeout(2000)
    picture = page.screenshot(full_page=True)
    (results / f"administration-{theme}.png").write_bytes(picture)
    if theme == "light" and os.environ.get("AIINFN_UPDATE_IMAGES"):
        (ROOT / "docs" / "images" / "administrators-page.png").write_bytes(picture)
    assert admin.violations() == []
    page.set_viewport_size({"width": 320, "height": 640})
    page.screenshot(path=str(results / f"administration-narrow-{theme}.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.get_by_role("link", name="Stop the session of admin").click()
    page.screenshot(path=str(results / f"administration-stop-{theme}.png"), full_page=True)
    assert admin.violations() == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    admin.go(PAGE)
    page.get_by_role("button", name=re.compile("^Take back")).first.click()
    admin.stop_by_api()
    empty = page.get_by_text("Nobody has a session now.")
    for _ in range(40):  # the service hears of the end a moment later
        admin.go(PAGE)
        if empty.is_visible():
            break
        page.wait_for_timeout(250)
    expect(empty).to_be_visible()
    page.screenshot(path=str(results / f"administration-empty-{theme}.png"), full_page=True)
    assert admin.violations() == []
