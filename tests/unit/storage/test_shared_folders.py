"""Two members in real sandboxes share what they make and move; whoever is no member sees nothing."""

from __future__ import annotations

import grp
import json
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyterhub_aiinfn.api.storage import FolderKind
from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.quota.base import GIB
from jupyterhub_aiinfn.backends.local.shared_rights import DEFAULT, Rights, acl, repair, share
from jupyterhub_aiinfn.backends.local.uids import GIDS, UIDS, gid_of, uid_of
from jupyterhub_aiinfn.errors import BackendError
from tests.platform import traversable_folder

from .disks import btrfs
from .disks import run as command
from .people import installation, run

pytestmark = pytest.mark.slow

FLASH = ("flash-sim",)
ROOT = os.geteuid() == 0


@pytest.fixture
def backend() -> Iterator[LocalBackend]:
    folder = traversable_folder()
    yield installation(folder / "state")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.root
@pytest.mark.parametrize("umask", ["077", "022", "000", "777"])
async def test_what_one_member_makes_the_other_changes_whatever_the_umask(backend: LocalBackend, umask: str) -> None:
    made = await run(
        backend,
        "alice",
        f"umask {umask}; cd /projects/flash-sim && echo by-alice > file && mkdir folder && echo inner > folder/inner "
        "&& printf '#!/bin/sh\\necho ran\\n' > tool && chmod u+x tool; echo done",
        projects=FLASH,
    )
    if umask == "777":  # who may not even use their own folder: the ACL does not care for the umask either
        assert "denied" not in made
    assert made == "done"
    said = await run(
        backend,
        "bob",
        "cd /projects/flash-sim && cat file && echo by-bob >> file && echo more > folder/inner "
        "&& echo new > folder/new && mv folder/new folder/newer && rm folder/newer && cat file folder/inner",
        projects=FLASH,
    )
    assert said.split() == ["by-alice", "by-alice", "by-bob", "more"]
    folder = backend.state.projects / "shared-flash-sim"
    gid = gid_of(backend.state, "flash-sim")
    for name in ("file", "folder", "folder/inner"):
        found = (folder / name).stat()
        assert found.st_gid == gid
        assert found.st_mode & 0o060 == 0o060
        assert not found.st_mode & 0o002


MOVED = """
cd ~; umask 077
mkdir -p tree/sub; echo x > tree/sub/file; echo x > single; echo x > private; chmod 600 private single
echo '#!/bin/sh' > tool; chmod 700 tool; echo r > readonly; chmod 400 readonly
cp -rp tree copied; tar cf t.tar tree
mv tree single tool readonly /projects/flash-sim/; cp -rp copied /projects/flash-sim/
mkdir /projects/flash-sim/from-tar; tar xpf t.tar -C /projects/flash-sim/from-tar
ln -s /home/bob /projects/flash-sim/link; ln -s ../private /projects/flash-sim/tree/up; mkfifo /projects/flash-sim/fifo
echo done
"""


@pytest.mark.root
async def test_what_is_moved_in_is_brought_in_line(backend: LocalBackend) -> None:
    assert await run(backend, "alice", MOVED, projects=FLASH) == "done"
    look = (
        "cd /projects/flash-sim; for f in tree/sub/file single copied/sub/file from-tar/tree/sub/file; do "
        "cat $f && echo bob >> $f; done; touch tree/sub/new; test -x tool && echo executable; "
        "cat readonly; echo no >> readonly"
    )
    assert "denied" in await run(backend, "bob", look, projects=FLASH)
    backend.storage.repair()
    said = await run(backend, "bob", look, projects=FLASH)
    assert said.split()[:6] == ["x", "x", "x", "x", "executable", "r"]
    assert said.count("denied") == 1  # what its owner may only read, others only read
    back = await run(
        backend, "alice", "cd /projects/flash-sim; cat tree/sub/file; echo a >> tree/sub/new", projects=FLASH
    )
    assert back.split() == ["x", "bob"]
    assert repair(backend.state.projects / "shared-flash-sim", Rights(gid_of(backend.state, "flash-sim"))).changed == 0


