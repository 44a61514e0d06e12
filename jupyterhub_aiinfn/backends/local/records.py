"""The records of workloads on disk, and what they add up to: ``spec started extended ended stop log progress``.

They are the only store: which devices are free, who runs and why it ended is read from them by every process alike.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.api.workloads import EndReason, Phase, Progress, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.backends.progress import LONGEST, TAIL, last_progress, read_progress
from jupyterhub_aiinfn.errors import BackendError, WorkloadNotFound

from .processes import ProcessIdentity
from .state import flush_folder, read_object, write_file
from .uids import locked

ID = re.compile(r"w[0-9a-f]{20}")
PATIENCE = 3.0
"""Seconds after which a start is given up whose starter vanished before there was a runner.

Arbitrary: a runner appears within 50 ms, and one that comes later finds the end on record and does not go on.
"""
EMPTY_SECONDS = 10.0
"""Age at which a folder without ``spec`` is what a killed start left; arbitrary, it follows within milliseconds."""
LOST = "its runner on this machine vanished (killed, or the machine was switched off)"
LOG_BYTES = 1024 * 1024
UNREADABLE = (KeyError, TypeError, ValueError, OverflowError)
"""What a record raises that another version wrote, or somebody's editor."""
SPEC_FIELDS = (
    *("id", "kind", "job_class", "name", "person", "server_name", "project", "profile", "size", "image"),
    *("accelerator", "accelerator_count", "cores", "memory_gib", "values_hash"),
)

log = logging.getLogger(__name__)


