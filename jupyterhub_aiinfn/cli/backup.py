"""``aiinfn backup`` and ``aiinfn restore``."""

from __future__ import annotations

from pathlib import Path

import click

from .paths import PATH
from .user import installation_options


@click.command()
@click.argument("target", type=PATH)
@installation_options
def backup(target: Path, state: Path | None, values: Path | None) -> None:
    """Copy homes, shared folders, databases and state to the new folder TARGET, while the platform runs.

    TARGET is a folder that only you can read: it holds the secrets of the platform and everybody's files. It has
    checksums, and its name only once it was read back. Sessions that run are not in it; files that change meanwhile
    are listed, unless btrfs can take snapshots.
    """
    from jupyterhub_aiinfn.supervisor import backup as supervisor

    manifest = supervisor.backup(target, state, values, click.echo)
    size = sum(part.size for part in manifest.parts)
    for line in supervisor.remarks(manifest):
        click.echo(line, err=True)
    click.echo(
        f"The backup is {target}: {size / 2**20:.1f} MiB in {len(manifest.parts)} parts. It holds secrets and homes; "
        "only you can read it, and so it should stay."
    )


@click.command()
@click.argument("source", type=PATH)
@click.option("--state", type=PATH, metavar="DIR", help="The state folder to make.")
@click.option("--replace", is_flag=True, help="Move a state folder that is there aside; it is kept.")
def restore(source: Path, state: Path | None, replace: bool) -> None:
    """Make the state folder from SOURCE, a folder that `aiinfn backup` made.

    All of SOURCE is checked before anything is written, and the state folder gets its name when everything is there.
    A platform that runs, and a state folder that is not empty, are refused.
    """
    from jupyterhub_aiinfn.supervisor import restore as supervisor

    old = supervisor.restore(source, state, replace=replace, say=click.echo)
    if old is not None:
        click.echo(f"What was there before is kept in {old}")
    click.echo("Restored. Start the platform with `aiinfn up`.")
