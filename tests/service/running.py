"""A real proxy, a real hub and the real service, each a process of its own, and a browser without JavaScript."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from jupyterhub_aiinfn.api.workloads import JobClass, Phase, Workload, WorkloadKind
from jupyterhub_aiinfn.backends.local.installation import Installation, default_cache
from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.model.tickets import StartTicket, sign_ticket
from jupyterhub_aiinfn.supervisor import proxy

from .folder_backend import FolderBackend

HERE = Path(__file__).parent
PREFIX = "/services/aiinfn"
API = f"{PREFIX}/api/v1"
SETTINGS = {"session_check": 1.0, "start_retry": 0.3, "heartbeat": 1.0, "hub_timeout": 2.0, "look_every": 1.0}


def free_ports(count: int) -> list[int]:
    """Ports on which nobody listened a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(question: Callable[[], Any], seconds: float = 30.0, what: str = "it") -> Any:
    """The first true answer to ``question``."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError, FileNotFoundError):
            if answer := question():
                return answer
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s")


@dataclass
class Platform:
    """Processes, addresses and the farm that the test steers."""

    installation: Installation
    tokens: dict[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def farm(self) -> FolderBackend:
        """The backend behind the service."""
        return FolderBackend(self.root / "farm")

    @property
    def root(self) -> Path:
        """The state folder."""
        return self.installation.state.root

    @property
    def url(self) -> str:
        """Where people go."""
        return self.installation.public_url

    def log(self, name: str) -> str:
        """What a process wrote."""
        return (self.installation.state.logs / f"{name}.log").read_text(errors="replace")

    def start(self, name: str) -> None:
        """Start ``proxy``, ``hub`` or ``service`` and wait until it answers."""
        getattr(self, f"start_{name}")()

    def start_proxy(self) -> None:
        """The proxy."""
        node, cache = proxy.find_node(), default_cache()
        folder = proxy.installed(cache) or proxy.install(cache, node)
        port = int(self.url.rsplit(":", 1)[1])
        token = {"CONFIGPROXY_AUTH_TOKEN": self.installation.state.secret("proxy-token")}
        self.run("proxy", proxy.command(node, folder, self.installation, "127.0.0.1", port), token)

    def start_hub(self) -> None:
        """The hub."""
        self.run("hub", [sys.executable, "-m", "jupyterhub", "-f", str(HERE / "hub_config.py")])
        wait_for(lambda: httpx.get(f"{self.url}/hub/health").status_code == 200, 60, "the hub's start")

    def start_service(self, backend: str = "folder", **settings: Any) -> None:
        """The service, on files that the test writes or on real sandboxes (``local``)."""
        self.run("service", [sys.executable, str(HERE / "serve.py"), json.dumps(SETTINGS | settings), backend])
        health = f"{self.installation.service_url}{PREFIX}/health"
        wait_for(lambda: httpx.get(health).status_code == 200, 30, "the service's start")

    def run(self, name: str, command: list[str], extra: dict[str, str] | None = None) -> None:
        """Start a process in a session of its own."""
        variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(self.root)}
        variables |= self.installation.environment() | {"PYTHONPATH": str(HERE.parents[1])} | (extra or {})
        with (self.installation.state.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """Kill -9."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        """End everything."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for file in self.root.glob("tiny-*"):  # sessions that a killed hub left
            with contextlib.suppress(OSError):
                if b"tiny_server.py" in Path(f"/proc/{file.name[5:]}/cmdline").read_bytes():
                    os.kill(int(file.name[5:]), signal.SIGKILL)

    def get(self, path: str, token: str, **arguments: Any) -> httpx.Response:
        """A program's request, through the proxy."""
        headers = {"Authorization": f"token {token}"}
        return httpx.get(f"{self.url}{path}", headers=headers, timeout=15, **arguments)

    def post(self, path: str, token: str, **arguments: Any) -> httpx.Response:
        """A program's change, through the proxy."""
        headers = {"Authorization": f"token {token}"}
        return httpx.request(
            arguments.pop("method", "POST"), f"{self.url}{path}", headers=headers, timeout=15, **arguments
        )

    def session(self, **changes: Any) -> Workload:
        """A session of an hour that runs, whether or not the hub knows it."""
        now = datetime.now(UTC)
        given = {"profile": "watched", "server_name": "", "started_at": now, "ends_at": now + timedelta(hours=1)}
        work = self.farm.put(workload("session", **(given | changes)))
        token = self.installation.state.secret("internal-token")
        wait_for(lambda: self.get(f"{API}/availability", token).json()["sessions"], 10, "the session's appearance")
        return work

    def build(self, image: str = "quantum") -> Workload:
        """A job that builds an environment, as the hub starts it."""
        return self.farm.put(workload("job", image=image, name=f"environment {image}", job_class=JobClass.platform))

    def ticket(self, person: str, job: str, **changes: Any) -> str:
        """A link that the hub made for that person."""
        given = {
            "id": secrets.token_hex(8),
            "person": person,
            "server_name": "",
            "options": {"profile": "quantum"},
            "image": "quantum",
            "job": job,
            "expires": int(time.time()) + 600,
        }
        signed = sign_ticket(self.installation.state.secret("ticket-key"), StartTicket(**(given | changes)))
        return f"{PREFIX}/starts?ticket={signed}"

    @property
    def started(self) -> list[str]:
        """The sessions that the hub has started: ``person server profile``."""
        file = self.root / "started"
        return file.read_text().splitlines() if file.exists() else []


