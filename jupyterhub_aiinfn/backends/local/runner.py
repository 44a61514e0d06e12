"""The parent of one workload: starts its sandbox, watches it, ends it, and writes down how it ended.

It outlives hub and service, and ends the workload when the supervisor is gone, the longest life is over or somebody
asks. Started by :mod:`.launching` as ``python -I -S -c … <folder>``; reads its plan (with the secret variables) from
stdin, answers one JSON line on stdout once the program may run, and leaves in the folder::

    started    runner, sandbox (pid, start time, boot id each) and started_at
    extended   not by this program: max_seconds anew, read when the former longest life is over
    log        what the program wrote, with log.old before it: together at most 20 MiB
    ended      exit_code, reason, message, ended_at

Standard library only and few imports: every session waits for this program to start.
"""

from __future__ import annotations

import binascii
import contextlib
import errno
import json
import os
import select
import signal
import sys
import time
from typing import Any, NoReturn

from .processes import ProcessIdentity, children

LOG_BYTES = 10 * 1024 * 1024
"""Size at which ``log`` becomes ``log.old``; arbitrary."""
RESERVED_BYTES = 4096
"""Room kept on the disk for ``ended``, so that a full disk does not lose it."""
MESSAGE_CHARACTERS = 2000
START_SECONDS = 20.0
"""How long bubblewrap may take to set a sandbox up; arbitrary, it takes 10 ms."""


