"""What is asked for in other ways than the page means: changed forms, links of other sites, pages of strangers."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.platform import RunningPlatform

from .conftest import MakePerson

MakeSite = Callable[[str], str]


@pytest.fixture
def other_site(tmp_path: Path) -> Iterator[MakeSite]:
    """Another site (`localhost` is not 127.0.0.1 to a browser) with one page; gives its address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def make(body: str) -> str:
        (tmp_path / "page.html").write_text(f"<!doctype html><title>Elsewhere</title>{body}")
        return f"http://localhost:{server.server_port}/page.html"

    yield make
    server.shutdown()
    server.server_close()


def test_a_changed_form_is_refused_in_words(person: MakePerson, platform: RunningPlatform, results: Path) -> None:
    alice = person("alice", platform)
    alice.log_in()
    alice.go("/hub/spawn")
    expect(alice.card("gpu")).to_be_disabled()
    expect(alice.page.locator("#profile-gpu-why")).to_contain_text("no NVIDIA GPU")
    alice.page.evaluate("Object.assign(document.querySelector('input[value=gpu]'), {disabled: false, checked: true})")
    alice.press_start()
    alert = alice.page.get_by_role("alert")
    expect(alert).to_contain_text("no NVIDIA GPU", timeout=60_000)
    expect(alert).not_to_contain_text("SpawnException")
    alice.page.screenshot(path=str(results / "refusal.png"), full_page=True)
    assert alice.violations() == []
    assert not alice.is_running()
    alice.errors = [error for error in alice.errors if not re.search(r"status of (403|409)", error)]


def test_a_link_of_another_site_fills_the_form_and_starts_nothing(
    person: MakePerson, platform: RunningPlatform, other_site: MakeSite
) -> None:
    alice = person("alice", platform)
    alice.log_in()
    link = f"{platform.url}/hub/spawn?profile=quantum&opt-size=medium"
    alice.page.goto(other_site(f'<a href="{link}">a present</a>'))
    alice.page.get_by_text("a present").click()
    expect(alice.card("quantum")).to_be_checked()
    expect(alice.page.locator("#profile-quantum-size-medium")).to_be_checked()
    assert not alice.is_running()


@pytest.mark.timeout(300)
def test_next_survives_the_form(person: MakePerson, platform: RunningPlatform) -> None:
    alice = person("alice", platform)
    alice.log_in()
    alice.go("/hub/spawn?profile=python&next=%2Fuser%2Falice%2Flab%3Freset%26here")
    assert not alice.is_running()
    expect(alice.card("python")).to_be_checked()
    alice.press_start()
    alice.page.wait_for_url(re.compile(r"/user/alice/lab.*here"), timeout=90_000)
    alice.stop_by_api()


def test_a_form_of_another_site_starts_nothing(
    person: MakePerson, platform: RunningPlatform, other_site: MakeSite
) -> None:
    alice = person("alice", platform)
    alice.log_in()
    form = f'<form method="post" action="{platform.url}/hub/spawn"><input name="profile" value="python"></form>'
    alice.page.goto(other_site(f"{form}<script>document.forms[0].submit()</script>"))
    alice.page.wait_for_url(re.compile("127.0.0.1"))
    alice.go("/hub/home")
    assert not alice.is_running()
    alice.errors = [error for error in alice.errors if "403" not in error]


def test_pages_cannot_be_put_into_a_frame(person: MakePerson, platform: RunningPlatform, other_site: MakeSite) -> None:
    alice = person("alice", platform)
    alice.log_in()
    for path in ("/hub/spawn", "/services/aiinfn/"):
        alice.page.goto(other_site(f'<iframe src="{platform.url}{path}"></iframe>'))
        alice.page.wait_for_timeout(1000)
        framed = [frame for frame in alice.page.frames if frame.parent_frame]
        assert framed
        assert not [frame.url for frame in framed if frame.locator("form, main").count()]
    alice.errors.clear()  # the browser says that it refused


def test_wrong_passwords_are_answered_in_words(person: MakePerson, platform: RunningPlatform) -> None:
    nobody = person("nobody", platform)
    nobody.go("/hub/login")
    nobody.page.get_by_label("Name").fill("nobody")
    nobody.page.get_by_label("Password").fill("not the password")
    nobody.page.get_by_role("button", name="Sign in").click()
    expect(nobody.page.get_by_role("alert")).to_be_visible()
    assert nobody.violations() == []
    nobody.errors = [error for error in nobody.errors if not re.search(r"status of (401|403)", error)]
