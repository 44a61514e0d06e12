"""The clean-up page and its addresses on a real Jupyter Server."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from .conftest import BASE, TOKEN, JupyterServer, running

pytestmark = pytest.mark.slow

HOSTILE = "</script><img src=x onerror=alert(1)>"


@dataclass(frozen=True)
class Cleanup:
    """A server whose home is ``home``."""

    server: JupyterServer
    home: Path

    def ask(self, method: str, path: str = "", *, token: str | None = TOKEN, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.request(method, f"{self.server.url}aiinfn/{path}", headers=headers, timeout=30, **arguments)

    def lines(self, path: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.text.splitlines()]

    def programs(self) -> list[psutil.Process]:
        """The scans and deletions that run; one that just ended and is not waited for yet has no command line."""
        found = []
        for child in psutil.Process(self.server.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # and its zombies
                if "singleuser.cleanup" in " ".join(child.cmdline()):
                    found.append(child)
        return found


def chosen(*paths: str, known: tuple[str, ...] = ()) -> dict[str, object]:
    return {"paths": [base64.urlsafe_b64encode(path.encode()).decode() for path in paths], "known": list(known)}


@contextlib.contextmanager
def variables(**wanted: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cleanup]:
    home = tmp_path_factory.mktemp("ordinary")
    with running(home) as server:
        yield Cleanup(server, home)


@pytest.fixture
def rescued(tmp_path: Path) -> Iterator[Cleanup]:
    """A rescue session whose home has room again; its scratch space is beside the home."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    (home / ".jupyter/lab/user-settings/theme").mkdir(parents=True)
    (home / ".jupyter/lab/user-settings/theme/plugin.jupyterlab-settings").write_text('{"theme": "old"}')
    folders = {
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
        "XDG_CACHE_HOME": "cache",
    }
    said = {name: str(scratch / folder) for name, folder in folders.items()}
    with variables(AIINFN_RESCUE="1", AIINFN_RESCUE_REASON=f"it is full {HOSTILE}", **said), running(home) as server:
        yield Cleanup(server, home)


