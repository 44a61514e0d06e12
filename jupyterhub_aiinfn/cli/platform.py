"""``aiinfn up``, ``down`` and ``status``: the platform on one machine."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from .paths import PATH

STATE = click.option("--state", type=PATH, metavar="DIR", help="The state folder: people, homes, tokens, logs.")
VALUES = click.option("--values", type=PATH, metavar="FILE", help="The values file.")


@click.command()
@VALUES
@STATE
@click.option("--cache", type=PATH, metavar="DIR", help="Where environments and the proxy are installed.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 picks a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others see plain HTTP.")
@click.option("--ready-file", type=PATH, metavar="FILE", help="Written (JSON) once a login would work.")
def up(
    values: Path | None, state: Path | None, cache: Path | None, port: int, host: str, ready_file: Path | None
) -> None:
    """Start the platform on this machine and keep it running until Ctrl-C.

    The state folder is ~/.local/state/jupyterhub-aiinfn unless another is named; it keeps people, homes and
    choices for the next start. The values file is the one that came with the program, config/local.yaml.
    """
    from jupyterhub_aiinfn.supervisor import up as supervisor

    options = supervisor.Options(
        values, state, cache and cache.absolute(), host, port, ready_file and ready_file.absolute()
    )
    sys.exit(supervisor.up(options, click.echo))


@click.command()
@STATE
@VALUES
def down(state: Path | None, values: Path | None) -> None:
    """Stop the platform on this machine, and end what a killed one left."""
    from jupyterhub_aiinfn.supervisor import down as supervisor

    supervisor.down(state, values, click.echo)


@click.command()
@STATE
@VALUES
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of lines.")
def status(state: Path | None, values: Path | None, as_json: bool) -> None:
    """Say what runs, whether it answers, and what this machine enforces.

    The exit code is 0 when the platform runs and 3 when it does not.
    """
    from jupyterhub_aiinfn.supervisor import status as supervisor

    found = asyncio.run(supervisor.look(state, values))
    click.echo(found.as_json() if as_json else supervisor.as_text(found))
    sys.exit(found.exit_code)
