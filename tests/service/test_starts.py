"""Waiting for an environment: tickets, progress, cancel, and exactly one start."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Progress

from .running import API, PREFIX, Browser, Platform, csrf_of, wait_for


@pytest.fixture(autouse=True)
def nothing_ready(platform):
    """Every test begins without the environment."""
    (platform.farm.root / "ready" / "quantum").unlink(missing_ok=True)


def arrive(browser: Browser, ticket: str) -> str:
    """Bring a ticket and return the path of the start's page."""
    page = browser.visit(ticket)
    assert page.status_code == 200, page.text
    return page.url.path


def state(browser: Browser, page: str) -> dict:
    """The start over REST."""
    return browser.get(f"{API}/starts/{page.rsplit('/', 1)[1]}").json()


def until(browser: Browser, page: str, wanted: str) -> dict:
    """Wait for a state of the start."""
    return wait_for(lambda: (found := state(browser, page))["state"] == wanted and found, 20, f"the state {wanted}")


def test_a_start_shows_progress_and_begins_once_when_the_job_is_done(platform: Platform, browse):
    erin, job = browse(platform, "erin"), platform.build()
    page = arrive(erin, platform.ticket("erin", job.id))
    shown = erin.get(page)
    assert "Preparing Quantum" in shown.text
    assert '<noscript><meta http-equiv="refresh"' in shown.text
    seen = set()
    for done in range(1, 12):
        platform.farm.say(
            job.id,
            Progress(
                step=f"installing <p{done}>",
                done=done,
                total=12,
                bytes_done=done << 20,
                bytes_total=12 << 20,
                updated_at=datetime.now(UTC),
            ),
        )
        seen.add(state(erin, page)["progress"]["done"])
    assert len(seen) == 11
    text = erin.get(page).text
    assert "11 of 12 packages" in text
    assert "11.0 MiB of 12.0 MiB" in text
    assert "installing &lt;p11&gt;" in text
    assert "erin" not in " ".join(platform.started)
    platform.farm.end(job.id, EndReason.finished)
    until(erin, page, "started")
    assert erin.get(page).headers["location"] == "/hub/spawn-pending/erin"
    time.sleep(1)
    assert platform.started.count("erin  quantum") == 1


def test_a_ready_environment_starts_a_named_session_at_once(platform: Platform, browse):
    frank, job = browse(platform, "frank"), platform.build()
    (platform.farm.root / "ready" / "quantum").touch()
    page = frank.visit(platform.ticket("frank", job.id, server_name="second"))
    start = page.url.path if "/starts/" in page.url.path else page.history[-2].url.path
    until(frank, start, "started")
    assert frank.get(start).headers["location"] == "/hub/spawn-pending/frank/second"
    assert platform.started.count("frank second quantum") == 1


def test_the_page_that_was_asked_for_survives_the_wait(platform: Platform, browse):
    judy, job = browse(platform, "judy"), platform.build()
    shown = judy.visit(platform.ticket("judy", job.id, server_name="third", next="/user/judy/lab/tree/x?reset"))
    page = shown.url.raw_path.decode()
    assert page.endswith("?next=%2Fuser%2Fjudy%2Flab%2Ftree%2Fx%3Freset")
    platform.farm.end(job.id, EndReason.finished)
    until(judy, shown.url.path, "started")
    on = judy.get(page).headers["location"]
    assert on == "/hub/spawn-pending/judy/third?next=%2Fuser%2Fjudy%2Flab%2Ftree%2Fx%3Freset"


def test_a_ticket_makes_one_start_however_often_it_comes(platform: Platform, browse):
    gina, job = browse(platform, "gina"), platform.build()
    ticket = platform.ticket("gina", job.id)
    assert arrive(gina, ticket) == arrive(gina, ticket)
    token = csrf_of(gina.visit(ticket))
    page = arrive(gina, ticket)
    assert gina.post(f"{page}/cancel", data={"csrf": token}).status_code == 303
    assert "Cancelled" in gina.visit(ticket).text
    assert state(gina, page)["state"] == "cancelled"


@pytest.mark.parametrize("change", ["forged", "expired", "other-key", "long", "empty"])
def test_tickets_that_the_hub_did_not_make_are_refused(platform: Platform, browse, change):
    erin = browse(platform, "erin")
    erin.visit(f"{PREFIX}/")
    job = platform.build()
    ticket = platform.ticket("erin", job.id, expires=int(time.time()) - 1 if change == "expired" else 2**40)
    text = ticket.partition("ticket=")[2]
    changed = {"forged": "A" + text[1:], "other-key": text[:-6] + "AAAAAA", "long": "x" * 9000, "empty": ""}
    answer = erin.get(f"{PREFIX}/starts", params={"ticket": changed.get(change, text)})
    assert answer.status_code == 422
    assert "<h1>That did not work</h1>" in answer.text


def test_another_persons_ticket_is_refused_and_another_persons_start_is_not_there(platform: Platform, browse):
    erin, mallory, job = browse(platform, "erin"), browse(platform, "mallory"), platform.build()
    ticket = platform.ticket("erin", job.id)
    answer = mallory.visit(ticket)
    assert answer.status_code == 403
    assert "another person" in answer.text
    assert "erin" not in answer.text
    page = arrive(erin, ticket)
    assert mallory.get(page).status_code == 404
    token = csrf_of(mallory.visit(f"{PREFIX}/logout"))
    assert mallory.post(f"{page}/cancel", data={"csrf": token}).status_code == 404
    assert state(erin, page)["state"] == "waiting"


