"""A backup holds everything that it should and nothing else; what is tampered with is refused."""

from __future__ import annotations

import getpass
import io
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.backends.local.agreement import Agreement, Agreements
from jupyterhub_aiinfn.backends.local.backup import trees
from jupyterhub_aiinfn.backends.local.backup.checking import check_archive
from jupyterhub_aiinfn.backends.local.backup.databases import digest_of
from jupyterhub_aiinfn.backends.local.quota.btrfs import is_subvolume
from jupyterhub_aiinfn.backends.local.shared_rights import DEFAULT, Rights, share
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import AiinfnError, BackendError, StateError
from jupyterhub_aiinfn.supervisor.backup import backup, remarks
from jupyterhub_aiinfn.supervisor.known_values import values_to_start_with
from jupyterhub_aiinfn.supervisor.places import remember_values
from jupyterhub_aiinfn.supervisor.record import lock
from jupyterhub_aiinfn.supervisor.restore import restore
from jupyterhub_aiinfn.values import load_values

from .disks import btrfs, mounted, run

CONFIG = Path(__file__).parents[3] / "config"
ROOT = os.geteuid() == 0
OWNER = 65_600 if ROOT else os.getuid()
pytestmark = pytest.mark.slow
Listing = dict[str, tuple[Any, ...]]


def quiet(_: str) -> None:
    """Say nothing."""


def installation(root: Path) -> StateFolder:
    """A state folder with databases, secrets, a home full of odd things, a project's folder and the public one."""
    state = StateFolder(root)
    state.prepare()
    state.secret("service-token")
    state.people.write_text('{"alice": {"password": "hash"}}')
    (state.passwords / "alice").write_text("first")
    (state.root / "uids.json").write_text(json.dumps({"alice": OWNER}))
    for file in (state.hub / "jupyterhub.sqlite", state.service / "service.sqlite"):
        with sqlite3.connect(file) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("CREATE TABLE things (name TEXT)")
            database.execute("INSERT INTO things VALUES ('kept')")
        database.close()
    home = state.homes / "user-alice"
    home.mkdir(mode=0o700)
    furnish(home)
    (state.projects / "shared-lab").mkdir()
    (state.projects / "shared-lab" / "data").write_text("of the lab")
    if ROOT:
        share(state.projects / "shared-lab", Rights(95_000))
    state.public.mkdir(mode=0o755)
    (state.public / "news").write_text("for all")
    return state


def furnish(home: Path) -> None:
    """What people have in their homes, and what somebody with bad intentions has."""
    (home / "notebook.ipynb").write_text("{}")
    (home / "deep" / "er").mkdir(parents=True)
    (home / "deep" / "er" / "file").write_text("x" * 5000)
    (home / "new\nline").write_text("newline")
    Path(os.fsdecode(os.fsencode(home) + b"/\xff\xfe")).write_text("no UTF-8")
    for name in ("-rf", "--checkpoint-action=exec=sh", "*", "a\\b", "[x]", " ", "$(id)"):
        (home / name).write_text(name)
    os.link(home / "notebook.ipynb", home / "hard")
    (home / "absolute").symlink_to("/etc/passwd")
    (home / "projects").symlink_to("/projects")
    (home / "up").symlink_to("../../secrets")
    (home / "nowhere").symlink_to("missing")
    os.mkfifo(home / "fifo")
    with (home / "holes").open("wb") as stream:
        stream.truncate(2**40)
        stream.seek(2**30)
        stream.write(b"in the middle")
    (home / "readonly").write_text("r")
    (home / "readonly").chmod(0o400)
    (home / "own-suid").write_text("x")
    if ROOT:
        for path in [home, *home.rglob("*")]:
            os.chown(path, OWNER, OWNER, follow_symlinks=False)
        (home / "own-suid").chmod(0o4755)
    os.setxattr(home / "deep", "user.note", b"kept\0too")


def listing(folder: Path) -> Listing:
    """Everything that must be the same afterwards: kinds, modes, owners, times, targets, contents, ACLs."""
    return {str(path.relative_to(folder)): described(path) for path in [folder, *folder.rglob("*")]}


