"""Each side of the platform loads without the libraries of the others."""

from __future__ import annotations

import subprocess
import sys

import pytest

BLOCK = """
import importlib, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"{name} must not be needed here", name=name)

sys.meta_path.insert(0, Absent())
importlib.import_module(sys.argv[1])
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
        ("jupyterhub_aiinfn.backends.local.backend", f"{HUB},{SERVICE},{LAB}"),
        ("jupyterhub_aiinfn.hub", f"{SERVICE},{LAB}"),
        ("jupyterhub_aiinfn.service", "jupyterhub,jupyter_server,jupyterlab,ipykernel"),
        ("jupyterhub_aiinfn.singleuser.handlers", f"{HUB},{SERVICE},pydantic,click,yaml"),
    ],
)
def test_it_loads_alone(module, absent):
    done = subprocess.run([sys.executable, "-c", BLOCK, module, absent], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-1500:]
