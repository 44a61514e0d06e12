"""The two things that are compared: our platform, and a bare JupyterHub with the ``simple`` spawner."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import psutil
import yaml
from prometheus_client.parser import text_string_to_metric_families

from jupyterhub_aiinfn.backends.local.installation import default_cache

from . import processes

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "the bare hub takes this one from everybody"  # a hub that lives for one benchmark, on loopback


class Server:
    """A hub that runs: its address, its main process, its folder; a context manager that ends it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="aiinfn-bench-"))
        self.folder.chmod(0o711)
        self.url = ""
        self.process: psutil.Popen | None = None

    @property
    def pid(self) -> int:
        """Of the main process."""
        assert self.process is not None
        return int(self.process.pid)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Start and return once a login would work."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it and everything it started; its folder stays."""
        if self.process is not None:
            processes.end(self.process)
            self.process = None

    def password(self, name: str) -> str:
        """The password of that person."""
        raise NotImplementedError

    def hub_pid(self) -> int:
        """The process of the hub itself."""
        raise NotImplementedError

    def log(self) -> str:
        """The last lines that it wrote."""
        return (self.folder / "output.log").read_text(errors="replace")[-3000:]

    def cpu_seconds(self) -> float:
        """CPU seconds of all its processes since they began."""
        return processes.cpu_seconds(self.pid, self.folder)

    def service_requests(self) -> int | None:
        """Requests that the platform service has answered since it began, other than reports that sessions send by
        themselves; None when there is none or it is silent."""
        return None

    def login(self, name: str) -> httpx.Client:
        """A logged-in browser without a screen."""
        client = httpx.Client(base_url=self.url, timeout=60, follow_redirects=True)
        page = client.get("/hub/login")
        page.raise_for_status()
        data = {
            "username": name,
            "password": self.password(name),
            "_xsrf": client.cookies.get("_xsrf", path="/hub/") or "",
        }
        answer = client.post("/hub/login?next=%2Fhub%2Fhome", data=data)
        if answer.status_code != 200 or "/hub/login" in str(answer.url):
            raise RuntimeError(f"{name} could not log in at {self.url}: {answer.status_code}")
        return client

    def api(self, name: str) -> httpx.Client:
        """The hub's REST API with a token of that person."""
        client = self.login(name)
        xsrf = {"X-XSRFToken": client.cookies.get("_xsrf", path="/hub/") or "", "Referer": f"{self.url}/hub/token"}
        answer = client.post(f"/hub/api/users/{name}/tokens", json={"note": "bench"}, headers=xsrf)
        answer.raise_for_status()
        client.close()
        headers = {"Authorization": f"token {answer.json()['token']}"}
        return httpx.Client(base_url=f"{self.url}/hub/api", headers=headers, timeout=120)

    def _run(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        with (self.folder / "output.log").open("ab") as log:
            self.process = psutil.Popen(
                list(command),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def _fail_if_ended(self) -> None:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"{type(self).__name__} ended at its start:\n{self.log()}")


class Platform(Server):
    """``aiinfn up`` with a values file and a state folder of its own; environments come from the ordinary cache."""

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.state = self.folder / "state"
        self.values_file = self.folder / "values.yaml"
        text = (ROOT / "config/local.yaml").read_text() if values is None else yaml.safe_dump(dict(values))
        self.values_file.write_text(text)
        self.ready: dict[str, Any] = {}

    def start(self) -> None:
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start without waiting."""
        self._ready_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "up", "--port", "0"]
        paths = ["--values", str(self.values_file), "--state", str(self.state), "--ready-file", str(self._ready_file)]
        self._run([*command, *paths])

    def wait(self, pause: float = 0.02) -> None:
        """Wait for the ready file."""

        def is_ready() -> bool:
            self._fail_if_ended()
            return self._ready_file.exists()

        processes.wait_for(is_ready, 300, "the ready file", pause)
        self.ready = json.loads(self._ready_file.read_text())
        self.url = self.ready["url"].rstrip("/")

    @property
    def _ready_file(self) -> Path:
        return self.folder / "ready.json"

    def password(self, name: str) -> str:
        return Path(self.ready["users"][name]).read_text().strip()

    def hub_pid(self) -> int:
        found = processes.find(self.pid, "local_config.py")
        assert found is not None, "the hub does not run"
        return found.pid

    def service_requests(self) -> int | None:
        token = (self.state / "secrets" / "internal-token").read_text().strip()
        port = json.loads((self.state / "supervisor.json").read_text())["service_port"]
        address = f"http://127.0.0.1:{port}/services/aiinfn/metrics"
        try:
            answer = httpx.get(address, headers={"Authorization": f"token {token}"}, timeout=3)
        except httpx.HTTPError:
            return None
        samples = (one for family in text_string_to_metric_families(answer.text) for one in family.samples)
        requests = (one for one in samples if one.name == "aiinfn_requests_total")
        return int(sum(one.value for one in requests if not one.labels["route"].endswith(("/metrics", "/reports"))))

    def service(self) -> psutil.Process | None:
        """The process of the platform service."""
        return processes.find(self.pid, "jupyterhub_aiinfn.service")


BARE_CONFIG = """
import os
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.JupyterHub.concurrent_spawn_limit = 16
c.Spawner.cmd = {command!r}
c.Spawner.args = {arguments!r}
c.Spawner.environment = {environment!r}
c.Spawner.default_url = "/lab"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r} + "/{{username}}"
c.JupyterHub.load_roles = [{{"name": "user", "scopes": ["self", "read:metrics"]}}]
os.umask(0o077)
{extra}
"""


class BareHub(Server):
    """JupyterHub as it comes: ``simple`` spawner, a password for everybody, the same npm proxy.

    ``command`` is the command line of a Jupyter server as the platform ran it, so that both start the same program.
    """

    def __init__(
        self, command: Sequence[str] = (), environment: Mapping[str, str] | None = None, extra: str = ""
    ) -> None:
        super().__init__()
        self.command = list(command) or [sys.executable, "-I", "-m", "jupyterhub.singleuser"]
        if os.geteuid() == 0:
            # The platform's sessions have an own user id even when it runs as root; those of `simple` are root's.
            self.command.append("--ServerApp.allow_root=True")
        self.environment = {**(environment or {}), "PATH": os.environ["PATH"]}
        self.extra = extra

    def start(self) -> None:
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start without waiting."""
        port, hub_port, api_port = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        (self.folder / "homes").mkdir(exist_ok=True)
        config = self.folder / "jupyterhub_config.py"
        config.write_text(
            BARE_CONFIG.format(
                password=PASSWORD,
                port=port,
                hub_port=hub_port,
                api_port=api_port,
                proxy=proxy_command(),
                command=self.command[:3],
                arguments=self.command[3:],
                environment=self.environment,
                homes=str(self.folder / "homes"),
                extra=self.extra,
            )
        )
        self._run([sys.executable, "-m", "jupyterhub", "-f", str(config)], {"CONFIGPROXY_AUTH_TOKEN": "0" * 64})

    def wait(self, pause: float = 0.02) -> None:
        """Wait until the login page answers."""

        def answers() -> bool:
            self._fail_if_ended()
            try:
                return httpx.get(f"{self.url}/hub/login", timeout=10).status_code == 200
            except httpx.HTTPError:
                return False

        processes.wait_for(answers, 120, "the login page of the bare hub", pause)

    def password(self, name: str) -> str:
        return PASSWORD

    def hub_pid(self) -> int:
        return self.pid


