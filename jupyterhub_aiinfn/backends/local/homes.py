"""Homes: made once, never deleted, refused when they are not what they should be."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from jupyterhub_aiinfn.errors import BackendError

from .quota.base import Quota, is_full, said


def prepare_home(home: Path, uid: int, quota: Quota) -> None:
    """Make the home (0700, owned by ``uid``, able to have a limit) or check the one that is there. Blocking.

    Raises :class:`BackendError` when it is a link, no folder, or somebody else's.
    """
    try:
        found = home.lstat()
    except FileNotFoundError:
        make_home(home, uid, quota)
        found = home.lstat()
    if stat.S_ISLNK(found.st_mode) or not stat.S_ISDIR(found.st_mode):
        raise BackendError(f"the home {home} is not a folder but a link or a file; the administrator must move it away")
    if found.st_uid != uid:
        raise BackendError(
            f"the home {home} belongs to uid {found.st_uid} and not to {uid}; "
            f"the administrator gives it back with: chown -R {uid}:{uid} {home}"
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        close_home(home)


def close_home(home: Path) -> None:
    """Take away what a person gave to others. One too full for that, or read-only, is used as it is: nobody sees it."""
    try:
        home.chmod(0o700)
    except OSError as error:
        if not is_full(error) and error.errno != errno.EROFS:
            raise BackendError(f"the home {home} cannot be changed: {said(error)}; tell an administrator") from error


def make_home(home: Path, uid: int, quota: Quota) -> None:
    """Make it under another name first: whoever sees the home sees it owned by its person."""
    temporary = home.parent / f".new-{secrets.token_hex(6)}"
    try:
        quota.make(temporary)
        if os.geteuid() == 0:
            os.chown(temporary, uid, uid)
        with contextlib.suppress(FileExistsError, NotADirectoryError):
            temporary.rename(home)
    except OSError as error:
        if not home.exists():
            raise BackendError(f"the home {home} could not be made: {error.strerror}; make room on the disk") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.rmdir()
