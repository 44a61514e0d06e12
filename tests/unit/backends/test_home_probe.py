"""Homes are tried as their person, before the session; what a person puts there leads nobody astray."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.home_probe import probe_home
from jupyterhub_aiinfn.model.rescue import rescue_reason
from tests import filesystems
from tests.platform import traversable_folder

pytestmark = pytest.mark.slow

UID = 65_700


@pytest.fixture
def home() -> Iterator[Path]:
    """A home of an ordinary person; below a folder that only root can pass, as a state folder of root's may be."""
    folder = traversable_folder()
    folder.chmod(0o700)
    home = folder / "home"
    home.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(home, UID, UID)
    yield home
    filesystems.run("rm", "-rf", folder)


def person() -> int:
    return UID if os.geteuid() == 0 else os.geteuid()


def test_an_ordinary_home_can_be_written_and_nothing_stays_in_it(home: Path) -> None:
    probe = probe_home(home, person())
    assert (probe.failed, probe.blocked) == ("", "")
    assert list(home.iterdir()) == []


@pytest.mark.root
def test_the_platform_does_not_write_where_the_person_could_not(home: Path) -> None:
    assert probe_home(home, UID + 1).error == errno.EACCES


@pytest.mark.root
def test_a_home_whose_owner_may_not_write_it(home: Path) -> None:
    home.chmod(0o500)
    assert "0500" in rescue_reason(probe_home(home, UID))


@pytest.mark.root
def test_a_home_that_is_a_link_is_not_followed(home: Path) -> None:
    target = home.parent / "other"
    target.mkdir()
    os.chown(target, UID, UID)
    link = home.parent / "link"
    link.symlink_to(target)
    assert probe_home(link, UID).failed == ""  # nothing is known against it: the backend refuses such a home itself
    assert list(target.iterdir()) == []


@pytest.mark.parametrize("name", [".jupyter", ".ipython", ".cache"])
def test_state_that_cannot_be_written_is_named(home: Path, name: str) -> None:
    (home / name).write_text("a file where a folder should be")
    assert f"~/{name}" in rescue_reason(probe_home(home, person()))


@pytest.mark.root
def test_state_of_another_owner_is_named(home: Path) -> None:
    (home / ".jupyter").mkdir(mode=0o755)
    assert "~/.jupyter" in rescue_reason(probe_home(home, UID))


def test_a_link_is_not_judged_from_outside_the_sandbox(home: Path) -> None:
    (home / ".cache").symlink_to("/tmp/only-in-the-session")
    (home / ".local").symlink_to("/home/alice/elsewhere")
    assert rescue_reason(probe_home(home, person())) == ""


@pytest.mark.root
def test_a_subvolume_at_its_limit(home: Path) -> None:
    with filesystems.btrfs_home(home, UID, 20 * filesystems.MEBIBYTE):
        assert rescue_reason(probe_home(home, UID)) == ""
        filesystems.fill(home, UID)
        assert probe_home(home, UID).error == errno.EDQUOT


@pytest.mark.root
def test_a_disk_without_room(home: Path) -> None:
    with filesystems.tmpfs_home(home, UID, size=8 * filesystems.MEBIBYTE):
        assert rescue_reason(probe_home(home, UID)) == ""
        filesystems.fill(home, UID)
        assert "disk of your home is full" in rescue_reason(probe_home(home, UID))


@pytest.mark.root
def test_a_disk_without_files(home: Path) -> None:
    with filesystems.ext4_home(home, UID, inodes=64):
        assert filesystems.fill_inodes(home, UID) > 10
        assert "no more files" in rescue_reason(probe_home(home, UID))


@pytest.mark.root
def test_a_home_that_is_read_only(home: Path) -> None:
    with filesystems.read_only(home):
        assert "only be read" in rescue_reason(probe_home(home, UID))