def described(path: Path) -> tuple[Any, ...]:
    was = path.lstat()
    linked = str(path.readlink()) if path.is_symlink() else ""
    plain = path.is_file() and not linked
    data = path.read_bytes() if plain and was.st_size < 2**20 else was.st_size * plain
    names = [] if linked or path.is_fifo() else os.listxattr(path)
    marks = {name: os.getxattr(path, name) for name in names}
    links = was.st_nlink if plain else 0
    return was.st_mode, was.st_uid, was.st_gid, links, int(was.st_mtime), linked, data, marks


@pytest.fixture
def state(tmp_path: Path) -> StateFolder:
    return installation(tmp_path / "state")


@pytest.fixture
def whole(state: StateFolder, tmp_path: Path) -> Path:
    """A backup of it."""
    backup(tmp_path / "backup", state.root, None, quiet)
    return tmp_path / "backup"


def test_what_comes_back_is_what_there_was(state: StateFolder, tmp_path: Path) -> None:
    said: list[str] = []
    manifest = backup(tmp_path / "backup", state.root, None, said.append)
    assert any("homes/user-alice" in line for line in said)
    assert remarks(manifest) == []
    for path in [tmp_path / "backup", *(tmp_path / "backup").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0
    assert restore(tmp_path / "backup", tmp_path / "again", replace=False, say=quiet) is None
    again = StateFolder(tmp_path / "again")
    for part in ("homes/user-alice", "projects/shared-lab", "public", "secrets", "passwords"):
        assert listing(again.root / part) == listing(state.root / part), part
    assert (again.homes / "user-alice" / "holes").stat().st_blocks < 100
    assert again.people.read_text() == state.people.read_text()
    assert again.secret("service-token") == state.secret("service-token")
    for file in ("hub/jupyterhub.sqlite", "service/service.sqlite"):
        with sqlite3.connect(again.root / file) as database:
            assert database.execute("SELECT name FROM things").fetchall() == [("kept",)]
        assert (again.root / file).stat().st_mode & 0o077 == 0
    assert again.root.stat().st_mode & 0o777 == 0o711
    if ROOT:
        assert os.getxattr(again.projects / "shared-lab", DEFAULT)
    assert not list(tmp_path.glob("*.restoring-*")) + list(tmp_path.glob("*.partial-*"))


def test_what_runs_is_not_in_it_and_what_ended_is(state: StateFolder, tmp_path: Path) -> None:
    for name, ended in (("w" + "1" * 20, True), ("w" + "2" * 20, False)):
        (state.workloads / name).mkdir()
        (state.workloads / name / "spec").write_text("{}")
        if ended:
            (state.workloads / name / "ended").write_text("{}")
    state.supervisor.write_text("{}")
    (state.logs / "hub.log").write_text("long")
    backup(tmp_path / "backup", state.root, None, quiet)
    restore(tmp_path / "backup", tmp_path / "again", replace=False, say=quiet)
    again = StateFolder(tmp_path / "again")
    assert [path.name for path in again.workloads.iterdir()] == ["w" + "1" * 20]
    assert not again.supervisor.exists()
    assert list(again.logs.iterdir()) == []


def test_a_database_that_is_written_to_is_copied_in_one_piece(state: StateFolder, tmp_path: Path) -> None:
    """Pairs of rows are written together: a copy never has one of a pair."""
    stop, file = threading.Event(), state.hub / "jupyterhub.sqlite"

    def write() -> None:
        database = sqlite3.connect(file, timeout=30)
        number = 0
        while not stop.is_set():
            number += 1
            with database:
                database.executemany("INSERT INTO things VALUES (?)", [(f"pair-{number}",)] * 2)
        database.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(0.2)
        backup(tmp_path / "backup", state.root, None, quiet)
    finally:
        stop.set()
        writer.join()
    restore(tmp_path / "backup", tmp_path / "again", replace=False, say=quiet)
    with sqlite3.connect(tmp_path / "again" / "hub" / "jupyterhub.sqlite") as database:
        counts = database.execute("SELECT name, count(*) FROM things GROUP BY name").fetchall()
    assert len(counts) > 3
    assert {count for name, count in counts if name != "kept"} == {2}


def test_files_that_change_meanwhile_are_listed(state: StateFolder, tmp_path: Path) -> None:
    growing, stop = state.homes / "user-alice" / "growing", threading.Event()
    growing.write_bytes(b"x" * 200 * 1024 * 1024)

    def grow() -> None:
        while not stop.is_set():
            with growing.open("ab") as stream:
                stream.write(b"y")

    grower = threading.Thread(target=grow)
    grower.start()
    try:
        manifest = backup(tmp_path / "backup", state.root, None, quiet)
    finally:
        stop.set()
        grower.join()
    assert [line for line in remarks(manifest) if "changed while" in line and "growing" in line]
    restore(tmp_path / "backup", tmp_path / "again", replace=False, say=quiet)
    assert (tmp_path / "again" / "homes" / "user-alice" / "growing").stat().st_size >= 200 * 1024 * 1024


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("applied", [False, True])
def test_a_start_after_a_restore_has_the_values_of_the_backup(
    state: StateFolder, tmp_path: Path, elsewhere: bool, applied: bool
) -> None:
    """Values that a platform was started with, or that were applied for its next start while it was away."""
    file = tmp_path / "mine.yaml"
    file.write_text((CONFIG / "local.yaml").read_text().replace("AI_INFN on this machine", "A site of its own"))
    agreements = Agreements(state)
    agreement = Agreement(agreements.store(load_values(file)), str(file), waiting=("limits",))
    if applied:
        agreements.put_next(agreement)
    else:
        agreements.agree(agreement)
        remember_values(state, file)
    manifest = backup(tmp_path / "backup", state.root, None, quiet)
    assert manifest.values_file == str(file)
    if elsewhere:
        file.unlink()
    again = StateFolder(tmp_path / "again")
    restore(tmp_path / "backup", again.root, replace=False, say=quiet)
    known = values_to_start_with(None, again)
    assert known.values.site.name == "A site of its own"
    assert known.file == (again.root / "values.yaml" if elsewhere else file)
    assert load_values(known.file).site.name == "A site of its own"
    left = Agreements(again).next()
    assert left is not None
    assert left.waiting == ()


@pytest.mark.root
def test_on_btrfs_it_is_of_one_moment_and_comes_back_as_subvolumes(tmp_path: Path) -> None:
    with btrfs(400) as disk:
        from jupyterhub_aiinfn.backends.local.quota.choose import choose_quota

        state = StateFolder(disk / "state")
        state.prepare()
        home = state.homes / "user-alice"
        choose_quota(state.homes).prepare(home, 50 * 1024 * 1024)
        furnish(home)
        manifest = backup(tmp_path / "backup", state.root, None, quiet)
        assert [part.snapshot for part in manifest.parts if part.name == "homes/user-alice"] == [True]
        assert [path.name for path in state.homes.iterdir()] == ["user-alice"]
        restore(tmp_path / "backup", disk / "again", replace=False, say=quiet)
        again = disk / "again" / "homes" / "user-alice"
        assert is_subvolume(again)
        assert listing(again) == listing(home)


@pytest.mark.root
@pytest.mark.parametrize("home_is", ["subvolume", "folder"])
def test_nested_subvolumes_are_named_as_left_out(tmp_path: Path, home_is: str) -> None:
    with btrfs(400, quota=home_is == "subvolume") as disk:
        from jupyterhub_aiinfn.backends.local.quota.choose import choose_quota

        state = StateFolder(disk / "state")
        state.prepare()
        home = state.homes / "user-alice"
        choose_quota(state.homes).prepare(home, None)
        assert is_subvolume(home) == (home_is == "subvolume")
        (home / "deep").mkdir()
        (home / "deep" / "kept").write_text("kept")
        run("btrfs", "subvolume", "create", str(home / "deep" / "nested"))
        (home / "deep" / "nested" / "file").write_text("not seen by the quota")
        manifest = backup(tmp_path / "backup", state.root, None, quiet)
        (line,) = [line for line in remarks(manifest) if "nested" in line]
        assert line.startswith("not in the backup: homes/user-alice: a ")
        assert "subvolume" in line
        restore(tmp_path / "backup", disk / "again", replace=False, say=quiet)
        assert [path.name for path in (disk / "again" / "homes" / "user-alice" / "deep").iterdir()] == ["kept"]


@pytest.mark.root
def test_what_a_killed_backup_left_is_taken_away_by_the_next(tmp_path: Path) -> None:
    with btrfs(400) as disk:
        from jupyterhub_aiinfn.backends.local.quota.choose import choose_quota

        state = StateFolder(disk / "state")
        state.prepare()
        home = state.homes / "user-alice"
        choose_quota(state.homes).prepare(home, None)
        (home / "big").write_bytes(os.urandom(64 * 1024 * 1024))
        target = tmp_path / "backup"
        process = subprocess.Popen([sys.executable, "-c", BACKUP, str(target), str(state.root)])
        while not list(state.homes.glob(".backup-*")):
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not target.exists()
        assert list(tmp_path.glob("backup.partial-*"))
        backup(target, state.root, None, quiet)
        assert not list(state.homes.glob(".backup-*")) + list(tmp_path.glob("backup.partial-*"))


BACKUP = """
import sys
from pathlib import Path
from jupyterhub_aiinfn.supervisor.backup import backup
backup(Path(sys.argv[1]), Path(sys.argv[2]), None, print)
"""
RESTORE = """
import sys
from pathlib import Path
from jupyterhub_aiinfn.supervisor.restore import restore
restore(Path(sys.argv[1]), Path(sys.argv[2]), replace=True, say=lambda line: print(line, flush=True))
"""


def test_a_killed_restore_leaves_the_state_folder_as_it_was(whole: Path, tmp_path: Path) -> None:
    """Killed at many moments: the folder is the old one or the new one, never half of one; the next restore tidies."""
    place = tmp_path / "old"
    StateFolder(place).prepare()
    (place / "old").write_text("old")
    outcomes = set()
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5):
        process = subprocess.Popen(
            [sys.executable, "-c", RESTORE, str(whole), str(place)], stdout=subprocess.PIPE, start_new_session=True
        )
        assert process.stdout is not None
        process.stdout.readline()  # all is checked, unpacking begins
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        is_old, is_new = (place / "old").exists(), (place / "homes" / "user-alice" / "notebook.ipynb").exists()
        assert is_old != is_new
        outcomes.add(is_old)
        StateFolder(place).prepare()  # what a start does first
    assert True in outcomes
    restore(whole, place, replace=True, say=quiet)
    assert not list(tmp_path.glob("old.restoring-*"))
    assert [path for path in tmp_path.glob("old.before-restore-*") if (path / "old").exists()]


