"""What a session can do at the hub with its own token: end itself, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from .running_hub import RunningHub
from .test_sessions import wait_until


@pytest.fixture
def token(hub: RunningHub) -> Iterator[str]:
    """The token of bob's default session; a second session of his runs beside it."""
    browser = hub.login("bob")
    for path in ("/users/bob/server", "/users/bob/servers/other"):
        assert browser.api("POST", path, json={"profile": "tiny"}).status_code in (201, 202)
    wait_until(lambda: all(one["ready"] for one in browser.api("GET", "/users/bob").json()["servers"].values()))
    yield next(iter(tokens("bob", "")))
    for path in ("/users/bob/server", "/users/bob/servers/other"):
        browser.api("DELETE", path)
    wait_until(lambda: not browser.api("GET", "/users/bob").json()["servers"])


def tokens(person: str, server_name: str) -> Iterator[str]:
    """From the environment of the running session, where only its owner and root can read it."""
    for file in Path("/proc").glob("[0-9]*/environ"):
        try:
            lines = dict(line.partition("=")[::2] for line in file.read_text(errors="replace").split("\0"))
        except OSError:
            continue
        if lines.get("JUPYTERHUB_USER") == person and lines.get("JUPYTERHUB_SERVER_NAME") == server_name:
            yield lines["JUPYTERHUB_API_TOKEN"]


def test_a_session_ends_itself_and_touches_nothing_else(hub: RunningHub, token: str) -> None:
    def ask(method: str, path: str) -> int:
        headers = {"Authorization": f"token {token}"}
        return httpx.request(method, f"{hub.url}/hub/api{path}", headers=headers, timeout=30).status_code

    assert ask("DELETE", "/users/bob/servers/other") in (403, 404)
    assert ask("POST", "/users/bob/servers/third") in (403, 404)
    assert ask("DELETE", "/users/alice/server") in (403, 404)
    assert ask("DELETE", "/users/bob") in (403, 404)
    assert ask("DELETE", "/users/bob/server") in (202, 204)
    running = hub.login("bob").api("GET", "/users/bob").json()["servers"]
    wait_until(lambda: set(hub.login("bob").api("GET", "/users/bob").json()["servers"]) == {"other"})
    assert "other" in running
