"""What values say about a cluster: checked between entries, one sentence each; and what one machine ignores."""

from __future__ import annotations

import contextlib
import copy
import zlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyterhub_aiinfn.backends.local.state import StateFolder
from jupyterhub_aiinfn.cli.main import cli
from jupyterhub_aiinfn.errors import Problem, StateError, ValuesError
from jupyterhub_aiinfn.supervisor.known_values import known_values
from jupyterhub_aiinfn.values import Values, load_values, parse_values
from jupyterhub_aiinfn.values.kubernetes import Kubernetes, Kueue, Network, PlatformJobs, SessionPods, Sidecar
from jupyterhub_aiinfn.values.numbers import PROJECT_GIDS, UIDS, computed_gid, computed_uid
from jupyterhub_aiinfn.values.one_machine import ignored_on_one_machine

CONFIG = Path(__file__).parents[3] / "config"
CLUSTER: dict[str, Any] = yaml.safe_load((CONFIG / "kubernetes.yaml").read_text())
LOCAL: dict[str, Any] = yaml.safe_load((CONFIG / "local.yaml").read_text())


def parse(data: Any) -> Values:
    return parse_values(yaml.safe_dump(data, sort_keys=False), "x")


@pytest.mark.parametrize("section", [Kubernetes, Kueue, PlatformJobs, SessionPods, Sidecar, Network])
def test_the_example_of_a_farm_shows_every_setting_of_a_cluster(section: Any) -> None:
    text = (CONFIG / "kubernetes.yaml").read_text().partition("\nkubernetes:")[2].partition("\nnodes:")[0]
    assert [name for name in section.model_fields if f"{name}:" not in text] == []