def test_nothing_is_replaced_without_being_told(whole: Path, state: StateFolder, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is there already"):
        backup(whole, state.root, None, quiet)
    with pytest.raises(StateError, match="is not empty"):
        restore(whole, state.root, replace=False, say=quiet)
    held = lock(state)
    try:
        with pytest.raises(StateError, match="runs; stop it"):
            restore(whole, state.root, replace=True, say=quiet)
    finally:
        os.close(held)
    before = listing(state.homes / "user-alice")
    old = restore(whole, state.root, replace=True, say=quiet)
    assert old is not None
    assert listing(old / "homes" / "user-alice") == before == listing(state.homes / "user-alice")
    (tmp_path / "link").symlink_to(state.root)
    with pytest.raises(StateError, match="is a link"):
        restore(whole, tmp_path / "link", replace=True, say=quiet)
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="is no folder"):
        restore(whole, tmp_path / "file", replace=True, say=quiet)
    (tmp_path / "empty").mkdir()
    restore(whole, tmp_path / "empty", replace=False, say=quiet)


def test_wrong_places_are_sentences(state: StateFolder, tmp_path: Path) -> None:
    with pytest.raises(StateError, match="there is no folder"):
        backup(tmp_path / "none" / "backup", state.root, None, quiet)
    with pytest.raises(StateError, match="must not be in the state folder"):
        backup(state.homes / "backup", state.root, None, quiet)
    with pytest.raises(StateError, match="there is no state folder"):
        backup(tmp_path / "backup", tmp_path / "none", None, quiet)
    with pytest.raises(StateError, match="is not a backup"):
        restore(tmp_path, tmp_path / "again", replace=False, say=quiet)
    with pytest.raises(StateError, match="is not a backup"):
        restore(tmp_path / "none", tmp_path / "again", replace=False, say=quiet)
    assert not (tmp_path / "again").exists()


