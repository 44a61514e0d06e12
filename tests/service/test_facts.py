"""Facts about workloads: from the hub over HTTP, from the service's own watch, and inferred; each once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from jupyterhub_aiinfn.api.facts import Fact, FactKind
from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Workload
from jupyterhub_aiinfn.hub.delivery import Delivery
from jupyterhub_aiinfn.hub.outbox import Outbox

from .running import API, PREFIX, Platform, wait_for, workload

NOW = datetime.now(UTC)


def rows(platform: Platform, subject: str = "%") -> list[dict[str, Any]]:
    """Facts in the order in which they were written."""
    file = platform.installation.state.service / "service.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        found = connection.execute("SELECT * FROM facts WHERE subject LIKE ? ORDER BY id", (subject,))
        return [dict(row) for row in found]


def told(platform: Platform, subject: str) -> list[tuple[str, str]]:
    return [(row["kind"], row["source"]) for row in rows(platform, subject)]


def ended(**changes: Any) -> Workload:
    end = {"phase": Phase.ended, "ended_at": NOW, "reason": EndReason.stopped}
    return workload("session", person="alice", **(end | changes))


def fact(number: int, kind: str, work: Workload | None) -> dict[str, Any]:
    return Fact(number=number, kind=FactKind(kind), at=NOW, workload=work).model_dump(
        mode="json", exclude_defaults=True
    )


def send(platform: Platform, *facts: dict[str, Any], content: bytes | None = None) -> httpx.Response:
    """A delivery of the hub, past the proxy."""
    headers = {"Authorization": f"Bearer {platform.installation.state.secret('facts-token')}"}
    url = f"{platform.installation.service_url}{API}/facts"
    if content is not None:
        return httpx.post(url, headers=headers | {"Content-Type": "application/json"}, content=content, timeout=20)
    return httpx.post(url, headers=headers, json={"facts": facts}, timeout=20)


def test_only_the_hub_delivers_and_not_through_the_proxy(platform: Platform) -> None:
    url, body = f"{platform.installation.service_url}{API}/facts", {"facts": [fact(1, "closed", ended())]}
    secret = platform.installation.state.secret
    given = [secret("internal-token"), secret("service-token"), secret("values-token"), "x", "x" * 10_000]
    given += [*platform.tokens.values(), secret("facts-token")[:-1]]
    answers = [httpx.post(url, headers={"Authorization": f"token {token}"}, json=body) for token in given]
    answers.append(httpx.post(url, json=body))
    answers.append(platform.post(f"{API}/facts", secret("facts-token"), json=body))
    assert [answer.status_code for answer in answers] == [403] * len(answers)
    assert answers[0].json()["error"]["message"] == "only the hub delivers facts about sessions"
    assert not rows(platform, body["facts"][0]["workload"]["id"])


def test_a_fact_counts_once_however_often_and_in_whichever_order_it_comes(platform: Platform) -> None:
    work = ended()
    opened, closed = fact(1, "opened", work), fact(2, "closed", work)
    for delivery in ((closed,), (opened, closed, opened), (opened,), (closed, closed)):
        answer = send(platform, *delivery)
        assert (answer.status_code, answer.json()["number"]) == (200, max(one["number"] for one in delivery))
    assert told(platform, work.id) == [("closed", "hub"), ("opened", "hub")]
    assert Workload.model_validate(json.loads(rows(platform, work.id)[0]["workload"])) == work


def test_the_first_word_about_something_counts(platform: Platform) -> None:
    work = ended(reason=EndReason.max_age)
    send(platform, fact(1, "closed", work))
    send(platform, fact(9, "closed", work.model_copy(update={"reason": EndReason.lost, "inferred": True})))
    [row] = rows(platform, work.id)
    assert (json.loads(row["workload"])["reason"], row["inferred"]) == ("max-age", 0)


def test_deliveries_at_the_same_time_write_each_fact_once(platform: Platform) -> None:
    works = [ended() for _ in range(40)]
    facts = [fact(number, kind, work) for number, work in enumerate(works, 1) for kind in ("opened", "closed")]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda turn: send(platform, *facts[turn:], *facts[:turn]), range(0, 80, 5)))
    assert {answer.status_code for answer in answers} == {200}
    for work in works:
        assert sorted(told(platform, work.id)) == [("closed", "hub"), ("opened", "hub")]


def test_a_gap_is_written_once_and_another_one_beside_it(platform: Platform) -> None:
    before = len(rows(platform, "gap-%"))
    gap = {"number": 7, "kind": "gap", "at": NOW.isoformat(), "dropped": 50_000}
    for one in (gap, gap, gap | {"number": 8}, gap | {"at": (NOW - timedelta(days=1)).isoformat()}):
        assert send(platform, one).status_code == 200
    found = rows(platform, "gap-%")[before:]
    assert [(row["kind"], row["dropped"]) for row in found] == [("gap", 50_000)] * 3


def hostile() -> dict[str, tuple[Any, str]]:
    """What nobody may send, and a word of the answer."""
    work = ended()
    good = fact(1, "closed", work)

    def with_work(**changes: Any) -> dict[str, Any]:
        return good | {"workload": good["workload"] | changes}

    return {
        "nothing": ({}, "facts"),
        "a list": ([], "body"),
        "no facts": ({"facts": []}, "at least 1"),
        "too many": ({"facts": [{"number": 1, "kind": "gap", "at": NOW.isoformat()}] * 1001}, "at most 1000"),
        "number": ({"facts": [good | {"number": 2**62}]}, "less than"),
        "negative": ({"facts": [good | {"number": 0}]}, "greater than"),
        "kind": ({"facts": [good | {"kind": "corrected"}]}, "opened"),
        "no time": ({"facts": [good | {"at": "yesterday"}]}, "at"),
        "far": ({"facts": [good | {"at": "9999-12-31T23:59:59Z"}]}, "year"),
        "no zone": ({"facts": [good | {"at": "2026-11-25T10:00:00"}]}, "without a zone"),
        "no workload": ({"facts": [{"number": 1, "kind": "closed", "at": NOW.isoformat()}]}, "which has a workload"),
        "gap with one": ({"facts": [good | {"kind": "gap"}]}, "which has no workload"),
        "empty gap": ({"facts": [{"number": 1, "kind": "gap", "at": NOW.isoformat()}]}, "no dropped facts"),
        "id": ({"facts": [with_work(id="../../etc")]}, "id is not one of a workload"),
        "long id": ({"facts": [with_work(id="w" * 100_000)]}, "id is not one of a workload"),
        "a job": ({"facts": [with_work(kind="job")]}, "the hub speaks of sessions only"),
        "no end": ({"facts": [with_work(phase="running")]}, "an end without the moment of it"),
        "no cores": ({"facts": [with_work(cores="many")]}, "cores"),
        "early": ({"facts": [with_work(created_at="0001-01-01T00:00:00Z")]}, "not of this millennium"),
    }


@pytest.mark.parametrize("case", sorted(hostile()))
def test_a_delivery_that_cannot_be_is_refused_in_words_and_nothing_of_it_is_written(
    platform: Platform, case: str
) -> None:
    body, word = hostile()[case]
    good = fact(1, "closed", ended())
    if isinstance(body, dict) and 0 < len(body.get("facts", [])) < 1000:
        body = {"facts": [good, *body["facts"]]}  # all or nothing
    before = len(rows(platform))
    answer = send(platform, content=json.dumps(body).encode())
    assert answer.status_code == 422, answer.text
    assert word in answer.json()["error"]["message"]
    assert len(rows(platform)) == before


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 422),
        (b"\xff\xfe\x00", 400),
        (b"[" * 500_000, 400),
        (b'{"facts": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400),
        (b'{"facts": [{"number": 1, "kind": "gap", "at": "2026-11-25T10:00:00Z", "dropped": 1e999}]}', 422),
        (b"x" * (1024 * 1024 + 1), 413),
    ],
    ids=["empty", "no text", "open", "deep", "endless", "huge"],
)
def test_what_is_no_delivery_at_all_is_refused_in_words(platform: Platform, content: bytes, status: int) -> None:
    before = len(rows(platform))
    answer = send(platform, content=content)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    assert len(rows(platform)) == before


def test_numbers_without_end_and_half_characters_are_refused(platform: Platform) -> None:
    text = json.dumps({"facts": [fact(1, "closed", ended())]})
    for wrong in (text.replace('"cores": 1.0', '"cores": Infinity'), text.replace('"alice"', r'"\ud800"')):
        assert wrong != text
        assert send(platform, content=wrong.encode()).status_code == 422


def test_the_service_writes_down_what_its_watch_sees(platform: Platform) -> None:
    work = platform.farm.put(workload("job"))
    wait_for(lambda: told(platform, work.id) == [("opened", "service")], 10)
    platform.farm.end(work.id, EndReason.failed)
    wait_for(lambda: told(platform, work.id) == [("opened", "service"), ("closed", "service")], 10)


def test_what_ended_while_the_service_was_away_is_written_when_it_is_back(own_platform: Platform) -> None:
    platform = own_platform
    works = [platform.session(person="alice", server_name=name) for name in ("one", "two", "three")]
    wait_for(lambda: len(rows(platform)) == 3, 10)
    platform.kill("service")
    platform.farm.end(works[0].id, EndReason.stopped)
    shutil.rmtree(platform.farm.root / works[1].id)  # nothing is left of it: nobody will ever see its end
    platform.start_service(lost_after=1)
    wait_for(lambda: len(rows(platform)) == 5, 20)
    assert told(platform, works[2].id) == [("opened", "service")]
    seen, lost = rows(platform, works[0].id)[1], rows(platform, works[1].id)[1]
    assert (seen["kind"], seen["inferred"]) == ("closed", 0)
    assert (lost["kind"], lost["inferred"]) == ("closed", 1)
    assert json.loads(lost["workload"])["reason"] == "lost"
    assert lost["at"] <= seen["at"]  # when it was seen for the last time, not when that was noticed
    late = fact(1, "closed", works[1].model_copy(update={"phase": Phase.ended, "ended_at": NOW}))
    assert send(platform, late).status_code == 200  # what the hub saw stands beside it
    assert told(platform, works[1].id) == [("opened", "service"), ("closed", "service"), ("closed", "hub")]


def test_an_end_that_the_hub_tells_in_time_is_not_inferred(own_platform: Platform) -> None:
    platform = own_platform
    work = platform.session(person="alice", server_name="one")
    wait_for(lambda: rows(platform, work.id), 10)
    platform.kill("service")
    shutil.rmtree(platform.farm.root / work.id)
    platform.start_service(lost_after=3)
    end = work.model_copy(update={"phase": Phase.ended, "ended_at": NOW})
    assert send(platform, fact(1, "closed", end)).status_code == 200
    time.sleep(5)
    assert told(platform, work.id) == [("opened", "service"), ("closed", "hub")]


async def deliver(platform: Platform, outbox: Outbox, seconds: float) -> None:
    """What the hub runs, until everything is taken or the time is over."""
    url = f"{platform.installation.service_url}{PREFIX}"
    task = asyncio.create_task(Delivery(outbox, url, platform.installation.state.secret("facts-token")).run())
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while outbox.pending():
                await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_hubs_record_is_delivered_once_the_service_is_there_and_forgotten_then(
    own_platform: Platform, tmp_path: Path
) -> None:
    platform, outbox = own_platform, Outbox(tmp_path / "outbox.jsonl")
    works = [ended(message="x" * 900) for _ in range(700)]  # more than one delivery holds, in bytes and in number
    for work in works:
        outbox.write(FactKind.opened, work)
        outbox.write(FactKind.closed, work)
    platform.kill("service")
    asyncio.run(deliver(platform, outbox, 2))
    assert len(outbox.pending(2000)) == 1400

    async def with_a_service_that_is_killed_at_once() -> None:
        running = asyncio.create_task(deliver(platform, outbox, 60))
        await asyncio.to_thread(platform.start_service)
        platform.kill("service")
        await asyncio.to_thread(platform.start_service)
        outbox.write(FactKind.opened, works[0])
        await running

    asyncio.run(with_a_service_that_is_killed_at_once())
    assert Outbox(tmp_path / "outbox.jsonl").pending() == []
    assert sorted((row["subject"], row["kind"]) for row in rows(platform)) == sorted(
        (work.id, kind) for work in works for kind in ("opened", "closed")
    )


def test_a_service_that_does_not_take_the_record_loses_nothing(platform: Platform, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.jsonl")
    outbox.write(FactKind.opened, ended(id="w" + secrets.token_hex(10)))
    wrong = Delivery(outbox, f"{platform.installation.service_url}{PREFIX}", "not the token")

    async def some_time() -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wrong.run(), 2)

    asyncio.run(some_time())
    assert len(outbox.pending()) == 1
