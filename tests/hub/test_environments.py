"""From a profile whose environment is missing to a session in it: hub, service and builds as they are installed."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyterhub_aiinfn import hub as hub_package
from jupyterhub_aiinfn.backends.local.state import read_json
from tests.unit.environments.conftest import Index, index, kernel_wheel, wheel

from .running_hub import Browser, RunningHub, running_hub
from .test_local import end_sessions, server
from .test_refusals import message
from .test_sessions import wait_until

__all__ = ["index"]
pytestmark = pytest.mark.slow
PREFIX = "/services/aiinfn"
VALUES = """
version: 1
site: {name: Builds}
identity:
  users: {alice: {}, bob: {}, admin: {groups: [admins]}}
  admin_groups: [admins]
images:
  demo: {name: Demo, folder: demo}
  endless: {name: Endless, folder: endless}
profiles:
  demo: {name: Demo, image: demo, sizes: {small: {cores: 1, memory_gib: 1}}, max: 2h}
  endless: {name: Endless, image: endless, sizes: {small: {cores: 1, memory_gib: 1}}, max: 2h}
projects: {personal: {personal: true}}
limits: {start_timeout: 2m, concurrent_starts: 1}
"""


@dataclass
class Farm:
    """The hub, and the index from which it builds."""

    hub: RunningHub
    index: Index

    def jobs(self) -> list[dict[str, Any]]:
        """The records of builds, with how they ended."""
        specs = sorted(self.hub.installation.state.workloads.glob("*/spec"), key=lambda file: file.stat().st_mtime)
        found = [(read_json(file), read_json(file.parent / "ended")) for file in specs]
        return [spec | {"ended": ended} for spec, ended in found if spec["kind"] == "job"]

    def pending_starts(self) -> int:
        """How many starts the hub counts."""
        admin = self.hub.login("admin")
        users = [admin.api("GET", f"/users/{name}").json() for name in ("alice", "bob")]
        return sum(one["pending"] == "spawn" for user in users for one in user["servers"].values())


@pytest.fixture
def farm(open_folder: Path, index: Index, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Farm]:
    root = open_folder / request.node.name
    places = open_folder / f"{request.node.name}-values"
    for image in ("demo", "endless"):
        pins = [index.add(kernel_wheel()), *(index.add(wheel(f"{image}{number}")) for number in range(3))]
        (places / image).mkdir(parents=True)
        (places / image / "requirements.txt").write_text("# frozen\n" + "".join(pins))
    (places / "values.yaml").write_text(VALUES)
    variables = {
        "PIP_INDEX_URL": index.url,
        "PIP_CACHE_DIR": str(tmp_path / "pip"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_RETRIES": "0",
        "NO_PROXY": "127.0.0.1",
    }
    config = Path(hub_package.__file__).parent / "local_config.py"
    with running_hub(root, variables, places / "values.yaml", config) as hub:
        hub.start_service()
        try:
            yield Farm(hub, index)
        finally:
            end_sessions(hub)


def follow(browser: Browser, path: str) -> httpx.Response:
    """Open a page as a browser does, redirects followed."""
    return browser.http.get(path, follow_redirects=True)


def ask(browser: Browser, path: str = "/hub/spawn", profile: str = "demo") -> str:
    """Press Start, and follow to the page on which one waits; its path."""
    page = browser.post_spawn(path, profile=profile)
    assert page.status_code == 409, message(page.text)
    assert "is being built on this machine" in message(page.text)
    shown = follow(browser, page.headers["Refresh"].partition("url=")[2])
    assert "Preparing" in shown.text, shown.text
    return shown.url.raw_path.decode()


def cancel(browser: Browser, page: str) -> None:
    """Press Cancel."""
    csrf = re.search(r'name="csrf" value="([^"]*)"', browser.get(page).text)
    assert csrf
    assert browser.http.post(f"{page}/cancel", data={"csrf": html.unescape(csrf.group(1))}).status_code == 303


def where(browser: Browser, page: str) -> Callable[[], str]:
    """Where the page sends the browser now."""
    return lambda: str(browser.get(page).headers.get("location", ""))


def test_from_the_form_to_the_session(farm: Farm) -> None:
    farm.index.seconds_between_pieces = 0.3
    alice, bob, admin = (farm.hub.login(name) for name in ("alice", "bob", "admin"))
    page = ask(alice, "/hub/spawn?next=%2Fuser%2Falice%2Flab%2Ftree%2Fx")
    assert page.endswith("?next=%2Fuser%2Falice%2Flab%2Ftree%2Fx")
    seen = set()

    def progress() -> str:
        found = re.search(r'id="bytes">([^<]*)<', alice.get(page).text)
        seen.add(found.group(1) if found else "")
        return where(alice, page)()

    assert farm.pending_starts() == 0
    for_bob = ask(admin, "/hub/spawn/bob")
    assert bob.get(for_bob).status_code in (302, 404)  # the ticket is the administrator's
    assert follow(bob, for_bob).status_code == 404
    rest = bob.api("POST", "/users/bob/server", json={"profile": "demo"})
    assert rest.status_code == 409
    assert rest.json()["message"].startswith('the environment "Demo" is being built on this machine; /services/aiinfn/')
    assert rest.headers["Location"].startswith(f"{PREFIX}/starts?ticket=")
    token = bob.api("POST", "/users/bob/tokens", json={"note": "test"}).json()["token"]
    looked = bob.http.get(f"{PREFIX}/api/v1/environments/demo", headers={"Authorization": f"token {token}"})
    assert looked.json()["state"] == "building"
    assert len(farm.jobs()) == 1
    wait_until(lambda: progress() == "/hub/spawn-pending/alice?next=%2Fuser%2Falice%2Flab%2Ftree%2Fx", 90)
    assert len(seen) > 2
    wait_until(lambda: where(admin, for_bob)() == "/hub/spawn-pending/bob", 60)
    for browser, person in ((alice, "alice"), (bob, "bob")):
        wait_until(lambda browser=browser, person=person: server(browser, person).get("ready"), 90)
    assert alice.get(where(alice, page)()).headers["location"] == "/user/alice/lab/tree/x"
    assert "1 session is starting at this moment, which is all" in farm.hub.log  # and was tried again by the service
    assert server(bob, "bob")["user_options"] == {"profile": "demo", "size": "small", "project": "personal"}
    assert len(farm.jobs()) == 1


def test_one_who_cancels_leaves_the_job_to_the_other(farm: Farm) -> None:
    farm.index.seconds_between_pieces = 2
    alice, bob = farm.hub.login("alice"), farm.hub.login("bob")
    pages = ask(alice, profile="endless"), ask(bob, profile="endless")
    assert len(farm.jobs()) == 1
    cancel(alice, pages[0])
    assert "Cancelled" in alice.get(pages[0]).text
    assert farm.jobs()[0]["ended"] is None
    assert "Preparing" in bob.get(pages[1]).text
    cancel(bob, pages[1])
    wait_until(lambda: farm.jobs()[0]["ended"] is not None, 20)
    assert farm.jobs()[0]["ended"]["reason"] == "stopped"
    assert farm.pending_starts() == 0