def test_two_backups_at_once_are_one_after_the_other(state: StateFolder, tmp_path: Path) -> None:
    outcomes: list[object] = []

    def make(number: int) -> None:
        try:
            outcomes.append(backup(tmp_path / f"b{number}", state.root, None, quiet))
        except StateError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [one for one in outcomes if isinstance(one, str)]
    assert len(refused) < 4
    assert all("another backup" in one for one in refused)
    assert len(list(tmp_path.glob("b[0-3]"))) == 4 - len(refused)


@pytest.mark.root
def test_a_full_disk_is_a_sentence_and_leaves_nothing(state: StateFolder, whole: Path) -> None:
    (state.homes / "user-alice" / "big").write_bytes(os.urandom(20 * 1024 * 1024))
    with mounted("ext4", 16) as disk:
        with pytest.raises(AiinfnError, match="No space left"):
            backup(disk / "backup", state.root, None, quiet)
        assert [path.name for path in disk.iterdir()] == ["lost+found"]
        large = whole.with_name("large")
        backup(large, state.root, None, quiet)
        with pytest.raises(AiinfnError, match="No space left"):
            restore(large, disk / "state", replace=False, say=quiet)
        assert [path.name for path in disk.iterdir()] == ["lost+found"]


# What is never kept


@pytest.mark.root
def test_devices_and_programs_of_root_are_left_out_and_said(state: StateFolder, tmp_path: Path) -> None:
    home = state.homes / "user-alice"
    os.mknod(home / "dev\nice", 0o666 | 0o020000, os.makedev(1, 3))
    shutil.copy("/usr/bin/id", home / "[x]root")
    (home / "[x]root").chmod(0o4755)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(home / "socket"))
    listener.close()
    (state.root / "link").symlink_to("/etc")
    lines = remarks(backup(tmp_path / "backup", state.root, None, quiet))
    text = "\n".join(lines)
    assert len(lines) == 4
    for words in ("a device", "a program with root's rights: [x]root", "socket ignored", "a link: link"):
        assert words in text
    restore(tmp_path / "backup", tmp_path / "again", replace=False, say=quiet)
    again = tmp_path / "again" / "homes" / "user-alice"
    assert not any((again / name).exists() for name in ("dev\nice", "[x]root", "socket"))
    assert (again / "[x]").exists()


