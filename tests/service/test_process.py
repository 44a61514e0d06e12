"""The process: sentences instead of tracebacks, loopback only, nothing readable by others."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.backends.local.state import StateFolder

from .running import HERE, PREFIX, free_ports, wait_for


@pytest.fixture
def installation() -> Iterator[Installation]:
    """A state folder and free ports; no hub and no proxy."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-service-") as folder:
        root = Path(folder)
        state = StateFolder(root / "state")
        state.prepare()
        ports = free_ports(4)
        url = f"http://127.0.0.1:{ports[0]}"
        yield Installation(state, HERE / "values.yaml", root / "cache", url, *ports[1:], Path(sys.prefix))


def service(installation: Installation, *without: str) -> subprocess.Popen[str]:
    """The entry point, as the supervisor starts it."""
    command = [sys.executable, "-m", "jupyterhub_aiinfn.service"]
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1])} | installation.environment()
    for name in without:
        del environment[name]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_the_service_runs_without_a_hub_and_ends_at_once(installation):
    process = service(installation)
    try:
        url = f"{installation.service_url}{PREFIX}/health"
        health = wait_for(lambda: (answer := httpx.get(url)).status_code == 200 and answer.json(), 30, "the start")
        assert health["database"] == health["backend"] == "ok"
        wait_for(lambda: httpx.get(url).json()["hub"] == "the hub does not answer", 10)
        for file in installation.state.service.iterdir():
            assert file.stat().st_mode & 0o077 == 0
        with socket.socket() as other, pytest.raises(ConnectionRefusedError):
            other.connect(("127.0.0.2", installation.service_port))
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=3)
        assert "Traceback" not in log
    finally:
        process.kill()
        process.communicate()


def ends_with(process: subprocess.Popen[str], sentence: str) -> None:
    """Exit code 1 and one sentence."""
    _, text = process.communicate(timeout=30)
    assert process.returncode == 1, text
    assert sentence in text
    assert "Traceback" not in text


def test_a_busy_port_is_said(installation):
    with socket.socket() as other:
        other.bind(("127.0.0.1", installation.service_port))
        other.listen()
        ends_with(service(installation), f"cannot listen on 127.0.0.1:{installation.service_port}")


def test_a_damaged_database_is_said(installation):
    (installation.state.service / "service.sqlite").write_bytes(b"nonsense" * 1000)
    ends_with(service(installation), "restore it from a backup")


def test_a_missing_variable_is_said(installation):
    ends_with(service(installation, "AIINFN_HUB_PORT"), "AIINFN_HUB_PORT")
