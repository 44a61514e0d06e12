"""Real file systems in files, mounted for a test and taken away at its end."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def mounted(kind: str, megabytes: int = 300, options: str = "") -> Iterator[Path]:
    """A fresh file system of that kind; everybody may pass through its top folder."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-disk-", dir="/tmp"))
    folder.chmod(0o711)
    image, place = folder / "disk.img", folder / "disk"
    place.mkdir()
    device = ""
    try:
        with image.open("wb") as stream:
            stream.truncate(megabytes * 1024 * 1024)
        run(f"mkfs.{kind}", "-q", str(image))
        device = run("losetup", "--show", "-f", str(image)).strip()
        run("mount", *(["-o", options] if options else []), device, str(place))
        try:
            place.chmod(0o711)
            yield place
        finally:
            run("umount", str(place))
    finally:
        if device:
            run("losetup", "-d", device)
        image.unlink()
        place.rmdir()
        folder.rmdir()


@contextlib.contextmanager
def btrfs(megabytes: int = 300, *, quota: bool = True) -> Iterator[Path]:
    """A fresh btrfs, with its quotas switched on unless told otherwise."""
    with mounted("btrfs", megabytes) as place:
        if quota:
            run("btrfs", "quota", "enable", str(place))
        yield place


def run(*command: str) -> str:
    """What a command printed; it must not fail."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
