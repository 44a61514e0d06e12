"""The session panel's addresses on a real Jupyter Server, with a service that answers, refuses, hangs or is away."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import websocket

from .conftest import TOKEN, JupyterServer, of_session, running
from .platform_service import WORKLOAD, SmallService, limits

pytestmark = pytest.mark.slow
PANEL = "urn:jupyterhub-aiinfn:panel"
BUSY = 0.04
"""Cores that a loop has also on a machine that runs much else; an idle server has a tenth of it."""
AWAY = "the platform service does not answer; the session goes on"


def until(question: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := question():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"nothing within {seconds} s")


@contextlib.contextmanager
def follow(server: JupyterServer) -> Iterator[Callable[[], dict[str, Any]]]:
    """A tab: gives the next session that an event of the panel brings."""
    address = server.url.replace("http", "ws", 1) + "api/events/subscribe"
    connection = websocket.create_connection(address, header=[f"Authorization: token {TOKEN}"], timeout=25)

    def heard() -> dict[str, Any]:
        while True:
            event = json.loads(connection.recv())
            if event["schema_id"] == PANEL:
                return event["session"]

    time.sleep(0.3)  # the server adds the listener a moment after the handshake
    with contextlib.closing(connection):
        yield heard


def start_kernel(server: JupyterServer) -> websocket.WebSocket:
    headers = {"Authorization": f"token {TOKEN}"}
    made = httpx.post(f"{server.url}api/kernels", json={"name": "python3"}, headers=headers, timeout=60).json()
    address = server.url.replace("http", "ws", 1) + f"api/kernels/{made['id']}/channels"
    return websocket.create_connection(address, header=[f"Authorization: token {TOKEN}"], timeout=60)


def execute(kernel: websocket.WebSocket, code: str) -> None:
    header = {"msg_id": "1", "session": "s", "username": "", "msg_type": "execute_request", "version": "5.3"}
    content = {"code": code, "silent": False, "store_history": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    kernel.send(json.dumps(message))


def test_it_reports_with_its_own_token_as_often_as_the_service_wants(
    session_server: JupyterServer, service: SmallService
) -> None:
    service.says()
    until(lambda: session_server.session().json()["limits"], 40)
    reports = until(lambda: len(found := service.of("POST", f"/sessions/{WORKLOAD}/reports")) >= 3 and found, 40)
    assert {one.token for one in reports} == {"very-secret"}
    assert 0.8 < reports[-1].at - reports[-2].at < 5
    assert reports[-1].body["running_cells"] == 0
    assert reports[-1].body["open_tabs"] == 0
    assert reports[-1].body["cpu_cores"] < 1
    assert session_server.session().json()["limits"]["workload"]["id"] == WORKLOAD


def test_a_cell_that_computes_is_in_the_report_and_in_the_live_figures(
    session_server: JupyterServer, service: SmallService
) -> None:
    service.says()
    kernel = start_kernel(session_server)
    with follow(session_server) as heard:
        first = session_server.call("POST", "watching", {"tab": "one", "watching": True}).json()
        assert first["live"]["processes"] >= 2
        assert first["live"]["memory_bytes"] > 10_000_000
        until(lambda: (home := heard()["home"]) and home["enforced"] is False and home["free_bytes"] > 0)
        execute(kernel, "import time\nend = time.time() + 20\nwhile time.time() < end: pass")
        busy = until(lambda: (live := heard()["live"]) and live["cores_used"] and live["cores_used"] > BUSY and live)
        assert busy["running_kernels"] == 1
        until(lambda: any(one.body["running_cells"] == 1 for one in service.of("POST", "/reports")))
        assert max(one.body["cpu_cores"] for one in service.of("POST", "/reports")) > BUSY
        assert service.of("POST", "/reports")[-1].body["open_tabs"] == 1
    kernel.close()


def test_the_home_is_as_full_as_the_service_says(session_server: JupyterServer, service: SmallService) -> None:
    use = {
        "used_bytes": 5,
        "limit_bytes": 10,
        "enforced": True,
        "method": "btrfs",
        "measured_at": "2026-11-24T10:00:00Z",
    }
    project = {"kind": "project", "key": "lhcb", "name": "LHCb", "path": "/projects/lhcb", "use": None}
    folders = [project, {"kind": "home", "key": "alba", "name": "alba", "path": "/home/alba", "use": use}]
    service.answers["GET /storage"] = 200, {"folders": folders}
    with follow(session_server) as heard:
        session_server.call("POST", "watching", {"tab": "one", "watching": True})
        home = until(lambda: (home := heard()["home"]) and home["enforced"] and home)
        assert (home["used_bytes"], home["limit_bytes"]) == (5, 10)


def test_nobody_looks_nothing_is_measured(session_server: JupyterServer, service: SmallService) -> None:
    service.says()
    with follow(session_server) as heard:
        session_server.call("POST", "watching", {"tab": "one", "watching": True})
        assert until(heard)["live"]
        ended = session_server.call("POST", "watching", {"tab": "one", "watching": False})
        assert ended.status_code == 200
        until(lambda: session_server.session().json()["live"] is None)


def test_a_warning_reaches_the_tab_as_an_event(session_server: JupyterServer, service: SmallService) -> None:
    service.says()
    until(lambda: session_server.session().json()["limits"])
    with follow(session_server) as heard:
        end = datetime.now(UTC) + timedelta(minutes=10)
        service.says(warning={"cause": "max-age", "ends_at": end, "message": "Variables are lost."})
        warned = until(lambda: heard()["limits"]["warning"])
        assert warned["message"] == "Variables are lost."


def test_extending_is_forwarded_and_a_refusal_keeps_its_reason(
    session_server: JupyterServer, service: SmallService
) -> None:
    service.says(extensions_left=1)
    service.answers["POST /extensions"] = 200, limits(extensions_left=0).model_dump(mode="json")
    assert session_server.call("POST", "session/extend", {}).json()["limits"]["extensions_left"] == 0
    sentence = "it was extended once, as often as the profile allows; save and start again"
    service.answers["POST /extensions"] = 409, {"error": {"reason": "refused", "message": sentence}}
    refused = session_server.call("POST", "session/extend", {})
    assert (refused.status_code, refused.json()["error"]["message"]) == (409, sentence)
    assert {one.token for one in service.of("POST", "/extensions")} == {"very-secret"}


def test_keep_until_and_profiles_are_forwarded(session_server: JupyterServer, service: SmallService) -> None:
    service.says()
    until = "2026-11-24T20:00:00Z"
    service.answers["PUT /keep-until"] = 200, limits(keep_until=until).model_dump(mode="json")
    offers = {"taken_at": until, "profiles": []}
    service.answers["GET /profiles"] = 200, offers
    kept = session_server.call("PUT", "session/keep-until", {"until": until})
    assert kept.json()["limits"]["keep_until"] == until
    assert service.of("PUT", "/keep-until")[0].body == {"until": until}
    assert session_server.call("GET", "profiles").json() == offers


def test_the_session_ends_itself_at_the_hub_and_no_other(session_server: JupyterServer, service: SmallService) -> None:
    service.answers["DELETE /server"] = 204, b""
    assert session_server.call("POST", "session/stop", {}).status_code == 202
    asked = service.of("DELETE", "/server")[0]
    assert (asked.path, asked.token) == ("/hub/api/users/alba%40example/server", "very-secret")
    service.answers["DELETE /server"] = 403, {"message": "no"}
    refused = session_server.call("POST", "session/stop", {})
    assert refused.status_code == 502
    assert "stop it on the hub's home page" in refused.json()["error"]["message"]


ANSWERS = {
    "502": (502, b"<html>proxy</html>"),
    "503": (503, {"error": {"reason": "starting", "message": "the platform is starting"}}),
    "not JSON": (200, b"<html>somebody else</html>"),
    "another JSON": (200, [1, 2]),
    "401": (401, {"error": {"reason": "unknown-token", "message": "the hub does not know this token"}}),
    "500": (500, b"\xff\xfe"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_the_service_answers_the_browser_reads_a_sentence(
    session_server: JupyterServer, service: SmallService, name: str
) -> None:
    service.answers["POST /extensions"] = ANSWERS[name]
    answer = session_server.call("POST", "session/extend", {})
    assert answer.status_code in (502, 503)
    sentence = answer.json()["error"]["message"]
    assert len(sentence.split()) > 3
    assert "very-secret" not in answer.text
    if name in ("502", "503"):
        assert sentence.startswith(AWAY)


def test_without_the_service_the_session_goes_on_and_says_so(tmp_path: Path) -> None:
    service = SmallService()
    service.says()
    with running(tmp_path, of_session(service.url)) as server:
        until(lambda: server.session().json()["limits"])
        with follow(server) as heard:
            service.close()
            said = until(lambda: (session := heard())["service_problem"] and session)
            assert said["service_problem"].startswith(AWAY)
            assert said["limits"], "what was known stays"
        answer = server.call("POST", "session/extend", {})
        assert answer.status_code == 503
        assert server.session().status_code == 200


def test_a_service_that_hangs_holds_up_nothing_else(session_server: JupyterServer, service: SmallService) -> None:
    service.delay = 30
    begun = time.monotonic()
    assert session_server.session().status_code == 200
    assert time.monotonic() - begun < 5
    answer = session_server.call("POST", "session/extend", {})
    assert answer.json()["error"]["message"].startswith(AWAY)
    assert time.monotonic() - begun < 20


WRONG: list[tuple[str, str, object]] = [
    ("POST", "watching", {}),
    ("POST", "watching", []),
    ("POST", "watching", {"tab": "x" * 65, "watching": True}),
    ("POST", "watching", {"tab": "", "watching": True}),
    ("PUT", "session/keep-until", {"until": "soon"}),
    ("PUT", "session/keep-until", {"until": "9" * 100_000}),
    ("PUT", "session/keep-until", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRONG)
def test_nonsense_is_answered_in_words(jupyter_server: JupyterServer, method: str, path: str, body: object) -> None:
    answer = jupyter_server.call(method, path, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["reason"] == "malformed"
    assert len(answer.text) < 1000


@pytest.mark.parametrize("path", ["session/extend", "session/stop"])
def test_without_a_platform_there_is_nothing_to_ask(jupyter_server: JupyterServer, path: str) -> None:
    answer = jupyter_server.call("POST", path, {})
    assert answer.status_code == 404
    assert "did not start this server" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "watching"), ("POST", "session/extend"), ("POST", "session/stop"), ("GET", "profiles")],
)
def test_nobody_else_may(jupyter_server: JupyterServer, method: str, path: str) -> None:
    assert jupyter_server.call(method, path, {}, token=None).status_code == 403
