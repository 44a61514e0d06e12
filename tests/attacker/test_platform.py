"""The whole platform, as root and as an ordinary user: bob attacks alice and the platform from inside his session."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import websocket

from jupyterhub_aiinfn.backends.local.listening import sockets_of
from jupyterhub_aiinfn.backends.local.processes import ProcessIdentity, children
from jupyterhub_aiinfn.backends.local.state import StateFolder, read_json
from tests.platform import Browser, RunningPlatform

from .conftest import ORDINARY_UID, ROOT
from .installations import Place, prepare

HERE = Path(__file__).parent
WORD = "private-" + secrets.token_hex(16)
"""What only alice may know."""
OPEN = {"version": 0o644}
"""Files of the state folder that others may read (it holds one number)."""
pytestmark = pytest.mark.slow


@dataclass
class Person:
    """Somebody with a running session, and a token of theirs."""

    name: str
    platform: RunningPlatform
    token: str

    def http(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        headers = {"Authorization": f"token {self.token}"}
        url = f"{self.platform.url}/user/{self.name}{path}"
        return httpx.request(method, url, headers=headers, timeout=30, **arguments)

    def run(self, code: str) -> str:
        """What code prints in a kernel of the person's own."""
        kernel = self.http("POST", "/api/kernels", json={"name": "python3"}).json()["id"]
        address = f"{self.platform.url.replace('http', 'ws', 1)}/user/{self.name}/api/kernels/{kernel}/channels"
        connection = websocket.create_connection(address, header=[f"Authorization: token {self.token}"], timeout=120)
        with contextlib.closing(connection):
            return execute(connection, code)

    @property
    def started(self) -> dict[str, Any]:
        """The record of the running session."""
        folders = self.platform.state.workloads.glob("w*")
        live = [folder for folder in folders if not (folder / "ended").exists()]
        own = next(folder for folder in live if read_json(folder / "spec")["person"] == self.name)
        found: dict[str, Any] = read_json(own / "started")
        return found

    @property
    def server_variables(self) -> dict[str, str]:
        """The environment of the Jupyter server, as only the host sees it."""
        server = children(self.started["sandbox"]["pid"])[0].pid
        pairs = Path(f"/proc/{server}/environ").read_bytes().decode().split("\0")
        return dict(pair.split("=", 1) for pair in pairs if pair)

    @property
    def server_port(self) -> int:
        """Where the Jupyter server listens."""
        return urlsplit(self.server_variables["JUPYTERHUB_SERVICE_URL"]).port or 0

    def ports(self) -> set[int]:
        """Ports on which processes of the session listen."""
        sandbox = ProcessIdentity.from_json(self.started["sandbox"])
        assert sandbox is not None
        own = sockets_of(sandbox)
        rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()]
        return {int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in own}


def execute(connection: websocket.WebSocket, code: str) -> str:
    """Send an execute request; what it prints until the kernel is idle again."""
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "username": "", "session": "attack"}
    content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
    message = {"header": header | {"version": "5.3"}, "content": content, "parent_header": {}, "metadata": {}}
    connection.send(json.dumps(message | {"channel": "shell", "buffers": []}))
    printed = ""
    while True:
        answer = json.loads(connection.recv())
        if answer["parent_header"].get("msg_id") != header["msg_id"]:
            continue
        kind, content = answer["msg_type"], answer["content"]
        assert kind != "error", "\n".join(content["traceback"])
        printed += content["text"] if kind == "stream" else ""
        if kind == "status" and content["execution_state"] == "idle":
            return printed


def start(browser: Browser, platform: RunningPlatform) -> Person:
    """A running session and a token."""
    answer = browser.start(profile="python", size="small", project="quantum-lab")
    assert answer.status_code in (201, 202), answer.text
    browser.wait_ready()
    token = browser.api("POST", f"/users/{browser.name}/tokens", json={"note": "test"}).json()["token"]
    return Person(browser.name, platform, token)


