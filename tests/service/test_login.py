"""People: OAuth at the hub, the own session, CSRF, and the end of both."""

from __future__ import annotations

import time
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from jupyterhub_aiinfn.service.settings import Settings

from .running import API, PREFIX, csrf_of, wait_for

INDEX = f"{PREFIX}/"


def cookie_line(response: httpx.Response, name: str) -> str:
    """The Set-Cookie line of a cookie."""
    return next(line for line in response.headers.get_list("set-cookie") if line.startswith(name))


def test_a_person_logs_in_once_and_sees_the_index(platform, browse):
    alice = browse(platform, "alice")
    page = alice.visit(INDEX)
    assert page.status_code == 200
    assert "<strong>alice</strong>" in page.text
    assert "You have no session." in page.text
    line = cookie_line(page.history[-1], "aiinfn-session")
    assert "HttpOnly" in line
    assert "SameSite=lax" in line
    assert "Path=/services/aiinfn/" in line
    assert "Secure" not in line
    assert alice.get(f"{API}/me").json()["name"] == "alice"


def test_two_tabs_can_log_in_at_the_same_time(platform, browse):
    alice = browse(platform, "alice")
    first, second = alice.get(INDEX), alice.get(f"{PREFIX}/logout")
    for tab, end in ((first, INDEX), (second, f"{PREFIX}/logout")):
        back = alice.get(tab.headers["location"]).headers["location"]
        assert alice.get(back).headers["location"] == end


def test_somebody_without_a_login_is_sent_to_the_hub_and_apis_answer_401(platform, browse):
    nobody = browse(platform)
    assert nobody.get(INDEX).headers["location"].startswith("/hub/api/oauth2/authorize?")
    answer = nobody.get(f"{API}/me")
    assert answer.status_code == 401
    assert answer.json()["error"]["reason"] == "unauthorized"


def test_the_cookies_are_secure_where_the_platform_is(tmp_path):
    given = dict.fromkeys(("service_token", "internal_token", "ticket_key", "session_key"), "x")
    settings = Settings(public_url="https://x", hub_api_url="http://h", database=tmp_path / "d", **given)
    assert settings.secure
    assert "'x'" not in repr(settings)


def test_the_default_intervals_keep_the_promises():
    defaults = {name: field.default for name, field in Settings.__dataclass_fields__.items()}
    assert defaults["session_check"] <= 30
    assert defaults["identity_fresh"] == 60
    assert defaults["identity_stale"] == 300
    assert defaults["heartbeat"] <= 10


def callback(browser) -> str:
    """The address with which the hub sends the browser back."""
    return browser.get(browser.get(INDEX).headers["location"]).headers["location"]


def test_a_login_begun_in_another_browser_is_refused(platform, browse):
    alice, mallory = browse(platform, "alice"), browse(platform, "mallory")
    address = callback(mallory)
    answer = alice.get(address)
    assert answer.status_code == 400
    assert "begun in another browser" in answer.text
    assert alice.session is None


def test_a_callback_works_once(platform, browse):
    alice = browse(platform, "alice")
    address = callback(alice)
    saved = list(alice.cookies.jar)
    assert alice.get(address).status_code == 303
    assert alice.get(address).status_code == 400
    for cookie in saved:  # a thief who has copied the cookies and the address
        alice.cookies.jar.set_cookie(cookie)
    assert alice.get(address).status_code == 400


def test_a_wrong_pkce_verifier_is_refused_by_the_hub(platform, browse):
    alice = browse(platform, "alice")
    first, second = alice.get(INDEX).headers["location"], alice.get(INDEX).headers["location"]
    state = parse_qs(urlsplit(second).query)["state"][0]
    code = parse_qs(urlsplit(alice.get(first).headers["location"]).query)["code"][0]
    answer = alice.get(f"{PREFIX}/oauth_callback", params={"code": code, "state": state})
    assert answer.status_code == 400
    assert "did not confirm" in answer.text