@pytest.mark.root
async def test_whoever_is_no_member_sees_nothing(backend: LocalBackend) -> None:
    await run(backend, "alice", "echo secret > /projects/flash-sim/file", projects=FLASH)
    for projects in ((), ("quantum-lab",)):
        said = await run(
            backend, "carol", "ls -1 /projects 2>&1; cat /projects/flash-sim/file; id -G", projects=projects
        )
        assert "secret" not in said
        assert str(gid_of(backend.state, "flash-sim")) not in said.split()
        assert "flash-sim" not in said.split()
    path = backend.state.projects / "shared-flash-sim"
    assert "No such file" in await run(backend, "carol", f"ls {path}")
    # The number of the group alone, as a leaked right would give it, is what the mode asks for: carol has not got it.
    words = ["setpriv", "--reuid=65999", "--regid=65999", "--clear-groups", "ls", str(path)]
    assert os.spawnvp(os.P_WAIT, "setpriv", words) != 0


@pytest.mark.root
async def test_a_former_member_has_no_access_in_the_next_session(backend: LocalBackend) -> None:
    await run(
        backend,
        "alice",
        "echo secret > /projects/flash-sim/file; ln -s /projects/flash-sim/file ~/mine",
        projects=FLASH,
    )
    said = await run(backend, "alice", "cat ~/mine; ls /projects")
    assert "secret" not in said
    assert said.count("No such file") == 2


@pytest.mark.root
async def test_groups_have_names_and_only_the_own_ones(backend: LocalBackend) -> None:
    said = await run(backend, "alice", "id -Gn; echo $AIINFN_PROJECTS_FOLDER $AIINFN_PROJECT_FOLDER", projects=FLASH)
    assert said.splitlines() == ["alice project-flash-sim", "/projects /projects/flash-sim"]
    assert (await run(backend, "bob", "id -Gn; echo -$AIINFN_PROJECTS_FOLDER$AIINFN_PROJECT_FOLDER")).split() == [
        "bob",
        "-",
    ]
    gid = gid_of(backend.state, "flash-sim")
    assert GIDS.first <= gid <= GIDS.last
    assert not [one for one in grp.getgrall() if one.gr_gid == gid]


HOSTILE = """
import os, stat
os.chdir('/projects/flash-sim')
def attempt(word, act):
    try: act(); print(word, 'worked')
    except OSError as e: print(word, 'refused')
os.symlink('/home/bob', 'x'); os.symlink('/etc/shadow', 'shadow'); os.symlink('../../secrets', 'up')
open('new\\nline', 'w').close(); open(b'\\xff\\xfe', 'w').close(); open('-rf', 'w').close()
attempt('device', lambda: os.mknod('null', 0o666 | stat.S_IFCHR, os.makedev(1, 3)))
attempt('hardlink', lambda: os.link(os.path.expanduser('~/own'), 'hard'))
open('suid', 'w').write('#!/bin/sh'); os.chmod('suid', 0o6777)
attempt('chown', lambda: os.chown('suid', 0, 0))
attempt('top', lambda: os.chmod('.', 0o777))
"""


@pytest.mark.root
async def test_hostile_things_in_a_project_folder(backend: LocalBackend) -> None:
    """Links lead root nowhere; devices cannot be made and would not work; setuid gives nothing."""
    await run(backend, "bob", "echo bobs > ~/private; chmod 600 ~/private")
    await run(backend, "alice", "echo own > ~/own; chmod 600 ~/own")
    said = await run(backend, "alice", HOSTILE, projects=FLASH, program="/usr/bin/python3")
    assert said.split("\n") == ["device refused", "hardlink refused", "chown refused", "top refused"]
    folder = backend.state.projects / "shared-flash-sim"
    os.mknod(folder / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    shutil.copy("/usr/bin/id", folder / "root-id")
    (folder / "root-id").chmod(0o4755)
    before = {
        path: path.stat()
        for path in (Path("/etc/shadow"), backend.state.homes / "user-bob" / "private", backend.state.secrets)
    }
    backend.storage.repair()
    for path, was in before.items():
        now = path.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)
    said = await run(
        backend, "alice", "cd /projects/flash-sim; head -c1 device; ./root-id -u; cat x/private", projects=FLASH
    )
    assert "denied" in said
    assert str(uid_of(backend.state, "alice")) in said.split()
    assert "bobs" not in said
    assert (folder / "suid").stat().st_mode & (stat.S_ISUID | stat.S_ISGID) == 0


