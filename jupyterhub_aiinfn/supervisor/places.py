"""Where an installation's values file and state folder are when nobody says so."""

from __future__ import annotations

import os
from pathlib import Path

from jupyterhub_aiinfn.backends.local.installation import data_folder
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError

PACKAGE = Path(__file__).parent.parent


def find_state(given: Path | None) -> Path:
    """The state folder: the given one, else ``$XDG_STATE_HOME/jupyterhub-aiinfn`` (``~/.local/state/…``); absolute."""
    if given is not None:
        return given.absolute()
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "jupyterhub-aiinfn"


def find_values(given: Path | None, state: StateFolder | None = None) -> Path:
    """The values file: the given one, else the one that the platform was last started with, else the one we bring."""
    if given is not None:
        return given.absolute()
    return (last_values(state) if state else None) or default_values()


def default_values() -> Path:
    """``config/local.yaml`` of the checkout, or the copy that the wheel installed."""
    file = data_folder() / "config" / "local.yaml"
    if not file.is_file():
        raise StateError(f"there is no values file {file}; name one with --values")
    return file


def remember_values(state: StateFolder, values_file: Path) -> None:
    """Keep which values file the platform was started with, so that `aiinfn user` and `status` mean the same one."""
    text = f"{values_file}\n"
    file = _memory(state)
    if not file.is_file() or file.read_text() != text:
        from jupyterhub_aiinfn.backends.local.state import write_file

        write_file(file, text.encode())


def last_values(state: StateFolder) -> Path | None:
    """The values file that the platform was last started with, if it still exists."""
    try:
        file = Path(_memory(state).read_text().strip())
    except OSError:
        return None
    return file if file.is_file() else None


def _memory(state: StateFolder) -> Path:
    return state.root / "values-file"
