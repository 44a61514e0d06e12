"""What no committed file may hold, and what the frozen files must."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
# in pieces, so that this file does not hold what it forbids
REGISTRIES = "|".join(
    [
        r"py" + r"pi\.org",
        r"python" + r"hosted\.org",
        r"npm" + r"js\.(org|com)",
        r"registry\.yarn" + r"pkg\.com",
        r"proxy\.go" + r"lang\.org",
        r"deb\.deb" + r"ian\.org",
    ]
)
MACHINE_PATHS = r"(?<![\w.])/(wor" + r"k|roo" + r"t)/"
INDEX_OPTIONS = r"^\s*(--(extra-)?index-url|--find-links|-i )"
BINARY = {".png", ".jpg", ".ico", ".woff2", ".gz"}


def committed() -> list[Path]:
    """The files that git holds or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return [path for path in paths if path.is_file() and path.suffix not in BINARY]


def matches(pattern: str) -> list[str]:
    found = re.compile(pattern, re.MULTILINE)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for path in committed()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if found.search(line)
    ]


def test_there_are_committed_files():
    assert ROOT / "pyproject.toml" in committed()


def test_no_registry_is_named():
    assert matches(REGISTRIES) == []


def test_no_path_of_a_machine_is_named():
    assert matches(MACHINE_PATHS) == []


@pytest.mark.parametrize("file", sorted(ROOT.glob("requirements/*.txt")) + sorted(ROOT.glob("images/*/requirements.*")))
def test_no_index_is_named(file):
    assert re.findall(INDEX_OPTIONS, file.read_text(), re.MULTILINE) == []


def test_the_lock_of_npm_names_no_host():
    lock = json.loads((ROOT / "jupyterhub_aiinfn/supervisor/proxy/package-lock.json").read_text())
    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []


def test_each_direct_requirement_is_frozen_and_fits():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE))
    wanted = project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name != "jupyterhub-aiinfn":
            assert name in pins, f"run `make freeze`: {name} is not frozen"
            assert requirement.specifier.contains(pins[name]), f"run `make freeze`: {name}=={pins[name]}"


@pytest.mark.parametrize("name", ["dev", "go"])
def test_each_frozen_requirement_has_hashes(name):
    text = (ROOT / f"requirements/{name}.txt").read_text()
    assert "==" in text
    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert [block.split()[0] for block in blocks if "==" in block and "--hash=sha256:" not in block] == []


def test_versions_agree():
    version = subprocess.run(
        [sys.executable, "-c", "import jupyterhub_aiinfn; print(jupyterhub_aiinfn.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert json.loads((ROOT / "labextension/package.json").read_text())["version"] == version
    assert (
        f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
        or "## [Unreleased]" in (ROOT / "CHANGELOG.md").read_text()
    )


def test_all_of_jupyterlab_is_one_release():
    lock = (ROOT / "labextension/yarn.lock").read_text()
    resolutions = json.loads((ROOT / "labextension/package.json").read_text())["resolutions"]
    found = dict(re.findall(r'resolution: "(@jupyterlab/[^@]+|@rspack/core)@npm:([^"]+)"', lock))
    assert {name: version for name, version in found.items() if resolutions.get(name) != version} == {}
    assert len(re.findall(r'resolution: "@jupyterlab/', lock)) == len(
        {name for name in found if name.startswith("@jupyterlab/")}
    )


def test_hub_and_service_show_times_in_the_same_way():
    ours = ROOT / "jupyterhub_aiinfn"
    assert (ours / "hub/templates/times.js").read_text() == (ours / "service/static/times.js").read_text()
