"""Own environments through the addresses that JupyterLab calls, on a real Jupyter Server with a real pip."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.own_session import OwnSession, make_image

from .conftest import TOKEN, running

pytestmark = pytest.mark.slow


@dataclass
class Server:
    url: str
    session: OwnSession

    def ask(self, method: str, path: str, body: object = None, token: str = TOKEN) -> httpx.Response:
        headers = {"Authorization": f"token {token}"}
        return httpx.request(method, f"{self.url}aiinfn/api/{path}", json=body, headers=headers, timeout=30)

    def listing(self) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("GET", "environments").json()
        return found

    def environment(self, name: str) -> dict[str, Any] | None:
        return next((one for one in self.listing()["environments"] if one["name"] == name), None)

    def begin(self, method: str, path: str, body: object = None) -> str:
        answer = self.ask(method, path, body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def end(self, identifier: str, seconds: float = 60) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            work = next(work for work in self.listing()["works"] if work["id"] == identifier)
            if work["state"] != "running":
                return dict(work)
            time.sleep(0.05)
        raise AssertionError(f"it did not end: {work}")

    def do(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return self.end(self.begin(method, path, body))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("own")
    session = OwnSession(folder / "home", make_image(folder / "python-0123"), folder / "wheels")
    session.home.mkdir()
    session.add("one")
    kept = {"JUPYTER_PATH", "AIINFN_IMAGE", "PIP_NO_INDEX", "PIP_FIND_LINKS", "USER"}
    variables = {name: value for name, value in session.variables.items() if name in kept}
    with running(session.home, variables) as jupyter:
        yield Server(jupyter.url, session)


def test_what_can_be_made_and_where(server: Server) -> None:
    listing = server.listing()
    assert listing["base"]["title"] == "Python"
    assert listing["places"] == [{"id": "~", "writable": True}]


def test_from_the_wish_to_the_lock_file_and_away(server: Server) -> None:
    work = server.do("POST", "environments", {"name": "tools", "place": "~", "packages": ["one"]})
    assert (work["state"], work["message"]) == ("done", "tools is ready"), work
    assert any("Successfully installed one" in line for line in work["lines"])
    found = server.environment("tools")
    assert found is not None
    assert (found["state"], found["used"], found["own"], found["requested"]) == ("ready", True, True, ["one"])
    assert found["bytes"] > 100_000
    lock = server.ask("GET", "environments/~/tools/lock").json()["lock"]
    again = server.do("POST", "environments", {"name": "again", "place": "~", "lock": lock})
    assert again["state"] == "done", again
    assert server.ask("POST", "environments/~/tools/stop-using", {}).status_code == 204
    assert server.environment("tools")["used"] is False
    assert server.do("DELETE", "environments/~/tools")["message"] == "tools is removed"
    assert server.environment("tools") is None


def test_what_goes_wrong_is_the_work_s_last_word(server: Server) -> None:
    work = server.do("POST", "environments", {"name": "bad", "place": "~", "packages": ["there-is-no-such-package"]})
    assert work["state"] == "failed"
    assert "the package index has no such package" in work["message"]
    assert server.environment("bad") is None


def test_stopping_leaves_nothing(server: Server) -> None:
    identifier = server.begin("POST", "environments", {"name": "stopped", "place": "~", "packages": ["one"]})
    assert server.ask("DELETE", f"environment-works/{identifier}").status_code == 204
    assert server.end(identifier)["state"] == "cancelled"
    assert server.environment("stopped") is None
    said = server.ask("DELETE", f"environment-works/{identifier}")
    assert (said.status_code, said.json()["message"]) == (400, "this has ended already; nothing was stopped")


def test_too_much_at_a_time_is_a_sentence(server: Server) -> None:
    nowhere = ["x @ https://127.0.0.1:9/x-1-py3-none-any.whl"]  # pip tries for some seconds
    wishes = [{"name": f"many{number}", "place": "~", "packages": nowhere} for number in range(5)]
    *begun, fifth = [server.ask("POST", "environments", wish) for wish in wishes]
    assert fifth.status_code == 400
    assert fifth.json()["message"] == "4 environments are being worked on already; wait for one of them"
    for answer in begun:
        server.ask("DELETE", f"environment-works/{answer.json()['id']}")
    assert {server.end(answer.json()["id"])["state"] for answer in begun} == {"cancelled"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ([], "expected a JSON object"),
        ({}, 'expected {"name"'),
        ({"name": 3}, 'expected {"name"'),
        ({"name": "../x"}, "cannot be the name of an environment"),
        ({"name": "x", "packages": "one"}, 'expected {"packages"'),
        ({"name": "x", "packages": [None]}, 'expected {"packages"'),
        ({"name": "x", "packages": ["-r/etc/passwd"]}, "is not a package"),
        ({"name": "x", "packages": ["p"] * 101}, "101 packages at a time are too many"),
        ({"name": "x", "lock": "--index-url https://evil.example.org"}, "is not a package"),
        ({"name": "x", "lock": "x" * 2_000_000}, "this is more than 1 MB"),
    ],
)
def test_bad_wishes_are_refused_before_anything_begins(server: Server, body: object, words: str) -> None:
    before = len(server.listing()["works"])
    answer = server.ask("POST", "environments", body)
    assert answer.status_code == 400
    assert words in answer.json()["message"]
    assert len(server.listing()["works"]) == before


def test_what_is_not_there_is_a_sentence(server: Server) -> None:
    for method, path in [("DELETE", ""), ("POST", "/use"), ("POST", "/share"), ("GET", "/lock")]:
        answer = server.ask(method, f"environments/~/nothing{path}", {} if method == "POST" else None)
        assert answer.status_code == 400, path
        assert 'there is no environment "nothing"' in answer.json()["message"]
    assert server.ask("POST", "environments/~/..%2f..%2fx/use", {}).status_code == 404
    assert server.ask("POST", "environments/~/x/chmod", {}).status_code == 404


def test_nobody_else_reads_or_changes_anything(server: Server) -> None:
    for method, path in [("GET", "environments"), ("POST", "environments"), ("DELETE", "environments/~/tools")]:
        assert server.ask(method, path, {}, token="wrong").status_code == 403
