"""Project quotas of XFS, through ``xfs_quota``: each folder is a project with a number of its own.

What is run is decided in pure functions, tested as text; it was never tried on a kernel that has XFS quotas.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyterhub_aiinfn.api.storage import QuotaMethod, StorageUse
from jupyterhub_aiinfn.errors import BackendError

from .base import Quota, check_limit, figures
from .measured import MeasuredQuota

SECONDS = 600.0
"""How long one command may take: giving a full folder to a project visits each of its files (arbitrary)."""
PLAIN = re.compile(r"[A-Za-z0-9_.,:+@%/-]+")
"""Names that the little language of xfs_quota needs no quotes for."""
ROW = re.compile(r"^#?(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\b")


@dataclass(frozen=True)
class Row:
    """One project of a report, in bytes."""

    used: int
    limit: int | None


class XfsQuota(Quota):
    """Enforced by the file system mounted at ``mount`` with ``prjquota``; ``number_of`` gives a folder's project."""

    method = QuotaMethod.xfs

    def __init__(self, mount: Path, number_of: Callable[[Path], int], plain: MeasuredQuota | None = None) -> None:
        """``number_of`` must be the same for ever for a folder, and another for each; 1 or more."""
        self.mount, self.number_of = mount, number_of
        self.plain = plain or MeasuredQuota()

    def make(self, folder: Path) -> None:
        """A folder that gives its project to all that is made in it."""
        folder.mkdir(mode=0o700)
        try:
            run(project_command(self.mount, folder, self.number_of(folder)), folder)
        except BackendError:
            folder.rmdir()
            raise

    def set_limit(self, folder: Path, limit_bytes: int | None) -> None:
        """Set the limit of the folder's project."""
        check_limit(folder, limit_bytes)
        run(limit_command(self.mount, self.number_of(folder), limit_bytes), folder)

    def forget(self, folder: Path) -> None:
        """Only what is measured is remembered."""
        self.plain.forget(folder)

    def use(self, folder: Path, limit_bytes: int | None = None) -> StorageUse:
        """What the file system counts; a folder that is in no project yet is measured."""
        number = self.number_of(folder)
        row = parse_report(run(report_command(self.mount, number), folder)).get(number)
        if row is None or (row.used == 0 and next(folder.iterdir(), None) is not None):
            found = self.plain.use(folder, limit_bytes)
            convert = f"xfs_quota -x -c 'project -s -p {folder} {number}' {self.mount}"
            return found.model_copy(
                update={"note": f"{folder} is in no project; its limit is enforced after: {convert}"}
            )
        return figures(folder, method=self.method, used=row.used, limit=row.limit, enforced=row.limit is not None)


def project_command(mount: Path, folder: Path, number: int) -> list[str]:
    """Put a folder, and what is made in it, into a project."""
    return xfs_quota(mount, f"project -s -p {quoted(folder)} {number}")


def limit_command(mount: Path, number: int, limit_bytes: int | None) -> list[str]:
    """Set a project's hard limit; 0 is none. A limit is rounded up to the file system's smallest block, 512 bytes."""
    blocks = 0 if limit_bytes is None else -(-limit_bytes // 512) * 512
    return xfs_quota(mount, f"limit -p bhard={blocks} {number}")


def report_command(mount: Path, number: int) -> list[str]:
    """Show one project: no header, numbers for names, blocks of 1 KiB."""
    return xfs_quota(mount, f"report -p -n -N -b -L {number} -U {number}")


def xfs_quota(mount: Path, command: str) -> list[str]:
    """One command of ``xfs_quota`` in expert mode."""
    return ["xfs_quota", "-x", "-c", command, str(mount)]


def quoted(folder: Path) -> str:
    """A folder's name; :class:`BackendError` for one that xfs_quota would read as several words."""
    if not PLAIN.fullmatch(str(folder)):
        raise BackendError(f"{folder} has a name that xfs_quota cannot be given; use another state folder")
    return str(folder)


def parse_report(text: str) -> dict[int, Row]:
    """The rows of ``report -p -n -N -b``: number, used, soft and hard limit in KiB, then warnings and grace."""
    rows = {}
    for line in text.splitlines():
        if found := ROW.match(line.strip()):
            number, used, _, hard = (int(word) for word in found.groups())
            rows[number] = Row(used * 1024, hard * 1024 or None)
    return rows


def run(command: Sequence[str], folder: Path) -> str:
    """What the command printed; :class:`BackendError` with what it complained of (xfs_quota exits with 0 then too)."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise BackendError("the program xfs_quota is not installed; install the system's package xfsprogs") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BackendError(f"xfs_quota did not work for {folder}: {error}") from error
    complaint = next((line for line in done.stderr.splitlines() if line.strip()), "")
    if done.returncode != 0 or complaint:
        raise BackendError(f"xfs_quota did not work for {folder}: {complaint or f'exit code {done.returncode}'}")
    return done.stdout
