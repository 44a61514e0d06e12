"""Environments of the images on this machine: where they are, which are ready, how one is built, which may go."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jupyterhub_aiinfn.api.workloads import JobClass, WorkloadKind
from jupyterhub_aiinfn.backends.base import WorkloadSpec
from jupyterhub_aiinfn.errors import BackendError
from jupyterhub_aiinfn.values import Values
from jupyterhub_aiinfn.values.current import CurrentValues

from .build import READY, Build, folder_bytes, progress_file
from .environment_lock import is_held, lock_file, take
from .installation import data_folder
from .state import read_json

RECIPE = "2"
"""Part of every key: raise it when the same frozen file would be built differently."""
BUILD_CORES, BUILD_MEMORY_GIB = 1.0, 2.0
"""pip is one process; it was seen to take 140 MB, the rest is what its files take in the page cache."""
SETTINGS = (
    "PIP_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_",
    "REQUESTS_CA_BUNDLE",
    "XDG_CACHE_HOME",
)
"""Beginnings of the variables that say how packages are fetched (any case)."""

State = Literal["ready", "building", "not built"]


@dataclass(frozen=True)
class Leftover:
    """An environment that nothing in the values needs."""

    path: Path
    bytes: int


class Environments:
    """The environments of the images of ``values``, below ``cache``.

    Keys are computed once for the values that count, so a changed frozen file is noticed when values are applied.
    """

    def __init__(self, values: Values | CurrentValues, values_file: Path, cache: Path) -> None:
        self._current = CurrentValues.of(values)
        self._first_folder = Path(values_file).absolute().parent
        self.folder = Path(cache).absolute() / "environments"
        self._keys: dict[str, str] = {}
        self._keys_of = self._current.switches

    @property
    def _values(self) -> Values:
        return self._current.values

    @property
    def _values_folder(self) -> Path:
        """Beside the values file, wherever the one lies that was applied last."""
        return self._current.folder or self._first_folder

    def key(self, image: str) -> str:
        """``<image>-<hash>`` of the frozen file, this Python, and how it is built.

        Raises :class:`BackendError` for an image without a folder or a frozen file.
        """
        if self._keys_of != self._current.switches:
            self._keys, self._keys_of = {}, self._current.switches
        if image not in self._keys:
            self._keys[image] = f"{image}-{self._fingerprint(image)}"
        return self._keys[image]

    def _fingerprint(self, image: str) -> str:
        # the name is the kernel's, and a virtual environment belongs to one interpreter
        parts = [
            RECIPE,
            self.title(image),
            platform.machine(),
            sys.base_prefix,
            f"{sys.version_info[0]}.{sys.version_info[1]}",
        ]
        digest = hashlib.sha256("\0".join(parts).encode())
        digest.update(self.frozen(image).read_bytes())
        return digest.hexdigest()[:16]

    def title(self, image: str) -> str:
        """The name that people read."""
        try:
            return self._values.images[image].name
        except KeyError:
            known = ", ".join(sorted(self._values.images))
            raise BackendError(f'there is no image "{image}" in the values; there are {known}') from None

    def source(self, image: str) -> Path:
        """The image's folder: beside the values file, else of the installation; an absolute one is taken as it is."""
        self.title(image)
        folder = self._values.images[image].folder
        if folder is None:
            raise BackendError(
                f'image "{image}" has no folder, so this machine cannot build it; '
                f"write images.{image}.folder, for example images/{image}"
            )
        places = list(dict.fromkeys([self._values_folder / folder, data_folder() / folder]))
        for place in places:
            if place.is_dir():
                return place.resolve()
        looked = " nor ".join(map(str, places))
        raise BackendError(f'the folder of image "{image}" is not {looked}; correct images.{image}.folder')

    def frozen(self, image: str) -> Path:
        """The image's frozen requirements.txt."""
        file = self.source(image) / "requirements.txt"
        if not file.is_file():
            raise BackendError(f'image "{image}" has no {file}; make it with images/freeze.py from its requirements.in')
        return file

    def path(self, image: str) -> Path:
        """Prefix of the image's environment, built or not."""
        return self.folder / self.key(image)

    def kernels(self, image: str) -> Path:
        """The folder to put in front of ``JUPYTER_PATH``; its kernel is called ``python3``."""
        return self.path(image) / "share" / "jupyter"

    def ready(self, image: str) -> bool:
        """Whether a session can start with it now (one stat); False for an image that cannot be built here."""
        try:
            return (self.path(image) / READY).exists()
        except (BackendError, OSError):
            return False

    def readiness(self) -> dict[str, bool]:
        """:meth:`ready` of every image."""
        return {image: self.ready(image) for image in self._values.images}

    def state(self, image: str) -> State:
        """What can be said of the environment now."""
        if self.ready(image):
            return "ready"
        return "building" if is_held(self.path(image)) else "not built"

    def bytes(self, image: str) -> int:
        """What the environment takes on disk, as its build measured it; 0 when it is not ready."""
        return int((read_json(self.path(image) / READY) or {}).get("bytes", 0))

    def build(self, image: str) -> Build:
        """What to build and where, for :func:`~.build.build_environment`."""
        return Build(image, self.title(image), self.frozen(image), self.path(image))

    def build_spec(self, image: str) -> WorkloadSpec:
        """The job that builds it; two requests join one job.

        Start it with :func:`fetch_settings` as its secret environment: the address of an index may hold a password.
        """
        build = self.build(image)
        command = [sys.executable, "-m", "jupyterhub_aiinfn.backends.local.build", "--image", image]
        command += ["--title", build.title, "--frozen", str(build.frozen), "--path", str(build.path)]
        return WorkloadSpec(
            kind=WorkloadKind.job,
            job_class=JobClass.platform,
            name=f"environment {image}",
            command=tuple(command),
            cores=BUILD_CORES,
            memory_gib=BUILD_MEMORY_GIB,
            image=image,
            max_seconds=int(self._values.limits.build_timeout.total_seconds()),
            key=f"environment-{self.key(image).removeprefix(image + '-')}",
        )

    def leftovers(self) -> list[Leftover]:
        """Environments that no image of the values needs, and that no process uses and nobody builds."""
        needed = {self.key(image) for image in self._values.images if self._buildable(image)}
        others = [path for path in self._present() if path.name not in needed and not is_held(path)]
        return [Leftover(path, folder_bytes(path)) for path in others if not in_use(path)]

    def prune(self) -> list[Leftover]:
        """Remove the leftovers and return what went."""
        return [leftover for leftover in self.leftovers() if remove(leftover.path)]

    def _buildable(self, image: str) -> bool:
        try:
            return bool(self.key(image))
        except BackendError:
            return False

    def _present(self) -> list[Path]:
        """Every environment, finished or not."""
        return sorted(path for path in self.folder.glob("*-*") if path.is_dir() and not path.is_symlink())


