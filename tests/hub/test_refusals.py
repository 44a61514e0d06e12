"""A refusal is the same sentence whichever way the request came, and leaves nothing behind."""

from __future__ import annotations

import html
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from jupyterhub_aiinfn.hub.configuration import NAMES_PER_PERSON
from jupyterhub_aiinfn.model.tickets import read_ticket

from .running_hub import HERE, PASSWORD, Browser, RunningHub

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
        'there is no option "image"; known are profile, size, accelerator, count, project, git, branch and file',
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


def for_another(browser: Browser, options: dict[str, str]) -> Answer:
    """An administrator acts for bob over REST."""
    return rest(admin_beside(browser), "/users/bob/server", {"user_options": options})


def form_for_another(browser: Browser, options: dict[str, str]) -> Answer:
    """An administrator posts bob's form."""
    answer = admin_beside(browser).post_spawn("/hub/spawn/bob", **options)
    assert "This session is for bob" in answer.text
    return answer.status_code, message(answer.text)


@cache
def admin_at(url: str) -> Browser:
    admin = Browser(url)
    assert admin.sign_in("admin", PASSWORD).status_code == 302
    return admin


def admin_beside(browser: Browser) -> Browser:
    """The administrator's browser at the same hub."""
    return admin_at(str(browser.http.base_url))


def after_patch(browser: Browser, options: dict[str, str]) -> Answer:
    browser.api("PUT", "/users/bob/servers/patched", json={})
    changed = browser.api("PATCH", "/users/bob/servers/patched", json={"user_options": options})
    assert changed.status_code == 200, changed.text
    return rest(browser, "/users/bob/servers/patched")


