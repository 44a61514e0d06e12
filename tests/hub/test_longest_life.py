"""The hub's second line: a session whose own end failed is ended all the same, once, and no other."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.hub.longest_life import LongestLife
from jupyterhub_aiinfn.hub.sessions import Sessions
from jupyterhub_aiinfn.values import load_values

pytestmark = pytest.mark.slow
NOW = datetime.now(UTC)


@pytest.fixture
async def backend() -> AsyncIterator[LocalBackend]:
    root = Path(tempfile.mkdtemp(prefix="aiinfn-test-"))
    root.chmod(0o711)
    state = StateFolder(root / "state")
    state.prepare()
    made = LocalBackend(load_values(Path(__file__).parent / "values.yaml"), state)
    yield made
    await made.end_all("the test is over", 0.2)
    shutil.rmtree(root, ignore_errors=True)


def sleeper(max_seconds: int) -> WorkloadSpec:
    return WorkloadSpec(
        kind=WorkloadKind.session,
        name="test",
        command=("/bin/sleep", "100"),
        cores=1,
        memory_gib=0.5,
        person="alice",
        max_seconds=max_seconds,
        grace_seconds=0.2,
    )


async def test_a_session_whose_runner_hangs_is_ended_by_the_hub(backend: LocalBackend) -> None:
    hanging, young = await backend.start(sleeper(2)), await backend.start(sleeper(3600))
    runner = backend.records.runner(hanging.id)
    assert runner is not None
    runner.send(signal.SIGSTOP)
    sessions = Sessions(backend)
    await sessions.loaded()
    LongestLife(backend, sessions, patience=1, pause=0.2).start()
    async with asyncio.timeout(30):
        while (ended := await backend.workload(hanging.id)).phase is not Phase.ended:
            await asyncio.sleep(0.1)
    assert (ended.reason, ended.message) == (EndReason.max_age, "it reached its longest life")
    assert (await backend.workload(young.id)).phase is Phase.running
    await sessions.stop()


async def test_a_runner_that_works_is_not_disturbed(backend: LocalBackend, caplog: pytest.LogCaptureFixture) -> None:
    work = await backend.start(sleeper(1))
    sessions = Sessions(backend)
    await sessions.loaded()
    LongestLife(backend, sessions, patience=1.5, pause=0.1).start()
    await asyncio.sleep(4)
    assert (await backend.workload(work.id)).reason is EndReason.max_age
    assert "outlived" not in caplog.text
    await sessions.stop()


def session(**changes: object) -> Workload:
    given = {
        "id": "w" + "0" * 20,
        "kind": WorkloadKind.session,
        "name": "test",
        "cores": 1,
        "memory_gib": 1,
        "phase": Phase.running,
        "created_at": NOW,
        "ends_at": NOW + timedelta(hours=1),
    }
    return Workload.model_validate(given | changes)


def test_what_is_overdue(backend: LocalBackend) -> None:
    now = datetime.now(UTC)
    shown = [session(ends_at=now - timedelta(seconds=5))]
    look = LongestLife(backend, shown, patience=10)
    assert look.overdue() == []
    shown[0] = session(ends_at=now - timedelta(minutes=9))  # corrected: the difference counts
    assert look.overdue() == shown
    shown[0] = session(ends_at=now + timedelta(minutes=9))  # extended
    assert look.overdue() == []
    shown[0] = session(ends_at=None)
    assert look.overdue() == []
    shown[0] = session(ends_at=now - timedelta(hours=1), phase=Phase.starting)
    assert look.overdue() == []
