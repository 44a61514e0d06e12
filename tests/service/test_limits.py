"""How long sessions may stay, over REST: who may ask, what is refused in words, what survives a killed service."""

from __future__ import annotations

import concurrent.futures
import contextlib
import sqlite3
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase
from jupyterhub_aiinfn.backends.local.agreement import Agreements
from jupyterhub_aiinfn.values import parse_values

from .running import API, PREFIX, Platform, wait_for
from .test_tokens import hub_token, start

REPORT = {"running_cells": 0, "cpu_cores": 0.0, "network_bytes_per_second": 0.0}


@pytest.fixture
def session(platform: Platform, browse):
    """``session(name)``: a session of that person, and the person's own token."""
    made = []

    def make(name: str, **changes: object):
        token = hub_token(platform, browse, name)
        work = platform.session(person=name, **changes)
        wait_for(lambda: platform.get(path(work), token).status_code == 200, 10, "the session's appearance")
        made.append(work)
        return work, token

    yield make
    for work in made:
        platform.farm.end(work.id, EndReason.finished)


def path(work, rest: str = "") -> str:
    return f"{API}/sessions/{work.id}{rest}"


def test_the_limits_of_the_profile_are_told(platform, session):
    work, token = session("lim1")
    limits = platform.get(path(work), token).json()
    assert (limits["workload"]["id"], limits["idle_after_seconds"], limits["warn_seconds"]) == (work.id, 60, 30)
    assert (limits["extend_seconds"], limits["extensions_left"], limits["extend_refusal"]) == (1800, 1, "")
    assert limits["warning"] is None
    assert datetime.fromisoformat(limits["keep_until_latest"]) - datetime.now(UTC) > timedelta(minutes=29)
    plain, token = session("lim2", profile="quantum")
    limits = platform.get(path(plain), token).json()
    assert (limits["idle_after_seconds"], limits["keep_until_latest"]) == (None, None)
    assert "cannot be extended" in limits["extend_refusal"]


def test_a_session_keeps_the_limits_of_the_values_it_started_with(platform, session):
    """Also when the service sees it for the first time after `values apply`, and when those values are gone."""
    agreements, text = Agreements(platform.installation.state), platform.installation.values_file.read_text()
    assert "extend: {by: 30m, times: 1}" in text
    earlier = parse_values(text.replace("by: 30m, times: 1", "by: 15m, times: 7"), "earlier")
    work, token = session("lim20", values_hash=agreements.store(earlier))
    limits = platform.get(path(work), token).json()
    assert (limits["extend_seconds"], limits["extensions_left"]) == (900, 7)
    for gone in ("0" * 16, "../../../etc/passwd"):
        work, token = session("lim21", values_hash=gone, server_name=gone[:2])
        limits = platform.get(path(work), token).json()
        assert (limits["extend_seconds"], limits["extensions_left"]) == (1800, 1)


def test_sessions_of_others_are_nobodys_business(platform, session):
    work, _ = session("lim3")
    _, other = session("lim4")
    for method, rest, body in [
        ("GET", "", None),
        ("POST", "/extensions", None),
        ("PUT", "/keep-until", {"until": None}),
        ("POST", "/reports", REPORT),
    ]:
        answer = platform.post(path(work, rest), other, method=method, json=body)
        assert answer.status_code == 404, (method, rest, answer.text)
        assert answer.json()["error"]["message"].startswith("no session")
    assert platform.post(path(work, "/stop"), other, json={"message": "away"}).status_code == 403
    assert platform.get(path(work), platform.tokens["reader"]).status_code == 200
    assert platform.post(path(work, "/extensions"), platform.tokens["reader"]).status_code == 403
    assert platform.get(f"{API}/sessions/w{'0' * 20}", other).status_code == 404
    assert platform.get(f"{API}/sessions/..%2f..%2fx", other).status_code in (404, 422)


def test_one_extension_then_a_refusal_with_the_reason(platform, session):
    work, token = session("lim5")
    longer = platform.post(path(work, "/extensions"), token)
    assert longer.status_code == 200, longer.text
    assert datetime.fromisoformat(longer.json()["ends_at"]) == work.started_at + timedelta(minutes=90)
    assert longer.json()["extensions_left"] == 0
    refused = platform.post(path(work, "/extensions"), token)
    assert refused.status_code == 409
    assert refused.json()["error"]["message"].startswith("this session was extended 1 time already")
    assert platform.farm.read(work.id).ends_at == work.started_at + timedelta(minutes=90)


