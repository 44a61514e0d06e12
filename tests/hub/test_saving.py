"""A session that is stopped through the hub is asked to save while its route is there; a hostile one delays nothing."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from .running_hub import Browser, RunningHub
from .test_sessions import wait_until

pytestmark = pytest.mark.slow


def home(hub: RunningHub, person: str) -> Path:
    folder = hub.installation.state.workloads / f"home-{person}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def started(hub: RunningHub, person: str, how: str) -> Browser:
    """A person whose session answers a request to save like that."""
    (home(hub, person) / "saving").write_text(how)
    (home(hub, person) / "asked").unlink(missing_ok=True)
    browser = hub.login(person)
    answer = browser.post_spawn(profile="tiny", **({"project:tiny": "lab"} if person == "alice" else {}))
    assert answer.status_code == 302, answer.text
    wait_until(lambda: browser.api("GET", f"/users/{person}").json()["servers"].get("", {}).get("ready"), 30)
    return browser


def seconds_to_stop(browser: Browser, person: str, asking: Browser | None = None) -> float:
    begun = time.monotonic()
    answer = (asking or browser).api("DELETE", f"/users/{person}/server")
    assert answer.status_code in (202, 204), answer.text
    wait_until(lambda: not (asking or browser).api("GET", f"/users/{person}").json()["servers"], 20)
    return time.monotonic() - begun


def asked(hub: RunningHub, person: str) -> list[list[str]]:
    file = home(hub, person) / "asked"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def tokens(hub: RunningHub) -> list[object]:
    return [note for (note,) in hub.rows("select note from api_tokens") if "saving" in str(note)]


def test_a_session_saves_before_its_route_is_gone(hub: RunningHub) -> None:
    browser = started(hub, "alice", "well")
    assert 0.3 < seconds_to_stop(browser, "alice") < 3
    ((path, kind, token),) = asked(hub, "alice")
    assert (path, kind) == ("/user/alice/aiinfn/api/save", "token")
    assert token not in hub.log
    assert tokens(hub) == []
    refused = httpx.get(f"{hub.url}/hub/api/user", headers={"Authorization": f"token {token}"}, trust_env=False)
    assert refused.status_code == 403, "the token is taken back"


def test_an_administrator_who_stops_it_has_it_saved_too(hub: RunningHub) -> None:
    browser = started(hub, "bob", "well")
    assert seconds_to_stop(browser, "bob", asking=hub.login("admin")) < 3
    assert len(asked(hub, "bob")) == 1


@pytest.mark.parametrize("how", ["silent", "drops", "huge", "redirects", "closes", "fails"])
def test_whatever_a_session_answers_it_is_stopped_within_seconds(hub: RunningHub, how: str) -> None:
    browser = started(hub, "carol", how)
    taken = seconds_to_stop(browser, "carol")
    assert taken < 5, f"{how} took {taken:.1f} s"
    assert len(asked(hub, "carol")) == 1, "it is asked once, and no redirect is followed"
    assert asked(hub, "carol")[0][2] not in hub.log
    assert tokens(hub) == []
    assert browser.get("/hub/home").status_code == 200


def test_many_silent_sessions_are_stopped_together(hub: RunningHub) -> None:
    people = ("admin", "alice", "bob", "carol")
    browsers = {person: started(hub, person, "silent") for person in people}
    begun = time.monotonic()
    with ThreadPoolExecutor(len(people)) as threads:
        list(threads.map(lambda person: seconds_to_stop(browsers[person], person), people))
    assert time.monotonic() - begun < 7


def test_a_session_that_is_dead_is_not_asked(hub: RunningHub) -> None:
    browser = started(hub, "alice", "silent")
    # The process backend lets its children be found by what they run.
    (pid,) = [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and runs_for(folder, home(hub, "alice"))
    ]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not browser.api("GET", "/users/alice").json()["servers"], 20)
    assert asked(hub, "alice") == []


def runs_for(process: Path, folder: Path) -> bool:
    try:
        words = (process / "cmdline").read_bytes()
        return b"tiny_server.py" in words and f"HOME={folder}".encode() in (process / "environ").read_bytes()
    except OSError:
        return False
