"""The environment of this session's image: what own environments are laid on."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from jupyterhub_aiinfn.model.own_environments import Base


def find_base(variables: Mapping[str, str]) -> Base | None:
    """The image's environment, as ``JUPYTER_PATH`` leads to its kernel; None where there is none."""
    for entry in filter(None, variables.get("JUPYTER_PATH", "").split(os.pathsep)):
        prefix = Path(entry).parent.parent  # its kernels are in <prefix>/share/jupyter
        packages = site_packages(prefix)
        if packages is not None and (prefix / "bin" / "python").exists():
            image = variables.get("AIINFN_IMAGE", "").strip() or prefix.name
            python = packages.parent.name.removeprefix("python")
            return Base(image, kernel_title(Path(entry)) or image, str(prefix), python, fingerprint(prefix, packages))
    return None


def site_packages(prefix: Path) -> Path | None:
    """Where packages are installed below ``prefix``; None when it is no environment."""
    return next(iter(sorted(prefix.glob("lib/python3.*/site-packages"))), None)


def kernel_title(data: Path) -> str:
    """The name of the kernel that Jupyter finds below ``data``."""
    try:
        title = json.loads((data / "kernels" / "python3" / "kernel.json").read_text())["display_name"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return str(title)


def fingerprint(prefix: Path, packages: Path) -> str:
    """Of where it is and of what is installed, with versions: any change means that what lies on it may not fit."""
    names = sorted(entry.name for entry in packages.glob("*.dist-info"))
    text = "\0".join([str(prefix), packages.parent.name, *names])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def installed(packages: Path) -> list[str]:
    """``name==version`` of what is installed in a folder."""
    found = (entry.name.removesuffix(".dist-info").rpartition("-") for entry in packages.glob("*.dist-info"))
    return sorted(f"{name.replace('_', '-').lower()}=={version}" for name, _, version in found)
