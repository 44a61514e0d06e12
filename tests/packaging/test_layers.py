"""Each side of the platform loads without the libraries of the others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BLOCK = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"{name} must not be needed here", name=name)

sys.meta_path.insert(0, Absent())
for module in sys.argv[1].split(","):
    importlib.import_module(module)
"""
HUB = "jupyterhub,argon2"
SERVICE = "fastapi,sqlalchemy,alembic,uvicorn"
LAB = "jupyter_server,jupyterlab,ipykernel"


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("jupyterhub_aiinfn", f"{HUB},{SERVICE},{LAB},pydantic,click,yaml"),
        ("jupyterhub_aiinfn.cli.main", f"{HUB},{SERVICE},{LAB},httpx,psutil,tornado"),
        ("jupyterhub_aiinfn.values", f"{HUB},{SERVICE},{LAB},httpx,psutil,tornado"),
        ("jupyterhub_aiinfn.backends.kubernetes.installation", f"{HUB},{SERVICE},{LAB},httpx,psutil,tornado"),
        ("jupyterhub_aiinfn.backends.local.backend", f"{HUB},{SERVICE},{LAB}"),
        ("jupyterhub_aiinfn.hub", f"{SERVICE},{LAB}"),
        ("jupyterhub_aiinfn.service", "jupyterhub,jupyter_server,jupyterlab,ipykernel"),
        ("jupyterhub_aiinfn.singleuser.handlers", f"{HUB},{SERVICE},click"),
    ],
)
def test_it_loads_alone(module, absent):
    done = subprocess.run([sys.executable, "-c", BLOCK, module, absent], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-1500:]


STARTS_WITH = {
    "": "jupyterhub_aiinfn.cli.main,jupyterhub_aiinfn.cli.values,jupyterhub_aiinfn.cli.kubernetes,"
    "jupyterhub_aiinfn.backends.kubernetes.installation",
    "service": "jupyterhub_aiinfn.service.__main__,jupyterhub_aiinfn.service.app,jupyterhub_aiinfn.service.server",
    "hub": "jupyterhub_aiinfn.hub.configuration",
    "lab": "jupyterhub_aiinfn.singleuser.handlers,jupyterhub_aiinfn.client",
    "local": "jupyterhub_aiinfn.supervisor.up,jupyterhub_aiinfn.cli.image,jupyterhub_aiinfn.cli.user",
}
"""What each extra is installed for: the modules with which its process begins."""


def required(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> Iterator[str]:
    """The distributions that an installation with these extras brings, itself included."""
    if (name, extras) in seen:
        return
    seen.add((name, extras))
    yield name
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in (extras or {""})
        )
        if wanted:
            yield from required(canonicalize_name(requirement.name), frozenset(requirement.extras), seen)


@pytest.mark.slow
@pytest.mark.parametrize("extra", STARTS_WITH)
def test_an_extra_brings_all_that_its_process_needs(extra):
    there = set(required("jupyterhub-aiinfn", frozenset({extra} - {""}), set()))
    absent = [
        module
        for module, names in metadata.packages_distributions().items()
        if not {canonicalize_name(name) for name in names} & there
    ]
    assert "pytest" in absent
    command = [sys.executable, "-c", BLOCK, STARTS_WITH[extra], ",".join(absent)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-1500:]
