"""Who logs in, who does not, and what hostile forms are told."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from jupyterhub_aiinfn.hub.people import People
from jupyterhub_aiinfn.values import load_values

from .running_hub import PASSWORD, RunningHub


def login_error(page: str) -> str:
    found = re.search(r'class="login_error[^>]*>(.*?)</p>', page, re.S)
    return html.unescape(found.group(1)).strip() if found else ""


def test_groups_and_rights_come_from_the_values(hub: RunningHub) -> None:
    me = hub.login("alice").api("GET", "/user").json()
    assert (sorted(me["groups"]), me["admin"]) == (["lab", "other", "users"], False)
    assert hub.login("admin").api("GET", "/user").json()["admin"] is True


def test_nobody_logs_in_as_another(hub: RunningHub) -> None:
    answer = hub.browser().sign_in("admin", "not the password")
    assert (answer.status_code, login_error(answer.text)) == (403, "Invalid username or password")


def test_groups_that_may_log_in(hub: RunningHub) -> None:
    answer = hub.browser().sign_in("dave", "correct horse battery")
    assert answer.status_code == 403
    assert "none of the groups that may log in" in login_error(answer.text)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "x" * 10_000),
        ("a" * 10_000, "x"),
        ("alice\0", "x\0y"),
        ("../../etc/passwd", "x"),
        ("ali\N{COMBINING DIAERESIS}ce", "p\N{PILE OF POO}"),
        ("..", "x"),
        ("'; drop table users; --", "x"),
        ("", ""),
    ],
)
def test_hostile_forms_get_a_sentence(hub: RunningHub, name: str, password: str) -> None:
    answer = hub.browser().sign_in(name, password)
    assert answer.status_code in (400, 403)
    assert login_error(answer.text)
    assert "Traceback" not in answer.text


def test_the_loop_is_free_while_passwords_are_checked(hub: RunningHub) -> None:
    def attempt(number: int) -> float:
        begun = time.monotonic()
        hub.browser().sign_in(f"nobody{number}", "x")
        return time.monotonic() - begun

    with ThreadPoolExecutor(6) as threads:
        running = [threads.submit(attempt, number) for number in range(12)]
        delays, watcher = [], hub.browser()
        while not all(one.done() for one in running):
            begun = time.monotonic()
            watcher.get("/hub/health")
            delays.append(time.monotonic() - begun)
    assert sorted(delays)[len(delays) // 2] < 0.2


def test_another_password_ends_the_logins(hub: RunningHub) -> None:
    """Within the time in which the hub looks again who somebody is; the new login is good, and stays so."""
    people = People(hub.installation.state, load_values(hub.installation.values_file))
    old, second = hub.login("carol"), hub.login("carol")
    by_hand = old.api("POST", "/users/carol/tokens", json={"note": "by hand"}).json()["token"]
    before = hub.rows("select cookie_id from users where name = 'carol'")
    people.set_password("carol", "another good password")
    try:
        new = hub.browser()
        assert new.sign_in("carol", PASSWORD).status_code == 403
        assert new.sign_in("carol", "another good password").status_code == 302
        for browser in (old, second):
            assert browser.get("/hub/home").status_code == 302
        assert new.get("/hub/home").status_code == 200
        headers = {"Authorization": f"token {by_hand}"}
        assert new.http.get("/hub/api/user", headers=headers).json()["name"] == "carol"
    finally:
        people.set_password("carol", PASSWORD)
    assert hub.rows("select cookie_id from users where name = 'carol'") != before


def test_a_login_ends_without_another_one(make_hub: Callable[..., RunningHub]) -> None:
    hub = make_hub(variables={"AIINFN_TEST_REFRESH": "1"})
    people = People(hub.installation.state, load_values(hub.installation.values_file))
    browser = hub.login("carol")
    assert browser.get("/hub/home").status_code == 200
    people.set_password("carol", "another good password")
    time.sleep(1.1)
    assert browser.get("/hub/home").status_code == 302
    assert browser.get("/hub/home").status_code == 302
    assert hub.browser().sign_in("carol", "another good password").status_code == 302
    assert browser.get("/hub/home").status_code == 302


def test_failed_logins_are_slowed_by_the_hub_one_by_one(make_hub: Callable[..., RunningHub]) -> None:
    hub = make_hub()

    def guess(number: int) -> tuple[int, float]:
        begun = time.monotonic()
        status = hub.browser().sign_in("carol", f"wrong password {number}").status_code
        return status, time.monotonic() - begun

    with ThreadPoolExecutor(12) as threads:
        found = sorted(threads.map(guess, range(12)), key=lambda one: one[1])
    assert {status for status, _ in found} == {403, 429}
    guesses = [seconds for status, seconds in found if status == 403]
    assert len(guesses) <= 8, "as many at once are not as many guesses"
    assert max(guesses) > 7
    assert max(seconds for status, seconds in found if status == 429) < 5, "refused at once"


def test_the_database_is_closed_to_others(hub: RunningHub) -> None:
    file = hub.installation.state.hub / "jupyterhub.sqlite"
    assert file.stat().st_mode & 0o777 == 0o600


def test_administrators_find_both_pages_of_theirs(hub: RunningHub) -> None:
    found = {name: hub.login(name).get("/hub/home").text for name in ("admin", "alice")}
    for link in ('href="/services/aiinfn/administration">Administration</a>', 'href="/hub/admin">Admin</a>'):
        assert link in found["admin"]
        assert link not in found["alice"]