WAYS: list[Callable[[Browser, dict[str, str]], Answer]] = [
    form, form_named, rest_new, rest_old, rest_named, after_put, after_patch, for_another, form_for_another,
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
    """No token, no OAuth client, no server row, no stored default but what PUT and PATCH stored on purpose."""
    assert hub.rows("select note from api_tokens where note like 'Server at%'") == []
    assert hub.rows(f"select identifier from oauth_clients where identifier like 'jupyterhub-user-{person}%'") == []
    assert hub.rows("select base_url from servers where base_url like '/user/%'") == []
    assert {options for name, options in stored(hub, person).items() if name not in ("put", "patched")} <= {"{}", None}


def stored(hub: RunningHub, person: str = "bob") -> dict[str, str | None]:
    """The options that an empty body means, for each server of the person."""
    return dict(
        hub.rows(
            f"select s.name, user_options from spawners s join users u on u.id = user_id where u.name = '{person}'"
        )
    )


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
    if way in (after_put, after_patch):
        name = "put" if way is after_put else "patched"
        assert json.loads(stored(hub)[name] or "") == options
        assert rest(browser, f"/users/bob/servers/{name}") == (status, sentence)
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


def test_a_server_made_on_purpose_stays_though_the_hub_was_killed_since(make_hub: Callable[..., RunningHub]) -> None:
    hub = make_hub()
    made = hub.login("bob").api("PUT", "/users/bob/servers/kept", json={"display_name": "Kept"})
    assert made.status_code == 201
    hub.kill_hub()
    hub.start_hub()
    browser = hub.login("bob")
    assert rest(browser, "/users/bob/servers/kept", {"profile": "staff"}) == (403, STAFF)
    assert form(browser, {"profile": "staff"}, "kept") == (403, STAFF)
    assert hub.rows("select display_name from spawners where name = 'kept'") == [("Kept",)]


def test_a_refused_body_leaves_what_was_stored_on_purpose(hub: RunningHub) -> None:
    browser = hub.login("bob")
    tiny = {"profile": "tiny", "size": "large", "project": "lab"}
    assert browser.api("PUT", "/users/bob/servers/later", json={"user_options": tiny}).status_code == 201
    for refused in ({"profile": "staff"}, {"profile": "tiny", "size": "huge"}):
        assert rest(browser, "/users/bob/servers/later", refused)[0] in (403, 422)
        assert form(browser, refused, "later")[0] in (403, 422)
        assert json.loads(stored(hub)["later"] or "") == tiny
    assert browser.api("POST", "/users/bob/servers/later").status_code == 201
    browser.api("DELETE", "/users/bob/servers/later", json={"remove": True})


def shown_rows(hub: RunningHub) -> list[str]:
    return [name for (name,) in hub.rows("select name from spawners where name like 'look%' order by id")]


def test_looking_at_forms_uses_up_no_names(make_hub: Callable[..., RunningHub]) -> None:
    """Links of other sites can make a browser look at as many as they like."""
    hub = make_hub()
    browser = hub.login("bob")
    assert browser.api("PUT", "/users/bob/servers/lookout", json={}).status_code == 201
    for number in range(NAMES_PER_PERSON + 5):
        page = browser.get(f"/hub/spawn/bob/look{number}?display_name=Look+{number}")
        assert page.status_code == 200
    newest = [f"look{number}" for number in range(NAMES_PER_PERSON + 2, NAMES_PER_PERSON + 5)]
    assert shown_rows(hub) == ["lookout", *newest]
    changed = browser.api("PATCH", f"/users/bob/servers/{newest[0]}", json={"user_options": {"profile": "tiny"}})
    assert changed.status_code == 200
    hub.kill_hub()
    hub.start_hub()
    browser = hub.login("bob")
    for number in range(5):
        assert browser.get(f"/hub/spawn/bob/looked{number}").status_code == 200
    assert shown_rows(hub) == ["lookout", newest[0], "looked2", "looked3", "looked4"]
    assert form(browser, {"profile": "staff"}, "looked3") == (403, STAFF)
    assert "looked3" not in shown_rows(hub)
    assert browser.post_spawn("/hub/spawn/bob/looked4", profile="tiny").status_code == 302
    for number in range(5, 12):
        browser.get(f"/hub/spawn/bob/looked{number}")
    assert "looked4" in shown_rows(hub)


def test_a_refused_form_of_a_named_server_shows_what_that_server_can_have(hub: RunningHub) -> None:
    """The default server runs: what it holds counts for every server but itself."""
    browser = hub.login("bob")
    assert browser.api("POST", "/users/bob/server", json={"profile": "tiny"}).status_code == 201
    assert browser.api("POST", "/users/bob/servers/one", json={"profile": "tiny"}).status_code == 201
    try:
        page = browser.post_spawn("/hub/spawn/bob/third", profile="tiny")
        assert (page.status_code, message(page.text)) == (409, CAP)
        assert re.search(r'id="profile-tiny" value="tiny" required\s+disabled', page.text)
        assert f"<strong>Not now:</strong> {CAP}" in page.text
    finally:
        browser.api("DELETE", "/users/bob/server")
        browser.api("DELETE", "/users/bob/servers/one", json={"remove": True})
        browser.api("PATCH", "/users/bob/server", json={"user_options": {}})


@pytest.mark.parametrize("query", ["x=%ff", "opt-profile=%ff%fe", "opt-profile=tiny&size=%c3"])
def test_a_link_that_is_not_text_gets_a_sentence(hub: RunningHub, query: str) -> None:
    page = hub.login("bob").get(f"/hub/spawn?{query}")
    assert page.status_code == 400
    assert "holds characters that are not UTF-8; correct the link" in page.text


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


@pytest.mark.parametrize(
    ("asked", "carried"),
    [
        ("/user/bob/lab/tree/x?reset", "/user/bob/lab/tree/x?reset"),
        ("https://evil.example/x", ""),
        ("//evil.example/x", ""),
        ("/\\evil.example/x", "/%5Cevil.example/x"),
        ("/hub/" + "x" * 1000, ""),
    ],
)
def test_the_ticket_carries_the_page_that_was_asked_for(hub: RunningHub, asked: str, carried: str) -> None:
    page = hub.login("bob").post_spawn(f"/hub/spawn?{urlencode({'next': asked})}", profile="unbuilt")
    signed = page.headers["Refresh"].partition("ticket=")[2]
    ticket = read_ticket(hub.installation.state.secret("ticket-key"), signed, now=time.time())
    assert (ticket.person, ticket.next) == ("bob", carried)


def test_a_display_name_is_kept_while_the_environment_is_built(hub: RunningHub) -> None:
    """The service starts it by its name alone. Such rows stay few, like those that only a form made."""
    browser = hub.login("bob")
    for number in range(NAMES_PER_PERSON + 5):
        body = {"user_options": {"profile": "unbuilt"}, "display_name": f"Number {number}"}
        assert rest(browser, f"/users/bob/servers/unbuilt{number}", body)[0] == 409
    rows = hub.rows("select name, display_name, user_options from spawners where name like 'unbuilt%' order by id")
    assert rows == [
        (f"unbuilt{number}", f"Number {number}", "{}") for number in range(NAMES_PER_PERSON + 2, number + 1)
    ]
    for name, *_ in rows:
        browser.api("DELETE", f"/users/bob/servers/{name}", json={"remove": True})


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


def assert_shown_everywhere(browser: Browser, server: str, status: int, sentence: str) -> None:
    """The pending page and the progress say so too."""
    assert pending_page(browser, server) == (status, sentence)
    event = progress_event(browser, server)
    assert (event["failed"], event["message"]) == (True, f"Spawn failed: {sentence}")
    assert event["html_message"] == html.escape(sentence)


@pytest.mark.parametrize("server", ["", "second"])
def test_nothing_free_is_on_the_pending_page_and_in_the_progress(full: RunningHub, server: str) -> None:
    browser = full.login("bob")
    path = f"/users/bob/servers/{server}" if server else "/users/bob/server"
    assert rest(browser, path, {"user_options": {"profile": "tiny"}}) == (409, CAP)
    assert_shown_everywhere(browser, server, 409, CAP)


@pytest.mark.parametrize("server", ["", "second"])
def test_no_device_is_on_the_pending_page_and_in_the_progress(nearly_full: RunningHub, server: str) -> None:
    browser = nearly_full.login("bob")
    path = f"/users/bob/servers/{server}" if server else "/users/bob/server"
    options = {"profile": "card", "accelerator": "card", "project": "lab"}
    assert rest(browser, path, {"user_options": options}) == (409, CARDS)
    assert_shown_everywhere(browser, server, 409, CARDS)


def test_an_empty_body_never_starts_something_else(nearly_full: RunningHub) -> None:
    """What PATCH stored is refused as often as it is asked for; the session before it is not what comes instead."""
    browser, card = nearly_full.login("bob"), {"profile": "card", "accelerator": "card"}
    assert browser.api("POST", "/users/bob/server", json={"profile": "tiny"}).status_code == 201
    browser.api("DELETE", "/users/bob/server")
    assert browser.api("PATCH", "/users/bob/server", json={"user_options": card}).status_code == 200
    assert {rest(browser, "/users/bob/server") for _ in range(3)} == {(409, CARDS)}
    assert rest(browser, "/users/bob/server", {"profile": "staff"}) == (403, STAFF)
    assert rest(browser, "/users/bob/server") == (409, CARDS)
    assert json.loads(stored(nearly_full)[""] or "") == card
    browser.api("PATCH", "/users/bob/server", json={"user_options": {}})


def with_changes(folder: Path, *changes: tuple[str, str]) -> Path:
    """The values of the tests with some lines changed."""
    text = (HERE / "values.yaml").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "values.yaml"
    file.write_text(text)
    return file


@pytest.mark.slow
def test_twenty_late_refusals(make_hub: Callable[..., RunningHub], tmp_path: Path) -> None:
    """The backend has the last word, after 15 s: twenty starts of ten people end so, by form and by REST.

    Form, pending page, progress event and REST say the same sentence; nothing is counted as an error, or left.
    """
    people = [f"late{number}" for number in range(TIMES // 2)]
    users = "".join(f"    {name}: {{groups: [users, lab]}}\n" for name in people)
    values = with_changes(
        tmp_path, ("    dave:", f"{users}    dave:"), ("limits: {", "limits: {concurrent_starts: 32, ")
    )
    hub = make_hub(values_file=values, variables={"AIINFN_TEST_SLOW": "15"})
    alice = hub.login("alice")
    taken = alice.post_spawn(profile="card", **{"accelerator:card": "card:2", "project:card": "lab"})
    assert taken.status_code == 302, message(taken.text)
    clients = hub.rows("select identifier from oauth_clients order by 1")
    names = hub.rows("select name from spawners where name != ''")
    browsers = {name: hub.login(name) for name in people}

    def start(way: tuple[str, str]) -> None:
        (name, server), begun = way, time.monotonic()
        browser = browsers[name]
        if server:
            body = {"user_options": {"profile": "card", "accelerator": "card"}, "display_name": "Late"}
            assert browser.api("POST", f"/users/{name}/servers/{server}", json=body).status_code == 202
        else:  # JupyterHub sends the browser to the pending page after a second
            assert browser.post_spawn(profile="card", **{"accelerator:card": "card:1"}).status_code == 302
        assert_shown_late(browser, name, server)
        assert time.monotonic() - begun > 14

    ways = [(name, server) for name in people for server in ("", "late")]
    with ThreadPoolExecutor(TIMES) as threads:
        list(threads.map(start, ways))
    assert hub.rows("select count(*) from api_tokens where note like 'Server at /user/late%'") == [(0,)]
    assert hub.rows("select identifier from oauth_clients order by 1") == clients
    assert hub.rows("select count(*) from servers where base_url like '/user/late%'") == [(0,)]
    assert hub.rows("select name from spawners where name != ''") == names
    assert {options for name in people for options in stored(hub, name).values()} <= {"{}", None}
    time.sleep(3)
    assert hub.processes["hub"].poll() is None


def assert_shown_late(browser: Browser, name: str, server: str) -> None:
    """Waits for the end of the start as a pending page does."""
    path = f"/{server}" if server else ""
    api = f"/hub/api/users/{name}/servers/{server}" if server else f"/hub/api/users/{name}/server"
    with browser.http.stream("GET", f"{api}/progress") as stream:
        event = [json.loads(line[5:]) for line in stream.iter_lines() if line.startswith("data:")][-1]
    assert (event["failed"], event["message"]) == (True, f"Spawn failed: {CARDS}")
    assert event["html_message"] == html.escape(CARDS)
    page = browser.get(f"/hub/spawn-pending/{name}{path}")
    assert (page.status_code, message(page.text)) == (409, CARDS)


@pytest.mark.slow
def test_too_many_starts_at_a_time_are_refused_in_words(make_hub: Callable[..., RunningHub], tmp_path: Path) -> None:
    values = with_changes(tmp_path, ("limits: {", "limits: {concurrent_starts: 1, "))
    hub = make_hub(values_file=values, variables={"AIINFN_TEST_SLOW": "8"})
    sentence = (
        "1 session is starting at this moment, which is all that this site starts at a time; try again in a few seconds"
    )
    alice, bob, carol = hub.login("alice"), hub.login("bob"), hub.login("carol")
    card = {"profile": "card", "accelerator": "card", "project": "lab"}
    assert alice.api("POST", "/users/alice/server", json={**card, "count": "2"}).status_code == 201
    slow = carol.post_spawn("/hub/spawn", profile="tiny")
    assert slow.status_code == 302, message(slow.text)
    carol.api("DELETE", "/users/carol/server")
    late = alice.post_spawn(
        "/hub/spawn/alice/late", profile="card", **{"accelerator:card": "card:1", "project:card": "lab"}
    )
    assert late.status_code == 302, message(late.text)  # the backend takes 8 s to refuse it
    for way in WAYS:
        assert way(bob, {"profile": "tiny"}) == (429, sentence)
    answer = bob.api("POST", "/users/bob/servers/busy", json={"profile": "tiny"})
    assert answer.headers["Retry-After"] == "5"
    assert_shown_everywhere(bob, "busy", 429, sentence)
    assert_shown_everywhere(bob, "", 429, sentence)
    assert hub.rows("select name from spawners where name not in ('', 'late', 'put', 'patched')") == []
    deadline = time.monotonic() + 20
    while (answer := bob.api("POST", "/users/bob/server", json={"profile": "tiny"})).status_code == 429:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert answer.status_code == 201
    assert bob.api("GET", "/users/bob").json()["servers"][""]["ready"]
    assert hub.processes["hub"].poll() is None


@pytest.mark.slow
def test_a_hub_that_cannot_see_the_sessions_says_so(make_hub: Callable[..., RunningHub]) -> None:
    """The backend's list never comes: no start may wait for it for ever."""
    hub = make_hub(variables={"AIINFN_TEST_BLIND": "1"})
    browser, begun = hub.login("bob"), time.monotonic()
    sentence = (
        "the hub cannot see which sessions run, so it starts none; "
        "try again in a minute, and tell an administrator when that does not help"
    )
    assert rest(browser, "/users/bob/servers/blind", {"profile": "tiny"}) == (503, sentence)
    assert time.monotonic() - begun < 10
    assert_shown_everywhere(browser, "blind", 503, sentence)
    assert_nothing_left(hub)
    assert hub.rows("select name from spawners where name = 'blind'") == []
    time.sleep(2.5)
    assert hub.processes["hub"].poll() is None