def now() -> float:
    """Seconds since boot, counting those that the machine slept."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class StartFailure(Exception):
    """The sandbox did not come up; the text is a sentence."""


class Runner:
    """One workload, from its plan to its ``ended``."""

    def __init__(self, folder: str, plan: dict[str, Any]) -> None:
        self.folder = folder
        self.plan = plan
        self.bubblewrap = 0
        self.sandbox: ProcessIdentity | None = None
        self.log = Log(folder)
        self.end_by: float | None = None
        self.end_reason: str | None = None
        self.end_message = ""
        self.wakeup = wake_on_signals()
        self.begun = now()
        self.deadline = self.begun + plan["max_seconds"] if plan["max_seconds"] else None
        self.supervisor = self.watched_supervisor()

    def watched_supervisor(self) -> int | None:
        """A pidfd of the supervisor; None when there is none to watch."""
        identity = ProcessIdentity.from_json(self.plan["supervisor"])
        if identity is None:
            return None
        descriptor = identity.open()
        if descriptor is None:
            raise StartFailure("the platform is not running; start it with `aiinfn up`")
        return descriptor

    def start(self) -> None:
        """Bring the program up inside its sandbox and write ``started``."""
        reserve_end(self.folder)
        self.write_started(None)
        # After ``started``: whoever gives a start up, or asks for its end, writes first and then looks for a runner.
        if os.access(f"{self.folder}/ended", os.F_OK):
            raise StartFailure("the start was given up before it began")
        if os.access(f"{self.folder}/stop", os.F_OK):
            raise StartFailure("it was stopped before it began")
        if self.plan["own_abstract_sockets"]:
            from .landlock import scope_abstract_sockets

            scope_abstract_sockets()
        block_read, block = os.pipe()
        guard = Guard()
        pid = read_info(self.spawn(block_read), self.log)
        self.sandbox = ProcessIdentity.of(pid)
        enter_cgroups(self.plan["cgroups"], pid)
        self.write_started(time.time())
        guard.dismiss()
        os.write(block, b"x")
        os.close(block)

    def spawn(self, block_read: int) -> int:
        """Start bubblewrap, which will wait for ``block_read``; returns the descriptor on which it reports."""
        info_read, info_write = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY)
        targets = {0: null, 1: self.log.writer, 2: self.log.writer, 60: info_write, 61: block_read}
        for number, content in self.plan["files"].items():
            targets[int(number)] = memory_file(binascii.a2b_base64(content))
        high = {target: dup_high(source) for target, source in targets.items()}
        self.bubblewrap = os.posix_spawn(
            self.plan["command"][0],
            self.plan["command"],
            self.plan["environment"],
            file_actions=[(os.POSIX_SPAWN_DUP2, source, target) for target, source in high.items()],
            setsigmask=[],
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
        )
        for descriptor in {*targets.values(), *high.values()}:
            os.close(descriptor)
        return info_read

    def write_started(self, started_at: float | None) -> None:
        """Say who runs what; before the sandbox exists (a power cut may lose that), and again when it does."""
        sandbox = self.sandbox.as_json() if self.sandbox else None
        record = {"runner": ProcessIdentity.current().as_json(), "sandbox": sandbox, "started_at": started_at}
        write(self.folder, "started", record, durable=started_at is not None)

    def run(self) -> tuple[int, str, str]:
        """Wait until the program has ended; returns its exit code, the reason and a sentence."""
        process = os.pidfd_open(self.bubblewrap)
        poll = select.poll()
        for descriptor in (process, self.wakeup, self.log.reader):
            poll.register(descriptor, select.POLLIN)
        if self.supervisor is not None:
            poll.register(self.supervisor, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(self.wait_milliseconds())}
            if self.log.reader in ready and not self.log.take():
                poll.unregister(self.log.reader)
            if process in ready:
                break
            self.react(ready, poll)
        _, status = os.waitpid(self.bubblewrap, 0)
        self.log.drain()
        return self.verdict(exit_code(status))

    def wait_milliseconds(self) -> int | None:
        """Until the next thing that happens by the clock."""
        times = [moment for moment in (self.end_by, self.deadline) if moment is not None]
        return max(0, int((min(times) - now()) * 1000) + 1) if times else None

    def react(self, ready: set[int], poll: Any) -> None:
        """Act on a request, on the supervisor's end and on the clock."""
        if self.wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self.wakeup, 512)
            self.take_request()
        if self.supervisor is not None and self.supervisor in ready:
            poll.unregister(self.supervisor)
            sentence = "the platform has stopped, and with it every session"
            self.end("platform-stopped", sentence, self.plan["grace_seconds"])
        if self.deadline is not None and now() >= self.deadline:
            self.deadline = self.extended()
            if self.deadline is None:
                self.end("max-age", "it reached its longest life", self.plan["grace_seconds"])
        if self.end_by is not None and now() >= self.end_by:
            self.end_by = now() + 1
            self.kill()

    def extended(self) -> float | None:
        """The later deadline that the platform has written meanwhile; None when there is none."""
        longest = (read(self.folder, "extended") or {}).get("max_seconds")
        later = self.begun + longest if isinstance(longest, int) else 0.0
        return later if later > now() else None

    def take_request(self) -> None:
        """Read who asked for the end, and how long it may take."""
        request = read(self.folder, "stop") or {}
        grace = request.get("grace_seconds")
        self.end(
            str(request.get("reason") or "stopped"),
            str(request.get("message") or "it was stopped"),
            self.plan["grace_seconds"] if grace is None else float(grace),
        )

    def end(self, reason: str, message: str, grace: float) -> None:
        """Ask the program to end within the grace; the first reason stays, a shorter grace wins."""
        moment = now() + max(0.0, grace)
        if self.end_reason is None:
            self.end_reason, self.end_message, self.end_by = reason, message, moment
            self.deadline = None
            self.ask()
        elif self.end_by is not None:
            self.end_by = min(self.end_by, moment)

    def ask(self) -> None:
        """Send SIGTERM to the program itself: the first child of the sandbox's first process."""
        programs = children(self.sandbox.pid)[:1] if self.sandbox is not None and self.sandbox.alive() else []
        if not programs or not programs[0].send(signal.SIGTERM):
            self.kill()

    def kill(self) -> None:
        """End everything inside at once: a process namespace dies with its first process."""
        if self.sandbox is not None:
            self.sandbox.send(signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.bubblewrap, signal.SIGKILL)

    def verdict(self, code: int) -> tuple[int, str, str]:
        """Why it ended, in the words of the contract."""
        if self.end_reason is not None:
            return code, self.end_reason, self.end_message
        if code == 0:
            return code, "finished", "it ended by itself"
        if memory_kills(self.plan["memory_events"]):
            return code, "out-of-memory", self.plan["memory_sentence"]
        if code < 0:
            return code, "failed", f"it was ended by signal {-code} ({signal_name(-code)})"
        return code, "failed", f"it exited with code {code}"

    def close(self) -> None:
        """Leave nothing behind: no process, no cgroup."""
        if self.bubblewrap:
            self.kill()
        leave_cgroups(self.plan["cgroups"])


