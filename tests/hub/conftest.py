"""One hub for the tests that leave nothing behind, and a maker of hubs for the others."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .running_hub import RunningHub, running_hub


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every uid can pass through: pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-hub-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def hub(open_folder: Path, request: pytest.FixtureRequest) -> Iterator[RunningHub]:
    """A hub that exits at the first spawn that counts as an error."""
    with running_hub(open_folder / request.module.__name__.rsplit(".", 1)[-1]) as running:
        yield running


@pytest.fixture
def make_hub(open_folder: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., RunningHub]]:
    """Hubs with their own variables or values."""
    with ExitStack() as stack:
        count = 0

        def make(**arguments: Any) -> RunningHub:
            nonlocal count
            count += 1
            name = "".join(char if char.isalnum() else "-" for char in request.node.name)[:60]
            return stack.enter_context(running_hub(open_folder / f"{name}-{count}", **arguments))

        yield make
