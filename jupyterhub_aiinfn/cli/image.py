"""``aiinfn image``: build, verify, list and remove the environments of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import click

from jupyterhub_aiinfn.api.workloads import Progress
from jupyterhub_aiinfn.backends.local.build import BuildFailed, build_environment
from jupyterhub_aiinfn.backends.local.environments import Environments, remove
from jupyterhub_aiinfn.backends.local.installation import default_cache
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import AiinfnError, BackendError
from jupyterhub_aiinfn.supervisor.known_values import known_values
from jupyterhub_aiinfn.supervisor.places import find_state

from .paths import PATH

BAR = 24


class Group(click.Group):
    """A group that says an error of ours as a sentence with exit code 1, also when it is called by itself."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AiinfnError as error:
            raise click.ClickException(str(error)) from error
        except PermissionError as error:
            raise click.ClickException(f"{error.filename} is not yours to change; run this as its owner") from error


@dataclass(frozen=True)
class Found:
    """What the commands are about."""

    values_file: Path
    names: list[str]
    environments: Environments


@click.group(cls=Group)
@click.option("--values", "values_file", type=PATH, metavar="FILE", help="The values file, as given to `aiinfn up`.")
@click.option("--state", type=PATH, metavar="DIR", help="The state folder: it knows the values file of the last start.")
@click.option("--cache", type=PATH, metavar="DIR", help="Where environments are, as given to `aiinfn up`.")
@click.pass_context
def image(ctx: click.Context, values_file: Path | None, state: Path | None, cache: Path | None) -> None:
    """Build, verify and remove the environments of this machine."""
    known = known_values(values_file, StateFolder(find_state(state)))
    values, file = known.values, known.file
    ctx.obj = Found(file, list(values.images), Environments(values, file, cache or default_cache()))


@image.command("list")
@click.pass_obj
def list_images(found: Found) -> None:
    """Say which environments are ready, what they take and where they are."""
    environments = found.environments
    width = max(map(len, found.names))
    for name in found.names:
        try:
            size = megabytes(environments.bytes(name)) if environments.ready(name) else "-"
            click.echo(f"{name:{width}}  {environments.state(name):9}  {size:>8}  {environments.path(name)}")
        except BackendError as error:
            click.echo(f"{name:{width}}  cannot be built: {error}")


@image.command()
@click.argument("name")
@click.pass_obj
def build(found: Found, name: str) -> None:
    """Build the environment of an image, or wait for whoever builds it already."""
    environments = found.environments
    screen = Screen()
    try:
        ready = build_environment(environments.build(name), screen.show, screen.say)
    except BuildFailed as error:
        screen.end()
        for line in error.tail:
            click.echo(f"  {line}", err=True)
        raise
    screen.end()
    click.echo(f"environment {name} is ready: {megabytes(ready['bytes'])}, {environments.path(name)}")


@image.command()
@click.argument("name")
@click.pass_obj
def verify(found: Found, name: str) -> None:
    """Run what the image brings to prove that its environment works, inside that environment."""
    environments = found.environments
    program = environments.source(name) / "verify"
    if not environments.ready(name):
        raise BackendError(f"environment {name} is not built; `aiinfn image build {name}` builds it")
    if not program.is_file():
        raise BackendError(f"image {name} has no {program}; write one that exits with 0 when the environment works")
    prefix = environments.path(name)
    with tempfile.TemporaryDirectory(prefix="aiinfn-verify-") as home:
        variables = {"PATH": f"{prefix / 'bin'}:{os.defpath}", "HOME": home, "LANG": "C.UTF-8"}
        command = [str(prefix / "bin" / "python"), str(program)]
        code = subprocess.run(command, env=variables, cwd=home).returncode
    if code:
        raise BackendError(
            f"environment {name} does not work: {program} ended with exit code {code}; its lines are above"
        )
    click.echo(f"environment {name} works")


@image.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def prune(found: Found, yes: bool) -> None:
    """Remove environments that no image of the values needs and no process uses."""
    leftovers = found.environments.leftovers()
    click.echo(f"judged by the images of {found.values_file}")
    if not leftovers:
        click.echo("nothing to remove")
        return
    for leftover in leftovers:
        click.echo(f"{megabytes(leftover.bytes):>8}  {leftover.path}")
    if not yes and not click.confirm(f"Remove {megabytes(sum(leftover.bytes for leftover in leftovers))}?"):
        return
    for leftover in leftovers:
        gone = remove(leftover.path)
        click.echo(f"{'removed' if gone else 'in use, kept'} {leftover.path}")


class Screen:
    """Shows a build: a bar on a terminal, elsewhere a line for each step."""

    def __init__(self) -> None:
        self.terminal = sys.stdout.isatty()
        self._step = ""

    def show(self, progress: Progress) -> None:
        """Show how far it is."""
        if self.terminal:
            click.echo(f"\r\x1b[K{bar(progress)}", nl=False)
        elif progress.step != self._step:
            click.echo(f"{figures(progress)}  {progress.step}")
        self._step = progress.step

    def say(self, line: str) -> None:
        """What pip prints is not shown: the steps say it, and a failure brings the last lines."""

    def end(self) -> None:
        """Leave the bar's line."""
        if self.terminal:
            click.echo()


def bar(progress: Progress) -> str:
    """One line: a bar (half of it the download, half the packages), the figures, the step."""
    shares = [
        done / total
        for done, total in ((progress.bytes_done, progress.bytes_total), (progress.done, progress.total))
        if total
    ]
    filled = round(BAR * sum(shares) / 2)
    return f"[{'#' * filled}{'.' * (BAR - filled)}] {figures(progress)}  {progress.step}"[:118]


def figures(progress: Progress) -> str:
    """``12/48 packages, 93/118 MB``."""
    done, total = (f"{count / 1e6:.0f}" for count in (progress.bytes_done, progress.bytes_total))
    return f"{progress.done:>{len(str(progress.total))}}/{progress.total} packages, {done:>{len(total)}}/{total} MB"


def megabytes(count: int) -> str:
    """``662 MB``."""
    return f"{count / 1e6:.0f} MB"
