"""Homes as nobody would make them on purpose, measured and cleaned up by the programs that the server starts."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyterhub_aiinfn.singleuser.cleanup.known import KNOWN
from jupyterhub_aiinfn.singleuser.cleanup.names import identifier, names_of, text
from tests import filesystems

UID = 65_701
DROP = "os.setgroups([]); os.setresgid(*[{0}] * 3); os.setresuid(*[{0}] * 3); "
ODD_NAMES = [
    b"line\nbreak",
    b"\xff\xfe not UTF-8",
    b"<img src=x onerror=alert(1)>",
    b"-rf",
    b" ",
    b"a\\nb",
    "\u202egpj.exe".encode(),
    b"'\"$(touch x)`",
    b"x" * 255,
]


def program(module: str, home: Path, *words: str, given: object = None, uid: int | None = None) -> list[dict[str, Any]]:
    """Run one of the programs, as a person when ``uid`` is given; its lines."""
    name = f"jupyterhub_aiinfn.singleuser.cleanup.{module}"
    drop = DROP.format(uid) if uid is not None else ""
    code = f"import os, sys; from {name} import main; {drop}main(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(home), *words],
        input=json.dumps(given).encode(),
        capture_output=True,
        check=False,
        cwd="/",
    )
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def scan(home: Path, uid: int | None = None) -> dict[str, Any]:
    return program("scanning", home, uid=uid)[-1]


def delete(home: Path, *paths: bytes, known: tuple[str, ...] = (), uid: int | None = None) -> dict[str, Any]:
    """Count, delete, and see that both say the same when nothing is refused."""
    given = {"paths": [base64.urlsafe_b64encode(path).decode() for path in paths], "known": list(known)}
    counted = program("deleting", home, "count", given=given, uid=uid)[-1]
    done = program("deleting", home, "delete", given=given, uid=uid)[-1]
    if not done["refused"] and not counted["refused"]:
        assert (counted["files"], counted["folders"]) == (done["files"], done["folders"])
    return done


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def open_home() -> Iterator[Path]:
    """One that other people than root can reach."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-test-", dir="/tmp"))
    folder.chmod(0o711)
    (folder / "home").mkdir(mode=0o700)
    os.chown(folder / "home", UID, UID)
    yield folder / "home"
    filesystems.run("rm", "-rf", folder)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_any_name_is_listed_shown_safely_and_deleted(home: Path, name: bytes) -> None:
    (Path(os.fsdecode(os.fsencode(home) + b"/" + name))).write_bytes(b"x" * 10_000)
    (home / "stays").write_text("y")
    row = scan(home)["largest_files"][0]
    assert names_of(row["id"]) == (name,)
    assert row["path"].isprintable()
    assert delete(home, name)["files"] == 1
    assert [file.name for file in home.iterdir()] == ["stays"]


def test_two_names_that_look_alike_are_told_apart() -> None:
    assert len({text((name,)) for name in (b"a\nb", b"a\\nb", b"\xff", b"\\xff")}) == 4


@pytest.mark.parametrize(
    "path", [b"", b".", b"..", b"/etc", b"a/../b", b"a//b", b"a/", b"a/./b", b"a\0b", b"x" * 70_000]
)
def test_a_path_that_could_lead_out_is_no_path(path: bytes) -> None:
    with pytest.raises(ValueError):
        names_of(base64.urlsafe_b64encode(path).decode())


@pytest.mark.parametrize("said", ["é", "YQ", "Y Q==", "+/+/", "YQ==\n"])
def test_what_is_not_an_identifier_is_refused(said: str) -> None:
    with pytest.raises(ValueError):
        names_of(said)


def test_identifiers_come_back() -> None:
    for name in ODD_NAMES:
        assert names_of(identifier((b"a", name))) == (b"a", name)


