"""A running platform for tests and benchmarks: `aiinfn up --port 0` in a process of its own, with its own state folder.

Use it as a context manager (``with RunningPlatform.start(values=...) as platform``) or through a fixture::

    @pytest.fixture(scope="module")
    def platform() -> Iterator[RunningPlatform]:
        with RunningPlatform.start() as running:
            yield running
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity
from jupyterhub_aiinfn.backends.local.state import StateFolder

PARTS = ("proxy", "hub", "service")
START_SECONDS = 90.0
STOP_SECONDS = 20.0


def traversable_folder() -> Path:
    """A new folder that every uid can pass through, as sandboxed people must (pytest's ``tmp_path`` is 0700)."""
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-test-", dir="/tmp"))
    folder.chmod(0o711)
    return folder


@dataclass
class RunningPlatform:
    """One `aiinfn up` of its own process group. ``stop`` ends it; the folder is removed by :meth:`close`."""

    process: subprocess.Popen[bytes]
    folder: Path
    state: StateFolder
    output_file: Path
    ready_file: Path
    own_folder: bool = True
    ready: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def start(
        cls,
        *,
        values: Path | str | None = None,
        folder: Path | None = None,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable,),
        wait: bool = True,
    ) -> RunningPlatform:
        """Start it. ``values`` is a file or the text of one; ``folder`` one of an earlier run, to start again with.

        ``program`` is the interpreter, perhaps behind ``setpriv`` (with a ``folder`` of that user's).
        """
        place = folder or traversable_folder()
        ready_file, output_file = place / "ready.json", place / "output.txt"
        ready_file.unlink(missing_ok=True)
        command = [*program, "-m", "jupyterhub_aiinfn.cli", "up", "--port", "0", "--state", str(place / "state")]
        command += ["--ready-file", str(ready_file), *_values_argument(values, place), *arguments]
        with output_file.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        running = cls(process, place, StateFolder(place / "state"), output_file, ready_file, own_folder=folder is None)
        if wait:
            try:
                running.wait_ready()
            except BaseException:
                running.print_logs()
                running.close()
                raise
        return running

    def wait_ready(self, seconds: float = START_SECONDS) -> dict[str, Any]:
        """Wait until a login works; what the ready file says."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.ready_file.exists():
                self.ready = json.loads(self.ready_file.read_bytes())
                return self.ready
            if self.process.poll() is not None:
                raise AssertionError(f"aiinfn up ended with {self.process.returncode}:\n{self.output}")
            time.sleep(0.02)
        raise AssertionError(f"aiinfn up was not ready after {seconds} s:\n{self.output}")

    # What there is

    @property
    def url(self) -> str:
        """Where people go, without a final slash."""
        return str(self.ready["url"])

    @property
    def pid(self) -> int:
        """The supervisor."""
        return self.process.pid

    @property
    def output(self) -> str:
        """What `aiinfn up` printed so far."""
        return self.output_file.read_text(errors="replace") if self.output_file.exists() else ""

    @property
    def record(self) -> dict[str, Any]:
        """``supervisor.json``: ports among others."""
        found: dict[str, Any] = json.loads(self.state.supervisor.read_bytes())
        return found

    def password(self, name: str) -> str:
        """The first password of a person."""
        return Path(self.ready["users"][name]).read_text().strip()

    def log(self, part: str) -> str:
        """The log of ``proxy``, ``hub`` or ``service``."""
        file = self.state.logs / f"{part}.log"
        return file.read_text(errors="replace") if file.exists() else ""

    def part(self, name: str) -> ProcessIdentity | None:
        """The process of ``proxy``, ``hub`` or ``service`` that runs now."""
        marks = {"proxy": "configurable-http-proxy", "hub": "jupyterhub", "service": "jupyterhub_aiinfn.service"}
        for child in _children(self.pid):
            words = _command_line(child.pid)
            if any(word == marks[name] or word.endswith(f"/{marks[name]}") for word in words):
                return child
        return None

    def runners(self) -> list[ProcessIdentity]:
        """The runners of all workloads of this state folder."""
        return [one for one in _everything() if self._is_runner(one.pid)]

    def processes(self) -> list[ProcessIdentity]:
        """Everything that belongs to this platform: the supervisor, its children, runners, and all below them."""
        roots = [one for one in _everything() if self._is_ours(one.pid)]
        return _with_descendants(roots)

    def _is_runner(self, pid: int) -> bool:
        words = _command_line(pid)
        return "jupyterhub_aiinfn.backends.local.runner" in " ".join(words) and str(self.state.root) in " ".join(words)

    def _is_ours(self, pid: int) -> bool:
        return pid == self.pid or str(self.state.root) in " ".join(_command_line(pid)) or self._has_our_environment(pid)

    def _has_our_environment(self, pid: int) -> bool:
        try:
            return f"AIINFN_STATE={self.state.root}".encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            return False

    # Clients

    @contextlib.contextmanager
    def login(self, name: str, password: str | None = None) -> Iterator[Browser]:
        """A logged-in client of the hub, with cookies."""
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=30) as client:
            browser = Browser(client, name)
            answer = browser.log_in(password or self.password(name))
            assert answer.status_code == 200, f"{answer.status_code} {answer.url}: {answer.text[:2000]}"
            yield browser

    # The end

    def kill(self, part: str, number: int = signal.SIGKILL) -> ProcessIdentity:
        """Send a signal to ``supervisor``, ``proxy``, ``hub`` or ``service``; which process it was."""
        found = ProcessIdentity.of(self.pid) if part == "supervisor" else self.part(part)
        assert found is not None, f"no {part} runs"
        assert found.send(number)
        return found

    def stop(self, seconds: float = STOP_SECONDS) -> int:
        """SIGTERM, as Ctrl-C does it; the exit code. Killed after so many seconds."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def close(self) -> None:
        """Stop, and remove the folder unless it was given."""
        self.stop()
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self, lines: int = 60) -> None:
        """Print the ends of all logs, for a test that failed."""
        print(f"--- aiinfn up\n{self.output}")
        for part in PARTS:
            print(f"--- {part}\n" + "\n".join(self.log(part).splitlines()[-lines:]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.print_logs()
        self.close()


@dataclass
class Browser:
    """A client of the hub with the cookies of one person."""

    client: httpx.Client
    name: str

    def xsrf(self, path: str = "/hub/") -> str:
        """The token that the hub wants with every change: that of the cookie with the longest matching path."""
        cookies = [c for c in self.client.cookies.jar if c.name == "_xsrf" and path.startswith(c.path)]
        return str(max(cookies, key=lambda cookie: len(cookie.path)).value) if cookies else ""

    def log_in(self, password: str) -> httpx.Response:
        """Open the login page and send the form."""
        self.client.get("/hub/login")
        form = {"username": self.name, "password": password, "_xsrf": self.xsrf()}
        return self.client.post("/hub/login", data=form)

    def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A request to the hub's REST API (``path`` below ``/hub/api``) as the logged-in person."""
        headers = {"X-XSRFToken": self.xsrf(), "Referer": f"{self.client.base_url}/hub/home"}
        return self.client.request(method, f"/hub/api{path}", headers=headers, **arguments)

    def start(self, server_name: str = "", **options: str) -> httpx.Response:
        """Ask for a session; 201 or 202."""
        path = f"/users/{self.name}/servers/{server_name}" if server_name else f"/users/{self.name}/server"
        return self.api("POST", path, json={"user_options": options})

    def wait_ready(self, server_name: str = "", seconds: float = 60.0) -> dict[str, Any]:
        """Wait until the session is ready; its model. Fails when it is neither ready nor pending any more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            model = self.server(server_name)
            if model is not None and model["ready"]:
                return model
            time.sleep(0.25)
        raise AssertionError(f"the session {server_name!r} of {self.name} was not ready after {seconds} s: {model}")

    def server(self, server_name: str = "") -> dict[str, Any] | None:
        """The hub's model of a session; None when it has none."""
        answer = self.api("GET", f"/users/{self.name}", params={"include_stopped_servers": ""})
        found: dict[str, Any] | None = answer.json().get("servers", {}).get(server_name)
        return found

    def stop_session(self, server_name: str = "") -> httpx.Response:
        """Ask for the end of a session; 202 or 204."""
        path = f"/users/{self.name}/servers/{server_name}" if server_name else f"/users/{self.name}/server"
        return self.api("DELETE", path)


def _values_argument(values: Path | str | None, place: Path) -> list[str]:
    if values is None:
        return []
    if isinstance(values, str):
        file = place / "values.yaml"
        file.write_text(values)
        return ["--values", str(file)]
    return ["--values", str(values)]


def _everything() -> list[ProcessIdentity]:
    names = (folder.name for folder in Path("/proc").iterdir())
    found = (ProcessIdentity.of(int(name)) for name in names if name.isdigit())
    return [one for one in found if one is not None]


def _parents() -> dict[int, int]:
    parents = {}
    for one in _everything():
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents[one.pid] = int(Path(f"/proc/{one.pid}/stat").read_text().rpartition(")")[2].split()[1])
    return parents


def _children(pid: int) -> list[ProcessIdentity]:
    found = (ProcessIdentity.of(child) for child, parent in _parents().items() if parent == pid)
    return [one for one in found if one is not None]


def _with_descendants(roots: list[ProcessIdentity]) -> list[ProcessIdentity]:
    parents, pids = _parents(), {one.pid for one in roots}
    grown = True
    while grown:
        more = {child for child, parent in parents.items() if parent in pids} - pids
        pids |= more
        grown = bool(more)
    found = (ProcessIdentity.of(pid) for pid in sorted(pids))
    return [one for one in found if one is not None and one.pid != os.getpid()]


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
