"""``aiinfn doctor`` and ``aiinfn support-bundle``: what is wrong here, and what helps somebody else to see it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from .paths import PATH

STATE = click.option("--state", type=PATH, metavar="DIR", help="The state folder, as given to `aiinfn up`.")
VALUES = click.option("--values", type=PATH, metavar="FILE", help="The values file, as given to `aiinfn up`.")


@click.command()
@STATE
@VALUES
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="As for `aiinfn up`.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def doctor(state: Path | None, values: Path | None, port: int, as_json: bool) -> None:
    """Say what this machine and this installation can do and what not, each with the remedy.

    The exit code is 1 when something breaks the platform, else 0. Nothing is changed.
    """
    from jupyterhub_aiinfn.supervisor import doctor as supervisor

    findings = supervisor.examine(state, values, port)
    click.echo(supervisor.as_json(findings) if as_json else supervisor.as_text(findings))
    sys.exit(supervisor.exit_code(findings))


@click.command(name="support-bundle")
@STATE
@VALUES
@click.option("--output", type=PATH, metavar="FILE", help="The file to make; one with the time in its name by default.")
@click.option("--megabytes", type=click.IntRange(1, 100), default=5, show_default=True, help="Of each log, its end.")
@click.option("--without-names", is_flag=True, help="Put person-1, person-2 ... in the place of people's names.")
def support_bundle(
    state: Path | None, values: Path | None, output: Path | None, megabytes: int, without_names: bool
) -> None:
    """Pack status, doctor, values, logs and records into one file that only you can read, with secrets removed.

    Look into it before you send it: what people wrote into names and messages is in it.
    """
    from jupyterhub_aiinfn.supervisor import bundle as supervisor

    made = supervisor.make(state, values, output, megabytes * 2**20, without_names=without_names)
    for sentence in made.notes:
        click.echo(sentence, err=True)
    click.echo(f"{made.file} ({made.size / 1000:.0f} kB) holds {', '.join(made.names)}")
    click.echo("Look into it before you send it.")