@dataclass
class Scene:
    """A platform with alice, who has a secret, and bob."""

    as_root: bool
    place: Place
    platform: RunningPlatform
    alice: Person
    bob: Person

    @property
    def ports(self) -> dict[str, int]:
        """What to attack, by what it is."""
        record = self.platform.record
        return {
            "hub": record["hub_port"],
            "proxy_api": record["proxy_api_port"],
            "service": record["service_port"],
            "public": int(self.platform.url.rpartition(":")[2]),
            "victim": self.alice.server_port,
        }

    @property
    def platform_secrets(self) -> dict[str, str]:
        """Tokens and keys of the platform."""
        return {file.name: file.read_text().strip() for file in self.platform.state.secrets.iterdir()}

    @property
    def secrets(self) -> dict[str, str]:
        """Everything that may appear nowhere, by what it is."""
        tokens = {f"{one.name}'s token": one.token for one in (self.alice, self.bob)}
        own = {
            f"{one.name}'s server token": one.server_variables["JUPYTERHUB_API_TOKEN"] for one in (self.alice, self.bob)
        }
        return self.platform_secrets | tokens | own


def run(place: Place) -> RunningPlatform:
    return RunningPlatform.start(
        folder=place.folder,
        values=place.values,
        arguments=["--cache", str(place.cache)],
        program=place.program,
        environment=place.environment,
    )


def write_secret(person: Person) -> None:
    """By the server, and by a kernel that then goes on."""
    note = {"type": "file", "format": "text", "content": WORD}
    assert person.http("PUT", "/api/contents/private.txt", json=note).status_code == 201
    assert person.run(f"open('more.txt', 'w').write('{WORD}'); print('saved')").strip() == "saved"


@pytest.fixture(scope="module", params=[pytest.param("root", marks=pytest.mark.root), "ordinary"])
def scene(request: pytest.FixtureRequest) -> Iterator[Scene]:
    as_root = request.param == "root"
    folder = Path(tempfile.mkdtemp(prefix="aiinfn-attack-"))
    folder.chmod(0o755)
    try:
        place = prepare(folder, as_root=as_root)
        with contextlib.ExitStack() as stack:
            platform = stack.enter_context(run(place))
            people = [start(stack.enter_context(platform.login(name)), platform) for name in ("alice", "bob")]
            made = Scene(as_root, place, platform, *people)
            write_secret(made.alice)
            yield made
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def in_session(person: Person, program: Path, *arguments: str, given: str = "") -> dict[str, Any]:
    """What an attacking program prints (JSON) when the person runs it from a notebook."""
    code = (
        "import subprocess, sys\n"
        f"done = subprocess.run([sys.executable, '-c', {program.read_text()!r}, *{list(arguments)!r}], input={given!r},"
        " capture_output=True, text=True, timeout=100)\nprint(done.stdout or done.stderr)"
    )
    printed = person.run(code)
    assert printed.startswith("{"), printed
    found: dict[str, Any] = json.loads(printed)
    return found


def test_the_machine_and_the_files_are_out_of_reach(scene: Scene) -> None:
    state, home = scene.platform.state, scene.platform.state.homes / "user-alice"
    assert (home / "private.txt").read_text() == WORD
    paths = [state.root, state.secrets, state.hub / "jupyterhub.sqlite", state.people, state.workloads, state.logs]
    paths += [home, home / "private.txt", Path("/home/alice"), scene.platform.ready_file]
    record = scene.alice.started
    pids = [scene.platform.pid, record["runner"]["pid"], record["sandbox"]["pid"]]
    pids += [found.pid for name in ("proxy", "hub", "service") if (found := scene.platform.part(name))]
    words = [word for path in paths for word in ("--path", str(path))]
    words += [word for pid in pids for word in ("--pid", str(pid))]
    words += [
        word for one in (WORD, scene.alice.token, *scene.platform_secrets.values()) for word in ("--secret", one[::-1])
    ]
    found = in_session(scene.bob, HERE / "probe.py", *words)
    assert found["breaches"] == []
    assert len(found["refused"]) > 60
    below_home = [path.relative_to("/home").parts[0] for path in installed_at(scene) if path.is_relative_to("/home")]
    assert set(found["facts"]["homes"]) == {"bob", *below_home}


