"""One fixture, every implementation of the contract."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from jupyterhub_aiinfn.backends.local.backend import LocalBackend
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.values.document import Values

VALUES = {
    "version": 1,
    "site": {"name": "Test"},
    "images": {"python": {"name": "Python", "folder": "images/python"}},
    "accelerators": {
        "rtx5000": {"type": "gpu", "name": "Quadro RTX5000", "emulated": 2, "per_session": [1, 2]},
        "u55c": {"type": "fpga", "name": "Alveo U55C"},
    },
    "profiles": {
        "python": {
            "name": "Python",
            "image": "python",
            "sizes": {"small": {"cores": 1, "memory_gib": 1}},
            "max": "1h",
        }
    },
}


def make_values() -> Values:
    return Values.model_validate(VALUES, strict=False)


@pytest.fixture
def state() -> Iterator[StateFolder]:
    """A state folder that every uid can reach (pytest's own folders are closed)."""
    root = Path(tempfile.mkdtemp(prefix="aiinfn-test-"))
    root.chmod(0o711)
    folder = StateFolder(root / "state")
    folder.prepare()
    yield folder
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(params=["local"])
async def backend(request: pytest.FixtureRequest, state: StateFolder) -> AsyncIterator[LocalBackend]:
    made = {"local": LocalBackend}[request.param](make_values(), state)
    yield made
    await made.end_all("the test is over", 0.2)
