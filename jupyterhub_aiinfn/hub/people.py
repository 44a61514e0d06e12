"""People of the password provider: who they are, their groups, and one hash of a password each, in ``people.json``.

The people are those of the values file (``identity.users``) and those added with ``aiinfn user add``. This module does
not import JupyterHub: the authenticator, the supervisor and the command line use it. Every public method may be
called from any thread and any process.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from pydantic import TypeAdapter, ValidationError

from jupyterhub_aiinfn.backends.local.state import StateFolder, write_file
from jupyterhub_aiinfn.errors import AiinfnError, StateError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.base import GroupName, UserName
from jupyterhub_aiinfn.values.current import CurrentValues

MINIMUM_LENGTH = 10
"""Characters of a password that a person chooses; arbitrary, between the 8 of NIST SP 800-63B and what people bear."""
MAXIMUM_LENGTH = 1024
"""Longer ones are refused unread, so that nobody buys hashing time with a large form."""

CONSONANTS, VOWELS = "bdfghjklmnprstvz", "aeiou"
FIRST_PASSWORD_WORDS = 5
"""Words of four letters in a first password: 5 * log2((16 * 5)²) = 63 bits."""

# OWASP's argon2id setting for many logins at once: 19 MiB and about 30 ms each, so that a class of 50 logging in
# together costs one second of this machine and not 3 GiB of its memory.
HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

Records = dict[str, dict[str, Any]]
"""``people.json``: login name -> ``hash``, ``first`` (the first password is in use), ``groups`` (added by hand)."""


class PeopleError(AiinfnError):
    """A change to the people that cannot be made."""


@dataclass(frozen=True)
class _Reading:
    """One reading of the file, and what the file looked like then."""

    stamp: tuple[int, int, int]
    records: Records


class People:
    """Who may log in to one installation, read again whenever the file changes."""

    def __init__(self, state: StateFolder, values: Values | CurrentValues) -> None:
        self.state = state
        self._current = CurrentValues.of(values)
        self._reading = _Reading((0, 0, 0), {})

    @property
    def values(self) -> Values:
        """The values that count now."""
        return self._current.values

    def names(self) -> list[str]:
        """Everybody, sorted."""
        return sorted(self.values.identity.users.keys() | self._added(self._records()))

    def groups(self, name: str) -> tuple[str, ...]:
        """Groups of a person: those of the values file, then those given by hand; none for an unknown name."""
        user = self.values.identity.users.get(name)
        by_hand = self._records().get(name, {}).get("groups") or ()
        return tuple(dict.fromkeys((*(user.groups if user else ()), *by_hand)))

    def is_admin(self, name: str) -> bool:
        """Whether the person is in one of ``identity.admin_groups``."""
        return not set(self.groups(name)).isdisjoint(self.values.identity.admin_groups)

    def is_allowed(self, name: str) -> bool:
        """Whether the person exists and is in one of ``identity.allowed_groups`` (or an admin, or none are listed)."""
        if not self._exists(name, self._records()):
            return False
        allowed = self.values.identity.allowed_groups
        return not allowed or self.is_admin(name) or not set(self.groups(name)).isdisjoint(allowed)

    def password_mark(self, name: str, key: bytes) -> str:
        """What changes whenever the person's password does, and says nothing about it without ``key``."""
        known = str(self._records().get(name, {}).get("hash", ""))
        return hmac.new(key, f"{name}\0{known}".encode(), hashlib.sha256).hexdigest()

    def verify(self, name: str, password: str) -> bool:
        """Whether this is the password of that person; takes about 30 ms, for an unknown name too."""
        records = self._records()
        known = records.get(name, {}).get("hash") if self._exists(name, records) else None
        nobody = _hash_of_nobody()
        fits = 0 < len(password) <= MAXIMUM_LENGTH
        matches = _matches(known or nobody, password if fits else "")
        return matches and fits and known is not None

    def add(self, name: str, groups: Iterable[str] = ()) -> Path:
        """Add a person with a first password; returns the file that holds it. Raises :class:`PeopleError`."""
        checked_name, checked_groups = check_name(name), [check_group(group) for group in groups]
        with self._writing() as records:
            if self._exists(checked_name, records):
                raise PeopleError(
                    f"{checked_name} exists already; their groups are in the values file, "
                    f"their password changes with `aiinfn user passwd {checked_name}`"
                )
            # Whoever had this name before and is gone from the values file left a hash: it must not come back.
            records[checked_name] = {"groups": checked_groups}
            return self._give_first_password(checked_name, records)

    def set_password(self, name: str, password: str) -> None:
        """Give a person another password and remove the file of the first one. Raises :class:`PeopleError`."""
        check_password(password)
        with self._writing() as records:
            if not self._exists(name, records):
                raise PeopleError(f"nobody is called {shown(name)}; `aiinfn user list` shows the people")
            records.setdefault(name, {}).update(hash=HASHER.hash(_normal(password)), first=False)
        self._password_file(name).unlink(missing_ok=True)

    def ensure_first_passwords(self) -> dict[str, Path]:
        """Give everybody who has no password a first one; returns the files of all first passwords still in use."""
        with self._writing() as records:
            for name in self._all(records):
                if "hash" not in records.get(name, {}):
                    self._give_first_password(name, records)
            self._remove_stale_files(records)
            return self._first_password_files(records)

    def first_passwords(self) -> dict[str, Path]:
        """The files of all first passwords still in use."""
        return self._first_password_files(self._records())

    # The file

    def _records(self) -> Records:
        """The file's content, read again when the file was replaced; empty when there is none."""
        try:
            found = self.state.people.stat()
        except FileNotFoundError:
            return {}
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._reading.stamp:
            self._reading = _Reading(stamp, _read(self.state.people))
        return self._reading.records

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Records]:
        """The records, alone among all processes; written at the end when they changed and nothing was raised."""
        self._check_owner()
        with open(self.state.root / "people.lock", "ab", opener=_open_private) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = _read(self.state.people)
            records = {name: dict(record) for name, record in before.items()}
            yield records
            if records != before:
                write_file(self.state.people, json.dumps(records, indent=1, sort_keys=True).encode())

    def _check_owner(self) -> None:
        owner = self.state.root.stat().st_uid
        if owner != os.geteuid():
            raise StateError(
                f"the state folder {self.state.root} belongs to the user id {owner}; run this command as that user"
            )

    # Names

    def _added(self, records: Records) -> set[str]:
        return {name for name, record in records.items() if "groups" in record}

    def _all(self, records: Records) -> list[str]:
        return sorted(self.values.identity.users.keys() | self._added(records))

    def _exists(self, name: str, records: Records) -> bool:
        return name in self.values.identity.users or "groups" in records.get(name, {})

    # First passwords

    def _password_file(self, name: str) -> Path:
        return self.state.passwords / name

    def _give_first_password(self, name: str, records: Records) -> Path:
        password, file = new_password(), self._password_file(name)
        write_file(file, password.encode() + b"\n")
        records.setdefault(name, {}).update(hash=HASHER.hash(password), first=True)
        return file

    def _first_password_files(self, records: Records) -> dict[str, Path]:
        waiting = (name for name in self._all(records) if records.get(name, {}).get("first"))
        return {name: file for name in waiting if (file := self._password_file(name)).is_file()}

    def _remove_stale_files(self, records: Records) -> None:
        """Remove what a crash between the change of a password and the removal of its file left behind."""
        kept = self._first_password_files(records)
        for file in self.state.passwords.iterdir():
            if file.name not in kept:
                file.unlink(missing_ok=True)


