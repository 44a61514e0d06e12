"""The uids and gids that the platform in use today computes from names: files of existing storage belong to them."""

from __future__ import annotations

import zlib
from functools import lru_cache

UIDS = range(50_000, 250_000)
"""What a computed uid can be."""
PROJECT_GIDS = range(1_000, 50_000)
"""What a computed gid of a project can be: below every uid, because everybody's own group has the number of the uid."""

PUBLIC = "/public"
"""The public folder's name among those of projects, where it can be no project's."""


@lru_cache(maxsize=10_000)  # at each start of a session that of everybody is looked at
def computed_uid(name: str) -> int:
    """The uid of a login name: CRC-32 of its bytes, modulo 200000, plus 50000."""
    return zlib.crc32(name.encode("utf-8", "surrogatepass")) % len(UIDS) + UIDS.start


def computed_gid(project: str) -> int:
    """The gid of a project: CRC-32 of the bytes of its key, modulo 49000, plus 1000."""
    return zlib.crc32(project.encode("utf-8", "surrogatepass")) % len(PROJECT_GIDS) + PROJECT_GIDS.start
