"""Tries whether a home can be written: in the session by its server, and before it by the platform as a program.

``python -I -S -c … <home> <uid>`` opens the home, becomes that person for good when it is root, tries, and prints one
JSON object. Nothing in the home is followed or written with other rights than the person's. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import sys

from jupyterhub_aiinfn.model.rescue import NEEDED_BYTES, STATE

CHUNK = 65536


def probe(home: int, follow: bool = True) -> dict[str, object]:
    """Try in the folder of that descriptor; the fields of :class:`~jupyterhub_aiinfn.model.rescue.HomeProbe`."""
    failed, error = write(home, f".aiinfn-probe-{secrets.token_hex(6)}")
    return {
        "failed": failed,
        "error": error,
        "free_files": free_files(home),
        "mode": stat.S_IMODE(os.fstat(home).st_mode),
        "blocked": blocked(home, follow),
    }


def write(home: int, name: str) -> tuple[str, int]:
    """Make, fill and remove a file; the step that failed and the system's number, or nothing."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(name, flags, 0o600, dir_fd=home)
    except OSError as error:
        return "open", error.errno or 0
    try:
        for _ in range(NEEDED_BYTES // CHUNK):
            if os.write(file, b"\1" * CHUNK) < CHUNK:  # what is missing fails at the next call
                os.write(file, b"\1" * CHUNK)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.ftruncate(file, 0)  # a full file system may refuse to remove a name before there is room
        return "write", error.errno or 0
    finally:
        with contextlib.suppress(OSError):
            os.close(file)  # network file systems may only now say that it did not fit
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=home)
    return "", 0


def free_files(home: int) -> int | None:
    """Files that can still be made; None where the file system does not count them (btrfs says 0 of 0)."""
    found = os.statvfs(home)
    return found.f_favail if found.f_files else None


def blocked(home: int, follow: bool) -> str:
    """The first folder of Jupyter's state that exists and is not a folder that can be written.

    Links are followed in the session only: before it, their targets would be looked for outside the sandbox.
    """
    for name in STATE:
        if follow or not has_link(home, name):
            try:
                found = os.stat(name, dir_fd=home)
            except FileNotFoundError:
                if follow and has_link(home, name):
                    return name  # to nowhere: nothing can be made in it
                continue
            except OSError:
                return name
            if not stat.S_ISDIR(found.st_mode) or not os.access(name, os.W_OK | os.X_OK, dir_fd=home):
                return name
    return ""


def has_link(home: int, name: str) -> bool:
    """Whether one of the names on the way is a link."""
    parts = name.split("/")
    for count in range(1, len(parts) + 1):
        try:
            found = os.lstat("/".join(parts[:count]), dir_fd=home)
        except OSError:
            return False
        if stat.S_ISLNK(found.st_mode):
            return True
    return False


def main(home: str, uid: str) -> None:
    """The program."""
    # Before the uid changes: folders above the home may be closed to the person. O_PATH grants nothing by itself.
    folder = os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(*[int(uid)] * 3)
        os.setresuid(*[int(uid)] * 3)
    sys.stdout.write(json.dumps(probe(folder, follow=False)))


if __name__ == "__main__":
    main(*sys.argv[1:3])
