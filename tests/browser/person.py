"""A person at the browser: logs in, chooses, works in JupyterLab; whatever a page does wrong is kept."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_core_python
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect
from playwright.sync_api import Error as PlaywrightError

from tests.platform import RunningPlatform

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
SETTLED = """async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  const ending = document.getAnimations().filter(one => one.effect.getComputedTiming().endTime < Infinity);
  await Promise.all(ending.map(one => one.finished.catch(() => null)));
}"""
"""Colours fade from one theme to the other; what axe would measure in between is neither."""
START_SECONDS = 90
"""A session takes 4 s on an idle machine; this many on one that runs all tests at once."""
TO_LAB = re.compile(r"/user/[^/]+/(?:[^/]+/)?lab")


def is_here(host: str | None) -> bool:
    """Whether a host is this machine, which browsers make of every name below ``localhost``."""
    return host in ("127.0.0.1", "localhost") or (host or "").endswith(".localhost")


class Person:
    """One person in one browser window."""

    def __init__(self, context: BrowserContext, platform: RunningPlatform, name: str) -> None:
        self.context = context
        self.platform = platform
        self.name = name
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.foreign: list[str] = []
        self.errors: list[str] = []
        self.requests: list[str] = []
        context.on("request", self._note_request)
        context.on("console", self._note_console)
        self.page.on("pageerror", lambda error: self._note_error(f"{self.page.url}: {error}"))

    # What a page does wrong

    def _note_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        self.requests.append(request.url)
        if address.scheme not in ("data", "blob", "about") and not is_here(address.hostname):
            self.foreign.append(request.url)

    def _note_console(self, message: ConsoleMessage) -> None:
        refused = re.search("status of (403|409|422)", message.text)  # said in words on the page, and asserted there
        if message.type == "error" and not refused:
            self._note_error(f"{message.page.url if message.page else ''}: {message.text}")

    def _note_error(self, text: str) -> None:
        # A session's own pages are JupyterLab's; ours are the hub's and the service's.
        if text.startswith(self.platform.url) and "/user/" not in urlsplit(text.split(": ")[0]).path:
            self.errors.append(text)

    def assert_clean(self) -> None:
        """No request left this machine, and no page of ours wrote an error to the console."""
        assert not self.foreign, self.foreign
        assert not self.errors, self.errors

    def violations(self) -> list[str]:
        """What axe-core finds on the page, as ``rule: element``, once its style sheets are there and nothing fades."""
        self.page.wait_for_load_state("load")
        self.page.evaluate(SETTLED)
        self.page.evaluate(AXE)
        options = {"runOnly": {"type": "tag", "values": AXE_TAGS}}
        found: dict[str, Any] = self.page.evaluate("options => axe.run(document, options)", options)
        return [f"{rule['id']}: {node['html'][:160]}" for rule in found["violations"] for node in rule["nodes"]]

    # The hub's pages

    def go(self, path: str) -> None:
        """Open a path of the platform."""
        self.page.goto(self.platform.url + path)

    def log_in(self, next_path: str = "") -> None:
        """Log in through the page."""
        self.go("/hub/login" + (f"?next={next_path}" if next_path else ""))
        self.page.get_by_label("Name").fill(self.name)
        self.page.get_by_label("Password").fill(self.platform.password(self.name))
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "/hub/login" not in url)

    def card(self, profile: str) -> Any:
        """The radio button of a profile's card."""
        return self.page.locator(f'input[name="profile"][value="{profile}"]')

    def choose(self, profile: str) -> None:
        """Open the spawn page and choose a card."""
        self.go("/hub/spawn")
        self.pick(profile)

    def pick(self, profile: str) -> None:
        """Choose a card of the page that is open, by its title: the whole card is the label."""
        self.page.locator(f'label[for="profile-{profile}"]').click()
        expect(self.card(profile)).to_be_checked()

    def press_start(self) -> None:
        """Press Start; returns at once."""
        self.page.get_by_role("button", name="Start", exact=True).click(no_wait_after=True)

    def in_lab(self, seconds: float = START_SECONDS) -> None:
        """Wait until JupyterLab is there and usable."""
        self.page.wait_for_url(TO_LAB, timeout=seconds * 1000)
        self.page.wait_for_selector("#jp-main-dock-panel", timeout=60_000)
        self.page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=60_000)

    def start(self, profile: str) -> None:
        """Choose, start and be in JupyterLab."""
        self.choose(profile)
        self.press_start()
        self.in_lab()

    def is_running(self) -> bool:
        """Whether the hub knows a session of this person."""
        answer = self.context.request.get(f"{self.platform.url}/hub/api/users/{self.name}", headers=self._headers())
        assert answer.ok, f"{answer.status} {answer.text()}"
        return bool(answer.json()["servers"])

    def stop(self) -> None:
        """Press Stop on the home page and wait for the end."""
        self.go("/hub/home")
        self.page.wait_for_load_state("networkidle")  # before its scripts are there, the button does nothing
        self.page.locator("#stop").click()
        expect(self.page.locator("#start")).not_to_have_attribute("disabled", "disabled", timeout=60_000)
        expect(self.page.locator("#stop")).to_be_hidden(timeout=60_000)

    def stop_by_api(self) -> None:
        """Stop whatever runs, whichever page is open; for tidying up."""
        address = f"{self.platform.url}/hub/api/users/{self.name}/server"
        self.context.request.delete(address, headers=self._headers())
        self.has_ended()

    def leave(self) -> None:
        """Leave nothing that the next test would meet: no session, and no tabs that JupyterLab would open again."""
        if self.platform.process.poll() is None and self._is_logged_in() and self.is_running():
            self.stop_by_api()
        workspaces = self.platform.state.home(f"user-{self.name}") / ".jupyter" / "lab" / "workspaces"
        shutil.rmtree(workspaces, ignore_errors=True)

    def _is_logged_in(self) -> bool:
        """Whether the hub says so; a platform that is not there any more does not."""
        try:
            return self.context.request.get(f"{self.platform.url}/hub/api/user", headers=self._headers()).ok
        except PlaywrightError:
            return False

    def has_ended(self) -> None:
        """Wait until the hub knows of no session: it notices an end a moment after the backend."""
        for _ in range(120):
            if not self.is_running():
                return
            self.page.wait_for_timeout(250)
        raise AssertionError(f"the session of {self.name} does not end")

    def _headers(self) -> dict[str, str]:
        cookies = self.context.cookies(self.platform.url + "/hub/")
        found = [c["value"] for c in cookies if c["name"] == "_xsrf" and c["path"] == "/hub/"]
        return {"X-XSRFToken": found[0] if found else "", "Referer": self.platform.url + "/hub/home"}

    # JupyterLab

    def new_notebook(self, kernel: str) -> None:
        """Open a notebook with the kernel of that name from the launcher."""
        self.page.locator(".jp-LauncherCard", has_text=kernel).first.click()
        self.page.wait_for_selector(".jp-Notebook .cm-content")
        expect(self.page.locator(".jp-Toolbar-kernelName").first).to_contain_text(kernel, timeout=60_000)
        # JupyterLab drops a cell that is run before the kernel is there, without a word
        idle = re.compile(rf"{re.escape(kernel)} \| Idle")
        expect(self.page.locator("#jp-main-statusbar")).to_contain_text(idle, timeout=60_000)

    def run_cell(self, code: str) -> None:
        """Type into the last cell and press Shift+Enter."""
        self.page.locator(".jp-Notebook .jp-Cell .cm-content").last.click()
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")

    def save_as(self, name: str, *, settles: bool = True) -> None:
        """Save the open notebook; JupyterLab asks for the name of a new one. A cell that prints keeps it unsaved."""
        self.page.keyboard.press("Control+s")
        field = self.page.locator(".jp-Dialog input[type=text]")
        field.wait_for(timeout=15_000)
        field.fill(name)
        self.page.keyboard.press("Enter")
        field.wait_for(state="detached")
        # What is typed while JupyterLab saves counts as saved when the save is done: a robot is fast enough for that.
        if settles:
            dirty = self.page.locator("#jp-main-dock-panel .lm-TabBar-tab.jp-mod-dirty")
            expect(dirty).to_have_count(0, timeout=20_000)

    def open_file(self, name: str) -> None:
        """Open the file of exactly that name from the file browser."""
        exactly = self.page.locator(".jp-DirListing-itemText", has_text=re.compile(f"^{re.escape(name)}$"))
        self.page.locator(".jp-DirListing-item", has=exactly).dblclick()
