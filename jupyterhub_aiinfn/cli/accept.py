"""``aiinfn accept``: real sessions on a site's cluster prove what the values promise; a report says what was seen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jupyterhub_aiinfn.values import load_values

from .paths import PATH

if TYPE_CHECKING:
    from jupyterhub_aiinfn.backends.kubernetes.acceptance.report import Report

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


@click.command()
@click.option("--values", type=PATH, metavar="FILE", required=True, help="The values file of the cluster.")
@click.option("--kubeconfig", type=PATH, metavar="FILE", required=True, help="How the cluster is reached.")
@click.option("--only", multiple=True, metavar="NAME", help="An accelerator to try; default: all. Can be repeated.")
@click.option(
    "--limit",
    type=click.IntRange(5, 7200),
    default=300,
    show_default=True,
    help="Seconds within which a session must come up, its image be fetched and its device become free.",
)
@click.option(
    "--report",
    "report_file",
    type=PATH,
    metavar="NAME",
    help="NAME.md and NAME.json are written; acceptance and the time in this folder by default.",
)
def accept(values: Path, kubeconfig: Path, only: tuple[str, ...], limit: int, report_file: Path | None) -> None:
    """Start sessions on a cluster for each accelerator, and report whether it gives what the values promise.

    For each accelerator three sessions of two people who are nobody start and are stopped again: is exactly the
    promised device there with its memory, is it counted, is the home kept, is nobody else's device or home in reach, is
    there no right too many, and does nothing stay. Ctrl-C ends what was started. The exit code is 0 when everything
    that was checked passed, 1 when something failed, 130 after Ctrl-C.
    """
    from jupyterhub_aiinfn.backends.kubernetes.acceptance.running import accept as run

    found = load_values(values)
    name = report_file or Path(f"acceptance-{datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    _require_place(name)
    report = asyncio.run(run(found, kubeconfig, limit, only, click.echo))
    _write(report, name)
    if report.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)
    if not report.accepted:
        raise click.exceptions.Exit(1)


def _require_place(name: Path) -> None:
    """Refuse at once what could not be written after an hour."""
    from jupyterhub_aiinfn.errors import StateError

    if not name.parent.is_dir():
        raise StateError(f"{click.format_filename(name.parent)} is no folder; give --report a name in one")


def _write(report: Report, name: Path) -> None:
    from jupyterhub_aiinfn.errors import StateError

    for suffix, text in ((".md", report.as_markdown()), (".json", report.as_json())):
        file = name.with_name(name.name + suffix)
        try:
            file.write_text(text, encoding="utf-8")
        except OSError as error:
            said = f"{click.format_filename(file)} cannot be written: {str(error.strerror).lower()}"
            raise StateError(f"{said}; give --report another name") from None
        click.echo(f"written: {click.format_filename(file)}")
