"""Which process is meant."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity, children


def test_the_own_process() -> None:
    own = ProcessIdentity.current()
    assert own.pid == os.getpid()
    assert own.alive()
    assert ProcessIdentity.from_json(own.as_json() | {"port": 1}) == own


@pytest.mark.parametrize("data", [None, [], "x", {}, {"pid": "a", "start_time": 1, "boot_id": ""}, {"pid": 1}])
def test_what_is_no_identity(data: object) -> None:
    assert ProcessIdentity.from_json(data) is None


def test_a_zombie_and_a_stranger_are_nobody() -> None:
    process = subprocess.Popen(["sleep", "60"])
    identity = ProcessIdentity.of(process.pid)
    assert identity is not None
    assert identity in children(os.getpid())
    stranger = identity._replace(start_time=identity.start_time + 1)
    assert not stranger.send(signal.SIGKILL)
    assert stranger.open() is None
    assert process.poll() is None
    assert identity.send(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not identity.alive()
    process.wait()
    assert ProcessIdentity.of(process.pid) is None


def test_a_name_with_brackets_and_spaces(tmp_path) -> None:  # type: ignore[no-untyped-def]
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "60"])
    found = ProcessIdentity.of(process.pid)
    assert found is not None
    assert found.start_time > 1
    process.kill()
    process.wait()
