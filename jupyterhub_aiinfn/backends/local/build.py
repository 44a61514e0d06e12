"""The job that builds an environment: ``python -m jupyterhub_aiinfn.backends.local.build``.

An environment is a virtual environment of this interpreter with the packages of a frozen file and a kernel. It is
built where it stays (virtual environments cannot be moved), under a lock; it counts once ``ready.json`` is there.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import errno
import importlib.util
import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

from jupyterhub_aiinfn.api.workloads import Progress
from jupyterhub_aiinfn.errors import AiinfnError, BackendError

from .environment_lock import held
from .frozen import normalized, read_pins
from .pip_guard import guard_pip
from .pip_progress import PipProgress
from .state import read_json, write_file

READY = "ready.json"
SECONDS_BETWEEN_REPORTS = 0.2
"""Arbitrary: smooth for an eye, nothing for a disk."""
UNWANTED = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_PYTHON")
"""Settings of pip that would install elsewhere or something else; the others (index, proxy, cache) are respected."""
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Build:
    """What to build and where."""

    image: str
    title: str
    """What people read, also as the name of the kernel."""
    frozen: Path
    path: Path


Report = Callable[[Progress], None]
Say = Callable[[str], None]


class BuildFailed(BackendError):
    """An environment could not be built; ``tail`` holds the last lines of pip, if it came to that."""

    def __init__(self, sentence: str, tail: list[str] | None = None) -> None:
        super().__init__(sentence)
        self.tail = tail or []


def build_environment(build: Build, report: Report, say: Say) -> dict[str, Any]:
    """Build the environment, or wait for whoever builds it already; returns what ``ready.json`` says.

    Raises :class:`BuildFailed`; then nothing is left behind.
    """
    try:
        with people_can_read(), held(build.path, waiting=lambda: _mirror(build, report)) as lock:
            if ready := read_json(build.path / READY):
                return dict(ready)
            return _build(build, Reporter(build, report), say, lock)
    except OSError as error:
        raise BuildFailed(_system_failure(build, error)) from error


def progress_file(path: Path) -> Path:
    """Where the builder of the environment ``path`` says how far it is, for those who wait."""
    return path.with_name(f"{path.name}.progress")


def _build(build: Build, reporter: Reporter, say: Say, lock: int) -> dict[str, Any]:
    began = time.monotonic()
    shutil.rmtree(build.path, ignore_errors=True)  # what a killed build left
    try:
        pins = read_pins(build.frozen)
        pip = PipProgress(pins)
        reporter.set(step="making a virtual environment", total=len(pins), bytes_total=pip.bytes_total)
        venv.EnvBuilder(symlinks=True, with_pip=False).create(build.path)
        _install(build, pip, reporter, say, lock)
        reporter.set(step="making the kernel", done=len(pins))
        write_kernel(build)
        guard_pip(build.path, build.title)
        ready = {
            "image": build.image,
            "title": build.title,
            "packages": len(pins),
            "bytes": folder_bytes(build.path),
            "seconds": round(time.monotonic() - began, 1),
            "python": ".".join(map(str, sys.version_info[:3])),
            "built_at": datetime.now(UTC).isoformat(),
        }
        write_file(build.path / READY, json.dumps(ready).encode(), mode=0o644)
        reporter.set(step="ready", final=True)
        return ready
    except BaseException:
        shutil.rmtree(build.path, ignore_errors=True)
        raise
    finally:
        progress_file(build.path).unlink(missing_ok=True)


def _install(build: Build, pip: PipProgress, reporter: Reporter, say: Say, lock: int) -> None:
    arguments = [
        "install",
        "--requirement",
        str(build.frozen),
        "--require-hashes",
        "--no-deps",
        "--progress-bar",
        "raw",
    ]
    arguments += ["--only-binary", ":all:", "--no-user", "--no-input", "--no-warn-script-location"]
    code = _follow(_pip(build, arguments), pip, reporter, say, lock)
    if code:
        culprit = pip.culprit()
        what = f"{culprit.title} could not be installed" if culprit else "pip failed"
        raise BuildFailed(f"environment {build.image}: {what}: {pip.remedy()}", pip.tail())
    # --no-deps saves a resolution of what is frozen; a frozen file that forgets something is found here
    reporter.set(step="checking that the packages fit together", done=len(pip.pins), bytes_done=pip.bytes_done)
    found = subprocess.run(
        _pip(build, ["check"]), env=_pip_environment(), capture_output=True, text=True, pass_fds=(lock,)
    )
    if found.returncode:
        lines = found.stdout.splitlines() + found.stderr.splitlines()
        raise BuildFailed(
            f"environment {build.image}: {lines[0] if lines else 'pip check failed'}; freeze it again", lines
        )


def _follow(command: list[str], pip: PipProgress, reporter: Reporter, say: Say, lock: int) -> int:
    """Run pip to its end and return its exit code; it holds the lock too, and dies with this process."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_pip_environment(),
        pass_fds=(lock,),
        preexec_fn=_die_with_parent,
    ) as process:
        assert process.stdout is not None
        try:
            site_packages = _site_packages(Path(command[0]).parent.parent)
            for line in lines_or_ticks(process.stdout, SECONDS_BETWEEN_REPORTS):
                if line is not None and pip.read(line):
                    say(line.rstrip())
                done, step = _installed(site_packages, pip)
                reporter.set(step=step, done=done, bytes_done=pip.bytes_done, bytes_total=pip.bytes_total)
        except BaseException:
            process.kill()
            raise
    return process.returncode


