"""A home that cannot be written never keeps a session from starting: it is told to keep its state elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.backends.local.uids import uid_of
from tests import filesystems

from .test_verbs import shell, until_ended

pytestmark = pytest.mark.slow

SAY = 'echo "rescue=$AIINFN_RESCUE"; echo "$AIINFN_RESCUE_REASON"; mkdir -p "$JUPYTERLAB_SETTINGS_DIR" && echo made'


async def said(local: LocalBackend, **fields: object) -> str:
    workload = await local.start(shell(SAY, **fields))
    await until_ended(local, workload.id)
    return await local.log(workload.id)


async def test_an_ordinary_session_keeps_its_state_in_the_home(local: LocalBackend) -> None:
    assert (await said(local)).splitlines()[0] == "rescue="


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["limit", "full", "inodes", "read-only"])
async def test_a_home_without_room_gets_a_rescue_session(local: LocalBackend, state: StateFolder, kind: str) -> None:
    await said(local)  # makes the home
    home, uid = state.home("user-alice"), uid_of(state, "alice")
    with place(kind, home, uid):
        if kind in ("limit", "full"):
            filesystems.fill(home, uid)
        elif kind == "inodes":
            filesystems.fill_inodes(home, uid)
        log = await said(local)
    assert log.startswith("rescue=1")
    assert {"limit": "limit", "full": "full", "inodes": "no more files", "read-only": "only be read"}[kind] in log
    assert "made" in log


def place(kind: str, home: Path, uid: int) -> AbstractContextManager[Path]:
    """That kind of home."""
    if kind == "limit":
        return filesystems.btrfs_home(home, uid, 12 * filesystems.MEBIBYTE)
    if kind == "full":
        return filesystems.tmpfs_home(home, uid, size=4 * filesystems.MEBIBYTE)
    if kind == "inodes":
        return filesystems.ext4_home(home, uid, inodes=64)
    return filesystems.read_only(home)


@pytest.mark.root
async def test_a_home_that_its_person_closed_is_one_too(local: LocalBackend, state: StateFolder) -> None:
    await said(local)
    for mode in (0o500, 0o000):
        state.home("user-alice").chmod(mode)
        log = await said(local)
        assert log.startswith("rescue=1")
        assert f"{mode:04o}" in log
    state.home("user-alice").chmod(0o700)
    assert (await said(local)).startswith("rescue=\n")


@pytest.mark.root
async def test_a_full_home_that_is_open_to_others_starts_too(local: LocalBackend, state: StateFolder) -> None:
    """Closing it again is refused by a file system that can only be read; the session starts all the same."""
    await said(local)
    home = state.home("user-alice")
    home.chmod(0o755)
    with filesystems.read_only(home):
        assert (await said(local)).startswith("rescue=1")
