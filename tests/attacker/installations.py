"""Installations for the attacker's tests: one of root, one of an ordinary user who may read nothing of root's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from jupyterhub_aiinfn.backends.local.installation import default_cache

from .conftest import ORDINARY_UID, ROOT

REPOSITORY = Path(__file__).parents[2]
UNNEEDED = ("test", "tests", "idlelib", "*.a")


@dataclass(frozen=True)
class Place:
    """Where an installation is, and how its programs are run."""

    folder: Path
    program: tuple[str, ...]
    values: Path
    cache: Path

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the tests' own folders."""
        return {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder)}


def prepare(folder: Path, *, as_root: bool) -> Place:
    """Everything that a platform needs, in a folder that every uid can pass through."""
    values = folder / "config" / "local.yaml"
    shutil.copytree(REPOSITORY / "config", values.parent)
    shutil.copytree(REPOSITORY / "images", folder / "images")
    python = Path(sys.executable) if as_root or not ROOT else python_for_all(folder / "python")
    pretend_built(values, folder / "cache", python)
    for proxy in default_cache().glob("proxy-*"):  # else it is installed, which only takes longer
        shutil.copytree(proxy, folder / "cache" / proxy.name, symlinks=True, dirs_exist_ok=True)
    if as_root or not ROOT:
        return Place(folder, (str(python),), values, folder / "cache")
    for path in (folder, folder / "cache", *(folder / "cache").rglob("*")):
        os.chown(path, ORDINARY_UID, ORDINARY_UID, follow_symlinks=False)
    drop = ("setpriv", f"--reuid={ORDINARY_UID}", f"--regid={ORDINARY_UID}", "--clear-groups")
    return Place(folder, (*drop, str(python)), values, folder / "cache")


PATHS = """
import sys
from pathlib import Path
from jupyterhub_aiinfn.backends.local.environments import Environments
from jupyterhub_aiinfn.values import load_values
values, cache = map(Path, sys.argv[1:])
environments = Environments(load_values(values), values, cache)
print(environments.path("python"), environments.kernels("python"), sep="\\n")
"""


def pretend_built(values: Path, cache: Path, python: Path) -> None:
    """The environment of the image ``python``: its kernel is the platform's own interpreter, which knows its place."""
    command = [str(python), "-c", PATHS, str(values), str(cache)]
    said = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    path, kernels = map(Path, said.splitlines())
    kernel = kernels / "kernels" / "python3"
    kernel.mkdir(parents=True)
    words = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": words, "display_name": "Python", "language": "python"}))
    (path / "ready.json").write_text("{}")


def python_for_all(folder: Path) -> Path:
    """Our environment and the interpreter below it where everybody can read them: hard links, so it takes a second."""
    base, prefix = folder / "base", folder / "venv"
    shutil.copytree(
        sys.base_prefix,
        base,
        symlinks=True,
        copy_function=link,
        ignore=shutil.ignore_patterns(*UNNEEDED) if sys.base_prefix != "/usr" else only_python,
    )
    shutil.copytree(sys.prefix, prefix, symlinks=True, copy_function=link)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = prefix / "lib" / name / "site-packages"
    for pointer in packages.glob("*.pth"):
        if str(REPOSITORY) in pointer.read_text():
            pointer.unlink()
    shutil.copytree(REPOSITORY / "jupyterhub_aiinfn", packages / "jupyterhub_aiinfn", dirs_exist_ok=True)
    for link_name in ("python", "python3", name):
        (prefix / "bin" / link_name).unlink(missing_ok=True)
        (prefix / "bin" / link_name).symlink_to(base / "bin" / name)
    find_own_library(base / "bin" / name)
    settings = (prefix / "pyvenv.cfg").read_text()
    (prefix / "pyvenv.cfg").unlink()
    (prefix / "pyvenv.cfg").write_text(settings.replace(sys.base_prefix, str(base)))
    return prefix / "bin" / "python"


def find_own_library(program: Path) -> None:
    """Let an interpreter that names the folder of its shared library look beside itself: else it takes the system's."""
    data = program.read_bytes()
    named = f"{sys.base_prefix}/lib\0".encode()
    beside = b"$ORIGIN/../lib".ljust(len(named), b"\0")
    if named in data and len(beside) == len(named):
        program.unlink()
        program.write_bytes(data.replace(named, beside))
        program.chmod(0o755)


def only_python(folder: str, names: list[str]) -> set[str]:
    """Of /usr: the interpreter and its modules."""
    kept = {"/usr": {"bin", "lib"}, "/usr/bin": {Path(os.path.realpath(sys.executable)).name}}
    kept["/usr/lib"] = {f"python{sys.version_info.major}.{sys.version_info.minor}", "python3"}
    return set(names) - kept[folder] if folder in kept else set()


def link(source: str, target: str) -> None:
    """A hard link, or a copy where there can be none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
