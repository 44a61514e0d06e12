"""Sessions start, stop, survive the hub, and say why they ended."""

from __future__ import annotations

import html
import json
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .running_hub import RunningHub
from .test_refusals import message, with_changes


def wait_until(condition: Callable[[], object], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def test_a_session_from_form_to_stop(hub: RunningHub) -> None:
    browser = hub.login("carol")
    begun = time.monotonic()
    answer = browser.post_spawn(profile="tiny", **{"size:tiny": "large"})
    assert answer.status_code == 302, message(answer.text)
    wait_until(lambda: browser.api("GET", "/users/carol").json()["servers"].get("", {}).get("ready"))
    assert time.monotonic() - begun < 10
    assert hub.rows("select user_options from spawners s join users u on u.id=s.user_id where u.name='carol'") == [
        (json.dumps({"profile": "tiny", "size": "large", "project": "personal"}),)
    ]
    assert browser.api("DELETE", "/users/carol/server").status_code == 204
    page = browser.get("/hub/home").text
    assert "it was stopped on request" in page
    last = browser.get("/hub/spawn").text
    assert re.search(r'id="profile-tiny-size-large" value="large"\s+checked', last)


def test_an_empty_body_repeats_the_last_good_choice(hub: RunningHub) -> None:
    browser = hub.login("bob")
    assert browser.api("POST", "/users/bob/server", json={"profile": "tiny", "size": "large"}).status_code == 201
    browser.api("DELETE", "/users/bob/server")
    assert browser.api("POST", "/users/bob/server", json={"profile": "staff"}).status_code == 403
    assert browser.api("POST", "/users/bob/server").status_code == 201
    browser.api("DELETE", "/users/bob/server")
    stored = hub.rows(
        "select user_options from spawners s join users u on u.id=s.user_id where u.name='bob' and s.name=''"
    )
    assert json.loads(stored[0][0]) == {"profile": "tiny", "size": "large", "project": "lab"}


def test_a_server_that_exits_at_once_is_noticed_at_once(hub: RunningHub) -> None:
    browser = hub.login("bob")
    begun = time.monotonic()
    answer = browser.post_spawn(profile="broken")
    if answer.status_code == 302:
        wait_until(lambda: browser.get(answer.headers["location"]).status_code == 500)
        answer = browser.get(answer.headers["location"])
    assert time.monotonic() - begun < 2
    said = message(answer.text)
    assert said.startswith("the session ended before it answered: ")
    assert "<b>last words</b>" in said
    assert html.escape("<b>last words</b>") in answer.text
    time.sleep(2.5)
    assert hub.processes["hub"].poll() is None
    assert hub.rows("select count(*) from oauth_clients where identifier like 'jupyterhub-user-bob%'") == [(0,)]
    body = browser.api("POST", "/users/bob/server", json={"profile": "broken"})
    assert body.status_code == 500
    assert "last words" in body.json()["message"]


@pytest.mark.slow
def test_an_open_port_is_no_session(make_hub: Callable[..., RunningHub], tmp_path: Path) -> None:
    """A server that takes connections and never answers ends in our words, and is nobody's last good choice."""
    mute = "  mute: {name: Mute, image: python, sizes: {small: {cores: 1, memory_gib: 1}}, max: 1h}\n"
    values = with_changes(tmp_path, ("  staff:", f"{mute}  staff:"), ("start_timeout: 2m", "start_timeout: 10s"))
    hub = make_hub(values_file=values)
    browser, begun = hub.login("carol"), time.monotonic()
    assert browser.api("POST", "/users/carol/server", json={"profile": "mute"}).status_code in (202, 500)
    wait_until(lambda: browser.get("/hub/spawn-pending/carol").status_code == 500, 20)
    assert time.monotonic() - begun < 15
    said = message(browser.get("/hub/spawn-pending/carol").text)
    assert said.startswith("the session did not answer within 10 seconds and was stopped; try again")
    assert not (hub.installation.state.hub / "last-choices.json").exists()
    assert hub.rows("select count(*) from servers where base_url like '/user/%'") == [(0,)]
    time.sleep(2.5)
    assert hub.processes["hub"].poll() is None
    assert browser.api("POST", "/users/carol/server", json={"profile": "tiny"}).status_code == 201
    wait_until((hub.installation.state.hub / "last-choices.json").exists)


def test_ten_at_once_get_exactly_the_cap(hub: RunningHub) -> None:
    browser = hub.login("bob")

    def start(number: int) -> int:
        return browser.api("POST", f"/users/bob/servers/s{number}", json={"profile": "tiny"}).status_code

    with ThreadPoolExecutor(10) as threads:
        codes = sorted(threads.map(start, range(10)))
    try:
        assert codes == [201, 201] + [409] * 8
    finally:
        for number in range(10):
            browser.api("DELETE", f"/users/bob/servers/s{number}", json={"remove": True})


def test_jupyterlab_itself(hub: RunningHub) -> None:
    browser = hub.login("carol")
    answer = browser.api("POST", "/users/carol/server", json={"profile": "jupyter"})
    assert answer.status_code in (201, 202), answer.text
    wait_until(lambda: browser.api("GET", "/users/carol").json()["servers"].get("", {}).get("ready"), 110)
    token = browser.api("POST", "/users/carol/tokens", json={"note": "test"}).json()["token"]
    status = browser.http.get("/user/carol/api/status", headers={"Authorization": f"token {token}"})
    assert status.status_code == 200, status.text
    assert browser.api("DELETE", "/users/carol/server").status_code in (202, 204)


def test_no_secret_in_the_log(hub: RunningHub) -> None:
    for name in ("service-token", "internal-token", "proxy-token", "ticket-key", "cookie-secret"):
        assert hub.installation.state.secret(name) not in hub.log


def test_a_hanging_service_slows_neither_the_hub_nor_a_session(make_hub: Callable[..., RunningHub]) -> None:
    """It accepts connections and never answers, as one that was stopped with SIGSTOP."""
    hub = make_hub()

    def restart_and_start_a_session() -> tuple[float, float]:
        hub.kill_hub()
        begun = time.monotonic()
        hub.start_hub()
        up = time.monotonic()
        browser = hub.login("carol")
        asked = time.monotonic()
        assert browser.api("POST", "/users/carol/server", json={"profile": "tiny"}).status_code == 201
        ready = time.monotonic()
        browser.api("DELETE", "/users/carol/server")
        return up - begun, ready - asked

    absent = restart_and_start_a_session()
    with socket.create_server(("127.0.0.1", hub.installation.service_port)):
        hanging = restart_and_start_a_session()
    print(f"absent {absent}, hanging {hanging}")
    assert hanging[0] < absent[0] + 8  # it was 10 s when the hub waited for the service
    assert hanging[1] < absent[1] + 4


def test_without_javascript_another_session_can_be_started(hub: RunningHub) -> None:
    browser = hub.login("carol")
    link = re.search(r'<noscript><a href="([^"]*)">', browser.get("/hub/home").text)
    assert link
    assert link.group(1) == "/hub/spawn/carol/session-2"
    answer = browser.post_spawn(link.group(1), profile="tiny")
    assert answer.status_code == 302, message(answer.text)
    wait_until(lambda: browser.api("GET", "/users/carol").json()["servers"].get("session-2", {}).get("ready"))
    assert '"/hub/spawn/carol/session-3"' in browser.get("/hub/home").text
    browser.api("DELETE", "/users/carol/servers/session-2", json={"remove": True})
