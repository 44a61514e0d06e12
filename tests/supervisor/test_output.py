"""Whoever started it went away: a closed pipe, a closed terminal."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.supervisor.steps import Steps
from tests.platform import RunningPlatform

from .test_running import answers, wait_until


def start_with(folder: Path, **streams: Any) -> RunningPlatform:
    """`aiinfn up` with a stdout of the test's own."""
    ready = folder / "ready.json"
    command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "up", "--port", "0", "--state", str(folder / "state")]
    process = subprocess.Popen(
        [*command, "--ready-file", str(ready)], stdin=subprocess.DEVNULL, start_new_session=True, **streams
    )
    return RunningPlatform(process, folder, StateFolder(folder / "state"), folder / "output.txt", ready, False)


@pytest.mark.slow
def test_it_goes_on_without_a_reader_and_under_nohup(folder: Path) -> None:
    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with start_with(folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=nohup) as platform:
        platform.wait_ready()
        platform.process.stdout.close()
        old = platform.kill("proxy")
        wait_until(lambda: platform.part("proxy") not in (None, old), 20, "the proxy is not back")
        wait_until(lambda: answers(f"{platform.url}/hub/login"), 20)
        platform.process.send_signal(signal.SIGHUP)
        assert answers(f"{platform.url}/hub/login")
        assert platform.stop() == 0
        assert platform.processes() == []


@pytest.mark.slow
def test_a_closed_terminal_is_an_ordinary_stop(folder: Path) -> None:
    terminal, end = pty.openpty()

    def take_terminal() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests themselves may run under `nohup`
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    with start_with(folder, stdout=end, stderr=end, preexec_fn=take_terminal) as platform:
        os.close(end)
        read_until(terminal, b"Ctrl-C stops everything")
        processes = platform.processes()
        os.close(terminal)
        os.kill(platform.pid, signal.SIGHUP)  # the shell passes on what the terminal says itself
        assert platform.process.wait(30) == 0
        assert [one for one in processes if one.alive()] == []
        assert not platform.state.supervisor.exists()
        assert "killed" not in platform.log("hub")


def read_until(terminal: int, text: bytes) -> None:
    seen = b""
    with contextlib.suppress(OSError):
        while text not in seen:
            seen += os.read(terminal, 4096)
    assert text in seen


def test_no_step_fails_for_want_of_a_reader() -> None:
    def gone(text: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    steps = Steps(gone)
    steps.done("state", "x")
    steps.progress("proxy", 1, 2, "packages")
    steps.happened("x")
    steps.failed("x")
    steps.stopping()
    steps.stopped()
    steps.not_started()