def workload(kind: str, **changes: Any) -> Workload:
    """A running workload."""
    given: dict[str, Any] = {
        "id": "w" + secrets.token_hex(10),
        "kind": WorkloadKind(kind),
        "name": kind,
        "cores": 1,
        "memory_gib": 1,
        "phase": Phase.running,
        "created_at": datetime.now(UTC),
    }
    return Workload(**(given | changes))


class Browser(httpx.Client):
    """A person's browser: cookies, no redirects followed by itself."""

    def __init__(self, platform: Platform) -> None:
        super().__init__(base_url=platform.url, timeout=20, headers={"Accept": "text/html"}, trust_env=False)

    def hub_login(self, name: str) -> None:
        """Log in at the hub."""
        self.get("/hub/login")
        xsrf = next(cookie.value for cookie in self.cookies.jar if cookie.name == "_xsrf" and cookie.path == "/hub/")
        form = {"username": name, "password": "x", "_xsrf": xsrf}
        answer = self.post("/hub/login", data=form, headers={"Sec-Fetch-Mode": "navigate"})
        assert answer.status_code == 302, answer.text

    def visit(self, path: str) -> httpx.Response:
        """Open a page and follow the redirects."""
        return self.get(path, follow_redirects=True)

    @property
    def session(self) -> str | None:
        """The service's cookie."""
        return next((cookie.value for cookie in self.cookies.jar if cookie.name == "aiinfn-session"), None)


def csrf_of(page: httpx.Response) -> str:
    """The CSRF token of a page's form."""
    return page.text.partition('name="csrf" value="')[2].partition('"')[0]


@contextlib.contextmanager
def running_platform(root: Path) -> Iterator[Platform]:
    """Everything, ended at the end whatever happens."""
    state = StateFolder(root)
    state.prepare()
    public, hub, api, service = free_ports(4)
    tokens = {name: secrets.token_hex(32) for name in ("prometheus", "reader", "stranger", "stopper")}
    (root / "tokens.json").write_text(json.dumps(tokens))
    installation = Installation(
        state=state,
        values_file=HERE / "values.yaml",
        cache=root / "cache",
        public_url=f"http://127.0.0.1:{public}",
        hub_port=hub,
        proxy_api_port=api,
        service_port=service,
        lab_prefix=Path(sys.prefix),
    )
    platform = Platform(installation, tokens)
    try:
        for name in ("proxy", "service", "hub"):
            platform.start(name)
        wait_for(lambda: httpx.get(f"{platform.url}{PREFIX}/health").status_code == 200, 20, "the service's route")
        yield platform
    finally:
        platform.stop()
