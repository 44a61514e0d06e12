"""Wheel and sdist carry the built JupyterLab extension, and installing them needs no Node."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = Path(sys.executable)
LABEXTENSION = "share/jupyter/labextensions/jupyterhub-aiinfn"
NOT_COPIED = shutil.ignore_patterns(
    ".venv", ".git", "node_modules", "__pycache__", ".*_cache", "lib", ".yarn", "dist", "_build", "results", "state"
)

pytestmark = pytest.mark.slow


def without_node() -> dict[str, str]:
    """An environment in which no node, npm or jlpm can be found, and no index is needed."""
    path = os.pathsep.join(["/usr/sbin", "/bin-without-node"])
    return {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR"}} | {"PATH": path}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the sdist of a copy of this checkout and the wheel made from that sdist, both without Node."""
    assert (ROOT / "jupyterhub_aiinfn/labextension/static/style.js").is_file(), "run `make setup` first"
    folder = tmp_path_factory.mktemp("build")
    copy = shutil.copytree(ROOT, folder / "checkout", ignore=NOT_COPIED, symlinks=True)
    build = [PYTHON, "-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", folder / "dist"]
    quiet(*build, copy)  # sdist, then the wheel from the sdist
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The prefix of a fresh environment in which the wheel is installed alone."""
    prefix = tmp_path_factory.mktemp("prefix") / "venv"
    quiet(PYTHON, "-m", "venv", "--without-pip", prefix)
    target = ["--python", prefix / "bin" / "python"]
    quiet(PYTHON, "-m", "pip", *target, "install", "--no-deps", "--no-index", wheel)
    return prefix


def quiet(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], env=without_node(), capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_no_node_is_at_hand():
    assert shutil.which("node", path=without_node()["PATH"]) is None


def test_the_sdist_holds_assets_and_their_sources(built):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "LICENSE",
        "README.md",
        "config/local.yaml",
        "images/python/requirements.txt",
        "jupyterhub_aiinfn/labextension/package.json",
        "jupyterhub_aiinfn/labextension/static/style.js",
        "labextension/src/index.ts",
        "labextension/yarn.lock",
    } <= names
    assert not [name for name in names if "node_modules" in name or "__pycache__" in name]


def test_the_wheel_holds_the_assets_once(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assets = [name for name in archive.namelist() if name.endswith("static/style.js")]
    assert len(assets) == 1
    assert LABEXTENSION in assets[0]


def test_jupyterlab_finds_the_extension(installed):
    manifest = json.loads((installed / LABEXTENSION / "package.json").read_text())
    entry = installed / LABEXTENSION / manifest["jupyterlab"]["_build"]["load"]
    assert entry.is_file()
    assert (installed / LABEXTENSION / "schemas/jupyterhub-aiinfn/session.json").is_file()
    found = quiet(PYTHON, "-c", FIND, installed / "share/jupyter/labextensions")
    assert json.loads(found) == ["jupyterhub-aiinfn"]


FIND = """
import json, sys
from jupyterlab_server.config import get_federated_extensions
print(json.dumps(list(get_federated_extensions([sys.argv[1]]))))
"""


def test_the_server_extension_is_enabled(installed):
    file = installed / "etc/jupyter/jupyter_server_config.d/jupyterhub_aiinfn.json"
    enabled = json.loads(file.read_text())["ServerApp"]["jpserver_extensions"]
    assert enabled == {"jupyterhub_aiinfn.singleuser": True}


@pytest.mark.parametrize(
    "path", ["config/local.yaml", "images/fpga/verify", "images/gpu/requirements.txt", "images/python/requirements.txt"]
)
def test_what_one_machine_needs_is_shared_data(installed, path):
    assert (installed / "share/jupyterhub-aiinfn" / path).is_file()


def test_every_file_of_the_package_is_installed(installed):
    """Templates, style sheets, migrations, the proxy's lock file: all that Python loads by its place."""
    package = next(installed.glob("lib/python*/site-packages/jupyterhub_aiinfn"))
    missing = [name for name in package_files() if not (package / name).is_file()]
    assert missing == []


def package_files() -> list[str]:
    folder = ROOT / "jupyterhub_aiinfn"
    ignored = {"__pycache__", "labextension"}
    paths = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return [str(path) for path in paths if not ignored.intersection(path.parts)]
