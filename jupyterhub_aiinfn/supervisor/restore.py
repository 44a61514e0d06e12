"""`aiinfn restore`: make a state folder from a backup, in a place of its own until all of it is there."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from jupyterhub_aiinfn.backends.local.agreement import Agreements
from jupyterhub_aiinfn.backends.local.backup.checking import check_archive, check_unpacked
from jupyterhub_aiinfn.backends.local.backup.databases import check_database, digest_of
from jupyterhub_aiinfn.backends.local.backup.manifest import Manifest, Part, PartKind, read_manifest
from jupyterhub_aiinfn.backends.local.backup.trees import open_new, unpack
from jupyterhub_aiinfn.backends.local.quota.base import Quota
from jupyterhub_aiinfn.backends.local.quota.choose import choose_quota
from jupyterhub_aiinfn.backends.local.state import StateFolder, flush_folder, write_file
from jupyterhub_aiinfn.errors import StateError

from .backup import Say, glob_escaped, reason
from .places import find_state
from .record import is_locked

AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of linux/fcntl.h and linux/fs.h."""


def restore(source: Path, state: Path | None, *, replace: bool, say: Say) -> Path | None:
    """Make the state folder from the backup ``source``; where the one went that was there before (``replace``).

    Everything is checked before anything is written. Raises :class:`AiinfnError`; the state folder is then as it was.
    """
    folder, source = StateFolder(find_state(state)), source.absolute()
    manifest = read_manifest(source)
    check_user(manifest)
    check_parts(source, manifest, say)
    try:
        folder.root.parent.mkdir(parents=True, exist_ok=True)
        with alone(folder.root.parent):
            check_place(folder, replace=replace)
            remove_leftovers(folder)
            return make(source, manifest, folder, say)
    except OSError as error:
        raise StateError(f"{folder.root} could not be restored: {reason(error)}") from error


def check_user(manifest: Manifest) -> None:
    """Only the user who made a backup can give its files their owners back."""
    if manifest.uid != os.geteuid():
        raise StateError(
            f"this backup was made by the user id {manifest.uid}, and owners of files can only be given back by the "
            "same; run this command as that user"
        )


def check_parts(source: Path, manifest: Manifest, say: Say) -> None:
    """Read all of the backup: lengths, checksums, every name in every archive."""
    for part in manifest.parts:
        file = source / part.file
        if file.is_symlink() or not file.is_file():
            raise StateError(f"the backup lacks {file}, which its manifest names; take another one")
        if digest_of(file) != (part.size, part.sha256):
            raise StateError(f"{file} is not what was written (its checksum differs); take another backup")
        if part.kind is PartKind.database:
            check_database(file)
        else:
            check_archive(file, links=part.kind is PartKind.folder)
    say(f"The backup of {manifest.made_at:%Y-%m-%d %H:%M} UTC is whole: {len(manifest.parts)} parts.")


def check_place(folder: StateFolder, *, replace: bool) -> None:
    """Refuse a running platform always, and a state folder that holds something unless it may be replaced."""
    if folder.root.is_symlink():
        raise StateError(f"{folder.root} is a link; name the folder itself with --state")
    if not folder.root.exists():
        return
    if not folder.root.is_dir():
        raise StateError(f"{folder.root} is no folder; choose another with --state")
    if folder.lock.exists() and is_locked(folder):
        raise StateError(f"the platform of {folder.root} runs; stop it with `aiinfn down --state {folder.root}` first")
    if any(folder.root.iterdir()) and not replace:
        raise StateError(
            f"the state folder {folder.root} is not empty; choose another with --state, or let it be moved aside with "
            "--replace"
        )


@contextlib.contextmanager
def alone(above: Path) -> Iterator[None]:
    """One restore in a folder at a time."""
    descriptor = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StateError(f"something else is being restored in {above}; wait for its end") from error
    finally:
        os.close(descriptor)


def remove_leftovers(folder: StateFolder) -> None:
    """What a killed restore left: it never got its name."""
    for left in folder.root.parent.glob(f"{glob_escaped(folder.root.name)}.restoring-*"):
        shutil.rmtree(left, ignore_errors=True)


def make(source: Path, manifest: Manifest, folder: StateFolder, say: Say) -> Path | None:
    """Unpack beside the state folder, then change names in one step."""
    place = StateFolder(folder.root.with_name(f"{folder.root.name}.restoring-{secrets.token_hex(4)}"))
    try:
        place.root.mkdir(mode=0o700)
        fill(source, manifest, place, say)
        remember_values(source, place, folder)
        start_with_what_was_held(place, folder)
        place.prepare()
        os.sync()
        old = exchange(place.root, folder.root)
        flush_folder(folder.root.parent)
        return old
    finally:
        shutil.rmtree(place.root, ignore_errors=True)


def fill(source: Path, manifest: Manifest, place: StateFolder, say: Say) -> None:
    """Unpack all parts below ``place``, the state's own first."""
    ordered = sorted(manifest.parts, key=lambda part: part.kind is not PartKind.state)
    quota: Quota | None = None
    for part in ordered:
        target = place.root / part.name
        if part.kind is PartKind.database:
            write_database(source / part.file, target)
        elif part.kind is PartKind.state:
            unpack_checked(source, part, target)
            for above in (place.homes, place.projects):
                above.mkdir(mode=0o711, exist_ok=True)
        else:
            quota = quota or choose_quota(place.homes)
            quota.make(target)
            unpack_checked(source, part, target)
        say(f"{part.name if part.name != '.' else 'state':40} {part.entries} files and folders")


def unpack_checked(source: Path, part: Part, target: Path) -> None:
    """Unpack one archive and look at what came out."""
    unpack(source / part.file, target, as_root=os.geteuid() == 0)
    check_unpacked(target, links=part.kind is PartKind.folder)
    if part.kind is PartKind.state:
        target.chmod(0o700)  # until all is there


def write_database(file: Path, target: Path) -> None:
    """Put a database in its place, 0600."""
    target.parent.mkdir(mode=0o700, exist_ok=True)
    with file.open("rb") as stream, open_new(target) as copy:
        shutil.copyfileobj(stream, copy)


def remember_values(source: Path, place: StateFolder, folder: StateFolder) -> None:
    """Keep the copy of the values file; it is the one in use where the original is not there (another machine)."""
    copy, memory = source / "values.yaml", place.root / "values-file"
    if not copy.is_file() or copy.is_symlink():
        return
    write_file(place.root / "values.yaml", copy.read_bytes())
    if not memory.is_file() or not Path(memory.read_text().strip()).is_file():
        write_file(memory, f"{folder.root / 'values.yaml'}\n".encode())


def start_with_what_was_held(place: StateFolder, folder: StateFolder) -> None:
    """Have `aiinfn up` without --values start with the values of the backup, and not with those that we bring."""
    agreements = Agreements(place)
    if held := agreements.next() or agreements.agreed():
        file = held.file if Path(held.file).is_file() else str(folder.root / "values.yaml")
        agreements.put_next(dataclasses.replace(held, file=file, waiting=()))


def exchange(new: Path, state: Path) -> Path | None:
    """Give ``new`` the name of the state folder, in one step; where the one went that had it."""
    if not state.exists() or not any(state.iterdir()):
        new.rename(state)  # an empty folder is replaced
        return None
    library = ctypes.CDLL(None, use_errno=True)
    if library.renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(state), RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{os.strerror(number)} (the file system cannot exchange two folders)")
    old = state.with_name(f"{state.name}.before-restore-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}")
    new.rename(old)
    return old
