# ruff: noqa: PTH111, PTH116, PTH208
"""What a person inside a session can reach: run it there (standard library only), it prints one JSON object.

``python probe.py [--path P ...] [--secret S ...] [--pid N ...] [--abstract NAME ...]``: the paths must be invisible or
unreadable, the secrets must be found nowhere below /proc, the host's pids must not be reachable. Each entry of
``breaches`` is something that should not have worked; ``facts`` describes the session, and which of the abstract
sockets answered.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
BREACHES: list[str] = []
REFUSED: list[str] = []


def attempt(name: str, action) -> None:  # type: ignore[no-untyped-def]
    """Run an attack; it is a breach unless it raises OSError."""
    try:
        result = action()
    except (OSError, subprocess.SubprocessError) as error:
        REFUSED.append(f"{name}: {getattr(error, 'strerror', None) or error}")
    else:
        BREACHES.append(f"{name}: {str(result)[:200]}")


def call(function: str, *arguments: object) -> int:
    """A C function that answers -1 and errno."""
    result = getattr(LIBC, function)(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def run(*command: str) -> str:
    """A program that must fail."""
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL
    ).stdout


def status() -> dict[str, str]:
    lines = Path("/proc/self/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def in_child(action) -> object:  # type: ignore[no-untyped-def]
    """Run it in a fork: it must not change this process."""
    reader, writer = os.pipe()
    if not (pid := os.fork()):
        code = 0
        try:
            os.write(writer, str(action()).encode()[:500])
        except OSError as error:
            code = error.errno or 1
        os._exit(code)
    os.close(writer)
    _, ended = os.waitpid(pid, 0)
    text = os.read(reader, 500).decode()
    os.close(reader)
    if code := os.waitstatus_to_exitcode(ended):
        raise OSError(abs(code), os.strerror(abs(code)))
    return text


def kernel() -> None:
    """Capabilities, mounts, devices, namespaces."""
    folder = tempfile.mkdtemp()
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(status()[name], 16):
            BREACHES.append(f"{name} is {status()[name]}")
    if status()["NoNewPrivs"] != "1":
        BREACHES.append("NoNewPrivs is not set")
    attempt("mount tmpfs", lambda: call("mount", b"none", folder.encode(), b"tmpfs", 0, b""))
    attempt("bind /", lambda: call("mount", b"/", folder.encode(), b"", 4096, b""))
    attempt("remount /usr", lambda: call("mount", b"", b"/usr", b"", 32 | 4096, b""))
    attempt("umount /proc", lambda: call("umount2", b"/proc", 2))
    attempt("mknod of a disk", lambda: os.mknod(f"{folder}/disk", stat.S_IFBLK | 0o600, os.makedev(8, 0)))
    attempt("mknod of kmsg", lambda: os.mknod(f"{folder}/kmsg", stat.S_IFCHR | 0o600, os.makedev(1, 11)))
    attempt("chroot", lambda: in_child(lambda: os.chroot(folder)))
    for name, flag in (("user", 0x10000000), ("mount", 0x20000), ("pid", 0x20000000), ("net", 0x40000000)):
        attempt(f"new {name} namespace", lambda flag=flag: in_child(lambda: call("unshare", flag)))
    attempt("program unshare -Ur", lambda: run("unshare", "-Ur", "id"))
    attempt("setuid 0", lambda: in_child(lambda: os.setresuid(0, 0, 0)))
    attempt("groups", lambda: in_child(lambda: os.setgroups([0])))
    attempt("key ring", lambda: call("syscall", 250 if os.uname().machine == "x86_64" else 219, 0, -3, 1))
    attempt("hostname", lambda: in_child(lambda: call("sethostname", b"x", 1)))
    attempt("priority", lambda: in_child(lambda: os.setpriority(os.PRIO_PROCESS, 0, -10)))


def system_files() -> None:
    """Files of the system."""
    for name in (
        "/usr/aiinfn",
        "/etc/aiinfn",
        "/aiinfn",
        "/usr/bin/sh",
        "/etc/passwd",
        "/proc/sys/kernel/core_pattern",
    ):
        attempt(f"write {name}", lambda name=name: os.close(os.open(name, os.O_WRONLY | os.O_CREAT, 0o600)))
    for name in ("/proc/sysrq-trigger", "/proc/sys/kernel/hostname", "/sys/kernel/uevent_helper"):
        attempt(f"write {name}", lambda name=name: os.close(os.open(name, os.O_WRONLY)))
    for name in (
        "/etc/shadow",
        "/proc/kcore",
        "/dev/mem",
        "/dev/kmsg",
        "/dev/sda",
        "/dev/vda",
        "/dev/fuse",
        "/dev/kvm",
    ):
        attempt(f"read {name}", lambda name=name: os.close(os.open(name, os.O_RDONLY)))
    for name in ("/run/docker.sock", "/var/run/dbus/system_bus_socket", "/run/systemd/private"):
        attempt(f"socket {name}", lambda name=name: socket.socket(socket.AF_UNIX).connect(name))
    attempt("su", lambda: run("su", "-c", "id", "root"))
    attempt("program mount", lambda: run("mount", "-t", "tmpfs", "none", "/mnt"))
    attempt("chown to root", lambda: os.chown(tempfile.mkstemp()[1], 0, 0))


def processes(pids: list[int]) -> None:
    """Processes that are not ours: the sandbox's first process, and any of the host."""
    own = {os.getpid(), os.getppid()}
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in own and os.stat(f"/proc/{name}").st_uid != os.getuid():
            for part in ("environ", "mem", "maps"):
                attempt(
                    f"read /proc/{name}/{part}", lambda name=name, part=part: Path(f"/proc/{name}/{part}").read_bytes()
                )
            for part in ("root", "cwd"):
                attempt(f"list /proc/{name}/{part}", lambda name=name, part=part: os.listdir(f"/proc/{name}/{part}"))
            attempt(f"kill {name}", lambda name=name: os.kill(int(name), 18))
            attempt(f"ptrace {name}", lambda name=name: call("ptrace", 16, int(name), 0, 0))
    for pid in pids:
        attempt(f"signal the host's {pid}", lambda pid=pid: kill_if_foreign(pid))
        if not Path(f"/proc/{pid}").exists():  # else it is one of ours that happens to have the number
            attempt(f"ptrace the host's {pid}", lambda pid=pid: call("ptrace", 16, pid, 0, 0))
            attempt(f"read memory of the host's {pid}", lambda pid=pid: read_memory(pid))


