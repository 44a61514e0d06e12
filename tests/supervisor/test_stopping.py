"""The stop: in which order, and that nothing which does not react outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Workload
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.records import Records
from jupyterhub_aiinfn.backends.local.state import StateFolder
from tests.contract.conftest import make_values
from tests.contract.test_verbs import shell, spec
from tests.platform import RunningPlatform

from .test_running import aiinfn, wait_until

pytestmark = pytest.mark.slow


def start(state: StateFolder, what: WorkloadSpec) -> Workload:
    """A workload of the platform; as the hub starts them, without the hub."""
    return asyncio.run(LocalBackend(make_values(), state).start(what))


@pytest.fixture
def stopped_runner(platform: RunningPlatform) -> Iterator[list[ProcessIdentity]]:
    """A session whose runner does not react any more: the runner, and the sandbox."""
    workload = start(platform.state, shell("sleep 300"))
    records = Records(platform.state.workloads)
    runner, sandbox = records.runner(workload.id), records.sandbox(workload.id)
    assert runner is not None
    assert sandbox is not None
    assert runner.send(signal.SIGSTOP)
    yield [runner, sandbox]
    for one in (runner, sandbox):
        one.send(signal.SIGKILL)


@pytest.mark.parametrize("part", ["", "hub"])
def test_a_runner_that_does_not_react_ends_within_ten_seconds(
    platform: RunningPlatform, stopped_runner: list[ProcessIdentity], part: str
) -> None:
    if part:
        platform.kill(part, signal.SIGSTOP)
    processes = [*platform.processes(), *stopped_runner]
    began = time.monotonic()
    platform.process.send_signal(signal.SIGTERM)
    assert platform.process.wait(20) == 0
    assert time.monotonic() - began < 10
    assert [one for one in processes if one.alive()] == []
    check_ends(platform.state)


def test_and_at_once_when_asked_twice(platform: RunningPlatform, stopped_runner: list[ProcessIdentity]) -> None:
    processes = [*platform.processes(), *stopped_runner]
    platform.process.send_signal(signal.SIGINT)
    wait_until(lambda: "Stopping" in platform.output)
    began = time.monotonic()
    platform.process.send_signal(signal.SIGINT)
    assert platform.process.wait(20) == 0
    assert time.monotonic() - began < 2.5
    assert [one for one in processes if one.alive()] == []
    check_ends(platform.state)


def check_ends(state: StateFolder) -> None:
    """Every record says that the platform was stopped."""
    (folder,) = [folder for folder in state.workloads.iterdir() if folder.is_dir()]
    assert json.loads((folder / "ended").read_bytes())["reason"] == EndReason.platform_stopped


ASK_THE_HUB = """
ask() {{ exec 3<>/dev/tcp/127.0.0.1/{port}; printf 'GET /hub/login HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3; }}
trap 'sleep 1; echo "in the grace: $(ask)"; exit 0' TERM
echo up; while :; do sleep 0.1; done
"""


def test_sessions_first_then_the_proxy_then_the_others(platform: RunningPlatform) -> None:
    port = platform.url.rpartition(":")[2]
    workload = start(platform.state, spec("/bin/bash", "-c", ASK_THE_HUB.format(port=port)))
    records = Records(platform.state.workloads)
    wait_until(lambda: "up" in records.log(workload.id, 10))
    proxy, hub, service = (platform.part(name) for name in ("proxy", "hub", "service"))
    assert None not in (proxy, hub, service)
    platform.process.send_signal(signal.SIGTERM)
    while platform.process.poll() is None:
        if not hub.alive() or not service.alive():  # looked at first: what follows was so before, too
            assert not proxy.alive(), "the proxy forwards to a port that may be another's"
        time.sleep(0.002)
    assert platform.process.returncode == 0
    assert "in the grace: HTTP/1.1 200 OK" in records.log(workload.id, 10)


@pytest.fixture
def state(folder: Path) -> StateFolder:
    made = StateFolder(folder / "state")
    made.prepare()
    return made


def test_down_removes_folders_of_starts_that_never_were(state: StateFolder) -> None:
    left = state.workloads / "w00000000000000000001"
    left.mkdir()
    os.utime(left, (1, 1))
    first = aiinfn("down", "--state", str(state.root))
    assert (first.returncode, left.exists()) == (0, False), first.stderr
    assert "0 workloads" not in first.stdout
    assert aiinfn("down", "--state", str(state.root)).stdout == f"No platform runs on {state.root}.\n"


def test_down_does_not_wait_long_for_a_dead_starter(state: StateFolder) -> None:
    folder = state.workloads / "w00000000000000000001"
    folder.mkdir()
    given = {"id": folder.name, "kind": "session", "name": "x", "cores": 1, "memory_gib": 1, "accelerator_count": 0}
    starter = {"pid": os.getpid(), "start_time": 1, "boot_id": "another"}
    (folder / "spec").write_text(json.dumps(given | {"created_at": time.time(), "starter": starter}))
    began = time.monotonic()
    done = aiinfn("down", "--state", str(state.root))
    assert time.monotonic() - began < 10
    assert "Something was left; ending it takes a few seconds." in done.stdout
    assert "1 workloads that were left are ended." in done.stdout
    assert json.loads((folder / "ended").read_bytes())["reason"] == EndReason.not_started


@pytest.mark.root
def test_down_as_another_user_is_a_sentence(state: StateFolder, folder: Path) -> None:
    folder.chmod(0o755)
    words = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"]
    done = aiinfn("down", "--state", str(state.root), before=words)
    assert done.returncode == 1
    assert "belongs to another user; run this command as that user" in done.stderr
    assert "Traceback" not in done.stderr
    assert aiinfn("status", "--state", str(state.root), before=words).returncode == 3
