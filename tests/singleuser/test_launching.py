"""Files that links bring, on a real Jupyter Server with nbgitpuller and a real git repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest

from tests.git_server import GitServer, git_server

from .conftest import TOKEN, JupyterServer, running

pytestmark = pytest.mark.slow

NEVER = ".local/lib/python3.11/site-packages"


@dataclass(frozen=True)
class Session:
    server: JupyterServer
    home: Path
    git: GitServer

    def get(self, path: str, **arguments: str) -> httpx.Response:
        headers = {"Authorization": f"token {TOKEN}"}
        address = f"{self.server.url}{path}" + (f"?{urlencode(arguments)}" if arguments else "")
        return httpx.get(address, headers=headers, timeout=30)

    def agree(self, **arguments: str) -> httpx.Response:
        """The button of the page, as a browser sends it: with the cookie and the field of the page."""
        with httpx.Client(headers={"Authorization": f"token {TOKEN}"}, timeout=30) as client:
            return client.post(f"{self.server.url}git-pull?{urlencode(arguments)}")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """Started with the lessons and one file of them, and allowed to fetch from that host only."""
    home = tmp_path_factory.mktemp("home")
    with git_server(tmp_path_factory.mktemp("git")) as git:
        git.commit({"one/first.ipynb": "{}", "data.txt": "1"})
        said = {"LAUNCH_HOSTS": git.host, "LAUNCH_GIT": git.lessons, "LAUNCH_FILE": "one/first.ipynb"}
        with running(home, {f"AIINFN_{name}": value for name, value in said.items()}) as server:
            yield Session(server, home, git)


def phases(answer: httpx.Response) -> list[str]:
    events = [json.loads(line.removeprefix("data: ")) for line in answer.text.splitlines() if line.startswith("data: ")]
    return [event["phase"] for event in events]


def test_the_first_visit_brings_the_files_and_the_second_opens_lab(session: Session) -> None:
    first = session.get("aiinfn/launch")
    assert first.status_code == 302
    assert first.headers["Location"].startswith("/user/alba%40example/git-pull?repo=http")
    assert "urlpath=lab%2Ftree%2Flessons%2Fone%2Ffirst.ipynb" in first.headers["Location"]
    page = session.get("git-pull", repo=session.git.lessons, urlpath="lab/tree/lessons/one/first.ipynb")
    assert "Synchronizing" in page.text
    brought = session.get("git-pull/api", repo=session.git.lessons, targetpath="lessons")
    assert phases(brought)[-1] == "finished"
    assert (session.home / "lessons" / "data.txt").read_text() == "1"
    assert session.get("aiinfn/launch").headers["Location"] == "/user/alba%40example/lab"
    session.git.commit({"data.txt": "2"})
    assert phases(session.get("git-pull/api", repo=session.git.lessons))[-1] == "finished"
    assert (session.home / "lessons" / "data.txt").read_text() == "2"


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            {"targetpath": NEVER},
            {"targetpath": "../x"},
            {"depth": "0"},
            {"app": "x"},
            {"urlpath": "//evil.example.org"},
        ),
        *({"repo": "https://evil.example.org/x"}, {"repo": "file:///etc"}, {"repo": "ext::touch x"}, {"repo": ""}),
        *({"branch": "--upload-pack=touch x"}, {"branch": "\udcff"}, {"branch": "x" * 5000}),
    ],
)
@pytest.mark.parametrize("path", ["git-pull", "git-pull/api", "git-sync"])
def test_addresses_that_could_do_harm_are_refused(session: Session, path: str, arguments: dict[str, str]) -> None:
    asked = {"repo": session.git.lessons} | arguments
    with httpx.Client(headers={"Authorization": f"token {TOKEN}"}, follow_redirects=True, timeout=30) as client:
        answer = client.get(f"{session.server.url}{path}?{urlencode(asked, errors='surrogateescape')}")
    assert answer.status_code == 400
    assert "Synchronizing" not in answer.text
    assert not (session.home / ".local").exists()


def test_nothing_is_fetched_before_the_person_agrees(session: Session) -> None:
    other = session.git.lessons.removesuffix(".git")  # the server answers under both names
    page = session.get("git-pull", repo=other, branch="main")
    assert page.status_code in (200, 409)
    assert "Synchronizing" not in page.text
    assert session.get("git-pull/api", repo=other, branch="main").status_code == 403


def test_the_button_of_another_site_agrees_to_nothing(session: Session) -> None:
    address = f"{session.server.url}git-pull?{urlencode({'repo': session.git.lessons, 'branch': 'other'})}"
    with httpx.Client(timeout=30) as browser:
        assert browser.get(f"{session.server.url}api/status?token={TOKEN}").status_code == 200
        assert browser.post(address, headers={"Origin": "https://evil.example.org"}).status_code == 404
        assert browser.post(address).status_code == 403
    assert session.get("git-pull/api", repo=session.git.lessons, branch="other").status_code == 403


def test_a_folder_of_something_else_is_left_alone(session: Session) -> None:
    (session.home / "mine").mkdir()
    (session.home / "mine" / "thesis.txt").write_text("years of work")
    page = session.get("git-pull", repo=f"{session.git.host}/course/mine")
    assert page.status_code == 409
    assert "The folder mine of your home is there already and is not from a link; rename it" in page.text
    assert (session.home / "mine" / "thesis.txt").read_text() == "years of work"


def test_who_agrees_is_sent_on(session: Session) -> None:
    arguments = {"repo": f"{session.git.host}/course/none", "branch": "main"}
    assert "Bring the files" in session.get("git-pull", **arguments).text
    answer = session.agree(**arguments)
    assert answer.status_code == 302
    assert "Synchronizing" in session.get("git-pull", **arguments).text


def test_nobody_asks_without_logging_in(session: Session) -> None:
    for path in ("aiinfn/launch", "git-pull", "git-pull/api"):
        assert httpx.get(f"{session.server.url}{path}", timeout=30).status_code in (302, 403)
