"""A start is cancelled on its page by a plain form, for this server and no other."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from .running_hub import Browser, RunningHub
from .test_sessions import wait_until, with_changes

pytestmark = pytest.mark.slow
MUTE = "  mute: {name: Mute, image: python, sizes: {small: {cores: 1, memory_gib: 1}}, max: 1h}\n"


@pytest.fixture
def hub(make_hub: Callable[..., RunningHub], tmp_path: Path) -> RunningHub:
    """Sessions with the profile mute never answer."""
    return make_hub(values_file=with_changes(tmp_path, ("  staff:", f"{MUTE}  staff:")))


def start(browser: Browser, name: str, server: str) -> None:
    path = f"/users/{name}/servers/{server}" if server else f"/users/{name}/server"
    with contextlib.suppress(httpx.ReadTimeout):
        browser.api("POST", path, json={"profile": "mute"}, timeout=0.5)
    wait_until(lambda: state(browser, name, server) == "spawn")


def state(browser: Browser, name: str, server: str) -> object:
    servers = browser.api("GET", f"/users/{name}?include_stopped_servers").json()["servers"]
    return servers.get(server, {}).get("pending")


def test_a_start_is_cancelled_without_javascript_and_the_next_one_works(hub: RunningHub) -> None:
    bob = hub.login("bob")
    start(bob, "bob", "")
    start(bob, "bob", "second")
    form = re.search(r'<form[^>]*method="post"[^>]*action="([^"]*)"', bob.get("/hub/spawn-pending/bob/second").text)
    assert form is not None
    answer = bob.http.post(form[1], data={"_xsrf": bob.xsrf})
    assert (answer.status_code, answer.headers["location"]) == (302, "/hub/home")
    assert state(bob, "bob", "second") is None
    assert state(bob, "bob", "") == "spawn"
    again = bob.api("POST", "/users/bob/servers/second", json={"profile": "tiny"})
    assert again.status_code == 201, again.text
    assert hub.processes["hub"].poll() is None


def test_nobody_cancels_the_start_of_another_and_nothing_odd_is_an_error(hub: RunningHub) -> None:
    bob, carol = hub.login("bob"), hub.login("carol")
    start(bob, "bob", "")
    for path in ("bob", "bob/second", "nobody", "%00", "bob/" + "x" * 5000, "bob/..%2f"):
        answer = carol.http.post(f"/hub/cancel/{path}", data={"_xsrf": carol.xsrf})
        assert answer.status_code in (400, 403, 404), (path, answer.status_code)
    assert bob.http.post("/hub/cancel/bob").status_code == 403  # not our form
    assert bob.get("/hub/cancel/bob").status_code == 405
    assert hub.browser().http.post("/hub/cancel/bob").status_code == 403
    assert state(bob, "bob", "") == "spawn"
    assert bob.http.post("/hub/cancel/bob", data={"_xsrf": bob.xsrf}).status_code == 302
    assert state(bob, "bob", "") is None
