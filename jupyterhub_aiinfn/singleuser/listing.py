"""The list of a folder while its files come and go.

Jupyter Server answers 404 for the whole folder when one of its files is renamed or deleted between the reading of the
names and the look at each; JupyterLab then says "Directory not found" and leaves the folder.
"""

from __future__ import annotations

import functools
from typing import Any

from jupyter_core.utils import ensure_async
from tornado import web

TRIES = 10


def list_again_when_files_go(manager: Any) -> None:
    """From now on a folder that is there is read again when that happens, :data:`TRIES` times at most."""
    usual = manager.get

    @functools.wraps(usual)
    async def get(path: str, *arguments: Any, **named: Any) -> Any:
        for _ in range(TRIES - 1):
            try:
                return await ensure_async(usual(path, *arguments, **named))
            except web.HTTPError as error:
                if error.status_code != 404 or not await ensure_async(manager.dir_exists(path)):
                    raise
        return await ensure_async(usual(path, *arguments, **named))

    manager.get = get
