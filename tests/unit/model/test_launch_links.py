"""What a link may bring, and what it may not."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyterhub_aiinfn.errors import Malformed
from jupyterhub_aiinfn.model.launch_links import FOLDER, Launch, read_launch, read_pull

GIT = "https://git.example.org/course/lessons.git"
LOCAL = "http://127.0.0.1:8931"


def test_a_link_without_files_brings_none() -> None:
    assert read_launch({}) is None
    assert read_launch({"profile": "python"}) is None


@pytest.mark.parametrize(
    ("git", "folder"),
    [
        (GIT, "lessons"),
        ("https://git.example.org/lessons", "lessons"),
        ("https://git.example.org:8443/~alice/a.b_c-d/", "a.b_c-d"),
    ],
)
def test_the_folder_is_named_as_the_repository(git: str, folder: str) -> None:
    launch = read_launch({"git": git})
    assert launch is not None
    assert launch.folder == folder
    assert launch.page == f"lab/tree/{folder}"


def test_what_a_link_does_is_said_in_words() -> None:
    launch = read_launch({"git": GIT, "branch": "course/2026", "file": "one/Über uns.ipynb"})
    assert launch is not None
    assert launch.sentence == (
        f"the files of {GIT}, branch course/2026, into the folder lessons of your home and opens one/Über uns.ipynb"
    )


def test_its_address_is_nbgitpullers_and_reads_as_the_same() -> None:
    launch = read_launch({"git": GIT, "branch": "main", "file": "one/a b.ipynb"})
    assert launch is not None
    arguments = dict(parse_qsl(urlsplit(launch.address).query))
    assert arguments["urlpath"] == "lab/tree/lessons/one/a b.ipynb"
    assert read_pull(arguments) == launch
    assert read_launch(launch.options()) == launch


@pytest.mark.parametrize(
    "git",
    [
        *("ext::sh -c touch% /tmp/x", "file:///etc/passwd", "/etc/passwd", "ssh://git@example.org/x", "git@host:x/y"),
        *("javascript:alert(1)//x/y", "https:/one/slash", "https://", "https:///path", "https://host", "https://host/"),
        *("http://example.org/x", "HTTPS://EXAMPLE.ORG/x", "git://example.org/x", "--upload-pack=touch /tmp/x"),
        *("https://user:secret@example.org/x", "https://user@example.org/x", "https://example.org@evil.org/x"),
        *("https://example.org/a/../b", "https://example.org/.ssh", "https://example.org/x/.git", "https://h/x/-u"),
        *("https://example.org/x?y", "https://example.org/x#y", "https://example.org/x%2e%2e/y", "https://h/x y"),
        *(
            "https://example.org/x\nHost: evil",
            'https://example.org/"><script>',
            "https://exämple.org/x",
            "https://-h/x",
        ),
        *(
            f"https://example.org/{'x' * 300}",
            f"https://example.org/{'x' * 120}",
            "https://h:99999999/x",
            "https://h/.git",
        ),
        "\ud800https://h/x",
    ],
)
def test_other_transports_and_tricks_are_refused(git: str) -> None:
    with pytest.raises(Malformed) as refused:
        read_launch({"git": git})
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "branch", ["-x", "a..b", "a b", "a\n", "x.lock", "/a", "a/", "a//b", "é", "x" * 101, "a/.b", "@{u}"]
)
def test_a_branch_is_a_name(branch: str) -> None:
    with pytest.raises(Malformed, match="branch"):
        read_launch({"git": GIT, "branch": branch})


@pytest.mark.parametrize(
    "file",
    [
        *("../x", "a/../../x", "/etc/passwd", "a//b", "./x", "a/", "javascript:alert(1)", "x\ny", "a\\b", "x?reset"),
        *("x#y", "%2e%2e/x", "x" * 301, "https://evil.org/", "a\u202eb", "\ud800"),
    ],
)
def test_a_file_is_a_path_within_the_repository(file: str) -> None:
    with pytest.raises(Malformed, match="file"):
        read_launch({"git": GIT, "file": file})


def test_a_file_needs_its_repository() -> None:
    with pytest.raises(Malformed, match="git="):
        read_launch({"file": "x.ipynb"})


def test_the_values_may_name_the_hosts() -> None:
    hosts = ("git.example.org", "https://other.example.org:8443", LOCAL)
    for git in (GIT, "https://other.example.org:8443/x", f"{LOCAL}/x"):
        assert read_launch({"git": git}, hosts) == Launch(git)
    for git in ("https://evil.org/x", "https://git.example.org.evil.org/x", "http://git.example.org/x"):
        with pytest.raises(Malformed):
            read_launch({"git": git}, hosts)
    with pytest.raises(Malformed, match="only, not from evil"):
        read_launch({"git": "https://evil.org/x"}, hosts)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"targetpath": ".local/lib/python3.11/site-packages"}, "leave targetpath out"),
        ({"targetpath": ".."}, "leave targetpath out"),
        ({"urlpath": "terminals/1"}, "begin urlpath"),
        ({"urlpath": "lab/tree/lessonsx/a"}, "begin urlpath"),
        ({"urlpath": "lab/tree/lessons/../.bashrc"}, "path within the repository"),
        ({"urlpath": "//evil.org"}, "begin urlpath"),
        ({"depth": "x"}, "depth"),
        ({"app": "lab"}, "app"),
    ],
)
def test_an_address_of_nbgitpuller_can_do_no_more(more: dict[str, str], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        read_pull({"repo": GIT} | more)


def test_a_confirmation_is_about_one_repository_and_branch() -> None:
    assert Launch(GIT, "main", "a").digest == Launch(GIT, "main", "b").digest
    assert len({Launch(GIT, "main").digest, Launch(GIT).digest, Launch(GIT, "maina").digest}) == 3


@given(st.fixed_dictionaries({}, optional={key: st.text(max_size=400) for key in ("git", "branch", "file")}))
def test_anything_is_read_or_refused_in_words(options: dict[str, str]) -> None:
    try:
        launch = read_launch(options)
    except Malformed:
        return
    assert launch is None or (launch.git.startswith("https://") and FOLDER.fullmatch(launch.folder))
