"""The administrators' page, without a browser: who may open it, what it shows, what it records."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase

from .running import API, PREFIX, Browser, Platform, csrf_of, wait_for
from .test_tokens import hub_token

PAGE = f"{PREFIX}/administration"


@pytest.fixture
def admin(platform: Platform, browse) -> Browser:
    """An administrator's browser."""
    browser = browse(platform, "root-admin")
    browser.visit(f"{PREFIX}/")
    return browser


def rows(page: str) -> list[str]:
    """The people of the table, from top to bottom."""
    return re.findall(r'<th scope="row">(\w+)', page)


def test_only_administrators_open_it(platform, browse, admin):
    alice = browse(platform, "alice")
    assert PAGE not in alice.visit(f"{PREFIX}/").text
    refused = alice.get(PAGE)
    assert (refused.status_code, "only administrators" in refused.text) == (403, True)
    for path in (f"{PAGE}/announcements", f"{PAGE}/announcements/1/take-back", f"{PAGE}/sessions/w{'0' * 20}/stop"):
        form = {"csrf": alice.cookies.get("x") or "", "message": "hello"}
        assert alice.post(path, data=form).status_code == 403
    assert browse(platform).get(PAGE).status_code == 302  # off to the hub to log in
    assert f'href="{PAGE}"' in admin.get(f"{PREFIX}/").text
    assert platform.get(PAGE, platform.tokens["reader"]).status_code == 403


def test_who_runs_what_sorted_as_asked(platform, admin):
    works = [
        platform.session(person="adm1", project="lab"),
        platform.session(person="adm2", profile="quantum", accelerator="card", accelerator_count=1, emulated=True),
    ]
    platform.farm.use(works[0].id, 100.0)
    page = wait_for(lambda: {"adm1", "adm2"} <= set(rows((p := admin.get(PAGE)).text)) and p.text, 10)
    assert "1 core, 1 GiB, 1 x Test card <strong>EMULATED</strong>" in page
    assert "not known" in page
    up, down = (rows(admin.get(f"{PAGE}?sort=person&order={order}").text) for order in ("up", "down"))
    assert up == sorted(up) == down[::-1]
    for sort in ("profile", "project", "holds", "cost", "since", "idle", "cores", "memory", "ends"):
        assert set(rows(admin.get(f"{PAGE}?sort={sort}&order=down").text)) == set(up)
    sorted_page = admin.get(f"{PAGE}?sort=person").text
    assert re.search(r'aria-sort="ascending"><a href="\?sort=person&amp;order=down">Person', sorted_page)
    for nonsense in ("sort=password", "sort=person&order=sideways", "sort=%00"):
        assert admin.get(f"{PAGE}?{nonsense}").status_code == 422
    for work in works:
        platform.farm.end(work.id, EndReason.finished)


def test_costs_follow_the_day_of_the_start_and_survive_a_removed_accelerator(platform, admin):
    """`tests/service/values.yaml`: cores and memory are always priced, the card since 2026, in francs."""
    card = {"accelerator": "card", "accelerator_count": 2}
    new_year = datetime(2026, 1, 1, tzinfo=ZoneInfo("Europe/Rome"))
    works = [
        platform.session(person="cost1", cores=2.0, memory_gib=4.0, started_at=datetime.now(UTC)),
        platform.session(person="cost2", **card, started_at=new_year),
        platform.session(person="cost3", **card, started_at=new_year - timedelta(seconds=1)),
        platform.session(person="cost4", accelerator="gone<b>", accelerator_count=1, started_at=datetime.now(UTC)),
    ]
    people = ["cost1", "cost2", "cost3", "cost4"]
    page = wait_for(lambda: set(people) <= set(rows((p := admin.get(PAGE)).text)) and p.text, 10)
    costs = dict(re.findall(r'<th scope="row">(\w+)</th>(?:\s*<td>.*</td>){3}\s*<td>(.*)</td>', page))
    removed = '0.012 CHF <span class="quiet">(without its accelerator, which the values do not have any more)</span>'
    expected = {"cost1": "0.028 CHF", "cost2": "0.512 CHF", "cost3": "0.012 CHF", "cost4": removed}
    assert {person: costs[person] for person in people} == expected
    down = [one for one in rows(admin.get(f"{PAGE}?sort=cost&order=down").text) if one in people]
    assert down[:2] == ["cost2", "cost1"]
    for work in works:
        platform.farm.end(work.id, EndReason.finished)


