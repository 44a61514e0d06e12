"""Links that bring files, emulated devices, and git in JupyterLab: with a real git repository and a real browser."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from tests.git_server import GitServer, git_server
from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .person import Person

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
NOTEBOOK = {
    "cells": [{"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# The first lesson"}],
    "metadata": {},
    "nbformat": 4,
    "nbformat_minor": 5,
}
FILE = "one/first lesson.ipynb"


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    with git_server(tmp_path_factory.mktemp("git")) as server:
        server.commit({FILE: json.dumps(NOTEBOOK), "README.md": "Lessons"})
        yield server


@pytest.fixture(scope="module")
def platform(built: None, browser: Browser, git: GitServer) -> Iterator[RunningPlatform]:
    """`config/local.yaml` with one more host for links; every profile takes the environment that is built already."""
    text = (ROOT / "config" / "local.yaml").read_text()
    text = re.sub(r"^    image: \w+$", "    image: python", text, flags=re.MULTILINE)
    text = text.replace("site:\n", f"site:\n  launch_links: {{hosts: [git.example.org, '{git.host}']}}\n", 1)
    with RunningPlatform.start(values=text) as running:
        yield running


def link(**arguments: str) -> str:
    return "/hub/spawn?" + urlencode({f"opt-{name}": value for name, value in arguments.items()})


def test_a_link_opens_the_notebook_that_it_brings(
    person: MakePerson, platform: RunningPlatform, git: GitServer, results: Path
) -> None:
    alice = person("alice", platform)
    page, home = alice.page, platform.state.home("user-alice")
    alice.log_in()
    alice.go(link(profile="python", size="medium", git=git.lessons, file=FILE))
    box = page.get_by_label(f"This link also brings the files of {git.lessons} into the folder lessons")
    expect(box).to_be_checked()
    expect(page.locator("#launch")).to_contain_text(f"opens {FILE}")
    expect(page.locator("#profile-python-size-medium")).to_be_checked()
    look_at(alice, "launch-link", results)
    assert not alice.is_running(), "a link starts nothing"
    alice.press_start()
    alice.in_lab()
    page.wait_for_url(re.compile(r"/user/alice/lab/tree/lessons/one/first%20lesson\.ipynb"))
    expect(page.locator(".jp-Notebook")).to_contain_text("The first lesson", timeout=60_000)
    page.screenshot(path=str(results / "launch-lab.png"))
    assert json.loads((home / "lessons" / FILE).read_text()) == NOTEBOOK

    see_lab_at_the_second_visit(alice)
    bring_more_while_the_session_runs(alice, git, results)
    start_a_repository_with_the_git_panel(alice, home, results)
    alice.stop_by_api()
    the_next_start_brings_nothing(alice)


def see_lab_at_the_second_visit(alice: Person) -> None:
    alice.go("/user/alice/")
    alice.in_lab()
    assert "git-pull" not in alice.page.url


def bring_more_while_the_session_runs(alice: Person, git: GitServer, results: Path) -> None:
    """The session asks by itself, also for an address that goes past the spawn page."""
    page, home = alice.page, alice.platform.state.home("user-alice")
    git.commit({"two.md": "The second lesson"})
    alice.go(link(git=git.lessons, branch="main", file="two.md"))
    expect(page.get_by_role("heading", name="Bring files?")).to_be_visible()
    expect(page.locator("main")).to_contain_text(f"brings the files of {git.lessons}, branch main, into the folder")
    assert alice.violations() == []
    page.screenshot(path=str(results / "launch-ask.png"))
    assert not (home / "lessons" / "two.md").exists()
    page.get_by_role("button", name="Bring the files").click(no_wait_after=True)
    page.wait_for_url(re.compile(r"/lab/tree/lessons/two\.md"), timeout=60_000)
    assert (home / "lessons" / "two.md").exists()
    for evil in ("targetpath=.local%2Flib", "urlpath=%2F%2Fevil.example.org"):
        alice.go(f"/user/alice/git-pull?repo={git.lessons}&{evil}")
        expect(page.locator("body")).to_contain_text("400")


def start_a_repository_with_the_git_panel(alice: Person, home: Path, results: Path) -> None:
    page = alice.page
    (home / "work").mkdir()
    os.chown(home / "work", home.stat().st_uid, home.stat().st_gid)
    alice.go("/user/alice/lab/tree/work?reset")
    alice.in_lab()
    expect(page.locator(".jp-BreadCrumbs")).to_contain_text("work", timeout=30_000)
    page.get_by_role("tab", name="Git").click()
    page.get_by_role("button", name="Initialize a Repository").click()
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    expect(page.locator("#jp-git-sessions")).to_contain_text("work", timeout=60_000)
    page.screenshot(path=str(results / "lab-git.png"))
    assert (home / "work" / ".git" / "HEAD").exists()


def the_next_start_brings_nothing(alice: Person) -> None:
    alice.go("/hub/spawn")
    expect(alice.card("python")).to_be_checked()
    expect(alice.page.locator("#launch")).to_have_count(0)
    assert "git" not in (alice.platform.state.hub / "last-choices.json").read_text()


def look_at(one: Person, name: str, results: Path) -> None:
    """Pictures for people, in both themes and narrow; axe finds nothing."""
    page = one.page
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        assert one.violations() == []
        page.screenshot(path=str(results / f"{name}-{theme}.png"), full_page=True)
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.screenshot(path=str(results / f"{name}-narrow.png"))
    page.set_viewport_size({"width": 1000, "height": 600})
    if os.environ.get("AIINFN_UPDATE_IMAGES"):
        page.screenshot(path=str(ROOT / "docs" / "images" / f"{name}.png"))
    page.set_viewport_size({"width": 1280, "height": 900})


def test_without_the_tick_nothing_is_brought_and_bad_links_say_why(
    person: MakePerson, platform: RunningPlatform, git: GitServer
) -> None:
    carol = person("carol", platform)
    page = carol.page
    carol.log_in()
    for bad, words in {
        "https://evil.example.org/x": "git.example.org",
        "javascript:alert(1)": "https only",
        "ext::sh": "https only",
        "https://u:p@git.example.org/x": "no user name",
    }.items():
        carol.go(link(git=bad))
        expect(page.locator("#launch-problem")).to_contain_text(words)
        expect(page.locator("#launch")).to_have_count(0)
    assert carol.violations() == []
    carol.go(link(profile="python", git=git.lessons))
    page.get_by_label("This link also brings").uncheck()
    carol.press_start()
    carol.in_lab()
    assert "lessons" not in page.url
    assert not (platform.state.home("user-carol") / "lessons").exists()
    carol.stop_by_api()


def test_what_is_emulated_says_so_everywhere(person: MakePerson, platform: RunningPlatform, results: Path) -> None:
    bob, alice = person("bob", platform), person("alice", platform)
    for one in (bob, alice):
        one.log_in()
    for profile in ("fpga", "quantum"):
        bob.choose(profile)
        card = bob.page.locator(f".aiinfn-card:has(#profile-{profile})")
        expect(card.locator(".aiinfn-more .aiinfn-emulated")).to_have_text(["EMULATED"])
    bob.choose("fpga")
    bob.page.get_by_label("FPGA card").check()
    alice.choose("fpga")
    alice.page.get_by_label("FPGA card").check()
    bob.press_start()
    bob.in_lab()
    expect(bob.page.locator("#jp-aiinfn-session-status")).to_contain_text("EMULATED", timeout=30_000)
    bob.page.screenshot(path=str(results / "lab-emulated.png"))
    alice.press_start()
    alert = alice.page.get_by_role("alert")
    expect(alert).to_contain_text('1 of 1 "FPGA card" (EMULATED) is in use', timeout=60_000)
    expect(alert).to_contain_text("start without an accelerator")
    assert not alice.is_running()
    bob.stop_by_api()
