"""The first thing a researcher does is install a package: through the panel, the terminal and a notebook."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jupyterhub_aiinfn.backends.local.uids import uid_of
from tests.platform import RunningPlatform

from .conftest import ROOT, MakePerson
from .person import AXE, Person

PACKAGE = "cowsay"
CODE = "import cowsay, numpy, sys; print(cowsay.get_output_string('cow', 'own'), numpy.__file__, sys.path)"
SITE = ".local/lib/python3.{minor}/site-packages"
PANEL = "#jp-aiinfn-environments"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_package_of_ones_own(person: MakePerson, platform: RunningPlatform, results: Path) -> None:
    alice = person("alice", platform)
    alice.log_in()
    leak_into_the_home(platform)
    alice.start("python")
    try:
        the_image_s_kernel_says_how(alice)
        make_one_in_the_panel(alice, results)
        use_it_in_a_notebook(alice)
        use_it_in_a_terminal(alice)
        remove_it(alice)
    finally:
        alice.stop_by_api()


def leak_into_the_home(platform: RunningPlatform) -> None:
    """Packages that `pip install --user` left there, for every Python; before the first session starts."""
    home = platform.state.home("user-alice")
    uid = uid_of(platform.state, "alice") if os.geteuid() == 0 else os.geteuid()
    home.mkdir(mode=0o700, exist_ok=True)
    os.chown(home, uid, uid if uid != os.geteuid() else -1)
    for minor in range(9, 16):
        folder = home / SITE.format(minor=minor)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "leaked.py").write_text("")
        (folder / "numpy.py").write_text("raise SystemExit('leaked')")
        (folder / "leaks.pth").write_text("import os; open(os.path.expanduser('~/leaked.txt'), 'a').write('x')\n")
    for path in [home / ".local", *(home / ".local").rglob("*")]:
        os.chown(path, uid, uid if uid != os.geteuid() else -1)


def open_launcher(page: Page) -> None:
    page.locator("#jp-main-dock-panel .lm-TabBar-addButton").first.click()
    expect(page.locator(".jp-LauncherCard:visible").first).to_be_visible()


def open_panel(page: Page) -> None:
    page.locator(".jp-LauncherCard", has_text="Environments").first.click()
    expect(page.locator(f"{PANEL} h2")).to_have_text("Environments")


def violations(page: Page) -> list[str]:
    page.evaluate(AXE)
    found = page.evaluate("node => axe.run(node)", PANEL)
    return [f"{rule['id']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]]


def output(alice: Person, text: str | re.Pattern[str]) -> None:
    area = alice.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output").last
    expect(area).to_contain_text(text, timeout=90_000)


def the_image_s_kernel_says_how(alice: Person) -> None:
    alice.new_notebook("Python")
    alice.run_cell(f"%pip install {PACKAGE}")
    output(alice, "aiinfn env create my-tools PACKAGES")
    alice.run_cell(
        "import importlib.util as u, numpy, site; print(u.find_spec('leaked'), site.ENABLE_USER_SITE, 'end')"
    )
    output(alice, "None False end")
    open_launcher(alice.page)


def make_one_in_the_panel(alice: Person, results: Path) -> None:
    page = alice.page
    open_panel(page)
    panel = page.locator(PANEL)
    expect(panel).to_contain_text("An environment of your own builds on the image of this session")
    assert violations(page) == []
    panel.get_by_label("Name").fill("my-tools")
    panel.get_by_label("Packages", exact=True).fill(PACKAGE)
    panel.get_by_label("Packages", exact=True).press("Tab")
    page.keyboard.press("Enter")  # the button Create is next
    expect(panel.get_by_role("status")).to_contain_text("my-tools is ready", timeout=120_000)
    one = panel.get_by_role("list", name="Environments", exact=True).get_by_role("listitem")
    expect(one).to_contain_text("ready")
    expect(one).to_contain_text(PACKAGE)
    assert violations(page) == []
    picture = page.screenshot()
    (results / "environments.png").write_bytes(picture)
    if os.environ.get("AIINFN_UPDATE_IMAGES"):
        (ROOT / "docs" / "images" / "environments.png").write_bytes(picture)
    look_at_it_narrow(page, results)


def look_at_it_narrow(page: Page, results: Path) -> None:
    page.set_viewport_size({"width": 700, "height": 900})
    page.screenshot(path=str(results / "environments-narrow.png"))
    page.set_viewport_size({"width": 1280, "height": 900})


def use_it_in_a_notebook(alice: Person) -> None:
    alice.page.get_by_role("button", name="New notebook: my-tools").click()
    name = alice.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Toolbar-kernelName")
    expect(name).to_contain_text("my-tools (from Python)", timeout=60_000)
    idle = re.compile(r"my-tools \(from Python\) \| Idle")
    expect(alice.page.locator("#jp-main-statusbar")).to_contain_text(idle, timeout=60_000)
    cell = alice.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell .cm-content").last
    cell.click()
    alice.page.keyboard.insert_text(CODE)
    alice.page.keyboard.press("Shift+Enter")
    output(alice, "| own |")
    output(alice, re.compile(r"/environments/python-\w+/lib/\S*numpy/__init__\.py"))
    shown = alice.page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-OutputArea-output").last.inner_text()
    assert ".local/lib" not in shown


def use_it_in_a_terminal(alice: Person) -> None:
    home = alice.platform.state.home("user-alice")
    open_launcher(alice.page)
    alice.page.locator(".jp-LauncherCard:visible", has_text="Terminal").first.click()
    terminal = alice.page.locator(".jp-Terminal:visible")
    terminal.wait_for()
    alice.page.wait_for_timeout(1500)
    terminal.click()
    alice.page.keyboard.type(
        "{ aiinfn env list; which python; pip install x; } > said.txt 2>&1; mv said.txt told.txt\n"
    )
    told = home / "told.txt"
    for _ in range(120):
        if told.exists():
            break
        alice.page.wait_for_timeout(250)
    text = told.read_text()
    assert re.search(r"(?m)^my-tools +Python +ready .* yes ", text), text
    assert re.search(r"(?m)/environments/python-\w+/bin/python$", text), text
    assert "aiinfn env create my-tools PACKAGES" in text
    assert not (home / "leaked.txt").exists(), "some Python read ~/.local"


def remove_it(alice: Person) -> None:
    page = alice.page
    page.locator(".lm-TabBar-tabLabel", has_text="Environments").first.click()
    page.get_by_role("button", name="Remove: my-tools").click()
    page.locator(".jp-Dialog").get_by_role("button", name="Remove").click()
    expect(page.locator(PANEL).get_by_role("status").first).to_contain_text("my-tools is removed", timeout=30_000)
    expect(page.locator(PANEL)).to_contain_text("An environment of your own builds on")
