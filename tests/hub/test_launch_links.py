"""Links that bring files, at a real hub: shown, refused in words, carried through a build, and forgotten afterwards."""

from __future__ import annotations

import json
import re
import time
from urllib.parse import quote, urlencode

import pytest

from jupyterhub_aiinfn.hub.spawner import LONGEST_NEXT
from jupyterhub_aiinfn.model.tickets import read_ticket

from .running_hub import RunningHub
from .test_refusals import assert_nothing_left, message

GIT = "https://git.example.org/course/lessons"
FILES = {"git": GIT, "branch": "main", "file": "one/first.ipynb"}
HOSTILE = [
    *(
        "javascript:alert(1)//a/b",
        "ext::sh -c x",
        "file:///etc/passwd",
        "ssh://git@h/x",
        "--upload-pack=x",
        "x" * 5000,
    ),
    *("https://h/x\r\nSet-Cookie: a=b", "https://user:word@h/x", "https://h/../x", "//evil.example/x", "https://h/<b>"),
]


@pytest.mark.parametrize("git", HOSTILE)
def test_hostile_links_are_shown_and_refused_in_words(hub: RunningHub, git: str) -> None:
    browser = hub.login("bob")
    page = browser.get(f"/hub/spawn?{urlencode({'opt-profile': 'tiny', 'opt-git': git})}")
    assert page.status_code == 200
    assert "asks for files that it cannot bring" in page.text
    assert 'name="launch"' not in page.text
    assert "<b>" not in page.text
    answer = browser.post_spawn(profile="tiny", launch="yes", **{"launch:git": git})
    assert answer.status_code == 422
    assert re.search("git repository|over https only|longer than", message(answer.text))
    rest = browser.api("POST", "/users/bob/server", json={"profile": "tiny", "git": git})
    assert rest.status_code == 422
    assert_nothing_left(hub)


@pytest.mark.parametrize("more", [{"file": "../.bashrc"}, {"file": "a\nb"}, {"branch": "-x"}, {"git": "", "file": "x"}])
def test_files_and_branches_are_checked_too(hub: RunningHub, more: dict[str, str]) -> None:
    rest = hub.login("bob").api("POST", "/users/bob/server", json={"profile": "tiny"} | FILES | more)
    assert rest.status_code == 422
    assert re.search("file of a link|branch of a link|needs the git repository", rest.json()["message"])
    assert_nothing_left(hub)


def test_a_link_that_is_not_utf8_gets_a_sentence(hub: RunningHub) -> None:
    page = hub.login("bob").get("/hub/spawn?opt-git=https://h/%ff")
    assert page.status_code == 400
    assert "not UTF-8" in page.text


def test_the_ticket_carries_the_files_and_the_page_that_was_asked_for(hub: RunningHub) -> None:
    fields = {f"launch:{name}": value for name, value in FILES.items()}
    browser = hub.login("bob")
    page = browser.post_spawn("/hub/spawn?next=%2Fhub%2Fhome", profile="unbuilt", launch="yes", **fields)
    signed = page.headers["Refresh"].partition("ticket=")[2]
    ticket = read_ticket(hub.installation.state.secret("ticket-key"), signed, now=time.time())
    assert {name: ticket.options.get(name) for name in FILES} == FILES
    assert ticket.next == "/hub/home"
    assert 'name="launch" id="launch-box" value="yes" checked' in page.text, "the refused form shows the files again"
    without = browser.post_spawn(profile="unbuilt", **fields)
    signed = without.headers["Refresh"].partition("ticket=")[2]
    assert "git" not in read_ticket(hub.installation.state.secret("ticket-key"), signed, now=time.time()).options


def test_the_longest_files_fit_into_a_ticket(hub: RunningHub) -> None:
    files = {"git": f"{GIT}/{'x' * 90}", "branch": "b" * 100, "file": "/".join(["ü" * 99] * 3)}
    fields = {f"launch:{name}": value for name, value in files.items()}
    asked = "/hub/home?" + "y" * (LONGEST_NEXT - 20)
    page = hub.login("bob").post_spawn(f"/hub/spawn?next={quote(asked)}", profile="unbuilt", launch="yes", **fields)
    signed = page.headers["Refresh"].partition("ticket=")[2]
    ticket = read_ticket(hub.installation.state.secret("ticket-key"), signed, now=time.time())
    assert {name: ticket.options.get(name) for name in files} == files


def test_files_come_with_one_start_only(hub: RunningHub) -> None:
    browser = hub.login("bob")
    answer = browser.api("POST", "/users/bob/server", json={"profile": "tiny"} | FILES)
    assert answer.status_code == 201
    stored = hub.rows("select user_options from spawners s join users u on u.id=s.user_id where u.name='bob'")
    assert [json.loads(row[0]) for row in stored if row[0]][-1] == {
        "profile": "tiny",
        "size": "small",
        "project": "lab",
    }
    browser.api("DELETE", "/users/bob/server")
    page = browser.get("/hub/spawn")
    assert re.search(r'value="tiny" required\s+checked', page.text)
    assert 'id="launch"' not in page.text
    browser.api("PATCH", "/users/bob/server", json={"user_options": {}})
