"""The second story: a full home is no end, another profile costs no tab, and the end of a session costs no work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import expect

from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson, build
from .person import Person
from .test_full_home import deletes_the_big_file, fill_it, lands_on_the_cleanup_page, small_home
from .test_panel import TABS, open_panel

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]
SHORT = {"max": "3m", "warn": "80s", "extend": {"by": "1m", "times": 1}}
"""Long enough to start, be warned, extend and work; short enough to wait for the end."""


@pytest.fixture(scope="module")
def short_lived(built: None) -> Iterator[RunningPlatform]:
    """A platform whose FPGA sessions are short."""
    build("fpga")
    values = yaml.safe_load((ROOT / "config" / "local.yaml").read_text())
    values["profiles"]["fpga"] |= SHORT
    with RunningPlatform.start(values=yaml.safe_dump(values)) as running:
        yield running


def test_a_full_home_another_profile_and_the_longest_life(
    person: MakePerson, short_lived: RunningPlatform, results: Path
) -> None:
    with small_home(short_lived, "carol") as home:
        carol = person("carol", short_lived)
        carol.log_in()
        fills_the_home_and_cleans_up(carol, home, results)
        changes_to_fpga(carol)
        is_warned_and_extends_once(carol, results)
        works_until_the_end(carol)
        finds_the_notebook_with_its_outputs(carol, home, results)
        carol.stop_by_api()


def fills_the_home_and_cleans_up(carol: Person, home: Path, results: Path) -> None:
    carol.start("python")
    carol.new_notebook("Python")
    carol.save_as("work.ipynb")
    fill_it(carol, home, results)
    carol.stop()
    lands_on_the_cleanup_page(carol)
    deletes_the_big_file(carol, home, results)
    carol.page.get_by_role("button", name="Go on to JupyterLab").click()
    carol.in_lab()
    carol.open_file("work.ipynb")
    kernel_is_idle(carol, "Python")
    carol.run_cell("print('in Python', 6 * 7)")
    expect(carol.page.locator(".jp-OutputArea-output").last).to_contain_text("in Python 42", timeout=60_000)


def kernel_is_idle(carol: Person, kernel: str) -> None:
    carol.page.wait_for_selector(".jp-Notebook .cm-content")
    idle = re.compile(rf"{kernel}.* \| Idle")
    expect(carol.page.locator("#jp-main-statusbar")).to_contain_text(idle, timeout=60_000)


def changes_to_fpga(carol: Person) -> None:
    page = carol.page
    documents = {"work.ipynb"} & set(page.locator(TABS).all_inner_texts())
    assert documents
    panel = open_panel(carol)
    panel.get_by_role("button", name="Change profile…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("FPGA", exact=True).check()
    dialog.get_by_role("button", name="Save, stop and go on").click()
    page.wait_for_url(re.compile("/hub/spawn/carol"), timeout=90_000)
    expect(carol.card("fpga")).to_be_checked()
    carol.press_start()
    carol.in_lab()
    expect(page.locator(TABS, has_text="work.ipynb")).to_be_visible(timeout=30_000)
    assert documents <= set(page.locator(TABS).all_inner_texts())
    kernel_is_idle(carol, "FPGA")


def is_warned_and_extends_once(carol: Person, results: Path) -> None:
    page = carol.page
    warning = page.locator(".Toastify__toast", has_text="Ends in")
    expect(warning).to_be_visible(timeout=200_000)
    warning.get_by_role("button", name="Extend by 1 min").click()
    expect(warning).to_be_hidden(timeout=20_000)
    panel = open_panel(carol)
    expect(panel.get_by_role("button", name="Extend by 1 min")).to_be_disabled()
    expect(panel.locator(".jp-aiinfn-extend")).to_contain_text("extended 1 time already")
    page.screenshot(path=str(results / "second-story-refused.png"))


def works_until_the_end(carol: Person) -> None:
    """The cell still runs when the session ends; what it has printed by then must be found again."""
    carol.run_cell("import time\nfor n in range(600):\n    print('step', n, flush=True)\n    time.sleep(1)")
    expect(carol.page.locator(".jp-OutputArea-output").last).to_contain_text("step 2", timeout=60_000)
    for _ in range(300):
        if not carol.is_running():
            return
        carol.page.wait_for_timeout(1000)
    raise AssertionError("the session did not end at its longest life")


def finds_the_notebook_with_its_outputs(carol: Person, home: Path, results: Path) -> None:
    carol.go("/hub/home")
    expect(carol.page.locator("#aiinfn-last-end")).to_contain_text("longest life")
    saved = (home / "work.ipynb").read_text()
    assert "in Python 42" in saved
    assert "step 2" in saved
    carol.start("python")
    outputs = carol.page.locator(".jp-OutputArea-output")
    expect(outputs.filter(has_text="in Python 42")).to_be_visible(timeout=30_000)
    expect(outputs.filter(has_text="step 2")).to_be_visible(timeout=30_000)
    carol.page.screenshot(path=str(results / "second-story-found.png"))
