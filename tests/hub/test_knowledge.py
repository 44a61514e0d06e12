"""What the hub knows without asking: availability that it was sent, sessions that it saw, choices that it recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from jupyterhub_aiinfn.api.availability import Availability, DeviceAvailability
from jupyterhub_aiinfn.api.workloads import Workload
from jupyterhub_aiinfn.hub import sessions as hub_sessions
from jupyterhub_aiinfn.hub.availability import AvailabilityFeed, events
from jupyterhub_aiinfn.hub.last_choices import MAX_PEOPLE, LastChoices
from jupyterhub_aiinfn.hub.sessions import Sessions

from .process_backend import ProcessBackend
from .running_hub import free_ports

AVAILABILITY = "event: availability\ndata: "
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def snapshot(used: int, taken_at: datetime | None = None) -> Availability:
    device = DeviceAvailability(accelerator="card", total=2, used=used)
    return Availability(taken_at=taken_at or datetime.now(UTC), devices={"card": device})


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_events_arrive_in_any_pieces() -> None:
    parts = chunks(b": hello\n\nda", b"ta: on", b"e\ndata: two\n", b"\nevent: x\r\ndata:three\r\n\r\n")
    assert [event async for event in events(parts)] == [("", "one\ntwo"), ("x", "three")]


async def serve(port: int, handler: Handler) -> web.AppRunner:
    app = web.Application()
    app.router.add_get("/stream", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


async def test_the_stream_is_followed_and_found_again() -> None:
    port, seen = free_ports(1)[0], []

    async def stream(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers["Authorization"])
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(f"{AVAILABILITY}{snapshot(len(seen)).model_dump_json()}\n\n".encode())
        await asyncio.sleep(0.3)
        return response

    feed = AvailabilityFeed(f"http://127.0.0.1:{port}/stream", "secret")
    feed.start()
    assert feed.snapshot() is None
    runner = await serve(port, stream)
    try:
        await until(lambda: (found := feed.snapshot()) and found.devices["card"].used == 2)
    finally:
        await feed.stop()
        await runner.cleanup()
    assert set(seen) == {"Bearer secret"}


async def test_nonsense_and_errors_are_survived() -> None:
    port, count = free_ports(1)[0], 0

    async def stream(request: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        nonsense = [f"{AVAILABILITY}{{}}\n\n", f"{AVAILABILITY}\n\n", "event: announcements\ndata: []\n\n"]
        answers = [web.Response(status=500), *(web.Response(text=text) for text in nonsense)]
        good = f"{AVAILABILITY}{snapshot(1).model_dump_json()}\n\n"
        return answers[count - 1] if count <= len(answers) else web.Response(text=good)

    feed = AvailabilityFeed(f"http://127.0.0.1:{port}/stream", "secret")
    runner = await serve(port, stream)
    feed.start()
    try:
        await until(feed.snapshot)
    finally:
        await feed.stop()
        await runner.cleanup()


def test_an_old_snapshot_is_no_knowledge() -> None:
    now = [datetime.now(UTC)]
    feed = AvailabilityFeed("http://127.0.0.1:1/", "x", clock=lambda: now[0])
    feed.receive(snapshot(1, now[0]))
    now[0] += timedelta(seconds=29)
    assert feed.snapshot() is not None
    now[0] += timedelta(seconds=2)
    assert feed.snapshot() is None
    feed.receive(snapshot(1, now[0] - timedelta(seconds=40)))
    assert feed.snapshot() is None


class Troubled(ProcessBackend):
    """Its disk holds something that no code expected, for a while."""

    troubles = 1

    async def workloads(self) -> list[Workload]:
        if self.troubles:
            self.troubles -= 1
            raise KeyError("created_at")
        return await super().workloads()


async def test_the_sessions_are_followed_again_after_any_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(hub_sessions, "RETRY_AFTER", 0.05)
    sessions = Sessions(Troubled(tmp_path, {}))
    async with asyncio.timeout(5):
        await sessions.loaded()
    await sessions.stop()
    assert "the watch of the sessions broke; it is made anew" in caplog.text


async def test_last_choices_survive_and_stay_bounded(tmp_path: Path) -> None:
    file = tmp_path / "last.json"
    choices = LastChoices(file)
    choices.record("alice", "", {"profile": "a"})
    choices.record("alice", "second", {"profile": "b"})
    for number in range(MAX_PEOPLE):
        choices.record(f"p{number}", "", {"profile": "x"})
    choices.record("alice", "second", {"profile": "b"})
    await until(lambda: file.exists() and LastChoices(file).of_server("alice", "second"))
    again = LastChoices(file)
    assert again.latest("alice", "third") == {"profile": "b"}
    assert again.latest("nobody") == {}
    file.write_text('{"alice": [1, 2]}')
    assert LastChoices(file).latest("alice") == {}