def remove(path: Path) -> bool:
    """Remove an environment; False when somebody builds it or began to use it meanwhile."""
    lock = take(path)
    if lock is None:
        return False
    try:
        if in_use(path):
            return False
        (path / READY).unlink(missing_ok=True)  # first: a half removed environment must not look ready
        shutil.rmtree(path, ignore_errors=True)
        progress_file(path).unlink(missing_ok=True)
        lock_file(path).unlink(missing_ok=True)
        return not path.exists()
    finally:
        os.close(lock)


def in_use(path: Path) -> bool:
    """Whether a process of this machine that we may look at runs from the environment or has it in its sandbox."""
    needle = os.fsencode(path)
    return any(needle in text for text in _words_of_processes())


def _words_of_processes() -> Iterator[bytes]:
    """Arguments, variables and mounts of every other process, as far as they may be read."""
    own = str(os.getpid())
    for folder in filter(lambda name: name.isdigit() and name != own, os.listdir("/proc")):  # noqa: PTH208
        for file in ("cmdline", "environ", "mountinfo"):
            try:
                yield Path("/proc", folder, file).read_bytes()
            except OSError:  # it ended, or is not ours to look at
                break


def fetch_settings() -> dict[str, str]:
    """The variables of this process that say how packages are fetched; they may hold passwords."""
    return {name: value for name, value in os.environ.items() if name.upper().startswith(SETTINGS)}
