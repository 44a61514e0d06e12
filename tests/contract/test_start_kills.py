"""Runners that are killed while they start: whatever the moment, nothing of theirs is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.processes import stat_fields
from jupyterhub_aiinfn.errors import BackendError

from .test_verbs import shell

KILLS = 30
LONGEST = 0.08
"""Seconds that a start takes on a busy machine."""


def of_workload(workload_id: str) -> dict[int, str]:
    """Processes that belong to a workload, by their arguments or variables, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words, variables = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
                if words and workload_id.encode() in words + variables:
                    found[int(entry.name)] = words.replace(b"\0", b" ").decode()
    return found


def parent(pid: int) -> int:
    fields = stat_fields(pid)
    return int(fields[1]) if fields else 0


def runner_of(workload_id: str) -> int | None:
    """The runner itself, not its guard, which is a fork of it."""
    pids = [pid for pid, words in of_workload(workload_id).items() if "local.runner" in words]
    return next((pid for pid in pids if parent(pid) not in pids), None)


async def kill_runner(workload_id: str, moment: float) -> None:
    """Kill -9 the runner so long after it was first seen."""
    async with asyncio.timeout(5):
        while runner_of(workload_id) is None:
            await asyncio.sleep(0)
    await asyncio.sleep(moment)
    kill(runner_of(workload_id))


def kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def nothing_left(workload_id: str) -> dict[int, str]:
    """What is left after two seconds at most."""
    end = asyncio.get_running_loop().time() + 2
    while (left := of_workload(workload_id)) and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.02)
    return left


@pytest.mark.slow
@pytest.mark.parametrize("person", ["alice", None], ids=["session", "job"])
async def test_a_runner_killed_at_any_moment_leaves_no_process(local: LocalBackend, person: str | None) -> None:
    moments = random.Random(4)
    ends = []
    for number in range(KILLS):
        spec = shell("sleep 300", person=person)
        starting = asyncio.ensure_future(local.start(spec))
        await kill_runner(spec.id, LONGEST * moments.random())
        with contextlib.suppress(BackendError):
            await starting
            kill(runner_of(spec.id))  # the first process had just forked the one that stays
        left = await nothing_left(spec.id)
        ended = await local.stop(spec.id, grace_seconds=0)  # for the next kill, whatever came of this one
        assert left == {}, f"after kill {number}: {ended}"
        ends.append(ended.reason)
    assert ends.count(EndReason.not_started) >= 5
    assert ends.count(EndReason.lost) + ends.count(EndReason.not_started) == KILLS
