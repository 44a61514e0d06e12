"""A virtual environment that sees the packages of an image behind its own, and works wherever its folder appears.

A project folder has another path for each of its members, so nothing in the environment names its own place.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from jupyterhub_aiinfn.errors import OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import Base

from .base import site_packages

IMAGE_PTH = "aiinfn_image.pth"
PIP = '#!/bin/sh\nexec "$(dirname -- "$(realpath -- "$0")")/python" -m pip "$@"\n'
SHEBANG = b"""#!/bin/sh
'''exec' "$(dirname -- "$(realpath -- "$0")")"/'python' "$0" "$@"
' '''
"""
"""A first line for Python programs that finds the interpreter beside them (the form that uv and pip use)."""
PLACED = re.compile(
    rb"#!(?:[^\n]*/python[0-9.]*\n|/bin/sh\n'''exec' [^\n$]*/python[0-9.]*\"? \"\$0\" \"\$@\"\n' '''\n)"
)
"""The first lines that pip writes; the second form where the path is long or has blanks."""
HERE = '"$(cd "$(dirname "${BASH_SOURCE[0]:-$0}")/.." && pwd)"'


def make_layer(path: Path, base: Base, lock: int) -> None:
    """Make the virtual environment ``path`` on ``base``. Raises :class:`OwnEnvironmentError`."""
    interpreter = f"{base.prefix}/bin/python"
    _run([interpreter, "-I", "-m", "venv", "--without-pip", "--symlinks", str(path)], lock)
    own, below = site_packages(path), site_packages(Path(base.prefix))
    if own is None or below is None:
        raise OwnEnvironmentError(f"the image {base.title} has no Python to make an environment of; ask for help")
    # addsitedir appends, so what is installed here wins; unlike a bare path it honours the image's own .pth files
    (own / IMAGE_PTH).write_text(f"import site; site.addsitedir({str(below)!r})\n")
    python = str(path / "bin" / "python")
    if subprocess.run([python, "-I", "-c", "import pip"], capture_output=True, env=clean_environment()).returncode:
        _run([python, "-I", "-m", "ensurepip"], lock)
    tidy_programs(path)


def tidy_programs(path: Path) -> None:
    """Make the programs of the environment independent of where it is."""
    folder = path / "bin"
    for name in ("pip", "pip3"):
        (folder / name).write_text(PIP)
        (folder / name).chmod(0o755)
    for name in ("activate.csh", "activate.fish", "Activate.ps1"):
        (folder / name).unlink(missing_ok=True)
    activate = folder / "activate"
    text = activate.read_text()
    activate.write_text(re.sub(r"(?m)^(\s*)(export )?VIRTUAL_ENV=.*$", rf"\1export VIRTUAL_ENV={HERE}", text))
    for program in folder.iterdir():
        if not program.is_symlink() and program.is_file():
            _relocate(program)


def _relocate(program: Path) -> None:
    content = program.read_bytes()
    if start := PLACED.match(content):
        program.write_bytes(SHEBANG + content[start.end() :])


def works(path: Path, python: str) -> bool:
    """Whether the environment has an interpreter of that version that is there (its link may lead nowhere)."""
    return (path / "bin" / "python").exists() and (path / "lib" / f"python{python}").is_dir()


def clean_environment(**more: str) -> dict[str, str]:
    """The variables of this process without those that would lead Python astray."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTHON") and name != "VIRTUAL_ENV"
    }
    return kept | {"PYTHONNOUSERSITE": "1"} | more


def _run(command: list[str], lock: int) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), pass_fds=(lock,), check=False
    )
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise OwnEnvironmentError(
            f"the environment could not be made: {lines[-1] if lines else 'Python said nothing'}; "
            "make room if the disk is full, else ask for help"
        )