def test_links_are_not_followed(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_bytes(b"x" * 100_000)
    (home / "a").mkdir()
    (home / "a" / "link").symlink_to(outside)
    (home / "top").symlink_to(outside)
    found = scan(home)
    assert found["bytes"] < 50_000
    assert delete(home, b"a", b"top")["refused"] == 0
    assert (outside / "precious").exists()
    assert is_empty(home)


def test_a_chosen_path_through_a_link_leads_nowhere(home: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    (home / "link").symlink_to(outside)
    done = delete(home, b"link/precious")
    assert (outside / "precious").exists()
    assert (done["files"], done["refused"]) == (0, 1)


def test_a_link_swapped_in_while_deleting_never_leads_outside(home: Path, tmp_path: Path) -> None:
    """Somebody exchanges folders for links as fast as they can while hundreds of folders are being deleted."""
    outside = tmp_path / "outside"
    for number in range(300):
        (outside / f"d{number}").mkdir(parents=True)
        (outside / f"d{number}" / "f").write_text("precious")
        (home / "all" / f"d{number}").mkdir(parents=True)
        for name in range(3):
            (home / "all" / f"d{number}" / f"f{name}").write_text("x")
    stop = threading.Event()
    swapped = 0

    def swap() -> None:
        nonlocal swapped
        while not stop.is_set():
            for number in range(299, 0, -3):
                folder = home / "all" / f"d{number}"
                try:
                    folder.rename(home / f"moved-{number}")
                    folder.symlink_to(outside / f"d{number}")
                    swapped += 1
                except OSError:
                    continue

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        given = {"paths": [base64.urlsafe_b64encode(b"all").decode()], "known": []}
        program("deleting", home, "delete", given=given)
    finally:
        stop.set()
        thread.join()
    assert swapped
    assert len(list(outside.glob("*/f"))) == 300


def test_a_file_with_many_names_counts_once_and_frees_room_with_the_last(home: Path) -> None:
    (home / "a").mkdir()
    (home / "a" / "one").write_bytes(os.urandom(100_000))
    (home / "two").hardlink_to(home / "a" / "one")
    assert 100_000 <= scan(home)["bytes"] < 150_000
    assert delete(home, b"a/one")["bytes"] == 0
    assert (home / "two").read_bytes()
    assert delete(home, b"two")["bytes"] >= 100_000


def test_thousands_of_folders_inside_one_another(home: Path) -> None:
    descriptor = os.open(home, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir(b"deep", dir_fd=descriptor)
        inner = os.open(b"deep", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(os.open(b"file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    found = scan(home)
    assert (found["files"], found["folders"]) == (1, 1500)
    assert delete(home, b"deep")["folders"] == 1500
    assert is_empty(home)


def test_files_that_vanish_meanwhile_are_passed_over(home: Path) -> None:
    for number in range(100):
        (home / f"d{number}").mkdir()
        for name in range(20):
            (home / f"d{number}" / f"f{name}").touch()
    rest = threading.Thread(target=filesystems.run, args=("sh", "-c", f"rm -rf {home}/d1*"))
    rest.start()
    found = scan(home)
    rest.join()
    assert found["done"]
    assert found["files"] <= 2000
    assert scan(home)["files"] == 20 * len(list(home.iterdir()))


def test_safe_folders_are_added_up_and_deleted_wherever_they_are(home: Path) -> None:
    for place in (
        ".cache/pip/http",
        "a/__pycache__",
        "a/b/__pycache__",
        "a/.ipynb_checkpoints",
        ".local/share/Trash/files",
    ):
        (home / place).mkdir(parents=True)
        (home / place / "one").write_bytes(b"x" * 5000)
    (home / "cache/pip").mkdir(parents=True)
    (home / "cache/pip" / "mine").write_text("not a cache: it only looks like one")
    found = {one["key"]: one["files"] for one in scan(home)["known"]}
    assert found == {"pip": 1, "pycache": 2, "checkpoints": 1, "trash": 1}
    done = delete(home, known=("pip", "pycache", "checkpoints", "trash"))
    assert (done["files"], done["refused"]) == (5, 0)
    assert {one["files"] for one in scan(home)["known"]} == set()
    assert (home / "cache/pip/mine").exists()
    assert (home / "a/b").is_dir()


def test_every_kind_says_what_it_is_and_what_happens() -> None:
    for one in KNOWN:
        assert one.explanation.endswith(".")
        assert bool(one.paths) != bool(one.name), one.key


def test_a_path_inside_another_chosen_one_is_deleted_once(home: Path) -> None:
    (home / "a/b").mkdir(parents=True)
    (home / "a/b/f").write_text("x")
    done = delete(home, b"a/b/f", b"a", b"a/b")
    assert (done["files"], done["folders"], done["refused"]) == (1, 2, 0)


def test_what_is_gone_already_is_no_fault(home: Path) -> None:
    assert delete(home, b"never", b"never/there") == {
        "done": True,
        "files": 0,
        "folders": 0,
        "bytes": 0,
        "refused": 0,
        "refusals": [],
    }


@pytest.mark.root
def test_a_closed_folder_of_ones_own_is_opened_and_deleted(open_home: Path) -> None:
    """Go makes its cache read-only; who owns it wants it gone all the same."""
    for mode in (0o500, 0o000, 0o600):
        folder = open_home / f"m{mode:o}"
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "f").write_text("x")
        filesystems.run("chown", "-R", UID, folder)
        (folder / "inner").chmod(mode)
        folder.chmod(mode)
    assert delete(open_home, b"m500", b"m0", b"m600", uid=UID)["refused"] == 0
    assert is_empty(open_home)


@pytest.mark.root
def test_what_belongs_to_others_is_listed_and_why_it_stays_is_said(open_home: Path) -> None:
    (open_home / "theirs").mkdir()
    (open_home / "theirs" / "f").write_bytes(b"x" * 50_000)
    (open_home / "mine").mkdir()
    (open_home / "mine" / "f").write_text("x")
    filesystems.run("chown", "-R", UID, open_home / "mine")
    found = scan(open_home, uid=UID)
    assert found["foreign"]["count"] == 2
    assert found["largest_files"][0]["owner"] == 0
    done = delete(open_home, b"theirs", b"mine", uid=UID)
    assert [file.name for file in open_home.iterdir()] == ["theirs"]
    assert (open_home / "theirs" / "f").exists()
    assert "belongs to another user (user id 0)" in done["refusals"][0]["why"]


@pytest.mark.root
def test_a_mount_is_neither_counted_nor_deleted(home: Path, tmp_path: Path) -> None:
    """Also a folder of the same file system, as a project's may be."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "precious").write_bytes(b"x" * 100_000)
    with filesystems.mounted(str(project), home / "work" / "project", "--bind"):
        (home / "work" / "mine").write_text("x")
        found = scan(home)
        assert found["bytes"] < 50_000
        assert found["elsewhere"] == {"count": 1, "examples": ["work/project"]}
        for chosen in (b"work/project/precious", b"work/project", b"work"):
            assert "mounted" in delete(home, chosen)["refusals"][0]["why"]
        assert (project / "precious").exists()
        assert not (home / "work" / "mine").exists()


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["btrfs", "ext4", "tmpfs", "inodes"])
def test_a_file_system_that_refuses_every_write_is_cleaned_up(open_home: Path, kind: str) -> None:
    size = 12 * filesystems.MEBIBYTE
    places = {
        "btrfs": lambda: filesystems.btrfs_home(open_home, UID, size),
        "ext4": lambda: filesystems.ext4_home(open_home, UID),
        "tmpfs": lambda: filesystems.tmpfs_home(open_home, UID, size=size),
        "inodes": lambda: filesystems.ext4_home(open_home, UID, inodes=128),
    }
    with places[kind]():
        if kind == "inodes":
            filesystems.fill_inodes(open_home, UID)
        else:
            filesystems.fill(open_home, UID)
        assert scan(open_home, uid=UID)["done"]
        assert delete(open_home, b"many" if kind == "inodes" else b"big.bin", uid=UID)["refused"] == 0
        assert is_empty(open_home)
        filesystems.run("sync")
        (open_home / "again").write_bytes(b"x" * 1_000_000)


@pytest.mark.root
def test_a_home_that_can_only_be_read_says_so(open_home: Path) -> None:
    (open_home / "f").write_text("x")
    os.chown(open_home / "f", UID, UID)
    with filesystems.read_only(open_home):
        assert "only be read" in delete(open_home, b"f", uid=UID)["refusals"][0]["why"]


@pytest.mark.slow
def test_the_memory_of_a_scan_does_not_grow_with_the_home(home: Path) -> None:
    def peak() -> int:
        code = (
            "import sys, resource; from jupyterhub_aiinfn.singleuser.cleanup.scanning import main; main(sys.argv[1]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run([sys.executable, "-I", "-c", code, str(home)], capture_output=True, text=True, check=True)
        return int(done.stdout.splitlines()[-1])

    before = peak()
    for folder in range(100):
        (home / f"d{folder}").mkdir()
        for name in range(100):
            os.close(os.open(home / f"d{folder}" / f"f{name}", os.O_CREAT))
    assert scan(home)["files"] == 10_000
    assert peak() < before + 4096  # KiB