class Records:
    """All records of one state folder. Methods block: call them in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ended: dict[str, Workload] = {}
        self._reported: set[str] = set()
        self._lock = threading.Lock()

    def path(self, workload_id: str) -> Path:
        """The folder of a workload; :class:`WorkloadNotFound` for what cannot be an identifier."""
        if not ID.fullmatch(workload_id):
            raise WorkloadNotFound(f"there is no workload {workload_id[:40]!r}")
        return self.folder / workload_id

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold what makes counting and reserving one step, for all processes of the installation."""
        with locked(self.folder / ".lock"):
            yield

    def add(self, spec: WorkloadSpec, devices: tuple[str, ...], *, emulated: bool) -> None:
        """Write the record of a workload that is about to start."""
        record = dataclasses.asdict(spec) | {
            "environment": dict(spec.environment),
            "devices": devices,
            "emulated": emulated,
            "created_at": time.time(),
            "starter": ProcessIdentity.current().as_json(),
        }
        folder = self.path(spec.id)
        folder.mkdir(mode=0o700)
        try:
            write_file(folder / "spec", json.dumps(record).encode())
            flush_folder(self.folder)
        except OSError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def ids(self) -> list[str]:
        """Identifiers of all workloads."""
        with os.scandir(self.folder) as entries:
            return [entry.name for entry in entries if ID.fullmatch(entry.name)]

    def all(self) -> list[Workload]:
        """Every workload whose record can be read, oldest first."""
        found = [workload for workload_id in self.ids() if (workload := self.find(workload_id)) is not None]
        return sorted(found, key=lambda workload: (workload.created_at, workload.id))

    def get(self, workload_id: str) -> Workload:
        """One workload, or :class:`WorkloadNotFound`."""
        workload = self.find(workload_id)
        if workload is None:
            raise WorkloadNotFound(f"there is no workload {workload_id[:40]!r}; its record may have been pruned")
        return workload

    def find(self, workload_id: str) -> Workload | None:
        """One workload, as its files and its runner say; an end that nobody wrote is inferred and written here.

        None for what is not there and for a record that cannot be read, which is said once in the log: one of them
        must not hide all others.
        """
        with self._lock:
            if (known := self._ended.get(workload_id)) is not None:
                return known
        folder = self.path(workload_id)
        try:
            return self._read(workload_id, folder)
        except UNREADABLE as error:
            self._report(workload_id, f"{type(error).__name__}: {error}")
            return None

    def _read(self, workload_id: str, folder: Path) -> Workload | None:
        written = (folder / "spec").exists()  # looked at first: it may be written, whole, between the two
        spec = read_object(folder / "spec")
        if spec is None:
            if written:
                self._report(workload_id, "spec is no JSON object")
            return None
        started, ended = read_object(folder / "started"), read_object(folder / "ended")
        if ended is None and is_lost(spec, started):
            ended = self.infer_end(workload_id, started)
        workload = assemble(spec | longest_life(spec, read_object(folder / "extended")), started or {}, ended)
        if ended is not None:
            with self._lock:
                self._ended[workload_id] = workload
        return workload

    def _report(self, workload_id: str, problem: str) -> None:
        with self._lock:
            known = workload_id in self._reported
            self._reported.add(workload_id)
        if not known:
            said = " ".join(problem.split())[:300]
            log.warning("the record %s cannot be read and is left out: %s", self.path(workload_id), said)

    def unreadable(self) -> list[str]:
        """Identifiers of records without an end that say something, but not to this program."""
        files = [(workload_id, self.path(workload_id)) for workload_id in self.ids()]
        left = [name for name, folder in files if (folder / "spec").exists() and not (folder / "ended").exists()]
        return [workload_id for workload_id in left if self.find(workload_id) is None]

    def remove_empty(self) -> None:
        """Remove the folders of starts that were killed before they wrote what is to run."""
        for folder in map(self.path, self.ids()):
            with contextlib.suppress(FileNotFoundError):
                age = time.time() - folder.stat().st_mtime
                if not (folder / "spec").exists() and not 0 <= age <= EMPTY_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)

    def infer_end(self, workload_id: str, started: Mapping[str, Any] | None) -> dict[str, Any]:
        """Write that a workload is lost, unless its runner wrote the end a moment ago; what is left of it is killed.

        A start without a runner may still get one. The runner writes ``started`` and then looks for ``ended``; here it
        is the other way round, so that at least one of the two sees the other, and nothing runs on.
        """
        self.kill_sandbox(workload_id)
        ended = self.write_end(workload_id, inferred_end(started, read_object(self.path(workload_id) / "stop")))
        if started is None and (runner := self.runner(workload_id)) is not None:
            runner.send(9)
            self.kill_sandbox(workload_id)
        return ended

    def kill_sandbox(self, workload_id: str) -> None:
        """End what runs inside, as far as it is on record: for when the runner cannot."""
        if (sandbox := self.sandbox(workload_id)) is not None:
            sandbox.send(9)

    def write_end(self, workload_id: str, record: dict[str, Any]) -> dict[str, Any]:
        """Write ``ended`` where nobody has; returns what holds."""
        file = self.path(workload_id) / "ended"
        with contextlib.suppress(OSError):  # also when the disk is full: it is inferred again at the next look
            write_file(file, json.dumps(record).encode(), exclusive=True)
        return read_object(file) or record

    def extend(self, workload_id: str, max_seconds: int) -> Workload:
        """Write the longest life anew, unless it is longer already; the runner reads it when the former one is over."""
        workload, folder = self.get(workload_id), self.path(workload_id)
        if workload.phase is Phase.ended:
            raise BackendError("this session has ended already and cannot be extended; start another one")
        with self.locked():
            spec = read_object(folder / "spec") or {}
            longest = (spec | longest_life(spec, read_object(folder / "extended"))).get("max_seconds")
            if not longest:
                raise BackendError("this workload has no longest life, so there is nothing to extend")
            if max_seconds > longest:
                try:
                    write_file(folder / "extended", json.dumps({"max_seconds": max_seconds}).encode())
                except OSError as error:
                    raise unwritable(error, folder) from error
        return self.get(workload_id)

    def request_stop(self, workload_id: str, reason: EndReason, message: str, grace_seconds: float | None) -> None:
        """Leave the request and wake the runner; nothing happens when it has ended."""
        folder = self.path(workload_id)
        request = {"reason": reason.value, "message": message, "grace_seconds": grace_seconds}
        with contextlib.suppress(OSError):  # without it the runner still ends, in other words
            write_file(folder / "stop", json.dumps(request).encode())
        if (runner := self.runner(workload_id)) is not None:
            runner.send(15)

    def runner(self, workload_id: str) -> ProcessIdentity | None:
        """The runner of a workload, when it has one."""
        return ProcessIdentity.from_json((read_object(self.path(workload_id) / "started") or {}).get("runner"))

    def sandbox(self, workload_id: str) -> ProcessIdentity | None:
        """The first process inside a workload's sandbox, when it is on record."""
        return ProcessIdentity.from_json((read_object(self.path(workload_id) / "started") or {}).get("sandbox"))

    def log(self, workload_id: str, lines: int) -> str:
        """The last lines, at most 1 MiB."""
        folder = self.path(workload_id)
        if not folder.is_dir():
            raise WorkloadNotFound(f"there is no workload {workload_id!r}")
        data = tail(folder / "log", LOG_BYTES)
        if data.count(b"\n") < lines and len(data) < LOG_BYTES:
            data = tail(folder / "log.old", LOG_BYTES - len(data)) + data
        kept = data.decode("utf-8", "replace").split("\n")
        body = kept[:-1] if kept and not kept[-1] else kept
        return "\n".join(body[-lines:]) if lines > 0 else ""

    def progress(self, workload_id: str) -> Progress | None:
        """What a job wrote to its file, or said in its output without one, when that makes sense."""
        if self.get(workload_id).kind is not WorkloadKind.job:
            return None
        folder = self.path(workload_id)
        data = tail(folder / "progress", LONGEST + 1)
        return read_progress(data) if data else last_progress(tail(folder / "log", TAIL))

    def prune(self, older_than: timedelta) -> list[str]:
        """Remove records of workloads that ended before that, but the latest of each person; returns their ids."""
        limit = datetime.now(UTC) - older_than
        ended = [workload for workload in self.all() if workload.phase is Phase.ended]
        latest = {workload.person: workload.id for workload in ended if workload.person is not None}
        old = [w.id for w in ended if w.ended_at and w.ended_at < limit and w.id not in latest.values()]
        for workload_id in old:
            shutil.rmtree(self.path(workload_id), ignore_errors=True)
            with self._lock:
                self._ended.pop(workload_id, None)
        return old


