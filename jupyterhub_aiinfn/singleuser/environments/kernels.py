"""Kernel specs of own environments, in the person's own Jupyter data: nobody's environment is there unasked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from jupyter_core.paths import jupyter_data_dir

from jupyterhub_aiinfn.model.own_environments import HOME, kernel_name, reference

from .records import write_text

# Jupyter puts its own interpreter in the place of "python": that of JupyterLab, where this package is
LAUNCHER = ("python", "-I", "-m", "jupyterhub_aiinfn.singleuser.environments.kernel")


def folder(place: str, name: str) -> Path:
    """The folder of the environment's kernel spec."""
    return Path(jupyter_data_dir()) / "kernels" / kernel_name(place, name)


def show_in(kernel_spec_manager: Any) -> None:
    """Have a server show them, last: JupyterHub keeps servers from reading the settings in homes, kernels included."""
    own = str(Path(jupyter_data_dir()) / "kernels")
    if own not in kernel_spec_manager.kernel_dirs:
        kernel_spec_manager.kernel_dirs = [*kernel_spec_manager.kernel_dirs, own]


def is_used(place: str, name: str) -> bool:
    """Whether the environment is among the person's kernels."""
    return (folder(place, name) / "kernel.json").is_file()


def display_name(place: str, name: str, image_title: str) -> str:
    """What the launcher shows."""
    return f"{name} (from {image_title})" if place == HOME else f"{name} of {place} (from {image_title})"


def use(place: str, name: str, image_title: str) -> None:
    """Put the environment among the person's kernels."""
    spec = {
        "argv": [*LAUNCHER, reference(place, name), "-f", "{connection_file}"],
        "display_name": display_name(place, name, image_title),
        "language": "python",
        "metadata": {"debugger": True, "supported_encryption": ["curve"]},
        "kernel_protocol_version": "5.5",
    }
    where = folder(place, name)
    where.mkdir(parents=True, exist_ok=True)
    write_text(where / "kernel.json", json.dumps(spec, indent=1))


def stop_using(place: str, name: str) -> None:
    """Take the environment from the person's kernels."""
    shutil.rmtree(folder(place, name), ignore_errors=True)
