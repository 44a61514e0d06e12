"""One platform for the tests that do not break it, a fresh one for those that kill parts of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from .running import Browser, Platform, running_platform


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """Shared by the tests that leave it as it was."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-service-") as folder, running_platform(Path(folder)) as running:
        yield running


@pytest.fixture
def own_platform() -> Iterator[Platform]:
    """For the tests that kill parts of it."""
    with tempfile.TemporaryDirectory(prefix="aiinfn-service-") as folder, running_platform(Path(folder)) as running:
        yield running


@pytest.fixture
def browse() -> Iterator[Callable[..., Browser]]:
    """``browse(platform, name)``: a browser in which that person is logged in at the hub; without a name in none."""
    with ExitStack() as stack:

        def make(platform: Platform, name: str | None = None) -> Browser:
            browser = stack.enter_context(Browser(platform))
            if name:
                browser.hub_login(name)
            return browser

        yield make