def changed(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    data = copy.deepcopy(base)
    *parents, last = path.split("/")
    inner: Any = data
    for part in parents:
        inner = inner.setdefault(part, {})
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return data


def problems(data: Any) -> list[Problem]:
    with pytest.raises(ValuesError) as caught:
        parse(data)
    return list(caught.value.problems)


def test_the_example_of_a_farm_is_valid_and_says_every_section() -> None:
    values = load_values(CONFIG / "kubernetes.yaml")
    assert values.kubernetes is not None
    assert values.kubernetes.kueue is not None
    assert set(CLUSTER) == set(Values.model_fields)
    assert ignored_on_one_machine(values) == []


def test_the_example_of_one_machine_needs_nothing_of_a_cluster() -> None:
    values = load_values(CONFIG / "local.yaml")
    assert values.kubernetes is None
    assert ignored_on_one_machine(values) == []


def twin_of(name: str) -> str:
    """A login name with the same computed uid, found by trying."""
    wanted, number = computed_uid(name), 0
    while computed_uid(f"p{number}") != wanted:
        number += 1
    return f"p{number}"


@pytest.mark.parametrize(
    ("path", "value", "where", "rule", "shown", "hint"),
    [
        ("kubernetes/jobs_namespace", "aiinfn", "kubernetes.jobs_namespace", "than namespace", "aiinfn", ""),
        ("kubernetes/namespace", "Aiinfn", "kubernetes.namespace", "lower-case letters", "Aiinfn", ""),
        ("kubernetes/namespace", "aiinfn-jobs", "kubernetes.jobs_namespace", "another namespace", "aiinfn-jobs", ""),
        ("kubernetes/kueue/cohort", "x" * 41, "kubernetes.kueue.cohort", "at most 40 characters", "x", ""),
        ("kubernetes/sessions/stop_grace", "1s", "kubernetes.sessions.stop_grace", "between 4s and 5m", "1s", ""),
        ("kubernetes/sessions/port", 0, "kubernetes.sessions.port", "at least 1", "0", ""),
        (
            "kubernetes/network/open_to",
            [{"to": "10.0.0.1/8"}],
            "kubernetes.network.open_to[0].to",
            "ends in zeros",
            "10.0.0.1/8",
            "",
        ),
        (
            "kubernetes/network/open_to",
            [{"to": "nas.example.org"}],
            "kubernetes.network.open_to[0].to",
            "must be a network such as 10.1.2.0/24",
            "nas",
            "",
        ),
        ("images/gpu/reference", ..., "images.gpu.reference", "is missing: a cluster", "", ""),
        ("images/gpu/reference", "lab:latest", "images.gpu.reference", "with its digest", "lab:latest", "a tag can"),
        (
            "kubernetes/sessions/sidecars/agent/image",
            "agent",
            "kubernetes.sessions.sidecars.agent.image",
            "with its digest",
            "agent",
            "",
        ),
        ("accelerators/t4/resource", ..., "accelerators.t4.resource", "is missing: by it a cluster", "", ""),
        ("accelerators/t4/resource", "gpu", "accelerators.t4.resource", "must be an extended resource", "gpu", ""),
        ("accelerators/t4/emulated", 2, "accelerators.t4.emulated", "must be 0", "", ""),
        ("accelerators/t4/node_selector", {"a b": "c"}, 't4.node_selector."a b"', "name of a node label", "a b", ""),
        ("accelerators/t4/node_selector", {"a": "Tesla T4"}, "t4.node_selector.a", "value of a node label", "T4", ""),
        ("nodes/gpu1/selector", {"a": "-"}, "nodes.gpu1.selector.a", "value of a node label", "-", ""),
        ("nodes/gpu4/selector", {}, "nodes.gpu4.selector", "a reserved class needs one", "", "label"),
        ("nodes/gpu4/selector", {f"l{i}": "x" for i in range(8)}, "nodes.gpu4.selector", "at most 8 labels", "8", ""),
        (
            "nodes/gpu1/machines/accelerators",
            {"h100": 1},
            "accelerators.h100",
            "is not an accelerator",
            "h100",
            "did you mean",
        ),
        ("storage/home/backend", "local", "storage.home.backend", "needs one machine", "", "claims"),
        ("storage/home/server", ..., "storage.home.server", "is missing: backend nfs needs it", "", ""),
        (
            "storage/home/claim",
            "homes",
            "storage.home.claim",
            "means nothing with backend nfs",
            "homes",
            "shared-claim",
        ),
        ("storage/home/export", "exports", "storage.home.export", "must be a path on the server", "exports", ""),
        ("storage/home/server", "a b", "storage.home.server", "name or address of a host", "a b", ""),
        ("storage/home", {"backend": "claims"}, "storage.home.quota_gib", "backend claims needs it", "", ""),
        ("storage/home", {"backend": "shared-claim"}, "storage.home.claim", "backend shared-claim needs it", "", ""),
        (
            "storage/home",
            {"backend": "claims", "quota_gib": 1},
            "storage.public.volume",
            "have no place beside them",
            "",
            "",
        ),
        (
            "storage/home",
            {"backend": "claims", "quota_gib": 1, "access": "ReadWriteOnce"},
            "storage.home.access",
            "several sessions",
            "ReadWriteOnce",
            "one session",
        ),
        ("storage/project/volume", {}, "storage.project.volume", "either a claim or a server", "", ""),
        ("storage/public/volume", {"claim": "a", "server": "b"}, "public.volume", "either a claim or a server", "", ""),
        ("storage/scratch/storage_class", "fast", "storage.scratch.storage_class", "nothing with kind node", "", ""),
        ("storage/cvmfs", ["../x"], "storage.cvmfs[0]", "name of a CVMFS repository", "../x", ""),
        ("identity/uid", ..., "identity.uid", "to whom files belong", "", "crc32"),
        ("identity/uid/method", "fixed", "identity.uid.table", "means nothing with method fixed", "", "crc32"),
        ("identity/uid/method", "hash", "identity.uid.method", "must be 'fixed', 'crc32' or 'claim'", "hash", ""),
        (
            "identity/uid/table",
            {"a": 7001, "b": 7001},
            "uid.table.b",
            'for "b" or for "a": both would have 7001',
            "",
            "",
        ),
        ("identity/uid/table", {"a": 0}, "identity.uid.table.a", "must be at least 1", "0", ""),
        (
            "identity/uid/project_gids",
            {"quantm": 5},
            "project_gids.quantm",
            "is not a project",
            "quantm",
            "did you mean",
        ),
        (
            "identity/uid/project_gids",
            {"quantum-lab": 4000, "virgo-denoising": 4000},
            "uid.project_gids.quantum-lab",
            'for "quantum-lab" or for "virgo-denoising": both would have 4000',
            "",
            "",
        ),
        (
            "identity/uid/project_gids",
            {"quantum-lab": 61234},
            "project_gids.quantum-lab",
            'for "quantum-lab" or for "rossi"',
            "",
            "",
        ),
        (
            "identity/uid/project_gids",
            {"quantum-lab": computed_gid("/public")},
            "project_gids.quantum-lab",
            'or for "/public"',
            "",
            "",
        ),
        ("projects/quantum-lab/guaranteed", {"t5": 1}, "guaranteed.t5", "is not an accelerator", "t5", "known are"),
        ("projects/quantum-lab/guaranteed", {"t4": 0}, "guaranteed.t4", "must be at least 1", "0", ""),
        ("projects/lhcb-flashsim/guaranteed", {"a100-1g": 7}, "guaranteed.a100-1g", "(at_most), 6", "7", ""),
        ("projects/personal/guaranteed", {"t4": 1}, "projects.personal.guaranteed", "has no guarantee", "", ""),
        ("projects/personal/guaranteed", {"a100": 1}, "guaranteed.a100", "the project may not use", "a100", "add it"),
        ("projects/" + "x" * 53, {"groups": ["g"], "guaranteed": {"t4": 1}}, "x" * 53, "at most 52 characters", "", ""),
        (
            "projects/lhcb-flashsim-guaranteed",
            {"groups": ["g"]},
            "projects.lhcb-flashsim-guaranteed",
            'the guarantee of "lhcb-flashsim" has a queue',
            "",
            "",
        ),
        ("kubernetes/kueue", ..., "projects.lhcb-flashsim.guaranteed", "needs Kueue", "", "add kubernetes"),
        ("kubernetes/kueue", ..., "profiles.gpu.wait", "needs Kueue", "", "add kubernetes"),
        ("profiles/gpu/wait", "2h", "profiles.gpu.wait", "between 10s and 1h", "2h", ""),
        ("profiles/gpu/sizes/small/guaranteed_cores", 5, "small.guaranteed_cores", "at most cores, 4", "5", ""),
        ("profiles/gpu/sizes/small/guaranteed_memory_gib", 17, "guaranteed_memory_gib", "at most memory_gib", "17", ""),
        ("kubernetes", ..., "storage.home.backend", "needs a cluster", "nfs", "or add the section kubernetes"),
    ],
)
def test_one_problem(path: str, value: Any, where: str, rule: str, shown: str, hint: str) -> None:
    found = problems(changed(CLUSTER, path, value))
    fitting = [one for one in found if one.path.endswith(where) and rule in one.rule]
    assert fitting, found
    assert shown in fitting[0].value
    assert hint in fitting[0].hint


@pytest.mark.parametrize("name", ["project", "public"])
@pytest.mark.parametrize("scratch", [False, True])
def test_a_shared_claim_is_never_beside_a_claim_of_ones_own(name: str, scratch: bool) -> None:
    """The cluster would give everything in it to the group of whoever started last."""
    data = changed(CLUSTER, f"storage/{name}/volume", {"claim": "files"})
    assert parse(data)
    if scratch:
        data["storage"]["scratch"]["kind"] = "claim"
    else:
        data["storage"]["home"] = {"backend": "claims", "quota_gib": 10}
        data["storage"]["public"].setdefault("volume", {"server": "nas"})
    found = problems(data)
    assert [one.path for one in found] == [f"storage.{name}.volume.claim"]
    assert "would give its files to one person" in found[0].rule


@pytest.mark.parametrize(
    ("home", "project", "public", "wrong"),
    [
        ("user-{name}", "shared-{group}", "public", []),
        ("{name}", "shared-{group}", "public", ["storage.project.path", "storage.public.folder"]),
        ("shared-{name}", "shared-{group}", "public", ["storage.project.path"]),
        ("s{name}", "shared-{group}", "public", ["storage.project.path"]),
        ("user-{name}", "shared-{group}", "user-all", ["storage.public.folder"]),
        ("user-{name}", "p{group}", "public", ["storage.public.folder"]),
    ],
)
def test_nobodys_name_makes_a_home_of_anothers_folder(home: str, project: str, public: str, wrong: list[str]) -> None:
    data = copy.deepcopy(CLUSTER)
    data["storage"]["home"]["path"] = home
    data["storage"]["project"]["path"] = project
    data["storage"]["public"]["folder"] = public
    if wrong:
        assert [one.path for one in problems(data)] == wrong
    else:
        assert parse(data)
    # in volumes of their own they meet nobody
    data["storage"]["project"]["volume"] = {"claim": "projects"}
    data["storage"]["public"]["volume"] = {"server": "nfs.example.org", "export": "/public"}
    assert parse(data)


def test_without_digests_when_nodes_have_the_images() -> None:
    data = changed(CLUSTER, "kubernetes/sessions/pull", "Never")
    data["images"]["gpu"]["reference"] = "localhost/gpu:1"
    assert parse(data).images["gpu"].reference == "localhost/gpu:1"
    data["images"]["gpu"]["reference"] = "two words"
    assert "with its digest" in problems(data)[0].rule


def test_kueue_takes_so_many_resources() -> None:
    many = {f"r{i}": {"type": "gpu", "name": "x", "resource": f"x.org/r{i}"} for i in range(16)}
    data = changed(CLUSTER, "accelerators", CLUSTER["accelerators"] | many)
    assert "at most 15 different resources" in problems(data)[0].rule


# Numbers of people


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_computed_numbers_are_those_of_today_and_never_meet(name: str) -> None:
    content = name.encode("utf-8", "surrogatepass")
    assert computed_uid(name) == zlib.crc32(content) % 200000 + 50000
    assert computed_gid(name) == zlib.crc32(content) % 49000 + 1000
    assert computed_uid(name) in UIDS
    assert computed_gid(name) in PROJECT_GIDS
    assert not set(UIDS[:1]) & set(PROJECT_GIDS)


def test_two_people_with_one_computed_uid_are_refused_by_name() -> None:
    other = twin_of("alice")
    data = changed(CLUSTER, "identity/users", {"alice": {}, other: {}})
    (found,) = problems(data)
    assert found.path == f"identity.uid.table.{other}"
    assert '"alice"' in found.rule
    assert f'"{other}"' in found.rule
    data["identity"]["uid"]["table"][other] = 300_000
    assert parse(data)


# One machine


def test_one_machine_says_what_it_ignores(tmp_path: Path) -> None:
    data = copy.deepcopy(LOCAL)
    data["profiles"]["gpu"]["wait"] = "10m"
    data["profiles"]["gpu"]["sizes"]["small"]["guaranteed_cores"] = 1
    data["projects"]["flash-sim"]["guaranteed"] = {"gpu": 1}
    data["identity"]["uid"] = {"method": "crc32"}
    data["storage"] |= {"scratch": {"gib": 1}, "cvmfs": ["lhcb.cern.ch"], "buckets": {"b": {"claim": "c"}}}
    data["storage"]["project"] = {"volume": {"claim": "files"}}
    data["storage"]["public"]["volume"] = {"server": "nas"}
    file = tmp_path / "values.yaml"
    file.write_text(yaml.safe_dump(data))
    done = CliRunner().invoke(cli, ["values", "check", str(file)])
    assert done.exit_code == 0
    valid, *said = done.output.splitlines()
    assert " is valid: " in valid
    subjects = [line.split(" is ignored")[0].split(": ")[0] for line in said]
    assert subjects == [
        "profiles.gpu.wait",
        "profiles.gpu.sizes.small",
        "projects.flash-sim.guaranteed",
        "identity.uid",
        "storage.scratch",
        "storage.cvmfs",
        "storage.buckets",
        "storage.project.volume",
        "storage.public.volume",
    ]


def test_one_machine_does_not_start_with_the_values_of_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"is for a cluster: it has the section kubernetes.*name another file"):
        known_values(CONFIG / "kubernetes.yaml", StateFolder(tmp_path))


