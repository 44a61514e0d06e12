"""Small file systems for homes that can be filled: each is a loop file (or memory), mounted for a while.

For root only. What was mounted is unmounted and its loop device detached by name, whatever happens in between.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

MEBIBYTE = 1024 * 1024


def run(*words: object) -> str:
    """Run a program; its output. What it said is in the failure."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


@contextlib.contextmanager
def loop_device(size: int) -> Iterator[str]:
    """A block device of ``size`` bytes made of a sparse file."""
    with tempfile.NamedTemporaryFile(prefix="aiinfn-loop-") as file:
        file.truncate(size)
        device = run("losetup", "--find", "--show", file.name)
        try:
            yield device
        finally:
            run("losetup", "--detach", device)


@contextlib.contextmanager
def mounted(source: str, target: Path, *options: str) -> Iterator[Path]:
    """``source`` at ``target``, until the end: lazily then, because a session may still hold it."""
    target.mkdir(parents=True, exist_ok=True)
    run("mount", *options, source, target)
    try:
        yield target
    finally:
        run("umount", "--lazy", target)


@contextlib.contextmanager
def btrfs_home(home: Path, uid: int, limit: int) -> Iterator[Path]:
    """A subvolume with a quota of ``limit`` bytes: writing beyond it fails with EDQUOT."""
    with (
        loop_device(512 * MEBIBYTE) as device,
        tempfile.TemporaryDirectory(prefix="aiinfn-top-") as folder,
    ):
        run("mkfs.btrfs", "--quiet", device)
        with mounted(device, Path(folder)) as top:
            run("btrfs", "quota", "enable", top)
            run("btrfs", "subvolume", "create", top / "home")
            run("btrfs", "qgroup", "limit", str(limit), top / "home")
            os.chown(top / "home", uid, uid)
            (top / "home").chmod(0o700)
            with mounted(device, home, "--options", "subvol=home"):
                yield home


@contextlib.contextmanager
def ext4_home(home: Path, uid: int, *, size: int = 32 * MEBIBYTE, inodes: int = 0) -> Iterator[Path]:
    """A file system of its own: writing beyond its size, or one file more than ``inodes``, fails with ENOSPC."""
    with loop_device(size) as device:
        run("mkfs.ext4", "-q", "-m", "0", *(["-N", str(inodes)] if inodes else []), device)
        with mounted(device, home):
            (home / "lost+found").rmdir()
            os.chown(home, uid, uid)
            home.chmod(0o700)
            yield home


@contextlib.contextmanager
def tmpfs_home(home: Path, uid: int, *, size: int, inodes: int = 0) -> Iterator[Path]:
    """The same in memory."""
    options = f"size={size},uid={uid},gid={uid},mode=0700" + (f",nr_inodes={inodes}" if inodes else "")
    with mounted("tmpfs", home, "--types", "tmpfs", "--options", options):
        yield home


@contextlib.contextmanager
def read_only(home: Path) -> Iterator[Path]:
    """The same folder, which nobody can write."""
    with mounted(str(home), home, "--bind"):
        run("mount", "--options", "remount,bind,ro", home)
        yield home


def fill(folder: Path, uid: int, name: str = "big.bin") -> int:
    """Write one file until nothing can be written any more, as the person; how many bytes it has."""
    program = (
        "import os, sys\n"
        "file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o600)\n"
        "os.fchown(file, *[int(sys.argv[2])] * 2)\n"
        "os.setgroups([]); os.setresgid(*[int(sys.argv[2])] * 3); os.setresuid(*[int(sys.argv[2])] * 3)\n"
        "for size in (1 << 20, 1 << 12):\n"
        "    try:\n"
        "        while True: os.write(file, os.urandom(size)); os.fsync(file)\n"
        "    except OSError: pass\n"
    )
    run("python3", "-c", program, folder / name, uid)
    return (folder / name).stat().st_size


def fill_inodes(folder: Path, uid: int) -> int:
    """Make empty files until none can be made any more; how many."""
    (folder / "many").mkdir()
    count = 0
    with contextlib.suppress(OSError):
        while True:
            (folder / "many" / f"{count}").touch()
            os.chown(folder / "many" / f"{count}", uid, uid)
            count += 1
    os.chown(folder / "many", uid, uid)
    return count