def new_password() -> str:
    """A random password that can be read aloud: ``bado-kiru-lemi-tofa-zuge``."""
    words = (
        "".join(secrets.choice(letters) for letters in (CONSONANTS, VOWELS) * 2) for _ in range(FIRST_PASSWORD_WORDS)
    )
    return "-".join(words)


def check_name(name: str) -> str:
    """``name`` if it can be a login name; else :class:`PeopleError`."""
    try:
        return TypeAdapter(UserName).validate_python(name)
    except ValidationError:
        raise PeopleError(
            f"{shown(name)} cannot be a login name; use 1 to 63 of a-z, 0-9, dot, hyphen and underscore, "
            "a letter or a digit first"
        ) from None


def check_group(group: str) -> str:
    """``group`` if it can be the name of a group; else :class:`PeopleError`."""
    try:
        return TypeAdapter(GroupName).validate_python(group)
    except ValidationError:
        raise PeopleError(
            f"{shown(group)} cannot be a group; use at most 128 letters, digits, dots, slashes, hyphens and underscores"
        ) from None


def check_password(password: str) -> None:
    """Raise :class:`PeopleError` for a password that is too short, too long or has control characters."""
    if len(password) < MINIMUM_LENGTH:
        raise PeopleError(f"the password has {len(password)} characters; take at least {MINIMUM_LENGTH}")
    if len(password) > MAXIMUM_LENGTH:
        raise PeopleError(f"the password has {len(password)} characters; take at most {MAXIMUM_LENGTH}")
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in password):
        raise PeopleError("the password holds a control character, which no login form can send; take another")


def shown(text: str) -> str:
    """``text`` as it may be shown in a sentence: quoted, without control characters, at most 40 characters."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _normal(password: str) -> str:
    """One form for what different keyboards send for the same letters."""
    return unicodedata.normalize("NFC", password)


def _matches(known: str, password: str) -> bool:
    try:
        return HASHER.verify(known, _normal(password))
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


@cache
def _hash_of_nobody() -> str:
    """What an unknown name is compared with, so that it costs the same time."""
    return HASHER.hash(secrets.token_hex(16))


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _read(file: Path) -> Records:
    try:
        found = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StateError(f"{file} cannot be read ({error}); restore it from a backup") from error
    if not isinstance(found, dict) or not all(isinstance(record, dict) for record in found.values()):
        raise StateError(f"{file} does not hold people; restore it from a backup")
    return found
