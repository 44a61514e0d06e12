"""Programs: tokens, scopes, and which session calls."""

from __future__ import annotations

import httpx
import pytest

from .running import API, PREFIX, wait_for, workload


def hub_token(platform, browse, name: str, **body) -> str:
    """A token that the person made at the hub."""
    person = browse(platform, name)
    person.get("/hub/home")
    xsrf = next(cookie.value for cookie in person.cookies.jar if cookie.name == "_xsrf" and cookie.path == "/hub/")
    headers = {"X-XSRFToken": xsrf, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    answer = person.post(f"/hub/api/users/{name}/tokens", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()["token"]


def start(platform, token: str, name: str, server: str = "") -> str:
    """Start a session as its owner does over REST and return the session's own token."""
    path = f"/hub/api/users/{name}/servers/{server}" if server else f"/hub/api/users/{name}/server"
    answer = httpx.post(f"{platform.url}{path}", headers={"Authorization": f"token {token}"}, timeout=60)
    assert answer.status_code in (201, 202), answer.text
    file = platform.root / f"token-{name}-{server}"
    return wait_for(lambda: file.exists() and file.read_text(), 30, "the session's start")


def test_a_persons_token_opens_the_service(platform, browse):
    token = hub_token(platform, browse, "alice")
    me = platform.get(f"{API}/me", token).json()
    assert me == {
        "name": "alice",
        "kind": "user",
        "groups": ["lab"],
        "admin": False,
        "projects": ["lab"],
        "server_name": None,
    }
    bearer = httpx.get(f"{platform.url}{API}/me", headers={"Authorization": f"Bearer {token}"})
    assert bearer.json()["name"] == "alice"


def test_a_token_without_the_scope_is_refused(platform, browse):
    token = hub_token(platform, browse, "alice", scopes=["read:users:name!user"])
    answer = platform.get(f"{API}/me", token)
    assert answer.status_code == 403
    assert "access:services!service=aiinfn" in answer.json()["error"]["message"]
    assert platform.get(f"{API}/me", platform.tokens["stranger"]).status_code == 403


def test_which_session_calls_is_read_from_the_tokens_scope(platform, browse):
    own = hub_token(platform, browse, "bob")
    default, named = start(platform, own, "bob"), start(platform, own, "bob", "second")
    assert platform.get(f"{API}/me", default).json()["server_name"] == ""
    me = platform.get(f"{API}/me", named, params={"server_name": "other"}).json()
    assert (me["name"], me["server_name"]) == ("bob", "second")
    assert platform.get(f"{API}/sessions", named, params={"all": "true"}).status_code == 403


def test_people_see_their_own_sessions_and_no_names_of_others(platform, browse):
    carol, dan = (hub_token(platform, browse, name) for name in ("carol", "dan"))
    for name in ("carol", "dan"):
        platform.farm.put(workload("session", person=name, server_name="", name=f"quantum of {name}"))
    seen = wait_for(lambda: platform.get(f"{API}/sessions", carol).json()["sessions"], 10)
    assert [work["person"] for work in seen] == ["carol"]
    assert "dan" not in platform.get(f"{API}/sessions", carol).text
    assert "carol" not in platform.get(f"{API}/availability", dan).text
    refused = platform.get(f"{API}/sessions", carol, params={"all": "true"})
    assert refused.status_code == 403
    everybody = platform.get(f"{API}/sessions", platform.tokens["reader"], params={"all": "true"}).json()["sessions"]
    assert {"carol", "dan"} <= {work["person"] for work in everybody}
    assert platform.get(f"{API}/sessions", platform.tokens["reader"]).json()["sessions"] == []


def test_an_administrator_sees_all_in_the_browser_but_not_with_a_narrow_token(platform, browse):
    admin = browse(platform, "root-admin")
    admin.visit(f"{PREFIX}/")
    assert admin.get(f"{API}/sessions", params={"all": "true"}).status_code == 200
    narrow = hub_token(platform, browse, "root-admin", scopes=["access:services!service=aiinfn"])
    assert platform.get(f"{API}/sessions", narrow, params={"all": "true"}).status_code == 403
    alice = browse(platform, "alice")
    alice.visit(f"{PREFIX}/")
    assert alice.get(f"{API}/sessions", params={"all": "true"}).status_code == 403


def test_the_internal_token_reads_availability_and_metrics_only(platform):
    internal = platform.installation.state.secret("internal-token")
    assert platform.get(f"{API}/availability", internal).json()["devices"]["card"]["total"] == 2
    assert platform.get(f"{PREFIX}/metrics", internal).status_code == 200
    for path in ("/me", "/sessions", "/environments/quantum", "/starts"):
        assert platform.get(f"{API}{path}", internal).status_code == 401


def test_metrics_need_a_scope_and_have_bounded_labels(platform, browse):
    assert httpx.get(f"{platform.url}{PREFIX}/metrics").status_code == 401
    assert platform.get(f"{PREFIX}/metrics", hub_token(platform, browse, "alice")).status_code == 403
    for number in range(20):
        httpx.get(f"{platform.url}{PREFIX}/nothing/{number}")
        httpx.request(f"M{number}", f"{platform.installation.service_url}{PREFIX}/health")
        httpx.get(f"{platform.url}{API}/environments/{number}")
    text = platform.get(f"{PREFIX}/metrics", platform.tokens["prometheus"]).text
    assert 'route="unmatched"' in text
    assert 'method="other"' in text
    assert "nothing/1" not in text
    assert "M1" not in text
    assert 'aiinfn_workloads{kind="session",phase="running"}' in text


HOSTILE = [b"", b"token", b"Basic abc", b"token " + b"x" * 10_000, "token é".encode(), b"token a b", b"\xff\xfe"]


@pytest.mark.parametrize("header", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_tokens_get_a_sentence(platform, header):
    url = f"{platform.installation.service_url}{API}/me"
    answer = httpx.get(url, headers=[(b"Authorization", header)])
    assert answer.status_code == 401
    assert answer.json()["error"]["message"]
    assert answer.headers["www-authenticate"] == "token"


def test_unknown_tokens_are_refused(platform):
    answer = platform.get(f"{API}/me", "0" * 64)
    assert answer.status_code == 401
    assert "does not know this token" in answer.json()["error"]["message"]
