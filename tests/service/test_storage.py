"""How full folders are, over HTTP: one's own, everybody's for administrators, nothing for strangers."""

from __future__ import annotations

import os

import pytest

from jupyterhub_aiinfn.api.storage import FolderKind, StorageReport
from jupyterhub_aiinfn.backends.local.storage import LocalStorage
from jupyterhub_aiinfn.values import load_values

from .running import API, wait_for
from .test_tokens import hub_token


@pytest.fixture(scope="module")
def folders(platform):
    """Alice's home with a megabyte in it, and the folder of the project ``lab``."""
    state = platform.installation.state
    storage = LocalStorage(load_values(platform.installation.values_file), state)
    home = storage.prepare_home("alice", 65_600 if os.geteuid() == 0 else os.getuid())
    (home / "data").write_bytes(b"x" * 1024 * 1024)
    storage.prepare_project("lab")
    return storage


def report(answer) -> StorageReport:
    assert answer.status_code == 200, answer.text
    return StorageReport.model_validate_json(answer.content)


def test_a_person_sees_the_own_home_and_the_projects_they_are_in(platform, browse, folders):
    found = report(browse_to(platform, browse, "alice").get(f"{API}/storage"))
    home, *others = found.folders
    assert (home.kind, home.key, home.path) == ("home", "alice", "/home/alice")
    assert home.use is not None
    assert home.use.used_bytes is not None
    assert home.use.used_bytes >= 1024 * 1024
    assert [(folder.kind, folder.key) for folder in others] == [("project", "lab")]


@pytest.mark.slow
def test_a_session_that_has_deleted_has_the_home_counted_anew(platform, browse, folders):
    """Its own token only, and not each time: otherwise a figure stays for five minutes."""
    token = hub_token(platform, browse, "alice")
    scopes = ["access:servers!server=alice/", "access:services!service=aiinfn", "read:users!user=alice"]
    own = hub_token(platform, browse, "alice", scopes=scopes)
    home = folders.folder(FolderKind.home, "alice")

    def used(token: str, words: str = "") -> int:
        found = report(platform.get(f"{API}/storage{words}", token)).folders[0].use
        assert found is not None
        assert found.used_bytes is not None
        return found.used_bytes

    before = used(token)
    (home / "more").write_bytes(b"x" * 3 * 1024 * 1024)
    assert used(token, "?fresh=1") == before
    wait_for(lambda: used(own, "?fresh=1") >= before + 3 * 1024 * 1024, 25, "the new count")
    (home / "more").unlink()
    assert used(own, "?fresh=1") >= before + 3 * 1024 * 1024, "not sooner than 15 s after the last"
    assert platform.get(f"{API}/storage?fresh=perhaps", own).status_code == 422


def test_who_never_had_a_session_has_no_figures_yet(platform, browse, folders):
    found = report(browse_to(platform, browse, "carol").get(f"{API}/storage"))
    assert [(folder.kind, folder.key, folder.use) for folder in found.folders] == [("home", "carol", None)]


def test_everybodys_folders_are_for_administrators(platform, browse, folders):
    refused = browse_to(platform, browse, "alice").get(f"{API}/storage?all=1")
    assert refused.status_code == 403
    assert "only administrators" in refused.json()["error"]["message"]
    found = report(browse_to(platform, browse, "root-admin").get(f"{API}/storage?all=1"))
    assert [(folder.kind, folder.key) for folder in found.folders] == [("home", "alice"), ("project", "lab")]
    same = report(platform.get(f"{API}/storage?all=1", platform.tokens["reader"]))
    assert [(folder.kind, folder.key) for folder in same.folders] == [("home", "alice"), ("project", "lab")]


def test_strangers_see_nothing(platform):
    assert platform.get(f"{API}/storage", "nonsense").status_code == 401
    assert platform.get(f"{API}/storage?all=maybe", platform.tokens["reader"]).status_code == 422


def test_a_home_that_is_not_in_order_is_said_and_hides_no_other(platform, browse, folders):
    place = platform.installation.state.homes / "user-mallory"
    place.symlink_to("/etc")
    try:
        found = report(browse_to(platform, browse, "root-admin").get(f"{API}/storage?all=1"))
    finally:
        place.unlink()
    problems = {folder.key: folder.problem for folder in found.folders}
    assert "not a folder but a link" in problems["mallory"]
    assert problems["alice"] == ""


def browse_to(platform, browse, name):
    """That person's browser, logged in at the service too."""
    browser = browse(platform, name)
    browser.visit("/services/aiinfn/")
    return browser