def deep(folder: Path, levels: int) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=descriptor)
        below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


@pytest.fixture
def memory() -> Iterator[Path]:
    """Where ten thousand folders are quickly made and removed."""
    folder = Path("/dev/shm") / f"aiinfn-test-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    yield folder
    assert os.system(f"rm -rf {folder}") == 0


def test_ten_thousand_levels_fail_nothing(memory: Path) -> None:
    (memory / "home").mkdir()
    deep(memory / "home", 10_000)
    (memory / "home" / "file").write_text("kept")
    begun = time.monotonic()
    written = trees.pack(memory / "home", memory / "home.tar")
    assert time.monotonic() - begun < 10
    assert "more than 200 folders below one another" in written.left_out[0]
    check_archive(memory / "home.tar", links=True)
    (memory / "again").mkdir()
    trees.unpack(memory / "home.tar", memory / "again", as_root=ROOT)
    assert (memory / "again" / "file").read_text() == "kept"
    assert (memory / "again" / ("d/" * 200)).is_dir()


@pytest.mark.parametrize(("tops", "kept"), [(1, True), (2100, False)])
def test_much_that_is_not_kept_fails_nothing(memory: Path, tops: int, kept: bool) -> None:
    """Thousands of paths that are too long: their topmost folders are left out, or everything."""
    home = memory / "home"
    (home / "good").mkdir(parents=True)
    (home / "good" / "file").touch()
    for number in range(tops):
        place = os.open(home, os.O_RDONLY)
        for name in [f"t{number}", *["n" * 250] * 15]:
            os.mkdir(name, dir_fd=place)
            below = os.open(name, os.O_RDONLY, dir_fd=place)
            os.close(place)
            place = below
        for file in range(300 if tops == 1 else 1):
            os.mkdir(f"{file:0250}", dir_fd=place)
        os.close(place)
    written = trees.pack(home, memory / "home.tar")
    assert "more than" in written.left_out[0]
    with tarfile.open(memory / "home.tar") as archive:
        names = archive.getnames()
    assert ("./good/file" in names) == kept
    assert not [name for name in names if name.startswith("./t")]