class Guard:
    """A fork that kills our process group, bubblewrap in it, when this runner dies before a sandbox is on record.

    Bubblewrap binds its life to ours late, and its first process inside later still: until then it would wait for ever
    or, worse, take our end for the permission to go on and run the program with nobody to end it. (The fork therefore
    also holds the end of the pipe for which the sandbox waits.)
    """

    def __init__(self) -> None:
        os.setpgid(0, 0)
        reader, self.writer = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.writer)
            self.watch(reader)
        os.close(reader)

    def watch(self, reader: int) -> NoReturn:
        """In the fork: end the group unless dismissed."""
        if not os.read(reader, 1):
            os.killpg(0, signal.SIGKILL)
        os._exit(0)

    def dismiss(self) -> None:
        """From now on the record says what to kill. Returns when the fork is gone."""
        os.write(self.writer, b"x")
        os.close(self.writer)
        os.waitpid(self.pid, 0)


class Log:
    """What the program writes, through a pipe into a file that stays bounded."""

    def __init__(self, folder: str) -> None:
        self.path = f"{folder}/log"
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self.file).st_size

    def take(self) -> bool:
        """Move what there is; False at the end."""
        try:
            data = os.read(self.reader, 65536)
        except BlockingIOError:
            return True
        self.append(data)
        return bool(data)

    def append(self, data: bytes) -> None:
        """Write, or drop when the disk is full: a log never ends a session."""
        with contextlib.suppress(OSError):
            if self.size + len(data) > LOG_BYTES:
                self.turn()
            self.size += os.write(self.file, data)

    def turn(self) -> None:
        """Begin a new file, keeping the one before."""
        os.replace(self.path, f"{self.path}.old")  # noqa: PTH105
        os.close(self.file)
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = 0

    def drain(self) -> None:
        """Move what is left after the program's end."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.reader, 65536):
                self.append(data)

    def last_line(self) -> str:
        """The last line, for a sentence."""
        with open(self.path, "rb") as stream:  # noqa: PTH123
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 4096))
            lines = stream.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")


# ------------------------------------------------------------------------------------------------------ processes


def wake_on_signals() -> int:
    """A descriptor that becomes readable when somebody asks for the end."""
    reader, writer = os.pipe()
    for descriptor in (reader, writer):
        os.set_blocking(descriptor, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def read_info(descriptor: int, log: Log) -> int:
    """The host's pid of the sandbox's first process, as bubblewrap reports it."""
    text, until = b"", now() + START_SECONDS
    while b"}" not in text:
        ready, _, _ = select.select([descriptor, log.reader], [], [], max(0.0, until - now()))
        if log.reader in ready:
            log.take()
        data = os.read(descriptor, 4096) if descriptor in ready else b""
        if not data and (descriptor in ready or not ready):
            log.drain()
            raise StartFailure(f"the sandbox could not be made: {log.last_line() or 'bubblewrap said nothing'}")
        text += data
    os.close(descriptor)
    return int(json.loads(text)["child-pid"])


def memory_file(content: bytes) -> int:
    """A descriptor from which bubblewrap reads ``content``."""
    descriptor = os.memfd_create("aiinfn")
    write_all(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def dup_high(descriptor: int) -> int:
    """The same file above all numbers that the sandbox's command names."""
    import fcntl

    return int(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 100))


def exit_code(status: int) -> int:
    """The exit code; minus the signal's number when a signal ended the program (bubblewrap reports 128 + signal)."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if 128 < code <= 128 + signal.NSIG else code


def signal_name(number: int) -> str:
    """``SIGKILL`` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


# -------------------------------------------------------------------------------------------------------- cgroups


def enter_cgroups(cgroups: list[dict[str, Any]], pid: int) -> None:
    """Make the cgroups, set their limits and put the sandbox's first process there while it waits."""
    for cgroup in cgroups:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(cgroup["path"])  # noqa: PTH102 - not its parent: one made here would hand no limits down
            for name, value in cgroup["settings"].items():
                with contextlib.suppress(FileNotFoundError):
                    write_setting(f"{cgroup['path']}/{name}", value)
            write_setting(f"{cgroup['path']}/cgroup.procs", str(pid))
        except OSError as error:
            raise StartFailure(f"the limits could not be set: {cgroup['path']}: {error.strerror}") from error


