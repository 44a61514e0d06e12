"""How hub and service say which values they hold, and are told to prepare others."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from .base import Message


class HeldValues(Message):
    """The values of one part of the platform."""

    hash: str
    """Hash of the values that count."""
    prepared: str = ""
    """Hash of other values that it has read and could hold at once; empty for none."""


class Proposal(Message):
    """Values that are to count next; they lie in the state folder."""

    hash: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
