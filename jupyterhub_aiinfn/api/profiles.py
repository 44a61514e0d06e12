"""Profiles as one person may start them: the cards of the spawn page for programs and for JupyterLab."""

from __future__ import annotations

from datetime import datetime

from .base import Message


class ProfileOffer(Message):
    """One profile of the person."""

    key: str
    """Key of ``profiles``."""
    name: str
    description: str = ""
    image: str
    image_name: str
    sizes: tuple[str, ...] = ()
    """In words: ``small: 1 core, 2 GiB``; the first one is preselected."""
    accelerators: tuple[str, ...] = ()
    """In words: ``Quantum processor (EMULATED), 2 of 2 free``."""
    max_seconds: int
    available: bool
    """Whether a session of it could be started now, in place of the asking session if there is one."""
    reason: str = ""
    """Why not, with the remedy; empty when it could."""


class ProfileOffers(Message):
    """The profiles of whoever asks, in the order of the values file."""

    taken_at: datetime
    profiles: tuple[ProfileOffer, ...] = ()
