from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform import RunningPlatform, traversable_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every uid can pass through; what a test left running on it is ended by the test."""
    place = traversable_folder()
    yield place
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def platform() -> Iterator[RunningPlatform]:
    """A platform of this test alone: it may be killed."""
    with RunningPlatform.start() as running:
        yield running
