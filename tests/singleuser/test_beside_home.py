"""Folders of projects and the public one in Jupyter's contents: deleted for good there, and blamed for themselves."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import filesystems

from .conftest import JupyterServer, running
from .test_cleanup_handlers import variables
from .test_cleanup_saving import save

pytestmark = [pytest.mark.root, pytest.mark.slow]


@dataclass(frozen=True)
class Shared:
    """A server with a project folder of 4 MiB and a public folder that can only be read."""

    server: JupyterServer
    home: Path
    project: Path

    @property
    def trash(self) -> list[str]:
        return [path.name for path in (self.home / ".local/share/Trash").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    root = tmp_path_factory.mktemp("beside")
    home, project, public = root / "home", root / "projects/lhcb", root / "public"
    for folder in (home, public):
        folder.mkdir()
    (public / "news.txt").write_text("news")
    said = {"AIINFN_WORKLOAD": "w1", "AIINFN_PROJECTS_FOLDER": str(root / "projects")}
    with (
        filesystems.tmpfs_home(project, os.geteuid(), size=4 * filesystems.MEBIBYTE),
        filesystems.read_only(public),
        variables(**said, AIINFN_PUBLIC_FOLDER=str(public)),
        running(home) as server,
    ):
        yield Shared(server, home, project)


def test_what_is_deleted_in_a_project_is_gone_and_the_home_keeps_its_room(shared: Shared) -> None:
    (shared.project / "big.bin").write_bytes(b"x" * 1_000_000)
    (shared.project / "folder/inner").mkdir(parents=True)
    (shared.project / "folder/inner/file").write_text("x")
    (shared.project / "link").symlink_to(shared.home)
    for name in ("big.bin", "folder", "link"):
        assert shared.server.request("DELETE", f"api/contents/projects/lhcb/{name}").status_code == 204
        assert not os.path.lexists(shared.project / name)
    assert shared.trash == []
    assert (shared.home / "projects").is_symlink(), "what a link leads to stays"


def test_what_is_deleted_in_the_home_is_in_its_trash(shared: Shared) -> None:
    (shared.home / "mine.txt").write_text("x")
    assert shared.server.request("DELETE", "api/contents/mine.txt").status_code == 204
    assert "mine.txt" in shared.trash
    (shared.home / "linked").symlink_to(shared.project)
    assert shared.server.request("DELETE", "api/contents/linked").status_code == 204
    assert shared.project.is_dir(), "only the link was deleted"


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("projects/lhcb", 403, "is a folder of the platform and stays"),
        ("projects/lhcb/none", 404, "there is no"),
        ("projects/lhcb/.hidden", 400, "Cannot delete"),
        ("public/news.txt", 403, "cannot be deleted"),
    ],
)
def test_what_cannot_be_deleted_is_a_sentence(shared: Shared, path: str, status: int, words: str) -> None:
    (shared.project / ".hidden").write_text("x")
    answer = shared.server.request("DELETE", f"api/contents/{path}")
    assert answer.status_code == status
    assert words in answer.json()["message"]
    assert (shared.project / ".hidden").exists()


def test_a_full_project_is_not_the_homes_fault(shared: Shared) -> None:
    filesystems.fill(shared.project, os.geteuid(), "filling.bin")
    try:
        refused = save(shared.server, "projects/lhcb/a.txt", "x" * 100_000)
        assert refused.status_code == 507
        said = refused.json()["message"]
        assert "the folder of the project lhcb is full; ask its members to make room" in said
        body = {"type": "directory"}
        assert shared.server.request("POST", "api/contents/projects/lhcb", json=body).status_code in (201, 507)
        assert save(shared.server, "a.txt", "x").status_code == 201, "the home takes it"
    finally:
        (shared.project / "filling.bin").unlink()


def test_a_folder_that_can_only_be_read_is_not_the_homes_fault(shared: Shared) -> None:
    refused = save(shared.server, "public/new.txt", "x")
    assert refused.status_code == 507
    assert "the public folder can only be read; save it in your home" in refused.json()["message"]
    refused = shared.server.request("POST", "api/contents/public", json={"type": "notebook"})
    assert "your home can only be read" not in refused.text
    assert save(shared.server, "public/news.txt", "changed").status_code == 403, "Jupyter looks before it writes"
