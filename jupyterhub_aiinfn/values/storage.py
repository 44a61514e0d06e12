"""The ``storage`` section: where homes live."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import StringConstraints

from .base import HOME, Section


class Home(Section):
    """One home for each person, the same for all profiles."""

    backend: Literal["local"] = "local"
    """``local``: a folder of the state folder's ``homes``."""
    path: Annotated[str, StringConstraints(pattern=HOME, max_length=64)] = "user-{name}"
    """Name of the home folder; ``{name}`` is the login name."""


class Storage(Section):
    """Homes of people."""

    home: Home = Home()
    """The home of each person."""
