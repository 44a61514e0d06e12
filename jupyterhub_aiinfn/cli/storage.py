"""``aiinfn storage``: how full homes and shared folders are, as the service says it too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jupyterhub_aiinfn.errors import StateError

from .user import installation_options, open_people

if TYPE_CHECKING:
    from jupyterhub_aiinfn.api.storage import StorageFolder, StorageReport, StorageUse

PATIENCE = 70.0
"""Seconds; longer than the longest count."""


@click.command()
@click.option("--person", metavar="NAME", help="Only the folders that this person has; by default all that are made.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
@installation_options
def storage(person: str | None, as_json: bool, state: Path | None, values: Path | None) -> None:
    """Say how full homes, project folders and the public folder are.

    A limit is enforced where the file system can (btrfs, XFS); elsewhere files are counted now, which takes a while.
    """
    report = look(person, state, values)
    click.echo(report.model_dump_json(indent=1) if as_json else as_text(report))


def look(person: str | None, state: Path | None, values: Path | None) -> StorageReport:
    """The report of one person or of everybody."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from jupyterhub_aiinfn.backends.local.storage import LocalStorage
    from jupyterhub_aiinfn.backends.storage_report import report_of, report_of_all
    from jupyterhub_aiinfn.model.folders import folders_of
    from jupyterhub_aiinfn.model.requests import Person

    people = open_people(state, values)
    known = people.values
    folders = LocalStorage(known, people.state, PATIENCE)
    if person is None:
        return report_of_all(known, folders)
    if person not in people.names():
        raise StateError(f"there is nobody called {person}; `aiinfn user list` shows everybody")
    today = datetime.now(UTC).astimezone(ZoneInfo(known.site.timezone)).date()
    who = Person(person, frozenset(people.groups(person)), people.is_admin(person))
    return report_of(known, folders, person, folders_of(known, who, today))


def as_text(report: StorageReport) -> str:
    """The report as people read it."""
    if not report.folders:
        return "No folder is made yet: the first session of a person makes them."
    rows = [("folder", "used", "limit", "free", ""), *(_row(folder) for folder in report.folders)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for name, used, limit, free, remark in rows:
        figures = f"{used:>{widths[1]}}  {limit:>{widths[2]}}  {free:>{widths[3]}}"
        lines.append(f"{name:{widths[0]}}  {figures}  {remark}".rstrip())
    return "\n".join([*lines, *_notes(report)])


def _row(folder: StorageFolder) -> tuple[str, str, str, str, str]:
    name = folder.key if folder.kind == "public" else f"{folder.kind} {folder.key}"
    use = folder.use
    if use is None:
        return name, "-", "-", "-", folder.problem or "not made yet"
    used = "not counted" if use.used_bytes is None else f"{'>= ' if use.at_least else ''}{size(use.used_bytes)}"
    limit = "-" if use.limit_bytes is None else size(use.limit_bytes)
    return name, used, limit, "-" if use.free_bytes is None else size(use.free_bytes), _remark(use)


def _remark(use: StorageUse) -> str:
    counted = f"counted at {use.measured_at.astimezone():%H:%M:%S}" if use.method == "measured" else ""
    enforced = "" if use.limit_bytes is None or use.enforced else "not enforced"
    return "; ".join(part for part in (use.problem, enforced, counted) if part)


def _notes(report: StorageReport) -> list[str]:
    """Each note once: most folders have the same."""
    notes = dict.fromkeys(folder.use.note for folder in report.folders if folder.use and folder.use.note)
    return ["", *notes] if notes else []


def size(count: int) -> str:
    """Bytes in the unit that suits: ``1.5 GiB``."""
    value, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == "TiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
