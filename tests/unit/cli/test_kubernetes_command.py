"""`aiinfn kubernetes manifests` as a process: YAML on standard output, sentences on standard error, no traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from jupyterhub_aiinfn.cli.main import cli

CONFIG = Path(__file__).parents[3] / "config"
FARM = CONFIG / "kubernetes.yaml"


def manifests(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return aiinfn("manifests", *arguments)


def within(*arguments: str | Path) -> tuple[int, str, str]:
    """The same within this process, which is quicker: exit code, standard output, standard error."""
    done = CliRunner().invoke(cli, ["kubernetes", *map(os.fspath, arguments)])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


def aiinfn(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jupyterhub_aiinfn.cli", "kubernetes", *map(os.fspath, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stdout + done.stderr
    return done


def node(name: str, taint: str | None = None) -> dict[str, Any]:
    taints = [{"key": taint, "effect": "NoSchedule"}] if taint else []
    status = {"allocatable": {"cpu": "16", "memory": "64Gi"}}
    return {"kind": "Node", "metadata": {"name": name, "labels": {}}, "spec": {"taints": taints}, "status": status}


def test_the_example_comes_out_as_yaml_that_every_reader_reads_alike() -> None:
    done = manifests("--values", FARM)
    assert (done.returncode, done.stderr) == (0, "")
    head, _, rest = done.stdout.partition("\n")
    assert head.startswith("# Made by `aiinfn kubernetes manifests` from kubernetes.yaml, values ")
    found = list(yaml.safe_load_all(rest))
    assert {one["apiVersion"] for one in found if one["kind"] in ("ClusterQueue", "LocalQueue", "ResourceFlavor")} == {
        "kueue.x-k8s.io/v1beta2"
    }
    assert {one["kind"] for one in found} >= {"Namespace", "Role", "RoleBinding", "NetworkPolicy", "ClusterQueue"}
    assert all(one["metadata"]["labels"]["app.kubernetes.io/part-of"] == "jupyterhub-aiinfn" for one in found)
    assert manifests("--values", FARM).stdout == done.stdout


@pytest.mark.parametrize("kind", ["list", "one", "json"])
def test_nodes_as_kubectl_writes_them(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "nodes"
    nodes = [node("a"), node("b", "node-role.kubernetes.io/control-plane")]
    data = {"apiVersion": "v1", "kind": "List", "items": nodes} if kind != "one" else nodes[1]
    file.write_text(json.dumps(data) if kind == "json" else yaml.safe_dump(data))
    code, _, err = within("manifests", "--values", FARM, "--nodes", file)
    assert code == 0
    assert err == "node b is not counted: nobody tolerates its taint node-role.kubernetes.io/control-plane=\n"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is no list of objects; give the file that `kubectl get nodes -o yaml` writes"),
        (b"[1]", "is no list of objects"),
        (b"{kind: Pod}", "is no list of objects"),
        (b"{kind: Pod, metadata: {}}", "is no list of nodes; give"),
        (b"items: [{kind: Pod}]", "is no list of nodes"),
        (b"items: [1]", "is no list of objects"),
        (b"items: [{kind: }]", "is no list of objects"),
        (b"items: {a: b}", "is no list of objects"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"a: [", "is not YAML"),
        (b"a: !!python/object:os.system x", "is not YAML"),
        (b"items: [{kind: Node}]", "a node has no name"),
        (b'items: [{kind: Node, metadata: {name: "a\\nb"}}]', "a node has no name"),
        (b"items: [{kind: Node, metadata: {name: a}, status: {allocatable: {cpu: many}}}]", 'node a is "many"'),
    ],
)
def test_wrong_nodes_are_a_sentence(tmp_path: Path, content: bytes, sentence: str) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_bytes(content)
    code, out, err = within("manifests", "--values", FARM, "--nodes", file)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert sentence in err
    assert len(err) < 1000


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{a: " * 100_000, b"- " * 100_000, b"a: &a [1]\nb: *a\n"])
def test_nodes_nested_without_end_are_a_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "nodes.yaml"
    file.write_bytes(content)
    done = manifests("--values", FARM, "--nodes", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not YAML that kubectl writes; give the file that `kubectl get nodes -o yaml` writes" in done.stderr


@pytest.mark.parametrize("name", ["absent", "folder", "/dev/zero"])
def test_what_is_no_file_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    code, out, err = within("manifests", "--values", FARM, "--nodes", tmp_path / name)
    assert (code, out) == (1, "")
    assert "is no file; give the file that `kubectl get nodes -o yaml` writes" in err


def test_values_of_one_machine_are_refused_with_the_remedy() -> None:
    done = manifests("--values", CONFIG / "local.yaml")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Error: these values are for one machine; add the section kubernetes for a cluster\n"


def test_wrong_values_are_refused_with_everything_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(
        FARM.read_text()
        .replace("method: crc32", "method: crc33")
        .replace("guaranteed: {rtx5000", "guaranteed: {rtx500")
    )
    done = manifests("--values", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert "identity.uid.method" in done.stderr
    assert 'is not an accelerator (found "rtx500"); did you mean "rtx5000"?' in done.stderr


def test_a_guarantee_that_nothing_can_keep_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(FARM.read_text().replace("guaranteed: {rtx5000: 1}", "guaranteed: {rtx5000: 9}"))
    done = manifests("--values", file)
    assert (done.returncode, done.stdout) == (1, "")
    assert 'project "virgo-denoising" is guaranteed 9 of "rtx5000", and 5 can be had' in done.stderr
    assert "lower its guarantee or that of others, or add nodes" in done.stderr


# What is on the cluster


def listed(tmp_path: Path, change: tuple[str, str] = ("", "")) -> Path:
    """What kubectl would list after the manifests were applied, with one text of it changed."""
    _, _, rest = manifests("--values", FARM).stdout.partition("\n")
    items = [one | {"status": {}} for one in yaml.safe_load_all(rest.replace(*change))]
    file = tmp_path / "found.yaml"
    file.write_text(yaml.safe_dump({"kind": "List", "items": items}))
    return file


def test_a_cluster_that_is_as_the_values_say(tmp_path: Path) -> None:
    done = aiinfn("check", "--values", FARM, "--found", listed(tmp_path))
    assert (done.returncode, done.stdout, done.stderr) == (0, "the cluster is as the values say\n", "")


def test_a_cluster_that_somebody_changed(tmp_path: Path) -> None:
    found = listed(tmp_path, ("reclaimWithinCohort: LowerPriority", "reclaimWithinCohort: Any"))
    done = aiinfn("check", "--values", FARM, "--found", found)
    assert done.returncode == 1
    first = done.stdout.splitlines()[0]
    assert (
        first == "ClusterQueue aiinfn-sessions: spec.preemption.reclaimWithinCohort is Any and should be LowerPriority"
    )


@pytest.mark.parametrize("content", [b"", b"items: 3", b"\xff", b"items: [{kind: Role, metadata: 7}]"])
def test_wrong_objects_are_a_sentence_or_a_drift(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "found.yaml"
    file.write_bytes(content)
    done = aiinfn("check", "--values", FARM, "--found", file)
    assert done.returncode == 1
    assert "give the file that `kubectl get … -A -o yaml` writes" in done.stderr or "is not there; apply" in done.stdout


# The chart


def test_the_values_of_the_chart_come_out_as_yaml() -> None:
    done = aiinfn("chart-values", "--values", FARM, "--hub-image", "registry.example.org/hub:1")
    assert (done.returncode, done.stderr) == (0, "")
    found = yaml.safe_load(done.stdout)
    assert found["hub"]["image"] == {"name": "registry.example.org/hub", "tag": "1"}
    assert found["hub"]["serviceAccount"]["name"] == "hub"
    assert "configure(c)" in found["hub"]["extraConfig"]["zz-aiinfn"]
    assert found["cull"] == {"enabled": False}


def test_without_an_image_of_the_hub_it_is_said() -> None:
    code, out, err = within("chart-values", "--values", FARM)
    assert code == 0
    assert "image" not in yaml.safe_load(out)["hub"]
    assert "give --hub-image" in err


@pytest.mark.parametrize("image", ["", "a b", "a\nb", "\u00e9"])
def test_no_image_of_the_hub_is_a_sentence(image: str) -> None:
    code, out, err = within("chart-values", "--values", FARM, "--hub-image", image)
    assert (code, out) == (2, "")
    assert "give the name of a container image" in err


def test_values_of_one_machine_are_none_of_the_chart(tmp_path: Path) -> None:
    code, out, err = within("chart-values", "--values", CONFIG / "local.yaml")
    assert (code, out) == (1, "")
    assert "these values are for one machine" in err
    huge = tmp_path / "huge.yaml"
    huge.write_text("a: " + "x" * (2 << 20))
    code, out, err = within("chart-values", "--values", huge)
    assert (code, out) == (1, "")
    assert "must be at most 1024 KiB" in err


# What is asked with kubectl; the rest of it is in tests/cluster/test_manifests_diff.py


def diff(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str | None) -> tuple[int, str, str]:
    """The command where kubectl is this script of the shell, or missing."""
    folder.mkdir()
    if script is not None:
        (folder / "kubectl").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "kubectl").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    return within("manifests", "--diff", "--values", FARM)


def test_without_kubectl_there_is_no_comparison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert diff(monkeypatch, tmp_path / "bin", None) == (
        2,
        "",
        "Error: there is no kubectl here; install it, and try again\n",
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo '[1, 2]'", "look whether another program has its name"),
        ("echo 'not json'", "look whether another program has its name"),
        ("echo '{\"items\": [{}]}'", "look whether another program has its name"),
        (
            'echo \'error: no matches for kind "Cohort" in version "x"\' >&2; exit 1',
            "does not know Cohort; install Kueue",
        ),
        ("printf 'a\\n\\033[31mstrange' >&2; exit 7", "kubectl could not ask the cluster: \ufffd[31mstrange"),
        ("exit 1", "it said nothing"),
    ],
)
def test_what_kubectl_says_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str, words: str
) -> None:
    code, out, err = diff(monkeypatch, tmp_path / "bin", script)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_a_kubeconfig_without_a_comparison_is_refused_and_one_that_is_none_told(tmp_path: Path) -> None:
    code, _, err = within("manifests", "--values", FARM, "--kubeconfig", tmp_path / "absent")
    assert code == 2
    assert "--kubeconfig is for --diff" in err
    code, _, err = within("manifests", "--diff", "--values", FARM, "--kubeconfig", tmp_path / "absent")
    assert code == 2
    assert "is no file; give the kubeconfig of an administrator" in err


def test_wrong_values_are_no_difference(tmp_path: Path) -> None:
    code, out, err = within("manifests", "--diff", "--values", CONFIG / "local.yaml")
    assert (code, out) == (2, "")
    assert "these values are for one machine" in err
