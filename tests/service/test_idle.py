"""Idle sessions in real sandboxes, measured from outside: what is ended, what is not, and what a session may claim."""

from __future__ import annotations

import contextlib
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.values import load_values

from .running import API, Platform, running_platform, wait_for
from .test_tokens import hub_token, start

pytestmark = pytest.mark.slow
FORGED = {"running_cells": 9, "cpu_cores": 64.0, "network_bytes_per_second": 1e12, "open_tabs": 9}
BUSY = "while True: pass"
POLLER = "import time\nwhile True:\n    sum(range(20000)); time.sleep(0.5)"
DOWNLOAD = """
import socket
with socket.create_connection(("127.0.0.1", {port})) as connection:
    while connection.recv(65536):
        pass
"""


@pytest.fixture
def slow_source() -> Iterator[int]:
    """A server that sends 60 KiB/s to whoever comes, in small pieces."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    while True:
                        connection.sendall(b"x" * 6144)
                        time.sleep(0.1)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


class Farm:
    """Sessions of real sandboxes behind the platform's service."""

    def __init__(self, platform: Platform) -> None:
        installation = platform.installation
        self.platform = platform
        self.backend = LocalBackend(load_values(installation.values_file), installation.state)

    async def begin(self, person: str, program: str) -> Workload:
        """A session of the profile ``watched`` that runs a piece of Python."""
        spec = WorkloadSpec(
            kind=WorkloadKind.session,
            name=f"watched of {person}",
            command=(sys.executable, "-I", "-c", program),
            cores=0.3,
            memory_gib=0.5,
            person=person,
            server_name="",
            profile="watched",
            max_seconds=3600,
            grace_seconds=1,
        )
        return await self.backend.start(spec)


@pytest.fixture(scope="module")
def on_sandboxes() -> Iterator[Platform]:
    """A platform whose service looks at real sandboxes."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-service-") as folder, running_platform(Path(folder)) as running:
        running.kill("service")
        running.start_service("local")
        running.root.chmod(0o711)
        yield running


@pytest.fixture
async def farm(on_sandboxes: Platform):
    made = Farm(on_sandboxes)
    yield made
    await made.backend.end_all("the test is over", 0.2)


async def test_idle_sessions_are_warned_and_ended_and_no_others(farm: Farm, browse, slow_source: int):
    platform = farm.platform
    names = ("idle", "poller", "forger", "busy", "loader", "kept")
    tokens = {name: hub_token(platform, browse, name) for name in names}
    own = start(platform, tokens["forger"], "forger")
    sleep = "import time; time.sleep(3600)"
    programs = {
        "idle": sleep,
        "poller": POLLER,
        "forger": sleep,
        "busy": BUSY,
        "loader": DOWNLOAD.format(port=slow_source),
        "kept": sleep,
    }
    works = {name: await farm.begin(name, programs[name]) for name in names}

    def limits(name: str) -> dict:
        return platform.get(f"{API}/sessions/{works[name].id}", tokens[name]).json()

    wait_for(lambda: all("workload" in limits(name) for name in names), 20, "the sessions' appearance")
    until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    kept = f"{API}/sessions/{works['kept'].id}/keep-until"
    assert platform.post(kept, tokens["kept"], method="PUT", json={"until": until}).status_code == 200
    begun, warned = time.monotonic(), {}
    while time.monotonic() - begun < 120:
        platform.post(f"{API}/sessions/{works['forger'].id}/reports", own, json=FORGED)
        for name in names:
            if name not in warned and (warning := limits(name).get("warning")):
                warned[name] = (time.monotonic() - begun, warning)
        states = {name: (await farm.backend.workload(works[name].id)).phase for name in names}
        if all(states[name] is Phase.ended for name in ("idle", "poller", "forger")):
            break
        time.sleep(1)

    assert set(warned) == {"idle", "poller", "forger"}
    for name in ("idle", "poller", "forger"):
        ended = await farm.backend.workload(works[name].id)
        lasted = (ended.ended_at - works[name].started_at).total_seconds()
        assert (ended.phase, ended.reason) == (Phase.ended, EndReason.idle), name
        assert ended.message == "nothing ran in it for 1 minute; your files are in your home"
        assert 58 < lasted < 100, (name, lasted)
        seconds, warning = warned[name]
        assert warning["cause"] == "idle"
        assert 20 < seconds < 70, (name, seconds)
        assert "variables in memory will be lost" in warning["message"]
    for name in ("busy", "loader", "kept"):
        assert (await farm.backend.workload(works[name].id)).phase is Phase.running, name
    assert (limits("busy")["activity"], limits("loader")["activity"]) == ("active", "active")
    assert limits("kept")["activity"] == "idle"


async def test_a_killed_service_ends_nothing_early(farm: Farm, browse):
    """What happened while nobody looked is unknown, and unknown is not idle; what can be compared goes on."""
    platform = farm.platform
    token = hub_token(platform, browse, "alice")
    work = await farm.begin("alice", "import time; time.sleep(3600)")

    def idle_since() -> datetime | None:
        found = platform.get(f"{API}/sessions/{work.id}", token).json().get("idle_since")
        return datetime.fromisoformat(found) if found else None

    wait_for(lambda: (since := idle_since()) and datetime.now(UTC) - since > timedelta(seconds=5), 20, "idleness")
    before = idle_since()
    platform.kill("service")
    time.sleep(3)
    platform.start_service("local")
    after = wait_for(idle_since, 20, "the next look")
    assert before is not None
    assert abs((after - before).total_seconds()) <= 2  # its counters tell that it slept meanwhile
    platform.kill("service")
    burn = await farm.begin("bob", BUSY)
    platform.start_service("local")
    owner = hub_token(platform, browse, "bob")
    wait_for(
        lambda: platform.get(f"{API}/sessions/{burn.id}", owner).json().get("activity") == "active", 20, "bob's work"
    )
