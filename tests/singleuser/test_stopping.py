"""A real Jupyter Server is told to end: it waits for the tabs that are saving, and for nobody else."""

from __future__ import annotations

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import websocket

from .conftest import TOKEN, JupyterServer

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "body",
    [{}, [], "x", {"tab": "a"}, {"tab": "", "saved": True}, {"tab": "x" * 65, "saved": True}, {"tab": 1, "saved": 1}],
)
def test_only_a_tab_and_whether_it_has_saved_is_taken(jupyter_server: JupyterServer, body: object) -> None:
    assert jupyter_server.saving(body).status_code == 400


def test_nobody_else_says_that_tabs_have_saved(jupyter_server: JupyterServer) -> None:
    assert jupyter_server.saving({"tab": "a", "saved": True}, token=None).status_code == 403


@contextlib.contextmanager
def follow(server: JupyterServer) -> Iterator[websocket.WebSocket]:
    """What a browser does: follow Jupyter's events."""
    address = server.url.replace("http", "ws", 1) + "api/events/subscribe"
    connection = websocket.create_connection(address, header=[f"Authorization: token {TOKEN}"], timeout=20)
    time.sleep(0.3)  # the server adds the listener a moment after the handshake
    with contextlib.closing(connection):
        yield connection


def seconds_to_the_end(server: JupyterServer, begun: float) -> float:
    server.process.wait(15)
    return time.monotonic() - begun


def test_without_a_tab_it_ends_at_once(own_server: JupyterServer) -> None:
    own_server.process.send_signal(signal.SIGTERM)
    assert seconds_to_the_end(own_server, time.monotonic()) < 4


def test_it_asks_the_tabs_and_waits_until_they_have_saved(own_server: JupyterServer) -> None:
    with follow(own_server) as tab:
        begun = time.monotonic()
        own_server.process.send_signal(signal.SIGTERM)
        event = json.loads(tab.recv())
        assert (event["schema_id"], event["event"]) == ("urn:jupyterhub-aiinfn:session", "stopping")
        assert own_server.saving({"tab": "one", "saved": False}).status_code == 204
        time.sleep(1.4)
        assert own_server.process.poll() is None, "a tab is still saving"
        assert own_server.saving({"tab": "one", "saved": True}).status_code == 204
        assert seconds_to_the_end(own_server, begun) < 6


def test_a_tab_that_sleeps_holds_up_nothing(own_server: JupyterServer) -> None:
    with follow(own_server):
        begun = time.monotonic()
        own_server.process.send_signal(signal.SIGTERM)
        assert seconds_to_the_end(own_server, begun) < 5, "0.7 s, and what Python takes to end on a busy machine"


def test_a_tab_that_never_finishes_holds_it_up_for_a_bounded_time(own_server: JupyterServer) -> None:
    with follow(own_server) as tab:
        begun = time.monotonic()
        own_server.process.send_signal(signal.SIGTERM)
        tab.recv()
        own_server.saving({"tab": "one", "saved": False})
        assert 2.4 < seconds_to_the_end(own_server, begun) < 7, "2.5 s, and what Python takes to end on a busy machine"


def test_a_second_signal_ends_it_at_once(own_server: JupyterServer) -> None:
    with follow(own_server) as tab:
        own_server.process.send_signal(signal.SIGTERM)
        tab.recv()
        own_server.saving({"tab": "one", "saved": False})
        begun = time.monotonic()
        own_server.process.send_signal(signal.SIGTERM)
        assert seconds_to_the_end(own_server, begun) < 4


def test_who_stops_it_from_outside_has_the_tabs_save_first(own_server: JupyterServer) -> None:
    with follow(own_server) as tab, ThreadPoolExecutor(1) as threads:
        answer = threads.submit(own_server.request, "POST", "aiinfn/api/save")
        assert json.loads(tab.recv())["event"] == "stopping"
        own_server.saving({"tab": "one", "saved": False})
        own_server.saving({"tab": "one", "saved": True})
        assert answer.result(10).json() == {"tabs": 1, "saved": 1}
        # The route is gone by now: the tab can say nothing more, and is not asked again.
        own_server.process.send_signal(signal.SIGTERM)
        own_server.process.wait(15)
        log = (own_server.folder / "log").read_text()
        assert log.count("open tabs have saved their documents") == 1


def test_without_tabs_the_answer_comes_at_once(jupyter_server: JupyterServer) -> None:
    assert jupyter_server.request("POST", "aiinfn/api/save").json() == {"tabs": 0, "saved": 0}


def test_nobody_else_has_the_tabs_save(jupyter_server: JupyterServer) -> None:
    assert httpx.post(f"{jupyter_server.url}aiinfn/api/save", timeout=10).status_code == 403
