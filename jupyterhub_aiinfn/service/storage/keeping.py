"""Beside the requests: what people moved into shared folders gets the rights of these folders."""

from __future__ import annotations

import asyncio
import time

from jupyterhub_aiinfn.backends.base import Storage

LEAST_PAUSE = 30.0
"""Seconds between two rounds (arbitrary)."""
SHARE = 20.0
"""A round may take a twentieth of the time: after a long one the pause is so many times longer."""


async def keep_rights(storage: Storage | None) -> None:
    """Look through the shared folders again and again."""
    while storage is not None:
        begun = time.monotonic()
        await asyncio.to_thread(storage.repair)
        await asyncio.sleep(max(LEAST_PAUSE, SHARE * (time.monotonic() - begun)))
    await asyncio.Event().wait()
