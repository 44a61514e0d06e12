"""What cannot be saved for want of room is said in words, and followed by an event, on a real server."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import httpx
import pytest
import websocket

from tests import filesystems

from .conftest import TOKEN, JupyterServer, running
from .test_cleanup_handlers import variables

pytestmark = [pytest.mark.root, pytest.mark.slow]
HEADERS = {"Authorization": f"token {TOKEN}"}


def save(server: JupyterServer, name: str, text: str) -> httpx.Response:
    body = {"type": "file", "format": "text", "content": text}
    return httpx.put(f"{server.url}api/contents/{name}", json=body, headers=HEADERS, timeout=30)


def new_notebook(server: JupyterServer) -> httpx.Response:
    return httpx.post(f"{server.url}api/contents", json={"type": "notebook"}, headers=HEADERS, timeout=30)


def test_saving_into_a_full_home_is_refused_in_words(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "home" / "state"
    with (
        filesystems.tmpfs_home(home, os.geteuid(), size=4 * filesystems.MEBIBYTE),
        variables(JUPYTERLAB_WORKSPACES_DIR=str(data)),
        running(home) as server,
    ):
        assert save(server, "a.txt", "before").status_code == 201
        address = server.url.replace("http", "ws", 1) + "api/events/subscribe"
        tab = websocket.create_connection(address, header=[f"Authorization: token {TOKEN}"], timeout=20)
        with contextlib.closing(tab):
            filesystems.fill(home, os.geteuid())
            refused = save(server, "a.txt", "x" * 100_000)
            assert refused.status_code == 507
            assert "the disk of your home is full" in refused.json()["message"]
            event = json.loads(tab.recv())
            assert (event["schema_id"], event["event"]) == ("urn:jupyterhub-aiinfn:home", "full")
            assert "delete what is not needed" in event["message"]
        assert new_notebook(server).status_code == 507
        assert (home / "a.txt").read_text() == "before", "what was there is not lost"
        (home / "big.bin").unlink()
        assert save(server, "a.txt", "x" * 100_000).status_code == 200
        assert new_notebook(server).status_code == 201


def test_a_mistake_stays_what_it_was(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        assert save(server, "no/such/folder.txt", "x").status_code == 500
        assert httpx.get(f"{server.url}api/contents/none", headers=HEADERS).status_code == 404