# -------------------------------------------------------------------------------------------------- what they mean


def is_lost(spec: Mapping[str, Any], started: Mapping[str, Any] | None) -> bool:
    """Whether a workload without ``ended`` has nobody left who would write it."""
    if started is not None:
        runner = ProcessIdentity.from_json(started.get("runner"))
        return runner is None or not runner.alive()
    starter = ProcessIdentity.from_json(spec.get("starter"))
    age = time.time() - float(spec["created_at"])  # negative: the clock was set back since
    return (starter is None or not starter.alive()) and not 0 <= age <= PATIENCE


def longest_life(spec: Mapping[str, Any], extended: Mapping[str, Any] | None) -> dict[str, Any]:
    """``{"max_seconds"}`` of a workload that was extended; nothing for another, or when the file makes no sense."""
    longest = (extended or {}).get("max_seconds")
    return {"max_seconds": longest} if isinstance(longest, int) and longest > (spec.get("max_seconds") or 0) else {}


def inferred_end(started: Mapping[str, Any] | None, stop: Mapping[str, Any] | None) -> dict[str, Any]:
    """The end of a workload that nobody saw."""
    reason, message = EndReason.lost, LOST
    if started is None:
        reason, message = EndReason.not_started, "whoever started it vanished before it ran"
    elif stop:
        reason, message = asked_reason(stop), str(stop.get("message") or "it was stopped")
    return {
        "exit_code": None,
        "reason": reason.value,
        "message": message,
        "ended_at": time.time(),
        "inferred": True,
    }


def asked_reason(stop: Mapping[str, Any]) -> EndReason:
    """Why somebody asked for the end; a word that another version used is an ordinary stop."""
    try:
        return EndReason(stop.get("reason", "stopped"))
    except ValueError:
        return EndReason.stopped


def assemble(spec: Mapping[str, Any], started: Mapping[str, Any], ended: Mapping[str, Any] | None) -> Workload:
    """A workload from its files."""
    started_at, longest = instant(started.get("started_at")), spec.get("max_seconds")
    end = ended or {}
    running = Phase.running if started_at else Phase.starting
    return Workload.model_validate(
        {name: spec.get(name) for name in SPEC_FIELDS}
        | {
            "devices": tuple(spec.get("devices") or ()),
            "emulated": bool(spec.get("emulated")),
            "phase": Phase.ended if ended is not None else running,
            "created_at": instant(spec["created_at"]),
            "started_at": started_at,
            "ends_at": started_at + timedelta(seconds=longest) if started_at and longest else None,
            "ended_at": instant(end.get("ended_at")),
            "exit_code": end.get("exit_code"),
            "reason": end.get("reason"),
            "message": str(end.get("message") or ""),
            "inferred": bool(end.get("inferred")),
        }
    )


def instant(seconds: float | None) -> datetime | None:
    """A time of the records (seconds since 1970) with its zone."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def tail(path: Path, size: int) -> bytes:
    """The last ``size`` bytes of a file; none when it does not exist."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - size))
            return stream.read(size)
    except FileNotFoundError:
        return b""


def live_with_key(workloads: list[Workload], key: str | None, key_of: Callable[[str], str | None]) -> Workload | None:
    """The live workload that has this key."""
    if key is None:
        return None
    live = (workload for workload in workloads if workload.phase is not Phase.ended)
    return next((workload for workload in live if key_of(workload.id) == key), None)


def unwritable(error: OSError, folder: Path) -> BackendError:
    """What to say when a record cannot be written."""
    return BackendError(f"{folder} cannot be written: {error.strerror}; make room on the disk and try again")