def test_a_file_that_cannot_be_read_is_said(state: StateFolder, tmp_path: Path) -> None:
    """For root everything can be read: this one is a platform of an ordinary user."""
    if ROOT:
        for path in [tmp_path, state.root, *state.root.rglob("*")]:
            os.chown(path, 12_345, 12_345, follow_symlinks=False)
        ours = Path(tempfile.gettempdir()) / f"pytest-of-{getpass.getuser()}"
        for folder in [one for one in tmp_path.parents if one.is_relative_to(ours)]:
            folder.chmod(0o711)
    (state.homes / "user-alice" / "closed").mkdir(mode=0)
    code = "import os,sys; sys.path[:] = sys.argv[1:2] + sys.path\n" + (
        "from pathlib import Path\nfrom jupyterhub_aiinfn.supervisor.backup import backup, remarks\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(12345); os.setuid(12345)\n"
        "print(*remarks(backup(Path(sys.argv[2]), Path(sys.argv[3]), None, str)), sep='\\n')"
    )
    words = [sys.executable, "-c", code, str(Path.cwd()), str(tmp_path / "backup"), str(state.root)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "not in the backup: homes/user-alice: ./closed: Cannot open: Permission denied" in done.stdout
    if ROOT:
        with pytest.raises(StateError, match="made by the user id 12345"):
            restore(tmp_path / "backup", tmp_path / "again", replace=False, say=quiet)


# What somebody has tampered with


def member(name: str, **given: Any) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    for key, value in given.items():
        setattr(found, key, value)
    return found


TOP = member(".", type=tarfile.DIRTYPE, mode=0o755)
FILE = member("./a")
HOSTILE: dict[str, list[tarfile.TarInfo]] = {
    "absolute": [TOP, member("/etc/cron.d/x")],
    "above": [TOP, member("./../x")],
    "above in the middle": [TOP, member("./a", type=tarfile.DIRTYPE), member("./a/../../x")],
    "through a link": [TOP, member("./a", type=tarfile.SYMTYPE, linkname="/etc"), member("./a/x")],
    "a link, then a folder": [
        TOP,
        member("./a", type=tarfile.SYMTYPE, linkname="/etc"),
        member("./a", type=tarfile.DIRTYPE),
        member("./a/x"),
    ],
    "twice": [TOP, FILE, FILE],
    "no folder above": [TOP, member("./a/b")],
    "hard link to the machine": [TOP, member("./a", type=tarfile.LNKTYPE, linkname="/etc/shadow")],
    "hard link above": [TOP, member("./a", type=tarfile.LNKTYPE, linkname="./../../x")],
    "hard link to nothing": [TOP, member("./a", type=tarfile.LNKTYPE, linkname="./b")],
    "character device": [TOP, member("./a", type=tarfile.CHRTYPE, devmajor=1, devminor=1)],
    "block device": [TOP, member("./a", type=tarfile.BLKTYPE, devmajor=8, devminor=0)],
    "setuid root": [TOP, member("./a", mode=0o4755, uid=0)],
    "setgid root": [TOP, member("./a", mode=0o2755, gid=0, uid=1000)],
    "too long": [TOP, member("./" + "x/" * 2500)],
    "unknown type": [TOP, member("./a", type=b"Z")],
}


def tampered(source: Path, part: str, change: Callable[[Path], None]) -> None:
    """Change one part and its checksum in the manifest."""
    manifest = json.loads((source / "manifest.json").read_text())
    entry = next(one for one in manifest["parts"] if one["name"] == part)
    change(source / entry["file"])
    entry["size"], entry["sha256"] = digest_of(source / entry["file"])
    (source / "manifest.json").write_text(json.dumps(manifest))


def write_archive(file: Path, members: list[tarfile.TarInfo]) -> None:
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for one in members:
            archive.addfile(one, io.BytesIO())


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused_before_anything_is_written(whole: Path, tmp_path: Path, name: str) -> None:
    tampered(whole, "homes/user-alice", lambda file: write_archive(file, HOSTILE[name]))
    with pytest.raises(StateError, match="tampered with"):
        restore(whole, tmp_path / "again", replace=False, say=quiet)
    assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob("again*"))