def test_people_of_a_cluster_are_kept_with_the_same_commands(tmp_path: Path) -> None:
    """In the hub's pod; the state folder is on its volume."""
    options = ["--values", str(CONFIG / "kubernetes.yaml"), "--state", str(tmp_path / "state")]
    done = CliRunner().invoke(cli, ["user", "list", *options])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("base", [LOCAL, CLUSTER], ids=["local", "cluster"])
@settings(max_examples=80, deadline=None)
@given(
    path=st.sampled_from(
        [
            "kubernetes",
            "storage/home",
            "storage",
            "identity/uid",
            "nodes/x",
            "nodes",
            "projects/x/guaranteed",
            "kubernetes/kueue",
            "kubernetes/network/open_to",
            "kubernetes/sessions/sidecars/x",
            "accelerators/x",
            "storage/buckets",
            "profiles/x/sizes/y",
        ]
    ),
    junk=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text("abcé-/", max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "backend",
                        "claim",
                        "volume",
                        "uid",
                        "table",
                        "method",
                        "machines",
                        "accelerators",
                        "selector",
                        "taint",
                        "to",
                        "image",
                        "sidecars",
                        "sessions",
                        "network",
                        "cores",
                        "guaranteed_cores",
                        "project_gids",
                        "x",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
)
def test_no_data_makes_the_check_fail_otherwise(base: dict[str, Any], path: str, junk: Any) -> None:
    with contextlib.suppress(ValuesError):
        assert isinstance(parse(changed(base, path, junk)), Values)