@pytest.mark.root
async def test_a_repair_is_not_led_astray_by_links_put_in_its_way(backend: LocalBackend) -> None:
    """Files and folders become links, and back, while root repairs: what the links lead to stays as it is."""
    backend.storage.prepare_project("flash-sim")
    folder, victim = backend.state.projects / "shared-flash-sim", backend.state.root / "victim"
    victim.mkdir(mode=0o700)
    (victim / "file").touch(mode=0o600)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            for number in range(20):
                place = folder / f"d{number}"
                place.mkdir(mode=0o700)
                os.chown(place, 65_700, 65_700)
                (place / "file").touch(mode=0o600)
                os.chown(place / "file", 65_700, 65_700)
            for number in range(20):
                place = folder / f"d{number}"
                (place / "file").unlink()
                (place / "file").symlink_to(victim / "file")
                (place / "file").unlink()
                place.rmdir()
                place.symlink_to(victim)
                place.unlink()

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        changed = sum(
            repair(folder, Rights(gid_of(backend.state, "flash-sim")), considerate=False).changed for _ in range(300)
        )
    finally:
        stop.set()
        swapper.join()
    assert changed > 0
    assert [(p.stat().st_mode & 0o7777, p.stat().st_gid) for p in (victim, victim / "file")] == [(0o700, 0), (0o600, 0)]


@pytest.mark.root
async def test_the_public_folder_is_written_by_its_writers_and_read_by_all(backend: LocalBackend) -> None:
    said = await run(
        backend,
        "alice",
        "umask 077; echo news > /public/file; mkdir /public/d; echo 2 > /public/d/f",
        writes_public=True,
    )
    assert said == ""
    await run(backend, "alice", "umask 077; echo moved > ~/m; chmod 600 ~/m; mv ~/m /public/m", writes_public=True)
    assert "denied" in await run(backend, "carol", "cat /public/m")
    backend.storage.repair()
    said = await run(
        backend,
        "carol",
        "cat /public/file /public/d/f /public/m; echo x >> /public/file; touch /public/d/new; rm -f /public/file",
    )
    assert said.split()[:3] == ["news", "2", "moved"]
    assert said.count("Read-only file system") + said.count("Permission denied") == 3
    assert (backend.state.public / "file").read_text() == "news\n"
    assert await run(backend, "bob", "echo more >> /public/d/f; cat /public/d/f", writes_public=True) == "2\nmore"
    assert "No such file" in await run(backend, "carol", "ls /public", public=False)


@pytest.mark.root
async def test_a_link_in_place_of_a_shared_folder_is_refused(backend: LocalBackend) -> None:
    (backend.state.projects / "shared-flash-sim").symlink_to("/etc")
    with pytest.raises(BackendError, match="shared-flash-sim cannot be used"):
        await run(backend, "alice", "true", projects=FLASH)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b"])
async def test_a_name_that_leads_elsewhere_is_refused(backend: LocalBackend, name: str) -> None:
    with pytest.raises(BackendError, match="cannot be the name"):
        await run(backend, "alice", "true", projects=(name,))
    with pytest.raises(BackendError, match="cannot be the name"):
        await run(backend, name, "true")


