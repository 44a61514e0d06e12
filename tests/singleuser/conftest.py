"""A real Jupyter Server with our extension, as the hub would describe the session to it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest

from .platform_service import WORKLOAD, SmallService

TOKEN = "a-token-of-the-test"
BASE = "/user/alba%40example/"


@dataclass(frozen=True)
class JupyterServer:
    url: str
    process: subprocess.Popen[bytes]
    folder: Path = Path()
    """The home, which is also where its files are."""

    def request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """As the person who owns the server."""
        headers = {"Authorization": f"token {TOKEN}"}
        return httpx.request(method, f"{self.url}{path}", headers=headers, timeout=30, **arguments)

    def saving(self, body: object, token: str | None = TOKEN) -> httpx.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.post(f"{self.url}aiinfn/api/saving", json=body, headers=headers, timeout=10)

    def call(self, method: str, path: str, body: object = None, token: str | None = TOKEN) -> httpx.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.request(method, f"{self.url}aiinfn/api/{path}", json=body, headers=headers, timeout=20)

    def session(self, *, token: str | None = TOKEN, method: str = "GET") -> httpx.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.request(method, f"{self.url}aiinfn/api/session", headers=headers, timeout=10)


@pytest.fixture(scope="session")
def jupyter_server(tmp_path_factory) -> Iterator[JupyterServer]:
    with running(tmp_path_factory.mktemp("jupyter")) as server:
        yield server


@pytest.fixture
def own_server(tmp_path) -> Iterator[JupyterServer]:
    """One that the test may end."""
    with running(tmp_path) as server:
        yield server


@pytest.fixture(scope="session")
def _service() -> Iterator[SmallService]:
    small = SmallService()
    yield small
    small.close()


@pytest.fixture
def service(_service: SmallService) -> SmallService:
    """What stands in for service and hub over real HTTP, so that it can fail in every way; forgets other tests."""
    _service.forget()
    return _service


@pytest.fixture(scope="session")
def session_server(tmp_path_factory: pytest.TempPathFactory, _service: SmallService) -> Iterator[JupyterServer]:
    """A server that knows a platform service."""
    with running(tmp_path_factory.mktemp("session"), of_session(_service.url)) as server:
        yield server


def of_session(url: str) -> dict[str, str]:
    """The variables of a session whose service and hub are there."""
    return {
        "AIINFN_SERVICE_URL": f"{url}/services/aiinfn",
        "AIINFN_WORKLOAD": WORKLOAD,
        "AIINFN_CORES": "2",
        "JUPYTERHUB_API_URL": f"{url}/hub/api",
        "JUPYTERHUB_USER": "alba@example",
    }


@contextlib.contextmanager
def running(folder: Path, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[JupyterServer]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.base_url={BASE}", f"--ServerApp.root_dir={folder}"]
    command += ["--ServerApp.jpserver_extensions={'jupyterhub_aiinfn.singleuser': True}"]
    # It asks npm in a thread, for seconds on a busy machine, and a server does not end before its threads.
    command += ["--LanguageServerManager.autodetect=False"]
    folders = {f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("CONFIG", "DATA", "RUNTIME")}
    said = {"AIINFN_PROFILE": "quantum", "AIINFN_PROJECT_NAME": "QC @ INFN", "JUPYTERHUB_API_TOKEN": "very-secret"}
    environment = os.environ | folders | said | dict(more) | {"HOME": str(folder), "JUPYTER_TOKEN": TOKEN}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        server = JupyterServer(f"http://127.0.0.1:{port}{BASE}", process, folder)
        wait_until_it_answers(server, process, folder)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)


def wait_until_it_answers(server: JupyterServer, process, folder) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.session(token=None)
            return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the Jupyter server did not start:\n" + (folder / "log").read_text()[-3000:])
