"""The programs of the cluster, built from the Go modules beside this package, once: what is built stays built.

Each tool has a folder of its own in the cache outside the checkout, named by a hash of all that it is made from. A
folder is renamed into place when it is complete, so that a build that was interrupted leaves nothing that looks like a
tool; the compiler's own cache makes the next try go on where it stopped.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import ClusterError, last_lines

TOOLS = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyterhub-aiinfn"
OLDEST_GO = (1, 26)
KUBERNETES_PARTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubectl",
    "kubelet",
)


@dataclass(frozen=True)
class Tool:
    """One program to build: from which package of the Go module in ``tests/tools/<name>``."""

    name: str
    package: str = "."
    names: tuple[str, ...] = ()
    """Names that the program is called by besides its own, each for another part of it."""
    version_of: str = ""
    """The module whose version is written into the program with ``version_flags``."""
    version_flags: tuple[str, ...] = ()
    copies: tuple[tuple[str, str], ...] = ()
    """Folders of the module ``version_of`` that are kept beside the program: where from, where to."""
    modules: Path = TOOLS
    """The folder with a Go module for each tool."""

    @property
    def source(self) -> Path:
        """The tool's Go module."""
        return self.modules / self.name

    @property
    def where(self) -> str:
        """The tool's Go module in words."""
        return f"{self.modules.name}/{self.name}"


def _kubernetes_versions() -> tuple[str, ...]:
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    fields = ("gitVersion=v{major}.{minor}.{patch}", "gitMajor={major}", "gitMinor={minor}", "gitTreeState=clean")
    return tuple(f"{package}.{each}" for package in packages for each in fields)


KUBERNETES = Tool(
    "kubernetes", names=KUBERNETES_PARTS, version_of="k8s.io/kubernetes", version_flags=_kubernetes_versions()
)
KUEUE = Tool(
    "kueue",
    "sigs.k8s.io/kueue/cmd/kueue",
    version_of="sigs.k8s.io/kueue",
    version_flags=("sigs.k8s.io/kueue/pkg/version.GitVersion=v{major}.{minor}.{patch}",),
    copies=(("charts/kueue", "chart"),),
)
ALL = (
    KUBERNETES,
    Tool("etcd", "go.etcd.io/etcd/server/v3"),
    Tool("coredns"),
    Tool(
        "helm",
        "helm.sh/helm/v3/cmd/helm",
        version_of="helm.sh/helm/v3",
        version_flags=("helm.sh/helm/v3/internal/version.version=v{major}.{minor}.{patch}",),
    ),
    Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    KUEUE,
)


def folder_of(tool: Tool, cache: Path = CACHE) -> Path:
    """Where a tool is, or will be once it is built."""
    digest = hashlib.sha256(repr((tool.package, tool.names, tool.version_flags, tool.copies)).encode())
    for source in sorted(path for path in tool.source.iterdir() if path.is_file()):
        content = source.read_bytes()
        digest.update(f"\0{source.name}\0{len(content)}\0".encode() + content)
    return cache / f"cluster-{tool.name}-{digest.hexdigest()[:16]}"


def built(tool: Tool, say: Callable[[str], None] = lambda line: None, cache: Path = CACHE) -> Path:
    """The folder of a tool that is built, building it first where needed; ``say`` hears how far that is.

    Raises ClusterError, with the compiler's last lines, when it cannot be built.
    """
    folder = folder_of(tool, cache)
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / f"cluster-{tool.name}.lock"):
        if not folder.is_dir():  # unless another checkout built it while we waited
            _remove_abandoned(tool, cache)
            with tempfile.TemporaryDirectory(prefix=f".cluster-{tool.name}-", dir=cache) as temporary:
                part = Path(temporary) / "part"
                _build(tool, part, say)
                part.rename(folder)
    return folder


def _build(tool: Tool, folder: Path, say: Callable[[str], None]) -> None:
    (folder / "bin").mkdir(parents=True)
    program = folder / "bin" / tool.name
    flags = "-s -w"
    if tool.version_of:
        module = _go(tool, "list", "-m", "-f", "{{.Version}}\t{{.Dir}}", tool.version_of, prepare=True)
        version, source = module.strip().split("\t")
        flags += "".join(f" -X {flag}" for flag in _filled(tool.version_flags, version))
        for origin, copy in tool.copies:
            shutil.copytree(Path(source) / origin, folder / copy, copy_function=shutil.copyfile)
    _compile([find_go(), "build", "-v", "-trimpath", "-ldflags", flags, "-o", str(program), tool.package], tool, say)
    for name in tool.names:
        (folder / "bin" / name).symlink_to(tool.name)


def _filled(flags: tuple[str, ...], version: str) -> list[str]:
    numbers = re.fullmatch(r"v(\d+)\.(\d+)\.(\d+)", version)
    if numbers is None:
        raise ClusterError(f"the version {version!r} is not of the form v1.2.3: require a release")
    major, minor, patch = numbers.groups()
    return [flag.format(major=major, minor=minor, patch=patch) for flag in flags]


def _compile(command: list[str], tool: Tool, say: Callable[[str], None]) -> None:
    """Run the compiler, which names each package on a line of its own when it is done with it."""
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=tool.source,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as compiler:
        assert compiler.stdout is not None
        for line in compiler.stdout:
            lines.append(line)
            say(f"{len(lines)} packages")
    if compiler.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed in {tool.where}:\n{last_lines(''.join(lines))}")


def _go(tool: Tool, *arguments: str, prepare: bool = False) -> str:
    """What the go command prints for a tool's module; ``prepare`` downloads the modules first."""
    if prepare:
        _go(tool, "mod", "download", tool.version_of)
    command = [find_go(), *arguments]
    done = subprocess.run(
        command, cwd=tool.source, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise ClusterError(f"`{' '.join(command)}` failed in {tool.where}:\n{last_lines(done.stderr)}")
    return done.stdout


def _environment() -> dict[str, str]:
    """Static programs, from what ``go.sum`` lists and nothing newer, by the compiler that was found."""
    return os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false", "GOTOOLCHAIN": "local"}


def find_go(*instead: str) -> str:
    """The machine's ``go`` when it is new enough, else the one that `make setup` installs into ``.venv``.

    ``instead``: these are looked at and no others. Raises ClusterError when none is new enough.
    """
    for candidate in instead or (shutil.which("go"), str(Path(sys.executable).parent / "go")):
        if candidate and _version_of_go(candidate) >= OLDEST_GO:
            return candidate
    wanted = ".".join(map(str, OLDEST_GO))
    raise ClusterError(
        f"the cluster's programs need Go {wanted} or newer to be built: run `make setup`, which installs it"
    )


def _version_of_go(program: str) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [program, "env", "GOVERSION"], capture_output=True, text=True, env=_environment(), timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    numbers = re.match(r"go(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, numbers.groups())) if numbers else ()


def _remove_abandoned(tool: Tool, cache: Path) -> None:
    """What a build left that was killed; we hold the tool's lock, so nobody else is building it."""
    for abandoned in cache.glob(f".cluster-{tool.name}-*"):
        shutil.rmtree(abandoned, ignore_errors=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
