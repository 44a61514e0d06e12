"""A refusal is the same sentence whichever way the request came, and leaves nothing behind."""

from __future__ import annotations

import html
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jupyterhub_aiinfn.hub.configuration import NAMES_PER_PERSON

from .running_hub import Browser, RunningHub

TIMES = 20
STAFF = 'there is no profile "staff" for you; choose "tiny", "jupyter", "card", "broken" or "unbuilt"'
SIZE = 'there is no size "huge" here; choose "small" or "large"'
CAP = "2 of 2 sessions are running or starting; stop one of them first"
CARDS = "all 2 card <went> to others; choose another"
REFUSED = [
    pytest.param({"profile": "staff"}, 403, STAFF, id="not-entitled"),
    pytest.param({"profile": "tiny", "size": "huge"}, 422, SIZE, id="malformed"),
    pytest.param(
        {"profile": "tiny", "image": "evil"},
        422,
        'there is no option "image"; known are profile, size, accelerator, count and project',
        id="unknown-option",
    ),
]
Answer = tuple[int, str]


def message(page: str) -> str:
    """The sentence that the page shows."""
    found = re.search(r'class="spawn-error-msg[^>]*>(.*?)</div>', page, re.S)
    return html.unescape(re.sub(r"<[^>]+>", "", found.group(1))).strip() if found else ""


def form(browser: Browser, options: dict[str, str], server: str = "") -> Answer:
    answer = browser.post_spawn("/hub/spawn" + (f"/bob/{server}" if server else ""), **options)
    return answer.status_code, message(answer.text)


def rest(browser: Browser, path: str, body: Any = None) -> Answer:
    answer = browser.api("POST", path, **({} if body is None else {"json": body}))
    return answer.status_code, json.loads(answer.text)["message"]


def rest_new(browser: Browser, options: dict[str, str]) -> Answer:
    return rest(browser, "/users/bob/server", {"user_options": options})


def rest_old(browser: Browser, options: dict[str, str]) -> Answer:
    return rest(browser, "/users/bob/server", options)


def rest_named(browser: Browser, options: dict[str, str]) -> Answer:
    return rest(browser, "/users/bob/servers/second", {"user_options": options, "display_name": "Second"})


def form_named(browser: Browser, options: dict[str, str]) -> Answer:
    return form(browser, options, "third")


def after_put(browser: Browser, options: dict[str, str]) -> Answer:
    browser.api("DELETE", "/users/bob/servers/put", json={"remove": True})
    made = browser.api("PUT", "/users/bob/servers/put", json={"user_options": options})
    assert made.status_code == 201, made.text
    return rest(browser, "/users/bob/servers/put")


def after_patch(browser: Browser, options: dict[str, str]) -> Answer:
    browser.api("PUT", "/users/bob/servers/patched", json={})
    changed = browser.api("PATCH", "/users/bob/servers/patched", json={"user_options": options})
    assert changed.status_code == 200, changed.text
    return rest(browser, "/users/bob/servers/patched")


WAYS: list[Callable[[Browser, dict[str, str]], Answer]] = [
    form, form_named, rest_new, rest_old, rest_named, after_put, after_patch,
]  # fmt: skip


def pending_page(browser: Browser, server: str = "") -> Answer:
    page = browser.get(f"/hub/spawn-pending/bob{'/' + server if server else ''}")
    return page.status_code, message(page.text)


def progress_event(browser: Browser, server: str = "") -> dict[str, Any]:
    """The last event of the progress stream."""
    path = f"servers/{server}" if server else "server"
    with browser.http.stream("GET", f"/hub/api/users/bob/{path}/progress") as stream:
        events = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")]
    found: dict[str, Any] = events[-1]
    return found


def traces(hub: RunningHub) -> list[Any]:
    """Everything that a start leaves in the database; a server made with PUT is there on purpose."""
    return [
        hub.rows("select count(*) from api_tokens where note like 'Server at%'"),
        hub.rows("select identifier from oauth_clients where identifier like 'jupyterhub-user-%' order by 1"),
        hub.rows("select base_url from servers where base_url like '/user/%' order by 1"),
        hub.rows("select name, user_options from spawners where name not in ('', 'put', 'patched') order by 1"),
    ]


def assert_nothing_left(hub: RunningHub, person: str = "bob") -> None:
    """No token, no OAuth client, no server row, no stored default."""
    assert hub.rows("select note from api_tokens where note like 'Server at%'") == []
    assert hub.rows(f"select identifier from oauth_clients where identifier like 'jupyterhub-user-{person}%'") == []
    assert hub.rows("select base_url from servers where base_url like '/user/%'") == []
    stored = hub.rows(f"select user_options from spawners join users u on u.id = user_id where u.name = '{person}'")
    assert {options for (options,) in stored} <= {"{}", None}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize(("options", "status", "sentence"), REFUSED)
