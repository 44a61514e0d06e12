"""Every page of ours: readable by everybody, in both themes, on a narrow screen, by keyboard, without JavaScript."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.platform import RunningPlatform, traversable_folder

from .conftest import MakePerson
from .person import START_SECONDS, Person

PAGES = ["/hub/login", "/hub/spawn", "/hub/home", "/hub/spawn/alice", "/services/aiinfn/", "/services/aiinfn/logout"]
UPSTREAM_PAGES = ["/hub/token"]
UPSTREAM: dict[str, list[str]] = {
    # Rules that pages of others break, and that we cannot mend here.
    "/hub/token": ["scrollable-region-focusable"],
    "JupyterLab": ["aria-allowed-attr", "aria-required-children", "aria-required-parent", "color-contrast", "label"],
}


def visit(one: Person, path: str) -> None:
    if path == "/hub/login":
        one.context.clear_cookies()
    one.go(path)
    one.page.wait_for_load_state("networkidle")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_our_pages(
    theme: Any, person: MakePerson, platform: RunningPlatform, results: Path
) -> None:
    alice = person("alice", platform, color_scheme=theme)
    alice.log_in()
    found = {}
    for path in [*PAGES[1:], *UPSTREAM_PAGES, "/services/aiinfn/starts/" + "0" * 32, PAGES[0]]:
        visit(alice, path)
        name = path.strip("/").replace("/", "-") or "index"
        alice.page.screenshot(path=str(results / f"{name}-{theme}.png"), full_page=True)
        found[path] = [one for one in alice.violations() if one.split(":")[0] not in UPSTREAM.get(path, [])]
    alice.errors = [error for error in alice.errors if "404" not in error]  # the start that does not exist
    assert {path: list_ for path, list_ in found.items() if list_} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_where_a_session_starts_and_where_people_log_out(
    theme: Any, person: MakePerson, platform: RunningPlatform, results: Path
) -> None:
    alice = person("alice", platform, color_scheme=theme)
    page = alice.page
    alice.log_in()
    alice.choose("python")
    page.route("**/server/progress*", lambda route: route.abort())  # the page would go on to the session by itself
    alice.press_start()
    page.wait_for_url("**/hub/spawn-pending/alice**")
    expect(page.get_by_role("heading", name="Your session is starting")).to_be_visible()
    page.screenshot(path=str(results / f"spawn-pending-{theme}.png"))
    assert alice.violations() == []
    alice.stop_by_api()
    alice.go("/services/aiinfn/logout")
    alice.errors = [error for error in alice.errors if "ERR_FAILED" not in error]  # the progress that was held back
    page.get_by_role("button", name="Log out of the platform's pages").click()
    expect(page.get_by_role("heading", name="Logged out")).to_be_visible()
    assert alice.violations() == []


BROKEN_SERVER = """#!/bin/sh
echo 'it begins'
echo 'OSError: [Errno 28] <No space> left on device' >&2
exit 3
"""


@pytest.fixture(scope="module")
def broken(built: None) -> Iterator[RunningPlatform]:
    """A platform whose Jupyter server exits at once."""
    folder = traversable_folder()
    (folder / "bin").mkdir()
    program = folder / "bin" / "python"
    program.write_text(BROKEN_SERVER)
    for path in (folder / "bin", program):
        path.chmod(0o755)
    with RunningPlatform.start(environment={"AIINFN_LAB_PREFIX": str(folder)}) as running:
        yield running
    shutil.rmtree(folder)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_session_that_exits_at_once_says_its_last_lines(
    theme: Any, person: MakePerson, broken: RunningPlatform, results: Path
) -> None:
    alice = person("alice", broken, color_scheme=theme)
    alice.log_in()
    alice.choose("python")
    begun = time.monotonic()
    alice.press_start()
    alert = alice.page.locator(".spawn-error-msg")
    expect(alert).to_contain_text("the session ended before it answered: it exited with code 3", timeout=20_000)
    assert time.monotonic() - begun < 10
    expect(alert).to_contain_text("OSError: [Errno 28] <No space> left on device")
    alice.page.screenshot(path=str(results / f"last-lines-{theme}.png"))
    assert alice.violations() == []
    alice.errors = [error for error in alice.errors if "status of 500" not in error]  # said in words, as seen
    alice.go("/hub/home")
    expect(alice.page.locator("#aiinfn-last-end")).to_contain_text("it exited with code 3")
    assert alice.violations() == []


def test_times_are_shown_in_the_zone_of_the_reader(person: MakePerson, broken: RunningPlatform) -> None:
    far_away = person("bob", broken, timezone_id="Pacific/Auckland")
    far_away.log_in()
    far_away.choose("python")
    far_away.press_start()
    expect(far_away.page.locator(".spawn-error-msg")).to_be_visible(timeout=20_000)
    far_away.errors = [error for error in far_away.errors if "status of 500" not in error]
    for path in ("/hub/home", "/services/aiinfn/"):
        visit(far_away, path)
        moment = far_away.page.locator("time[datetime]").first
        said = datetime.fromisoformat(str(moment.get_attribute("datetime"))).astimezone(ZoneInfo("Pacific/Auckland"))
        expect(moment).to_contain_text(f"{said:%H:%M}")
        assert re.search(r"\d\d:\d\d CES?T", str(moment.get_attribute("title")))


@pytest.mark.parametrize("path", PAGES)
def test_themes_differ(path: str, person: MakePerson, platform: RunningPlatform) -> None:
    colours = []
    for theme in ("light", "dark"):
        one = person("alice", platform, color_scheme=theme)
        one.log_in()
        visit(one, path)
        colours.append(one.page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours[0] != colours[1]


@pytest.mark.parametrize("path", PAGES)
def test_a_narrow_window_needs_no_scrolling_sideways(path: str, person: MakePerson, platform: RunningPlatform) -> None:
    alice = person("alice", platform, viewport={"width": 320, "height": 640})
    alice.log_in()
    visit(alice, path)
    assert alice.page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_narrow_spawn_page_can_be_used(person: MakePerson, platform: RunningPlatform, results: Path) -> None:
    alice = person("alice", platform, viewport={"width": 320, "height": 640})
    alice.log_in()
    alice.choose("quantum")
    alice.page.screenshot(path=str(results / "spawn-narrow.png"), full_page=True)
    button = alice.page.get_by_role("button", name="Start", exact=True)
    button.scroll_into_view_if_needed()
    expect(button).to_be_in_viewport()


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus; it must then be seen."""
    for _ in range(60):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            expect(page.locator(selector).first).to_be_in_viewport()
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab never comes to {selector}")