def test_a_session_is_stopped_with_confirmation_and_that_is_recorded(platform, admin):
    work = platform.session(person="adm3")
    stop = f"{PAGE}/sessions/{work.id}/stop"
    page = wait_for(lambda: (answer := admin.get(stop)).status_code == 200 and answer, 10)
    assert "Stop the session of adm3?" in page.text
    assert platform.farm.read(work.id).phase is Phase.running
    form = {"message": "<img src=x onerror=alert(1)>\u202e move", "notice": "0"}
    forged = admin.post(stop, data=form)
    assert (forged.status_code, "did not come from a page" in forged.text) == (403, True)
    elsewhere = admin.post(stop, data=form | {"csrf": csrf_of(page)}, headers={"Origin": "http://evil.example"})
    assert elsewhere.status_code == 403
    for wrong in ({"message": ""}, {"message": "x" * 501}, {"message": "x", "notice": "soon"}):
        answer = admin.post(stop, data={"csrf": csrf_of(page)} | wrong)
        assert answer.status_code == 422, wrong
    assert platform.farm.read(work.id).phase is Phase.running
    done = admin.post(stop, data=form | {"csrf": csrf_of(page)})
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    ended = wait_for(lambda: (found := platform.farm.read(work.id)).phase is Phase.ended and found, 10, "the end")
    assert ended.message.startswith("an administrator ended it: <img src=x onerror=alert(1)> move;")
    shown = admin.get(PAGE).text
    assert "<bdi>&lt;img src=x onerror=alert(1)&gt; move</bdi>" in shown
    assert re.search(r"<td>root-admin</td><td>stopped a session</td><td>adm3</td>", shown)
    assert wait_for(lambda: admin.get(stop).status_code == 404, 10)


def test_what_administrators_change_of_others_sessions_is_recorded(platform, browse, admin):
    work = platform.session(person="adm5")
    token, own = (hub_token(platform, browse, name) for name in ("root-admin", "adm5"))
    address = f"{API}/sessions/{work.id}"
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    for body in ({"until": until.isoformat()}, {"until": None}):
        assert platform.post(f"{address}/keep-until", own, method="PUT", json=body).status_code == 200
    assert ">adm5</td>" not in admin.get(PAGE).text.partition("What administrators did")[2]
    for body in ({"until": until.isoformat()}, {"until": None}):
        assert platform.post(f"{address}/keep-until", token, method="PUT", json=body).status_code == 200
    assert platform.post(f"{address}/extensions", token).status_code == 200
    assert platform.post(f"{address}/extensions", token).status_code == 409
    shown = admin.get(PAGE).text
    said = re.findall(r"<td>root-admin</td><td>([^<]+)</td><td>adm5</td>", shown)
    assert said == ["extended a session", "let a session be ended for being idle again", "kept a session"]
    assert f"until {until:%Y-%m-%d %H:%M} UTC" in shown
    platform.farm.end(work.id, EndReason.finished)


def test_announcements_are_made_and_taken_back_on_the_page(platform, admin):
    csrf = csrf_of(admin.get(PAGE))
    form = {"csrf": csrf, "message": "Power <cut> at six", "profile": "quantum", "lasting": "3600"}
    assert admin.post(f"{PAGE}/announcements", data=form | {"csrf": "0" * 64}).status_code == 403
    assert admin.post(f"{PAGE}/announcements", data=form | {"profile": "nothing"}).status_code == 422
    assert admin.post(f"{PAGE}/announcements", data=form | {"lasting": "for ever"}).status_code == 422
    with contextlib.suppress(httpx.TransportError):  # refused before all of it was sent
        assert admin.post(f"{PAGE}/announcements", data=form | {"message": "x" * 10_000_000}).status_code == 413
    assert "Nothing is announced." in admin.get(PAGE).text
    assert admin.post(f"{PAGE}/announcements", data=form).status_code == 303
    page = admin.get(PAGE).text
    assert "<bdi>Power &lt;cut&gt; at six</bdi>" in page
    assert "for users of Quantum, by root-admin" in page
    found = re.search(rf'action="({PAGE}/announcements/\d+/take-back)"', page)
    assert found is not None
    assert admin.post(found[1], data={}).status_code == 403
    assert admin.post(found[1], data={"csrf": csrf}).status_code == 303
    after = admin.get(PAGE).text
    assert found[1] not in after
    assert "took back an announcement" in after
    assert platform.get(f"{API}/announcements", platform.tokens["reader"]).json() == {"announcements": []}
