"""The ``aiinfn`` command; sub-commands are imported when they are called, so that help works with a bare install."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from typing import Any

import click

from jupyterhub_aiinfn import __version__
from jupyterhub_aiinfn.errors import AiinfnError

COMMANDS = {
    "up": ("jupyterhub_aiinfn.cli.platform:up", "Start the platform on this machine."),
    "down": ("jupyterhub_aiinfn.cli.platform:down", "Stop the platform on this machine."),
    "status": ("jupyterhub_aiinfn.cli.platform:status", "Say what runs, and what this machine enforces."),
    "doctor": ("jupyterhub_aiinfn.cli.doctor:doctor", "Say what is wrong here, and what to do about it."),
    "support-bundle": ("jupyterhub_aiinfn.cli.doctor:support_bundle", "Pack what helps to help, without secrets."),
    "user": ("jupyterhub_aiinfn.cli.user:user", "Add people and set their passwords."),
    "storage": ("jupyterhub_aiinfn.cli.storage:storage", "Say how full homes and shared folders are."),
    "backup": ("jupyterhub_aiinfn.cli.backup:backup", "Copy everything that is worth keeping."),
    "restore": ("jupyterhub_aiinfn.cli.backup:restore", "Make a state folder from a backup."),
    "image": ("jupyterhub_aiinfn.cli.image:image", "Build, verify and remove environments."),
    "env": ("jupyterhub_aiinfn.cli.env:env", "Make and change environments of your own, inside a session."),
    "kubernetes": (
        "jupyterhub_aiinfn.cli.kubernetes:kubernetes",
        "Print what a cluster needs, and say what on it is not so.",
    ),
    "accept": ("jupyterhub_aiinfn.cli.accept:accept", "Prove on a cluster what its values promise."),
    "values": ("jupyterhub_aiinfn.cli.values:values", "Check, show, import and apply the values file."),
}
"""Name: where the command is, and what it does in one line."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and only then; help needs none of them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of :data:`COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now; a sentence when a package that it needs is not installed."""
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        try:
            command: click.Command = getattr(import_module(module), name)
        except ModuleNotFoundError as error:
            raise click.ClickException(_not_installed(cmd_name, error)) from error
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing one."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours is a sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except AiinfnError as error:
            raise click.ClickException(str(error)) from error


def _not_installed(command: str, error: ModuleNotFoundError) -> str:
    return (
        f"`aiinfn {command}` needs the Python package {error.name}, which is not installed; "
        "install jupyterhub-aiinfn[local] for everything that one machine needs"
    )


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aiinfn")
def cli() -> None:
    """Shared accelerators for machine learning: a JupyterHub platform on one machine or a cluster."""


def main() -> None:
    """The entry point; a reader that goes away (``aiinfn … | head``) ends the command quietly."""
    try:
        cli()
    except OSError as error:
        if not isinstance(error, BrokenPipeError) and error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.errno == errno.ENOSPC:
            click.echo("Error: the output could not be written: no space left on the device", err=True)
        sys.exit(1)
