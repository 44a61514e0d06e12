"""Availability as a stream, through the proxy."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx

from jupyterhub_aiinfn.api.availability import Availability

from .running import API, PREFIX, Platform, wait_for, workload

STREAM = f"{API}/availability/stream"


def internal(platform: Platform) -> dict[str, str]:
    """Headers of the hub."""
    return {"Authorization": f"token {platform.installation.state.secret('internal-token')}"}


def snapshots(response: httpx.Response) -> Iterator[Availability]:
    """The snapshots of a stream."""
    for name, data in events_of(response):
        if name == "availability":
            yield Availability.model_validate(data)


def events_of(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Names and data of the events of a stream."""
    name = ""
    for line in response.iter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def open_streams(platform: Platform) -> float:
    """How many the service counts."""
    text = platform.get(f"{PREFIX}/metrics", platform.tokens["prometheus"]).text
    return float(next(line for line in text.splitlines() if line.startswith("aiinfn_streams ")).split()[1])


def test_the_stream_begins_at_once_and_moves_with_the_farm(platform):
    with httpx.stream("GET", f"{platform.url}{STREAM}", headers=internal(platform), timeout=15) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = snapshots(response)
        used = next(events).devices["card"].used
        begun = time.monotonic()
        work = platform.farm.put(workload("session", person="zoe", accelerator="card", accelerator_count=1))
        changed = next(event for event in events if event.devices["card"].used == used + 1)
        assert time.monotonic() - begun < 1
        assert (datetime.now(UTC) - changed.taken_at).total_seconds() < 2
        (platform.farm.root / work.id / "workload").unlink()
        first, second = next(events), next(events)
        assert second.taken_at > first.taken_at


def test_announcements_come_on_the_stream_at_once(platform):
    with httpx.stream("GET", f"{platform.url}{STREAM}", headers=internal(platform), timeout=15) as response:
        events = events_of(response)
        assert next(events) == ("announcements", {"announcements": []})
        begun = time.monotonic()
        made = platform.post(f"{API}/announcements", platform.tokens["stopper"], json={"message": "six o'clock"}).json()
        told = next(data for name, data in events if name == "announcements")
        assert [one["message"] for one in told["announcements"]] == ["six o'clock"]
        assert time.monotonic() - begun < 1
        platform.post(f"{API}/announcements/{made['id']}", platform.tokens["stopper"], method="DELETE")
        assert next(data for name, data in events if name == "announcements") == {"announcements": []}


def test_a_reader_who_leaves_leaves_nothing_behind(platform):
    before = open_streams(platform)
    with ExitStack() as stack:
        for _ in range(5):
            response = stack.enter_context(httpx.stream("GET", f"{platform.url}{STREAM}", headers=internal(platform)))
            assert response.status_code == 200
        assert open_streams(platform) == before + 5
    wait_for(lambda: open_streams(platform) == before, 10, "the end of the streams")


def test_one_caller_has_a_bounded_number(platform):
    with ExitStack() as stack:
        url, headers = f"{platform.installation.service_url}{STREAM}", internal(platform)
        answers = [stack.enter_context(httpx.stream("GET", url, headers=headers)) for _ in range(9)]
        assert [answer.status_code for answer in answers] == [200] * 8 + [429]
    wait_for(lambda: open_streams(platform) == 0, 10, "the end of the streams")


def test_a_stream_ends_with_the_login(platform, browse):
    alice = browse(platform, "alice")
    alice.visit(f"{PREFIX}/")
    with alice.stream("GET", STREAM) as response:
        events = snapshots(response)
        next(events)
        with httpx.Client(base_url=platform.url, cookies=alice.cookies) as other:
            other.get("/hub/logout")
        begun = time.monotonic()
        for _ in events:
            assert time.monotonic() - begun < 10
    assert time.monotonic() - begun < 10


def test_the_service_stops_within_three_seconds_with_open_streams(own_platform):
    with httpx.stream("GET", f"{own_platform.url}{STREAM}", headers=internal(own_platform), timeout=15) as response:
        next(snapshots(response))
        begun = time.monotonic()
        own_platform.processes["service"].send_signal(signal.SIGTERM)
        own_platform.processes["service"].wait(10)
        assert time.monotonic() - begun < 3
    assert "Traceback" not in own_platform.log("service")
