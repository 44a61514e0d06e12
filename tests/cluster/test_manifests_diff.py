"""`aiinfn kubernetes manifests --diff` on a real API server: before, after, changed, left over, and not allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from jupyterhub_aiinfn.backends.kubernetes.installation import installation_manifests
from jupyterhub_aiinfn.values import load_values
from tests.cluster.backend_farm import BOARDS, Farm, farm_values, running_farm
from tests.tools.cluster.client import Client
from tests.tools.cluster.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.root]


@dataclass(frozen=True)
class Diff:
    """The command as an administrator runs it."""

    client: Client
    values: Path

    def __call__(self, kubeconfig: str | Path | None = None) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "kubernetes", "manifests", "--diff"]
        words += ["--values", str(self.values), "--kubeconfig", str(kubeconfig or self.client.kubeconfig)]
        path = f"{Path(self.client.program).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            words, env=os.environ | {"PATH": path, **self.client.variables}, capture_output=True, text=True, timeout=200
        )
        assert "Traceback" not in done.stdout + done.stderr
        return done

    def lines_about(self, name: str) -> list[str]:
        """What it says of one farm: others may be on the cluster, whose objects are left over for this one."""
        done = self()
        assert (done.returncode in (0, 1), done.stderr) == (True, "")
        return [line for line in done.stdout.splitlines() if name in line]


def written(folder: Path, farm: Farm) -> Path:
    file = folder / "values.yaml"
    file.write_text(yaml.safe_dump(farm.values.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    assert load_values(file) == farm.values
    return file


@pytest.fixture(scope="module")
def farm(own: Cluster) -> Iterator[Farm]:
    with running_farm(own.client, kueue=True) as found:
        yield found


@pytest.fixture
def diff(farm: Farm, tmp_path: Path) -> Diff:
    return Diff(farm.client, written(tmp_path, farm))


def test_what_was_applied_is_no_difference_and_what_somebody_changed_is(diff: Diff, farm: Farm) -> None:
    name = farm.values.kubernetes.namespace  # type: ignore[union-attr]
    marked = ("namespace", farm.sessions, "aiinfn/kueue")
    assert diff.lines_about(name) == [], marked
    queue = f"{name}-sessions"
    patch = '{"spec": {"preemption": {"reclaimWithinCohort": "Any"}}}'
    farm.client("patch", "clusterqueue", queue, "--type=merge", "--patch", patch)
    farm.client("delete", "rolebinding", "aiinfn-hub", "--namespace", farm.sessions)
    assert diff.lines_about(name) == [
        f"RoleBinding {farm.sessions}/aiinfn-hub is not there; apply what `aiinfn kubernetes manifests` writes",
        f"ClusterQueue {queue}: spec.preemption.reclaimWithinCohort is Any and should be LowerPriority",
    ]
    farm.client.apply(*(one for one in installation_manifests(farm.values, None)[0] if one["kind"] != "Namespace"))
    assert diff.lines_about(name) == []


def test_what_nothing_asks_for_is_left_over(diff: Diff, farm: Farm) -> None:
    labels = {"app.kubernetes.io/part-of": "jupyterhub-aiinfn"}
    head = {"name": f"old-{farm.sessions}", "namespace": farm.sessions, "labels": labels}
    farm.client.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": head, "rules": []})
    said = diff.lines_about(f"old-{farm.sessions}")
    assert said == [
        f"Role {farm.sessions}/{head['name']} is there, and nothing in the values asks for it; "
        "delete it when nothing uses it"
    ]
    farm.client("delete", "role", str(head["name"]), "--namespace", farm.sessions)


def test_before_anything_is_applied_all_is_missing(own: Cluster, tmp_path: Path) -> None:
    values = farm_values("aiinfn-not-yet", True, BOARDS)
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(values.model_dump(mode="json", by_alias=True, exclude_defaults=True)))
    missing = [line for line in Diff(own.client, file).lines_about("aiinfn-not-yet") if "is not there" in line]
    assert f"Namespace {values.kubernetes.sessions_namespace} is not there" in missing[0]  # type: ignore[union-attr]
    assert len(missing) > 10


def test_who_may_not_look_is_told_so(diff: Diff, farm: Farm, tmp_path: Path) -> None:
    token = farm.client("create", "token", "default", "--namespace", farm.sessions).strip()
    said = json.loads(farm.client("config", "view", "--raw", "--flatten", "--minify", "--output", "json"))
    for name, value in (("nobody", token), ("stranger", "no-token-of-this-cluster")):
        users = [{"name": said["users"][0]["name"], "user": {"token": value}}]
        (tmp_path / name).write_text(json.dumps(said | {"users": users}))
    forbidden, unknown = diff(tmp_path / "nobody"), diff(tmp_path / "stranger")
    assert (forbidden.returncode, unknown.returncode) == (2, 2)
    assert "may not read all of it" in forbidden.stderr
    assert "does not accept the account" in unknown.stderr
    assert "no-token-of-this-cluster" not in unknown.stdout + unknown.stderr


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "does not say how a cluster is reached"),
        ("secret: [", "does not say how a cluster is reached"),
        (
            '{"clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}], "current-context": "c", '
            '"contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}]}',
            "the cluster does not answer",
        ),
        ('{"current-context": "nowhere"}', "does not say how a cluster is reached"),
    ],
)
def test_a_wrong_kubeconfig_is_a_sentence(diff: Diff, tmp_path: Path, content: str, sentence: str) -> None:
    (tmp_path / "wrong").write_text(content)
    done = diff(tmp_path / "wrong")
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr) < 300
