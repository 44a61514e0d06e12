"""Where everything of one installation lives: the folders and files below the state folder.

Whoever writes a file there asks this module for its path, so that the layout is described once::

    version          {"version": 1}
    lock             held by the supervisor (flock)
    supervisor.json  pid, start time, boot id and ports of the running supervisor, 0600
    people.json      login name -> hash of the password, groups of people added by hand, uid; 0600
    passwords/       first passwords, one 0600 file a person
    secrets/         0700: tokens and keys of hub, proxy and service, one 0600 file each
    hub/             0700: the hub's database (0600), pid file, record of last choices
    service/         0700: the service's database
    logs/            hub.log, proxy.log, service.log
    homes/           0711: homes of people, each 0700 and its owner's
    projects/        0711: folders of projects, each 2770 and its group's
    public/          2775: the folder that everybody reads
    workloads/       0700: one folder a workload
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets as random_secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import StateError

VERSION = 1


@dataclass(frozen=True)
class StateFolder:
    """The state folder of one installation."""

    root: Path

    @property
    def lock(self) -> Path:
        """Held (flock) by the supervisor while it runs."""
        return self.root / "lock"

    @property
    def supervisor(self) -> Path:
        """JSON about the running supervisor."""
        return self.root / "supervisor.json"

    @property
    def people(self) -> Path:
        """JSON: password hashes, groups and uids of people."""
        return self.root / "people.json"

    @property
    def passwords(self) -> Path:
        """First passwords, one file a person."""
        return self.root / "passwords"

    @property
    def secrets(self) -> Path:
        """Tokens and keys, one file each."""
        return self.root / "secrets"

    @property
    def hub(self) -> Path:
        """What only the hub writes."""
        return self.root / "hub"

    @property
    def service(self) -> Path:
        """What only the service writes."""
        return self.root / "service"

    @property
    def logs(self) -> Path:
        """Logs of hub, proxy and service."""
        return self.root / "logs"

    @property
    def homes(self) -> Path:
        """Homes of people."""
        return self.root / "homes"

    @property
    def projects(self) -> Path:
        """Folders of projects."""
        return self.root / "projects"

    @property
    def public(self) -> Path:
        """The folder that everybody reads."""
        return self.root / "public"

    @property
    def workloads(self) -> Path:
        """One folder a workload."""
        return self.root / "workloads"

    def prepare(self) -> None:
        """Make what is missing and check what is there.

        Raises :class:`StateError` for a folder of a newer version, one that cannot be written, a full disk.
        """
        try:
            self.root.mkdir(mode=0o711, parents=True, exist_ok=True)
            self._check_version()
            for folder in (self.passwords, self.secrets, self.hub, self.service, self.logs, self.workloads):
                folder.mkdir(mode=0o700, exist_ok=True)
            self.root.chmod(0o711)
            for folder in (self.homes, self.projects):
                folder.mkdir(mode=0o711, exist_ok=True)
                folder.chmod(0o711)
        except OSError as error:
            raise StateError(
                f"the state folder {self.root} cannot be used: {error.strerror or error}; "
                "make room or choose another with --state"
            ) from error

    def _check_version(self) -> None:
        file = self.root / "version"
        if not file.exists():
            write_file(file, json.dumps({"version": VERSION}).encode(), mode=0o644)
            return
        try:
            found = json.loads(file.read_text())["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"{file} cannot be read; restore the state folder from a backup or choose another"
            ) from error
        if found != VERSION:
            raise StateError(
                f"the state folder {self.root} has version {found}, this program knows version {VERSION}; "
                "install the newer program or choose another folder with --state"
            )

    def secret(self, name: str) -> str:
        """The secret of that name (64 hexadecimal digits), made at the first call."""
        file = self.secrets / name
        try:
            return file.read_text().strip()
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                write_file(file, random_secrets.token_hex(32).encode(), exclusive=True)
            return file.read_text().strip()

    def home(self, folder_name: str) -> Path:
        """The home folder of that name."""
        return self.homes / folder_name


def write_file(path: Path, data: bytes, *, mode: int = 0o600, exclusive: bool = False) -> None:
    """Write ``data`` so that a reader sees all of it or nothing, also after a power cut.

    With ``exclusive`` an existing file is left as it is and :class:`FileExistsError` raised.
    """
    temporary = path.parent / f".{path.name}.{random_secrets.token_hex(6)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if exclusive:
            os.link(temporary, path)
            temporary.unlink()
        else:
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: what was just made there survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_json(path: Path) -> Any:
    """The JSON of ``path``; None when the file does not exist or holds none."""
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return None


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object of ``path``; None when the file does not exist or holds something else."""
    found = read_json(path)
    return found if isinstance(found, dict) else None
