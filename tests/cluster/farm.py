"""A farm on the tests' cluster: namespaces, rights and homes as an administrator makes them, and a hub of it."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from jupyterhub_aiinfn.backends.kubernetes import names
from jupyterhub_aiinfn.backends.kubernetes.installation import installation_manifests
from jupyterhub_aiinfn.backends.kubernetes.manifests import cluster_of
from jupyterhub_aiinfn.hub.configuration import ACCESS_SERVICE
from jupyterhub_aiinfn.values import Values, load_values
from tests.hub.running_hub import Browser, RunningHub, make_installation, running_hub
from tests.tools.cluster.client import Client

from .chart import TOKEN, installed_chart
from .farm_storage import give_claim, give_home, in_place_of_exports

HERE = Path(__file__).parent
VALUES = "values.yaml"
PASSWORD = "a-word-that-only-the-session-sees"
"""A secret that the administrator's configuration hands to sessions."""
WITH_HOMES = ("alice", "bob")
"""Whose claims find a volume; nobody else's do."""


@dataclass
class Farm:
    """A hub on a cluster, which acts with the rights that the manifests give it and no others."""

    client: Client
    values: Values
    hub: RunningHub

    @property
    def namespace(self) -> str:
        """Where the sessions are."""
        return cluster_of(self.values).sessions_namespace

    def names(self, kind: str) -> list[str]:
        """The names of all objects of a kind that belong to sessions."""
        return [each["metadata"]["name"] for each in self.all(kind)]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All objects of a kind in the namespace of sessions."""
        found: list[dict[str, Any]] = json.loads(
            self.client("get", kind, "--namespace", self.namespace, "--output", "json")
        )["items"]
        return found

    def server_of(self, pod: Mapping[str, Any]) -> str:
        """The name of the server that a pod is."""
        name: str = json.loads(pod["metadata"]["annotations"][names.DESCRIPTION])["server_name"]
        return name

    def person_of(self, pod: Mapping[str, Any]) -> tuple[str, str]:
        """Whose session a pod is, and the name of its server."""
        said = json.loads(pod["metadata"]["annotations"][names.DESCRIPTION])
        return said["person"], said["server_name"]

    def run(self, pod: str, script: str) -> str:
        """What a script prints that runs in the main container of a pod."""
        words = ("exec", pod, "--namespace", self.namespace, "--container", names.MAIN, "--", "sh", "-c", script)
        return self.client(*words)

    def nothing_is_left(self) -> bool:
        """Whether no pod, no Secret and no Workload of a session is there."""
        kinds = ["pods", "secrets", *(["workloads"] if cluster_of(self.values).kueue is not None else [])]
        return not self.names(",".join(kinds))

    def start(self, person: Browser, name: str, server: str = "", **options: str) -> int:
        """Ask the hub for a session; the status of its answer, 201 also for one that takes a while and comes up."""
        path = f"/users/{name}/servers/{server}" if server else f"/users/{name}/server"
        answer = person.api("POST", path, json=options, timeout=120)
        status = answer.status_code
        if status >= 400:
            print(f"{name}: {status} {answer.text[:1000]}")  # for whoever reads why a test failed
        found = {"pending": "spawn", "ready": False}
        while status == 202 and found.get("pending"):
            time.sleep(0.2)
            found = person.api("GET", f"/users/{name}?include_stopped_servers").json()["servers"].get(server, {})
        return 201 if status == 202 and found.get("ready") else status

    def token(self, name: str, *scopes: str) -> str:
        """A token of a person that opens the platform service, and what else is named."""
        wanted = {"note": "test", "expires_in": 3600, "scopes": [ACCESS_SERVICE, *scopes]}
        answer = self.hub.login(name).api("POST", f"/users/{name}/tokens", json=wanted)
        token: str = answer.json()["token"]
        return token

    def ask(self, method: str, path: str, token: str, **arguments: Any) -> httpx.Response:
        """A request to the platform service, through the proxy."""
        url, headers = f"{self.hub.url}/services/aiinfn/api/v1{path}", {"Authorization": f"token {token}"}
        return httpx.request(method, url, headers=headers, timeout=20, trust_env=False, **arguments)

    def inferred(self, workload: str) -> list[tuple[str, str]]:
        """Kind and source of what was inferred of a workload."""
        asked = "SELECT kind, source FROM facts WHERE inferred AND subject = ?"
        return self._rows(asked, workload)

    def facts(self) -> list[tuple[str, str, str]]:
        """Workload, kind and source of all facts that the service has written down, in that order."""
        return self._rows("SELECT subject, kind, source FROM facts ORDER BY id")

    def _rows(self, asked: str, *given: str) -> list[Any]:
        file = Path(self.hub.service_variables["AIINFN_STATE"]) / "service" / "service.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            return list(connection.execute(asked, given))


@contextmanager
def running_farm(
    client: Client,
    folder: Path,
    machine: str,
    changes: Mapping[str, Any] | None = None,
    *,
    with_homes: Iterable[str] = WITH_HOMES,
    claims: Mapping[str, Path] | None = None,
    server: str | None = None,
    server_program: str = "tiny",
    config: Path = HERE / "hub_config.py",
    more: Mapping[str, str] | None = None,
) -> Iterator[Farm]:
    """Namespaces, rights, homes and a hub; all of it is removed at the end.

    ``changes``: to sections of the values; ``claims``: claims of the namespace of sessions, each with the folder that
    it stands for; ``server``: where the hub reaches the API server, when not directly; ``server_program``: ``lab``
    for JupyterLab in the sessions, which needs one of our images; ``config``: what the hub loads;
    ``more``: of its environment.
    """
    with ExitStack() as stack:
        values = stack.enter_context(installed(client, folder, changes))
        name = cluster_of(values).namespace
        for person in with_homes if values.storage.home.backend == "claims" else ():
            give_home(client, values, person, folder / f"home-{person}", stack)
        for claim, behind in (claims or {}).items():
            give_claim(client, cluster_of(values).sessions_namespace, claim, behind, stack)
        chart = installed_chart(folder / "chart", values)
        installation = make_installation(folder / "state", folder / VALUES)
        variables = {
            "KUBECONFIG": str(_kubeconfig(client, name, "hub", folder, server)),
            "NO_PROXY": "*",
            "AIINFN_SERVICE_ADDRESS": f"http://{machine}:{installation.service_port}",
            "AIINFN_TEST_CHART": str(chart),
            "AIINFN_TEST_MACHINE": machine,
            "AIINFN_TEST_PASSWORD": PASSWORD,
            "AIINFN_TEST_SERVER": server_program,
            **(more or {}),
        }
        of_service = {
            "KUBECONFIG": str(_kubeconfig(client, name, "aiinfn-service", folder, server)),
            "AIINFN_STATE": str(folder / "service"),
            "AIINFN_SERVICE_TOKEN_FILE": str(chart / TOKEN),
            "AIINFN_HUB_ADDRESS": f"http://{machine}:{installation.hub_port}",
        }
        hub = running_hub(folder / "state", variables, folder / VALUES, config, of_service, installation)
        yield Farm(client, values, stack.enter_context(hub))


@contextmanager
def installed(client: Client, folder: Path, changes: Mapping[str, Any] | None = None) -> Iterator[Values]:
    """The values of a farm, in ``folder``, and all that an administrator applies for them."""
    name = f"aiinfn-farm-{uuid.uuid4().hex[:6]}"
    folder.mkdir(mode=0o711, exist_ok=True)
    (folder / VALUES).write_text(yaml.safe_dump(_values(name, changes or {})))
    values = load_values(folder / VALUES)
    with ExitStack() as stack:
        _install(client, values, name, folder, stack)
        yield values


def _values(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load((HERE / "farm.yaml").read_text())
    places = {"namespace": name, "sessions_namespace": f"{name}-sessions", "jobs_namespace": f"{name}-jobs"}
    data["kubernetes"] |= places
    for section, content in changes.items():
        data[section] = {**data.get(section, {}), **content}
    return data


def _install(client: Client, values: Values, name: str, folder: Path, stack: ExitStack) -> None:
    nodes = json.loads(client("get", "nodes", "--output", "json"))["items"]
    found, _ = installation_manifests(values, nodes)
    in_place_of_exports(found, folder / "export")
    for manifest in found:
        if manifest["kind"] == "Namespace":
            manifest["metadata"]["labels"]["aiinfn/kueue"] = "yes"  # the harness leaves other namespaces alone
    head = {"name": cluster_of(values).hub_account, "namespace": name}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": head}
    stack.callback(_remove, client, name, found)
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, *found, account)
    for namespace in (cluster_of(values).sessions_namespace, cluster_of(values).jobs_namespace):
        client.wait_until_pods_may_be_made(namespace)


def _remove(client: Client, name: str, found: list[dict[str, Any]]) -> None:
    for suffix in ("-sessions", "-jobs", ""):
        client("delete", "namespace", f"{name}{suffix}", "--ignore-not-found", "--wait=false")
    for kind in ("ClusterQueue", "ResourceFlavor", "WorkloadPriorityClass", "Cohort", "PersistentVolume"):
        for manifest in found:
            if manifest["kind"] == kind:
                client("delete", kind, manifest["metadata"]["name"], "--ignore-not-found", "--wait=false")


def hub_kubeconfig(client: Client, namespace: str, folder: Path, server: str | None = None) -> Path:
    """How the hub reaches the API server."""
    return _kubeconfig(client, namespace, "hub", folder, server)


def _kubeconfig(client: Client, namespace: str, account: str, folder: Path, server: str | None) -> Path:
    """How hub or service reach the API server: each as its own account, not as an administrator."""
    token = client("create", "token", account, "--namespace", namespace, "--duration", "2h").strip()
    given = json.loads(client("config", "view", "--raw", "--flatten", "--minify", "--output", "json"))
    user = {"name": account, "user": {"token": token}}
    if server is not None:
        given["clusters"][0]["cluster"]["server"] = server
    context = {"name": account, "context": {"cluster": given["clusters"][0]["name"], "user": account}}
    file = folder / f"kubeconfig-{account}"
    file.write_text(json.dumps(given | {"users": [user], "contexts": [context], "current-context": account}))
    file.chmod(0o600)
    return file


def claim_name(person: str) -> str:
    """The claim of a person's home."""
    return names.home_claim(person)
