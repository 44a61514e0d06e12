"""`aiinfn support-bundle`: one file for whoever helps, made so that nothing secret is in it."""

from __future__ import annotations

import asyncio
import io
import json
import os
import platform
import sys
import tarfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn import __version__
from jupyterhub_aiinfn.backends.local.installation import default_cache
from jupyterhub_aiinfn.backends.local.records import Records
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import AiinfnError, StateError
from jupyterhub_aiinfn.supervisor import doctor
from jupyterhub_aiinfn.supervisor.doctor.databases import files_of
from jupyterhub_aiinfn.supervisor.doctor.databases import look as look_at_database
from jupyterhub_aiinfn.supervisor.doctor.findings import Patient
from jupyterhub_aiinfn.supervisor.known_values import known_values
from jupyterhub_aiinfn.supervisor.places import find_state
from jupyterhub_aiinfn.supervisor.record import check_owner
from jupyterhub_aiinfn.supervisor.status import look as look_at_status
from jupyterhub_aiinfn.values.load import plain_values
from jupyterhub_aiinfn.values.writing import yaml_text

from .reading import end_of_file
from .redaction import Redactor
from .sources import known_names, known_secrets, logs

PORT = 8000
HEAD = """A support bundle of jupyterhub-aiinfn {version}, made {made}.

Secrets were removed: those of the state folder, and everything that looks like a token, a password, a cookie or a hash.
Not in it: homes, passwords, secrets, databases (only how many rows each table has), what sessions wrote.
"""


@dataclass
class Made:
    """A bundle that was written."""

    file: Path
    size: int = 0
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What could not be read or packed."""


@dataclass
class Contents:
    """What goes into a bundle, cleaned as it comes in."""

    redactor: Redactor
    files: dict[str, bytes] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add_data(self, name: str, make: Callable[[], Any], dump: Callable[[Any], str]) -> None:
        """Put in plain data, or a note why there is none."""
        self._add(name, lambda: dump(self.redactor.clean_data(make())))

    def add_text(self, name: str, make: Callable[[], str]) -> None:
        """Put in a text, or a note why there is none."""
        self._add(name, lambda: self.redactor.clean(make()))

    def _add(self, name: str, make: Callable[[], str]) -> None:
        try:
            data = make().encode("utf-8", "replace")
        except (AiinfnError, OSError, ValueError, RecursionError) as error:
            self.notes.append(self.redactor.clean(f"{name} is not in the bundle: {_why(error)}"))
            return
        if self.redactor.leaks(data):
            self.notes.append(f"{name} is not in the bundle: a secret or a name could not be removed from it")
        else:
            self.files[name] = data


def make(
    state: Path | None, values: Path | None, output: Path | None, most: int, *, without_names: bool = False
) -> Made:
    """Make one; ``most`` bytes of each log. Raises :class:`StateError` when it cannot be written."""
    folder = StateFolder(find_state(state))
    if not folder.root.is_dir():
        raise StateError(f"there is no state folder {folder.root}; name it with --state")
    check_owner(folder)
    contents = gather(folder, values, most, without_names=without_names)
    made = Made((output or Path(time.strftime("aiinfn-support-%Y%m%d-%H%M%S.tar.gz"))).absolute())
    made.notes, made.names = contents.notes, list(contents.files)
    made.size = write(made.file, contents)
    return made


def gather(folder: StateFolder, values: Path | None, most: int, *, without_names: bool) -> Contents:
    """Everything, in memory."""
    notes: list[str] = []
    secrets = known_secrets(folder, notes)
    contents = Contents(Redactor(secrets, known_names(folder, values) if without_names else ()), notes=notes)
    patient = Patient(folder, values, default_cache(), PORT, None)
    contents.add_data("version.json", versions, _json)
    contents.add_data("status.json", lambda: asdict(asyncio.run(look_at_status(folder.root, values))), _json)
    contents.add_data("doctor.json", lambda: doctor.as_data(doctor.examine(folder.root, values, PORT)), _json)
    contents.add_data("values.yaml", lambda: plain_values(known_values(values, folder).values), yaml_text)
    contents.add_data("workloads.json", lambda: workloads(folder), _json)
    contents.add_data("databases.json", lambda: databases(patient), _json)
    for name in logs(folder, contents.notes):
        contents.add_text(f"logs/{name}", partial(read_log, folder, name, most))
    head = HEAD.format(version=__version__, made=time.strftime("%Y-%m-%d %H:%M %Z"))
    contents.add_text("README.txt", lambda: "\n".join([head, *contents.notes, ""]))
    return contents


def versions() -> dict[str, Any]:
    """Of the program, Python and the machine."""
    return {
        "jupyterhub-aiinfn": __version__,
        "python": sys.version,
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "root": os.geteuid() == 0,
    }


def databases(patient: Patient) -> dict[str, Any]:
    """Version of the schema, and how many rows each table has."""
    return {name: asdict(look_at_database(file)) for name, file in files_of(patient).items()}


def read_log(folder: StateFolder, name: str, most: int) -> str:
    """The end of a log."""
    return end_of_file(folder.logs, name, most).decode(errors="replace")


def workloads(folder: StateFolder) -> list[dict[str, Any]]:
    """The records of all workloads, without what they were started with."""
    return [one.model_dump(mode="json") for one in Records(folder.workloads).all()]


def write(file: Path, contents: Contents) -> int:
    """Write the archive, 0600 and new; its size. :class:`StateError` when that cannot be, and then nothing is left."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise StateError(f"{file} exists already; name another with --output") from None
    except (OSError, ValueError) as error:
        raise StateError(f"{file} cannot be made: {_why(error)}; name another place with --output") from error
    try:
        with os.fdopen(descriptor, "wb") as stream:
            os.fchmod(stream.fileno(), 0o600)
            with tarfile.open(fileobj=stream, mode="w:gz") as archive:
                _pack(archive, contents.files.items())
            stream.flush()
            os.fsync(stream.fileno())
            return stream.tell()
    except OSError as error:
        file.unlink(missing_ok=True)
        raise StateError(f"{file} cannot be written: {_why(error)}; make room or name another place") from error


def _pack(archive: tarfile.TarFile, files: Iterable[tuple[str, bytes]]) -> None:
    for name, data in files:
        entry = tarfile.TarInfo(f"aiinfn-support/{name}")
        entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
        archive.addfile(entry, io.BytesIO(data))


def _why(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or str(error)).lower()
    return str(error)


def _json(data: object) -> str:
    return json.dumps(data, indent=1)
