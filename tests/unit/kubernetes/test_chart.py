"""The values of the JupyterHub chart: what follows from ours, and what its hub reads back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from jupyterhub_aiinfn.backends.kubernetes.chart import chart_values, image_parts
from jupyterhub_aiinfn.backends.kubernetes.manifests import cluster_of
from jupyterhub_aiinfn.values import load_values, parse_values, values_hash
from jupyterhub_aiinfn.values.writing import yaml_text
from tests.cluster.chart import write_chart

from .farms import CONFIG, FARMS, farm

READ = """\
import json
from traitlets.config import Config
from jupyterhub_aiinfn.errors import AiinfnError
from jupyterhub_aiinfn.hub import configure
from jupyterhub_aiinfn.hub.chart import chart_values
from jupyterhub_aiinfn.values import values_hash
c = Config()
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.services = [{"name": "aiinfn", "display": False}, {"name": "metrics", "api_token": "m"}]
c.JupyterHub.load_roles.append({"name": "metrics", "services": ["metrics"], "scopes": ["read:metrics"]})
try:
    print(values_hash(chart_values()))
    configure(c)
    kept = ("services", "load_roles", "cleanup_servers", "extra_user_scopes", "oauth_require_pkce")
    found = {name: c.JupyterHub[name] for name in kept} | {"routes": c.Proxy.extra_routes}
    for name in ("spawner_class", "authenticator_class", "proxy_class"):
        found[name] = c.JupyterHub[name].__name__
    spawner = c.JupyterHub.spawner_class
    found |= {"namespace": c.KubeSpawner.namespace, "service": spawner.service_url}
    print(json.dumps(found, default=sorted))
except AiinfnError as error:
    print(error)
