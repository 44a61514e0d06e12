"""Runs of pip in an own environment: what it says while it works, what it installed, and why it failed."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jupyterhub_aiinfn.errors import OwnEnvironmentError
from jupyterhub_aiinfn.model.own_environments import Pin, Record, is_lock

from .base import site_packages
from .layering import clean_environment

Say = Callable[[str, str], None]
"""Gets ``step`` or ``line`` and a text."""
SECRETS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "JUPYTER_TOKEN")
"""What the build of a package of the index has no business with."""
ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_PYTHON")
"""Settings of pip that would install elsewhere or something else."""
STEPS = re.compile(r"^\s*(Collecting|Downloading|Building wheel for|Installing collected packages:)\s+(\S.*)$")
REMEDIES = (
    ("No space left on device", "the disk is full; make room and try again"),
    ("Disk quota exceeded", "the folder is full; make room in it and try again"),
    ("No matching distribution found", "the package index has no such package for this Python; check name and version"),
    ("Could not find a version", "the package index has no such package for this Python; check name and version"),
    (
        "DO NOT MATCH THE HASHES",
        "what was downloaded is not what the lock file names; do not use it before you know why",
    ),
    ("ResolutionImpossible", "the versions that were asked for do not fit together; ask for less"),
    ("Failed to establish a new connection", "the package index cannot be reached; check the network and try again"),
    ("Connection refused", "the package index cannot be reached; check the network and try again"),
    ("Could not find a suitable TLS CA", "the certificates of the package index are not here; ask for help"),
    ("Temporary failure in name resolution", "the package index cannot be reached; check the network and try again"),
)
TAIL = 40
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def install(prefix: Path, wanted: Sequence[Pin], scratch: Path, say: Say, lock: int) -> dict[str, str]:
    """Install into the environment ``prefix``; the hashes of what was installed, by ``name==version``.

    A lock (each pin with its hashes) is installed as it is, anything else is resolved. ``scratch`` is a folder on the
    same disk, which goes away: a session's /tmp lies in its memory. Raises :class:`OwnEnvironmentError`.
    """
    if not wanted:
        return {}
    scratch.mkdir(exist_ok=True)
    try:
        report = scratch / "report.json"
        arguments = ["install", "--no-user", "--no-input", "--progress-bar", "off", "--report", str(report)]
        command = [str(prefix / "bin" / "python"), "-m", "pip", *arguments, *_words(wanted, scratch)]
        code, tail = _follow(command, scratch, say, lock)
        if code:
            raise OwnEnvironmentError(failure(tail))
        return reported_hashes(json.loads(report.read_text()))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def find_hashes(prefix: Path, packages: Sequence[str], scratch: Path, lock: int) -> dict[str, str]:
    """What the package index says of installed packages whose hash is not known; empty when it cannot be asked."""
    try:
        scratch.mkdir(exist_ok=True)
        report = scratch / "report.json"
        arguments = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--no-user", "--no-input", "--quiet"]
        arguments += ["--report", str(report), "--", *packages]
        code, _ = _follow([str(prefix / "bin" / "python"), "-m", "pip", *arguments], scratch, lambda *_: None, lock)
        return {} if code else reported_hashes(json.loads(report.read_text()))
    except (OSError, ValueError):
        return {}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _words(wanted: Sequence[Pin], scratch: Path) -> list[str]:
    if not is_lock(wanted):
        return ["--", *(pin.package for pin in wanted)]
    file = scratch / "lock.txt"  # written anew from what was understood: nothing else of the person's file reaches pip
    file.write_text("".join(" ".join([pin.package, *(f"--hash={h}" for h in pin.hashes)]) + "\n" for pin in wanted))
    return ["--require-hashes", "--no-deps", "--requirement", str(file)]


def _follow(command: list[str], scratch: Path, say: Say, lock: int) -> tuple[int, list[str]]:
    """Run pip to its end; it holds the lock too and dies with this process."""
    settings = {name: value for name, value in clean_environment().items() if name not in (*ELSEWHERE, *SECRETS)}
    settings |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1", "TMPDIR": str(scratch)}
    tail: list[str] = []
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=settings,
        pass_fds=(lock,),
        preexec_fn=_die_with_parent,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                tail = [*tail, line.rstrip()][-TAIL:]
                if found := STEPS.match(line):
                    say("step", f"{found[1].rstrip(':').lower()} {found[2].strip()}"[:200])
                say("line", line.rstrip()[:500])
        except BaseException:
            process.kill()
            raise
    return process.returncode, tail


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def failure(tail: Iterable[str]) -> str:
    """A sentence of pip's last lines, with the remedy where it is known."""
    lines = [line for line in tail if line.strip()]
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR:")]
    text = "\n".join(lines)
    remedy = next((words for sign, words in REMEDIES if sign in text), "read the log, or ask for help with it")
    said = errors[-1] if errors else (lines[-1].strip() if lines else "pip said nothing")
    return f"the packages could not be installed: {said[:300].rstrip('. ')}: {remedy}"


def reported_hashes(report: Any) -> dict[str, str]:
    """``name==version``: ``sha256:…`` of pip's installation report."""
    found = {}
    for item in report.get("install", []):
        digest = item.get("download_info", {}).get("archive_info", {}).get("hashes", {}).get("sha256")
        if digest:
            metadata = item["metadata"]
            found[f"{normalized(metadata['name'])}=={metadata['version']}"] = f"sha256:{digest}"
    return found


def normalized(name: str) -> str:
    """The name under which indexes know a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def own_packages(prefix: Path) -> dict[str, bool]:
    """``name==version`` of the environment's own packages, and whether a person asked for each (not a dependency)."""
    folder = site_packages(prefix)
    found = {}
    for entry in sorted(folder.glob("*.dist-info")) if folder else []:
        name, _, version = entry.name.removesuffix(".dist-info").rpartition("-")
        if normalized(name) != "pip":  # it is there when the image has none
            found[f"{normalized(name)}=={version}"] = (entry / "REQUESTED").exists()
    return found


def to_install_again(record: Record | None, prefix: Path) -> list[str]:
    """What an environment needs when it is made again: what was asked for, and what pip installed from a notebook."""
    asked = list(record.requested) if record else []
    names = {normalized(re.split(r"[^A-Za-z0-9._-]", package, maxsplit=1)[0]) for package in asked}
    others = [package for package, wanted in own_packages(prefix).items() if wanted]
    return asked + [package for package in others if package.partition("==")[0] not in names]
