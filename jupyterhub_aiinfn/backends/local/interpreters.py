"""What a sandbox must be able to read so that an interpreter outside of /usr works in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jupyterhub_aiinfn

SYSTEM = (Path("/"), Path("/usr"))
"""Every sandbox has /usr, and the whole machine is never meant (an interpreter in /bin is one of /usr)."""


def environment_trees(prefix: Path) -> list[Path]:
    """The trees of a virtual environment: itself, the interpreter it was made from, and what its Jupyter data links to.

    A checkout that is installed editable is not shown as a whole (it may hold the state folder): only this package is.
    """
    prefix = prefix.absolute()
    trees = {prefix, *base_prefixes(prefix), *linked(prefix)}
    if any(prefix.glob("lib/python*/site-packages/*.pth")):
        trees.add(Path(jupyterhub_aiinfn.__file__).resolve().parent)
    return sorted(tree for tree in trees if not str(tree).startswith("/usr/") and tree not in SYSTEM)


def base_prefixes(prefix: Path) -> Iterator[Path]:
    """The installation behind a virtual environment, by ``pyvenv.cfg`` and by the link of its ``python``."""
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition("=")
        if name.strip() == "home":
            folder = Path(value.strip())
            yield folder.parent if folder.name == "bin" else folder
    python = prefix / "bin/python"
    if python.exists() and (real := python.resolve()).parent.name == "bin" and not real.is_relative_to(prefix):
        yield real.parents[1]


def linked(prefix: Path) -> Iterator[Path]:
    """Targets of links among the Jupyter extensions and settings: a development install links them to a checkout."""
    for pattern in ("share/jupyter/labextensions/*", "etc/jupyter/*/*", "share/jupyter/kernels/*"):
        for path in prefix.glob(pattern):
            if path.is_symlink() and path.exists() and not path.resolve().is_relative_to(prefix):
                yield path.resolve()


def command_trees(command: str) -> list[Path]:
    """The trees that a program needs, when it lies in a virtual environment or in an interpreter of its own."""
    path = Path(command)
    if not path.is_absolute() or path.parent.name != "bin" or path.parents[1] in (Path("/"), Path("/usr")):
        return []
    return environment_trees(path.parents[1])
