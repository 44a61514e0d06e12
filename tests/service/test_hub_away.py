"""The hub goes away: reads go on for those whom the service knows, changes say why not; the same for the service."""

from __future__ import annotations

import os
import signal
import time

import httpx

from jupyterhub_aiinfn.api.workloads import EndReason

from .running import API, PREFIX, csrf_of, wait_for
from .test_tokens import hub_token


def test_reads_go_on_and_changes_wait_for_the_hub(own_platform, browse):
    platform, alice = own_platform, browse(own_platform, "alice")
    token, unused = hub_token(platform, browse, "alice"), hub_token(platform, browse, "bob")
    csrf = csrf_of(alice.visit(f"{PREFIX}/logout"))
    assert platform.get(f"{API}/me", token).status_code == 200
    job = platform.build()
    start = alice.visit(platform.ticket("alice", job.id)).url.path
    platform.kill("hub")
    time.sleep(1.5)  # longer than session_check of these tests: the answers below are old ones
    assert platform.get(f"{API}/me", token).json()["groups"] == ["lab"]
    assert platform.get(f"{API}/availability", token).status_code == 200
    assert alice.get(f"{API}/me").json()["name"] == "alice"
    assert alice.get(start).status_code == 200
    unknown = platform.get(f"{API}/me", unused)
    assert unknown.status_code == 503
    assert unknown.json()["error"] == {
        "reason": "hub-down",
        "message": "the hub does not answer; try again in a minute",
        "path": None,
    }
    for change in (
        alice.post(f"{start}/cancel", data={"csrf": csrf}),
        httpx.delete(f"{platform.url}{API}/starts/{'0' * 32}", headers={"Authorization": f"token {token}"}),
    ):
        assert change.status_code == 503
    stopped = platform.build()
    platform.farm.end(stopped.id, EndReason.stopped)
    for ticket in (platform.ticket("alice", job.id), platform.ticket("alice", stopped.id)):
        assert alice.get(ticket).status_code == 503, "a ticket makes a start, which is a change"
    assert [one["id"] for one in alice.get(f"{API}/starts").json()] == [start.rpartition("/")[2]]
    assert platform.farm.live_jobs() == [job.id]
    health = httpx.get(f"{platform.url}{PREFIX}/health")
    assert (health.status_code, health.json()["status"], health.json()["hub"]) == (
        200,
        "degraded",
        "the hub does not answer",
    )
    platform.farm.end(job.id, EndReason.finished)
    time.sleep(1)
    assert platform.started == []
    platform.start("hub")
    wait_for(lambda: platform.started == ["alice  quantum"], 20, "the start after the hub's return")
    wait_for(lambda: alice.get(start).headers.get("location") == "/hub/spawn-pending/alice", 10)


def test_a_hub_that_hangs_delays_known_people_once_only(own_platform, browse):
    platform = own_platform
    token = hub_token(platform, browse, "alice")
    own = hub_token(platform, browse, "bob")
    assert platform.get(f"{API}/me", token).status_code == 200
    os.kill(platform.processes["hub"].pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert platform.get(f"{API}/me", token).status_code == 200  # fresh: the hub is not asked
        assert time.monotonic() - begun < 0.5
        assert platform.get(f"{API}/me", own).status_code == 503
        assert time.monotonic() - begun < 4
    finally:
        os.kill(platform.processes["hub"].pid, signal.SIGCONT)
    assert wait_for(lambda: platform.get(f"{API}/me", own).status_code == 200, 10)


def test_a_killed_service_forgets_nobody_and_no_start(own_platform, browse):
    platform, alice, bob = own_platform, browse(own_platform, "alice"), browse(own_platform, "bob")
    job = platform.build()
    pages = [alice.visit(platform.ticket("alice", job.id)).url.path, bob.visit(platform.ticket("bob", job.id)).url.path]
    platform.kill("service")
    platform.farm.end(job.id, EndReason.finished)
    platform.start("service")
    assert alice.get(f"{API}/me").json()["name"] == "alice"
    wait_for(lambda: len(platform.started) == 2, 20, "both starts")
    for browser, page, name in ((alice, pages[0], "alice"), (bob, pages[1], "bob")):
        wait_for(lambda b=browser, p=page, n=name: b.get(p).headers.get("location") == f"/hub/spawn-pending/{n}", 10)
    platform.kill("service")
    platform.start("service")
    time.sleep(1)
    assert sorted(platform.started) == ["alice  quantum", "bob  quantum"]


def test_a_service_killed_again_and_again_while_it_starts_sessions_starts_each_once(own_platform, browse):
    platform, people = own_platform, [f"p{number}" for number in range(6)]
    job = platform.build()
    browsers = {name: browse(platform, name) for name in people}
    pages = {name: browser.visit(platform.ticket(name, job.id)).url.path for name, browser in browsers.items()}
    platform.farm.end(job.id, EndReason.finished)
    for pause in (0.02, 0.1, 0.3):
        time.sleep(pause)
        platform.kill("service")
        platform.start("service")
    for name, browser in browsers.items():
        address = f"/hub/spawn-pending/{name}"
        wait_for(
            lambda b=browser, n=name, a=address: b.get(pages[n]).headers.get("location") == a, 30, f"{name}'s start"
        )
    assert sorted(platform.started) == [f"{name}  quantum" for name in people]