@pytest.mark.timeout(300)
def test_from_the_login_to_jupyterlab_by_keyboard_only(person: MakePerson, platform: RunningPlatform) -> None:
    carol = person("carol", platform)
    page = carol.page
    carol.go("/hub/login")
    tab_to(page, "#username_input")
    page.keyboard.type("carol")
    tab_to(page, "#password_input")
    page.keyboard.type(platform.password("carol"))
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/hub/spawn"))
    tab_to(page, 'input[name="profile"]')
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    expect(carol.card("python")).to_be_checked()
    tab_to(page, 'button[type="submit"]')
    page.keyboard.press("Enter")
    carol.in_lab()
    carol.stop_by_api()


@pytest.mark.timeout(300)
def test_without_javascript_from_the_login_to_the_session(person: MakePerson, platform: RunningPlatform) -> None:
    bob = person("bob", platform, java_script_enabled=False)
    bob.log_in()
    bob.choose("python")
    expect(bob.page.get_by_role("button", name="Start", exact=True)).to_be_enabled()
    bob.press_start()
    bob.page.wait_for_url(re.compile("/user/bob/"), timeout=START_SECONDS * 1000)
    bob.stop_by_api()


@pytest.mark.timeout(300)
def test_jupyterlab_says_what_the_session_is(person: MakePerson, platform: RunningPlatform, results: Path) -> None:
    alice = person("alice", platform)
    alice.log_in()
    alice.start("python")
    item = alice.page.locator("#jp-aiinfn-session-status")
    expect(item).to_contain_text("Quantum laboratory", timeout=30_000)
    said = re.compile("Charged to the project: Quantum laboratory")
    expect(item.get_by_role("button")).to_have_accessible_description(said)
    alice.page.wait_for_selector(".jp-LauncherCard")
    alice.page.wait_for_timeout(3000)  # time for what would pop up by itself
    alice.page.screenshot(path=str(results / "lab.png"))
    assert alice.page.locator(".Toastify__toast").all_inner_texts() == [], "JupyterLab greets people with a question"
    bar = alice.page.locator("#jp-main-statusbar").bounding_box()
    mine = item.get_by_role("button").bounding_box()
    assert bar
    assert mine
    assert abs(bar["y"] + bar["height"] / 2 - mine["y"] - mine["height"] / 2) <= 2, "in the middle of the bar"
    in_ours = [one for one in alice.violations() if "aiinfn" in one]
    assert in_ours == []
    unknown = {one.split(":")[0] for one in alice.violations()} - set(UPSTREAM["JupyterLab"])
    assert unknown == set(), alice.violations()
    alice.stop_by_api()
