"""A person fills the home until nothing can be written, stops, starts again, cleans up and works on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from jupyterhub_aiinfn.backends.local.uids import uid_of
from tests import filesystems
from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .person import START_SECONDS, Person

LIMIT = 24 * filesystems.MEBIBYTE
FILL = """\
import os
os.makedirs("data", exist_ok=True)
written = 0
for size in (1 << 20, 1 << 12):
    try:
        with open("data/big.bin", "ab", buffering=0) as file:
            while True:
                written += file.write(os.urandom(size))
                os.fsync(file.fileno())
    except OSError as error:
        print("stopped after", written // 2**20, "MiB:", error.strerror)"""
CLEANUP = re.compile(r"/aiinfn/cleanup")

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(600)]


@contextmanager
def small_home(platform: RunningPlatform, name: str) -> Iterator[Path]:
    """The home of a person on a file system that lets 24 MiB in: a quota where this machine can, else a small disk."""
    home, uid = platform.state.home(f"user-{name}"), uid_of(platform.state, name)
    home.mkdir(mode=0o700, exist_ok=True)
    quota = "btrfs" in Path("/proc/filesystems").read_text()
    with filesystems.btrfs_home(home, uid, LIMIT) if quota else filesystems.tmpfs_home(home, uid, size=LIMIT):
        yield home


def test_a_person_fills_the_home_and_works_on(person: MakePerson, platform: RunningPlatform, results: Path) -> None:
    with small_home(platform, "carol") as home:
        carol = person("carol", platform)
        carol.log_in()
        carol.start("python")
        carol.new_notebook("Python")
        carol.save_as("work.ipynb")
        dark_theme(carol)
        fill_it(carol, home, results)
        carol.stop()

        lands_on_the_cleanup_page(carol)
        pictures(carol, results)
        assert carol.violations() == []
        opens_lab_as_it_is(carol)
        deletes_the_big_file(carol, home, results)
        goes_on_and_works(carol, home, results)
        carol.stop_by_api()


def dark_theme(carol: Person) -> None:
    """Choose something that must be there afterwards."""
    carol.page.get_by_role("menuitem", name="Settings", exact=True).click()
    for label in ("Theme", "JupyterLab Dark"):
        carol.page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{label}$")).click()
    is_dark(carol)


def is_dark(carol: Person) -> None:
    expect(carol.page.locator("body")).to_have_attribute("data-jp-theme-light", "false", timeout=20_000)


def fill_it(carol: Person, home: Path, results: Path) -> None:
    """Until nothing fits; saving then says so in words, with a way to the clean-up page."""
    carol.run_cell(FILL)
    expect(carol.page.locator(".jp-OutputArea-output").last).to_contain_text("stopped after", timeout=60_000)
    assert (home / "data/big.bin").stat().st_size > LIMIT // 2
    carol.run_cell("x = '" + "too much " * 20_000 + "'")
    carol.page.keyboard.press("Control+s")
    toast = carol.page.locator(".Toastify__toast", has_text="Nothing can be saved")
    expect(toast).to_be_visible(timeout=20_000)
    expect(carol.page.locator(".jp-Dialog", has_text="nothing was saved")).to_be_visible(timeout=20_000)
    carol.page.screenshot(path=str(results / "lab-full-home.png"))
    carol.page.keyboard.press("Escape")
    with carol.context.expect_page() as opened:
        toast.get_by_role("button", name="Clean up").click()
    opened.value.wait_for_url(CLEANUP)
    expect(opened.value.get_by_role("heading", name="Clean up your home")).to_be_visible()
    opened.value.close()


def lands_on_the_cleanup_page(carol: Person) -> None:
    carol.choose("python")
    carol.press_start()
    carol.page.wait_for_url(CLEANUP, timeout=START_SECONDS * 1000)
    expect(carol.page.get_by_role("alert")).to_contain_text("This is a rescue session")
    expect(carol.page.locator("#progress")).to_contain_text("Measured in", timeout=20_000)
    expect(carol.page.get_by_role("row", name="data/big.bin")).to_be_visible()


def pictures(carol: Person, results: Path) -> None:
    """What people see, for the documentation and to look at."""
    page = carol.page
    page.set_viewport_size({"width": 1000, "height": 900})
    picture = page.screenshot(full_page=True)
    (results / "cleanup-light.png").write_bytes(picture)
    if os.environ.get("AIINFN_UPDATE_IMAGES"):
        (ROOT / "docs" / "images" / "cleanup-page.png").write_bytes(picture)
    page.emulate_media(color_scheme="dark")
    page.screenshot(path=str(results / "cleanup-dark.png"), full_page=True)
    assert carol.violations() == []
    page.emulate_media(color_scheme="light")
    page.set_viewport_size({"width": 380, "height": 800})
    page.screenshot(path=str(results / "cleanup-narrow.png"), full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 380
    page.set_viewport_size({"width": 1280, "height": 900})


def opens_lab_as_it_is(carol: Person) -> None:
    """JupyterLab can be opened without room, and runs a cell; the theme is the one that was chosen."""
    carol.page.get_by_role("button", name="Open JupyterLab as it is").click()
    carol.in_lab()
    is_dark(carol)
    expect(carol.page.locator(".Toastify__toast", has_text="Nothing can be saved")).to_be_visible(timeout=20_000)
    carol.page.goto(f"{carol.platform.url}/user/carol/aiinfn/cleanup")
    expect(carol.page.locator("#progress")).to_contain_text("Measured in", timeout=20_000)


def deletes_the_big_file(carol: Person, home: Path, results: Path) -> None:
    """By keyboard: chosen, asked, kept once, deleted the second time."""
    page = carol.page
    box = page.get_by_role("checkbox", name="Choose data/big.bin").first
    box.focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Delete…").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete for good?")
    expect(dialog).to_contain_text(re.compile(r"1 file with [\d.]+ MiB will be deleted"), timeout=20_000)
    expect(dialog).to_contain_text("This cannot be undone")
    page.screenshot(path=str(results / "cleanup-confirm.png"))
    assert carol.violations() == []
    page.keyboard.press("Escape")
    assert (home / "data/big.bin").exists()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete 1 file").click()
    expect(page.get_by_role("dialog", name="Deleted")).to_contain_text("1 file with", timeout=20_000)
    assert not (home / "data/big.bin").exists()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#room")).to_contain_text("There is room again")
    page.screenshot(path=str(results / "cleanup-room.png"))


def goes_on_and_works(carol: Person, home: Path, results: Path) -> None:
    """The same session is an ordinary one now: a notebook is saved, and so are the settings."""
    page = carol.page
    page.get_by_role("button", name="Go on to JupyterLab").click()
    carol.in_lab()
    is_dark(carol)
    carol.open_file("work.ipynb")
    page.wait_for_selector(".jp-Notebook .cm-content")
    idle = re.compile(r"Python.* \| Idle")
    expect(page.locator("#jp-main-statusbar")).to_contain_text(idle, timeout=60_000)
    carol.run_cell("print('still here', 6 * 7)")
    expect(page.locator(".jp-OutputArea-output").last).to_contain_text("still here 42", timeout=60_000)
    page.keyboard.press("Control+s")
    expect(page.locator("#jp-main-dock-panel .jp-mod-dirty")).to_have_count(0, timeout=20_000)
    page.screenshot(path=str(results / "lab-after-rescue.png"))
    assert "still here" in (home / "work.ipynb").read_text()
    assert (home / ".jupyter/lab/workspaces").is_dir()
