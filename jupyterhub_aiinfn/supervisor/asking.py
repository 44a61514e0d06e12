"""One HTTP request to a process of this machine, with the standard library: imports of a real client take too long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

LONGEST_ANSWER = 256 * 1024


async def ask(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    seconds: float = 2.0,
    body: bytes = b"",
) -> tuple[int, bytes]:
    """Status and body of the answer (at most 256 KiB); 0 and nothing when there is none in time."""
    try:
        async with asyncio.timeout(seconds):
            return await _ask(url, method, headers or {}, body)
    except (OSError, ValueError, EOFError, TimeoutError):
        return 0, b""


async def _ask(url: str, method: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80)
    try:
        lines = {"Host": parts.netloc, "Connection": "close", "Content-Length": str(len(body)), **headers}
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        head = [f"{method} {path or '/'} HTTP/1.0", *(f"{key}: {value}" for key, value in lines.items()), "", ""]
        writer.write("\r\n".join(head).encode("latin-1") + body)
        answer = await _read_all(reader)
    finally:
        writer.close()
    status_line, _, rest = answer.partition(b"\r\n")
    return int(status_line.split()[1]) if status_line.startswith(b"HTTP/") else 0, rest.partition(b"\r\n\r\n")[2]


async def _read_all(reader: asyncio.StreamReader) -> bytes:
    received = b""
    while len(received) < LONGEST_ANSWER and (data := await reader.read(65536)):
        received += data
    return received
