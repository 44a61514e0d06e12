"""What the tests of the docs share: the folder of the pages and the code that generates the reference."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def docs() -> Path:
    return ROOT / "docs"


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def generated() -> ModuleType:
    """The Sphinx extension that writes the generated parts."""
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        import generated_reference
    finally:
        sys.path.pop(0)
    return generated_reference


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as HTML, built as `make docs` builds them: a warning is an error."""
    import subprocess

    target = tmp_path_factory.mktemp("html")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-d",
        str(target / ".doctrees"),
    ]
    done = subprocess.run([*command, str(ROOT / "docs"), str(target / "html")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return target / "html"
