"""The file in which an environment remembers what it is, and the lock of whoever works on it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import Record

RECORD, LOCK = "environment.json", ".lock"
LARGEST = 1 << 20
"""Bytes of a record or a lock file that are read: a few thousand packages. Arbitrary."""


def read_small(file: Path) -> str | None:
    """The text of an ordinary file; None when it is absent, a link, a pipe, too large or no text."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            return None
        try:
            return stream.read(LARGEST + 1).decode()
        except (OSError, UnicodeDecodeError):
            return None


def read_record(folder: Path) -> Record | None:
    """What the environment says of itself; None when that cannot be understood."""
    text = read_small(folder / RECORD)
    try:
        said = json.loads(text) if text is not None else None
    except ValueError:
        return None
    return parse_record(said, folder.name) if isinstance(said, dict) else None


def parse_record(said: dict[str, Any], name: str) -> Record | None:
    """A record of JSON that another person may have written; its name is that of its folder."""
    known = {key: said[key] for key in said if key in {field.name for field in fields(Record)}}
    requested, hashes = known.get("requested", ()), known.get("hashes", {})
    texts = [
        known.get(key, "") for key in ("image", "image_title", "fingerprint", "python", "created_at", "created_by")
    ]
    good = (
        all(isinstance(text, str) and len(text) <= 300 and text.isprintable() for text in texts)
        and isinstance(known.get("bytes", 0), int)
        and isinstance(known.get("finished", False), bool)
        and isinstance(requested, list | tuple)
        and isinstance(hashes, dict)
        and all(isinstance(text, str) for text in [*requested, *hashes, *hashes.values()])
    )
    if not good or not {"image", "image_title", "fingerprint", "python"} <= known.keys():
        return None
    return Record(**known | {"name": name, "requested": tuple(requested), "hashes": dict(hashes)})


def write_record(folder: Path, record: Record) -> None:
    """Replace the record in one step."""
    write_text(folder / RECORD, json.dumps(asdict(record), indent=1))


def write_text(file: Path, text: str) -> None:
    """Replace a file in one step; nobody sees half of it."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        temporary.write_text(text)
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def held(folder: Path, what: str) -> Iterator[int]:
    """Hold the environment alone; programs that inherit the descriptor hold it too.

    Raises :class:`OwnEnvironmentError` when somebody else works on it.
    """
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        raise OwnEnvironmentError(f"{what} is being worked on just now; wait until that is done, or stop it") from None
    try:
        yield lock
    finally:
        os.close(lock)


def is_held(folder: Path) -> bool:
    """Whether somebody works on the environment now."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in (errno.EWOULDBLOCK, errno.EACCES)
    finally:
        os.close(lock)
    return False
