"""``aiinfn kubernetes``: what the administrator of a cluster applies, printed from the values, and what is not so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from jupyterhub_aiinfn.values import load_values, values_hash

from .paths import PATH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyterhub_aiinfn.values import Values

MAX_BYTES = 64 << 20
"""A thousand nodes take some 20 MB; more is not what kubectl wrote."""


MAX_DEPTH = 64
"""The deepest object of Kubernetes needs some twenty; the rest is generous and arbitrary."""
NODES = "give the file that `kubectl get nodes -o yaml` writes"
OBJECTS = "give the file that `kubectl get … -A -o yaml` writes"

values_option = click.option(
    "--values", type=PATH, metavar="FILE", required=True, help="The values file of the cluster."
)
nodes_option = click.option(
    "--nodes",
    type=PATH,
    metavar="FILE",
    help="The nodes as `kubectl get nodes -o yaml` (or json) lists them; quotas are counted from them. Without it only "
    "what nodes.*.machines of the values state counts.",
)


@click.group()
def kubernetes() -> None:
    """Print what a cluster needs, and say what on it is not so."""


@kubernetes.command()
@values_option
@nodes_option
@click.option(
    "--diff",
    "compare",
    is_flag=True,
    help="Ask the cluster with kubectl, and say in a line each what applying would change, and what is left over.",
)
@click.option(
    "--kubeconfig", type=PATH, metavar="FILE", help="For --diff: how the cluster is reached; default: as kubectl."
)
def manifests(values: Path, nodes: Path | None, compare: bool, kubeconfig: Path | None) -> None:
    """Print namespaces, rights, network policies and the queues of Kueue as YAML, for `kubectl apply -f -`.

    Nothing is changed anywhere, and without --diff nothing is sent anywhere. What there is to say about the nodes is
    said on standard error. With --diff the exit code is 0 when the cluster is as the values say, 1 when it is not, and
    2 when that cannot be told.
    """
    from jupyterhub_aiinfn.values.writing import yaml_text

    if compare:
        raise click.exceptions.Exit(_compare(values, nodes, kubeconfig))
    if kubeconfig is not None:
        raise click.UsageError("--kubeconfig is for --diff; without it no cluster is asked")
    found = load_values(values)
    parts = wanted(found, nodes)
    source = click.format_filename(values, shorten=True)
    click.echo(f"# Made by `aiinfn kubernetes manifests` from {source}, values {values_hash(found)}.")
    for part in parts:
        click.echo(f"---\n{yaml_text(part)}", nl=False)


def _compare(values: Path, nodes: Path | None, kubeconfig: Path | None) -> int:
    """Print what on the cluster is not as the values say; the exit code."""
    from jupyterhub_aiinfn.backends.kubernetes.kubectl import objects_of
    from jupyterhub_aiinfn.errors import AiinfnError

    try:
        parts = wanted(load_values(values), nodes)
        found = objects_of(parts, kubeconfig)
    except AiinfnError as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    return _print_drift(parts, found)


def _print_drift(parts: list[dict[str, Any]], found: list[Mapping[str, Any]]) -> int:
    from jupyterhub_aiinfn.backends.kubernetes.drift import drift

    differences = drift(parts, found)
    for difference in differences:
        click.echo(difference)
    if not differences:
        click.echo("the cluster is as the values say")
    return 1 if differences else 0


@kubernetes.command("chart-values")
@values_option
@click.option("--hub-image", metavar="IMAGE", help="A container image with JupyterHub and this program.")
def print_chart_values(values: Path, hub_image: str | None) -> None:
    """Print the values of the JupyterHub chart that follow, for `helm upgrade --install --values`.

    Nothing in them is secret, and nothing is sent anywhere.
    """
    from jupyterhub_aiinfn.backends.kubernetes.chart import chart_values
    from jupyterhub_aiinfn.values.writing import yaml_text

    if hub_image is not None and (not hub_image or not hub_image.isascii() or set(hub_image) & set(" \t\r\n")):
        raise click.BadParameter("give the name of a container image, such as registry.example.org/aiinfn/hub:1")
    found = load_values(values)
    text = yaml_text(chart_values(found, hub_image))
    if hub_image is None:
        click.echo("hub.image is not set: the chart's own image lacks this program; give --hub-image", err=True)
    source = click.format_filename(values, shorten=True)
    click.echo(
        f"# Made by `aiinfn kubernetes chart-values` from {source}, values {values_hash(found)}.\n{text}", nl=False
    )


@kubernetes.command()
@values_option
@nodes_option
@click.option(
    "--found",
    type=PATH,
    metavar="FILE",
    required=True,
    help="What is on the cluster, as `kubectl get … -A -o yaml` lists it; label: "
    "app.kubernetes.io/part-of=jupyterhub-aiinfn.",
)
def check(values: Path, nodes: Path | None, found: Path) -> None:
    """Say what on a cluster is not as the values say: exit code 0 when everything is, else 1.

    Whatever was changed, removed or left behind is one line. Nothing is asked of the cluster: you give what it has.
    """
    code = _print_drift(wanted(load_values(values), nodes), read_objects(found, OBJECTS))
    if code:
        raise click.exceptions.Exit(code)


def wanted(values: Values, nodes: Path | None) -> list[dict[str, Any]]:
    """The manifests of values; what there is to say about the nodes is said on standard error."""
    from jupyterhub_aiinfn.backends.kubernetes.installation import installation_manifests

    parts, notes = installation_manifests(values, None if nodes is None else read_objects(nodes, NODES, "Node"))
    for sentence in notes:
        click.echo(sentence, err=True)
    return parts


def read_objects(file: Path, remedy: str, kind: str | None = None) -> list[Mapping[str, Any]]:
    """The objects of a file that kubectl wrote (a list or one, YAML or JSON), all of one kind where one is named."""
    from jupyterhub_aiinfn.errors import BackendError

    name = click.format_filename(file)
    data = _content(file, name, remedy)
    items = data.get("items") if isinstance(data, dict) else None
    if items is None and isinstance(data, dict) and "kind" in data and "metadata" in data:
        items = [data]
    if not isinstance(items, list) or not all(isinstance(one, dict) and one.get("kind") for one in items):
        raise BackendError(f"{name} is no list of objects; {remedy}")
    if kind is not None and any(one["kind"] != kind for one in items):
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
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_nesting(yaml.parse(content, Loader=loader))
        return yaml.load(content, Loader=loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError):
        raise BackendError(f"{name} is not YAML that kubectl writes; {remedy}") from None


def _check_nesting(events: Iterable[object]) -> None:
    """Refuse what the loader would follow into a crash, or for ever: it is recursive, and takes aliases of aliases."""
    import yaml

    depth = 0
    for event in events:
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            raise ValueError("nested too deep, or with aliases")
