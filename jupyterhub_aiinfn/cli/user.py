"""``aiinfn user``: add people, change their passwords, list them; acts on a running platform at once."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jupyterhub_aiinfn.errors import AiinfnError

from .paths import PATH

if TYPE_CHECKING:
    from jupyterhub_aiinfn.hub.people import People


def installation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which installation is meant."""
    state = click.option("--state", type=PATH, metavar="DIR", help="The state folder, as given to `aiinfn up`.")
    values = click.option("--values", type=PATH, metavar="FILE", help="The values file, as given to `aiinfn up`.")
    return state(values(command))


def open_people(state: Path | None, values: Path | None) -> People:
    """The people of one installation; its state folder is made if need be. Raises :class:`AiinfnError`."""
    try:
        from jupyterhub_aiinfn.hub.people import People
    except ModuleNotFoundError as error:
        raise AiinfnError(f"{error.name} is not installed; install jupyterhub-aiinfn[local]") from error
    from jupyterhub_aiinfn.backends.local.state import StateFolder
    from jupyterhub_aiinfn.supervisor.known_values import known_values
    from jupyterhub_aiinfn.supervisor.places import find_state
    from jupyterhub_aiinfn.supervisor.record import check_owner

    folder = StateFolder(find_state(state))
    known = known_values(values, folder, of_cluster=True)
    folder.prepare()
    check_owner(folder)
    return People(folder, known.values)


@click.group()
def user() -> None:
    """Add people, change their passwords, list them."""


@user.command()
@click.argument("name")
@click.option(
    "--group", "groups", multiple=True, metavar="G", help="A group of the person; may be given several times."
)
@installation_options
def add(name: str, groups: tuple[str, ...], state: Path | None, values: Path | None) -> None:
    """Add NAME with a first password, kept in a file that only you can read."""
    file = open_people(state, values).add(name, groups)
    click.echo(f"{name} can log in; the first password is in {file}")


@user.command()
@click.argument("name")
@installation_options
def passwd(name: str, state: Path | None, values: Path | None) -> None:
    """Give NAME another password: asked for twice, or the first line of standard input."""
    people = open_people(state, values)
    people.set_password(name, read_password())
    click.echo(f"{name} has a new password")


@user.command(name="list")
@installation_options
def list_people(state: Path | None, values: Path | None) -> None:
    """Show everybody: login name, groups, and the file of the first password while that is in use."""
    people = open_people(state, values)
    names, first = people.names(), people.first_passwords()
    rows = [(name, role(people, name), ", ".join(people.groups(name)) or "-", first.get(name)) for name in names]
    width = max((len(name) for name in names), default=4)
    groups_width = max((len(groups) for _, _, groups, _ in rows), default=6)
    click.echo(f"{'name':{width}}  role   {'groups':{groups_width}}  first password")
    for name, kind, groups, file in rows:
        click.echo(f"{name:{width}}  {kind:5}  {groups:{groups_width}}  {file or 'not in use'}")


def role(people: People, name: str) -> str:
    """``admin`` or ``user``."""
    return "admin" if people.is_admin(name) else "user"


def read_password() -> str:
    """A password from the terminal, or the first line of standard input when that is none."""
    if sys.stdin.isatty():
        return str(click.prompt("New password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().removesuffix("\n").removesuffix("\r")