def installed_at(scene: Scene) -> list[Path]:
    """Where programs that a session reads are; a folder above them is seen, with nothing else in it."""
    return [Path(sys.prefix), Path(sys.base_prefix), scene.place.cache]


def test_nothing_is_had_from_loopback(scene: Scene) -> None:
    ports = scene.ports
    hidden = [
        WORD,
        scene.alice.token,
        scene.alice.server_variables["JUPYTERHUB_API_TOKEN"],
        *scene.platform_secrets.values(),
    ]
    given = {"ports": ports, "token": scene.bob.token, "secrets": [one[::-1] for one in hidden]}
    found = in_session(scene.bob, HERE / "network.py", given=json.dumps(given))
    assert found["breaches"] == []
    assert len(found["refused"]) > 100
    assert set(ports.values()) <= set(found["listening"]), "the attack did not see what it attacked"
    assert scene.alice.http("GET", "/api/contents/private.txt").json()["content"] == WORD


def test_kernels_tell_strangers_nothing(scene: Scene) -> None:
    """Their channels are files. What ipykernel binds besides takes the output of forks and tells nothing."""
    connection = json.loads(scene.alice.run("import ipykernel; print(open(ipykernel.get_connection_file()).read())"))
    assert connection["transport"] == "ipc"
    kernels = scene.alice.http("GET", "/api/kernels").json()
    pipes = scene.alice.ports() - {scene.alice.server_port}
    assert len(pipes) <= len(kernels)
    forge = (
        "import zmq\ncontext = zmq.Context()\nheard = []\n"
        f"for port in {sorted(pipes)}:\n"
        "    for kind in (zmq.SUB, zmq.PULL, zmq.DEALER):\n"
        "        reader = context.socket(kind)\n"
        "        reader.connect(f'tcp://127.0.0.1:{port}')\n"
        "        if kind == zmq.SUB: reader.subscribe(b'')\n"
        "        heard += [reader.recv()] if reader.poll(500) else []\n"
        "    writer = context.socket(zmq.PUSH)\n"
        "    writer.connect(f'tcp://127.0.0.1:{port}')\n"
        "    writer.send_multipart([b'x' * 16, b'stdout', b'forged'])\n"
        "    writer.close(linger=500)\n"
        "print(heard)"
    )
    assert scene.bob.run(forge).strip() == "[]"
    assert "forged" not in scene.alice.run("import time; time.sleep(0.5); print('mine')")


def test_the_servers_own_token_opens_nothing_else(scene: Scene) -> None:
    """What bob's code finds in its own environment."""
    token = scene.bob.server_variables["JUPYTERHUB_API_TOKEN"]
    given = {"ports": scene.ports, "token": token, "secrets": [WORD[::-1], scene.alice.token[::-1]]}
    assert in_session(scene.bob, HERE / "network.py", given=json.dumps(given))["breaches"] == []


def test_the_service_reads_from_the_token_which_session_calls(scene: Scene) -> None:
    """Not from anything that the caller says."""
    address = f"{scene.platform.url}/services/aiinfn/api/v1/me"
    for token, session in ((scene.bob.server_variables["JUPYTERHUB_API_TOKEN"], ""), (scene.bob.token, None)):
        headers = {"Authorization": f"token {token}", "X-Server-Name": "another"}
        me = httpx.get(address, params={"server_name": "another", "name": "alice"}, headers=headers).json()
        assert (me["name"], me["server_name"]) == ("bob", session)


def test_the_hub_gives_no_login_without_pkce(scene: Scene) -> None:
    with scene.platform.login("carol") as carol:
        question = {
            "client_id": "service-aiinfn",
            "response_type": "code",
            "redirect_uri": "/services/aiinfn/oauth_callback",
            "state": "x" * 32,
        }
        answer = carol.client.get("/hub/api/oauth2/authorize", params=question, follow_redirects=False)
        assert "code=" not in answer.headers.get("location", "")
        assert answer.status_code == 400 or "error=invalid_request" in answer.headers["location"]


