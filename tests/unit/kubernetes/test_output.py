"""The log of a job is asked for how far it is, once in a while only, whoever asks how often and whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from aiohttp import web
from kubernetes_asyncio import client

from jupyterhub_aiinfn.api.workloads import Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import new_workload_id
from jupyterhub_aiinfn.backends.kubernetes import output
from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.backends.kubernetes.output import Output
from jupyterhub_aiinfn.backends.progress import TAIL

POD = {"metadata": {"name": "one", "namespace": "there"}}
SAID = b'aiinfn-progress {"step": "half", "updated_at": "2026-01-01T00:00:00Z"}\n'


@dataclass
class Node:
    """What answers for the log of a pod, and what it was asked."""

    content: bytes = SAID
    status: int = 200
    takes: float = 0.0
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        await asyncio.sleep(self.takes)
        return web.Response(status=self.status, body=self.content)


@asynccontextmanager
async def node() -> AsyncIterator[tuple[Node, Output]]:
    made, app = Node(), web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with client.ApiClient(client.Configuration(host=host)) as api:
        yield made, Output(Connection(api))
    await runner.cleanup()


def job(phase: Phase = Phase.running, kind: WorkloadKind = WorkloadKind.job) -> Workload:
    now = datetime.now(UTC)
    return Workload(id=new_workload_id(), kind=kind, name="one", phase=phase, created_at=now, cores=1, memory_gib=1)


async def test_a_hundred_who_ask_at_once_cost_one_request() -> None:
    async with node() as (made, found):
        made.takes, one = 0.1, job()
        answers = await asyncio.gather(*(found.progress(one, POD) for _ in range(100)))
        assert {each.step for each in answers if each is not None} == {"half"}
        assert None not in answers
        assert made.asked == [
            f"/api/v1/namespaces/there/pods/one/log?container=notebook&tailLines=200&limitBytes={TAIL}"
        ]


async def test_it_is_read_again_when_it_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "EVERY", 0.2)
    async with node() as (made, found):
        one = job()
        for _ in range(30):
            await found.progress(one, POD)
            await asyncio.sleep(0.02)
        assert 2 <= len(made.asked) <= 6
        made.content = b"something else\n"
        await asyncio.sleep(0.3)
        said = await found.progress(one, POD)
        assert said is not None  # it said that before, and nothing newer


@pytest.mark.parametrize("status", [400, 404, 403, 500, 503])
async def test_a_cluster_that_does_not_answer_is_asked_no_more_often(status: int) -> None:
    async with node() as (made, found):
        made.status, one = status, job()
        assert [await found.progress(one, POD) for _ in range(50)] == [None] * 50
        assert len(made.asked) == 1


async def test_who_goes_before_the_answer_makes_nobody_ask_again() -> None:
    async with node() as (made, found):
        made.takes, one = 0.2, job()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(found.progress(one, POD), 0.05)
        for _ in range(10):
            assert await found.progress(one, POD) is None
        assert len(made.asked) == 1


async def test_an_endless_log_is_read_no_further_than_the_bound() -> None:
    async with node() as (made, found):
        made.content = SAID + b"x" * 20_000_000
        assert await found.progress(job(), POD) is None
        made.content = b"\xff\0" * 1_000_000 + b"\n" + SAID
        assert await found.progress(job(), POD) is not None


async def test_nobody_is_asked_for_what_says_nothing() -> None:
    async with node() as (made, found):
        assert await found.progress(job(Phase.starting), POD) is None
        assert await found.progress(job(kind=WorkloadKind.session), POD) is None
        assert await found.progress(job(Phase.ended), None) is None
        assert made.asked == []


async def test_what_was_said_is_not_remembered_for_ever() -> None:
    async with node() as (_, found):
        first = job()
        assert await found.progress(first, POD) is not None
        for _ in range(output.REMEMBERED):
            await found.progress(job(), None)
        assert len(found._said) == output.REMEMBERED
        assert await found.progress(first, None) is None