async def test_two_members_share_as_any_user(backend: LocalBackend) -> None:
    """Also where the platform is an ordinary user, and only the sandbox keeps people apart."""
    assert await run(backend, "alice", "umask 077; echo a > /projects/flash-sim/f", projects=FLASH) == ""
    assert (
        await run(backend, "bob", "cat /projects/flash-sim/f; echo b >> /projects/flash-sim/f", projects=FLASH) == "a"
    )
    assert "No such file" in await run(backend, "carol", "cat /projects/flash-sim/f")


async def test_ten_first_sessions_at_once(backend: LocalBackend) -> None:
    import asyncio

    said = await asyncio.gather(
        *(
            run(backend, f"p{number}", f"echo {number} > /projects/flash-sim/{number}", projects=FLASH)
            for number in range(10)
        )
    )
    assert said == [""] * 10
    assert len(list((backend.state.projects / "shared-flash-sim").iterdir())) == 10


@pytest.mark.root
async def test_limits_hold_in_sessions_and_a_full_home_still_starts_one() -> None:
    with btrfs() as disk:
        backend = installation(disk / "state")
        fill = "head -c 40M /dev/urandom > {0}/big; echo x > {0}/more"
        said = await run(backend, "alice", f"chmod 755 ~; {fill.format('~')}")
        assert said.count("Disk quota exceeded") == 2
        home = backend.storage.use(FolderKind.home, "alice")
        assert home is not None
        assert (home.enforced, home.writable, home.limit_bytes) == (True, False, int(0.02 * GIB))
        assert await run(backend, "alice", "rm ~/big; echo again > ~/more; cat ~/more") == "again"
        said = await run(backend, "alice", fill.format("/projects/flash-sim"), projects=FLASH)
        assert "Disk quota exceeded" in said
        said = await run(backend, "bob", "echo x > /projects/flash-sim/b; echo mine > ~/b; cat ~/b", projects=FLASH)
        assert "Disk quota exceeded" in said
        assert said.endswith("mine")
        project = backend.storage.use(FolderKind.project, "flash-sim")
        assert project is not None
        assert (project.enforced, project.writable, project.limit_bytes) == (True, False, int(0.01 * GIB))
        assert backend.storage.keys(FolderKind.home) == ["alice", "bob"]
        assert backend.storage.keys(FolderKind.project) == ["flash-sim"]
        assert backend.storage.use(FolderKind.home, "carol") is None


def test_numbers_of_folders_are_never_given_twice(tmp_path: Path) -> None:
    state = installation(tmp_path / "state").state
    first = gid_of(state, "one")
    assert [gid_of(state, "two"), gid_of(state, "one"), gid_of(state, "/public")] == [first + 1, first, first + 2]
    assert UIDS.last < GIDS.first
    (state.root / "gids.json").write_text(json.dumps({"one": GIDS.last}))
    with pytest.raises(BackendError, match="no gid is left"):
        gid_of(state, "three")
    (state.root / "gids.json").write_text("broken")
    with pytest.raises(BackendError, match="restore it from a backup"):
        gid_of(state, "one")


@pytest.mark.root
def test_the_acl_is_what_setfacl_would_write(tmp_path: Path) -> None:
    share(tmp_path, Rights(95_000))
    listed = command("getfacl", "-cpn", str(tmp_path)).split()
    expected = ["user::rwx", "group::rwx", "group:95000:rwx", "mask::rwx", "other::---"]
    assert listed == [*expected, *(f"default:{entry}" for entry in expected)]
    assert tmp_path.stat().st_mode & 0o7777 == 0o2770
    by_program = tmp_path / "by-program"
    by_program.mkdir()
    command("setfacl", "-b", "-k", str(by_program))
    command("setfacl", "-d", "-m", "u::rwx,g::rwx,g:95000:rwx,m::rwx,o::---", str(by_program))
    assert os.getxattr(by_program, DEFAULT) == acl(7, 95_000, 0)


@pytest.mark.root
def test_a_repair_ends_in_time(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / str(number)).touch(mode=0o600)
    found = repair(tmp_path, Rights(95_000), seconds=0.0)
    assert 0 < found.changed <= found.seen < 2000
    assert not found.complete
    assert repair(tmp_path, Rights(95_000)).complete