def test_a_logout_at_the_hub_ends_the_session_at_the_service(scene: Scene) -> None:
    with scene.platform.login("carol") as carol:
        page = carol.client.get("/services/aiinfn/")
        assert (page.status_code, page.url.path) == (200, "/services/aiinfn/")
        cookie = {"aiinfn-session": carol.client.cookies["aiinfn-session"]}
        me = "/services/aiinfn/api/v1/me"
        assert carol.client.get(me).json()["name"] == "carol"
        carol.client.get("/hub/logout")
        assert httpx.get(f"{scene.platform.url}{me}", cookies=cookie).status_code == 401


def test_secrets_are_in_no_file_and_no_command_line(scene: Scene) -> None:
    state = scene.platform.state
    seen = []
    files = [path for path in state.root.rglob("*") if path.is_file() and state.homes not in path.parents]
    for path in files:
        if path.parent in (state.secrets, state.passwords):
            continue
        data = path.read_bytes()
        seen += [(what, path.name) for what, secret in scene.secrets.items() if secret.encode() in data]
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            data = (entry / "cmdline").read_bytes() if entry.name.isdigit() and int(entry.name) != os.getpid() else b""
            seen += [(what, data) for what, secret in scene.secrets.items() if secret.encode() in data]
    assert seen == []
    assert [path for path in files if path.suffix == ".log"]


def shared(state: StateFolder) -> set[Path]:
    """The folders that people share, with what is in them: theirs by group, see tests/contract."""
    return {path for above in (state.projects, state.public) for path in [above, *above.rglob("*")]} - {state.projects}


def test_what_belongs_to_the_platform_is_closed(scene: Scene) -> None:
    state = scene.platform.state
    modes = {}
    for path in [state.root, *state.root.rglob("*")]:
        if state.homes not in path.parents:
            with contextlib.suppress(FileNotFoundError):
                modes[path] = path.lstat()
    folders = {path: mode for path, mode in modes.items() if stat.S_ISDIR(mode.st_mode)}
    open_folders = {path: stat.S_IMODE(mode.st_mode) for path, mode in folders.items() if mode.st_mode & 0o077}
    closed = {state.root: 0o711, state.homes: 0o711, state.projects: 0o711}
    assert {path: mode for path, mode in open_folders.items() if path not in shared(state)} == closed
    assert set(open_folders.values()) <= {0o711, 0o2770, 0o2775}, "members write, and nobody else"
    others = {path: stat.S_IMODE(mode.st_mode) for path, mode in modes.items() if path not in folders}
    assert {str(path.relative_to(state.root)): mode for path, mode in others.items() if mode & 0o077} == OPEN
    assert {"jupyterhub.sqlite", "people.json", "hub.log", "spec", "started"} <= {path.name for path in others}
    assert {mode.st_uid for mode in modes.values()} == {0 if scene.as_root else ORDINARY_UID if ROOT else os.getuid()}


def test_homes_are_their_persons_alone(scene: Scene) -> None:
    homes = {path.name: path.stat() for path in scene.platform.state.homes.iterdir()}
    assert set(homes) == {"user-alice", "user-bob"}
    assert {stat.S_IMODE(found.st_mode) for found in homes.values()} == {0o700}
    assert len({found.st_uid for found in homes.values()}) == (2 if scene.as_root else 1)


def test_what_is_not_enforced_is_said(scene: Scene) -> None:
    """At start-up and in `aiinfn status`."""
    command = [*scene.place.program, "-m", "jupyterhub_aiinfn.cli", "status", "--state", str(scene.platform.state.root)]
    environment = {"PATH": os.environ["PATH"], **scene.place.environment}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for text in (scene.platform.output, done.stdout):
        assert ("share the uid" in text) is not scene.as_root
        assert ("uid of their own" in text) is scene.as_root
