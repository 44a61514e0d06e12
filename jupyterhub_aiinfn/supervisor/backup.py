"""`aiinfn backup`: copy everything that is worth keeping, while the platform runs."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from jupyterhub_aiinfn import __version__
from jupyterhub_aiinfn.backends.local.agreement import Agreements
from jupyterhub_aiinfn.backends.local.backup.checking import check_archive
from jupyterhub_aiinfn.backends.local.backup.databases import copy_database, digest_of
from jupyterhub_aiinfn.backends.local.backup.manifest import FORMAT, NAME, Manifest, Part, PartKind
from jupyterhub_aiinfn.backends.local.backup.trees import Written, open_new, pack, shortened
from jupyterhub_aiinfn.backends.local.quota.btrfs import run as run_btrfs
from jupyterhub_aiinfn.backends.local.quota.choose import snapshots
from jupyterhub_aiinfn.backends.local.state import StateFolder, flush_folder
from jupyterhub_aiinfn.errors import BackendError, StateError

from .known_values import is_running
from .places import find_state, find_values
from .record import check_owner

OWN_PARTS = ("homes", "projects", "public")
"""Folders of the state folder that have parts of their own."""
NOT_KEPT = (*OWN_PARTS, "lock", "supervisor.json", "logs", "backup.lock")
"""What the state's own part lacks: locks, what says who runs, and logs."""
SNAPSHOT = ".backup-"
Say = Callable[[str], None]