def write_setting(path: str, value: str) -> None:
    """Write one file of a cgroup."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def memory_kills(path: str | None) -> bool:
    """Whether the kernel ended a process of the cgroup for want of memory, by its file of events."""
    if path is None:
        return False
    try:
        with open(path, encoding="ascii") as stream:  # noqa: PTH123
            counts = dict(line.split() for line in stream)
    except (OSError, ValueError):
        return False
    return int(counts.get("oom_kill", 0)) > 0


def leave_cgroups(cgroups: list[dict[str, Any]]) -> None:
    """Remove the cgroups; their last processes may take some milliseconds to vanish."""
    for cgroup in cgroups:
        for _ in range(50):
            try:
                os.rmdir(cgroup["path"])  # noqa: PTH106
            except OSError as error:
                if error.errno != errno.EBUSY:
                    break
                time.sleep(0.02)
            else:
                break


# ---------------------------------------------------------------------------------------------------------- files


def read(folder: str, name: str) -> dict[str, Any] | None:
    """The JSON object of a file of the folder; None when there is none."""
    try:
        with open(f"{folder}/{name}", "rb") as stream:  # noqa: PTH123
            data = json.load(stream)
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def write(folder: str, name: str, record: dict[str, Any], *, durable: bool) -> None:
    """Write a JSON file so that a reader sees all of it or nothing; ``durable``: also after a power cut.

    (The same as ``state.write_file``, whose imports would double the time that this program takes to start.)
    """
    temporary = f"{folder}/.{name}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(descriptor, json.dumps(record).encode())
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, f"{folder}/{name}")  # noqa: PTH105
    if durable:
        flush_folder(folder)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``: one call may take less, on a disk that is almost full."""
    while data:
        data = data[os.write(descriptor, data) :]


def flush_folder(folder: str) -> None:
    """Bring the names in a folder to the disk: a file that was flushed may still be lost with its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reserve_end(folder: str) -> None:
    """Take room on the disk for ``ended`` now."""
    descriptor = os.open(f"{folder}/.ended", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(descriptor, b" " * RESERVED_BYTES)
    finally:
        os.close(descriptor)


def end_of_reserved_size(record: dict[str, Any], message: str) -> bytes:
    """The JSON of an end in exactly the room that was reserved for it; a message that is too long is cut.

    A character takes up to 12 bytes of JSON, so that 2000 of them need not fit.
    """
    while len(data := json.dumps({**record, "message": message}).encode()) > RESERVED_BYTES:
        message = message[: -max(1, (len(data) - RESERVED_BYTES) // 12)]
    return data.ljust(RESERVED_BYTES)


def write_end(folder: str, code: int | None, reason: str, message: str) -> None:
    """Write ``ended`` into the room reserved for it; what is there already stays (somebody inferred the end)."""
    record = {"exit_code": code, "reason": reason, "ended_at": time.time()}
    data = end_of_reserved_size(record, message[:MESSAGE_CHARACTERS])
    for attempt in range(10):
        try:
            descriptor = os.open(f"{folder}/.ended", os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                write_all(descriptor, data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.link(f"{folder}/.ended", f"{folder}/ended")  # a link never replaces
            os.unlink(f"{folder}/.ended")  # noqa: PTH108
            flush_folder(folder)
        except FileExistsError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EINTR):
                return
            time.sleep(min(attempt, 5))
        else:
            return


# ----------------------------------------------------------------------------------------------------------- main


def answer(record: dict[str, Any]) -> None:
    """Tell whoever started this program, and let go of it."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(record).encode() + b"\n")
    null = os.open("/dev/null", os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    os.close(null)


def main(folder: str) -> NoReturn:
    """Run the workload whose plan is on stdin."""
    if os.fork():  # whoever started us reaps this process at once, and init reaps the one that stays
        os._exit(0)
    os.chdir("/")
    os.umask(0o022)
    plan = json.loads(sys.stdin.buffer.read())
    runner: Runner | None = None
    try:
        runner = Runner(folder, plan)
        runner.start()
    except (StartFailure, OSError) as error:
        if runner is not None:
            runner.close()
        write_end(folder, None, "not-started", str(error))
        answer({"error": str(error)})
        os._exit(1)
    answer({"pid": os.getpid()})
    code, reason, message = runner.run()
    runner.close()
    write_end(folder, code, reason, message)
    os._exit(0)
