"""Under a random load Kueue makes batch go for sessions, and never a session for anybody."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.values import Values
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

from .farm import installed
from .farm_queues import card_profile, cards, queues
from .load import Load

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
SECONDS = 50.0
PAUSE = 0.3
WITHOUT, WITH = 5.0, 30.0
"""Seconds in which Kueue has ended no session, and in which it has to: it takes less than one to decide."""
SIGNS = ("was ended", "lost its place: Preempted")
"""What is to be seen of it: at the pod, and at Kueue's record of it."""


@pytest.fixture
def values(client: Client, own: Cluster) -> Iterator[Values]:
    """Four cards, of which one is guaranteed to the lab."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    changes: dict[str, Any] = {
        "kubernetes": queues(),
        "projects": {"lab": {"groups": ["lab"], "guaranteed": {"card": 1}}, "other": {"groups": ["users"]}},
        "profiles": {"card": card_profile("Card", wait="1m")},
        "storage": {"home": {"backend": "nfs", "server": "files.example.org", "export": "/homes"}},
    }
    try:
        with cards(client, 4), installed(client, folder / "load", changes) as values:
            yield values
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def test_no_session_is_ever_ended_for_another_whatever_comes_and_goes(client: Client, values: Values) -> None:
    seed = random.SystemRandom().randrange(10**6)
    connection = await Connection.open(Path(client.kubeconfig))
    load = Load(values, connection, random.Random(seed))
    try:
        deadline = time.monotonic() + SECONDS
        # the beginning is never at random: batch holds what is lent, and a session wants it back
        for _ in range(4):
            await load.start_batch()
        await asyncio.sleep(4)
        await load.start_session()
        while time.monotonic() < deadline and not load.wrong:
            await load.step()
            await asyncio.sleep(PAUSE)
        assert load.wrong == [], f"with the seed {seed}"
        assert load.evicted_jobs, f"no batch job had to go with the seed {seed}: this load says nothing"
    finally:
        await load.end()
        await connection.close()


async def test_the_load_sees_it_when_kueue_ends_a_session(client: Client, values: Values) -> None:
    """With the one setting that we do not write Kueue does it, and then what the test above asserts does not hold."""
    connection = await Connection.open(Path(client.kubeconfig))
    load = Load(values, connection, random.Random(0))
    try:
        for _ in range(3):
            await load.begin_session("card", "other")
        await until_admitted(load, 3)
        before = set(load.sessions)
        # what they hold counts as lent to them by the guarantee of the lab, which now wants it
        await load.leave_to_sessions(0)
        await load.begin_session("card", "lab")
        await watch(load, WITHOUT)
        assert load.wrong == []
        assert await load.admitted() == before
        await load.let_reclaim("Any")
        await watch(load, WITH, *SIGNS)
        assert [sign for sign in SIGNS if not any(sign in one for one in load.wrong)] == [], load.wrong
        assert any(name in one for name in before for one in load.wrong)
    finally:
        await load.end()
        await connection.close()


async def until_admitted(load: Load, count: int) -> None:
    """Return once so many sessions have a place."""
    async with asyncio.timeout(60):
        while len(await load.admitted()) < count:
            await asyncio.sleep(PAUSE)


async def watch(load: Load, seconds: float, *signs: str) -> None:
    """Look again and again for so long, or until that was seen; without ``signs``: anything that is wrong."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await load.look()
        if load.wrong and all(any(sign in one for one in load.wrong) for sign in signs):
            return
        await asyncio.sleep(PAUSE)