ADDRESSES = [
    ("GET", "cleanup"),
    ("GET", "api/cleanup"),
    ("GET", "api/cleanup/scan"),
    ("POST", "api/cleanup/count"),
    ("POST", "api/cleanup/deletion"),
    ("GET", "api/cleanup/deletion"),
    ("DELETE", "api/cleanup/deletion"),
    ("POST", "api/cleanup/continue"),
    ("POST", "api/cleanup/rights"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_nobody_else_gets_in(ordinary: Cleanup, method: str, path: str) -> None:
    (ordinary.home / "precious").write_text("x")
    answer = ordinary.ask(method, path, token=None, json=chosen("precious"), follow_redirects=False)
    assert answer.status_code in (302, 403)
    assert (ordinary.home / "precious").exists()


@pytest.mark.parametrize(("method", "path"), [one for one in ADDRESSES if one[0] != "GET"])
def test_another_site_cannot_have_a_browser_change_anything(ordinary: Cleanup, method: str, path: str) -> None:
    """With the cookies of a logged-in browser, and without the token that only our page has."""
    (ordinary.home / "precious").write_text("x")
    with httpx.Client() as browser:
        browser.get(f"{ordinary.server.url}aiinfn/cleanup", params={"token": TOKEN}, follow_redirects=True)
        assert browser.get(f"{ordinary.server.url}aiinfn/cleanup").status_code == 200
        answer = browser.request(method, f"{ordinary.server.url}aiinfn/{path}", json=chosen("precious"))
    assert answer.status_code == 403
    assert (ordinary.home / "precious").exists()


def test_the_page_is_one_answer_that_loads_nothing(ordinary: Cleanup) -> None:
    answer = ordinary.ask("GET", "cleanup")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store"
    for loaded in (" src=", "@import", "url("):
        assert loaded not in answer.text


@pytest.mark.parametrize(
    ("asked", "onward"),
    [
        ("", f"{BASE}lab"),
        (f"{BASE}lab/tree/a.ipynb", f"{BASE}lab/tree/a.ipynb"),
        ("https://example.org/", f"{BASE}lab"),
        ("//example.org/", f"{BASE}lab"),
        ("/user/bob/lab", f"{BASE}lab"),
        (f"{BASE}..//example.org", f"{BASE}lab"),
        (f"{BASE}\\example.org", f"{BASE}lab"),
        ("javascript:alert(1)", f"{BASE}lab"),
        (f"{BASE}%2e%2e/%2E%2e/hub/token", f"{BASE}lab"),
        (f"{BASE}.%2e/hub", f"{BASE}lab"),
        (f"{BASE}%252e%252e/hub", f"{BASE}lab"),
        (f"{BASE}%2f%2fexample.org", f"{BASE}lab"),
        (f"{BASE}lab/tree/caff%C3%A8.ipynb", f"{BASE}lab/tree/caff%C3%A8.ipynb"),
    ],
)
def test_the_page_goes_on_to_this_server_only(ordinary: Cleanup, asked: str, onward: str) -> None:
    text = ordinary.ask("GET", "cleanup", params={"next": asked}).text
    settings = json.loads(text.split('id="settings">')[1].split("</script>")[0])
    assert settings["onward"] == onward


def test_the_figures_come_to_an_end_and_are_right(ordinary: Cleanup) -> None:
    (ordinary.home / "figures").mkdir()
    (ordinary.home / "figures" / HOSTILE.replace("/", "_")).write_bytes(b"x" * 300_000)
    line = ordinary.lines("api/cleanup/scan?again=1")[-1]
    assert line["done"]
    assert line["largest_files"][0]["bytes"] >= 300_000
    assert line["largest_files"][0]["path"].startswith("figures/")


def test_what_takes_no_room_is_not_offered_for_deletion(ordinary: Cleanup) -> None:
    (ordinary.home / "empty").mkdir()
    (ordinary.home / "empty/link").symlink_to("/projects")
    (ordinary.home / "empty/nothing").write_text("")
    (ordinary.home / "empty/something").write_text("x")
    line = ordinary.lines("api/cleanup/scan?again=1")[-1]
    paths = {row["path"] for row in line["largest_files"]}
    assert "empty/something" in paths
    assert paths & {"empty/link", "empty/nothing"} == set()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"paths": "YQ=="}',
        b'{"paths": [1]}',
        b'{"paths": [null]}',
        b'{"paths": ["Li4="]}',
        b'{"paths": ["L2V0Yw=="]}',
        b'{"paths": ["YQ"]}',
        b'{"paths": [""]}',
        b'{"known": ["everything"]}',
        b'{"known": [["pip"]]}',
        b"[" * 100_000,
        b"\xff\xfe",
        json.dumps({"paths": ["YQ=="] * 501}).encode(),
    ],
)
@pytest.mark.parametrize("verb", ["count", "deletion"])
def test_only_what_the_list_offers_is_taken(ordinary: Cleanup, verb: str, body: bytes) -> None:
    answer = ordinary.ask("POST", f"api/cleanup/{verb}", content=body)
    assert answer.status_code == 400
    assert len(answer.json()["message"]) > 20
    assert ordinary.programs() == []


def test_what_is_counted_is_what_is_deleted(ordinary: Cleanup) -> None:
    for name in ("one", "two"):
        (ordinary.home / "old" / name).mkdir(parents=True)
        (ordinary.home / "old" / name / "f").write_bytes(b"x" * 10_000)
    counted = ordinary.ask("POST", "api/cleanup/count", json=chosen("old")).json()
    assert (counted["files"], counted["folders"]) == (2, 3)
    assert (ordinary.home / "old" / "one" / "f").exists()
    assert ordinary.ask("POST", "api/cleanup/deletion", json=chosen("old")).status_code == 202
    last = ordinary.lines("api/cleanup/deletion")
    assert last[-2]["files"] == counted["files"]
    assert last[-1] == {"done": True, "cancelled": False, "error": ""}
    assert not (ordinary.home / "old").exists()


def many(folder: Path, count: int) -> None:
    """A folder with so many files, made fast: names of one file do."""
    folder.mkdir(parents=True)
    (folder / "0").touch()
    for number in range(1, count):
        os.link(folder / "0", folder / str(number))


def test_one_deletion_at_a_time_and_it_can_be_cancelled(ordinary: Cleanup) -> None:
    many(ordinary.home / "many", 30_000)
    assert ordinary.ask("POST", "api/cleanup/deletion", json=chosen("many")).status_code == 202
    second = ordinary.ask("POST", "api/cleanup/deletion", json=chosen("many"))
    assert ordinary.ask("DELETE", "api/cleanup/deletion").status_code == 204
    assert second.status_code == 409
    assert "wait until it is done" in second.json()["message"]
    assert ordinary.lines("api/cleanup/deletion")[-1]["cancelled"]
    left = len(list((ordinary.home / "many").iterdir()))
    time.sleep(0.5)
    assert len(list((ordinary.home / "many").iterdir())) == left > 0