def read_memory(pid: int) -> int:
    """Eight bytes of another process, by process_vm_readv."""
    buffer = ctypes.create_string_buffer(8)
    piece = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    number = 310 if os.uname().machine == "x86_64" else 270
    return call("syscall", number, pid, piece, 1, piece, 1, 0)


def abstract_sockets(names: list[str]) -> dict[str, bool]:
    """Which abstract Unix sockets answer; no breach by itself, because not every kernel can keep them apart."""
    found = {}
    for name in names:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(f"\0{name}")
            except PermissionError:
                found[name] = False
            else:
                found[name] = True
    return found


def kill_if_foreign(pid: int) -> str:
    """Signal 0 to a pid of the host; a pid of this namespace that happens to be equal is no breach."""
    if pid < 1000 and Path(f"/proc/{pid}").exists():
        raise ProcessLookupError(errno.ESRCH, "is one of ours")
    os.kill(pid, 0)
    return "it is there"


def forbidden(paths: list[str]) -> None:
    """Folders and files that must be out of reach."""
    for path in paths:
        attempt(f"list {path}", lambda path=path: visible(path))
        for root in ("/proc/self/root", "/proc/1/root"):
            attempt(f"list {root}{path}", lambda root=root, path=path: visible(root + path))


def visible(path: str) -> object:
    """What is seen at a path; an empty folder is nothing."""
    found: object = os.listdir(path) if Path(path).is_dir() else Path(path).read_bytes()[:50]
    if not Path(path).exists() or found == []:
        raise FileNotFoundError(errno.ENOENT, "nothing there")
    return found


def secrets_seen(secrets: list[str]) -> None:
    """Secrets of others in what /proc shows."""
    for name in os.listdir("/proc"):
        for part in ("environ", "cmdline"):
            try:
                data = Path(f"/proc/{name}/{part}").read_bytes() if name.isdigit() else b""
            except OSError:
                continue
            if name != str(os.getpid()):
                BREACHES.extend(f"secret in /proc/{name}/{part}" for secret in secrets if secret.encode() in data)


def facts() -> dict[str, object]:
    """What the session looks like."""
    listening = []
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        rows = [row.split() for row in Path(name).read_text().splitlines()[1:]] if Path(name).exists() else []
        listening += [int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A"]
    return {
        "uid": os.getuid(),
        "home": os.path.expanduser("~"),
        "homes": sorted(os.listdir("/home")),
        "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit()),
        "listening": sorted(set(listening)),
        "seccomp": status().get("Seccomp"),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", action="append", default=[])
    parser.add_argument("--secret", action="append", default=[])
    parser.add_argument("--abstract", action="append", default=[])
    parser.add_argument("--pid", action="append", default=[], type=int)
    given = parser.parse_args()
    kernel()
    system_files()
    processes(given.pid)
    forbidden(given.path)
    secrets_seen([secret[::-1] for secret in given.secret])  # handed over backwards: our own arguments are in /proc too
    found = facts() | {"reached": abstract_sockets(given.abstract)}
    json.dump({"breaches": BREACHES, "refused": REFUSED, "facts": found}, sys.stdout)


main()