def test_twenty_refusals_in_a_row(
    hub: RunningHub,
    way: Callable[[Browser, dict[str, str]], Answer],
    options: dict[str, str],
    status: int,
    sentence: str,
) -> None:
    browser = hub.login("bob")
    answers = {way(browser, dict(options)) for _ in range(TIMES)}
    assert answers == {(status, sentence)}
    assert_nothing_left(hub)
    assert hub.rows("select name from spawners where name in ('second', 'third')") == []
    assert hub.processes["hub"].poll() is None


@pytest.mark.parametrize("server", ["", "second"])
@pytest.mark.parametrize(("options", "status", "sentence"), REFUSED)
def test_a_refusal_at_once_is_on_the_pending_page_and_in_the_progress(
    hub: RunningHub, options: dict[str, str], status: int, sentence: str, server: str
) -> None:
    browser = hub.login("bob")
    rest(browser, f"/users/bob/servers/{server}" if server else "/users/bob/server", {"user_options": options})
    assert pending_page(browser, server) == (status, sentence)
    event = progress_event(browser, server)
    assert (event["failed"], event["message"]) == (True, f"Spawn failed: {sentence}")
    assert event["html_message"] == html.escape(sentence)


def test_refused_names_do_not_use_up_the_names_that_a_person_may_have(hub: RunningHub) -> None:
    browser = hub.login("bob")
    for number in range(NAMES_PER_PERSON + 5):
        assert rest(browser, f"/users/bob/servers/n{number}", {"profile": "staff"}) == (403, STAFF)
    assert hub.rows("select count(*) from spawners where name like 'n%'") == [(0,)]
    assert browser.get("/hub/spawn-pending/bob/n0").status_code == 404
    assert pending_page(browser, f"n{NAMES_PER_PERSON + 4}") == (403, STAFF)


def test_a_server_made_on_purpose_stays_when_its_start_is_refused(hub: RunningHub) -> None:
    browser = hub.login("bob")
    assert browser.api("PUT", "/users/bob/servers/kept", json={"display_name": "Kept"}).status_code == 201
    for _ in range(3):
        assert rest(browser, "/users/bob/servers/kept", {"profile": "staff"})[0] == 403
    assert hub.rows("select display_name from spawners where name = 'kept'") == [("Kept",)]
    browser.api("DELETE", "/users/bob/servers/kept", json={"remove": True})


def test_requests_of_others_do_not_bring_a_refused_choice_back(hub: RunningHub) -> None:
    """JupyterHub rolls back what it finds uncommitted when another request comes in."""
    bob, stop = hub.login("bob"), threading.Event()

    def others() -> None:
        browser = hub.browser()
        while not stop.is_set():
            browser.get("/hub/health")

    with ThreadPoolExecutor(3) as threads:
        for _ in range(3):
            threads.submit(others)
        try:
            for _ in range(2 * TIMES):
                assert rest_new(bob, {"profile": "staff"})[0] == 403
                assert_nothing_left(hub)
        finally:
            stop.set()
    assert "Rolling back" not in hub.log


@pytest.mark.parametrize("server", ["/users/bob/server", "/users/bob/servers/empty"])
def test_empty_body_after_a_refusal_means_no_options(hub: RunningHub, server: str) -> None:
    browser = hub.login("bob")
    rest(browser, server, {"user_options": {"profile": "staff"}})
    status, sentence = rest(browser, server)
    assert (status, sentence) == (422, 'choose a profile: "tiny", "jupyter", "card", "broken" or "unbuilt"')
    assert_nothing_left(hub)


def test_for_another_person_the_targets_rights_decide(hub: RunningHub) -> None:
    admin = hub.login("admin")
    hub.login("bob")
    answer = admin.api("POST", "/users/bob/server", json={"profile": "staff"})
    assert (answer.status_code, answer.json()["message"]) == (403, STAFF)
    page = admin.post_spawn("/hub/spawn/bob", profile="staff")
    assert (page.status_code, message(page.text)) == (403, STAFF)
    assert "This session is for bob" in page.text
    assert_nothing_left(hub)


@pytest.mark.parametrize(
    "body", [[], "text", {"user_options": {"profile": {"a": 1}}}, {"profile": ["tiny", "card"]}, {"profile": None}]
)
def test_hostile_bodies_get_a_sentence(hub: RunningHub, body: Any) -> None:
    answer = hub.login("bob").api("POST", "/users/bob/server", json=body)
    assert answer.status_code in (400, 422)
    assert answer.json()["message"]
    assert_nothing_left(hub)


