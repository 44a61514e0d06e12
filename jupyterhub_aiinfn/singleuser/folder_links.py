"""Links in the home to the folders that the person shares with others: Lab's file browser begins in the home.

The folders themselves are mounted beside the home. The links are made by the person's own server, with the person's
rights, and only where nothing has that name.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

LINKS = {"projects": "AIINFN_PROJECTS_FOLDER", "public": "AIINFN_PUBLIC_FOLDER"}
"""Name in the home: the variable that says where it leads."""


def link_folders(variables: Mapping[str, str], home: Path) -> None:
    """Make the links that are missing; a home that is full or read-only has none, and nothing fails for it.

    A link of ours that leads nowhere, because the person is in no project any more, is taken away.
    """
    for name, variable in LINKS.items():
        place, target = home / name, variables.get(variable)
        with contextlib.suppress(OSError):
            if target:
                place.symlink_to(target)
            elif place.is_symlink() and str(place.readlink()) in (f"/{name}", f"/shared/{name}"):
                place.unlink()