def test_tabs_share_one_scan_and_it_ends_with_the_last_of_them(ordinary: Cleanup) -> None:
    many(ordinary.home / "wide", 60_000)
    address = f"{ordinary.server.url}aiinfn/api/cleanup/scan?again=1"
    headers = {"Authorization": f"token {TOKEN}"}
    seen: list[int] = []

    def tab() -> None:
        with httpx.stream("GET", address, headers=headers, timeout=30) as answer:
            next(answer.iter_lines())
            seen.append(len(ordinary.programs()))

    tabs = [threading.Thread(target=tab) for _ in range(4)]
    for one in tabs:
        one.start()
    for one in tabs:
        one.join()
    assert max(seen) <= 1
    deadline = time.monotonic() + 20
    while ordinary.programs() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ordinary.programs() == []


def test_a_rescue_session_opens_the_cleanup_page_first(rescued: Cleanup) -> None:
    for path in ("lab", "lab/tree/a%20b.ipynb?x=1", "tree", "notebooks/a.ipynb", "git-pull?repo=https://x/y"):
        answer = httpx.get(rescued.server.url + path, headers={"Authorization": f"token {TOKEN}"})
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith(f"{BASE}aiinfn/cleanup?next=")
    page = rescued.ask("GET", "cleanup", params={"next": f"{BASE}lab/tree/a"})
    assert HOSTILE not in page.text
    assert page.text.count("</script>") == 2
    # what JupyterLab's programs ask is answered as always
    assert httpx.get(f"{rescued.server.url}api/status", headers={"Authorization": f"token {TOKEN}"}).status_code == 200


def test_it_becomes_an_ordinary_session_with_what_was_changed_meanwhile(rescued: Cleanup) -> None:
    own = rescued.home / ".jupyter/lab/user-settings"
    scratch = rescued.home.parent / "scratch/settings"
    assert (scratch / "theme/plugin.jupyterlab-settings").read_text() == '{"theme": "old"}'  # seeded from the home
    time.sleep(0.05)
    (scratch / "theme/plugin.jupyterlab-settings").write_text('{"theme": "new"}')
    (scratch / "more").mkdir()
    (scratch / "more/plugin.jupyterlab-settings").write_text("{}")
    assert rescued.ask("POST", "api/cleanup/continue", json={}).json() == {"problem": ""}
    assert (own / "theme/plugin.jupyterlab-settings").read_text() == '{"theme": "new"}'
    assert (own / "more/plugin.jupyterlab-settings").exists()
    (scratch / "more/later").write_text("x")  # what the server writes from now on is in the home
    assert (own / "more/later").exists()
    assert not rescued.ask("GET", "api/cleanup").json()["rescue"]
    answer = httpx.get(f"{rescued.server.url}lab", headers={"Authorization": f"token {TOKEN}"})
    assert answer.status_code != 302 or "cleanup" not in answer.headers["Location"]


def test_notebooks_are_read_and_trusted_as_before_when_it_has_become_ordinary(rescued: Cleanup) -> None:
    """The database of signatures was open in the folder that is a link to the home's now."""
    address, headers = f"{rescued.server.url}api/contents", {"Authorization": f"token {TOKEN}"}
    made = httpx.post(address, json={"type": "notebook"}, headers=headers).json()
    assert rescued.ask("POST", "api/cleanup/continue", json={}).json() == {"problem": ""}
    found = httpx.get(f"{address}/{made['path']}", headers=headers)
    assert found.status_code == 200
    assert httpx.put(f"{address}/{made['path']}", json=found.json(), headers=headers).status_code == 200
    assert (rescued.home / ".local/share/jupyter/nbsignatures.db").is_file()


def test_without_room_it_stays_one_and_says_why(rescued: Cleanup) -> None:
    (rescued.home / ".ipython").write_text("a file where a folder should be")
    answer = rescued.ask("POST", "api/cleanup/continue", json={}).json()
    assert "~/.ipython" in answer["problem"]
    state = rescued.ask("GET", "api/cleanup").json()
    assert (state["rescue"], state["lab_wanted"]) == (True, True)
    (rescued.home / ".ipython").unlink()
    assert rescued.ask("POST", "api/cleanup/continue", json={}).json() == {"problem": ""}


def test_ones_own_right_to_write_comes_back(rescued: Cleanup) -> None:
    rescued.home.chmod(0o500)
    assert rescued.ask("GET", "api/cleanup").json()["can_unlock"]
    assert rescued.ask("POST", "api/cleanup/rights").status_code == 204
    assert rescued.home.stat().st_mode & 0o777 == 0o700
