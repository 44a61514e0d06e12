"""What stands for the storage of a farm on the tests' cluster: folders of this machine behind claims and exports."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.backends.kubernetes.manifests import home_claim
from jupyterhub_aiinfn.values import Values
from tests.tools.cluster.client import Client

EARLIER = 4711
"""The group that files had before there was this platform."""


def folder_with_home(alice: int) -> tuple[Path, Path]:
    """A folder for a farm, and its export; Alice, by her uid, has had a home there since yesterday."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-farm-"))
    folder.chmod(0o711)
    export = folder / "farm" / "export"
    export.parent.mkdir(mode=0o711)
    home = export / "user-alice"
    home.mkdir(parents=True)
    home.chmod(0o750)
    (home / "before.txt").write_text("yesterday")
    for path in (home, home / "before.txt"):
        os.chown(path, alice, EARLIER)
    return folder, export


def give_home(client: Client, values: Values, person: str, folder: Path, stack: ExitStack) -> None:
    """A volume that waits for the claim of a person's home."""
    claim = home_claim(values, person)
    assert claim is not None
    _give_volume(client, claim, folder, stack)


def give_claim(client: Client, namespace: str, name: str, folder: Path, stack: ExitStack) -> None:
    """A claim as an administrator makes it, and the volume that it is bound to."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    _give_volume(client, claim, folder, stack)
    client.apply(claim)


def _give_volume(client: Client, claim: Mapping[str, Any], folder: Path, stack: ExitStack) -> None:
    make_export(folder)
    head = claim["metadata"]
    volume = f"{head['namespace']}.{head['name']}"
    stack.callback(client, "delete", "pv", volume, "--ignore-not-found", "--wait=false")
    client.apply(
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": volume},
            "spec": {
                "capacity": claim["spec"]["resources"]["requests"],
                "accessModes": claim["spec"]["accessModes"],
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": head["namespace"], "name": head["name"]},
                "hostPath": {"path": str(folder)},
            },
        }
    )


def in_place_of_exports(manifests: Iterable[dict[str, Any]], folder: Path) -> None:
    """Put a folder of this machine behind each volume of an NFS export: this kernel knows no NFS.

    Owners, groups and rights count there by uid and gid as they do on an export.
    """
    for manifest in manifests:
        if manifest["kind"] == "PersistentVolume" and manifest["spec"].pop("nfs", None):
            del manifest["spec"]["mountOptions"]
            manifest["spec"]["hostPath"] = {"path": str(folder)}
            make_export(folder)


def make_export(folder: Path) -> None:
    """A folder in which everybody makes folders and nobody removes those of others, as exports of homes are."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o1777)