def test_of_ten_extensions_at_once_one_is_made(platform, session):
    work, token = session("lim6")
    with concurrent.futures.ThreadPoolExecutor(10) as threads:
        codes = list(threads.map(lambda _: platform.post(path(work, "/extensions"), token).status_code, range(10)))
    assert sorted(codes) == [200] + [409] * 9


def test_keep_until_within_the_policy(platform, session):
    work, token = session("lim7")

    def put(until: object):
        return platform.post(path(work, "/keep-until"), token, method="PUT", json={"until": until})

    soon = datetime.now(UTC) + timedelta(minutes=20)
    assert datetime.fromisoformat(put(soon.isoformat()).json()["keep_until"]) == soon.replace(microsecond=0)
    late = put((soon + timedelta(minutes=30)).isoformat())
    assert late.status_code == 409
    assert "at the latest" in late.json()["error"]["message"]
    assert put((soon - timedelta(hours=1)).isoformat()).status_code == 409
    assert put("2026-11-24T12:00:00").json()["error"]["message"].endswith("Z or +01:00")
    for nonsense in ("tomorrow", 10**30, [], {"a": 1}, "9999-99-99"):
        assert put(nonsense).status_code == 422, nonsense
    for edge in ("9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        refused = put(edge)
        assert refused.status_code == 422, edge
        assert "the year" in refused.json()["error"]["message"]
    assert put(None).json()["keep_until"] is None


def test_only_the_session_itself_reports(platform, browse, session):
    own = hub_token(platform, browse, "lim8")
    session_token = start(platform, own, "lim8")
    work, _ = session("lim8")
    named, _ = session("lim8", server_name="second")
    assert platform.post(path(work, "/reports"), session_token, json=REPORT).status_code == 200
    assert platform.post(path(work, "/reports"), own, json=REPORT).status_code == 403
    assert platform.post(path(named, "/reports"), session_token, json=REPORT).status_code == 404
    for wrong in (
        {},
        REPORT | {"running_cells": -1},
        REPORT | {"cpu_cores": 1e300},
        REPORT | {"network_bytes_per_second": "NaN"},
        [1, 2],
    ):
        assert platform.post(path(work, "/reports"), session_token, json=wrong).status_code == 422, wrong
    with contextlib.suppress(httpx.TransportError):  # refused before all of it was sent
        huge = platform.post(path(work, "/reports"), session_token, content=b'{"running_cells":' + b"1" * 2_000_000)
        assert huge.status_code == 413


def test_an_administrator_stops_with_notice_and_a_message(platform, session):
    work, token = session("lim9")
    stopper = platform.tokens["stopper"]
    asked = platform.post(path(work, "/stop"), stopper, json={"message": "disk <b>work</b>\u202e", "notice_seconds": 3})
    assert asked.status_code == 200, asked.text
    warning = platform.get(path(work), token).json()["warning"]
    assert warning["cause"] == "administrator"
    assert "disk <b>work</b> (variables" in warning["message"]
    assert "an administrator ends" in platform.post(path(work, "/extensions"), token).json()["error"]["message"]
    ended = wait_for(lambda: (found := platform.farm.read(work.id)).phase is Phase.ended and found, 10, "the end")
    assert ended.reason is EndReason.administrator
    assert ended.message == "an administrator ended it: disk <b>work</b>; your files are in your home"
    assert (ended.ended_at - datetime.now(UTC)).total_seconds() > -5


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"message": ""}, 422),
        ({"message": "\u202e \x00"}, 422),
        ({"message": "x" * 501}, 422),
        ({"message": "x" * 900_000}, 422),
        ({"message": "soon", "notice_seconds": -1}, 422),
        ({"message": "soon", "notice_seconds": 10**9}, 422),
        ({}, 422),
        ("stop", 422),
    ],
    ids=lambda value: str(value)[:30],
)
def test_nonsense_stops_nobody(platform, session, body, status):
    work, _ = session("lim10")
    assert platform.post(path(work, "/stop"), platform.tokens["stopper"], json=body).status_code == status
    assert platform.farm.read(work.id).phase is Phase.running


def test_a_session_whose_own_end_failed_is_ended_once(platform, session):
    now = datetime.now(UTC)
    work, _ = session("lim11", started_at=now - timedelta(hours=1), ends_at=now - timedelta(seconds=7))
    wait_for(lambda: platform.farm.read(work.id).phase is Phase.ended, 15, "the end")
    assert platform.farm.read(work.id).reason is EndReason.max_age