def backup(target: Path, state: Path | None, values: Path | None, say: Say) -> Manifest:
    """Make the folder ``target``; raises :class:`AiinfnError` and leaves nothing when that cannot be.

    It has its name only once it is whole and has been read back.
    """
    folder, target = StateFolder(find_state(state)), target.absolute()
    check_places(folder, target)
    partial = target.with_name(f"{target.name}.partial-{secrets.token_hex(4)}")
    try:
        with alone(folder):
            remove_leftovers(folder, target)
            partial.mkdir(mode=0o700)
            manifest = fill(folder, partial, file_of_values(values, folder), say)
            partial.rename(target)
            flush_folder(target.parent)
    except OSError as error:
        raise StateError(f"the backup {target} could not be written: {reason(error)}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return manifest


def file_of_values(given: Path | None, folder: StateFolder) -> Path:
    """The named file, else the one of the values that the platform holds, or that its next start takes."""
    agreements = Agreements(folder)
    held = (agreements.agreed() if is_running(folder) else None) or agreements.next()
    if given is None and held is not None and Path(held.file).is_file():
        return Path(held.file)
    return find_values(given, folder)


def check_places(folder: StateFolder, target: Path) -> None:
    """Raise :class:`StateError` for a state folder that is none, or a target that cannot be made."""
    if not (folder.root / "version").is_file():
        raise StateError(f"there is no state folder {folder.root}; name the one that `aiinfn up` uses with --state")
    check_owner(folder)
    if os.path.lexists(target):
        raise StateError(f"{target} is there already, and a backup never replaces anything; choose another name")
    if not target.parent.is_dir():
        raise StateError(f"there is no folder {target.parent} in which the backup could be made; make it first")
    if target.parent.resolve().is_relative_to(folder.root.resolve()):
        raise StateError(f"the backup must not be in the state folder {folder.root}; choose another place")


def reason(error: OSError) -> str:
    """What the system said, with the remedy."""
    remedy = "; make room" if error.errno in (errno.ENOSPC, errno.EDQUOT) else ""
    return f"{error.strerror or error}{remedy}"


@contextlib.contextmanager
def alone(folder: StateFolder) -> Iterator[None]:
    """One backup of a state folder at a time: what another one left can then be removed."""
    descriptor = os.open(folder.root / "backup.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise StateError(f"another backup of {folder.root} is being made; wait for its end") from error
    finally:
        os.close(descriptor)


def remove_leftovers(folder: StateFolder, target: Path) -> None:
    """What a killed backup left: its half-made folder and its snapshots."""
    for left in target.parent.glob(f"{glob_escaped(target.name)}.partial-*"):
        shutil.rmtree(left, ignore_errors=True)
    for above in (folder.homes, folder.projects, folder.root):
        for left in above.glob(f"{SNAPSHOT}*"):
            with contextlib.suppress(BackendError):
                run_btrfs(["btrfs", "subvolume", "delete", str(left)], left)


def glob_escaped(name: str) -> str:
    """A name whose ``*``, ``?`` and ``[`` are themselves."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def fill(folder: StateFolder, partial: Path, values_file: Path, say: Say) -> Manifest:
    """Write all parts, read them back, then write the manifest."""
    if values_file.is_file():
        with open_new(partial / "values.yaml") as stream:
            stream.write(values_file.read_bytes())
    parts = []
    for part in make_parts(folder, partial):
        name = part.name if part.name != "." else "state"
        say(f"{name:40} {part.size / 2**20:10.1f} MiB, {part.entries} files and folders")
        parts.append(part)
    manifest = Manifest(
        format=FORMAT,
        version=__version__,
        made_at=datetime.now(UTC),
        uid=os.geteuid(),
        values_file=str(values_file),
        parts=tuple(parts),
    )
    with open_new(partial / NAME) as stream:
        stream.write(manifest.model_dump_json(indent=1).encode("ascii", "backslashreplace"))
        stream.flush()
        os.fsync(stream.fileno())
    return manifest


def make_parts(folder: StateFolder, partial: Path) -> Iterator[Part]:
    """Databases first: what they say of files is then no newer than the files."""
    databases = sorted(path for above in (folder.hub, folder.service) for path in above.glob("*.sqlite"))
    for number, path in enumerate(databases):
        file = partial / f"database-{number}.sqlite"
        name = str(path.relative_to(folder.root))
        yield checked(partial, file, PartKind.database, name, copy_database(path, file))
    file = partial / "state.tar"
    skipped = [*NOT_KEPT, *live_workloads(folder), *(side for path in databases for side in beside(folder, path))]
    yield checked(partial, file, PartKind.state, ".", pack(folder.root, file, without=skipped, links=False))
    for number, path in enumerate(folders(folder)):
        yield folder_part(folder, partial, path, number)


def beside(folder: StateFolder, database: Path) -> list[str]:
    """A database and the files that SQLite keeps beside it."""
    name = str(database.relative_to(folder.root))
    return [name + suffix for suffix in ("", "-wal", "-shm", "-journal")]


def live_workloads(folder: StateFolder) -> list[str]:
    """Records of what runs now: a restored platform must not take another's sessions for its own."""
    found = folder.workloads.iterdir() if folder.workloads.is_dir() else ()
    return [f"workloads/{path.name}" for path in found if path.is_dir() and not (path / "ended").exists()]


def folders(folder: StateFolder) -> list[Path]:
    """Homes, project folders and the public one; links and what begins with a dot are none."""
    found = [path for above in (folder.homes, folder.projects) if above.is_dir() for path in sorted(above.iterdir())]
    found.append(folder.public)
    return [path for path in found if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")]


def folder_part(folder: StateFolder, partial: Path, path: Path, number: int) -> Part:
    """The part of one folder. Nobody else's copy fails for what one person makes while it is copied."""
    file, name = partial / f"folder-{number}.tar", str(path.relative_to(folder.root))
    try:
        return packed(partial, file, path, name)
    except StateError:
        file.unlink(missing_ok=True)
        empty = pack(path, file, empty="it was changed while it was copied, to what no backup may hold; copy it again")
        return checked(partial, file, PartKind.folder, name, empty)


def packed(partial: Path, file: Path, path: Path, name: str) -> Part:
    """A folder's part, of a snapshot where there can be one: then all of it is of one moment."""
    if not snapshots(path):
        return checked(partial, file, PartKind.folder, name, pack(path, file))
    snapshot = path.with_name(f"{SNAPSHOT}{secrets.token_hex(4)}")
    try:
        run_btrfs(["btrfs", "subvolume", "snapshot", "-r", str(path), str(snapshot)], path)
    except BackendError:  # the disk is too full for it, for example: files that change are listed then
        return checked(partial, file, PartKind.folder, name, pack(path, file))
    try:
        return checked(partial, file, PartKind.folder, name, pack(snapshot, file), snapshot=True)
    finally:
        run_btrfs(["btrfs", "subvolume", "delete", str(snapshot)], path)


def checked(partial: Path, file: Path, kind: PartKind, name: str, written: Written, *, snapshot: bool = False) -> Part:
    """Read a part back from the disk before it is believed."""
    if digest_of(file) != (written.size, written.sha256):
        raise StateError(f"{file} does not read back as it was written; is the disk of {partial.parent} in order?")
    entries = 0 if kind is PartKind.database else check_archive(file, links=kind is PartKind.folder)
    return Part(
        file=file.name,
        kind=kind,
        name=name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
        size=written.size,
        sha256=written.sha256,
        entries=entries,
        snapshot=snapshot,
        changed=written.changed,
        left_out=written.left_out,
    )


def remarks(manifest: Manifest) -> list[str]:
    """What the backup lacks, in lines; empty when nothing."""
    lines = []
    for part in manifest.parts:
        lines += [f"changed while it was copied: {part.name}: {line}" for line in part.changed]
        lines += [f"not in the backup: {part.name}: {line}" for line in part.left_out]
    return list(shortened(lines))