def test_the_refused_choice_is_shown_again(hub: RunningHub) -> None:
    answer = hub.login("alice").post_spawn(profile="tiny", **{"size:tiny": "large", "project:tiny": "nope"})
    assert answer.status_code == 403
    assert re.search(r'id="profile-tiny-size-large" value="large"\s+checked', answer.text)


@pytest.mark.parametrize("query", ["opt-profile=tiny&opt-size=large", "profile=tiny&size=large", "anything=1"])
def test_a_link_prefills_and_never_starts(hub: RunningHub, query: str) -> None:
    browser = hub.login("bob")
    page = browser.get(f"/hub/spawn?{query}&next=%2Fhub%2Fhome")
    assert page.status_code == 200
    assert message(page.text) == ""
    if "size" in query:
        assert re.search(r'id="profile-tiny-size-large" value="large"\s+checked', page.text)
    assert "next=%2Fhub%2Fhome" in html.unescape(page.text)
    assert_nothing_left(hub)


def test_a_missing_environment_is_built_and_the_browser_sent_to_watch(hub: RunningHub) -> None:
    browser = hub.login("bob")
    page = browser.post_spawn(profile="unbuilt")
    assert page.status_code == 409
    assert 'the environment "Missing" is being built' in message(page.text)
    assert re.fullmatch(r"0; url=/services/aiinfn/starts\?ticket=[\w.=-]+", page.headers["Refresh"])
    assert_nothing_left(hub)


@pytest.fixture(scope="module")
def full(hub: RunningHub) -> Iterator[RunningHub]:
    """Alice has both cards, and bob as many sessions as he may have."""
    alice, bob = hub.login("alice"), hub.login("bob")
    card = {"profile": "card", "accelerator": "card", "count": "2", "project": "lab"}
    assert alice.api("POST", "/users/alice/server", json=card).status_code == 201
    for name in ("one", "two"):
        assert bob.api("POST", f"/users/bob/servers/{name}", json={"profile": "tiny"}).status_code == 201
    yield hub
    alice.api("DELETE", "/users/alice/server")
    for name in ("one", "two", "put", "patched"):
        bob.api("DELETE", f"/users/bob/servers/{name}", json={"remove": True})


@pytest.fixture
def nearly_full(full: RunningHub) -> Iterator[RunningHub]:
    """Bob may start one more."""
    bob = full.login("bob")
    bob.api("DELETE", "/users/bob/servers/two")
    yield full
    assert bob.api("POST", "/users/bob/servers/two", json={"profile": "tiny"}).status_code == 201


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_twenty_refusals_for_the_cap(full: RunningHub, way: Callable[[Browser, dict[str, str]], Answer]) -> None:
    browser, before = full.login("bob"), traces(full)
    assert {way(browser, {"profile": "tiny"}) for _ in range(TIMES)} == {(409, CAP)}
    assert traces(full) == before
    assert full.processes["hub"].poll() is None


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_twenty_refusals_for_devices(nearly_full: RunningHub, way: Callable[[Browser, dict[str, str]], Answer]) -> None:
    hub = nearly_full
    browser, before = hub.login("bob"), traces(hub)
    options = {"profile": "card", "accelerator": "card", "project": "lab"}
    assert {way(browser, dict(options)) for _ in range(TIMES)} == {(409, CARDS)}
    assert traces(hub) == before
    assert hub.processes["hub"].poll() is None


@pytest.mark.slow
def test_the_backend_has_the_last_word_late(make_hub: Callable[..., RunningHub]) -> None:
    """A refusal at 15 s: form, pending page, progress event say the same sentence; nothing is counted or left."""
    hub = make_hub(variables={"AIINFN_TEST_SLOW": "15"})
    sentence = "all 2 card <went> to others; choose another"
    alice, bob = hub.login("alice"), hub.login("bob")
    taken = alice.post_spawn(profile="card", **{"accelerator:card": "card:2", "project:card": "lab"})
    assert taken.status_code == 302, message(taken.text)
    begun = time.monotonic()
    answer = bob.post_spawn(profile="card", **{"accelerator:card": "card:1"})
    assert answer.status_code == 302
    asked = bob.api("POST", "/users/bob/servers/late", json={"profile": "card", "accelerator": "card"})
    assert asked.status_code == 202  # after JupyterHub's 10 s
    for server in ("", "late"):
        event = progress_event(bob, server)
        assert (event["failed"], event["message"]) == (True, f"Spawn failed: {sentence}")
        assert event["html_message"] == html.escape(sentence)
        assert pending_page(bob, server) == (409, sentence)
    assert time.monotonic() - begun > 14
    assert bob.get(answer.headers["location"]).status_code == 409
    assert hub.rows("select name from spawners where name = 'late'") == []
    assert hub.rows("select count(*) from oauth_clients where identifier like 'jupyterhub-user-bob%'") == [(0,)]
    time.sleep(3)
    assert hub.processes["hub"].poll() is None