@pytest.mark.parametrize("state", ["", "x", "a" * 32, "é" * 32, "a" * 65, "../" * 8])
def test_a_made_up_state_is_refused(platform, browse, state):
    answer = browse(platform).get(f"{PREFIX}/oauth_callback", params={"code": "c", "state": state})
    assert answer.status_code in (400, 422)


def test_a_refusal_of_the_hub_is_a_sentence(platform, browse):
    alice = browse(platform, "alice")
    state = parse_qs(urlsplit(alice.get(INDEX).headers["location"]).query)["state"][0]
    query = {"error": "access_denied", "error_description": "<script>", "state": state}
    answer = alice.get(f"{PREFIX}/oauth_callback", params=query)
    assert answer.status_code == 400
    assert "<script>" not in answer.text


def test_changes_need_the_csrf_token(platform, browse):
    alice = browse(platform, "alice")
    token = csrf_of(alice.visit(f"{PREFIX}/logout"))
    assert len(token) == 64
    post = f"{PREFIX}/logout"
    for refused in (
        alice.post(post),
        alice.post(post, data={"csrf": ""}),
        alice.post(post, data={"csrf": "é" * 64}),
        alice.post(post, data={"csrf": token[:-1]}),
        alice.post(post, json={"csrf": token}),
        alice.post(post, data={"csrf": token}, headers={"Sec-Fetch-Site": "cross-site"}),
        alice.post(post, data={"csrf": token}, headers={"Sec-Fetch-Site": "same-site"}),
        alice.post(post, data={"csrf": token}, headers={"Origin": "https://evil.example"}),
        alice.post(post, data={"csrf": token}, headers={"Origin": "null"}),
        alice.delete(f"{API}/starts/{'0' * 32}"),
    ):
        assert refused.status_code == 403, refused.text
    assert alice.get(f"{API}/me").status_code == 200
    done = alice.post(post, data={"csrf": token}, headers={"Origin": platform.url, "Sec-Fetch-Site": "same-origin"})
    assert done.status_code == 200
    assert alice.get(f"{API}/me").status_code == 401


def test_one_persons_csrf_token_is_not_anothers(platform, browse):
    alice, bob = browse(platform, "alice"), browse(platform, "bob")
    token = csrf_of(alice.visit(f"{PREFIX}/logout"))
    bob.visit(INDEX)
    assert bob.post(f"{PREFIX}/logout", headers={"X-CSRF-Token": token}).status_code == 403


def test_a_logged_out_cookie_is_worth_nothing(platform, browse):
    alice = browse(platform, "alice")
    token = csrf_of(alice.visit(f"{PREFIX}/logout"))
    cookies = {cookie.name: cookie.value for cookie in alice.cookies.jar}
    alice.post(f"{PREFIX}/logout", data={"csrf": token})
    thief = browse(platform)
    thief.cookies.update(cookies)
    assert thief.get(f"{API}/me").status_code == 401


def test_a_logout_at_the_hub_ends_the_session_at_once_here_and_soon_for_a_thief(platform, browse):
    alice = browse(platform, "alice")
    alice.visit(INDEX)
    stolen = {cookie.name: cookie.value for cookie in alice.cookies.jar}
    thief = browse(platform)
    thief.cookies.update(stolen)
    assert thief.get(f"{API}/me").status_code == 200
    alice.get("/hub/logout")
    begun = time.monotonic()
    wait_for(lambda: thief.get(f"{API}/me").status_code == 401, 10, "the end of the stolen session")
    assert time.monotonic() - begun < 5  # session_check is 1 s here, 30 s by default
    assert alice.get(f"{API}/me").status_code == 401


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "a" * 4000, '"\\', "é"])
def test_a_made_up_cookie_is_nobody(platform, browse, cookie):
    header = b"aiinfn-session=" + cookie.encode()
    assert browse(platform).get(f"{API}/me", headers=[(b"Cookie", header)]).status_code == 401


def test_the_database_holds_no_cookie_and_no_token(platform, browse):
    alice = browse(platform, "alice")
    alice.visit(INDEX)
    files = list(platform.installation.state.service.glob("service.sqlite*"))
    assert files
    for file in files:
        assert alice.session.encode() not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600
