"""A real proxy and a real hub in processes of their own, on free ports and a fresh state folder."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from jupyterhub_aiinfn.backends.local.installation import Installation, default_cache
from jupyterhub_aiinfn.backends.local.state import StateFolder, write_file
from jupyterhub_aiinfn.hub.people import HASHER, People
from jupyterhub_aiinfn.supervisor import proxy
from jupyterhub_aiinfn.values import load_values

HERE = Path(__file__).parent
PASSWORD = "correct horse battery"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listened on a moment ago."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass
class RunningHub:
    """Addresses and processes; ``hub`` may be killed and started again."""

    installation: Installation
    variables: Mapping[str, str]
    config: Path
    service_variables: Mapping[str, str] = field(default_factory=dict)
    """What the service is told beside what the hub is."""
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    browsers: list[Browser] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where people go."""
        return self.installation.public_url

    @property
    def log(self) -> str:
        """What the hub wrote."""
        return (self.installation.state.logs / "hub.log").read_text(errors="replace")

    def start_proxy(self) -> None:
        """Start the proxy."""
        node, cache = proxy.find_node(), default_cache()
        folder = proxy.installed(cache) or proxy.install(cache, node)
        port = int(self.url.rsplit(":", 1)[1])
        command = proxy.command(node, folder, self.installation, "127.0.0.1", port)
        token = {"CONFIGPROXY_AUTH_TOKEN": self.installation.state.secret("proxy-token")}
        self._start("proxy", command, token)

    def start_hub(self) -> None:
        """Start the hub and wait until it answers through the proxy."""
        self._start("hub", [sys.executable, "-m", "jupyterhub", "-f", str(self.config)], {})
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/hub/health", timeout=2).status_code == 200:
                    return
            if self.processes["hub"].poll() is not None:
                break
            time.sleep(0.1)
        raise RuntimeError(f"the hub did not come up\n{self.log}")

    def _start(self, name: str, command: list[str], extra: Mapping[str, str]) -> None:
        variables = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(HERE.parents[1])}
        with (self.installation.state.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                env=variables | {"HOME": str(self.installation.state.root)} | dict(self.variables) | dict(extra),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def start_service(self) -> None:
        """Start the platform service and wait until it answers."""
        self._start("service", [sys.executable, "-m", "jupyterhub_aiinfn.service"], self.service_variables)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{self.installation.service_url}/services/aiinfn/health", timeout=2)
                return
            time.sleep(0.1)
        raise RuntimeError((self.installation.state.logs / "service.log").read_text())

    def kill_hub(self) -> None:
        """Kill -9, as a crash would."""
        self.kill("hub")

    def kill(self, name: str) -> None:
        """The same for any of them."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> None:
        """End everything that was started."""
        for browser in self.browsers:
            browser.http.close()
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the hub's database holds."""
        file = self.installation.state.hub / "jupyterhub.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return list(connection.execute(query))

    def change(self, statement: str) -> None:
        """Change the database of a hub that does not run."""
        assert self.processes["hub"].poll() is not None
        file = self.installation.state.hub / "jupyterhub.sqlite"
        with contextlib.closing(sqlite3.connect(file)) as connection, connection:
            connection.execute(statement)

    def login(self, name: str, password: str = PASSWORD) -> Browser:
        """A browser in which that person is logged in."""
        browser = self.browser()
        answer = browser.sign_in(name, password)
        assert answer.status_code == 302, answer.text
        return browser

    def browser(self) -> Browser:
        """A browser in which nobody is logged in; closed with the hub."""
        self.browsers.append(Browser(self.url))
        return self.browsers[-1]


class Browser:
    """A person's browser without JavaScript: cookies, forms, no redirects followed by itself."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(
            base_url=url,
            timeout=40,
            headers={"Sec-Fetch-Mode": "navigate"},
            verify=False,
            trust_env=False,
        )

    @property
    def xsrf(self) -> str:
        """The token of the hub's forms."""
        return next(c.value or "" for c in self.http.cookies.jar if c.name == "_xsrf" and c.path == "/hub/")

    def sign_in(self, name: str, password: str) -> httpx.Response:
        """Post the login form."""
        self.http.get("/hub/login")
        return self.http.post("/hub/login", data={"username": name, "password": password, "_xsrf": self.xsrf})

    def get(self, path: str) -> httpx.Response:
        """Open a page."""
        return self.http.get(path)

    def post_spawn(self, path: str = "/hub/spawn", **options: str) -> httpx.Response:
        """Post the spawn form as it was served."""
        page = self.http.get(path)
        action = re.search(r'id="spawn_form" action="([^"]*)"', page.text)
        assert action, page.text
        return self.http.post(action.group(1).replace("&amp;", "&"), data=options)

    def api(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """A call of the hub's REST API with the browser's cookies."""
        headers = {"X-XSRFToken": self.xsrf, "Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        return self.http.request(method, f"/hub/api{path}", headers=headers, **arguments)


def make_installation(root: Path, values_file: Path) -> Installation:
    """A state folder with people, and free ports."""
    state = StateFolder(root)
    state.prepare()
    public, hub, api, service = free_ports(4)
    people = People(state, load_values(values_file))
    same = {"hash": HASHER.hash(PASSWORD), "first": False}  # hashing for each of 500 people takes half a minute
    write_file(state.people, json.dumps(dict.fromkeys(people.names(), same)).encode())
    return Installation(
        state=state,
        values_file=values_file,
        cache=root / "cache",
        public_url=f"http://127.0.0.1:{public}",
        hub_port=hub,
        proxy_api_port=api,
        service_port=service,
        lab_prefix=Path(sys.prefix),
    )


@contextlib.contextmanager
def running_hub(
    root: Path,
    variables: Mapping[str, str] | None = None,
    values_file: Path = HERE / "values.yaml",
    config: Path = HERE / "hub_config.py",
    service_variables: Mapping[str, str] | None = None,
    installation: Installation | None = None,
) -> Iterator[RunningHub]:
    """Proxy and hub, ended at the end whatever happens."""
    installation = installation or make_installation(root, values_file)
    hub = RunningHub(installation, installation.environment() | dict(variables or {}), config, service_variables or {})
    try:
        hub.start_proxy()
        hub.start_hub()
        yield hub
    finally:
        hub.stop()
