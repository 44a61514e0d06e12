"""``aiinfn values``: check a values file, show it with its defaults, print its JSON schema."""

from __future__ import annotations

from pathlib import Path

import click

from jupyterhub_aiinfn.values import load_values, values_hash
from jupyterhub_aiinfn.values.writing import values_schema, values_to_yaml

from .paths import PATH


@click.group()
def values() -> None:
    """Check and show the values file."""


@values.command()
@click.argument("file", type=PATH)
def check(file: Path) -> None:
    """Say everything that is wrong with FILE: exit code 0 when nothing is, else 1."""
    found = load_values(file)
    counts = {"profiles": len(found.profiles), "images": len(found.images), "projects": len(found.projects)}
    said = ", ".join(f"{count} {name}" for name, count in counts.items())
    click.echo(f"{click.format_filename(file)} is valid: {said}; hash {values_hash(found)}")


@values.command()
@click.argument("file", type=PATH)
def show(file: Path) -> None:
    """Print FILE with every default, as a values file."""
    click.echo(values_to_yaml(load_values(file)), nl=False)


@values.command()
def schema() -> None:
    """Print the JSON schema of the values file, for completion in editors."""
    click.echo(values_schema(), nl=False)
