"""The browser, the platforms, and people who use them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.platform import RunningPlatform

from .person import Person

ROOT = Path(__file__).resolve().parents[2]

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SMALL_VALUES = """
version: 1
site: {name: Small platform, support: help@example.org}
identity:
  users:
    root-of-all: {groups: [admins]}
    alice: {groups: [users]}
    bob: {groups: [users]}
  admin_groups: [admins]
images:
  small: {name: Small, folder: small}
  broken: {name: Broken, folder: broken}
projects:
  personal: {name: Personal, personal: true}
profiles:
  small: {name: Small, image: small, sizes: {small: {cores: 1, memory_gib: 1}}, max: 1h}
  broken: {name: Broken, image: broken, sizes: {small: {cores: 1, memory_gib: 1}}, max: 1h}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of the system. One a module: Playwright's event loop must not be there when other folders run theirs."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "Chromium is missing; `make setup` installs it or says how"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=FLAGS, headless=True)
        yield found
        found.close()


@pytest.fixture(scope="session")
def results() -> Path:
    """Where screenshots go, for people to look at."""
    folder = ROOT / "test-results" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def build(image: str) -> None:
    """Build the environment of an image in the ordinary cache, when it is not there."""
    command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "image", "build", image]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="session")
def built() -> None:
    """The environment of the Python profile, in the ordinary cache: built once on a machine."""
    build("python")


@pytest.fixture(scope="module")
def platform(built: None) -> Iterator[RunningPlatform]:
    """The platform of `config/local.yaml`, one a module: what one leaves in a home, the next would open again."""
    with RunningPlatform.start(values=ROOT / "config" / "local.yaml") as running:
        yield running


@pytest.fixture
def fresh_cache() -> Iterator[Path]:
    """An empty cache, where no environment is; what pip and uv downloaded before stays where it is."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-cache-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def small_platform(tmp_path_factory: pytest.TempPathFactory, fresh_cache: Path) -> Iterator[RunningPlatform]:
    """A platform with a small image that is not built yet, and one that cannot be."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-small-"))
    folder.chmod(0o755)
    (folder / "values.yaml").write_text(SMALL_VALUES)
    shutil.copytree(Path(__file__).parent / "images", folder, dirs_exist_ok=True)
    with RunningPlatform.start(values=folder / "values.yaml", arguments=["--cache", str(fresh_cache)]) as running:
        yield running
    shutil.rmtree(folder, ignore_errors=True)


MakePerson = Callable[..., Person]


@pytest.fixture
def person(browser: Browser, request: pytest.FixtureRequest) -> Iterator[MakePerson]:
    """Make people: ``person("alice")``, or with options of the browser context; clean pages are asserted at the end."""
    contexts: list[BrowserContext] = []
    people: list[Person] = []

    def make(name: str, platform: RunningPlatform, **options: Any) -> Person:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **options})
        contexts.append(context)
        people.append(Person(context, platform, name))
        return people[-1]

    yield make
    failed = getattr(request.node, "failed", False)
    for one in people:
        if failed:
            one.page.screenshot(path=str(ROOT / "test-results" / f"{request.node.name}-{one.name}.png"))
            print(one.page.url)
            one.platform.print_logs()
    for one in people:
        one.leave()
    for context in contexts:
        context.close()
    if not failed:
        for one in people:
            one.assert_clean()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell the fixtures whether the test failed."""
    report = (yield).get_result()  # type: ignore[attr-defined]
    if report.when == "call":
        item.failed = report.failed  # type: ignore[attr-defined]
