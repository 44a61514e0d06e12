"""The watch of one kind of object, against a server that pages, forgets, lies, breaks off and is set back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from kubernetes_asyncio import client

from jupyterhub_aiinfn.backends.kubernetes.connection import Connection
from jupyterhub_aiinfn.backends.kubernetes.watching import Watching

Object = dict[str, Any]
PATH = "/api/v1/namespaces/there/pods"


def pod(name: str, version: int, **metadata: Any) -> Object:
    head = {"name": name, "uid": name, "resourceVersion": str(version), "labels": {"aiinfn/workload": f"w-{name}"}}
    return {"metadata": {**head, "managedFields": ["x" * 1000], **metadata}}


class Server:
    """Lists ``pods`` at ``version``, two in a page; a watch gets ``events`` and then waits for more of them."""

    def __init__(self, *pods: Object, version: int = 10) -> None:
        self.pods, self.version = list(pods), version
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.watched_from: list[str] = []
        self.fail: list[int] = []

    def tell(self, kind: str, found: Object) -> None:
        """A line of the watch."""
        self.events.put_nowait(json.dumps({"type": kind, "object": found}).encode() + b"\n")

    def hang_up(self) -> None:
        """The watch ends."""
        self.events.put_nowait(None)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.fail:
            return web.json_response({"reason": "Whatever"}, status=self.fail.pop(0))
        if "watch" in request.query:
            return await self._watch(request)
        begin = int(request.query.get("continue", "0"))
        head = {"resourceVersion": str(self.version)}
        if begin + 2 < len(self.pods):
            head["continue"] = str(begin + 2)
        return web.json_response({"kind": "PodList", "metadata": head, "items": self.pods[begin : begin + 2]})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        self.watched_from.append(request.query["resourceVersion"])
        answer = web.StreamResponse()
        await answer.prepare(request)
        while (line := await self.events.get()) is not None:
            await answer.write(line)
        return answer


@asynccontextmanager
async def watching(server: Server) -> AsyncIterator[tuple[Watching, list[tuple[str, bool]]]]:
    """A watch of that server, and what it told: names, and whether they are gone."""
    told: list[tuple[str, bool]] = []
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    connection = Connection(client.ApiClient(client.Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")))
    found = Watching(connection, PATH, lambda one, gone: told.append((one["metadata"]["name"], gone)))
    task = asyncio.create_task(found.run())
    yield found, told
    task.cancel()
    server.hang_up()
    await connection.close()
    await runner.cleanup()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


async def test_all_pages_are_read_and_nothing_is_kept_that_nobody_reads() -> None:
    async with watching(Server(*(pod(str(number), number) for number in range(5)))) as (found, told):
        await found.synced.wait()
        assert told == [(str(number), False) for number in range(5)]
        assert "managedFields" not in found.objects["3"]["metadata"]
        assert found.objects["3"]["kind"] == "Pod"
        assert [one["metadata"]["name"] for one in found.of_workload("w-3")] == ["3"]
        assert found.of_workload("w-9") == []


async def test_changes_are_told_once_and_old_news_never() -> None:
    server = Server(pod("a", 5))
    async with watching(server) as (found, told):
        await found.synced.wait()
        server.tell("MODIFIED", pod("a", 11))
        server.tell("MODIFIED", pod("a", 11))
        server.tell("MODIFIED", pod("a", 7))
        server.tell("BOOKMARK", {"metadata": {"resourceVersion": "40"}})
        server.tell("DELETED", pod("a", 41))
        await until(lambda: ("a", True) in told)
        found.take(pod("a", 39))  # a late answer to a request does not bring it back
        assert told == [("a", False), ("a", False), ("a", True)]
        assert (found.objects, found.of_workload("w-a")) == ({}, [])
        server.hang_up()
        await until(lambda: len(server.watched_from) == 2)
        assert server.watched_from == ["10", "41"]


@pytest.mark.parametrize("code", [410, 500])
async def test_what_vanished_while_nobody_watched_is_gone_after_the_next_list(code: int) -> None:
    server = Server(pod("stays", 3), pod("goes", 4))
    async with watching(server) as (found, told):
        await found.synced.wait()
        server.pods, server.version = [pod("stays", 3), pod("comes", 14)], 20
        found.take(pod("made", 30))  # by a request, after that list
        server.tell("ERROR", {"code": code, "reason": "Expired"})
        await until(lambda: ("comes", False) in told)
        assert told.count(("goes", True)) == told.count(("stays", False)) == 1
        assert ("made", True) not in told
        await until(lambda: server.watched_from == ["10", "20"])
        assert not found.trouble


async def test_a_memory_that_was_restored_from_a_copy_counts() -> None:
    server = Server(pod("a", 100), version=200)
    async with watching(server) as (found, told):
        await found.synced.wait()
        server.pods, server.version = [pod("a", 50), pod("b", 51)], 60
        server.tell("ERROR", {"code": 410})
        await until(lambda: ("b", False) in told)
        assert told == [("a", False), ("a", False), ("b", False)]
        assert found.objects["a"]["metadata"]["resourceVersion"] == "50"


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b'{"type": "MODIFIED"}\n',
        b'{"type": "MODIFIED", "object": {"metadata": 3}}\n',
        b'{"type": "ERROR", "object": {"code": "many"}}\n',
        b'{"type": 3, "object": {"metadata": {"resourceVersion": "x", "labels": []}}}\n',
        b"[" * 100_000 + b"\n",
    ],
)
async def test_nothing_that_is_said_ends_it(line: bytes) -> None:
    server = Server(pod("a", 5))
    async with watching(server) as (found, told):
        found._changed = lambda one, gone: told.append((str(one.get("metadata", {})), gone))  # as hostile as the rest
        await found.synced.wait()
        server.events.put_nowait(line)
        server.hang_up()
        await until(lambda: len(server.watched_from) >= 2)
        server.tell("ADDED", pod("b", 99))
        await until(lambda: "b" in found.objects)


async def test_refusals_are_told_and_it_goes_on_when_they_are_over() -> None:
    server = Server(pod("a", 5))
    server.fail = [403, 500]
    async with watching(server) as (found, told):
        await until(lambda: "error 403" in found.trouble)
        await found.synced.wait()
        assert (told, found.trouble) == ([("a", False)], "")
