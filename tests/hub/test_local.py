"""The hub as it is installed: sandboxed sessions of this machine, with the platform service and without."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn import hub as hub_package
from jupyterhub_aiinfn.backends.local.environments import Environments
from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.state import read_json
from jupyterhub_aiinfn.values import load_values

from .running_hub import HERE, Browser, RunningHub, running_hub
from .test_refusals import message
from .test_sessions import wait_until

VALUES = HERE / "local.yaml"
pytestmark = pytest.mark.slow


def pretend_built(cache: Path) -> None:
    """An environment that is there already: its kernel is this Python's."""
    environments = Environments(load_values(VALUES), VALUES, cache)
    kernel = environments.kernels("python") / "kernels" / "python3"
    kernel.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Python", "language": "python"}))
    (environments.path("python") / "ready.json").write_text("{}")
    for folder in [kernel, *kernel.parents]:
        if cache in folder.parents or folder == cache:
            folder.chmod(0o755)


@pytest.fixture(scope="module")
def hub(open_folder: Path) -> Iterator[RunningHub]:
    root = open_folder / "local"
    config = Path(hub_package.__file__).parent / "local_config.py"
    pretend_built(root / "cache")
    with running_hub(root, values_file=VALUES, config=config) as running:
        try:
            yield running
        finally:
            end_sessions(running)


def end_sessions(hub: RunningHub) -> None:
    """Whatever a failed test left: the runners end with their workloads."""
    runners = []
    for file in hub.installation.state.workloads.glob("*/started"):
        runner = ProcessIdentity.from_json((read_json(file) or {}).get("runner"))
        if runner is not None and not (file.parent / "ended").exists() and runner.send(signal.SIGTERM):
            runners.append(runner)
    wait_until(lambda: not any(runner.alive() for runner in runners), 20)


def server(browser: Browser, person: str, name: str = "") -> dict[str, Any]:
    found: dict[str, Any] = browser.api("GET", f"/users/{person}").json()["servers"].get(name, {})
    return found


def start(browser: Browser, person: str, **options: str) -> None:
    answer = browser.post_spawn(**options)
    assert answer.status_code == 302, message(answer.text)
    wait_until(lambda: server(browser, person).get("ready"), 110)


def test_a_session_outlives_the_hub(hub: RunningHub) -> None:
    browser = hub.login("alice")
    begun = time.monotonic()
    start(browser, "alice", profile="python")
    print(f"ready after {time.monotonic() - begun:.1f} s")
    token = browser.api("POST", "/users/alice/tokens", json={"note": "test"}).json()["token"]
    headers = {"Authorization": f"token {token}"}
    before = browser.http.get("/user/alice/api/status", headers=headers).json()["started"]
    specs = browser.http.get("/user/alice/api/kernelspecs", headers=headers).json()
    assert specs["kernelspecs"]["python3"]["spec"]["display_name"] == "Python"

    hub.kill_hub()
    assert browser.http.get("/user/alice/api/status", headers=headers).status_code == 200
    hub.start_hub()
    browser = hub.login("alice")
    wait_until(lambda: server(browser, "alice").get("ready"))
    assert browser.http.get("/user/alice/api/status", headers=headers).json()["started"] == before

    assert browser.api("DELETE", "/users/alice/server").status_code in (202, 204)
    wait_until(lambda: not server(browser, "alice"))
    assert "Your last session (Python)" in browser.get("/hub/home").text


def test_secrets_are_not_in_the_record(hub: RunningHub) -> None:
    text = "".join(file.read_text(errors="replace") for file in hub.installation.state.workloads.glob("*/spec*"))
    assert "JUPYTERHUB_API_URL" in text
    assert "JUPYTERHUB_API_TOKEN" not in text
    assert "JPY_API_TOKEN" not in text


def test_a_session_killed_from_outside_is_noticed_and_explained(hub: RunningHub) -> None:
    browser = hub.login("bob")
    start(browser, "bob", profile="python")
    token = browser.api("POST", "/users/bob/tokens", json={"note": "test"}).json()["token"]
    browser.http.post("/user/bob/api/shutdown", headers={"Authorization": f"token {token}"})
    wait_until(lambda: not server(browser, "bob"), 12)
    assert "Your last session (Python)" in browser.get("/hub/home").text


def test_two_take_the_last_device_together(hub: RunningHub) -> None:
    """Nobody knows what is free, for the service is not there: the backend has the last word."""
    people = {name: hub.login(name) for name in ("alice", "bob")}
    together = threading.Barrier(len(people))

    def press_start(name: str) -> str:
        """What the person reads in the end; empty for the session."""
        browser, read = people[name], ""
        together.wait()
        answer = browser.post_spawn(profile="qpu")
        pending = "/hub/spawn-pending/" + name
        if answer.status_code == 302:
            wait_until(lambda: server(browser, name).get("ready") or browser.get(pending).status_code == 409, 110)
            answer = browser.get(pending)
        if answer.status_code != 302:
            read = message(answer.text)
            assert (answer.status_code, "Pretended QPU" in read) == (409, True), read
        return read

    with ThreadPoolExecutor(len(people)) as threads:
        said = dict(zip(people, threads.map(press_start, people), strict=True))
    assert sorted(bool(sentence) for sentence in said.values()) == [False, True], said
    for name, browser in people.items():
        assert bool(server(browser, name).get("ready")) == (not said[name])
        browser.api("DELETE", f"/users/{name}/server")
    wait_until(lambda: not any(server(browser, name) for name, browser in people.items()), 20)


def test_availability_comes_from_the_service(hub: RunningHub) -> None:
    browser = hub.login("alice")
    assert "availability unknown" in browser.get("/hub/spawn/alice/other").text
    hub.start_service()
    wait_until(lambda: "1 of 1 free" in browser.get("/hub/spawn/alice/other").text, 20)
    assert "EMULATED" in browser.get("/hub/spawn/alice/other").text