"""
TOKEN = "0123456789abcdef" * 4


def read(folder: Path, content: str | None, token: str | None = TOKEN) -> str:
    """What a process says that has the chart's module beside it, and this values file; None: no module."""
    if content is not None:
        write_chart(folder / "chart", content, token)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIINFN_")}
    done = subprocess.run(
        [sys.executable, "-c", READ],
        env={**environment, "PYTHONPATH": str(folder / "chart"), "AIINFN_STATE": str(folder / "state")},
        cwd=CONFIG.parents[1],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stderr
    return done.stdout


@pytest.mark.parametrize("key", sorted(FARMS))
def test_our_values_survive_the_chart(key: tuple[str, bool, str]) -> None:
    text = yaml_text(chart_values(FARMS[key]))
    inner = yaml.safe_load(text)["custom"]["aiinfn"]
    assert values_hash(parse_values(yaml_text(inner), "chart")) == values_hash(FARMS[key])


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a hub says that was installed with what we print."""
    return read(tmp_path_factory.mktemp("chart"), yaml_text(chart_values(farm()))).splitlines()


def test_the_hub_reads_what_was_printed(said: list[str]) -> None:
    assert said[0] == values_hash(farm())
    found = json.loads(said[1])
    assert (found["spawner_class"], found["proxy_class"]) == ("KubernetesSpawner", "SavingProxy")
    assert found["authenticator_class"] == "PasswordAuthenticator"  # and nobody is let in by the chart's default
    assert found["namespace"] == cluster_of(farm()).sessions_namespace
    assert found["service"] == "http://aiinfn-service.aiinfn:8765/services/aiinfn"
    assert list(found["routes"].values()) == ["http://aiinfn-service.aiinfn:8765"]
    assert found["cleanup_servers"] is False
    assert found["oauth_require_pkce"] is True


def test_the_chart_keeps_its_other_services_and_roles_and_ours_is_there_once(said: list[str]) -> None:
    found = json.loads(said[1])
    services = {one["name"]: one for one in found["services"]}
    assert sorted(services) == ["aiinfn", "metrics"]
    assert len(found["services"]) == 2
    assert services["aiinfn"]["api_token"] == TOKEN
    assert services["aiinfn"]["oauth_client_id"] == "service-aiinfn"
    assert [(role["name"], role["scopes"]) for role in found["load_roles"]] == [
        ("metrics", ["read:metrics"]),
        ("aiinfn-service", ["start:servers", "read:servers"]),
    ]


def test_a_chart_without_our_token_is_a_sentence(tmp_path: Path) -> None:
    said = read(tmp_path, yaml_text(chart_values(farm())), None)
    assert "the chart's Secret holds no hub.services.aiinfn.apiToken" in said


def test_values_of_one_machine_in_the_chart_are_a_sentence(tmp_path: Path) -> None:
    local = yaml.safe_load((CONFIG.parent / "local.yaml").read_text())
    said = read(tmp_path, yaml.safe_dump({"custom": {"aiinfn": local}}))
    assert "custom.aiinfn of the chart's values is for one machine; add the section kubernetes" in said


def test_the_hub_reads_dates_that_yaml_made(tmp_path: Path) -> None:
    plain = yaml.safe_dump({"custom": {"aiinfn": yaml.safe_load(CONFIG.read_text())}}, sort_keys=False)
    assert read(tmp_path, plain).splitlines()[0] == values_hash(load_values(CONFIG))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "this hub is not one of the JupyterHub chart"),
        ("custom: {}", "the chart's values hold no custom.aiinfn"),
        ("custom: 3", "the chart's values hold no custom.aiinfn"),
        ("custom: {aiinfn: [1]}", "custom.aiinfn of the chart's values must be a map"),
        ("custom: {aiinfn: {version: 2}}", "custom.aiinfn: "),
        ("custom: {aiinfn: &a {version: *a}}", "holds something that is no plain data"),
    ],
)
def test_wrong_values_of_the_chart_are_a_sentence(tmp_path: Path, content: str | None, sentence: str) -> None:
    assert sentence in read(tmp_path, content)


def test_every_image_of_a_profile_is_fetched_before() -> None:
    values = farm()
    fetched = chart_values(values)["prePuller"]["extraImages"]
    joined = {f"{one['name']}:{one['tag']}" for one in fetched.values()}
    assert joined == {values.images[profile.image].reference for profile in values.profiles.values()}


@pytest.mark.parametrize("name", ["r:5000/a/b", "b", "a/b:1", "r:5000/b:1", "r/b@sha256:00", "r/b:1@sha256:00"])
def test_the_chart_joins_an_image_as_it_was(name: str) -> None:
    parts = image_parts(name)
    assert f"{parts['name']}:{parts['tag']}" in (name, f"{name}:latest")


TAKEN = {
    "custom": {},
    "hub": {
        *("config", "extraConfig", "consecutiveFailureLimit", "serviceAccount", "services", "networkPolicy", "image"),
    },
    "singleuser": {"cloudMetadata", "networkPolicy", "storage"},
    "prePuller": {"pullProfileListImages", "extraImages"},
    "imagePullSecrets": {},
    "scheduling": {"userScheduler", "userPlaceholder", "podPriority"},
    "cull": {"enabled"},
}
"""Keys that the schema of the chart has (main of July 2026) where it refuses all others; what we print of them. The
chart is in no registry of packages, so its schema is not here: all that we print was tried against it by hand."""


@pytest.mark.parametrize("key", sorted(FARMS))
@pytest.mark.parametrize("image", [None, f"registry.example.org/aiinfn/hub@sha256:{'1' * 64}"])
def test_the_chart_knows_every_key(key: tuple[str, bool, str], image: str | None) -> None:
    found = chart_values(FARMS[key], image)
    assert set(found) <= set(TAKEN)
    for name, known in TAKEN.items():
        if known:
            assert set(found[name]) <= set(known), name
    assert set(found["hub"]["serviceAccount"]) <= {"create", "name", "annotations"}
    assert set(found["hub"]["image"] if image else ()) <= {"name", "tag", "pullPolicy", "pullSecrets"}
    assert all(set(one) == {"name", "tag"} and all(one.values()) for one in found["prePuller"]["extraImages"].values())
