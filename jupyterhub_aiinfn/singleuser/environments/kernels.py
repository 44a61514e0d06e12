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


def data_folders() -> list[Path]:
    """Where kernel specs of the person are: a rescue session has its own data elsewhere, and those of the home stay."""
    return list(dict.fromkeys([Path(jupyter_data_dir()), Path.home() / ".local" / "share" / "jupyter"]))


def folders(place: str, name: str) -> list[Path]:
    """The folders that may hold the environment's kernel spec; the first is where a new one goes."""
    return [data / "kernels" / kernel_name(place, name) for data in data_folders()]


def show_in(kernel_spec_manager: Any) -> None:
    """Have a server show them, last: JupyterHub keeps servers from reading the settings in homes, kernels included."""
    own = [str(data / "kernels") for data in data_folders()]
    known = kernel_spec_manager.kernel_dirs
    kernel_spec_manager.kernel_dirs = [*known, *(one for one in own if one not in known)]


def is_used(place: str, name: str) -> bool:
    """Whether the environment is among the person's kernels."""
    return any((folder / "kernel.json").is_file() for folder in folders(place, name))


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
    where = folders(place, name)[0]
    where.mkdir(parents=True, exist_ok=True)
    write_text(where / "kernel.json", json.dumps(spec, indent=1))


def stop_using(place: str, name: str) -> None:
    """Take the environment from the person's kernels."""
    for folder in folders(place, name):
        shutil.rmtree(folder, ignore_errors=True)