def free_ports(count: int) -> list[int]:
    """Ports of loopback that are free now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listening.getsockname()[1] for listening in sockets]
    for listening in sockets:
        listening.close()
    return ports


def proxy_command() -> list[str]:
    """The npm proxy that the platform put into its cache, or the one on the PATH, and the Node that runs it."""
    found = sorted(default_cache().glob("**/node_modules/configurable-http-proxy/bin/configurable-http-proxy"))
    node = shutil.which("node", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found and node:
        return [node, str(found[-1])]
    return ["configurable-http-proxy"]


def start_session(api: httpx.Client, name: str, options: Mapping[str, str]) -> float:
    """Start the person's session; the seconds from POST to ready, as the hub's own progress says it."""
    begin = time.perf_counter()
    answer = api.post(f"/users/{name}/server", json=dict(options))
    if answer.status_code not in (201, 202):
        raise RuntimeError(f"the session of {name} was not started: {answer.status_code} {answer.text[:500]}")
    _wait_until_ready(api, name)
    return time.perf_counter() - begin


def _wait_until_ready(api: httpx.Client, name: str) -> None:
    with api.stream("GET", f"/users/{name}/server/progress") as stream:
        for line in stream.iter_lines():
            event = json.loads(line[5:]) if line.startswith("data:") else {}
            if event.get("failed"):
                raise RuntimeError(f"the session of {name} failed: {event.get('message')}")
            if event.get("ready"):
                return
    raise RuntimeError(f"the progress of {name} ended without an answer")


def stop_session(api: httpx.Client, name: str) -> None:
    """Stop the person's session and wait until the hub has forgotten it."""
    api.delete(f"/users/{name}/server").raise_for_status()
    processes.wait_for(
        lambda: not api.get(f"/users/{name}").json()["servers"], 60, f"the end of the session of {name}", 0.1
    )
