"""Which values are meant when somebody names no file: those of the running platform, else those of its next start."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from jupyterhub_aiinfn.backends.local.agreement import Agreement, Agreements
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.errors import StateError, ValuesError
from jupyterhub_aiinfn.values import Values, load_values, values_hash
from jupyterhub_aiinfn.values.difference import differences
from jupyterhub_aiinfn.values.reading import dotted

from .places import default_values, find_values
from .record import of_another_user, read_record

MAX_PATHS = 8
"""Paths that are named at the start (arbitrary)."""


@dataclass(frozen=True)
class KnownValues:
    """Values, and the file from which they came (it may have changed since)."""

    values: Values
    file: Path

    @property
    def agreement(self) -> Agreement:
        """What to write when they are to count."""
        return Agreement(values_hash(self.values), str(self.file))


def known_values(given: Path | None, state: StateFolder, *, of_cluster: bool = False) -> KnownValues:
    """The named file; else what the running platform holds; else what was applied; else the file of the last start.

    ``of_cluster``: a file that is named may be one for a cluster. Raises :class:`AiinfnError`.
    """
    if given is not None:
        return _of_file(given.absolute(), of_cluster=of_cluster)
    try:
        return _held(state) or applied(state) or _of_file(find_values(None, state))
    except PermissionError as error:
        raise of_another_user(error, state.root) from error


def values_to_start_with(given: Path | None, state: StateFolder) -> KnownValues:
    """The named file; else what was applied last; else the file that we bring. Raises :class:`AiinfnError`."""
    if given is not None:
        return _of_file(given.absolute())
    try:
        return applied(state) or _of_file(default_values())
    except PermissionError as error:
        raise of_another_user(error, state.root) from error


def agree_at_start(state: StateFolder, known: KnownValues, *, named: bool, say: Callable[[str], None]) -> None:
    """Have hub and service begin with these values, and say what is different from what the platform held last.

    A file that was named takes the place of what was applied. Raises :class:`StateError`.
    """
    before, agreements = last_held(state), Agreements(state)
    changed = [dotted(one.path) for one in differences(before.values, known.values)] if before else []
    with agreements.locked():
        digest = agreements.store(known.values)
        agreements.agree(replace(known.agreement, hash=digest, since=time.time()))
        if named:
            agreements.put_next(None)
    if not named and _has_changed(known):
        say(f"{known.file} has changed since it was applied; `aiinfn values apply` shows how")
    if changed:
        more = f" and {len(changed) - MAX_PATHS} more" if len(changed) > MAX_PATHS else ""
        say(f"changed since the platform ran last: {', '.join(changed[:MAX_PATHS])}{more}")


def applied(state: StateFolder) -> KnownValues | None:
    """What `aiinfn values apply` left for the next start."""
    return _stored(state, Agreements(state).next())


def last_held(state: StateFolder) -> KnownValues | None:
    """What the platform holds, or held when it ran last; None when that is not known any more."""
    try:
        return _stored(state, Agreements(state).agreed())
    except StateError:
        return None


def _has_changed(known: KnownValues) -> bool:
    """Whether the file says something else by now; a file that is gone or wrong is not the start's business."""
    try:
        return values_hash(load_values(known.file)) != values_hash(known.values)
    except ValuesError:
        return False


def is_running(state: StateFolder) -> bool:
    """Whether a supervisor of this state folder lives."""
    found = read_record(state)
    return found is not None and found[0].alive()


def _held(state: StateFolder) -> KnownValues | None:
    return _stored(state, Agreements(state).agreed()) if is_running(state) else None


def _stored(state: StateFolder, agreement: Agreement | None) -> KnownValues | None:
    if agreement is None:
        return None
    return KnownValues(Agreements(state).load(agreement.hash, older=True), Path(agreement.file))


def _of_file(file: Path, *, of_cluster: bool = False) -> KnownValues:
    if not file.is_file():
        raise StateError(f"there is no values file {file}; name one that is there")
    values = load_values(file)
    if values.kubernetes is not None and not of_cluster:
        raise StateError(
            f"{file} is for a cluster: it has the section kubernetes, and this is one machine; "
            "name another file, such as config/local.yaml"
        )
    return KnownValues(values, file)