def test_a_link_in_the_state_is_refused(whole: Path, tmp_path: Path) -> None:
    link = member("./people.json", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    tampered(whole, ".", lambda file: write_archive(file, [TOP, link]))
    with pytest.raises(StateError, match="a link"):
        restore(whole, tmp_path / "again", replace=False, say=quiet)


@pytest.mark.root
@pytest.mark.parametrize("name", ["character device", "setuid root", "absolute", "above", "hard link to the machine"])
def test_what_tar_unpacks_is_looked_at_again(tmp_path: Path, name: str) -> None:
    """Should an archive be read in another way by tar than by the check: nothing forbidden may come out of it."""
    from jupyterhub_aiinfn.backends.local.backup.checking import check_unpacked

    write_archive(tmp_path / "a.tar", HOSTILE[name])
    (tmp_path / "in").mkdir()
    try:
        trees.unpack(tmp_path / "a.tar", tmp_path / "in", as_root=True)
        check_unpacked(tmp_path / "in", links=True)
    except (StateError, BackendError):
        refused = True
    else:
        refused = name == "absolute"  # tar leaves the leading / out
    assert refused
    assert not Path("/etc/cron.d/x").exists()
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"file": "../../etc/passwd"},
        {"file": "/etc/passwd"},
        {"name": "homes/../../x"},
        {"name": "homes/.."},
        {"name": "../x"},
        {"name": "secrets"},
        {"name": "homes"},
        {"name": "homes/a/b"},
        {"kind": "database", "name": "../x.sqlite"},
        {"kind": "state", "name": "homes/x"},
        {"name": "."},
        {"kind": "folder", "name": ""},
    ],
)
def test_a_manifest_that_leads_elsewhere_is_refused(whole: Path, tmp_path: Path, change: dict[str, str]) -> None:
    manifest = json.loads((whole / "manifest.json").read_text())
    next(one for one in manifest["parts"] if one["name"] == "homes/user-alice").update(change)
    (whole / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(StateError, match="tampered with"):
        restore(whole, tmp_path / "again", replace=False, say=quiet)
    assert not list(tmp_path.glob("again*"))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{" * 100_000, '{"format": 1}', "\0"])
def test_a_broken_manifest_is_a_sentence(whole: Path, tmp_path: Path, text: str) -> None:
    (whole / "manifest.json").write_text(text)
    with pytest.raises(StateError, match="damaged"):
        restore(whole, tmp_path / "again", replace=False, say=quiet)


def test_damage_is_noticed(whole: Path, tmp_path: Path) -> None:
    def flip(file: Path) -> None:
        with file.open("r+b") as stream:
            stream.seek(700)
            byte = stream.read(1)
            stream.seek(700)
            stream.write(bytes([byte[0] ^ 1]))

    for file in sorted(whole.glob("*.*")):
        if file.name in ("manifest.json", "values.yaml"):
            continue
        flip(file)
        with pytest.raises(StateError, match="checksum differs"):
            restore(whole, tmp_path / "again", replace=False, say=quiet)
        flip(file)
    file = next(whole.glob("folder-*.tar"))
    file.rename(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="the backup lacks"):
        restore(whole, tmp_path / "again", replace=False, say=quiet)
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StateError, match="the backup lacks"):
        restore(whole, tmp_path / "again", replace=False, say=quiet)


@pytest.mark.parametrize("data", [b"", b"x" * 5000, b"\0" * 1024, os.urandom(10_240)])
def test_what_is_no_archive_or_database_is_a_sentence(whole: Path, tmp_path: Path, data: bytes) -> None:
    for part in ("homes/user-alice", "hub/jupyterhub.sqlite"):
        tampered(whole, part, lambda file: file.write_bytes(data) and None)
        if part.endswith("sqlite") and not data:
            continue  # SQLite takes an empty file for an empty database
        with pytest.raises(StateError):
            restore(whole, tmp_path / "again", replace=False, say=quiet)
        break
    assert not (tmp_path / "again").exists() or data == b"\0" * 1024
