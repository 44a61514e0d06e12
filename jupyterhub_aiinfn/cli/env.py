"""``aiinfn env``: a person's own environments, from a terminal of their session; needs neither hub nor service."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from jupyterhub_aiinfn.errors import OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import HOME, Pin, parse_requirements, requested_in

from .paths import PATH

if TYPE_CHECKING:
    from jupyterhub_aiinfn.singleuser.environments.environments import Found, OwnEnvironments

FILE = click.option(
    "-r", "--requirement", "file", type=PATH, metavar="FILE", help="Packages of a requirements or lock file."
)


def open_environments(*, quiet: bool = False) -> OwnEnvironments:
    """The environments of this session; what pip says is printed."""
    try:
        from jupyterhub_aiinfn.singleuser.environments.environments import OwnEnvironments
    except ModuleNotFoundError as error:
        raise OwnEnvironmentError(
            f"{error.name} is not installed here; `aiinfn env` is for a terminal of JupyterLab"
        ) from error
    signal.signal(signal.SIGTERM, _stop)
    return OwnEnvironments(os.environ, lambda kind, text: None if quiet or kind == "step" else click.echo(text))


def _stop(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def read_pins(packages: tuple[str, ...], file: Path | None) -> tuple[list[Pin], tuple[str, ...]]:
    """What to install, and what a lock file says was asked for."""
    from jupyterhub_aiinfn.singleuser.environments.records import read_small

    if file is None:
        return [Pin(package) for package in packages], ()
    text = read_small(file)
    if text is None:
        raise OwnEnvironmentError(f"{file} cannot be read as a list of packages; name a text file of at most 1 MB")
    if packages:
        raise OwnEnvironmentError("name packages or a file, not both; write the packages into the file")
    return list(parse_requirements(text)), requested_in(text)


@click.group()
def env() -> None:
    """Make and change environments of your own.

    An own environment lies on the environment of the session's image: it sees the image's packages and adds its own,
    which win. It appears as a kernel. ENVIRONMENT is its name, or PROJECT/NAME for one in a project folder.
    """


@env.command()
@click.argument("name")
@click.argument("packages", nargs=-1)
@click.option("--from", "image", default="", metavar="IMAGE", help="The image to lay it on: that of this session.")
@click.option("--project", default=HOME, metavar="PROJECT", help="Make it in this project's folder, not in your home.")
@click.option("--from-lock", "file", type=PATH, metavar="FILE", help="Install what this lock file names.")
def create(name: str, packages: tuple[str, ...], image: str, project: str, file: Path | None) -> None:
    """Make the environment NAME with PACKAGES."""
    environments = open_environments()
    wanted, requested = read_pins(packages, file)
    done(environments.create(name, project, wanted, image=image, requested=requested), "is ready")


@env.command()
@click.argument("environment")
@click.argument("packages", nargs=-1)
@FILE
def install(environment: str, packages: tuple[str, ...], file: Path | None) -> None:
    """Install PACKAGES into ENVIRONMENT."""
    environments = open_environments()
    wanted, requested = read_pins(packages, file)
    if not wanted:
        raise OwnEnvironmentError("nothing to install; name packages, or a file with -r")
    done(environments.install(environment, wanted, requested=requested), "has them; restart its kernels")


@env.command(name="list")
def list_environments() -> None:
    """Show all environments: yours, and those in the folders of your projects."""
    from jupyterhub_aiinfn.singleuser.environments import kernels

    environments = open_environments()
    rows = [row(found) for found in environments.described()]
    if not rows:
        click.echo("no environment yet; make one with `aiinfn env create NAME PACKAGES…`")
        return
    head = ("environment", "image", "state", "MB", "kernel", "members")
    widths = [max(len(line[column]) for line in [head, *rows]) for column in range(len(head))]
    for line in [head, *rows]:
        click.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    for found in environments.list():
        with contextlib.suppress(FileNotFoundError):  # it is removed at this moment
            if found.problem and (found.own or kernels.is_used(found.place.id, found.name)):
                click.echo(found.problem, err=True)


def row(said: dict[str, object]) -> tuple[str, ...]:
    """One line of the list."""
    size = said["bytes"]
    assert isinstance(size, int)
    words = (said["reference"], said.get("image_title", "?"), said["state"], f"{size / 1e6:.0f}")
    return (*map(str, words), "yes" if said["used"] else "no", str(said["sharing"]))


@env.command()
@click.argument("environment")
def repair(environment: str) -> None:
    """Make ENVIRONMENT again, on the image of this session, with the packages that were asked for."""
    done(open_environments().repair(environment), "is ready again")


@env.command()
@click.argument("environment")
def export(environment: str) -> None:
    """Print the lock file of ENVIRONMENT: its packages with versions and hashes."""
    click.echo(open_environments(quiet=True).export(environment), nl=False)


@env.command()
@click.argument("environment")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(environment: str, yes: bool) -> None:
    """Remove ENVIRONMENT and its kernel."""
    environments = open_environments()
    found = environments.find(environment)
    if not yes:
        click.confirm(f"Remove {environment} and everything in {found.folder}?", abort=True)
    environments.remove(environment)
    click.echo(f"{environment} is removed")


@env.command()
@click.argument("environment")
def use(environment: str) -> None:
    """Put ENVIRONMENT, which another member of the project made, among your kernels: its code runs as you."""
    done(open_environments().use(environment), "is among your kernels")


@env.command(name="stop-using")
@click.argument("environment")
def stop_using(environment: str) -> None:
    """Take ENVIRONMENT from your kernels."""
    open_environments().stop_using(environment)
    click.echo(f"{environment} is no kernel of yours any more")


@env.command()
@click.argument("environment")
@click.option("--writable", is_flag=True, help="Members may also install into it.")
def share(environment: str, writable: bool) -> None:
    """Let the members of the project use ENVIRONMENT, which is in the project's folder."""
    done(open_environments().share(environment, "write" if writable else "read"), "is open to the project")


@env.command()
@click.argument("environment")
def unshare(environment: str) -> None:
    """Keep the other members of the project out of ENVIRONMENT."""
    done(open_environments().share(environment, "private"), "is yours alone")


def done(found: Found, what: str) -> None:
    """Say that it worked."""
    click.echo(f"{found.reference} {what}")
