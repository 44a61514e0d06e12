"""What a tab of JupyterLab does to a server: opens a notebook with a kernel, runs cells, saves, goes away."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import websocket

from .conftest import TOKEN, JupyterServer


def notebook(*cells: tuple[str, str]) -> dict[str, Any]:
    """A notebook of code cells: their ids and sources."""
    return {
        "cells": [
            {"cell_type": "code", "id": name, "metadata": {}, "source": source, "outputs": [], "execution_count": None}
            for name, source in cells
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def until(condition: Callable[[], Any], seconds: float = 40) -> Any:
    """Wait for something; what it was."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.2)
    return found


class Tab:
    """A tab that has a notebook open."""

    def __init__(self, server: JupyterServer, path: str, kernel: str | None = None) -> None:
        self.server, self.path, self.name = server, path, uuid.uuid4().hex
        if kernel is None:
            body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
            answer = server.request("POST", "api/sessions", json=body)
            assert answer.status_code == 201, answer.text
            kernel = str(answer.json()["kernel"]["id"])
        self.kernel = kernel
        self.connect()

    def connect(self) -> None:
        """Connect to the kernel, as the tab that it is."""
        address = self.server.url.replace("http", "ws", 1)
        address += f"api/kernels/{self.kernel}/channels?session_id={self.name}"
        self.socket = websocket.create_connection(address, header=[f"Authorization: token {TOKEN}"], timeout=60)
        self.ask("kernel_info_request", {})

    def ask(
        self, kind: str, content: dict[str, Any], metadata: dict[str, Any] | None = None, channel: str = "shell"
    ) -> str:
        """Send a message and return its id at once."""
        header = {"msg_id": uuid.uuid4().hex, "msg_type": kind, "session": self.name, "username": "", "version": "5.3"}
        body = {"header": header, "parent_header": {}, "metadata": metadata or {}, "content": content}
        self.socket.send(json.dumps({**body, "channel": channel, "buffers": []}))
        return header["msg_id"]

    def run(self, cell: str, source: str) -> str:
        """Run a cell; its message."""
        content = {"code": source, "silent": False, "store_history": True, "allow_stdin": False, "stop_on_error": True}
        return self.ask("execute_request", content, {"cellId": cell})

    def wait_for(self, kind: str, parent: str) -> dict[str, Any]:
        """The next message of that kind that answers."""
        while True:
            message: dict[str, Any] = json.loads(self.socket.recv())
            if message["msg_type"] == kind and message["parent_header"].get("msg_id") == parent:
                return message

    def wait_for_idle(self, parent: str) -> None:
        """Until the kernel has done what was asked."""
        while self.wait_for("status", parent)["content"]["execution_state"] != "idle":
            pass

    def go_away(self) -> None:
        """Be closed."""
        self.socket.close()

    def fetch(self, known: dict[str, int] | None = None, file_hash: str = "") -> dict[str, Any]:
        """What the server has for the notebook."""
        body = {"path": self.path, "tab": self.name, "hash": file_hash, "known": known or {}}
        answer = self.server.request("POST", "aiinfn/api/outputs", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


def write(server: JupyterServer, path: str, document: dict[str, Any]) -> None:
    """Save as JupyterLab saves."""
    body = {"type": "notebook", "format": "json", "content": document}
    answer = server.request("PUT", f"api/contents/{path}", json=body)
    assert answer.status_code in (200, 201), answer.text


def outputs(server: JupyterServer, path: str, cell: str) -> str:
    """The texts of a cell's outputs in the file."""
    text = (server.folder / path).read_text()
    if not text:
        return ""  # it is being written
    document = json.loads(text)
    (found,) = [one for one in document["cells"] if one["id"] == cell]
    return "".join("".join(one.get("text", [])) for one in found["outputs"])


def file_hash(server: JupyterServer, path: str) -> str:
    """The hash by which JupyterLab knows the file."""
    return str(server.request("GET", f"api/contents/{path}", params={"content": 0, "hash": 1}).json()["hash"])