def lines_or_ticks(stream: IO[bytes], seconds: float) -> Iterator[str | None]:
    """The lines of a stream as they come, and None whenever nothing came for so long."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stream, selectors.EVENT_READ)
        while True:
            if not selector.select(seconds):
                yield None
                continue
            data = os.read(stream.fileno(), 65536)
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode(errors="replace") for line in lines)
            if not data:
                return


def _installed(site_packages: Path, pip: PipProgress) -> tuple[int, str]:
    """How many packages are in place (pip writes ``RECORD`` last), and what is being done now."""
    if not pip.installing:
        return 0, pip.step
    names = {normalized(file.parent.name.split("-")[0]) for file in site_packages.glob("*.dist-info/RECORD")}
    done = [pin for pin in pip.order if pin.name in names]
    rest = [pin for pin in pip.order if pin.name not in names]
    if rest:
        pip.current = rest[0]
    return len(done), f"installing {rest[0].title}" if rest else "installing"


def _site_packages(prefix: Path) -> Path:
    return prefix / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"


def _pip(build: Build, arguments: list[str]) -> list[str]:
    """Our pip, run by the interpreter of the new environment (``pip --python`` without its second process)."""
    try:
        if tuple(map(int, re.findall(r"\d+", version("pip"))[:2])) < (24, 1):
            raise BuildFailed(
                f"pip {version('pip')} is too old to tell its progress; `{sys.executable} -m pip install -U pip`"
            )
    except PackageNotFoundError as error:
        raise BuildFailed(
            f"{sys.prefix} has no pip, which builds environments; install jupyterhub-aiinfn[local]"
        ) from error
    spec = importlib.util.find_spec("pip")
    assert spec is not None
    assert spec.origin is not None
    return [str(build.path / "bin" / "python"), str(Path(spec.origin).with_name("__pip-runner__.py")), *arguments]


def _pip_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED and not name.startswith("PYTHON")}
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONUNBUFFERED": "1"}


def _die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def write_kernel(build: Build) -> None:
    """Make ipykernel's own kernel spec one of this environment, whoever starts it: ``python3``, named as the image."""
    folder = build.path / "share" / "jupyter" / "kernels" / "python3"
    spec = read_json(folder / "kernel.json")
    if not spec:
        raise BuildFailed(f"environment {build.image}: its packages hold no kernel; add ipykernel to requirements.in")
    interpreter = build.path / "bin" / "python"
    spec["argv"][0] = str(interpreter)
    spec["display_name"] = build.title
    # so that `!python` and `!pip` of a notebook are those of its kernel
    spec["env"] = {
        "PATH": f"{interpreter.parent}:${{PATH}}",
        "VIRTUAL_ENV": str(build.path),
        "PYTHONNOUSERSITE": "1",
    }
    write_file(folder / "kernel.json", json.dumps(spec, indent=1).encode(), mode=0o644)


def folder_bytes(folder: Path) -> int:
    """What a folder takes on disk, in bytes."""
    total = 0
    for root, _, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118 - twenty thousand files
    return total


@contextlib.contextmanager
def people_can_read() -> Iterator[None]:
    """A umask of 022: the platform runs with 077, and the environments are for everybody's uid."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


class Reporter:
    """Says how far the build is: to its caller and to those who wait for the same, not more often than an eye sees."""

    def __init__(self, build: Build, report: Report) -> None:
        self._file = progress_file(build.path)
        self._report = report
        self._state: dict[str, Any] = {}
        self._said: dict[str, Any] = {}
        self._last = 0.0

    def set(self, *, final: bool = False, **state: Any) -> None:
        """Take what has changed, and say it when it is time."""
        self._state = self._state | state  # kept also when it is not time yet: the next report says all of it
        due = time.monotonic() - self._last >= SECONDS_BETWEEN_REPORTS
        if not final and (self._state == self._said or not due):
            return
        self._said, self._last = self._state, time.monotonic()
        progress = Progress(**self._state, updated_at=datetime.now(UTC))
        self._report(progress)
        write_progress(self._file, progress)


def write_progress(file: Path, progress: Progress) -> None:
    """Replace a progress file in one step; a disk too full for it stops nothing (the build will say so itself)."""
    temporary = file.with_name(f"{file.name}.new")
    try:
        temporary.write_text(progress.model_dump_json())
        temporary.replace(file)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _mirror(build: Build, report: Report) -> None:
    """While another builds: tell our caller what that one says."""
    said = read_json(progress_file(build.path))
    report(Progress(**said) if said else Progress(step="waiting for another build", updated_at=datetime.now(UTC)))


def _system_failure(build: Build, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        why = "the disk is full; make room (`aiinfn image prune`) and build again"
    else:
        why = f"{error.strerror or error}; check that the folder can be written"
    return f"environment {build.image} cannot be built in {build.path.parent}: {why}"


def main(arguments: list[str] | None = None) -> int:
    """Build one environment, as a job; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m jupyterhub_aiinfn.backends.local.build", description=__doc__)
    parser.add_argument("--image", required=True, help="name of the image")
    parser.add_argument("--title", required=True, help="what people read")
    parser.add_argument("--frozen", required=True, type=Path, help="the frozen requirements.txt")
    parser.add_argument("--path", required=True, type=Path, help="where the environment will be")
    found = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        ready = build_environment(Build(found.image, found.title, found.frozen, found.path), _report_to_backend, _print)
    except AiinfnError as error:
        _print(str(error))
        return 1
    _print(
        f"environment {found.image} is ready: {ready['packages']} packages, {ready['bytes'] / 1e6:.0f} MB, {found.path}"
    )
    return 0


def _stop(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - the log of the job


def _report_to_backend(progress: Progress) -> None:
    if file := os.environ.get("AIINFN_PROGRESS_FILE"):
        write_progress(Path(file), progress)


if __name__ == "__main__":
    sys.exit(main())
