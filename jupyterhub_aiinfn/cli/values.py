"""``aiinfn values``: check a values file, show it, print its schema, make one from today's files, apply one."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import click

from jupyterhub_aiinfn.values import load_values, values_hash
from jupyterhub_aiinfn.values.one_machine import ignored_on_one_machine
from jupyterhub_aiinfn.values.writing import values_schema, values_to_yaml

from .paths import PATH


@click.group()
def values() -> None:
    """Check, show, import and apply the values file."""


@values.command()
@click.argument("file", type=PATH)
def check(file: Path) -> None:
    """Say everything that is wrong with FILE: exit code 0 when nothing is, else 1."""
    found = load_values(file)
    counts = {"profiles": len(found.profiles), "images": len(found.images), "projects": len(found.projects)}
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    click.echo(f"{click.format_filename(file)} is valid: {said}; hash {values_hash(found)}")
    for sentence in ignored_on_one_machine(found):
        click.echo(sentence)


@values.command()
@click.argument("file", type=PATH)
def show(file: Path) -> None:
    """Print FILE with every default, as a values file."""
    click.echo(values_to_yaml(load_values(file)), nl=False)


@values.command()
def schema() -> None:
    """Print the JSON schema of the values file, for completion in editors."""
    click.echo(values_schema(), nl=False)


@values.command(name="import")
@click.option("--catalogue", type=PATH, metavar="FILE", required=True, help="Today's accelerator catalogue (YAML).")
@click.option("--groups", type=PATH, metavar="FILE", help="Groups of today's hub with their properties (JSON or YAML).")
def import_files(catalogue: Path, groups: Path | None) -> None:
    """Print a values file made from the catalogue and the groups of the platform in use today.

    Accelerators without a price get the price 0 from today on.
    What was not carried over, and what must be added by hand, is said on standard error.
    """
    from jupyterhub_aiinfn.values.importing import MISSING, as_yaml, import_values

    found = import_values(catalogue, groups, date.today())
    click.echo(as_yaml(found, click.format_filename(catalogue, shorten=True)), nl=False)
    counts = ", ".join(f"{len(section)} {name}" for name, section in found.sections.items())
    click.echo(f"carried over: {counts}", err=True)
    for sentence in found.notes:
        click.echo(sentence, err=True)
    click.echo("add what cannot be invented, then run `aiinfn values check`:", err=True)
    for line in MISSING:
        click.echo(f"  {line}", err=True)


@values.command()
@click.argument("file", type=PATH, required=False)
@click.option("--state", type=PATH, metavar="DIR", help="The state folder, as given to `aiinfn up`.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def apply(file: Path | None, state: Path | None, yes: bool) -> None:
    """Have the platform hold the values of FILE: shows the difference, and asks.

    Profiles, projects, accelerators, images, nodes, prices and people count at once, in hub and service or in neither;
    running sessions keep what they started with. What needs a restart is named. Without FILE it is the file of the last
    start. When the platform does not run, its next start without --values begins with FILE.
    """
    from jupyterhub_aiinfn.supervisor import apply as supervisor

    change = supervisor.look(file, state)
    source = click.format_filename(change.read.file)
    if change.before is not None and not change.differences and change.before.file == change.read.file:
        click.echo(f"{source} says what is held already ({values_hash(change.read.values)}); nothing to apply")
        return
    click.echo(supervisor.as_text(change) or f"the values are the same, read from {source} from now on")
    if not yes and not click.confirm(f"Apply {source}?"):
        click.echo("nothing was changed")
        return
    asyncio.run(supervisor.apply(change, click.echo))
