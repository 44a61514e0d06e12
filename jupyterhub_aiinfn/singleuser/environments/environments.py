"""What can be done with own environments: the command line, the panel in JupyterLab and kernels all come here."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import (
    HOME,
    Base,
    Pin,
    Record,
    State,
    checked_name,
    checked_packages,
    explanation,
    kernel_name,
    lock_text,
    reference,
    shortened,
    state_of,
)

from . import kernels
from .base import find_base, installed, site_packages
from .layering import make_layer, tidy_programs, works
from .pip_runs import Say, find_hashes, install, own_packages, to_install_again
from .places import Place, find_place, find_places, is_folder
from .records import RECORD, held, is_held, read_record, write_record
from .sharing import Sharing, keep_to_oneself, share, share_again, sharing

VENV, BUILDING, OLD, SCRATCH = "venv", ".building", ".old", ".scratch"


@dataclass(frozen=True)
class Found:
    """One environment as it is now."""

    place: Place
    name: str
    record: Record | None
    state: State
    problem: str
    """Why it cannot be used in this session and what to do; empty when it can."""

    @property
    def reference(self) -> str:
        """How people name it."""
        return reference(self.place.id, self.name)

    @property
    def folder(self) -> Path:
        """Where all of it is."""
        return self.place.folder / self.name

    @property
    def prefix(self) -> Path:
        """Where the virtual environment is."""
        return self.folder / VENV

    @property
    def own(self) -> bool:
        """Whether this person made it."""
        by = self.record.created_by if self.record else ""
        return self.folder.lstat().st_uid == os.geteuid() and by in ("", os.environ.get("USER", ""))

    def as_json(self) -> dict[str, Any]:
        """What the panel shows."""
        record = asdict(self.record) if self.record else {"name": self.name}
        return {key: value for key, value in record.items() if key not in ("hashes", "fingerprint", "finished")} | {
            "place": self.place.id,
            "kernel": kernel_name(self.place.id, self.name),
            "reference": self.reference,
            "state": self.state.value,
            "problem": self.problem,
            "own": self.own,
            "used": kernels.is_used(self.place.id, self.name),
            "sharing": sharing(self.folder) if self.place.id != HOME else "private",
            "bytes": current_bytes(self),
        }


class OwnEnvironments:
    """The own environments of the person whose session ``variables`` describe; ``say`` hears how far work is."""

    def __init__(self, variables: Mapping[str, str], say: Say = lambda kind, text: None) -> None:
        self.base = find_base(variables)
        self.places = find_places(variables)
        self._say = say
        self._person = variables.get("USER", "")

    def list(self) -> list[Found]:
        """All of them, the home's first."""
        return [self._look(place, name) for place in self.places.values() for name in place.names()]

    def described(self) -> Sequence[dict[str, Any]]:
        """What the panel shows of all of them; one that is removed at this moment is left out."""
        shown = []
        for found in self.list():
            with contextlib.suppress(FileNotFoundError):
                shown.append(found.as_json())
        return shown

    def find(self, name: str) -> Found:
        """``tools`` or ``project/tools``. Raises :class:`OwnEnvironmentError` when there is none."""
        key, slash, short = name.rpartition("/")
        place = find_place(self.places, key if slash else HOME)
        if not is_folder(place.path(short)):
            known = ", ".join(found.reference for found in self.list()) or "none"
            raise OwnEnvironmentError(
                f'there is no environment "{shortened(name)}"; there are: {known}; make one with `aiinfn env create`'
            )
        return self._look(place, short)

    def _look(self, place: Place, name: str) -> Found:
        folder = place.path(name)
        record = read_record(folder)
        interpreter = record is not None and works(folder / VENV, record.python)
        state = state_of(record, self.base, held=is_held(folder), interpreter=interpreter)
        return Found(place, name, record, state, explanation(state, record, reference(place.id, name), self.base))

    def create(
        self, name: str, place_id: str, wanted: Sequence[Pin], *, image: str = "", requested: Sequence[str] = ()
    ) -> Found:
        """Make an environment with these packages; nothing of it stays when that fails.

        ``requested`` are the words of the person, where ``wanted`` is the lock that came of them.
        """
        base, place = self._base_for(image), find_place(self.places, place_id)
        asked = checked_packages(list(requested) or [pin.package for pin in wanted]) if wanted else ()
        checked_name(name)
        with self._disk_of(place):
            place.make()
            folder = place.path(name)
            self._claim(folder, place, name)
            try:
                with held(folder, reference(place_id, name)) as lock:
                    self._make(folder, self._new_record(name, base, asked), wanted, lock)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        kernels.use(place_id, name, base.title)
        return self.find(reference(place_id, name))

    def _claim(self, folder: Path, place: Place, name: str) -> None:
        try:
            folder.mkdir(mode=0o777 if place.id == HOME else 0o700)
        except FileExistsError:
            there = self._look(place, name)
            remedy = there.problem or "choose another name, or remove it first"
            raise OwnEnvironmentError(f"{place.words} has an environment {name} already: {remedy}") from None
        if place.id != HOME:
            keep_to_oneself(folder)

    def _new_record(self, name: str, base: Base, requested: tuple[str, ...]) -> Record:
        return Record(
            name=name,
            image=base.image,
            image_title=base.title,
            fingerprint=base.fingerprint,
            python=base.python,
            requested=requested,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            created_by=self._person,
        )

    def _make(self, folder: Path, record: Record, wanted: Sequence[Pin], lock: int) -> None:
        """Make the virtual environment beside the one that is there, and take it in its place when it is whole."""
        assert self.base is not None
        if not (folder / VENV).exists():
            write_record(folder, record)
        building = folder / BUILDING
        shutil.rmtree(building, ignore_errors=True)
        try:
            self._say("step", f"making an environment on {record.image_title}")
            make_layer(building, self.base, lock)
            hashes = install(building, wanted, folder / SCRATCH, self._say, lock)
            tidy_programs(building)
            self._swap(folder)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        write_record(folder, replace(record, finished=True, hashes=hashes, bytes=folder_bytes(folder)))

    def _swap(self, folder: Path) -> None:
        old = folder / OLD
        shutil.rmtree(old, ignore_errors=True)
        if (folder / VENV).exists():
            (folder / VENV).rename(old)
        (folder / BUILDING).rename(folder / VENV)
        shutil.rmtree(old, ignore_errors=True)

    def install(self, name: str, wanted: Sequence[Pin], *, requested: Sequence[str] = ()) -> Found:
        """Install packages; what was asked for is remembered."""
        asked = checked_packages(list(requested) or [pin.package for pin in wanted])
        found = self._usable(name)
        record = found.record
        assert record is not None
        with self._disk_of(found.place), held(found.folder, found.reference) as lock:
            self._say("step", "installing")
            hashes = install(found.prefix, wanted, found.folder / SCRATCH, self._say, lock)
            tidy_programs(found.prefix)
            together = tuple(dict.fromkeys([*record.requested, *asked]))
            size = folder_bytes(found.folder)
            write_record(found.folder, replace(record, requested=together, hashes=record.hashes | hashes, bytes=size))
            self._share_again(found)
        return self.find(name)

    def repair(self, name: str) -> Found:
        """Make it again on the image of this session with what was asked for; the old one stays until that worked."""
        base, found = self._base_for(""), self.find(name)
        if found.state is State.working:
            raise OwnEnvironmentError(found.problem)
        again = checked_packages(to_install_again(found.record, found.prefix))
        record = self._new_record(found.name, base, again)
        if found.record:
            kept = found.record
            record = replace(record, created_at=kept.created_at, created_by=kept.created_by)
        with self._disk_of(found.place), held(found.folder, found.reference) as lock:
            self._make(found.folder, record, [Pin(package) for package in again], lock)
            self._share_again(found)
        if found.own or kernels.is_used(found.place.id, found.name):
            kernels.use(found.place.id, found.name, base.title)
        return self.find(name)

    def export(self, name: str) -> str:
        """The lock file: own packages with hashes, and as remarks those of the image."""
        found = self._usable(name)
        record = found.record
        assert record is not None
        assert self.base is not None
        packages, hashes = list(own_packages(found.prefix)), dict(record.hashes)
        unknown = [package for package in packages if package not in hashes]
        if unknown and os.access(found.folder, os.W_OK):
            with held(found.folder, found.reference) as lock:
                hashes |= find_hashes(found.prefix, unknown, found.folder / SCRATCH, lock)
        pins = [Pin(package, (hashes[package],) if package in hashes else ()) for package in packages]
        requested = tuple(to_install_again(record, found.prefix))
        below = site_packages(Path(self.base.prefix))
        return lock_text(replace(record, requested=requested), pins, installed(below) if below else [])

    def remove(self, name: str) -> None:
        """Remove it and its kernel; works on a full disk."""
        found = self.find(name)
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(PermissionError):
                stack.enter_context(held(found.folder, found.reference))
            (found.folder / RECORD).unlink(missing_ok=True)  # first: a half removed environment must not look whole
            shutil.rmtree(found.folder, onerror=_stop_at_strangers)
        kernels.stop_using(found.place.id, found.name)

    def use(self, name: str) -> Found:
        """Put it among the person's kernels."""
        found = self.find(name)
        if found.record is None:
            raise OwnEnvironmentError(found.problem)
        kernels.use(found.place.id, found.name, found.record.image_title)
        return found

    def stop_using(self, name: str) -> None:
        """Take it from the person's kernels; also one that is gone."""
        key, slash, short = name.rpartition("/")
        kernels.stop_using(key if slash else HOME, checked_name(short))

    def share(self, name: str, how: Sharing) -> Found:
        """Let the members of the project use it, change it, or neither."""
        found = self.find(name)
        if found.place.id == HOME:
            raise OwnEnvironmentError(
                f"{name} is in your home, which nobody else can enter; make it in a project folder: "
                f"`aiinfn env create {name} --project PROJECT --from-lock FILE`"
            )
        share(found.folder, how)
        return found

    def _share_again(self, found: Found) -> None:
        """What was just made in it is for whom the environment is."""
        if found.place.id != HOME:
            share_again(found.folder)

    def _usable(self, name: str) -> Found:
        found = self.find(name)
        if found.problem:
            raise OwnEnvironmentError(found.problem)
        return found

    def _base_for(self, image: str) -> Base:
        if self.base is None:
            raise OwnEnvironmentError(
                "this session has no image to make an environment of; start one with a profile of the platform"
            )
        if image not in ("", self.base.image):
            raise OwnEnvironmentError(
                f'this session runs the image "{self.base.image}" and sees no other; start a session with a profile '
                f'that uses "{shortened(image)}", and make the environment there'
            )
        return self.base

    @contextlib.contextmanager
    def _disk_of(self, place: Place) -> Iterator[None]:
        """Files that others may read, and sentences for a disk that is full or cannot be written."""
        before = os.umask(0o022)
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                why = f"{place.words} is full; make room and try again"
            else:
                why = f"{place.words} cannot be written ({error.strerror or error}); ask who owns it"
            raise OwnEnvironmentError(f"the environment could not be changed: {why}") from error
        finally:
            os.umask(before)


def _stop_at_strangers(function: Callable[..., Any], path: str, information: Any) -> None:
    if isinstance(information[1], FileNotFoundError):
        return
    raise OwnEnvironmentError(
        f"{path} cannot be removed ({information[1].strerror or information[1]}); who made it can remove it"
    )


def current_bytes(found: Found) -> int:
    """What it takes on disk: measured when it was last changed here, and again when pip changed it in a notebook."""
    packages = site_packages(found.prefix)
    said = found.record.bytes if found.record else 0
    try:
        if packages is None or packages.stat().st_mtime <= (found.folder / RECORD).stat().st_mtime:
            return said
    except OSError:
        return said
    return folder_bytes(found.folder)


def folder_bytes(folder: Path) -> int:
    """What a folder takes on disk, in bytes."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118 - may be twenty thousand files
    return total
