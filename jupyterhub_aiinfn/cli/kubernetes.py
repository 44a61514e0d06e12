"""``aiinfn kubernetes``: what the administrator of a cluster applies, printed from the values."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jupyterhub_aiinfn.values import load_values, values_hash

from .paths import PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 64 << 20
"""A thousand nodes take some 20 MB; more is not what kubectl wrote."""


@click.group()
def kubernetes() -> None:
    """Print what a cluster needs."""


@kubernetes.command()
@click.option("--values", type=PATH, metavar="FILE", required=True, help="The values file of the cluster.")
@click.option(
    "--nodes",
    type=PATH,
    metavar="FILE",
    help="The nodes as `kubectl get nodes -o yaml` (or json) lists them; quotas are counted from them. Without it only "
    "what nodes.*.machines of the values state counts.",
)
def manifests(values: Path, nodes: Path | None) -> None:
    """Print namespaces, rights, network policies and the queues of Kueue as YAML, for `kubectl apply -f -`.

    Nothing is sent anywhere. What there is to say about the nodes is said on standard error.
    """
    from jupyterhub_aiinfn.backends.kubernetes.installation import installation_manifests
    from jupyterhub_aiinfn.values.writing import yaml_text

    found = load_values(values)
    parts, notes = installation_manifests(found, None if nodes is None else read_nodes(nodes))
    for sentence in notes:
        click.echo(sentence, err=True)
    source = click.format_filename(values, shorten=True)
    click.echo(f"# Made by `aiinfn kubernetes manifests` from {source}, values {values_hash(found)}.")
    for part in parts:
        click.echo(f"---\n{yaml_text(part)}", nl=False)


def read_nodes(file: Path) -> list[Mapping[str, Any]]:
    """The nodes of a file that kubectl wrote: a list, one node, or JSON of either."""
    from jupyterhub_aiinfn.errors import BackendError

    name = click.format_filename(file)
    remedy = "give the file that `kubectl get nodes -o yaml` writes"
    data = _content(file, name, remedy)
    items = data.get("items") if isinstance(data, dict) else None
    if isinstance(data, dict) and data.get("kind") == "Node":
        items = [data]
    if not isinstance(items, list) or not all(isinstance(one, dict) and one.get("kind") == "Node" for one in items):
        raise BackendError(f"{name} is no list of nodes; {remedy}")
    return items


def _content(file: Path, name: str, remedy: str) -> Any:
    import yaml

    from jupyterhub_aiinfn.errors import BackendError

    try:
        if not file.is_file():
            raise BackendError(f"{name} is no file; {remedy}")
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or "it cannot be named so"
        raise BackendError(f"{name} cannot be read: {said.lower()}; {remedy}") from None
    if len(content) > MAX_BYTES:
        raise BackendError(f"{name} is larger than {MAX_BYTES >> 20} MiB; {remedy}")
    try:
        return yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError):
        raise BackendError(f"{name} is not YAML; {remedy}") from None