def test_who_logs_in_as_another_person_meanwhile_is_asked_who_they_are_again(platform: Platform, browse):
    shared, job = browse(platform, "mallory"), platform.build()
    shared.visit(f"{PREFIX}/")
    ours = {cookie.name: cookie for cookie in shared.cookies.jar if cookie.name == "aiinfn-session"}
    shared.hub_login("erin")  # without a logout: the service still knows mallory
    assert ours
    assert "Preparing Quantum" in shared.visit(platform.ticket("erin", job.id)).text


def test_cancelling_leaves_the_job_to_the_others_and_the_last_one_stops_it(platform: Platform, browse):
    erin, gina, job = browse(platform, "erin"), browse(platform, "gina"), platform.build()
    pages = {person: arrive(person, platform.ticket(name, job.id)) for person, name in ((erin, "erin"), (gina, "gina"))}
    assert state(erin, pages[erin])["others"] == 1
    token = csrf_of(erin.get(pages[erin]))
    assert erin.post(f"{pages[erin]}/cancel").status_code == 403
    erin.post(f"{pages[erin]}/cancel", data={"csrf": token})
    assert platform.farm.read(job.id).phase == Phase.running
    csrf = csrf_of(gina.get(pages[gina]))
    answer = gina.delete(f"{API}/starts/{pages[gina].rsplit('/', 1)[1]}", headers={"X-CSRF-Token": csrf})
    assert answer.json()["state"] == "cancelled"
    assert platform.farm.read(job.id).reason == EndReason.stopped
    assert gina.post(f"{pages[gina]}/cancel", data={"csrf": csrf}).status_code == 409


def test_who_arrives_after_the_job_was_stopped_gets_a_new_one(platform: Platform, browse):
    erin, job = browse(platform, "erin"), platform.build()
    platform.farm.end(job.id, EndReason.stopped)
    page = arrive(erin, platform.ticket("erin", job.id))
    assert state(erin, page)["state"] == "waiting"
    built = platform.get(f"{API}/environments/quantum", platform.tokens["reader"])
    assert built.json()["state"] == "building"


def test_a_failed_build_says_why_and_shows_the_last_lines(platform: Platform, browse):
    erin, job = browse(platform, "erin"), platform.build()
    page = arrive(erin, platform.ticket("erin", job.id))
    platform.farm.end(job.id, EndReason.failed, "package qiskit <2.6.2> was not found.", "one\nERROR: no match & more")
    found = until(erin, page, "failed")
    assert found["message"].startswith('the environment "Quantum" was not built: package qiskit <2.6.2> was not found;')
    text = erin.get(page).text
    assert "qiskit &lt;2.6.2&gt;" in text
    assert "ERROR: no match &amp; more" in text
    assert 'href="/hub/spawn/erin"' in text


def test_a_job_that_is_gone_is_said(platform: Platform, browse):
    erin, job = browse(platform, "erin"), platform.build()
    page = arrive(erin, platform.ticket("erin", job.id))
    (platform.farm.root / job.id / "workload").unlink()
    assert "is gone" in until(erin, page, "failed")["message"]


def test_the_hubs_refusal_is_shown_word_for_word(platform: Platform, browse):
    judy, job = browse(platform, "judy"), platform.build()
    page = arrive(judy, platform.ticket("judy", job.id, options={"profile": "refused"}))
    platform.farm.end(job.id, EndReason.finished)
    assert until(judy, page, "failed")["message"] == "2 of 2 cards are in use; take another profile"
    assert "2 of 2 cards are in use; take another profile" in judy.get(page).text


def test_a_session_that_runs_already_is_not_started_over(platform: Platform, browse):
    kate = browse(platform, "kate")
    for wanted in ("started", "failed"):
        job = platform.build()
        page = arrive(kate, platform.ticket("kate", job.id))
        platform.farm.end(job.id, EndReason.finished)
        found = until(kate, page, wanted)
        wait_for(lambda: kate.visit("/hub/spawn-pending/kate").url.path.startswith("/user/kate"), 20, "the session")
    assert found["message"] == "this session runs already; stop it on the hub's home page, then start again"


def test_a_busy_hub_is_asked_again(platform: Platform, browse):
    (platform.root / "quiet").unlink(missing_ok=True)
    hank, job = browse(platform, "hank"), platform.build()
    page = arrive(hank, platform.ticket("hank", job.id, options={"profile": "busy"}))
    platform.farm.end(job.id, EndReason.finished)
    wait_for(lambda: "too many people" in state(hank, page)["message"], 10)
    (platform.root / "quiet").touch()
    until(hank, page, "started")
    assert platform.started.count("hank  busy") == 1


def test_one_person_cannot_wait_for_everything(platform: Platform, browse):
    ivan, job = browse(platform, "ivan"), platform.build()
    for _ in range(10):
        arrive(ivan, platform.ticket("ivan", job.id))
    refused = ivan.visit(platform.ticket("ivan", job.id))
    assert refused.status_code == 409
    assert len(ivan.get(f"{API}/starts").json()) == 10
    assert "Waiting to start" in ivan.visit(f"{PREFIX}/").text


def test_who_comes_while_the_last_canceller_stops_the_job_waits_for_a_new_one(platform: Platform, browse):
    """The hub joined them to a job that was being stopped."""
    for left in platform.farm.live_jobs():  # by other tests
        platform.farm.end(left, EndReason.finished)
    nora, job = browse(platform, "nora"), platform.build()
    page = arrive(nora, platform.ticket("nora", job.id))
    platform.farm.end(job.id, EndReason.stopped)
    second = wait_for(lambda: next(iter(platform.farm.live_jobs()), None), 20, "another build")
    assert second != job.id
    assert state(nora, page)["state"] == "waiting"
    platform.farm.end(second, EndReason.finished)
    until(nora, page, "started")