def test_what_was_granted_survives_a_killed_service(own_platform: Platform, browse):
    platform, admin = own_platform, browse(own_platform, "root-admin")
    page = admin.visit(f"{PREFIX}/administration").text
    for said in ("Nobody has a session now.", "Nothing is announced.", "are recorded here"):
        assert said in page
    token = hub_token(platform, browse, "alice")
    work = platform.session(person="alice")
    wait_for(lambda: platform.get(path(work), token).status_code == 200, 10)
    until = datetime.now(UTC) + timedelta(minutes=10)
    assert platform.post(path(work, "/extensions"), token).status_code == 200
    platform.post(path(work, "/keep-until"), token, method="PUT", json={"until": until.isoformat()})
    stopper = platform.tokens["stopper"]
    assert platform.post(f"{API}/announcements", stopper, json={"message": "power cut at six"}).status_code == 201
    platform.post(path(work, "/stop"), stopper, json={"message": "power cut", "notice_seconds": 600})
    platform.kill("service")
    # killed between the grant and the backend: the farm never heard of it
    platform.farm.put(platform.farm.read(work.id).model_copy(update={"ends_at": work.ends_at}))
    with sqlite3.connect(platform.installation.state.service / "service.sqlite") as database:
        # as if the profile had said so when the session started, and no longer does
        database.execute("UPDATE stays SET policy = json_set(policy, '$.idle_after', 777)")
    platform.start_service()
    wait_for(lambda: platform.get(path(work), token).status_code == 200, 10)
    limits = platform.get(path(work), token).json()
    assert (limits["extensions_left"], limits["idle_after_seconds"]) == (0, 777)
    assert datetime.fromisoformat(limits["keep_until"]) == until.replace(microsecond=0)
    assert limits["warning"]["cause"] == "administrator"
    assert [one["message"] for one in limits["announcements"]] == ["power cut at six"]
    wait_for(
        lambda: platform.farm.read(work.id).ends_at == work.started_at + timedelta(minutes=90), 10, "the extension"
    )
    assert platform.post(path(work, "/extensions"), token).status_code == 409
    assert "stopper" in admin.visit(f"{PREFIX}/administration").text  # the record of acts


def test_announcements_come_and_go(platform, session, browse):
    work, token = session("lim12")
    stopper = platform.tokens["stopper"]
    before = len(platform.get(f"{API}/announcements", token).json()["announcements"])

    def say(**body: object):
        return platform.post(f"{API}/announcements", stopper, json=body)

    everybody, other, mine = (
        say(message="all"),
        say(message="q", profile="quantum"),
        say(message="w", profile="watched"),
    )
    soon = say(message="short", until=(datetime.now(UTC) + timedelta(seconds=2)).isoformat())
    assert {answer.status_code for answer in (everybody, other, mine, soon)} == {201}
    seen = [one["message"] for one in platform.get(path(work), token).json()["announcements"]]
    assert seen[:3] == ["short", "w", "all"]
    assert platform.post(f"{API}/announcements", token, json={"message": "hi"}).status_code == 403
    for wrong in (
        {"message": " "},
        {"message": "x", "profile": "none"},
        {"message": "x", "until": "2020-01-01T00:00:00Z"},
    ):
        assert say(**wrong).status_code == 422, wrong
    for one in (everybody, other, mine):
        assert platform.post(f"{API}/announcements/{one.json()['id']}", token, method="DELETE").status_code == 403
        gone = platform.post(f"{API}/announcements/{one.json()['id']}", stopper, method="DELETE")
        assert gone.status_code == 200
    assert platform.post(f"{API}/announcements/{mine.json()['id']}", stopper, method="DELETE").status_code == 404
    time.sleep(2)
    assert len(platform.get(f"{API}/announcements", token).json()["announcements"]) == before


def test_twenty_announcements_are_enough(platform: Platform):
    stopper = platform.tokens["stopper"]
    answers = [platform.post(f"{API}/announcements", stopper, json={"message": f"no {n}"}) for n in range(21)]
    try:
        assert [answer.status_code for answer in answers] == [201] * 20 + [409]
    finally:
        for answer in answers[:20]:
            platform.post(f"{API}/announcements/{answer.json()['id']}", stopper, method="DELETE")


def test_a_starting_session_has_limits_too(platform, session):
    work, token = session("lim13", phase=Phase.starting, started_at=None, ends_at=None)
    assert platform.get(path(work), token).json()["activity"] == "unknown"
