"""Whether the server of a session answers already."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable
from typing import Any

FIRST_LOOK, LONGEST_LOOK, SHARE = 0.02, 1.0, 0.04
"""Seconds between two looks whether the server answers, and what they are of the time that has passed: on a machine
on which many start at once, looking more often would only make all of them later."""
LONGEST_ANSWER = 5.0
"""Seconds that a server may think about one request before it is asked anew (arbitrary)."""
STATUS_LINE = re.compile(rb"HTTP/1\.\d [1-4]\d\d\b")


async def until_it_answers(host: str, port: int, address: str) -> None:
    """Return once a web server there answers a request for ``address``."""
    begun = time.monotonic()
    while not await answers(host, port, address):
        await asyncio.sleep(min(LONGEST_LOOK, max(FIRST_LOOK, SHARE * (time.monotonic() - begun))))


async def answers(host: str, port: int, address: str) -> bool:
    """Whether a web server there answers a request for ``address`` with less than a server error."""
    try:
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, port), LONGEST_ANSWER)
    except OSError:
        return False
    try:
        name = f"[{host}]" if ":" in host else host
        writer.write(f"GET {address} HTTP/1.1\r\nHost: {name}:{port}\r\nConnection: close\r\n\r\n".encode())
        line = await asyncio.wait_for(reader.readline(), LONGEST_ANSWER)
    except (OSError, ValueError):
        return False  # closed, silent, or a line without end
    finally:
        writer.close()
    return STATUS_LINE.match(line) is not None


async def first_of(work: Awaitable[Any], other: asyncio.Future[Any], timeout: float) -> bool:
    """Wait until one of the two is done; ``work`` is cancelled when it was not first. False when time is up."""
    task = asyncio.ensure_future(work)
    try:
        done, _ = await asyncio.wait([task, other], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        task.cancel()
    return bool(done)
